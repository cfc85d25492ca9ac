//! What a call is answered with: the same with rmcp and without, where a person answers, and nothing large.

use std::time::Duration;

use forelog::http::Settings;
use serde_json::{Value, json};

use super::{Session, call, initialize, modern, request};
use crate::harness::{TestApp, generous, send};

/// Calls that are answered without rmcp, and the same with a trace, which is what makes rmcp answer them.
#[tokio::test]
async fn mcp_a_plain_call_is_answered_as_rmcp_answers_it() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let calls = [("probe_read", json!({})), ("probe_read", json!({ "sudo": true })), ("probe_write", json!({}))];
    for (tool, args) in calls {
        let message = call(1, tool, args);
        let plain = send(modern(&app, &key, "/mcp", &message)).await;
        assert_eq!(plain.header("content-type"), "application/json", "{tool} is answered without a stream");
        let mut traced = message.clone();
        traced["params"]["_meta"]["traceparent"] = json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let streamed = send(modern(&app, &key, "/mcp", &traced)).await;
        assert_eq!(streamed.header("content-type"), "text/event-stream", "{tool} is answered by rmcp");
        assert_eq!(without_ids(&plain.rpc()), without_ids(&streamed.rpc()), "{tool}");
        assert!(plain.rpc()["result"]["structuredContent"].is_object(), "{tool}: {plain:?}");
    }
}

/// Two calls differ in their ids alone.
fn without_ids(document: &Value) -> String {
    let text = document.to_string();
    let ids: Vec<String> =
        text.match_indices("\"call_0").filter_map(|(at, _)| text.get(at..at + 32)).map(str::to_owned).collect();
    ids.iter().fold(text, |text, id| text.replace(id, "\"call"))
}

#[tokio::test]
async fn mcp_a_held_call_shows_its_user_where_a_person_answers() {
    let app = TestApp::with(Settings { wait: Duration::from_secs(1), ..generous() }).await;
    let key = app.key(|_| {}).await;
    app.test_node.world.hold(Some(forelog::core::hold::Hold::new("it interrupts service")));
    for (capabilities, shown) in [(json!({ "elicitation": { "url": {} } }), 1), (json!({ "elicitation": {} }), 0), (json!({}), 0)]
    {
        let mut begin = initialize("2025-11-25");
        begin["params"]["capabilities"] = capabilities;
        let id = send(app.rpc(&key, &begin)).await.header("mcp-session-id").to_owned();
        let session = Session { app: &app, key: &key, id, version: "2025-11-25" };
        send(session.post(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))).await;
        let answer = session.ask(1, "tools/call", json!({ "name": "probe_write", "arguments": {} })).await;
        let messages = answer.messages();
        let asked: Vec<_> = messages.iter().filter(|message| message["method"] == "elicitation/create").collect();
        assert_eq!(asked.len(), shown, "{messages:?}");
        let error = &answer.rpc()["result"]["structuredContent"]["error"];
        assert_eq!(error["code"], "approval_required", "{error}");
        for asked in asked {
            assert_eq!((&asked["params"]["mode"], &asked["params"]["url"]), (&json!("url"), &error["details"]["url"]));
            assert_eq!(asked["params"]["elicitationId"], error["details"]["operation_id"]);
        }
    }
}

/// What a client says of itself is kept as long as its session, and what it says of a call as long as that: neither is large.
#[tokio::test]
async fn mcp_messages_say_little_beside_arguments() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let fat: Vec<u8> = vec![0; 50_000];
    let mut hello = initialize("2025-11-25");
    hello["params"]["capabilities"] = json!({ "experimental": { "a": { "b": fat } } });
    let answer = send(app.rpc(&key, &hello)).await;
    assert_eq!((answer.status.as_u16(), answer.header("mcp-session-id")), (400, ""), "{answer:?}");
    let call = json!({ "name": "probe_read", "arguments": {}, "_meta": { "x": fat } });
    let answer = send(app.rpc(&key, &request(1, "tools/call", call))).await;
    assert_eq!(answer.status.as_u16(), 400, "{answer:?}");
    assert!(app.test_node.world.executed().is_empty());
}
