//! A held call of a client that speaks 2026-07-28: its user is sent to a person with a result, and it comes back with another
//! call, which ends as the first one does and runs nothing itself.

use std::path::Path;
use std::time::Duration;

use forelog::core::event::{Event, EventKind};
use forelog::core::hold::Hold;
use forelog::http::Settings;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::{ACCEPT, Key, TestApp, generous, send};
use crate::tools;

const MODERN: &str = "2026-07-28";
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A product whose policies ask for a person, an agent's key, and the key of a person.
async fn held(wait: Duration) -> (TestApp, Key, Key) {
    let app = TestApp::with(Settings { wait, ..generous() }).await;
    app.test_node.world.hold(Some(Hold::new("it interrupts service")));
    let agent = app.key(|_| {}).await;
    let person = app.answering().await;
    (app, agent, person)
}

/// `tools/call` with what a client of 2026-07-28 says of itself. With a trace it is not a plain call, and rmcp answers it.
async fn call(app: &TestApp, key: &Key, params: Value, elicitation: Value, traced: bool) -> Value {
    let mut params = params;
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": { "elicitation": elicitation },
    });
    if traced {
        params["_meta"]["traceparent"] = json!(TRACE);
    }
    let name = params["name"].as_str().expect("a name").to_owned();
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let request = app.ask(key, Method::POST, "/mcp").header("accept", ACCEPT).json(&message);
    let request = request.header("mcp-protocol-version", MODERN).header("mcp-method", "tools/call").header("mcp-name", name);
    send(request).await.rpc()
}

async fn ask(app: &TestApp, key: &Key, text: &str) -> String {
    let params = json!({ "name": "probe_write", "arguments": { "text": text } });
    let answer = call(app, key, params, json!({ "url": {} }), false).await;
    assert_eq!(answer["result"]["resultType"], "input_required", "{answer}");
    answer["result"]["requestState"].as_str().expect("a state").to_owned()
}

async fn come_back(app: &TestApp, key: &Key, text: &str, state: &str) -> Value {
    let params = json!({
        "name": "probe_write", "arguments": { "text": text },
        "inputResponses": { "approval": { "action": "accept" } }, "requestState": state,
    });
    call(app, key, params, json!({ "url": {} }), false).await["result"].clone()
}

async fn say(app: &TestApp, person: &Key, call: &str, verdict: &str) {
    let body = json!({ "verdict": verdict, "reason": "looked at" });
    let answer = send(app.ask(person, Method::POST, &format!("/api/v1/approvals/{call}")).json(&body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn code(result: &Value) -> &str {
    result["structuredContent"]["error"]["code"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn rounds_a_client_is_sent_to_a_person_and_comes_back_for_the_result() {
    let (app, agent, person) = held(Duration::from_secs(20)).await;
    for traced in [false, true] {
        let params = json!({ "name": "probe_write", "arguments": { "text": "hello" } });
        let answer = call(&app, &agent, params, json!({ "url": {} }), traced).await;
        let result = &answer["result"];
        assert_eq!(result["resultType"], "input_required", "traced {traced}: {answer}");
        let first = result["requestState"].as_str().expect("a state");
        let asked = &result["inputRequests"]["approval"];
        assert_eq!((&asked["method"], &asked["params"]["mode"]), (&json!("elicitation/create"), &json!("url")), "{asked}");
        assert_eq!(asked["params"]["url"], json!(format!("https://forelog.example/console/approvals/{first}")));
        // It went with 2026-07-28; rmcp's type still writes it.
        assert_eq!(asked["params"]["elicitationId"].as_str().unwrap_or_default(), "", "{asked}");
        let before = app.test_node.world.executed().len();

        say(&app, &person, first, "approve").await;
        let done = come_back(&app, &agent, "hello", first).await;
        assert_eq!((&done["resultType"], &done["isError"]), (&json!("complete"), &json!(false)), "{done}");
        assert_eq!(app.test_node.world.executed().len(), before + 1, "it ran once");
        let second = done["_meta"]["forelog/call_id"].as_str().expect("a call");
        assert_ne!(second, first, "coming back is a call of its own");
        assert!(follows(&app.test_node.log().await, second, first));
    }
}

fn follows(log: &[Event], call: &str, first: &str) -> bool {
    log.iter().any(|event| match &event.kind {
        EventKind::IntentRecorded(intent) => {
            intent.call.as_str() == call && intent.follows.as_ref().is_some_and(|follows| follows.as_str() == first)
        }
        _ => false,
    })
}

#[tokio::test]
async fn rounds_who_comes_back_too_early_is_told_where_to_look() {
    let (app, agent, person) = held(Duration::from_millis(300)).await;
    let first = ask(&app, &agent, "early").await;
    let early = come_back(&app, &agent, "early", &first).await;
    assert_eq!((&early["resultType"], code(&early)), (&json!("complete"), "approval_required"), "nobody is asked in a circle");
    assert_eq!(early["structuredContent"]["error"]["details"]["operation_id"], json!(first));
    say(&app, &person, &first, "reject").await;
    let mut refused = come_back(&app, &agent, "early", &first).await;
    // Its end is read from the views, which may need longer than a call may wait here.
    while refused["structuredContent"]["status"] == "running" {
        refused = come_back(&app, &agent, "early", &first).await;
    }
    assert_eq!(code(&refused), "approval_rejected", "{refused}");
    assert!(app.test_node.world.executed().is_empty());
    assert_eq!(app.events("held").await.len(), 1, "one person was asked once");
}

#[tokio::test]
async fn rounds_follow_only_a_call_of_the_same_key_tool_and_arguments() {
    let (app, agent, person) = held(Duration::from_secs(20)).await;
    let first = ask(&app, &agent, "mine").await;
    say(&app, &person, &first, "approve").await;
    app.test_node.world.executed_at_least(1).await;
    let other = app.key(|_| {}).await;
    let stranger = app.stranger(forelog::core::principal::Side::Customer).await;
    let never = "call_00000000000000000000000000";
    let tries = [
        (&other, "mine", first.as_str()),
        (&stranger, "mine", &first),
        (&agent, "more", &first),
        (&agent, "mine", never),
        (&agent, "mine", "x"),
    ];
    for (key, text, state) in tries {
        let answer = come_back(&app, key, text, state).await;
        assert_eq!(code(&answer), "operation_not_found", "{text} {state}: {answer}");
    }
    let params = json!({ "name": "probe_read", "arguments": {}, "requestState": first });
    let answer = call(&app, &agent, params, json!({ "url": {} }), false).await;
    assert_eq!(code(&answer["result"]), "operation_not_found", "{answer}");
    assert_eq!(app.test_node.world.executed().len(), 1);
    assert_eq!(app.events("refused").await.len(), 6, "each is in the log");
}

#[tokio::test]
async fn rounds_without_links_a_client_waits_as_any_other() {
    let (app, agent, _) = held(Duration::from_millis(100)).await;
    for elicitation in [json!({}), json!({ "form": {} })] {
        for traced in [false, true] {
            let params = json!({ "name": "probe_write", "arguments": {} });
            let answer = call(&app, &agent, params, elicitation.clone(), traced).await;
            assert_eq!(code(&answer["result"]), "approval_required", "{elicitation}: {answer}");
        }
    }
}

/// What the client of `tests/clients/approval.mjs` saw.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Seen {
    protocol: String,
    links: Vec<String>,
    structured_content: Value,
    is_error: bool,
}

/// A real client of both eras, which is asked for a link in two ways.
#[tokio::test]
async fn client_typescript_shows_its_user_who_approves() {
    let (app, agent, person) = held(Duration::from_secs(20)).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/approval.mjs");
    for (version, protocol) in [(None, "2025-11-25"), (Some(MODERN), MODERN)] {
        for (verdict, code) in [("approve", ""), ("reject", "approval_rejected")] {
            let mut command = Command::new(tools::find("FORELOG_NODE"));
            command.arg(&script).arg(format!("http://{}", app.address)).args([&agent.text, &person.text, "probe_write", verdict]);
            let output = command.args(version).kill_on_drop(true).output();
            let output = tokio::time::timeout(Duration::from_mins(1), output).await.expect("in time").expect("run it");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let seen: Seen = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {output:?}"));
            assert_eq!((seen.protocol.as_str(), seen.links.len()), (protocol, 1), "{seen:?}");
            assert_eq!(seen.is_error, verdict == "reject", "{seen:?}");
            assert_eq!(seen.structured_content["error"]["code"].as_str().unwrap_or_default(), code, "{seen:?}");
        }
    }
    assert_eq!(app.test_node.world.executed().len(), 2, "of four calls two were approved");
}
