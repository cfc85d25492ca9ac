//! P10: secrets never reach the log, the views, an export, a trace, a metric or an error text. Canaries are planted wherever
//! a caller can put text, then looked for, in every encoding, in every file, line and answer.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::demo::Demo;
use crate::postgres::Cluster;
use crate::tools;

/// 16 random-looking characters each, so that no accident finds them.
const SECRET: &str = "cAnArY7qXs4Zw0Kd";
const CONTENT: &str = "cOnTeNt5vBn8Mj2Lh";
const TOKEN: &str = "ghp_cAnArYtOkEn0123456789abcdefghijklmnop";

fn encodings(canary: &str) -> Vec<Vec<u8>> {
    let reversed: String = canary.chars().rev().collect();
    [
        canary.to_owned(),
        STANDARD.encode(canary).trim_end_matches('=').to_owned(),
        URL_SAFE_NO_PAD.encode(canary),
        hex::encode(canary),
        hex::encode_upper(canary),
        reversed,
    ]
    .into_iter()
    .map(String::into_bytes)
    .collect()
}

fn holds(haystack: &[u8], canary: &str) -> bool {
    encodings(canary).iter().any(|needle| haystack.windows(needle.len()).any(|window| window == needle))
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.is_file() && !path.ends_with("demo.json") {
            found.push(path);
        }
    }
}

struct Planter<'a> {
    demo: &'a Demo,
    client: reqwest::Client,
    answers: Vec<String>,
}

impl Planter<'_> {
    async fn send(&mut self, request: reqwest::RequestBuilder) -> String {
        let answer = request.send().await.expect("an answer");
        let headers = format!("{:?}", answer.headers());
        let text = answer.text().await.expect("a body");
        self.answers.push(headers);
        self.answers.push(text.clone());
        text
    }

    async fn call(&mut self, tool: &str, args: &Value) -> String {
        let url = format!("{}/api/v1/tools/{tool}", self.demo.text("/base_url"));
        self.send(self.client.post(url).bearer_auth(self.demo.customer_key()).json(args)).await
    }

    async fn get(&mut self, path: &str, key: &str) -> String {
        let url = format!("{}{path}", self.demo.text("/base_url"));
        self.send(self.client.get(url).bearer_auth(key)).await
    }
}

#[tokio::test]
async fn p10_no_planted_secret_is_ever_found_again() {
    nothing_is_found_again(Demo::start().await, |_| "log.db").await;
}

#[tokio::test]
async fn postgres_p10_no_planted_secret_is_ever_found_again() {
    let server = Cluster::start().await;
    let url = server.fresh_database().await;
    // What the database holds, and what its server has written about it.
    let bring = |demo: &Demo| {
        let dump =
            Command::new(tools::find("FORELOG_TEST_POSTGRES_BIN").join("pg_dump")).arg(&url).output().expect("run pg_dump");
        assert!(dump.status.success(), "{dump:?}");
        std::fs::write(demo.data().join("dump.sql"), dump.stdout).expect("the dump");
        std::fs::write(demo.data().join("server.log"), server.log()).expect("the server's log");
        "dump.sql"
    };
    nothing_is_found_again(Demo::start_on(&url).await, bring).await;
}

/// `bring` puts what lies elsewhere beside the demo's own files, and names the one that the log is in.
async fn nothing_is_found_again(demo: Demo, bring: impl FnOnce(&Demo) -> &'static str) {
    let vm = demo.text("/vms/0/id").to_owned();
    let staff = demo.text("/staff/api_key").to_owned();
    let customer = demo.customer_key().to_owned();
    let mut planter = Planter { demo: &demo, client: reqwest::Client::new(), answers: Vec::new() };

    // Where nothing belongs: unknown arguments, wrong types, unknown tools, keys, values and nested places.
    planter.call("vm_get", &json!({ "vm_id": vm, "password": SECRET })).await;
    planter.call("vm_get", &json!({ "vm_id": { "token": SECRET } })).await;
    planter.call("vm_get", &json!({ "vm_id": vm, SECRET: [1, { "deep": SECRET }] })).await;
    planter.call("vm_power", &json!({ "vm_id": vm, "action": SECRET })).await;
    planter.call(SECRET, &json!({})).await;
    planter.call("vm_get", &json!({ "vm_id": SECRET })).await;
    planter.call("vm_exec_set", &json!({ "vm_id": vm, "enabled": true, "confirmation": SECRET })).await;
    planter.call("command_get", &json!({ "command_id": SECRET })).await;
    planter.call("operation_get", &json!({ "operation_id": SECRET })).await;
    planter.call("activity_list", &json!({ "vm": SECRET, "q": SECRET })).await;
    planter.call("vm_get", &json!({ "vm_id": vm, "idempotency_key": SECRET })).await;
    let url = format!("{}/api/v1/tools/vm_get?api_key={SECRET}", demo.text("/base_url"));
    planter.send(planter.client.post(&url).bearer_auth(SECRET).json(&json!({}))).await;
    planter.send(planter.client.post(&url).bearer_auth(&customer).header("X-Secret", SECRET).body(SECRET)).await;

    // Content: for its customer alone, encrypted at rest, and without what looks like a token.
    let phrase = format!("ENABLE MCP EXEC {vm}");
    planter.call("vm_exec_set", &json!({ "vm_id": vm, "enabled": true, "confirmation": phrase })).await;
    let answers_before = planter.answers.len();
    let ran = planter.call("vm_exec", &json!({ "vm_id": vm, "command": format!("echo {CONTENT} {TOKEN}") })).await;
    assert!(ran.contains(CONTENT), "the command ran: {ran}");
    planter.answers.truncate(answers_before);
    let call: Value = {
        let listed = planter.get("/api/v1/calls?tool=vm_exec", &customer).await;
        serde_json::from_str(&listed).expect("a page of calls")
    };
    let id = call.pointer("/items/0/call_id").and_then(Value::as_str).unwrap_or_else(|| panic!("no call in {call}")).to_owned();
    let timeline =
        planter.client.get(format!("{}/api/v1/calls/{id}", demo.text("/base_url"))).bearer_auth(&customer).send().await;
    let timeline = timeline.expect("the timeline").text().await.expect("its text");
    assert!(timeline.contains(CONTENT), "its customer sees the command: {timeline}");
    assert!(!timeline.contains(TOKEN), "tokens are scrubbed even there");

    // Everything that anybody can be told.
    for path in ["/api/v1/calls", "/api/v1/keys", "/api/v1/switches", "/metrics", "/readyz", "/healthz", "/api/v1/openapi.json"] {
        planter.get(path, &staff).await;
    }
    let told = planter.answers.join("\n");
    for canary in [SECRET, CONTENT, TOKEN] {
        for answer in told.lines() {
            assert!(!holds(answer.as_bytes(), canary), "an answer holds {canary}: {answer}");
        }
    }
    let log = bring(&demo);
    let mut written = Vec::new();
    files(demo.data(), &mut written);
    let of_log = |file: &&PathBuf| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(log));
    let in_log = written.iter().filter(of_log).any(|file| holds(&std::fs::read(file).expect("the log"), &id));
    assert!(in_log, "the log is among the files, and what was called in it");
    for file in written {
        let mut bytes = std::fs::read(&file).expect("a file");
        if file.ends_with("demo.log") {
            // The demo shows its example keys on purpose; its log lines, which are JSON, must not.
            let text = String::from_utf8(bytes).expect("text");
            bytes = text.lines().filter(|line| line.starts_with('{')).collect::<String>().into_bytes();
        }
        // What a command prints lies in the guest, whose disk the simulation keeps in this directory.
        let guest = file.extension().is_some_and(|kind| kind == "stdout" || kind == "stderr");
        let content: &[&str] = if guest { &[] } else { &[CONTENT, TOKEN] };
        for canary in [SECRET, customer.as_str(), staff.as_str()].iter().chain(content) {
            assert!(!holds(&bytes, canary), "{} holds {canary}", file.display());
        }
    }
}
