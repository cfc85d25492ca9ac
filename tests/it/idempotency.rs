//! The key by which a call may be repeated: as an argument everywhere, as a header over REST too. It is never ignored.

use forelog::core::scope::Scope;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{ACCEPT, TestApp, send};

const HEADER: &str = "idempotency-key";

#[tokio::test]
async fn idempotency_key_of_the_header_is_the_argument() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let ask = |header: &[&str], args: Value| {
        let request = app.ask(&key, Method::POST, "/api/v1/tools/probe_write").json(&args);
        send(header.iter().fold(request, |request, value| request.header(HEADER, *value)))
    };
    let first = ask(&["once"], json!({ "text": "x" })).await;
    assert_eq!(first.status, StatusCode::OK, "{first:?}");
    for again in [
        ask(&["once"], json!({ "text": "x" })).await,
        ask(&[], json!({ "text": "x", "idempotency_key": "once" })).await,
        ask(&["once"], json!({ "text": "x", "idempotency_key": "once" })).await,
        ask(&["once"], json!({ "text": "x", "idempotency_key": null })).await,
    ] {
        assert_eq!(again.json(), first.json(), "{again:?}");
    }
    assert_eq!(app.test_node.world.executed().len(), 1, "it ran once");
    let other = ask(&["once"], json!({ "text": "y" })).await;
    assert_eq!((other.status, other.code().as_str()), (StatusCode::CONFLICT, "idempotency_conflict"));
    let long = "x".repeat(65);
    for (headers, args) in [
        (&["one"][..], json!({ "idempotency_key": "two" })),
        (&["one", "two"], json!({})),
        (&["one", "one"], json!({})),
        (&[""], json!({})),
        (&["b\u{fc}cher"], json!({})),
        (&[&long], json!({})),
        (&["one"], json!({ "idempotency_key": 7 })),
    ] {
        let answer = ask(headers, args).await;
        assert!(matches!(answer.status.as_u16(), 400 | 422), "{headers:?}: {answer:?}");
        assert_eq!(answer.code(), "validation_failed", "{headers:?}");
        assert!(answer.json()["error"]["call_id"].is_string(), "an authenticated call is on record: {answer:?}");
    }
    assert_eq!(app.test_node.world.executed().len(), 1);
}

#[tokio::test]
async fn idempotency_key_is_honoured_by_every_route_that_is_a_tool() {
    let app = TestApp::start().await;
    let key = app.key(|key| key.scopes.extend([Scope::KeysWrite])).await;
    let make = |header: &str| {
        let body = json!({ "label": "x", "scopes": ["vms:read"] });
        send(app.ask(&key, Method::POST, "/api/v1/keys").header(HEADER, header).json(&body))
    };
    assert_eq!(make("once").await.status, StatusCode::CREATED);
    let again = make("once").await;
    assert_eq!((again.status, again.code().as_str()), (StatusCode::CONFLICT, "already_delivered"), "{again:?}");
    // One that takes none says so.
    for (method, path) in [(Method::GET, "/api/v1/approvals"), (Method::POST, "/api/v1/tools/operation_get")] {
        let answer = send(app.ask(&key, method, path).header(HEADER, "x").json(&json!({ "operation_id": "call_x" }))).await;
        assert_eq!(answer.code(), "validation_failed", "{path}: {answer:?}");
        assert!(answer.text.contains("Idempotency-Key"), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn idempotency_key_over_mcp_is_the_argument_and_the_header_may_only_say_the_same() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let call = |header: Option<&str>, args: Value, plain: bool| {
        let mut meta =
            json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {} });
        if !plain {
            meta["traceparent"] = json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        }
        let params = json!({ "name": "probe_write", "arguments": args, "_meta": meta });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let request = app.ask(&key, Method::POST, "/mcp").header("accept", ACCEPT).json(&message);
        let request = request.header("mcp-protocol-version", "2026-07-28").header("mcp-method", "tools/call");
        let request = request.header("mcp-name", "probe_write");
        send(header.into_iter().fold(request, |request, value| request.header(HEADER, value)))
    };
    for plain in [true, false] {
        for args in [json!({}), json!({ "idempotency_key": "other" })] {
            let result = call(Some("once"), args, plain).await.rpc()["result"].clone();
            assert_eq!(result["structuredContent"]["error"]["code"], "validation_failed", "{result}");
        }
        let same = call(Some("once"), json!({ "idempotency_key": "once" }), plain).await.rpc()["result"].clone();
        assert_eq!(same["structuredContent"], json!({ "ran": 1 }), "{same}");
    }
    assert_eq!(app.test_node.world.executed().len(), 1);
    assert_eq!(app.events("intent_recorded").await.len(), 6);
}
