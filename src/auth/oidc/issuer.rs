//! One issuer as we meet it: what it publishes, where it sends people, and what it says of them.
//!
//! INVARIANT: what it says is believed only in a token that it signed for us, now, and for this attempt; and that it does not
//! answer keeps nobody from anything but signing in with it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use openidconnect::core::{CoreAuthenticationFlow, CoreClientAuthMethod};
use openidconnect::{
    AccessToken, AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, ConfigurationError, CsrfToken,
    IdTokenVerifier, IssuerUrl, JsonWebKeySet, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    Scope, SignatureVerificationError, SubjectIdentifier, UserInfoVerifier,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use url::Url;

use super::asking::{self, Reduced};
use super::attempt::{Attempt, HOLDS};
pub use super::fault::IssuerError;
use super::fault::{Check, NOT_NOW, Place, error_chain, of_discovery, of_exchange};
use super::provider_types::{self, Client, IdToken, Published, SIGNATURES, SignedUserInfo, is_true};
use super::settings::Settings;
use super::token::{OverWhole, Signed, Unbelieved};
use crate::core::email::{self, EmailAddress};
use crate::core::scrub::ScrubbedText;
use crate::core::time::{Clock, Micros};
use crate::outbound::{Outbound, PlainHttp};

/// How long what it publishes is taken for current.
const CURRENT: Duration = Duration::from_hours(1);

/// How long it is left alone after it did not answer.
const LEFT_ALONE: Duration = Duration::from_secs(5);

/// How long it counts as away after it could not be reached.
const AWAY: Duration = Duration::from_mins(10);

/// Most keys of one issuer: each is tried with a token that names none.
const KEYS: usize = 64;

/// Longest name of a subject, in bytes (OpenID Connect Core, 2).
const SUBJECT: usize = 255;

/// How far its clock may be from ours.
const SKEW: Duration = Duration::from_mins(1);

/// What an issuer says of a person, after everything was verified.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// What it calls them, for ever.
    pub subject: String,
    /// Their e-mail address; none, if what it says is none.
    pub email: Option<EmailAddress>,
    /// The same as it says it.
    pub email_as_said: Option<String>,
    /// Whether it has made sure that it is theirs.
    pub is_verified: bool,
    /// What the claim for roles says.
    pub groups: Vec<String>,
}

/// An issuer that people may sign in with.
pub struct Issuer {
    /// What addresses and events call it.
    pub name: String,
    /// What the operator wrote of it.
    pub settings: Settings,
    secret: Option<SecretString>,
    redirect: RedirectUrl,
    outbound: Outbound,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
    /// Held by who asks it: one at a time.
    asking: tokio::sync::Mutex<()>,
}

/// What it published when it was last asked.
#[derive(Default)]
struct Known {
    published: Option<(Duration, Arc<Published>)>,
    failed: Option<(Duration, IssuerError)>,
    /// When it could not be reached; nothing, once it has answered for a token.
    away: Option<Duration>,
}

impl Issuer {
    /// An issuer that sends people back to `redirect`. Nothing is asked of it yet.
    #[must_use]
    pub fn new(
        name: &str,
        (settings, secret): (Settings, Option<SecretString>),
        redirect: RedirectUrl,
        outbound: &Outbound,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let plain_http = if settings.is_clear() { PlainHttp::Loopback } else { PlainHttp::Never };
        let outbound = outbound.with_plain_http(plain_http);
        Self {
            name: name.to_owned(),
            settings,
            secret,
            redirect,
            outbound,
            clock,
            known: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// Whether it could not be reached a short while ago, and nobody has been vouched for since.
    #[must_use]
    pub fn is_away(&self) -> bool {
        let now = self.clock.elapsed();
        self.known().away.is_some_and(|at| now.saturating_sub(at) < AWAY)
    }

    /// Remembers whether it could be reached.
    fn noted<T>(&self, answer: Result<T, IssuerError>) -> Result<T, IssuerError> {
        if let Err(IssuerError::Unreached(_)) = &answer {
            self.known().away = Some(self.clock.elapsed());
        }
        answer
    }

    /// Where to send a browser for this attempt.
    pub async fn authorization_url(&self, attempt: &Attempt) -> Result<Url, IssuerError> {
        self.noted(self.way(attempt).await)
    }

    /// What it says of whoever came back with a code. `iss` is who sent them back, if that was said.
    pub async fn redeem(&self, code: &str, iss: Option<&str>, attempt: &Attempt, now: Micros) -> Result<Claims, IssuerError> {
        let answer = self.noted(self.exchange(code, iss, attempt, now).await);
        if matches!(answer, Ok(_) | Err(IssuerError::NoToken(_) | IssuerError::Untrue { .. })) {
            self.known().away = None;
        }
        answer
    }

    async fn way(&self, attempt: &Attempt) -> Result<Url, IssuerError> {
        let published = self.published(false).await?;
        let client = self.client(&published);
        let (state, nonce) = (attempt.state.clone(), attempt.nonce.clone());
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(attempt.verifier.clone()));
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let asked = client.authorize_url(flow, move || CsrfToken::new(state), move || Nonce::new(nonce));
        let scopes = ["email".to_owned()].into_iter().chain(self.settings.scopes.iter().cloned()).map(Scope::new);
        Ok(asked.set_pkce_challenge(challenge).add_scopes(scopes).url().0)
    }

    async fn exchange(&self, code: &str, iss: Option<&str>, attempt: &Attempt, now: Micros) -> Result<Claims, IssuerError> {
        let published = self.published(false).await?;
        let named = published.additional_metadata().authorization_response_iss_parameter_supported;
        if iss.map_or(named, |iss| iss != published.issuer().as_str()) {
            return Err(Check::Sender.failed("somebody else sent the browser back, or nobody says who did"));
        }
        let client = self.client(&published);
        let unpublished = |error: ConfigurationError| Place::Metadata.misanswered(error_chain(&error));
        let asked = client.exchange_code(AuthorizationCode::new(code.to_owned())).map_err(unpublished)?;
        let proof = PkceCodeVerifier::new(attempt.verifier.clone());
        let way = Reduced { outbound: &self.outbound, to: provider_types::given };
        let answer = asked.set_pkce_verifier(proof).request_async(&way).await.map_err(|error| of_exchange(&error))?;
        let token = answer.extra_fields().extra_fields().signed.as_deref();
        let token = token.ok_or_else(|| IssuerError::NoToken("there is no ID token".into()))?;
        let signed = Signed::read(token).map_err(Unbelieved::from)?;
        let verified = self.verified(&signed, &published, attempt, now).await?;
        let party = verified.get("azp").filter(|party| !party.is_null());
        if party.is_some_and(|party| *party != self.settings.client_id) {
            return Err(Check::Audience.failed("the token was given to another client (azp)"));
        }
        self.claims(&published, verified, answer.access_token()).await
    }

    /// What is in a token, if it is to be believed. If it was signed with a key that nobody has heard of, the keys are read
    /// again, once.
    async fn verified<'t>(
        &self,
        signed: &'t Signed,
        published: &Published,
        attempt: &Attempt,
        now: Micros,
    ) -> Result<&'t Map<String, Value>, IssuerError> {
        let unheard = ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey);
        let check = |published: &Published| {
            let nonce = Nonce::new(attempt.nonce.clone());
            let (keys, issuer) = (published.jwks(), published.issuer().clone());
            signed.verify(keys, |token: IdToken, keys| token.claims(&self.verifier(issuer, keys, now), &nonce).map(|_| ()))
        };
        match check(published) {
            Err(Unbelieved::Wrong(error)) if error == unheard => Ok(check(&*self.published(true).await?)?),
            other => Ok(other?),
        }
    }

    fn verifier(&self, issuer: IssuerUrl, keys: JsonWebKeySet<OverWhole>, now: Micros) -> IdTokenVerifier<'static, OverWhole> {
        let us = ClientId::new(self.settings.client_id.clone());
        let lately = move |at: DateTime<Utc>| {
            let at = Micros(at.timestamp_micros());
            let is_now = at <= now.plus(SKEW) && now <= at.plus(HOLDS).plus(SKEW);
            if is_now { Ok(()) } else { Err(NOT_NOW.to_owned()) }
        };
        IdTokenVerifier::new_public_client(us, issuer, keys)
            .set_allowed_algs(SIGNATURES)
            .set_time_fn(move || DateTime::from_timestamp_micros(now.0).unwrap_or(DateTime::<Utc>::MAX_UTC))
            .set_issue_time_verifier_fn(lately)
    }

    /// Some issuers say in the token who it is and all else on being asked. Only what is needed is looked at.
    async fn claims(
        &self,
        published: &Published,
        verified: &Map<String, Value>,
        access: &AccessToken,
    ) -> Result<Claims, IssuerError> {
        let subject = verified.get("sub").and_then(Value::as_str).unwrap_or_default();
        if !(1..=SUBJECT).contains(&subject.len()) || subject.chars().any(char::is_control) {
            return Err(Check::Subject.failed(format!("a subject has 1 … {SUBJECT} bytes and no control characters")));
        }
        let named = self.groups(verified);
        let is_enough = said(verified).is_some() && (named.is_some() || self.settings.roles.is_empty());
        let more = match published.userinfo_endpoint() {
            Some(url) if !is_enough => self.user_info(published, url.url(), access, subject).await?,
            _ => Map::new(),
        };
        // Address and proof are of the same document, never one of each.
        let of = if said(verified).is_some() { verified } else { &more };
        let email_as_said = said(of).map(|text| ScrubbedText::of(text).cut(email::MAX_LENGTH).into());
        let is_verified = of.get("email_verified").is_some_and(is_true);
        let groups = named.or_else(|| self.groups(&more)).unwrap_or_default();
        let email = said(of).and_then(|text| text.parse().ok());
        Ok(Claims { subject: subject.to_owned(), email, email_as_said, is_verified, groups })
    }

    /// What it says of a person on being asked.
    async fn user_info(
        &self,
        published: &Published,
        url: &Url,
        access: &AccessToken,
        subject: &str,
    ) -> Result<Map<String, Value>, IssuerError> {
        let place = Place::UserInfo;
        let asked = http::Request::get(url.as_str())
            .header(http::header::ACCEPT, "application/json")
            .header(http::header::AUTHORIZATION, format!("Bearer {}", access.secret()))
            .body(Vec::new());
        let asked = asked.map_err(|error| place.misanswered(error_chain(&error)))?;
        let answer = asking::send(&self.outbound, asked).await.map_err(|error| place.unanswered(&error))?;
        if answer.status() != http::StatusCode::OK {
            return Err(place.misanswered(format!("HTTP status {}", answer.status())));
        }
        let typed = answer.headers().get(http::header::CONTENT_TYPE).map_or(&b""[..], http::HeaderValue::as_bytes);
        let essence = typed.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        if essence.eq_ignore_ascii_case(b"application/jwt") {
            let text = std::str::from_utf8(answer.body()).map_err(|_| place.misanswered("it is not a token"))?;
            let signed = Signed::read(text).map_err(Unbelieved::from)?;
            let (us, issuer) = (ClientId::new(self.settings.client_id.clone()), published.issuer().clone());
            let whom = Some(SubjectIdentifier::new(subject.to_owned()));
            let told = signed.verify(published.jwks(), |info: SignedUserInfo, keys| {
                info.claims(&UserInfoVerifier::new(us, issuer, keys, whom)).map(|_| ())
            });
            return Ok(told?.clone());
        }
        let told: Map<String, Value> =
            serde_json::from_slice(answer.body()).map_err(|_| place.misanswered("it is not a JSON object"))?;
        if told.get("sub").and_then(Value::as_str) == Some(subject) {
            return Ok(told);
        }
        Err(Check::Subject.failed("what it says on being asked is not about the subject of its token"))
    }

    fn groups(&self, claims: &Map<String, Value>) -> Option<Vec<String>> {
        match claims.get(&self.settings.groups_claim)? {
            Value::String(one) => Some(vec![one.clone()]),
            Value::Array(all) => Some(all.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect()),
            _ => None,
        }
    }

    fn client(&self, published: &Published) -> Client {
        let secret = self.secret.as_ref().map(|secret| ClientSecret::new(secret.expose_secret().to_owned()));
        let client = Client::from_provider_metadata(published.clone(), ClientId::new(self.settings.client_id.clone()), secret);
        let methods = published.token_endpoint_auth_methods_supported();
        let by_header = methods.is_none_or(|methods| methods.contains(&CoreClientAuthMethod::ClientSecretBasic));
        let way = if by_header { AuthType::BasicAuth } else { AuthType::RequestBody };
        client.set_redirect_uri(self.redirect.clone()).set_auth_type(way)
    }

    /// What it publishes, asked at first use and then now and again, by one at a time. Whoever comes meanwhile is served with
    /// what it published before, and else waits for the same answer, also for the same fault.
    async fn published(&self, again: bool) -> Result<Arc<Published>, IssuerError> {
        let came = self.clock.elapsed();
        if let Some(answer) = self.kept(again, came) {
            return answer;
        }
        let _turn = match self.asking.try_lock() {
            Ok(turn) => turn,
            Err(_) => match self.old(again) {
                Some(old) => return Ok(old),
                None => self.asking.lock().await,
            },
        };
        if let Some(answer) = self.kept(again, came) {
            return answer;
        }
        let discovered = self.discover().await;
        // The time that it took is not time in which it was left alone.
        let at = self.clock.elapsed();
        match discovered {
            Ok(published) => {
                let published = Arc::new(published);
                let mut known = self.known();
                (known.published, known.failed) = (Some((at, Arc::clone(&published))), None);
                drop(known);
                Ok(published)
            }
            Err(error) => {
                tracing::warn!(issuer = self.name, %error, "an issuer cannot be asked");
                self.known().failed = Some((at, error.clone()));
                self.old(again).ok_or(error)
            }
        }
    }

    /// What it said lately; for who needs it `again`, what it said since they came.
    fn kept(&self, again: bool, came: Duration) -> Option<Result<Arc<Published>, IssuerError>> {
        let (known, now) = (self.known(), self.clock.elapsed());
        let lately = |at: Duration, lasts: Duration| now.saturating_sub(at) < lasts;
        let current = known.published.as_ref().filter(|(at, _)| if again { *at > came } else { lately(*at, CURRENT) });
        if let Some((_, published)) = current {
            return Some(Ok(Arc::clone(published)));
        }
        let (_, error) = known.failed.as_ref().filter(|(at, _)| lately(*at, LEFT_ALONE))?;
        let old = known.published.as_ref().filter(|_| !again).map(|(_, published)| Arc::clone(published));
        Some(old.ok_or_else(|| error.clone()))
    }

    /// What it published when it could be asked last, unless that is not enough.
    fn old(&self, again: bool) -> Option<Arc<Published>> {
        self.known().published.as_ref().filter(|_| !again).map(|(_, published)| Arc::clone(published))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn discover(&self) -> Result<Published, IssuerError> {
        let place = Place::Metadata;
        let issuer = IssuerUrl::new(self.settings.issuer.clone()).map_err(|error| place.misanswered(error_chain(&error)))?;
        let way = Reduced { outbound: &self.outbound, to: provider_types::published };
        let published = Published::discover_async(issuer, &way).await.map_err(|error| of_discovery(&error))?;
        if published.jwks().keys().len() > KEYS {
            return Err(place.misanswered(format!("it publishes more than {KEYS} keys")));
        }
        if !self.outbound.allows(published.authorization_endpoint().url()) {
            return Err(place.misanswered("it sends people where nobody should go"));
        }
        Ok(published)
    }
}

/// The e-mail address of a person, as it is said.
fn said(claims: &Map<String, Value>) -> Option<&str> {
    claims.get("email").and_then(Value::as_str).filter(|text| !text.trim().is_empty())
}
