//! P10 through the whole server, on both databases: secrets that a command prints or a person types are in no record, page by
//! page, head and tail, control rows and the vault's plain columns included. What is answered is the caller's own, and whole.

use std::path::Path;
use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};

use crate::demo::Demo;
use crate::postgres::fresh_database;
use crate::scrub::random;
use crate::tools;

/// So many characters of a secret together are too many.
const TELLING: usize = 8;

macro_rules! on_both {
    ($($case:ident, $sqlite:ident, $postgres:ident;)*) => {$(
        #[tokio::test]
        async fn $sqlite() {
            $case(Demo::start().await, None).await;
        }

        #[tokio::test]
        async fn $postgres() {
            let url = fresh_database().await;
            $case(Demo::start_on(&url).await, Some(url)).await;
        }
    )*};
}

on_both! {
    no_output_is_recorded_in_halves, operate_no_output_is_recorded_in_halves, postgres_operate_no_output_is_recorded_in_halves;
    no_size_tells_how_long_a_secret_is, operate_no_size_tells_how_long_a_secret_is, postgres_operate_no_size_tells_how_long_a_secret_is;
    nothing_that_people_type_is_kept, operate_nothing_secret_that_people_type_is_kept, postgres_operate_nothing_secret_that_people_type_is_kept;
}

struct House<'a> {
    demo: &'a Demo,
    client: reqwest::Client,
}

impl House<'_> {
    async fn send(&self, who: &str, method: Method, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.demo.text("/base_url"));
        let request = self.client.request(method, url).bearer_auth(self.demo.text(&format!("/{who}/api_key")));
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await.expect("an answer");
        let text = answer.text().await.expect("a body");
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }

    async fn call(&self, who: &str, tool: &str, args: Value) -> Value {
        self.send(who, Method::POST, &format!("/api/v1/tools/{tool}"), args).await
    }

    async fn get(&self, who: &str, path: &str) -> Value {
        self.send(who, Method::GET, path, Value::Null).await
    }

    /// Every call that a customer can read back, with its timeline.
    async fn records(&self) -> Vec<(String, String)> {
        let mut records = Vec::new();
        let listed = self.get("customer", "/api/v1/calls?limit=100").await;
        for call in listed["items"].as_array().expect("calls") {
            let id = call["call_id"].as_str().expect("an id");
            let timeline = self.get("customer", &format!("/api/v1/calls/{id}")).await;
            records.push((call["tool"].as_str().expect("a tool").to_owned(), timeline.to_string()));
        }
        records
    }
}

fn tells<'a>(record: &str, secrets: &'a [String]) -> Option<&'a str> {
    let body = |secret: &'a String| secret.get(secret.len() - 30..).expect("a long secret");
    let parts = |secret: &'a str| (0..=secret.len() - TELLING).map(move |at| &secret[at..at + TELLING]);
    secrets.iter().flat_map(|secret| parts(body(secret))).find(|part| record.contains(part))
}

/// A command that writes `before` bytes in lines, then `line`, then as much again.
fn command(before: usize, line: &str, after: usize) -> String {
    let filler = ".".repeat(63);
    let rest = "-".repeat(before % 64);
    format!("repeat {} {filler}; echo \"{rest}{line}\"; repeat {} {filler}", before / 64, after / 64)
}

async fn no_output_is_recorded_in_halves(demo: Demo, _: Option<String>) {
    let house = House { demo: &demo, client: reqwest::Client::new() };
    let vm = demo.text("/vms/0/id").to_owned();
    let phrase = format!("ENABLE MCP EXEC {vm}");
    house.call("customer", "vm_exec_set", json!({ "vm_id": vm, "enabled": true, "confirmation": phrase })).await;
    let tokens: Vec<String> =
        ["ghs_", "npm_", "rk_live_", "sk-proj-"].iter().zip(1..).map(|(prefix, seed)| random(prefix, 40, seed)).collect();
    let password = random("", 36, 9);

    // Across the end of what is answered at once, of a page of the usual size, and of a tail.
    let exec =
        |at: usize, line: String| house.call("customer", "vm_exec", json!({ "vm_id": vm, "command": command(at, &line, 8192) }));
    let at_end = exec(64 * 1024 - 20, tokens[0].clone()).await;
    let at_page = exec(16 * 1024 - 20, tokens[1].clone()).await;
    let at_bearer = exec(16 * 1024 - 30, format!("Authorization: Bearer {password}")).await;
    let at_tail = exec(4096, tokens[2].clone()).await;
    assert!(at_end["stdout"].as_str().expect("text").ends_with(&tokens[0][..20]), "the answer is whole");
    for command in [&at_end, &at_page, &at_bearer, &at_tail] {
        let (mut offset, mut read) = (json!(0), String::new());
        loop {
            let piece = house
                .call("customer", "command_logs", json!({ "command_id": command["command_id"], "stdout_offset": offset }))
                .await;
            read.push_str(piece["stdout"].as_str().unwrap_or_else(|| panic!("{piece}")));
            offset = piece["next_stdout_offset"].clone();
            if piece["complete"] == true {
                break;
            }
        }
        assert_eq!(read.len() as u64, command["stdout_bytes"].as_u64().expect("a size"), "pages are whole");
    }
    for most in [1, 7, 50] {
        let args = json!({ "command_id": at_page["command_id"], "stdout_offset": 16 * 1024, "max_bytes": most });
        assert_eq!(
            house.call("customer", "command_logs", args).await["stdout"],
            tokens[1][20..]
                .chars()
                .chain("\n.........................................................".chars())
                .take(most)
                .collect::<String>()
        );
    }
    for most in [8192 + 10, 8192 + 20, 8192 + 30] {
        let args = json!({ "command_id": at_tail["command_id"], "stdout_tail_bytes": most });
        let shown = house.call("customer", "command_get", args).await;
        assert_eq!(shown["stdout_tail"].as_str().map(str::len), Some(most), "{shown}");
    }
    // Of a queued command a head and a tail are recorded; a command that runs out of time answers inside an error.
    let queued = format!(
        "{}; echo \"{}\" >&2",
        command(4096 - 25, &format!("postgres://app:{password}@db/app"), 4096 - 60),
        tokens[3].clone().split_at(12).0
    );
    let started = house.call("customer", "command_start", json!({ "vm_id": vm, "command": queued })).await;
    let ended = house.call("customer", "operation_wait", json!({ "operation_id": started["operation_id"] })).await;
    assert_eq!(ended["status"], "succeeded", "{ended}");
    assert_eq!(ended["result"]["stdout_bytes"], Value::Null, "the size would tell how long the password is: {ended}");
    let shown = house.call("customer", "command_get", json!({ "command_id": started["operation_id"] })).await;
    let size = json!(4071 + 15 + 36 + 7 + 1 + 4032);
    assert_eq!(shown["stdout_bytes"], size, "the command ran as it was written: {shown}");
    let late =
        json!({ "vm_id": vm, "command": format!("{}; sleep 60", command(64 * 1024 - 12, &tokens[3], 64)), "timeout_seconds": 1 });
    let late = house.call("customer", "vm_exec", late).await;
    assert!(
        late["error"]["details"]["result"]["stdout"].as_str().is_some_and(|text| text.ends_with(&tokens[3][..12])),
        "{}",
        late["error"]["code"]
    );

    // A call that joins another one ends with what is recorded of that.
    let said = format!("sleep 1; echo joined PASSWORD={password}");
    let repeated = json!({ "vm_id": vm, "command": said, "idempotency_key": "twice" });
    let (one, other) =
        tokio::join!(house.call("customer", "vm_exec", repeated.clone()), house.call("customer", "vm_exec", repeated));
    for answer in [one, other] {
        assert!(answer["stdout"].as_str().is_some_and(|text| text.starts_with("joined PASSWORD=")), "{answer}");
    }
    let secrets: Vec<String> = tokens.into_iter().chain([password]).collect();
    let records = house.records().await;
    assert!(records.len() > 20 && records.iter().any(|(_, record)| record.contains("[redacted token]")));
    for (tool, record) in &records {
        assert_eq!(tells(record, &secrets), None, "a record of {tool} tells of a secret: {record}");
    }
    let joined = records.iter().filter(|(_, record)| record.contains("joined PASSWORD=[redacted token]\\n"));
    assert_eq!(joined.count(), 2, "both are recorded");
    let pages = records.iter().filter(|(tool, record)| tool == "command_logs" && record.contains("......"));
    assert!(pages.count() > 6, "the rest of a page is recorded");
    let log = demo.log();
    assert_eq!(log.lines().filter(|line| line.starts_with('{')).find_map(|line| tells(line, &secrets)), None);
}

/// What stands around a secret is recorded, so how long all of it is would say how long the secret is.
async fn no_size_tells_how_long_a_secret_is(demo: Demo, _: Option<String>) {
    let house = House { demo: &demo, client: reqwest::Client::new() };
    let vm = demo.text("/vms/0/id").to_owned();
    let phrase = format!("ENABLE MCP EXEC {vm}");
    house.call("customer", "vm_exec_set", json!({ "vm_id": vm, "enabled": true, "confirmation": phrase })).await;
    let said = |length: usize| format!("echo PASSWORD={}; echo so", random("", length, 7));
    // `PASSWORD=`, the secret, and what else is written; the size that all of it has, and the length of the secret.
    let length = 5_345 - 13;
    let ran = house.call("customer", "vm_exec", json!({ "vm_id": vm, "command": said(length) })).await;
    assert_eq!(ran["stdout_bytes"], 5_345, "{ran}");
    let id = ran["command_id"].clone();
    let logs = house.call("customer", "command_logs", json!({ "command_id": id })).await;
    assert_eq!((&logs["stdout_bytes"], &logs["next_stdout_offset"]), (&json!(5_345), &json!(5_345)), "{logs}");
    let shown = house.call("customer", "command_get", json!({ "command_id": id, "stdout_tail_bytes": 20_000 })).await;
    assert_eq!((&shown["stdout_bytes"], &shown["next_stdout_offset"]), (&json!(5_345), &json!(5_345)), "{shown}");
    // Between the two ends that are recorded of it.
    let far = format!("seq 1 2000; {}; seq 1 2000", said(length));
    for command in [said(length), far] {
        let started = house.call("customer", "command_start", json!({ "vm_id": vm, "command": command })).await;
        assert!(started["operation_id"].is_string(), "{started}");
        let ended = house.call("customer", "operation_wait", json!({ "operation_id": started["operation_id"] })).await;
        assert_eq!((&ended["status"], &ended["result"]["stdout_bytes"]), (&json!("succeeded"), &Value::Null), "{ended}");
        assert_eq!(ended["result"]["stdout_sha256"], Value::Null, "{ended}");
    }
    // Where there is nothing to hide, the size is there.
    let plain = house.call("customer", "vm_exec", json!({ "vm_id": vm, "command": command(65 * 64, "so", 64) })).await;
    let size = plain["stdout_bytes"].as_u64().expect("a size");
    let records = house.records().await;
    for (tool, record) in &records {
        for told in [5_345, length, 5_345 + 2 * 8893] {
            assert!(!record.contains(&format!(":{told}")), "a record of {tool} says {told}: {record}");
        }
    }
    let sized = records.iter().filter(|(tool, record)| tool == "vm_exec" && record.contains(&format!("\"stdout_bytes\":{size}")));
    assert_eq!(sized.count(), 1, "the size of an output without a secret is recorded");
}

async fn nothing_that_people_type_is_kept(demo: Demo, database: Option<String>) {
    let house = House {
        demo: &demo,
        client: reqwest::Client::builder().user_agent(random("agent/1 ghu_", 40, 1)).build().expect("a client"),
    };
    let secrets: Vec<String> = (1..=12)
        .zip([
            "ghu_",
            "glpat-",
            "xapp-1-A",
            "ya29.",
            "SG.",
            "sk_live_",
            "flk_live_",
            "https://u:",
            "password=",
            "token: 1a",
            "npm_",
            "/console/welcome/",
        ])
        .map(|(seed, prefix)| random(prefix, 40, seed) + if prefix == "https://u:" { "@h/" } else { "" })
        .collect();
    let said = |n: usize| format!("it is {} here", secrets[n]);

    let made = house.send("customer", Method::POST, "/api/v1/keys", json!({ "label": said(1), "scopes": ["vms:read"] })).await;
    assert!(made["id"].is_string(), "{made}");
    let rotated = house.call("customer", "key_rotate", json!({ "id": made["id"] })).await;
    assert!(rotated["id"].is_string(), "{rotated}");
    let wish = json!({ "target": "tool:vm_power", "reason": said(2), "message": said(3), "incident": said(4) });
    let engaged = house.send("staff", Method::POST, "/api/v1/switches", wish).await;
    assert!(engaged["id"].is_string(), "{engaged}");
    let vm = demo.text("/vms/0/id");
    let told = house.call("customer", "vm_power", json!({ "vm_id": vm, "action": "start" })).await;
    assert!(told["error"]["message"].as_str().is_some_and(|text| text.contains("[redacted token]")), "{told}");
    let released = format!("/api/v1/switches/{}/release", engaged["id"].as_str().expect("an id"));
    house.send("staff", Method::POST, &released, json!({ "reason": said(5) })).await;
    let kept = house.call("staff", "search_keep", json!({ "name": said(6), "line": said(7) })).await;
    assert!(kept["id"].is_string(), "{kept}");
    house.get("staff", &format!("/api/v1/calls?q={}", secrets[1])).await;
    let refused = house.call("customer", "vm_get", json!({ "vm_id": said(8).replace(' ', "_") })).await;
    assert_eq!(refused["error"]["code"], "vm_not_found", "{refused}");
    house.call("customer", "panic_engage", json!({ "reason": said(9) })).await;
    let signed_in = house.client.post(format!("{}/console/sign-in", demo.text("/base_url")));
    let (email, word) = (demo.text("/staff/email").to_owned(), demo.text("/staff/password").to_owned());
    let fields = [("email", email.as_str()), ("password", word.as_str())];
    signed_in.header("origin", demo.text("/base_url")).form(&fields).send().await.expect("an answer");
    let wrong = [("email", secrets[10].as_str()), ("password", "x")];
    let tried = house.client.post(format!("{}/console/sign-in", demo.text("/base_url"))).header("origin", demo.text("/base_url"));
    tried.form(&wrong).send().await.expect("an answer");

    for (who, path) in [
        ("staff", "/api/v1/switches"),
        ("staff", "/api/v1/keys"),
        ("staff", "/api/v1/events?limit=100"),
        ("staff", "/api/v1/searches"),
    ] {
        let listed = house.get(who, path).await.to_string();
        assert_eq!(tells(&listed, &secrets), None, "{path}: {listed}");
    }
    assert!(house.get("staff", "/api/v1/keys").await.to_string().contains("it is [redacted token] here"));
    if let Some(url) = database {
        let dump =
            Command::new(tools::find("FORELOG_TEST_POSTGRES_BIN").join("pg_dump")).arg(&url).output().expect("run pg_dump");
        assert!(dump.status.success(), "{dump:?}");
        std::fs::write(demo.data().join("dump.sql"), dump.stdout).expect("the dump");
    }
    assert_untold(demo.data(), &secrets);
}

/// No file of the server's own has a part of a secret in it; its standard error may show what it was told on purpose.
fn assert_untold(dir: &Path, secrets: &[String]) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            assert_untold(&path, secrets);
        } else if path.is_file() && !path.ends_with("demo.json") {
            let text = String::from_utf8_lossy(&std::fs::read(&path).expect("a file")).into_owned();
            assert_eq!(tells(&text, secrets), None, "{}", path.display());
        }
    }
}
