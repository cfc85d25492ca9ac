//! What binds is recorded: policies and limits are those that the log says, on every node, whatever its files and environment
//! hold, until somebody with the right to puts others in force.
//!
//! Invariant: each case holds on both databases. Nodes are whole servers with configurations of their own on one log.

mod changed;
mod rejected;
mod served;

use std::path::Path;
use std::time::Duration;

use forelog::app::App;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Answer, send};

/// How long something may take that happens by itself.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Nothing but looking at one VM.
const ONE: &str = r#"@id("one") permit (principal, action == Forelog::Action::"vm_get", resource) when { resource in principal.account };
@id("staff") permit (principal, action, resource) when { principal.side == "staff" };
"#;

/// Everything.
const ALL: &str = r#"@id("all") permit (principal, action, resource);
"#;

const CASES: &str = "[[case]]\nname = \"get\"\nside = \"customer\"\nscopes = [\"vms:read\"]\ntool = \"vm_get\"\n\
                     vm = { owner = \"caller\" }\nexpect = \"permit\"\n";

/// A directory with this set.
fn set(text: &str) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), text);
    dir
}

fn write(dir: &Path, text: &str) {
    std::fs::write(dir.join("own.cedar"), text).expect("policies");
    std::fs::write(dir.join("cases.toml"), CASES).expect("cases");
}

/// A node's own configuration: its policies, and how many calls a key has an hour.
fn own(database: &str, policies: &TempDir, admit: u32) -> String {
    format!(
        "{database}\npolicies_dir = \"{}\"\n[limits]\ncredential = {{ admit = {admit}, window_ms = 3600000 }}",
        policies.path().display()
    )
}

/// A case on both databases, which is told how its configuration names its own.
macro_rules! on_both {
    ($($case:ident, $sqlite:ident, $postgres:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $sqlite() {
            $case(String::new()).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn $postgres() {
            $case(format!("database_url = \"{}\"", crate::postgres::fresh_database().await)).await;
        }
    )*};
}
pub(super) use on_both;

/// Asks a node.
async fn ask(base: &str, key: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let request = client.request(method, format!("{base}{path}")).bearer_auth(key);
    send(if let Some(body) = body { request.json(&body) } else { request }).await
}

async fn read(base: &str, key: &str, path: &str) -> Value {
    let answer = ask(base, key, Method::GET, path, None).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
    answer.json()
}

async fn call(base: &str, key: &str, tool: &str, args: Value) -> Answer {
    ask(base, key, Method::POST, &format!("/api/v1/tools/{tool}"), Some(args)).await
}

fn at(app: &App) -> String {
    format!("http://{}", app.address())
}

/// `done`, or the code of the refusal.
fn said(answer: &Answer) -> String {
    if answer.status.is_success() { "done".into() } else { answer.code() }
}

async fn is_ready(base: &str) -> Answer {
    ask(base, "", Method::GET, "/readyz", None).await
}
