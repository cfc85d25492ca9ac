//! An issuer of our own that says whatever a test wants it to say, badly signed tokens included.
//!
//! Invariant: until a test changes something, what it says is right: each test here also signs somebody in.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use forelog::core::time::Micros;
use forelog::http::Tls;
use hmac::{Hmac, KeyInit, Mac};
use openidconnect::core::{CoreEdDsaPrivateSigningKey, CoreJwsSigningAlgorithm};
use openidconnect::{JsonWebKeyId, PrivateSigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Browser, ConsoleServer};
use crate::harness::{Answer, send};
use crate::tls::Pair;

/// What it knows us by.
pub const CLIENT: &str = "forelog-console";
pub const SECRET: &str = "what only both of us know";

/// How a token is signed.
#[derive(Clone, Copy, PartialEq)]
pub enum Signature {
    /// With the key that is published under the name it gives.
    Right,
    /// With another one, under that name.
    OtherKey,
    /// Not at all.
    None,
    /// With the client's secret.
    Secret,
    /// With the right key, and then changed.
    Changed,
}

/// What the token endpoint does.
#[derive(Clone, Copy, PartialEq)]
pub enum Answering {
    Well,
    /// By sending us somewhere else.
    Elsewhere,
    /// With more than anybody should read.
    Endlessly,
    /// Not in time.
    Never,
}

/// What it does and says.
pub struct Manner {
    /// Claims that are put over the right ones; null takes one away.
    pub claims: Value,
    pub signature: Signature,
    pub answering: Answering,
    pub key: u8,
    /// How many it publishes: that and the next ones.
    pub keys: u8,
    /// It publishes that it names itself (RFC 9207).
    pub names_itself: bool,
    /// Published besides, or instead.
    pub published: Value,
    /// What it says on being asked, apart from the token.
    pub user_info: Value,
}

/// The issuer, until it is dropped.
pub struct Issuer {
    pub url: String,
    pub now: Micros,
    manner: Mutex<Manner>,
    /// How often it was led elsewhere.
    pub trapped: AtomicUsize,
    pub asked: AtomicUsize,
}

/// A running issuer.
pub struct Running {
    pub issuer: Arc<Issuer>,
    _stop: DropGuard,
}

impl std::ops::Deref for Running {
    type Target = Issuer;
    fn deref(&self) -> &Issuer {
        &self.issuer
    }
}

impl Issuer {
    /// One that vouches for people at `now`.
    pub async fn start(now: Micros) -> Running {
        Self::start_at(now, TcpListener::bind("127.0.0.1:0").await.expect("a port"))
    }

    /// The same where a listener is.
    pub fn start_at(now: Micros, listener: TcpListener) -> Running {
        Self::serve(now, listener, None)
    }

    /// One that is reached over TLS.
    pub async fn start_over_tls(now: Micros, pair: &Pair) -> Running {
        let tls = Tls::open(pair.chain(), pair.key()).await.expect("a certificate");
        Self::serve(now, TcpListener::bind("127.0.0.1:0").await.expect("a port"), Some(&tls))
    }

    fn serve(now: Micros, listener: TcpListener, tls: Option<&Tls>) -> Running {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().expect("an address"));
        let (claims, published, user_info) = (json!({}), json!({}), json!({}));
        let (signature, answering) = (Signature::Right, Answering::Well);
        let manner = Manner { claims, signature, answering, key: 1, keys: 1, names_itself: false, published, user_info };
        let (trapped, asked) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let issuer = Arc::new(Self { url, now, manner: Mutex::new(manner), trapped, asked });
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(publish))
            .route("/jwks", get(keys))
            .route("/token", post(token))
            .route("/userinfo", get(user_info_of))
            .route("/trap", get(trap).post(trap))
            .with_state(Arc::clone(&issuer));
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(forelog::http::serve(listener, routes, tls.map(Tls::served), Arc::default(), stopped));
        Running { issuer, _stop: stop.drop_guard() }
    }

    /// What it does, to be changed.
    pub fn manner(&self) -> MutexGuard<'_, Manner> {
        self.manner.lock().expect("the manner")
    }

    /// Whom it vouches for from now on.
    pub fn vouches_for(&self, subject: &str, email: &str, more: &Value) {
        let mut claims = json!({ "sub": subject, "email": email, "email_verified": true });
        for (name, value) in more.as_object().expect("an object") {
            claims[name] = value.clone();
        }
        self.manner().claims = claims;
    }

    /// The configuration of a console that trusts it; `more` are further keys.
    pub fn configured(&self, name: &str, side: &str, more: &str) -> String {
        let url = &self.url;
        format!(
            "[sign_in.oidc.{name}]\ntitle = \"Example\"\nissuer = \"{url}\"\nclient_id = \"{CLIENT}\"\n\
             client_secret = \"{SECRET}\"\nside = \"{side}\"\n{more}\n"
        )
    }

    fn token(&self, nonce: &str) -> String {
        let manner = self.manner();
        let at = self.now.0 / 1_000_000;
        let mut claims = json!({
            "iss": self.url, "sub": "somebody", "aud": CLIENT, "iat": at, "exp": at + 300, "nonce": nonce,
            "email": "nobody@example.net", "email_verified": true,
        });
        over(&mut claims, &manner.claims);
        let name = key_name(manner.key);
        let alg = match manner.signature {
            Signature::None => "none",
            Signature::Secret => "HS256",
            _ => "EdDSA",
        };
        let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", text(&json!({ "alg": alg, "kid": name })), text(&claims));
        let by = |seed: u8| key(seed).sign(&CoreJwsSigningAlgorithm::EdDsa, signed.as_bytes()).expect("a signature");
        let signature = match manner.signature {
            Signature::Right | Signature::Changed => by(manner.key),
            Signature::OtherKey => by(manner.key + 100),
            Signature::None => Vec::new(),
            Signature::Secret => {
                let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key");
                mac.update(signed.as_bytes());
                mac.finalize().into_bytes().to_vec()
            }
        };
        if manner.signature == Signature::Changed {
            over(&mut claims, &json!({ "sub": "thief" }));
            let head = signed.split('.').next().expect("a head");
            return format!("{head}.{}.{}", text(&claims), URL_SAFE_NO_PAD.encode(signature));
        }
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn key_name(seed: u8) -> String {
    format!("key-{seed}")
}

/// An Ed25519 key: the head of its PKCS #8 form, and the seed.
fn key(seed: u8) -> CoreEdDsaPrivateSigningKey {
    let head = hex::decode("302e020100300506032b657004220420").expect("hex");
    let pem =
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode([head, vec![seed; 32]].concat()));
    CoreEdDsaPrivateSigningKey::from_ed25519_pem(&pem, Some(JsonWebKeyId::new(key_name(seed)))).expect("a key")
}

fn over(onto: &mut Value, from: &Value) {
    let onto = onto.as_object_mut().expect("an object");
    for (name, value) in from.as_object().expect("an object") {
        if value.is_null() {
            onto.remove(name);
        } else {
            onto.insert(name.clone(), value.clone());
        }
    }
}

async fn publish(State(issuer): State<Arc<Issuer>>) -> Json<Value> {
    issuer.asked.fetch_add(1, Ordering::SeqCst);
    let url = &issuer.url;
    let manner = issuer.manner();
    let mut document = json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "userinfo_endpoint": format!("{url}/userinfo"),
        "jwks_uri": format!("{url}/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA", "HS256", "none"],
        "authorization_response_iss_parameter_supported": manner.names_itself,
    });
    over(&mut document, &manner.published);
    Json(document)
}

async fn keys(State(issuer): State<Arc<Issuer>>) -> Json<Value> {
    let manner = issuer.manner();
    let all = (0..manner.keys).map(|n| key(manner.key.wrapping_add(n)).as_verification_key());
    Json(json!({ "keys": all.map(|key| serde_json::to_value(key).expect("a key")).collect::<Vec<_>>() }))
}

/// The code is the nonce and the challenge, which the browser was sent with.
async fn token(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, Form(asked): Form<Vec<(String, String)>>) -> Response {
    let field = |name: &str| asked.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str()).unwrap_or_default();
    let ours = format!("{CLIENT}:{}", SECRET.replace(' ', "+"));
    let is_us = headers
        .get("authorization")
        .is_some_and(|given| given.as_bytes() == format!("Basic {}", STANDARD.encode(ours)).as_bytes());
    let (nonce, challenge) = field("code").split_once('|').expect("a code of ours");
    let proven = URL_SAFE_NO_PAD.encode(Sha256::digest(field("code_verifier"))) == challenge;
    if !is_us || !proven || !field("redirect_uri").ends_with("/callback") {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))).into_response();
    }
    let answering = issuer.manner().answering;
    match answering {
        Answering::Well => {}
        Answering::Elsewhere => return Redirect::temporary("/trap").into_response(),
        Answering::Endlessly => return Json(json!({ "access_token": "x".repeat(1024 * 1024) })).into_response(),
        Answering::Never => tokio::time::sleep(Duration::from_mins(10)).await,
    }
    let token = issuer.token(nonce);
    Json(json!({ "access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": token })).into_response()
}

async fn user_info_of(State(issuer): State<Arc<Issuer>>) -> Json<Value> {
    let manner = issuer.manner();
    let mut told = json!({ "sub": manner.claims["sub"] });
    over(&mut told, &manner.user_info);
    Json(told)
}

async fn trap(State(issuer): State<Arc<Issuer>>) -> StatusCode {
    issuer.trapped.fetch_add(1, Ordering::SeqCst);
    StatusCode::OK
}

/// What a browser was sent to an issuer with.
#[derive(Clone, Debug)]
pub struct Sent {
    pub to: url::Url,
}

impl Sent {
    /// A parameter of the address.
    pub fn value(&self, name: &str) -> String {
        let found = self.to.query_pairs().find(|(given, _)| given == name);
        found.unwrap_or_else(|| panic!("no {name} in {}", self.to)).1.into_owned()
    }

    /// The query that the issuer sends the browser back with.
    pub fn back(&self) -> Vec<(&'static str, String)> {
        vec![("state", self.value("state")), ("code", format!("{}|{}", self.value("nonce"), self.value("code_challenge")))]
    }
}

impl Browser {
    /// Presses the button of the issuer called `name`.
    pub async fn leaves(&self, name: &str, next: &str) -> Sent {
        let query = reqwest::Url::parse_with_params("http://x/", [("next", next)]).expect("an address");
        let answer = self.get(&format!("/console/sign-in/oidc/{name}?{}", query.query().expect("a query"))).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
        Sent { to: answer.header("location").parse().expect("an address") }
    }

    /// Comes back from it.
    pub async fn returns(&self, name: &str, query: &[(&str, String)]) -> Answer {
        let url = reqwest::Url::parse_with_params(&format!("{}/console/sign-in/oidc/{name}/callback", self.base), query);
        send(self.client.get(url.expect("an address"))).await
    }

    /// Both.
    pub async fn signs_in_by(&self, name: &str) -> Answer {
        let sent = self.leaves(name, "").await;
        self.returns(name, &sent.back()).await
    }
}

impl ConsoleServer {
    /// Why sign-ins were refused, in the order in which they were.
    pub async fn refusals(&self) -> Vec<String> {
        self.notes("sign_in_refused").await.iter().map(|note| note["why"].as_str().expect("a reason").to_owned()).collect()
    }

    /// Changes the vault behind everybody's back.
    pub async fn change(&self, sql: &str) {
        let mut vault = self.app.node().control.ports.reader.vault.database().begin().await.expect("a transaction");
        vault.execute(sql, Vec::new()).await.expect("an update");
        vault.commit().await.expect("a commit");
    }

    /// What was said of the events of a kind.
    pub async fn notes(&self, kind: &str) -> Vec<Value> {
        let reader = &self.app.node().control.ports.reader;
        let mut notes = Vec::new();
        for event in self.events(kind).await {
            notes.push(
                reader
                    .part(&event, "note", &forelog::core::visibility::Visibility::Everything)
                    .await
                    .expect("the log")
                    .expect("a note"),
            );
        }
        notes
    }
}
