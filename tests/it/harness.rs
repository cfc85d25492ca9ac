//! The product in process behind a real socket: a test node with the HTTP side before it, keys made to order, and clients
//! for REST and MCP.
//!
//! Invariant: every key is made by an event of the log, as the product makes them; nothing is let in by the harness.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use forelog::auth::Authenticator;
use forelog::auth::key::ApiKey;
use forelog::core::event::{CredentialCreated, Event, EventKind};
use forelog::core::id::{AccountId, CredentialId, UserId};
use forelog::core::principal::Side;
use forelog::core::role::Role;
use forelog::core::scope::Scope;
use forelog::http::{Connections, Http, Rate, Settings, router, serve};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::test_node::{Site, TestNode};

/// What a client of MCP sends.
pub const ACCEPT: &str = "application/json, text/event-stream";

/// A running product.
pub struct TestApp {
    pub test_node: TestNode,
    pub address: SocketAddr,
    pub connections: Arc<Connections>,
    pub http: Arc<Http>,
    client: reqwest::Client,
    pub site: Arc<Site>,
    _stop: DropGuard,
}

/// A key and what it belongs to.
pub struct Key {
    pub text: String,
    pub id: CredentialId,
    pub account: AccountId,
}

/// An answer that was read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of our own error body.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_else(|| panic!("no code: {self:?}")).to_owned()
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().expect("text")).unwrap_or_default()
    }

    /// The JSON-RPC messages, of a body or of a stream.
    pub fn messages(&self) -> Vec<Value> {
        if !self.header("content-type").starts_with("text/event-stream") {
            return vec![self.json()];
        }
        let data = self.text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
        data.filter(|data| !data.is_empty()).map(|data| serde_json::from_str(data).expect("a message")).collect()
    }

    /// The message that answers.
    pub fn rpc(&self) -> Value {
        self.messages().pop().unwrap_or_else(|| panic!("no message: {self:?}"))
    }
}

/// Settings under which no test is throttled.
pub fn generous() -> Settings {
    let plenty = NonZeroU32::new(1_000_000).expect("not zero");
    Settings { rate: Rate { per_second: plenty, burst: plenty }, ..Settings::default() }
}

impl TestApp {
    /// A product with settings that get in nobody's way.
    pub async fn start() -> Self {
        Self::with(generous()).await
    }

    /// A product with these settings.
    pub async fn with(settings: Settings) -> Self {
        Self::at(Arc::new(Site::sqlite()), settings).await
    }

    /// Another node on the same data.
    pub async fn beside(&self, settings: Settings) -> Self {
        Self::at(Arc::clone(&self.site), settings).await
    }

    /// A product on this site.
    pub async fn at(site: Arc<Site>, settings: Settings) -> Self {
        let test_node = TestNode::start(&site).await;
        let authenticator = Authenticator::new(test_node.writer.clone());
        let http = Http::new(Arc::clone(&test_node.control), authenticator, settings, forelog::auth::oidc::Issuers::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let connections = Arc::clone(&http.connections);
        tokio::spawn(serve(listener, router(Arc::clone(&http)), None, Arc::clone(&connections), stop.clone().cancelled_owned()));
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { test_node, address, connections, http, client, site, _stop: stop.drop_guard() }
    }

    /// A key of the test node's own account that may do everything, after `edit`.
    pub async fn key(&self, edit: impl FnOnce(&mut CredentialCreated)) -> Key {
        self.make_key(&self.test_node.account, &self.test_node.user, Side::Customer, None, edit).await
    }

    /// A key of the test node's own account that may be used from these networks only.
    pub async fn key_from(&self, networks: &[&str]) -> Key {
        self.make_key(&self.test_node.account, &self.test_node.user, Side::Customer, Some(networks), |_| {}).await
    }

    /// A key of another account of that side.
    pub async fn stranger(&self, side: Side) -> Key {
        let ports = &self.test_node.control.ports;
        let account = AccountId::new(ports.clock.now(), &*ports.entropy);
        let user = UserId::new(ports.clock.now(), &*ports.entropy);
        self.test_node.change(EventKind::AccountCreated { account: account.clone(), side }, Value::Null).await;
        self.make_key(&account, &user, side, None, |_| {}).await
    }

    /// What the console acts with for a person of the test node's account.
    pub async fn console(&self, user: &UserId, role: Role) -> CredentialId {
        let acts = |key: &mut CredentialCreated| (key.role, key.scopes) = (Some(role), role.scopes());
        self.make_key(&self.test_node.account, user, role.side(), None, acts).await.id
    }

    /// A new person's id.
    pub fn somebody(&self) -> UserId {
        let ports = &self.test_node.control.ports;
        UserId::new(ports.clock.now(), &*ports.entropy)
    }

    /// A key that a new person of the test node's account has made in the console to answer with.
    pub async fn answering(&self) -> Key {
        let user = self.somebody();
        let by = self.console(&user, Role::Owner).await;
        self.key(|key| (key.user, key.made_by, key.scopes) = (user, Some(by), [Scope::ApprovalsDecide].into())).await
    }

    async fn make_key(
        &self,
        account: &AccountId,
        user: &UserId,
        side: Side,
        networks: Option<&[&str]>,
        edit: impl FnOnce(&mut CredentialCreated),
    ) -> Key {
        let ports = &self.test_node.control.ports;
        let key = ApiKey::generate(&*ports.entropy);
        let id = CredentialId::new(ports.clock.now(), &*ports.entropy);
        let mut created = CredentialCreated {
            credential: id.clone(),
            account: account.clone(),
            user: user.clone(),
            side,
            hash: key.hash().into(),
            prefix: key.prefix().into(),
            scopes: if side == Side::Staff { Scope::staff() } else { Scope::customer() },
            ..crate::fixtures::key_made(1)
        };
        edit(&mut created);
        self.test_node.change(EventKind::CredentialCreated(created), json!({ "label": "test", "ips": networks })).await;
        Key { text: key.reveal().to_owned(), id, account: account.clone() }
    }

    /// Revokes a key.
    pub async fn revoke(&self, key: &Key) {
        self.test_node.change(EventKind::CredentialRevoked { credential: key.id.clone(), by: None }, Value::Null).await;
    }

    /// A request without a key.
    pub fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    /// A request with a key.
    pub fn ask(&self, key: &Key, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(&key.text)
    }

    /// Calls a tool over REST.
    pub async fn call(&self, key: &Key, tool: &str, args: Value) -> Answer {
        send(self.ask(key, Method::POST, &format!("/api/v1/tools/{tool}")).json(&args)).await
    }

    /// A message to `/mcp`, as a client of any version sends it.
    pub fn rpc(&self, key: &Key, message: &Value) -> RequestBuilder {
        self.ask(key, Method::POST, "/mcp").header("accept", ACCEPT).json(message)
    }

    /// The events of one kind, by name.
    pub async fn events(&self, name: &str) -> Vec<Event> {
        self.test_node.log().await.into_iter().filter(|event| event.kind.name() == name).collect()
    }
}

/// Sends a request and reads the answer to its end. Whatever a tool answers has to be what it declares, in every test.
pub async fn send(request: RequestBuilder) -> Answer {
    let (client, request) = request.build_split();
    let request = request.expect("a request");
    let asked = crate::declared::Asked::of(&request);
    let response = client.execute(request).await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    let answer = Answer { status, headers, text: response.text().await.expect("a body") };
    asked.check(&answer);
    answer
}

/// Asks again until it holds; fails if that takes longer.
pub async fn until(within: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(within, asking).await.is_ok(), "waited in vain until {what}");
}
