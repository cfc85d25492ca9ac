//! Servers that the command line starts, and what it does beside one that runs.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Server, TIMEOUT, answer, command, complaint, dir, shown, text};

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

fn node_starts(data: &Path) -> i64 {
    let log = rusqlite::Connection::open(data.join("log.db")).expect("the log");
    log.query_row("select count(*) from event where type = 'node_started'", [], |row| row.get(0)).expect("a count")
}

#[tokio::test]
async fn cli_a_person_answers_for_a_held_call() {
    let dir = dir();
    let policies = dir.path().join("policies");
    std::fs::create_dir(&policies).expect("a directory");
    std::fs::write(policies.join("own.cedar"), HOLDING).expect("policies");
    std::fs::write(policies.join("cases.toml"), HOLDS).expect("cases");
    let config =
        format!("policies_dir = {:?}\ninstant_wait_ms = 2000\n[providers.sim]\nmachines = [\"web-1\"]\n", shown(&policies));
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
    let before = node_starts(dir.path());
    let (ran, said) = say(&person, &["approve", &call, "--reason", "agreed with Ada"]);
    assert!(ran, "{said}");
    assert_eq!(node_starts(dir.path()), before + 1, "one answer is one node");
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
