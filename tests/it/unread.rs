//! Whoever reads the lines of the log may stand still: the node goes on, says how many lines were lost, and ends when told.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::{dir, shown};

/// A pipe holds less than this, and so does the queue before it.
const LOUD: &str = "trace";

const TIMEOUT: Duration = Duration::from_mins(1);

async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, looking).await.unwrap_or_else(|_| panic!("{what} in time"))
}

async fn ended(process: &mut Child) -> std::process::ExitStatus {
    until("an end", || process.try_wait().expect("its status")).await
}

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a demonstration says of itself, once it does.
async fn described_at(data: &Path) -> Value {
    until("a description", || {
        let text = std::fs::read(data.join("demo.json")).ok()?;
        serde_json::from_slice::<Value>(&text).ok()
    })
    .await
}

/// The data that a demonstration leaves behind, as it has described it.
async fn stopped_demo(data: &Path) -> Value {
    let mut first = Command::new(env!("CARGO_BIN_EXE_forelog"));
    first.args(["demo", "--json", "--data", shown(data), "--listen", "127.0.0.1:0"]);
    let mut demo = Running(first.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starting forelog"));
    let described = described_at(data).await;
    assert!(Command::new("kill").arg("-TERM").arg(demo.0.id().to_string()).status().expect("kill").success());
    ended(&mut demo.0).await;
    described
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_lines_are_lost_and_counted_and_hold_up_nobody() {
    let dir = dir();
    let data = dir.path().join("data");
    let mut node = Command::new(env!("CARGO_BIN_EXE_forelog"));
    node.args(["demo", "--data", shown(&data), "--listen", "127.0.0.1:0"]).env("RUST_LOG", LOUD);
    node.envs([("FORELOG_THROTTLE__PER_SECOND", "100000"), ("FORELOG_THROTTLE__BURST", "100000")]);
    let node = node.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starting forelog");
    let mut node = Running(node);
    let unread = node.0.stderr.take().expect("its standard error");
    let described = described_at(&data).await;
    let (base, key) = (described["base_url"].as_str().expect("a URL"), described["customer"]["api_key"].as_str().expect("a key"));
    let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().expect("a client");
    let mut lost = 0_u64;
    while lost == 0 {
        let call = || client.post(format!("{base}/api/v1/tools/account_get")).bearer_auth(key).json(&json!({})).send();
        for answered in futures::future::join_all((0..20).map(|_| call())).await {
            let answered = answered.expect("an answer although nobody reads the log");
            assert!(answered.status().is_success() || answered.status() == 429, "{answered:?}");
        }
        let page = client.get(format!("{base}/metrics")).send().await.expect("the metrics");
        if page.status() == 429 {
            continue;
        }
        let page = page.text().await.expect("text");
        let line = page.lines().find_map(|line| line.strip_prefix("forelog_log_lines_lost_total ")).expect("the metric");
        lost = line.parse::<u64>().expect("a number");
    }
    let alive = client.get(format!("{base}/healthz")).send().await.expect("an answer");
    assert!(alive.status().is_success() || alive.status() == 429, "{alive:?}");
    // Once it is read again, it says what is missing.
    let mut lines = BufReader::new(unread).lines();
    let said = lines.find_map(|line| {
        let line: Value = serde_json::from_str(&line.expect("text")).expect("JSON");
        line["lost"].as_u64()
    });
    assert!(said.expect("a line that says so") > 0);
    // And it ends while nobody reads.
    assert!(Command::new("kill").arg("-TERM").arg(node.0.id().to_string()).status().expect("kill").success());
    assert!(ended(&mut node.0).await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_lines_keep_no_stdio_from_ending_with_its_input() {
    let dir = dir();
    let data = dir.path().join("data");
    let described = stopped_demo(&data).await;
    let mut stdio = Command::new(env!("CARGO_BIN_EXE_forelog"));
    stdio.args(["stdio", "--data", shown(&data)]).env("RUST_LOG", LOUD);
    stdio.env("FORELOG_API_KEY", described["customer"]["api_key"].as_str().expect("a key"));
    let process = stdio.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starting forelog");
    let mut process = Running(process);
    let mut input = process.0.stdin.take().expect("its standard input");
    let mut lines = BufReader::new(process.0.stdout.take().expect("its standard output")).lines();
    let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    for message in [
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
    ] {
        writeln!(input, "{message}").expect("a message sent");
    }
    lines.next().expect("a line").expect("text");
    let call = json!({ "name": "vm_list", "arguments": {} });
    for id in 2..300 {
        writeln!(input, "{}", json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": call })).expect("sent");
        lines.next().expect("an answer although nobody reads the log").expect("text");
    }
    drop(input);
    assert!(ended(&mut process.0).await.success());
    let mut said = String::new();
    process.0.stderr.take().expect("its standard error").read_to_string(&mut said).expect("text");
    assert!(said.len() > 40_000, "the pipe was not full: {}", said.len());
}

/// A line that is nested deeper than anybody reads is answered and on record, as over HTTP.
#[tokio::test(flavor = "multi_thread")]
async fn unread_depths_are_answered_and_on_record_over_stdio() {
    let dir = dir();
    let data = dir.path().join("data");
    let described = stopped_demo(&data).await;
    let mut stdio = Command::new(env!("CARGO_BIN_EXE_forelog"));
    stdio.args(["stdio", "--data", shown(&data)]);
    stdio.env("FORELOG_API_KEY", described["customer"]["api_key"].as_str().expect("a key"));
    let process = stdio.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starting forelog");
    let mut process = Running(process);
    let mut input = process.0.stdin.take().expect("its standard input");
    let mut lines = BufReader::new(process.0.stdout.take().expect("its standard output")).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().expect("a line").expect("text")).expect("JSON") };
    let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    writeln!(input, "{}", json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello })).expect("sent");
    next();
    writeln!(input, "{}", json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).expect("sent");
    let before = demo_intents(&data);
    for (id, depth) in [(2, 3000), (3, 100_000), (4, 101)] {
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let call = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"vm_list","arguments":{{"x":{deep}}}}}}}"#
        );
        writeln!(input, "{call}").expect("sent");
        let answer = next();
        assert_eq!(answer["id"], id, "{answer}");
        assert!(answer["error"].is_object() || answer["result"]["isError"] == true, "{answer}");
    }
    assert_eq!(demo_intents(&data), before + 3);
    drop(input);
    assert!(ended(&mut process.0).await.success());
}

fn demo_intents(data: &std::path::Path) -> i64 {
    let log = rusqlite::Connection::open(data.join("log.db")).expect("the log");
    log.query_row("select count(*) from event where type = 'intent_recorded'", [], |row| row.get(0)).expect("a count")
}
