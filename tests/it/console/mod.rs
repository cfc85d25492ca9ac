//! The web console over HTTP: a real server in process, people who sign in, and browsers that keep cookies.
//!
//! Invariant: a browser here sends what a browser sends, `Origin` with every form included, and runs no script.

/// A case for both databases, whose house is on SQLite first.
macro_rules! on_both {
    ($($case:ident, $sqlite:ident, $postgres:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $sqlite() {
            $case(ConsoleServer::open().await).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn $postgres() {
            $case(ConsoleServer::on_postgres().await).await;
        }
    )*};
}

pub(crate) use on_both;

mod acts;
mod addresses;
mod again;
mod approvals;
mod claims;
mod forged;
mod forms;
mod guessing;
mod incident;
mod inviters;
mod issuer;
mod issuer_roles;
mod live;
mod loosened;
mod named;
mod namesakes;
mod oidc;
mod paged;
mod pages;
mod people;
pub mod provider;
mod reasons;
mod rows;
mod second;
mod sign_in;
mod staff;
mod stopping;
mod taken;
mod tenants;
mod told;
mod twins;
mod unread_vault;
mod waiting;

use std::sync::Arc;

use forelog::ambient::OsEntropy;
use forelog::app::App;
use forelog::app::local_admin::LocalAdmin;
use forelog::app::registry::{IssuedPassword, KeySpec};
use forelog::auth::key::ApiKey;
use forelog::auth::password;
use forelog::config::Config;
use forelog::core::event::{CredentialCreated, Event, EventKind};
use forelog::core::id::{AccountId, CredentialId, Position, UserId, VmId};
use forelog::core::principal::Side;
use forelog::core::scope::Scope;
use forelog::core::time::{Clock, Entropy, Micros};
use forelog::log::draft::NewEvent;
use forelog::log::store::Want;
use forelog::log::users::UserRecord;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Answer, send};
use crate::test_node::TestClock;

/// When these tests happen.
const BEGINNING: Micros = Micros(1_800_000_000_000_000);

/// A customer with a VM, an owner and a key.
pub struct Customer {
    pub account: AccountId,
    pub owner: IssuedPassword,
    pub vm: VmId,
    pub key: String,
}

/// A server with two customers and a person of the staff.
pub struct ConsoleServer {
    pub app: App,
    pub base: String,
    pub clock: Arc<TestClock>,
    pub one: Customer,
    pub other: Customer,
    pub staff: IssuedPassword,
    pub dir: TempDir,
    more: String,
}

/// A server's configuration on `dir`, with `more` in it.
pub fn config(dir: &TempDir, more: &str) -> Config {
    let machines = "[providers.sim]\nmachines = [\"web-1\", \"db-1\", \"db-2\"]\n";
    let throttle = "[throttle]\nper_second = 100000\nburst = 100000\n";
    let data = dir.path().display();
    let text = format!("data_dir = \"{data}\"\nlisten = \"127.0.0.1:0\"\n{more}\n{throttle}{machines}");
    Config::parse(&text).expect("a configuration")
}

impl ConsoleServer {
    /// A server on the loopback address.
    pub async fn open() -> Self {
        Self::with("").await
    }

    /// The same on a fresh PostgreSQL database, which has its vault too.
    pub async fn on_postgres() -> Self {
        Self::with(&format!("database_url = \"{}\"", crate::postgres::fresh_database().await)).await
    }

    /// The same with more configuration.
    pub async fn with(more: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (config, clock) = (config(&dir, more), TestClock::at(BEGINNING));
        if let Some(url) = more.split('"').nth(1).filter(|text| text.starts_with("postgres")) {
            crate::postgres::simulate(url).await;
        }
        let ports = || (Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(OsEntropy) as Arc<dyn Entropy>);
        let local_admin = LocalAdmin::make(&config, ports().0, ports().1).await.expect("a desk");
        let staff = local_admin.create_account("Hosting", "staff@example.com", Side::Staff).await.expect("the staff");
        let one = customer(&local_admin, "one", "web-1").await;
        let other = customer(&local_admin, "other", "db-1").await;
        local_admin.close().await;
        let app = App::start(&config, ports().0, ports().1).await.expect("a server");
        let base = format!("http://{}", app.address());
        Self { app, base, clock, one, other, staff, dir, more: more.to_owned() }
    }

    /// The PostgreSQL database, if it is on one.
    pub fn database(&self) -> Option<&str> {
        self.more.split('"').nth(1).filter(|text| text.starts_with("postgres"))
    }

    /// Another node on the same data.
    pub async fn beside(&self) -> App {
        self.beside_with(&self.more).await
    }

    /// Another node on the same data, with a configuration of its own.
    pub async fn beside_with(&self, more: &str) -> App {
        let (clock, entropy) = (Arc::clone(&self.clock) as Arc<dyn Clock>, Arc::new(OsEntropy) as Arc<dyn Entropy>);
        App::start(&config(&self.dir, more), clock, entropy).await.expect("another node")
    }

    /// Gives an account another VM, by the command line beside the server.
    pub async fn import(&self, account: &AccountId, machine: &str, label: &str) -> VmId {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let local_admin = LocalAdmin::make(&config(&self.dir, &self.more), clock, Arc::new(OsEntropy)).await.expect("a desk");
        let vm = local_admin.import_vm(account, "sim", machine, label).await.expect("a VM");
        local_admin.close().await;
        vm
    }

    /// A key of the staff, made by the command line beside the server.
    pub async fn key_of_staff(&self) -> String {
        self.key_of(KeySpec::full(self.staff.account.clone(), "staff")).await
    }

    /// A key of an account that administers its keys too, made in the same way.
    pub async fn key_over_keys(&self, account: &AccountId) -> String {
        let scopes = Scope::customer().into_iter().chain([Scope::KeysRead, Scope::KeysWrite]).collect();
        self.key_of(KeySpec { scopes, ..KeySpec::full(account.clone(), "administers") }).await
    }

    /// A key, made in the same way.
    pub async fn key_of(&self, spec: KeySpec) -> String {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let local_admin = LocalAdmin::make(&config(&self.dir, &self.more), clock, Arc::new(OsEntropy)).await.expect("a desk");
        let key = local_admin.create_key(spec).await.expect("a key");
        local_admin.close().await;
        key.key.reveal().to_owned()
    }

    /// Gives a person another password, by the command line beside the server.
    pub async fn reset(&self, account: &AccountId, email: &str) -> String {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let local_admin = LocalAdmin::open(&config(&self.dir, &self.more), clock, Arc::new(OsEntropy)).await.expect("a desk");
        let person = local_admin.reset_password(account, email).await.expect("a person");
        local_admin.close().await;
        person.password
    }

    /// Reads with a key, as a program does.
    pub async fn read(&self, key: &str, path: &str) -> Answer {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        send(client.get(format!("{}{path}", self.base)).bearer_auth(key)).await
    }

    /// A browser in which nobody is signed in.
    pub fn browser(&self) -> Browser {
        Browser::at(&self.base)
    }

    /// A browser in which somebody is signed in.
    pub async fn signed_in(&self, person: &IssuedPassword) -> Browser {
        let browser = self.browser();
        let answer = browser.sign_in(&person.email, &person.password).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
        browser
    }

    /// Adds a person with a role.
    pub async fn hire(&self, account: &AccountId, role: &str) -> IssuedPassword {
        let (email, password) = (format!("{role}@example.com"), "correct horse battery".to_owned());
        let user = UserId::new(self.clock.now(), &OsEntropy);
        let side = if matches!(role, "owner" | "member") { "customer" } else { "staff" };
        let hash = password::hash(&password, &OsEntropy).expect("a hash");
        let person = UserRecord {
            id: user.clone(),
            account: account.clone(),
            side: side.into(),
            role: role.into(),
            email: email.parse().expect("an e-mail address"),
            proved: true,
            password: hash,
        };
        let ports = &self.app.node().control.ports;
        ports.reader.vault.add_user(&person).await.expect("a person");
        let (side, role) = (if side == "staff" { Side::Staff } else { Side::Customer }, role.parse().ok());
        let (invitation, invited_by, address) = (None, None, None);
        let made =
            EventKind::UserCreated { user: user.clone(), account: account.clone(), side, role, invitation, invited_by, address };
        let event = NewEvent::plain(ports.event_id(), made);
        let written = ports.writer.write(Want::default(), move |draft| draft.append(Position(0), event.clone()));
        written.await.expect("a person of the log");
        IssuedPassword { account: account.clone(), user, email, password }
    }

    /// Calls a tool with a key, as an agent does.
    pub async fn call(&self, key: &str, tool: &str, args: Value) -> Answer {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        send(client.post(format!("{}/api/v1/tools/{tool}", self.base)).bearer_auth(key).json(&args)).await
    }

    /// The events of one kind, by name.
    pub async fn events(&self, name: &str) -> Vec<Event> {
        let all = self.app.node().control.ports.reader.events(Position(0), 100_000).await.expect("the log");
        all.into_iter().filter(|event| event.kind.name() == name).collect()
    }

    /// Whether no invitation has made anybody a user.
    pub async fn nobody_took_a_link(&self) -> bool {
        let made = self.events("user_created").await;
        made.iter().all(|event| !matches!(&event.kind, EventKind::UserCreated { invitation: Some(_), .. }))
    }
}

async fn customer(local_admin: &LocalAdmin, name: &str, machine: &str) -> Customer {
    let owner = local_admin.create_account(name, &format!("{name}@example.com"), Side::Customer).await.expect("an account");
    let vm = local_admin.import_vm(&owner.account, "sim", machine, &format!("{name}-{machine}")).await.expect("a VM");
    let key = local_admin.create_key(KeySpec::full(owner.account.clone(), &format!("{name}'s agent"))).await.expect("a key");
    Customer { account: owner.account.clone(), owner, vm, key: key.key.reveal().to_owned() }
}

/// A key of a person of the staff, with all that it can have.
pub async fn staff_key(console: &ConsoleServer) -> String {
    let (ports, staff) = (&console.app.node().control.ports, &console.staff);
    let key = ApiKey::generate(&OsEntropy);
    let created = CredentialCreated {
        credential: CredentialId::new(console.clock.now(), &OsEntropy),
        account: staff.account.clone(),
        user: staff.user.clone(),
        side: Side::Staff,
        hash: key.hash().into(),
        prefix: key.prefix().into(),
        scopes: Scope::staff(),
        ..crate::fixtures::key_made(1)
    };
    let event = NewEvent::plain(ports.event_id(), EventKind::CredentialCreated(created));
    let written = ports.writer.write(Want::default(), move |draft| draft.append(Position(0), event.clone()));
    written.await.expect("a key");
    key.reveal().to_owned()
}

/// What a person sits in front of.
pub struct Browser {
    pub client: reqwest::Client,
    pub base: String,
}

impl Browser {
    /// A new one.
    pub fn at(base: &str) -> Self {
        let redirect = reqwest::redirect::Policy::none();
        let client = reqwest::Client::builder().no_proxy().cookie_store(true).redirect(redirect).build();
        Self { client: client.expect("a client"), base: base.to_owned() }
    }

    /// Opens a page.
    pub async fn get(&self, path: &str) -> Answer {
        send(self.client.get(format!("{}{path}", self.base))).await
    }

    /// Opens a page that is there.
    pub async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
        answer.text
    }

    /// Sends a form just as it is.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = self.client.request(Method::POST, format!("{}{path}", self.base));
        send(request.header("origin", &self.base).form(fields)).await
    }

    /// Sends a form that a page of the session has.
    pub async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.form_token().await;
        let fields: Vec<_> = [("form_token", token.as_str())].into_iter().chain(fields.iter().copied()).collect();
        self.post(path, &fields).await
    }

    /// The token of the session's forms.
    pub async fn form_token(&self) -> String {
        between(&self.page("/console/account").await, "name=\"form_token\" value=\"", "\"").to_owned()
    }

    /// Signs in by the form.
    pub async fn sign_in(&self, email: &str, password: &str) -> Answer {
        self.post("/console/sign-in", &[("email", email), ("password", password)]).await
    }

    /// Whether somebody is signed in.
    pub async fn is_signed_in(&self) -> bool {
        self.get("/console/account").await.status == StatusCode::OK
    }
}

/// The text between two others, the first time.
pub fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let rest = text.split_once(from).unwrap_or_else(|| panic!("no {from:?} in {text}")).1;
    rest.split_once(to).unwrap_or_else(|| panic!("no {to:?} after {from:?}")).0
}

/// Where a page's link to what is older leads.
pub fn older(page: &str) -> String {
    let before = page.split_once("\" rel=\"next\">").unwrap_or_else(|| panic!("nothing older in {page}")).0;
    before.rsplit_once("href=\"").expect("an address").1.replace("&#38;", "&")
}

/// What a caller asks of a tool that takes nothing.
pub fn nothing() -> Value {
    json!({})
}
