//! Traces reach a collector over OTLP, and a call's span is a child of the span that its caller named.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use forelog::http::Tls;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::demo::Demo;

type Received = Arc<watch::Sender<Vec<u8>>>;

/// What keeps what it is sent, as it is sent.
fn keeping() -> (Router, Received) {
    let received: Received = Arc::new(watch::Sender::new(Vec::new()));
    let keep = |State(received): State<Received>, body: Bytes| async move {
        received.send_modify(|all| all.extend_from_slice(&body));
    };
    let router =
        Router::new().route("/v1/traces", post(keep)).route("/v1/metrics", post(|| async {})).with_state(Arc::clone(&received));
    (router, received)
}

async fn collector() -> (String, Received) {
    let (router, received) = keeping();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (endpoint, received)
}

/// Makes a call over MCP, with this beside what every request says of itself.
async fn call(demo: &Demo, beside: &Value) {
    let mut body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "vm_list", "arguments": {}, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    } } });
    let meta = body["params"]["_meta"].as_object_mut().expect("an object");
    meta.extend(beside.as_object().cloned().unwrap_or_default());
    let sent = reqwest::Client::new()
        .post(demo.mcp_url())
        .bearer_auth(demo.customer_key())
        .header("Accept", "application/json, text/event-stream")
        .header("MCP-Protocol-Version", "2026-07-28")
        .header("Mcp-Method", "tools/call")
        .header("Mcp-Name", "vm_list")
        .json(&body)
        .send();
    assert!(sent.await.expect("an answer").status().is_success());
}

#[tokio::test]
async fn traces_of_calls_continue_the_callers_trace() {
    let (endpoint, received) = collector().await;
    let demo = Demo::start_with(&[("FORELOG_TELEMETRY__ENDPOINT", &endpoint)]).await;
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    call(&demo, &json!({ "traceparent": format!("00-{trace}-{parent}-01") })).await;
    // In OTLP's protobuf both ids are their raw bytes.
    let wanted: Vec<Vec<u8>> =
        [trace, parent].into_iter().map(|id| hex::decode(id).expect("hex")).chain([b"tools/call vm_list".to_vec()]).collect();
    let has = |all: &Vec<u8>| wanted.iter().all(|needle| all.windows(needle.len()).any(|window| window == *needle));
    let mut watching = received.subscribe();
    let arrived = tokio::time::timeout(Duration::from_secs(30), watching.wait_for(has)).await;
    assert!(arrived.is_ok(), "the span never arrived at the collector");
}

#[tokio::test]
async fn traces_reach_a_collector_over_tls_and_what_is_left_is_sent_at_the_end() {
    let pair = crate::tls::Pair::new();
    let (router, received) = keeping();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("https://{}", listener.local_addr().expect("an address"));
    let tls = Tls::open(pair.chain(), pair.key()).await.expect("a certificate");
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    tokio::spawn(forelog::http::serve(listener, router, Some(tls.served()), Arc::default(), stopped));
    let chain = pair.chain();
    let trusted = ("SSL_CERT_FILE", chain.to_str().expect("a path"));
    let demo = Demo::start_with(&[("FORELOG_TELEMETRY__ENDPOINT", &endpoint), trusted]).await;
    call(&demo, &json!({})).await;
    // Spans wait for their batch longer than this takes, so it is the end that sends them.
    let lines = demo.stop().await;
    let needle = b"tools/call vm_list";
    let has = received.borrow().windows(needle.len()).any(|window| window == needle);
    assert!(has, "no span arrived at the collector: {lines}");
}

/// What no reader of traces or lines is to see, whatever `RUST_LOG` asks for: a command, and what it answered.
const CANARY: &str = "patient-4711";

#[tokio::test]
async fn traces_and_lines_hold_no_argument_and_no_result_of_a_call() {
    let (endpoint, received) = collector().await;
    let demo = Demo::start_with(&[("FORELOG_TELEMETRY__ENDPOINT", &endpoint), ("RUST_LOG", "trace")]).await;
    let http = reqwest::Client::new();
    let post = async |headers: &[(&str, &str)], body: &serde_json::Value| {
        let asked =
            http.post(demo.mcp_url()).bearer_auth(demo.customer_key()).header("Accept", "application/json, text/event-stream");
        let asked = headers.iter().fold(asked, |asked, (name, value)| asked.header(*name, *value));
        let answer = asked.json(body).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
        let session = answer.headers().get("mcp-session-id").map(|id| id.to_str().expect("text").to_owned());
        (session, answer.text().await.expect("a text"))
    };
    let version = ("MCP-Protocol-Version", "2025-11-25");
    let client = json!({ "protocolVersion": version.1, "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } });
    let (session, _) = post(&[], &json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client })).await;
    let session = session.expect("a session");
    let within = [version, ("Mcp-Session-Id", session.as_str())];
    post(&within, &json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
    let vm = &demo.document()["vms"][0]["id"];
    let allow = http.post(format!("{}/api/v1/tools/vm_exec_set", demo.text("/base_url"))).bearer_auth(demo.customer_key());
    let allowed = allow
        .json(
            &json!({ "vm_id": vm, "enabled": true, "confirmation": format!("ENABLE MCP EXEC {}", vm.as_str().expect("an id")) }),
        )
        .send()
        .await
        .expect("an answer");
    assert!(allowed.status().is_success(), "{}", allowed.status());
    let mut call = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {
        "name": "vm_exec", "arguments": { "vm_id": vm, "command": format!("echo {CANARY}") },
    } });
    assert!(post(&within, &call).await.1.contains(CANARY), "the caller is answered");
    call["params"]["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
    });
    let modern = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call"), ("Mcp-Name", "vm_exec")];
    assert!(post(&modern, &call).await.1.contains(CANARY), "the caller is answered");
    let ended = http.delete(demo.mcp_url()).bearer_auth(demo.customer_key()).header(version.0, version.1);
    assert!(ended.header(within[1].0, within[1].1).send().await.expect("an answer").status().is_success());

    let lines = demo.stop().await;
    let holds = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let traces = received.borrow().clone();
    assert!(holds(&traces, "tools/call vm_exec"), "the calls are in the traces");
    assert!(!holds(&traces, CANARY), "traces hold a command or its output");
    assert!(!lines.contains(CANARY), "lines hold a command or its output");
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_lines_of_calls_are_all_written() {
    let url = crate::postgres::fresh_database().await;
    let data = crate::local_admin::Data::new(Some(&url));
    let key = data.answer(&["key", "create", "--account", &data.account, "--label", "agent"]);
    let errors = data.path().join("serve.log");
    let server = crate::cli::Server::start(&data.at(&["serve"]), &errors).await;
    for _ in 0..40 {
        let answer = server.call(key["api_key"].as_str().expect("a key"), "vm_list", json!({})).await;
        assert!(answer["items"].is_array(), "{answer}");
    }
    server.stop().await;
    let said = std::fs::read_to_string(errors).expect("what it logged");
    assert_eq!(said.matches("\"target\":\"forelog::call\"").count(), 40, "{said}");
}
