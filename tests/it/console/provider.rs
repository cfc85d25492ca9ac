//! Signing in by a real OpenID provider, which is nobody's work here: `oidc-provider` under Node.js, by its own pages.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use forelog::core::time::Micros;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::{BEGINNING, Browser, ConsoleServer, between};
use crate::harness::{Answer, send};
use crate::tools;

const TIMEOUT: Duration = Duration::from_secs(30);

/// The provider, until it is dropped.
pub struct Provider {
    pub url: String,
    _process: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Provider {
    /// One that listens already and knows nobody yet.
    pub async fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/issuer.mjs");
        let mut command = Command::new(tools::find("FORELOG_NODE"));
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut process = command.spawn().expect("start the provider");
        let (input, output) = (process.stdin.take().expect("a pipe"), process.stdout.take().expect("a pipe"));
        let mut lines = BufReader::new(output).lines();
        let url = next(&mut lines).await;
        Self { url, _process: process, input, lines }
    }

    /// Says whom it knows: people by what it calls them, and clients.
    pub async fn knows(&mut self, now: Option<Micros>, people: &Value, clients: &Value, in_token: bool) {
        let now = now.map(|now| now.0 / 1000);
        let told = json!({ "now": now, "people": people, "clients": clients, "in_token": in_token });
        self.input.write_all(format!("{told}\n").as_bytes()).await.expect("tell the provider");
        assert_eq!(next(&mut self.lines).await, "ready");
    }

    /// The configuration of a console that trusts it.
    fn configured(&self, name: &str, side: &str, more: &str) -> String {
        let url = &self.url;
        format!(
            "[sign_in.oidc.{name}]\ntitle = \"Example\"\nissuer = \"{url}\"\nclient_id = \"{name}\"\n\
             client_secret = \"a secret of {name}\"\nside = \"{side}\"\nscopes = [\"groups\"]\ndomains = [\"example.com\"]\n{more}\n"
        )
    }
}

async fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    let line = tokio::time::timeout(TIMEOUT, lines.next_line()).await.expect("the provider in time");
    line.expect("a line").expect("the provider does not end")
}

/// What a client is to the provider.
pub fn client(name: &str, base: &str) -> Value {
    let back_to = format!("{base}/console/sign-in/oidc/{name}/callback");
    json!({ "client_id": name, "client_secret": format!("a secret of {name}"), "redirect_uris": [back_to] })
}

/// From the button over the provider's own form and back, as whom it is told.
async fn signs_in(browser: &Browser, name: &str, login: &str) -> Answer {
    let mut at = browser.leaves(name, "/console/activity").await.to;
    for _ in 0..10 {
        let answer = send(browser.client.get(at.clone())).await;
        at = if answer.status == StatusCode::OK {
            let form = between(&answer.text, "action=\"", "\"");
            let fields = [("prompt", "login"), ("login", login), ("password", "anything")];
            let sent = send(browser.client.post(form).form(&fields)).await;
            at.join(sent.header("location")).expect("an address")
        } else if answer.status == StatusCode::SEE_OTHER && !at.as_str().starts_with(&browser.base) {
            at.join(answer.header("location")).expect("an address")
        } else {
            return answer;
        };
    }
    panic!("it goes on and on, and is at {at}");
}

async fn between_a_house_and_a_provider(in_token: bool) -> (ConsoleServer, Provider) {
    let mut provider = Provider::start().await;
    let roles = "roles = { ops = \"admin\", noc = \"responder\" }\ncreate = true";
    let more = [provider.configured("corp", "staff", roles), provider.configured("portal", "customer", "")].concat();
    let console = ConsoleServer::with(&more).await;
    let people = json!({
        "ann-1": { "email": "ann@example.com", "email_verified": true, "groups": ["noc", "all"] },
        "one-1": { "email": "one@example.com", "email_verified": true },
        "two-1": { "email": "other@example.com", "email_verified": false },
    });
    let clients = json!([client("corp", &console.base), client("portal", &console.base)]);
    provider.knows(Some(BEGINNING), &people, &clients, in_token).await;
    (console, provider)
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_provider_signs_staff_in_with_the_role_of_their_group_and_customers_whom_it_is_believed_for() {
    for in_token in [true, false] {
        let (console, _provider) = between_a_house_and_a_provider(in_token).await;
        let staff = console.browser();
        let answer = signs_in(&staff, "corp", "ann-1").await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/console/activity"), "{answer:?}");
        assert!(staff.page("/console/").await.contains("ann@example.com · responder · staff"));
        let customer = console.browser();
        assert_eq!(signs_in(&customer, "portal", "one-1").await.status, StatusCode::SEE_OTHER);
        assert!(customer.page("/console/").await.contains("one@example.com"));
        for (name, login, why) in
            [("portal", "two-1", "unbelieved_email"), ("corp", "one-1", "no_role"), ("portal", "ann-1", "other_side")]
        {
            let answer = signs_in(&console.browser(), name, login).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{login} at {name}: {answer:?}");
            assert_eq!(console.refusals().await.pop().as_deref(), Some(why), "{login} at {name}");
        }
        assert!(staff.page("/console/account").await.contains("Knows you as"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_provider_that_lets_somebody_go_signs_nobody_in() {
    let (console, _provider) = between_a_house_and_a_provider(false).await;
    let browser = console.browser();
    let mut at = browser.leaves("portal", "").await.to;
    loop {
        let answer = send(browser.client.get(at.clone())).await;
        if answer.status == StatusCode::OK {
            let form = between(&answer.text, "action=\"", "\"");
            at = format!("{form}/abort").parse().expect("an address");
        } else if at.as_str().starts_with(&console.base) {
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
            break;
        } else {
            at = at.join(answer.header("location")).expect("an address");
        }
    }
    assert_eq!(console.refusals().await, ["denied_by_issuer"]);
}
