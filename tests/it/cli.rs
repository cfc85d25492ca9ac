//! The real binary, as its users meet it: what it makes, what it says, and what it refuses to do.
//!
//! Invariant: every process that a test starts is gone when its handle is dropped.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use forelog::config::{Config, Flags};
use forelog::log::dialect::Room;
use forelog::log::sqlite::open_sqlite;
use serde_json::{Value, json};
use tempfile::TempDir;

const TIMEOUT: Duration = Duration::from_mins(1);

pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forelog"));
    command.args(args).stdin(Stdio::null());
    command
}

fn forelog(args: &[&str]) -> Output {
    command(args).output().expect("running forelog")
}

/// What a command answers that has to succeed.
pub fn answer(args: &[&str]) -> Value {
    answer_in(&[], args)
}

/// The same in an environment.
pub fn answer_in(env: &[(&str, String)], args: &[&str]) -> Value {
    let asked = [args, &["--json"]].concat();
    let output = command(&asked).envs(env.iter().map(|(name, value)| (name, value))).output().expect("running forelog");
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON document")
}

/// What a command says that has to fail.
pub fn complaint(args: &[&str]) -> String {
    let output = forelog(args);
    assert!(!output.status.success(), "{args:?} succeeded: {}", text(&output.stdout));
    assert!(output.stdout.is_empty(), "{args:?} answered: {}", text(&output.stdout));
    text(&output.stderr)
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn shown(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

pub fn dir() -> TempDir {
    tempfile::Builder::new().prefix("forelog-cli-").tempdir().expect("a directory")
}

/// A server, and the document it said when it was ready.
pub struct Server {
    process: Child,
    pub document: Value,
}

impl Server {
    pub async fn start(args: &[&str], errors: &Path) -> Self {
        Self::start_in(&[], args, errors).await
    }

    /// The same in an environment.
    pub async fn start_in(env: &[(&str, String)], args: &[&str], errors: &Path) -> Self {
        let log = std::fs::File::create(errors).expect("a file for what it logs");
        let args = [args, &["--listen", "127.0.0.1:0", "--json"]].concat();
        let mut started = command(&args);
        started.envs(env.iter().map(|(name, value)| (name, value))).stdout(Stdio::piped()).stderr(log);
        let mut process = started.spawn().expect("starting forelog");
        let out = process.stdout.take().expect("its standard output");
        let reading = tokio::task::spawn_blocking(move || first_document(out));
        let document = tokio::time::timeout(TIMEOUT, reading).await.expect("an answer in time").expect("a reader");
        let said = std::fs::read_to_string(errors).unwrap_or_default();
        Self { process, document: document.unwrap_or_else(|| panic!("it ended: {said}")) }
    }

    pub async fn demo(data: &Path) -> Self {
        Self::start(&["demo", "--data", shown(data)], &data.with_extension("log")).await
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub fn says(&self, pointer: &str) -> String {
        self.document.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer}")).to_owned()
    }

    pub async fn call(&self, key: &str, tool: &str, args: Value) -> Value {
        let url = format!("{}/api/v1/tools/{tool}", self.says("/base_url"));
        let answered = reqwest::Client::new().post(url).bearer_auth(key).json(&args).send().await.expect("an answer");
        answered.json().await.expect("JSON")
    }

    /// Asks it to stop, as an init system would, and waits until it has.
    pub async fn stop(mut self) {
        let asked = Command::new("kill").arg("-TERM").arg(self.process.id().to_string()).status().expect("kill");
        assert!(asked.success());
        let ended = tokio::time::timeout(TIMEOUT, async {
            loop {
                if let Some(status) = self.process.try_wait().expect("its status") {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(ended.await.expect("an end in time").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The first whole document of a stream; none if it ends before.
fn first_document(mut out: impl Read) -> Option<Value> {
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    while out.read(&mut byte).ok()? == 1 {
        bytes.extend(byte);
        if byte == *b"\n"
            && let Ok(document) = serde_json::from_slice(&bytes)
        {
            return Some(document);
        }
    }
    None
}

#[test]
fn cli_every_command_shows_examples() {
    let commands: &[&[&str]] = &[
        &[],
        &["demo"],
        &["serve"],
        &["stdio"],
        &["account", "create"],
        &["account", "join"],
        &["account", "set"],
        &["account", "list"],
        &["vm", "import"],
        &["vm", "list"],
        &["vm", "machines"],
        &["key", "create"],
        &["key", "list"],
        &["key", "revoke"],
        &["key", "rotate"],
        &["switch", "engage"],
        &["switch", "release"],
        &["switch", "list"],
        &["approval", "list"],
        &["approval", "approve"],
        &["approval", "reject"],
        &["policy", "check"],
        &["policy", "reload"],
        &["view", "rebuild"],
        &["log", "verify"],
        &["export"],
        &["migrate"],
        &["doctor"],
        &["health"],
    ];
    for command in commands {
        let output = forelog(&[command, &["--help"][..]].concat());
        assert!(output.status.success(), "{command:?}");
        assert!(text(&output.stdout).contains("Examples:"), "{command:?} shows no examples");
    }
}

#[test]
fn cli_a_wrong_value_is_named_and_nothing_starts() {
    for (text, key) in [
        ("[limits]\nexec = { admit = 0, window_ms = 1000 }", "limits.exec"),
        ("[limits]\nexec = { admit = 5 }", "limits.exec"),
        ("[limits]\nexec = { admit = \"many\", window_ms = 1 }", "limits.exec.admit"),
        ("[limits]\nexek = { admit = 5, window_ms = 1000 }", "exek"),
        ("listn = \"127.0.0.1:1\"", "listn"),
        ("trusted_proxies = [\"everybody\"]", "trusted_proxies"),
        ("database_url = \"mysql://x\"", "database_url"),
        ("lease_ms = 1", "lease_ms"),
    ] {
        let error = Config::parse(text).expect_err(text).to_string();
        assert!(error.contains(key), "{error} does not name {key}");
    }
    let missing = Config::load(Some(Path::new("does-not-exist.toml")), &Flags::default()).expect_err("a missing file");
    assert!(missing.to_string().contains("does-not-exist.toml"));
}

#[test]
fn cli_the_environment_is_checked_like_the_file() {
    let dir = dir();
    let output = command(&["account", "list", "--data", shown(dir.path())])
        .env("FORELOG_LIMITS__EXEC__ADMIT", "0")
        .env("FORELOG_LIMITS__EXEC__WINDOW_MS", "1000")
        .output()
        .expect("running forelog");
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("limits.exec"), "{}", text(&output.stderr));
}

#[test]
fn cli_bad_paths_and_flags_are_explained() {
    let dir = dir();
    let absent = dir.path().join("absent");
    let said = complaint(&["key", "list", "--data", shown(&absent)]);
    assert!(said.contains("no Forelog data") && said.contains("hint:"), "{said}");
    assert!(!absent.exists(), "looking for data made some");
    let file = dir.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let said = complaint(&["account", "create", "--name", "a", "--email", "a@b", "--data", shown(&file.join("below"))]);
    assert!(said.contains("making the data directory") && said.contains("hint:"), "{said}");
    let said = complaint(&["demo", "--data", shown(&file.join("below")), "--listen", "127.0.0.1:0"]);
    assert!(said.contains("below") && said.contains("hint:"), "{said}");
    assert!(complaint(&["switch", "engage", "everybody", "--reason", "x"]).contains("unknown switch target"));
    assert!(complaint(&["serve", "--config", "nowhere.toml"]).contains("nowhere.toml"));
    assert!(complaint(&["demo", "--listen", "here"]).contains("--listen"));
    assert!(complaint(&["frobnicate"]).contains("frobnicate"));
}

#[test]
fn cli_a_secret_of_digits_is_not_shown() {
    for name in ["FORELOG_API_KEY", "FORELOG_DATABASE_URL", "FORELOG_OIDC__CORP__CLIENT_SECRET"] {
        let dir = dir();
        let output = command(&["doctor", "--data", shown(dir.path())]).env(name, "8812345678901").output().expect("running it");
        assert!(!output.status.success(), "{name}");
        let said = text(&output.stderr);
        assert!(!said.contains("88123"), "{said}");
    }
    let deep = format!("[{}", "[".repeat(5_000));
    let output = command(&["doctor"]).env("FORELOG_ALLOWED_HOSTS", deep).output().expect("running it");
    assert_eq!(output.status.code(), Some(1), "it says so and does not abort: {}", text(&output.stderr));
}

#[test]
fn cli_a_key_file_that_was_cut_is_named_for_what_it_is() {
    let dir = dir();
    std::fs::write(dir.path().join("kek"), "").expect("an empty key file");
    let said = complaint(&["account", "create", "--name", "a", "--email", "a@example.com", "--data", shown(dir.path())]);
    assert!(said.contains("is empty"), "{said}");
}

#[test]
fn cli_a_data_directory_that_cannot_be_written_is_explained() {
    // Even root cannot make anything there.
    let said = complaint(&["account", "create", "--name", "a", "--email", "a@b", "--data", "/proc/forelog"]);
    assert!(said.contains("/proc/forelog") && said.contains("hint:"), "{said}");
}

#[test]
fn cli_the_key_file_is_private_and_never_made_anew() {
    use std::os::unix::fs::PermissionsExt;
    let dir = dir();
    let data = dir.path().join("data");
    let at = ["--data", shown(&data)];
    answer(&[&["account", "create", "--name", "Example", "--email", "a@example.com"], &at[..]].concat());
    for file in ["kek", "log.db", "vault.db"] {
        let mode = std::fs::metadata(data.join(file)).expect(file).permissions().mode();
        assert_eq!(mode & 0o077, 0, "others may read {file}");
    }
    let (kek, aside) = (data.join("kek"), data.join("aside"));
    std::fs::rename(&kek, &aside).expect("moved");
    assert!(complaint(&[&["account", "list"], &at[..]].concat()).contains("is missing"));
    assert!(!kek.exists(), "a missing key was made anew over a vault that has keys");
    std::fs::write(&kek, "0".repeat(64)).expect("written");
    assert!(complaint(&[&["account", "list"], &at[..]].concat()).contains("key-encryption key"));
    std::fs::rename(&aside, &kek).expect("moved back");
    assert_eq!(answer(&[&["account", "list"], &at[..]].concat())["items"][0]["name"], "Example");
}

#[tokio::test]
async fn cli_doctor_names_a_control_row_that_was_changed() {
    let dir = dir();
    let at = ["--data", shown(dir.path())];
    answer(&[&["account", "create", "--name", "Example", "--email", "a@example.com"], &at[..]].concat());
    answer(&[&["switch", "engage", "all", "--reason", "test"], &at[..]].concat());
    assert_eq!(answer(&[&["doctor"], &at[..]].concat())["ok"], true);
    assert_eq!(answer(&[&["log", "verify"], &at[..]].concat())["events"], 3);
    let database = open_sqlite(&dir.path().join("log.db"), Room::Log).await.expect("the log room");
    let mut transaction = database.begin().await.expect("a transaction");
    let sql = "update state set doc = replace(cast(doc as text), 'test', 'calm') where name like 'switch:%'";
    transaction
        .execute(&sql.replace("replace(", "cast(replace(").replace("'calm')", "'calm') as blob)"), Vec::new())
        .await
        .expect("an update");
    transaction.commit().await.expect("a commit");
    let said = complaint(&[&["doctor"], &at[..]].concat());
    assert!(said.contains("switch:swi_") && said.contains("control_differs"), "{said}");
}

#[tokio::test]
async fn cli_demo_describes_itself_and_goes_on_with_its_data() {
    use std::os::unix::fs::PermissionsExt;
    let dir = dir();
    let data = dir.path().join("demo");
    let demo = Server::demo(&data).await;
    let file = data.join("demo.json");
    let first: Value = serde_json::from_slice(&std::fs::read(&file).expect("demo.json")).expect("JSON");
    assert_eq!(first, demo.document);
    assert_eq!(std::fs::metadata(&file).expect("demo.json").permissions().mode() & 0o777, 0o600);
    for pointer in ["/customer/email", "/customer/password", "/staff/email", "/staff/password", "/staff/api_key"] {
        assert!(!demo.says(pointer).is_empty());
    }
    assert_eq!(demo.says("/mcp_url"), format!("{}/mcp", demo.says("/base_url")));
    assert_eq!(first["vms"].as_array().map(Vec::len), Some(3));
    let key = demo.says("/customer/api_key");
    let listed = demo.call(&key, "vm_list", json!({})).await;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(3), "{listed}");
    demo.stop().await;
    let again = Server::demo(&data).await;
    assert_eq!((&again.document["customer"], &again.document["vms"]), (&first["customer"], &first["vms"]));
    assert!(again.call(&key, "vm_list", json!({})).await["items"].is_array());
    again.stop().await;
    assert_eq!(answer(&["doctor", "--data", shown(&data)])["ok"], true);
}

#[tokio::test]
async fn cli_a_switch_on_the_data_stops_the_servers_next_call() {
    let dir = dir();
    let data = dir.path().join("demo");
    let at = ["--data", shown(&data)];
    let demo = Server::demo(&data).await;
    let key = demo.says("/customer/api_key");
    assert!(demo.call(&key, "vm_list", json!({})).await["items"].is_array());
    let engaged = answer(&[&["switch", "engage", "all", "--reason", "test", "--message", "Not today."], &at[..]].concat());
    assert_eq!(engaged["fenced"], true, "{engaged}");
    assert_eq!(engaged["nodes"][0]["state"], "confirmed", "{engaged}");
    let refused = demo.call(&key, "vm_list", json!({})).await;
    assert_eq!((&refused["error"]["code"], &refused["error"]["message"]), (&json!("kill_switch_engaged"), &json!("Not today.")));
    let id = engaged["id"].as_str().expect("an id");
    assert!(complaint(&[&["switch", "release", id, "--reason", "over"], &at[..]].concat()).contains("--break-glass"));
    let released = command(&[&["switch", "release", id, "--reason", "over", "--break-glass"], &at[..]].concat()).output();
    assert!(text(&released.expect("released").stderr).contains("BREAK GLASS"));
    assert!(demo.call(&key, "vm_list", json!({})).await["items"].is_array());
    demo.stop().await;
    // While nothing runs, and seen by what starts then.
    answer(&[&["switch", "engage", "all", "--reason", "test"], &at[..]].concat());
    let again = Server::demo(&data).await;
    assert_eq!(again.call(&key, "vm_list", json!({})).await["error"]["code"], "kill_switch_engaged");
    assert_eq!(answer(&[&["switch", "list"], &at[..]].concat())["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn cli_serve_for_real_as_the_readme_says() {
    let dir = dir();
    let config: PathBuf = dir.path().join("forelog.toml");
    std::fs::write(&config, "[providers.sim]\nmachines = [\"web-1\", \"db-1\"]\n").expect("a configuration");
    let at = ["--data", shown(dir.path())];
    let account = answer(&[&["account", "create", "--name", "Example Ltd", "--email", "ops@example.com"], &at[..]].concat());
    let id = account["id"].as_str().expect("an account");
    let vm = answer(&[&["vm", "import", "--account", id, "--provider", "sim", "--machine", "web-1"], &at[..]].concat());
    let twice = complaint(&[&["vm", "import", "--account", id, "--provider", "sim", "--machine", "web-1"], &at[..]].concat());
    assert!(twice.contains("already"), "{twice}");
    let made = answer(&[&["key", "create", "--account", id, "--label", "laptop"], &at[..]].concat());
    let key = made["api_key"].as_str().expect("a key");
    let server = Server::start(&[&["serve"], &at[..]].concat(), &dir.path().join("serve.log")).await;
    let listed = server.call(key, "vm_list", json!({})).await;
    assert_eq!(listed["items"][0]["vm_id"], vm["id"], "{listed}");
    answer(&[&["key", "revoke", made["id"].as_str().expect("an id")], &at[..]].concat());
    assert_eq!(server.call(key, "vm_list", json!({})).await["error"]["code"], "token_revoked");
}

#[tokio::test]
async fn cli_serve_without_staff_prints_a_link_for_the_first_of_them() {
    let dir = dir();
    let at = ["--data", shown(dir.path())];
    let log = dir.path().join("serve.log");
    answer(&[&["account", "create", "--name", "Example Ltd", "--email", "ops@example.com"], &at[..]].concat());
    let server = Server::start(&[&["serve"], &at[..]].concat(), &log).await;
    assert!(server.says("/invitation_url").starts_with(&format!("{}/console/welcome/", server.says("/base_url"))));
    server.stop().await;
    answer(&[&["account", "create", "--name", "Staff", "--email", "me@example.com", "--staff"], &at[..]].concat());
    let server = Server::start(&[&["serve"], &at[..]].concat(), &log).await;
    assert!(server.document.get("invitation_url").is_none(), "{}", server.document);
    server.stop().await;
}

const HOLDING: &str = r#"
@id("own") permit (principal, action, resource) when { principal.side == "customer" && resource in principal.account };
@id("ask") @hold("it interrupts service") permit (principal, action == Forelog::Action::"vm_power", resource)
when { resource in principal.account };"#;

const HOLDS: &str = "[[case]]\nname = \"power\"\nside = \"customer\"\nscopes = [\"vms:power\"]\ntool = \"vm_power\"\n\
    vm = { owner = \"caller\" }\nexpect = \"hold\"\n";

/// How an operation ended, for a caller who asks until it has.
async fn operation_end(server: &Server, key: &str, call: &str) -> Value {
    let asking = async {
        loop {
            let shown = server.call(key, "operation_get", json!({ "operation_id": call })).await;
            if shown["ended_at"].is_string() {
                return shown;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, asking).await.expect("an end")
}

#[tokio::test]
async fn cli_a_person_answers_for_a_held_call() {
    let dir = dir();
    let policies = dir.path().join("policies");
    std::fs::create_dir(&policies).expect("a directory");
    std::fs::write(policies.join("own.cedar"), HOLDING).expect("policies");
    std::fs::write(policies.join("cases.toml"), HOLDS).expect("cases");
    let config =
        format!("policies_dir = {:?}\ninstant_wait_ms = 100\n[providers.sim]\nmachines = [\"web-1\"]\n", shown(&policies));
    std::fs::write(dir.path().join("forelog.toml"), config).expect("a configuration");
    let at = ["--data", shown(dir.path())];
    let account = answer(&[&["account", "create", "--name", "Example Ltd", "--email", "ops@example.com"], &at[..]].concat());
    let id = account["id"].as_str().expect("an account");
    let vm = answer(&[&["vm", "import", "--account", id, "--provider", "sim", "--machine", "web-1"], &at[..]].concat());
    let key = |scopes: &[&str]| {
        let named: Vec<&str> = scopes.iter().flat_map(|scope| ["--scope", *scope]).collect();
        let made = answer(&[&["key", "create", "--account", id, "--label", "one"], &named[..], &at[..]].concat());
        made["api_key"].as_str().expect("a key").to_owned()
    };
    let (agent, named) = (key(&[]), key(&["approvals:decide"]));
    let say = |key: &str, args: &[&str]| {
        let output = command(&[&["approval"], args, &at[..], &["--json"]].concat()).env("FORELOG_API_KEY", key).output();
        let output = output.expect("it ran");
        (output.status.success(), text(if output.status.success() { &output.stdout } else { &output.stderr }))
    };
    let power = json!({ "vm_id": vm["id"], "action": "reboot", "confirm": true });

    let server = Server::start(&[&["serve"], &at[..]].concat(), &dir.path().join("serve.log")).await;
    let browser = crate::console::Browser::at(&server.says("/base_url"));
    let password = account["password"].as_str().expect("a password");
    assert!(browser.sign_in("ops@example.com", password).await.status.is_redirection());
    let person = browser.key_with(&["approvals:decide"]).await;
    let waits = server.call(&agent, "vm_power", power.clone()).await;
    assert_eq!(waits["error"]["code"], "approval_required", "{waits}");
    let call = waits["error"]["details"]["operation_id"].as_str().expect("an operation").to_owned();
    let (ran, listed) = say(&person, &["list"]);
    assert!(ran, "{listed}");
    let listed: Value = serde_json::from_str(&listed).expect("a document");
    assert_eq!((&listed["items"][0]["id"], &listed["items"][0]["vm_label"]), (&json!(call), &json!("web-1")), "{listed}");
    assert_eq!(listed["items"][0]["arguments"]["action"], "reboot");
    assert!(say(&agent, &["approve", &call]).1.contains("lacks the scope approvals:decide"));
    assert!(say(&named, &["approve", &call]).1.contains("a person who is signed in"), "whoever is at the data is nobody");
    let (ran, said) = say(&person, &["approve", &call, "--reason", "agreed with Ada"]);
    assert!(ran, "{said}");
    let waited = operation_end(&server, &agent, &call).await;
    assert_eq!(waited["status"], "succeeded", "{waited}");

    let waits = server.call(&agent, "vm_power", power).await;
    let call = waits["error"]["details"]["operation_id"].as_str().expect("an operation").to_owned();
    assert!(say(&person, &["reject", &call, "--reason", "not at noon"]).0);
    let waited = operation_end(&server, &agent, &call).await;
    assert_eq!((&waited["status"], &waited["code"]), (&json!("refused"), &json!("approval_rejected")), "{waited}");
    assert!(waited["failure"]["message"].as_str().is_some_and(|text| text.contains("not at noon")), "{waited}");
    assert!(say(&person, &["approve", &call]).1.contains("conflict"));
    server.stop().await;
    assert_eq!(answer(&[&["doctor"], &at[..]].concat())["ok"], true);
}

#[test]
fn cli_stdio_speaks_mcp_with_the_configured_key() {
    use std::io::{BufRead, BufReader, Write};
    let dir = dir();
    let at = ["--data", shown(dir.path())];
    std::fs::write(dir.path().join("forelog.toml"), "[providers.sim]\nmachines = [\"web-1\"]\n").expect("a configuration");
    let account = answer(&[&["account", "create", "--name", "Example Ltd", "--email", "ops@example.com"], &at[..]].concat());
    let id = account["id"].as_str().expect("an account");
    answer(&[&["vm", "import", "--account", id, "--provider", "sim", "--machine", "web-1"], &at[..]].concat());
    let made = answer(&[&["key", "create", "--account", id, "--label", "laptop"], &at[..]].concat());
    let stdio = [&["stdio"], &at[..]].concat();
    assert!(complaint(&stdio).contains("FORELOG_API_KEY"), "it started without a key");
    for put in [["limits", "load"], ["policy", "load"]] {
        answer(&[&put[..], &at[..]].concat());
    }
    let mut process = command(&stdio)
        .env("FORELOG_API_KEY", made["api_key"].as_str().expect("a key"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starting forelog");
    let mut input = process.stdin.take().expect("its standard input");
    let mut lines = BufReader::new(process.stdout.take().expect("its standard output")).lines();
    let client = json!({ "name": "test", "version": "1" });
    let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client });
    let call = json!({ "name": "vm_list", "arguments": { "limit": 10.0, "cursor": null } });
    for message in [
        json!({ "jsonrpc": "2.0", "id": 0, "method": "tools/call", "params": call }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call }),
        json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": { "name": 7 } }),
    ] {
        writeln!(input, "{message}").expect("a message sent");
    }
    let mut next = || -> Value { serde_json::from_str(&lines.next().expect("a line").expect("text")).expect("JSON alone") };
    assert!(next()["error"]["code"].is_i64(), "nothing is called before the handshake");
    assert_eq!(next()["result"]["protocolVersion"], "2025-06-18");
    let mut answers = [next(), next()];
    answers.sort_by_key(|answer| answer["id"].as_i64());
    assert_eq!(answers[0]["result"]["structuredContent"]["items"][0]["label"], "web-1");
    assert_eq!(answers[1]["error"]["code"], -32602, "{answers:?}");
    drop(input);
    assert!(process.wait().expect("its end").success());
    assert_eq!(answer(&[&["doctor"], &at[..]].concat())["ok"], true);
    let out = dir.path().join("bundle");
    answer(&[&["export", "--out", shown(&out)], &at[..]].concat());
    let log = std::fs::read_to_string(out.join("events.jsonl")).expect("the lines");
    assert_eq!(log.matches("intent_recorded").count(), 3, "what is rejected is on record too: {log}");
}

#[test]
fn cli_an_export_is_checked_offline_and_is_an_event() {
    let dir = dir();
    let (at, out) = (["--data", shown(dir.path())], dir.path().join("bundle"));
    answer(&[&["account", "create", "--name", "Example", "--email", "a@example.com"], &at[..]].concat());
    let events = answer(&[&["log", "verify"], &at[..]].concat())["events"].as_i64().expect("a count");
    let bundle = answer(&[&["export", "--out", shown(&out)], &at[..]].concat());
    assert_eq!(bundle["count"], events + 1, "the export is in the log before it begins");
    assert_eq!(answer(&["export", "--check", shown(&out)])["count"], events + 1);
    let lines = out.join("events.jsonl");
    let text = std::fs::read_to_string(&lines).expect("the lines");
    std::fs::write(&lines, text.replacen("account_created", "account_changed", 1)).expect("a forgery");
    assert!(complaint(&["export", "--check", shown(&out)]).contains("not what its manifest says"));
}

#[test]
fn cli_what_is_done_at_the_machine_says_by_whom_and_what() {
    let dir = dir();
    let at = ["--data", shown(dir.path())];
    let run = |args: &[&str]| answer(&[args, &at[..]].concat());
    let text = |document: &Value, field: &str| document[field].as_str().expect("a text").to_owned();
    std::fs::write(dir.path().join("forelog.toml"), "[providers.sim]\nmachines = [\"web-1\"]\n").expect("a configuration");
    let account = text(&run(&["account", "create", "--name", "Example", "--email", "a@example.com"]), "id");
    let other = text(&run(&["account", "create", "--name", "Other", "--email", "b@example.com"]), "id");
    let vm = text(&run(&["vm", "import", "--account", &account, "--provider", "sim", "--machine", "web-1"]), "id");
    let key = text(&run(&["key", "create", "--account", &account, "--label", "laptop"]), "id");
    run(&["policy", "reload"]);
    let out = |name: &str| dir.path().join(name);
    run(&["export", "--out", shown(&out("key")), "--credential", &key]);
    run(&["export", "--out", shown(&out("vm")), "--vm", &vm, "--plaintext"]);
    // Of nobody, and of two at once, nothing is read.
    for args in [["--account", &other, "--vm", &vm].as_slice(), &["--credential", "cred_00000000000000000000000000"]] {
        let none = out("none");
        let asked = [&["export", "--out", shown(&none)], args, &at[..]].concat();
        assert!(!complaint(&asked).is_empty());
    }
    run(&["export", "--out", shown(&out("all")), "--plaintext"]);
    let lines = std::fs::read_to_string(out("all").join("events.jsonl")).expect("the lines");
    let events: Vec<(Value, Value)> = lines
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).expect("a line");
            (serde_json::from_str(line["leaf"].as_str().expect("a leaf")).expect("a leaf"), line["parts"]["note"].clone())
        })
        .collect();
    let of = |kind: &str| events.iter().filter(|(leaf, _)| leaf["type"] == kind).collect::<Vec<_>>();
    let loaded = of("policy_loaded");
    assert!(loaded.last().expect("a set").1["operator"]["user"].is_string(), "{loaded:?}");
    let reads = of("log_read");
    assert_eq!(reads.len(), 3, "{reads:?}");
    for ((leaf, note), (field, id, plaintext)) in reads.iter().zip([("credential", &key, false), ("vm", &vm, true)]) {
        assert_eq!(leaf["account"], account.as_str(), "whose it is: {leaf}");
        assert_eq!((&note["asked"][field], &note["plaintext"]), (&json!(id), &json!(plaintext)), "{note}");
        assert!(note["operator"]["user"].is_string(), "{note}");
    }
    assert!(reads[2].0["account"].is_null() && reads[2].1["plaintext"] == true, "{reads:?}");
    assert_eq!(run(&["doctor"])["ok"], true);
}

#[test]
fn cli_no_machine_is_made_for_nobody() {
    let dir = dir();
    let at = ["--data", shown(dir.path())];
    answer(&[&["account", "create", "--name", "Example", "--email", "a@example.com"], &at[..]].concat());
    let nobody = "acc_00000000000000000000000001";
    let import = ["vm", "import", "--account", nobody, "--provider", "qemu", "--machine", "db-1", "--create"];
    let said = complaint(&[&import[..], &at[..]].concat());
    assert!(said.contains(&format!("there is no account {nobody}")), "{said}");
}
