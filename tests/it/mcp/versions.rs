//! The versions of the protocol: each is spoken, and what is not known is answered.

use forelog::core::event::EventKind;
use forelog::core::principal::Via;
use forelog::core::protocol::Protocol;
use serde_json::json;

use super::{LEGACY, MODERN, Session, call, initialize, modern, names, request};
use crate::harness::{TestApp, send};

#[tokio::test]
async fn mcp_speaks_every_version() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    for version in LEGACY {
        let session = Session::begin(&app, &key, version).await;
        let list = session.ask(1, "tools/list", json!({})).await.rpc();
        assert_eq!(names(&list), ["operation_get", "probe_queued", "probe_read", "probe_write", "vm_rename"], "{version}");
        let done = session.ask(2, "tools/call", json!({ "name": "probe_write", "arguments": { "text": "x" } })).await.rpc();
        let result = &done["result"];
        assert_eq!((&result["structuredContent"], &result["isError"]), (&json!({ "ran": 1 }), &json!(false)), "{version}");
        assert_eq!(result["content"][0]["text"], "{\"ran\":1}", "{version}");
    }
    let discovered = send(modern(&app, &key, "/mcp", &request(1, "server/discover", json!({})))).await.rpc();
    assert_eq!(discovered["result"]["supportedVersions"].as_array().map(Vec::len), Some(5), "{discovered}");
    let answer = send(modern(&app, &key, "/mcp", &call(2, "probe_write", json!({})))).await;
    assert_eq!(answer.header("mcp-session-id"), "", "there are no sessions any more");
    let result = &answer.rpc()["result"];
    assert_eq!((&result["structuredContent"], &result["resultType"]), (&json!({ "ran": 1 }), &json!("complete")));
    assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "forelog");

    let mut versions = Vec::new();
    for event in app.events("intent_recorded").await {
        let EventKind::IntentRecorded(intent) = event.kind else { continue };
        assert_eq!((intent.via, intent.session.is_some()), (Via::Mcp, intent.protocol != Some(Protocol::V2026_07_28)));
        versions.extend(intent.protocol.map(Protocol::as_str));
    }
    assert_eq!(versions, [&LEGACY[..], &[MODERN]].concat(), "each call is recorded with its version");
}

#[tokio::test]
async fn mcp_an_unknown_version_is_answered_with_the_newest_that_has_a_handshake() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let answer = send(app.rpc(&key, &initialize("1999-01-01"))).await;
    assert_eq!(answer.rpc()["result"]["protocolVersion"], "2025-11-25");
}
