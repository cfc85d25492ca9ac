//! Forms of one request that mean the same: what a client accepts, how it names JSON, and a slash at the end.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Key, TestApp, send};
use crate::wire::Wire;

const TYPES: [&str; 5] = [
    "application/json",
    "application/json; charset=utf-8",
    "application/json;charset=UTF-8",
    "APPLICATION/JSON",
    "Application/Json ; profile=x",
];

/// What can be answered, and whether it is a stream where there is a choice.
const ACCEPTS: [Option<&str>; 7] = [
    Some("*/*"),
    Some("application/json"),
    Some("application/*"),
    Some("application/json;q=0.9, text/html"),
    Some("text/event-stream"),
    Some("text/event-stream, */*;q=0.1"),
    Some("Application/JSON, Text/Event-Stream"),
];

fn post(app: &TestApp, key: &Key, path: &str, kind: &str, accept: Option<&str>, body: &Value) -> RequestBuilder {
    let request = app.ask(key, Method::POST, path).header("content-type", kind).body(body.to_string());
    accept.into_iter().fold(request, |request, accept| request.header("accept", accept))
}

fn initialize() -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } } })
}

fn modern(id: i64) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {
        "name": "probe_read", "arguments": {}, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {} } } })
}

fn of_modern(request: RequestBuilder) -> RequestBuilder {
    request.header("mcp-protocol-version", "2026-07-28").header("mcp-method", "tools/call").header("mcp-name", "probe_read")
}

#[tokio::test]
async fn doors_of_mcp_answer_whatever_can_be_answered() {
    let app = TestApp::start().await;
    for path in ["/mcp", "/mcp/", "/mcp/readonly", "/mcp/readonly/"] {
        let key = app.key(|_| {}).await;
        for accept in ACCEPTS {
            let begun = send(post(&app, &key, path, TYPES[0], accept, &initialize())).await;
            assert_eq!(begun.status, StatusCode::OK, "{path} {accept:?}: {begun:?}");
            assert_eq!(begun.rpc()["result"]["protocolVersion"], "2025-11-25", "{path} {accept:?}: {begun:?}");
            let takes_stream =
                accept.is_none_or(|accept| accept.contains("*/*") || accept.to_lowercase().contains("event-stream"));
            let kind = if takes_stream { "text/event-stream" } else { "application/json" };
            assert!(begun.header("content-type").starts_with(kind), "{path} {accept:?}: {begun:?}");
            let session = begun.header("mcp-session-id");
            let with_session = |request: RequestBuilder| request.header("mcp-session-id", session);
            let told = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
            let told = send(with_session(post(&app, &key, path, TYPES[0], accept, &told))).await;
            assert_eq!(told.status, StatusCode::ACCEPTED, "{path} {accept:?}: {told:?}");
            let call =
                json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": { "name": "probe_read", "arguments": {} } });
            let called = send(with_session(post(&app, &key, path, TYPES[0], accept, &call))).await;
            assert!(called.header("content-type").starts_with(kind), "{path} {accept:?}: {called:?}");
            assert_eq!(called.rpc()["result"]["isError"], false, "{path} {accept:?}: {called:?}");
            assert_eq!(called.rpc()["id"], 2);
            let sessionless = send(of_modern(post(&app, &key, path, TYPES[0], accept, &modern(3)))).await;
            assert_eq!(sessionless.rpc()["result"]["isError"], false, "{path} {accept:?}: {sessionless:?}");
        }
        for kind in TYPES {
            let called = send(of_modern(post(&app, &key, path, kind, Some("application/json"), &modern(4)))).await;
            assert_eq!(called.rpc()["result"]["isError"], false, "{path} {kind}: {called:?}");
            let begun = send(post(&app, &key, path, kind, Some("*/*"), &initialize())).await;
            assert_eq!(begun.rpc()["id"], 1, "{path} {kind}: {begun:?}");
        }
    }
}

#[tokio::test]
async fn doors_are_open_to_clients_that_do_not_say_what_they_accept() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let said = "mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: probe_read\r\n";
    let mut wire = Wire::to(app.address).await;
    for (path, body) in [("/mcp", modern(1).to_string()), ("/api/v1/tools/probe_read", "{}".to_owned())] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {}\r\n{said}", key.text);
        let length = body.len();
        wire.send(&format!("{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")).await;
        let answer = wire.answer().await.expect("an answer");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn doors_of_mcp_say_what_they_cannot_answer() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    for accept in ["text/html", "application/json;q=0, text/event-stream;q=0", "image/*"] {
        let answer = send(post(&app, &key, "/mcp", TYPES[0], Some(accept), &initialize())).await;
        assert_eq!(answer.status, StatusCode::NOT_ACCEPTABLE, "{accept}: {answer:?}");
        assert!(answer.json()["error"].is_object(), "{accept}: {answer:?}");
    }
    let answer = send(post(&app, &key, "/mcp", "text/plain", Some("*/*"), &initialize())).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{answer:?}");
    // The standing stream is a stream, and no document.
    let begun = send(post(&app, &key, "/mcp", TYPES[0], Some("*/*"), &initialize())).await;
    for (accept, status) in [("application/json", 406), ("*/*", 200), ("text/event-stream", 200)] {
        let request = app.ask(&key, Method::GET, "/mcp/").header("accept", accept);
        let answer = request.header("mcp-session-id", begun.header("mcp-session-id")).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{accept}");
    }
}

#[tokio::test]
async fn doors_of_rest_are_as_wide() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    for accept in ACCEPTS.into_iter().chain([Some("text/html")]) {
        for kind in TYPES {
            for path in ["/api/v1/tools/probe_read", "/api/v1/tools/probe_read/"] {
                let answer = send(post(&app, &key, path, kind, accept, &json!({}))).await;
                assert_eq!(answer.status, StatusCode::OK, "{path} {accept:?} {kind}: {answer:?}");
            }
        }
    }
    for path in ["/api/v1", "/api/v1/calls", "/api/v1/calls/live/nothing", "/api/v1/openapi.json", "/api/v1/keys/nobody"] {
        let (plain, slashed) = (app.ask(&key, Method::GET, path), app.ask(&key, Method::GET, &format!("{path}/")));
        let (plain, slashed) = (send(plain).await, send(slashed).await);
        assert_eq!((slashed.status, slashed.text.len()), (plain.status, plain.text.len()), "{path}: {slashed:?}");
    }
    let asked = send(app.ask(&key, Method::GET, "/api/v1/calls/?limit=0")).await;
    assert_eq!((asked.status, asked.code().as_str()), (StatusCode::BAD_REQUEST, "validation_failed"), "the query goes with it");
    for (method, path, status) in [
        (Method::GET, "/api/v1/nowhere/", 404),
        (Method::GET, "/api/v1/calls//", 404),
        (Method::PUT, "/api/v1/calls/", 405),
        (Method::GET, "/mcp/nowhere/", 404),
    ] {
        let answer = send(app.ask(&key, method, path)).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {answer:?}");
        assert!(!answer.code().is_empty());
    }
    assert_eq!(send(app.bare(Method::GET, "/api/v1/calls/")).await.status, StatusCode::UNAUTHORIZED);
}
