//! Traces reach a collector over OTLP, and a call's span is a child of the span that its caller named.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use serde_json::json;
use tokio::sync::watch;

use crate::demo::Demo;

type Received = Arc<watch::Sender<Vec<u8>>>;

/// A collector that keeps what it is sent, as it is sent.
async fn collector() -> (String, Received) {
    let received: Received = Arc::new(watch::Sender::new(Vec::new()));
    let keep = |State(received): State<Received>, body: Bytes| async move {
        received.send_modify(|all| all.extend_from_slice(&body));
    };
    let router =
        Router::new().route("/v1/traces", post(keep)).route("/v1/metrics", post(|| async {})).with_state(Arc::clone(&received));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (endpoint, received)
}

#[tokio::test]
async fn traces_of_calls_continue_the_callers_trace() {
    let (endpoint, received) = collector().await;
    let demo = Demo::start_with(&[("FORELOG_TELEMETRY__ENDPOINT", &endpoint)]).await;
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "vm_list", "arguments": {}, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "traceparent": format!("00-{trace}-{parent}-01"),
    } } });
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
    // In OTLP's protobuf both ids are their raw bytes.
    let wanted: Vec<Vec<u8>> =
        [trace, parent].into_iter().map(|id| hex::decode(id).expect("hex")).chain([b"tools/call vm_list".to_vec()]).collect();
    let has = |all: &Vec<u8>| wanted.iter().all(|needle| all.windows(needle.len()).any(|window| window == *needle));
    let mut watching = received.subscribe();
    let arrived = tokio::time::timeout(Duration::from_secs(30), watching.wait_for(has)).await;
    assert!(arrived.is_ok(), "the span never arrived at the collector");
}
