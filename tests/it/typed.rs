//! What people and programs type is taken as it was typed: scrubbed before it is folded or cut (P10), and never taken for
//! nothing because it cannot be read.

use forelog::core::id::Position;
use forelog::export::filter::Filter;
use forelog::export::jsonl::export;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::console::{ConsoleServer, staff_key};
use crate::harness::send;

/// Everything that was recorded, opened.
async fn recorded(house: &ConsoleServer) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    let reader = &house.app.node().control.ports.reader;
    export(reader, Filter::default(), true, dir.path(), |_, _| ()).await.expect("an export");
    std::fs::read_to_string(dir.path().join("events.jsonl")).expect("the lines")
}

/// Letters and digits alone, small: however a text was folded, this is left of it.
fn folded(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_an_export_records_no_secret_of_its_line() {
    let house = ConsoleServer::open().await;
    let staff = staff_key(&house).await;
    let tail = crate::scrub::random("", 40, 7);
    let secrets = [
        format!("dop_v1_{}", "0123456789abcdef".repeat(4)),
        format!("glpat-{}", &tail[..20]),
        format!("npm_{}", &tail[..36]),
        format!("xoxb-123456789012-{}", &tail[..24]),
        format!("sk-proj-{tail}{tail}"),
        format!("hf_{}", "AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGh"),
        format!("password={tail}"),
        format!("https://bob:{tail}@host.example/x"),
    ];
    for secret in &secrets {
        for (key, reason) in [(&house.one.key, None), (&staff, Some("a ticket"))] {
            let client = reqwest::Client::builder().no_proxy().build().expect("a client");
            let mut body = json!({ "q": format!("\"{secret}\" tool:vm_get"), "form": "csv" });
            if let Some(reason) = reason {
                body["reason"] = reason.into();
            }
            let made = send(client.post(format!("{}/api/v1/exports", house.base)).bearer_auth(key).json(&body)).await;
            assert!(made.status.is_success(), "{made:?}");
            let id = made.json()["id"].as_str().expect("an id").to_owned();
            let file = house.read(key, &format!("/api/v1/exports/{id}/download?reason=it")).await;
            assert_eq!(file.status, StatusCode::OK, "the file is made again from what was recorded: {file:?}");
            for path in [format!("/api/v1/calls/{id}?reason=it"), "/api/v1/exports?reason=it".to_owned()] {
                let shown = house.read(key, &path).await;
                assert_eq!(shown.status, StatusCode::OK, "{shown:?}");
                let body = secret.rsplit(['_', '-', '=', ':']).next().expect("a tail").split('@').next().expect("a tail");
                assert!(!folded(&shown.text).contains(&folded(body)[..16]), "{secret} in {path}: {}", shown.text);
            }
        }
    }
    let all = folded(&recorded(&house).await);
    for secret in &secrets {
        let body = secret.rsplit(['_', '-', '=', ':']).next().expect("a tail").split('@').next().expect("a tail");
        assert!(!all.contains(&folded(body)[..16]), "{secret} was recorded");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_an_export_keeps_its_line_with_the_times_written_out() {
    let house = ConsoleServer::open().await;
    house.call(&house.one.key, "vm_get", json!({ "vm_id": house.one.vm })).await;
    let line = "\"Web-1, or so\" tool:\"vm_get\",vm_list 生产-01* last:2d";
    let made = house.rest(&house.one.key, Method::POST, "/exports", Some(json!({ "q": line, "form": "jsonl" }))).await;
    let q = made.json()["q"].as_str().expect("a line").to_owned();
    let (typed, time) = q.rsplit_once(' ').expect("a time");
    assert_eq!(typed, line.trim_end_matches(" last:2d"));
    assert!(time.starts_with("created:>=") && time.ends_with('Z'), "{q}");
    let owner = house.signed_in(&house.one.owner).await;
    let path = "/console/activity?q=%22vm_get%22&tool=vm_get";
    let listing = async {
        loop {
            // The view may not have the call yet, and what nothing fits is not exported.
            let page = owner.page(path).await;
            if page.contains("action=\"/console/exports\"") {
                break page;
            }
        }
    };
    let page = tokio::time::timeout(std::time::Duration::from_secs(20), listing).await.expect("the view has the call");
    assert!(page.contains("value=\"&#34;vm_get&#34; tool:vm_get\""), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_what_is_cut_was_scrubbed_before() {
    let house = ConsoleServer::open().await;
    let token = crate::scrub::random("ghp_", 36, 3);
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    for before in [170, 185, 196, 225, 240, 248] {
        let agent = format!("{} {token}", "a".repeat(before));
        let request = client.post(format!("{}/api/v1/tools/vm_list", house.base)).bearer_auth(&house.one.key);
        send(request.header("user-agent", agent).json(&json!({}))).await;
    }
    let staff = house.signed_in(&house.staff).await;
    for before in [170, 185, 190] {
        let reason = format!("{} {token}", "r".repeat(before));
        assert_eq!(staff.submit("/console/reason", &[("reason", &reason)]).await.status, StatusCode::SEE_OTHER);
        staff.page("/console/search").await;
    }
    let all = recorded(&house).await;
    assert!(all.contains(&"a".repeat(170)), "no user agent was recorded");
    assert!(all.contains(&"r".repeat(170)), "no reason was recorded");
    assert!(!all.contains(&token[..8]), "the head of a token was recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_what_cannot_be_read_in_a_form_is_said_and_nothing_is_done() {
    let house = ConsoleServer::open().await;
    let owner = house.signed_in(&house.one.owner).await;
    let last = async || house.app.node().control.ports.reader.store.head().await.expect("the head").position;
    let mut before = Position(0);
    let mut forms = Vec::new();
    for days in ["-1", "1.5", "99999999999999999999999", "0", "3651", "ten", "+3", "1e3"] {
        forms.push((
            "/console/keys".into(),
            vec![("label", "x"), ("scope", "vms:read"), ("days", days)],
            "id=\"fault-days\" role=\"alert\"",
        ));
    }
    forms.push((
        "/console/keys".into(),
        vec![("label", "x"), ("scope", "vms:read"), ("days", "1"), ("read_only", "true")],
        "role=\"alert\"",
    ));
    let vm = &house.one.vm;
    forms.push((format!("/console/vms/{vm}/exec"), vec![("enabled", "maybe"), ("agreed", "yes")], "validation_failed"));
    forms.push((format!("/console/vms/{vm}/stop"), vec![("reason", "x"), ("running", "now")], "validation_failed"));
    for (path, fields, said) in &forms {
        owner.form_token().await;
        before = before.max(last().await);
        let answer = owner.submit(path, fields).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path} {fields:?}: {answer:?}");
        assert!(answer.text.contains(said), "{answer:?}");
    }
    assert_eq!(last().await, before, "something was done");
    let staff = house.signed_in(&house.staff).await;
    for (name, value) in [("minutes", "1.5"), ("minutes", "-3"), ("running", "maybe")] {
        let fields = [("target", "class:exec"), ("reason", "x"), (name, value)];
        assert_eq!(staff.submit("/console/switches", &fields).await.status, StatusCode::BAD_REQUEST, "{name}={value}");
    }
    let made = owner.submit("/console/keys", &[("label", "for ever"), ("scope", "vms:read"), ("days", "")]).await;
    assert_eq!(made.status, StatusCode::OK, "nothing typed is no end: {made:?}");
    let fields = [("email", "one@example.com"), ("password", "x"), ("account", "mine")];
    assert_eq!(house.browser().post("/console/sign-in", &fields).await.status, StatusCode::BAD_REQUEST);
    let keys: Vec<Value> = house.events("credential_created").await.iter().map(|event| json!(event)).collect();
    assert!(keys.iter().filter(|key| key["role"].is_null() && key["expires_at"].is_null()).count() == 3, "{keys:?}");
}
