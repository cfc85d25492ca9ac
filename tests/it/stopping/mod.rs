//! P15: whenever a call can be made, it can be stopped. Each part of the system is broken in turn beneath the real binary, and
//! at every door something is stopped: the next call that it covers is refused.
//!
//! ```text
//! part (a row) ── broken while the server serves ──▶ REST engages · the command line engages, releases, revokes ·
//!                 an agent stops itself over MCP ──▶ each next call is refused ──▶ mended: the log is in order, and says what was left out
//! ```
//!
//! Invariant: a new part is one row here and one arm in `parts.rs`; what stops is asked for from outside, as people do.

mod node;
mod parts;

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli::{Server, answer, answer_in, command, complaint, dir, shown, text};
use crate::harness::until;
use crate::local_admin::id;
use crate::pipe::modern;
use crate::postgres;
use parts::Part;

/// How long anything may take. Nothing here is fast or slow; it comes or it does not.
const TIMEOUT: Duration = Duration::from_mins(1);

macro_rules! rows {
    ($($name:ident = $on:ident, $part:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            stops_whatever_breaks(On::$on, $part).await;
        }
    )*};
}

rows! {
    p15_sqlite_nothing_broken = Sqlite, Part::Nothing;
    p15_sqlite_vault_moved_away = Sqlite, Part::Moved("vault");
    p15_sqlite_vault_corrupt = Sqlite, Part::Scribbled("vault");
    p15_sqlite_vault_locked_for_writing = Sqlite, Part::WriteLocked("vault");
    p15_sqlite_vault_hangs = Sqlite, Part::ReadLocked("vault");
    p15_sqlite_vault_disk_full = Sqlite, Part::Full("vault");
    p15_sqlite_views_moved_away = Sqlite, Part::Moved("views");
    p15_sqlite_views_corrupt = Sqlite, Part::Scribbled("views");
    p15_sqlite_views_locked_for_writing = Sqlite, Part::WriteLocked("views");
    p15_sqlite_views_hang = Sqlite, Part::ReadLocked("views");
    p15_sqlite_views_disk_full = Sqlite, Part::Full("views");
    p15_sqlite_provider_hangs = Sqlite, Part::ProviderHangs;
    p15_sqlite_issuer_hangs = Sqlite, Part::IssuerHangs;
    p15_sqlite_clock_of_commands_wrong = Sqlite, Part::ClocksWrong;
    p15_sqlite_telemetry_hangs = Sqlite, Part::TelemetryHangs;
    postgres_p15_nothing_broken = Postgres, Part::Nothing;
    postgres_p15_vault_server_down = Postgres, Part::VaultDown;
    postgres_p15_vault_server_hangs = Postgres, Part::VaultHangs;
    postgres_p15_vault_schema_gone = Postgres, Part::SchemaGone("vault");
    postgres_p15_views_schema_gone = Postgres, Part::SchemaGone("views");
    postgres_p15_views_locked = Postgres, Part::ViewsLocked;
    postgres_p15_provider_hangs = Postgres, Part::ProviderHangs;
    postgres_p15_issuer_hangs = Postgres, Part::IssuerHangs;
    postgres_p15_policies_differ = Postgres, Part::PoliciesDiffer;
    postgres_p15_clocks_of_others_wrong = Postgres, Part::ClocksWrong;
    postgres_p15_notices_cannot_be_sent = Alone, Part::NoticesFull;
    postgres_p15_node_frozen_in_its_append = Postgres, Part::NodeFrozen;
    postgres_p15_telemetry_hangs = Postgres, Part::TelemetryHangs;
}

/// Which database the rooms are in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum On {
    Sqlite,
    Postgres,
    /// All of them on a server that this house alone has.
    Alone,
}

/// A served house: an agent with two keys, and a person of the staff with one.
pub struct House {
    dir: TempDir,
    server: Option<Server>,
    /// The server of the vault, where there is one.
    vault: Option<postgres::Cluster>,
    url: Option<String>,
    vault_url: Option<String>,
    staff: String,
    agent: String,
    second: Value,
    vm: String,
    http: Client,
    /// In which commands are run.
    env: Vec<(&'static str, String)>,
}

impl House {
    async fn open(on: On, extra: &str) -> Self {
        let dir = dir();
        let (mut vault, mut url, mut vault_url) = (None, None, None);
        if on != On::Sqlite {
            let cluster = postgres::Cluster::start().await;
            let log = if on == On::Alone { cluster.fresh_database().await } else { postgres::fresh_database().await };
            (url, vault_url) = (Some(log), Some(cluster.fresh_database().await));
            vault = Some(cluster);
        }
        let line = |name: &str, url: &Option<String>| url.as_ref().map(|url| format!("{name} = \"{url}\"\n")).unwrap_or_default();
        let urls = line("database_url", &url) + &line("vault_database_url", &vault_url);
        let config = format!("{urls}lease_ms = 1500\ninstant_wait_ms = 2000\n{extra}\n");
        std::fs::write(dir.path().join("forelog.toml"), config).expect("a configuration");
        let at = |args: &[&str]| answer(&[args, &["--data", shown(dir.path())]].concat());
        let staff = id(&at(&["account", "create", "--name", "Staff", "--email", "staff@example.com", "--staff"]));
        let account = id(&at(&["account", "create", "--name", "Example Ltd", "--email", "ops@example.com"]));
        let key = |account: &str| at(&["key", "create", "--account", account, "--label", "a key"]);
        let secret = |key: &Value| key["api_key"].as_str().expect("a key").to_owned();
        let (staff, agent, second) = (secret(&key(&staff)), secret(&key(&account)), key(&account));
        let vm = id(&at(&["vm", "import", "--account", &account, "--provider", "sim", "--machine", "web-1"]));
        let http = Client::builder().no_proxy().timeout(TIMEOUT).build().expect("a client");
        let mut house = Self { dir, server: None, vault, url, vault_url, staff, agent, second, vm, http, env: Vec::new() };
        let errors = house.path().join("serve.log");
        house.server = Some(Server::start(&["serve", "--data", shown(house.path())], &errors).await);
        house
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn file(&self, room: &str) -> PathBuf {
        self.path().join(format!("{room}.db"))
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("it serves")
    }

    /// What the command line answers, which has to succeed.
    fn run(&self, args: &[&str]) -> Value {
        answer_in(&self.env, &[args, &["--data", shown(self.path())]].concat())
    }

    async fn ask(&self, key: &str, method: Method, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}{path}", self.server().says("/base_url"));
        let asked = self.http.request(method, url).bearer_auth(key).json(&body).send().await;
        let answered = asked.unwrap_or_else(|error| panic!("{path} {body}: {error}: {}", self.said()));
        let status = answered.status().as_u16();
        (status, answered.json().await.unwrap_or_default())
    }

    /// Calls a tool that reads the house's one VM, or lists it.
    async fn call(&self, key: &str, tool: &str) -> (u16, Value) {
        let args = if tool == "vm_get" { json!({ "vm_id": self.vm }) } else { json!({}) };
        self.ask(key, Method::POST, &format!("/api/v1/tools/{tool}"), args).await
    }

    /// The code that a call of this tool is refused with; nothing if it is made.
    async fn refused(&self, key: &str, tool: &str) -> String {
        self.call(key, tool).await.1["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Calls a tool as an agent's client does.
    async fn call_over_mcp(&self, key: &str, tool: &str, args: &Value) -> Value {
        let url = format!("{}/mcp", self.server().says("/base_url"));
        let asked = self.http.post(url).bearer_auth(key).header("accept", "application/json, text/event-stream");
        let asked =
            asked.header("mcp-protocol-version", "2026-07-28").header("mcp-method", "tools/call").header("mcp-name", tool);
        let answered = asked.json(&modern(1, tool, args)).send().await.expect("an answer").text().await.expect("a text");
        // A document, or a stream that ends with it.
        let last = answered.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        serde_json::from_str(last.trim_start_matches("data: ")).unwrap_or_else(|_| panic!("{answered}: {}", self.said()))
    }

    /// What the server has logged.
    fn said(&self) -> String {
        std::fs::read_to_string(self.path().join("serve.log")).unwrap_or_default()
    }
}

async fn stops_whatever_breaks(on: On, part: Part) {
    let mut house = House::open(on, &part.configuration()).await;
    house.env = part.environment();
    let second = house.second["api_key"].as_str().expect("a key").to_owned();
    for (key, tool) in [(&house.agent, "vm_list"), (&house.agent, "vm_get"), (&second, "vm_list")] {
        let (status, said) = house.call(key, tool).await;
        assert_eq!(status, 200, "{tool}: {said}");
    }
    let broken = part.break_in(&house).await;
    if part.is_of_vault() {
        until(TIMEOUT, "the node has seen that its vault is away", async || {
            let (status, said) = house.ask("", Method::GET, "/readyz", Value::Null).await;
            assert_eq!(status, 200, "calls whose keys are in memory go on: {said}");
            said["vault"] == "away" || !part.shows()
        })
        .await;
    }
    // A call can be made: its keys are in memory.
    let refused = house.refused(&house.agent, "vm_list").await;
    assert!(part.lets_through(&refused), "{refused}: {}", house.said());

    by_rest(&house).await;
    by_command(&house, &part).await;
    by_the_agent(&house).await;

    broken.mend(&house).await;
    let report = house.run(&["log", "verify"]);
    assert_eq!(report["findings"], json!([]), "{report}");
    let left_out = report["left_out"].as_u64().expect("a number");
    assert!(if part.leaves_out() { left_out > 0 } else { left_out == 0 }, "{left_out} parts were left out");
    assert_eq!(house.refused(&house.agent, "vm_get").await, "kill_switch_engaged");
    let switches = house.run(&["switch", "list"]);
    assert_eq!(switches["items"].as_array().map(Vec::len), Some(2), "{switches}");
}

/// A person engages over REST.
async fn by_rest(house: &House) {
    let wanted = json!({ "target": "tool:vm_list", "reason": "an incident", "message": "stopped" });
    let (status, said) = house.ask(&house.staff, Method::POST, "/api/v1/switches", wanted).await;
    assert_eq!(status, 201, "{said}: {}", house.said());
    assert_eq!(house.refused(&house.agent, "vm_list").await, "kill_switch_engaged");
}

/// Somebody at the machine engages, releases and revokes.
async fn by_command(house: &House, part: &Part) {
    let engaged = house.run(&["switch", "engage", "all", "--reason", "an incident"]);
    assert_eq!(engaged["without_vault"].is_string(), part.leaves_out(), "{engaged}");
    assert_eq!(house.refused(&house.agent, "vm_get").await, "kill_switch_engaged");
    let released = house.run(&["switch", "release", &id(&engaged), "--break-glass", "--reason", "it was not needed"]);
    assert_eq!(released["released"], true, "{released}");
    let refused = house.refused(&house.agent, "vm_get").await;
    assert!(part.lets_through(&refused), "{refused}: {}", house.said());
    let revoked = house.run(&["key", "revoke", &id(&house.second)]);
    assert_eq!(revoked["revoked"], true, "{revoked}");
    let second = house.second["api_key"].as_str().expect("a key");
    assert_eq!(house.refused(second, "vm_get").await, "token_revoked");
    if part.is_of_vault() && part.leaves_out() {
        let said = complaint(&["doctor", "--data", shown(house.path())]);
        assert!(said.contains("the vault cannot be used"), "{said}");
        let said = command(&["switch", "list", "--data", shown(house.path())]).output().expect("running forelog");
        assert!(text(&said.stdout).contains("tool:vm_list"), "{}", text(&said.stderr));
    }
}

/// An agent stops itself.
async fn by_the_agent(house: &House) {
    let said = house.call_over_mcp(&house.agent, "panic_engage", &json!({ "reason": "I do not know what I do" })).await;
    assert!(said["result"]["structuredContent"]["switches"][0]["id"].is_string(), "{said}: {}", house.said());
    assert_eq!(house.refused(&house.agent, "vm_get").await, "kill_switch_engaged");
}
