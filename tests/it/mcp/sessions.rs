//! Sessions of MCP: whose they are, how many, and that their answers do not meet.

use std::time::Duration;

use forelog::core::event::EventKind;
use forelog::core::principal::Side;
use forelog::http::{SessionCaps, Settings};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::{Session, call, initialize, modern, request};
use crate::harness::{ACCEPT, Answer, TestApp, generous, send};

#[tokio::test]
async fn mcp_a_session_answers_only_to_the_key_and_endpoint_that_began_it() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.key(|_| {}).await, app.stranger(Side::Customer).await);
    let session = Session::begin(&app, &alice, "2025-11-25").await;
    let stolen = Session { app: &app, key: &bob, id: session.id.clone(), version: session.version };
    let with_method = |method: Method| send(stolen.with_headers(app.ask(&bob, method, "/mcp").header("accept", ACCEPT)));
    let elsewhere = session.with_headers(app.ask(&alice, Method::POST, "/mcp/readonly").header("accept", ACCEPT));
    let answers = [
        stolen.ask(1, "tools/list", json!({})).await,
        stolen.ask(1, "tools/call", json!({ "name": "probe_write", "arguments": {} })).await,
        with_method(Method::GET).await,
        with_method(Method::DELETE).await,
        send(elsewhere.json(&request(1, "tools/list", json!({})))).await,
    ];
    for answer in answers {
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::NOT_FOUND, "not_found"), "{answer:?}");
    }
    let alone = app.bare(Method::POST, "/mcp").header("accept", ACCEPT).json(&request(1, "tools/list", json!({})));
    assert_eq!(send(session.with_headers(alone)).await.status, StatusCode::UNAUTHORIZED, "an id alone opens nothing");
    assert_eq!(session.ask(2, "tools/list", json!({})).await.status, StatusCode::OK, "its owner still has it");
    let ended = send(session.with_headers(app.ask(&alice, Method::DELETE, "/mcp"))).await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    assert_eq!(session.ask(3, "tools/list", json!({})).await.status, StatusCode::NOT_FOUND, "it has ended");
    assert!(app.test_node.world.executed().is_empty());
}

#[tokio::test]
async fn mcp_sessions_are_capped_and_the_idle_one_gives_way() {
    let caps = SessionCaps { total: 3, ..SessionCaps::default() };
    let mut site = crate::test_node::Site::sqlite();
    site.quotas.sessions.key = 2;
    let app = TestApp::at(std::sync::Arc::new(site), Settings { sessions: caps, ..generous() }).await;
    let (alice, bob, carol) = (app.key(|_| {}).await, app.key(|_| {}).await, app.key(|_| {}).await);
    let first = Session::begin(&app, &alice, "2025-11-25").await;
    app.test_node.clock.pass(Duration::from_secs(10));
    let second = Session::begin(&app, &alice, "2025-11-25").await;
    let third = send(app.rpc(&alice, &initialize("2025-11-25"))).await;
    assert_eq!((third.status, third.code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "quota_exceeded"));
    let told = &third.json()["error"]["details"];
    assert_eq!(*told, json!({ "quota": "sessions", "of": "key", "used": 2, "most": 2 }));
    assert!(!third.header("retry-after").is_empty());
    let others = Session::begin(&app, &bob, "2025-11-25").await;
    let full = send(app.rpc(&carol, &initialize("2025-11-25"))).await;
    assert_eq!((full.status, full.code().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "overloaded"));
    app.test_node.clock.pass(Duration::from_secs(55));
    app.test_node.beat().await;
    let another = Session::begin(&app, &alice, "2025-11-25").await;
    assert_eq!(first.ask(1, "ping", json!({})).await.status, StatusCode::NOT_FOUND, "it was idle for longest");
    for session in [&second, &others, &another] {
        assert_eq!(session.ask(2, "ping", json!({})).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn mcp_clients_with_the_same_ids_never_see_each_others_answers() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.key(|_| {}).await, app.stranger(Side::Customer).await);
    let (ours, theirs) = (Session::begin(&app, &alice, "2025-11-25").await, Session::begin(&app, &bob, "2025-11-25").await);
    let mine = |session: &Session<'_>, mark: &str| {
        let messages: Vec<RequestBuilder> =
            (0..10)
                .map(|id| session.post(&call(id, "probe_echo_none", json!({ "text": format!("{mark}-{id}") }))))
                .chain((0..10).map(|id| {
                    modern(&app, session.key, "/mcp", &call(id, "probe_write", json!({ "text": format!("{mark}-{id}") })))
                }))
                .collect();
        futures::future::join_all(messages.into_iter().map(send))
    };
    let (a, b) = tokio::join!(mine(&ours, "alice"), mine(&theirs, "bob"));
    let calls = |answers: &[Answer]| -> Vec<String> {
        let ids = answers.iter().map(|answer| {
            let message = answer.rpc();
            let meta = message["result"]["_meta"]["forelog/call_id"].as_str();
            meta.or(message["error"]["data"]["error"]["call_id"].as_str()).unwrap_or_else(|| panic!("{message}")).to_owned()
        });
        ids.collect()
    };
    for (answers, account) in [(calls(&a), &alice.account), (calls(&b), &bob.account)] {
        assert_eq!(answers.len(), 20);
        for event in app.events("intent_recorded").await {
            let EventKind::IntentRecorded(intent) = event.kind else { continue };
            assert_eq!(answers.iter().any(|id| id == intent.call.as_str()), intent.account == *account);
        }
    }
}

#[tokio::test]
async fn mcp_a_batch_of_2025_03_26_is_a_call_per_message() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let session = Session::begin(&app, &key, "2025-03-26").await;
    let batch = json!([
        call(1, "probe_write", json!({})),
        { "jsonrpc": "2.0", "method": "notifications/initialized" },
        call(2, "no_such_tool", json!({})),
        { "jsonrpc": "2.0", "id": 3 },
        request(4, "ping", json!({})),
        initialize("2025-03-26"),
    ]);
    let answer = send(session.post(&batch)).await;
    let answers = answer.json();
    let ids: Vec<&Value> = answers.as_array().expect("a batch").iter().map(|answer| &answer["id"]).collect();
    assert_eq!(ids, [&json!(1), &json!(2), &json!(3), &json!(4), &json!(0)], "{answers}");
    assert_eq!(answers[0]["result"]["structuredContent"], json!({ "ran": 1 }));
    assert_eq!((&answers[1]["error"]["code"], &answers[2]["error"]["code"]), (&json!(-32602), &json!(-32600)));
    assert_eq!((&answers[3]["result"], &answers[4]["error"]["code"]), (&json!({}), &json!(-32600)));
    assert_eq!(app.events("intent_recorded").await.len(), 2);
    let only_notes = json!([{ "jsonrpc": "2.0", "method": "notifications/initialized" }]);
    assert_eq!(send(session.post(&only_notes)).await.status, StatusCode::ACCEPTED);
    let newer = Session::begin(&app, &key, "2025-06-18").await;
    let refused = send(newer.post(&batch)).await;
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (StatusCode::BAD_REQUEST, &json!(-32600)));
}

#[tokio::test]
async fn mcp_closing_the_stream_cancels_the_call_and_so_does_the_notification() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    app.test_node.world.shut();
    let sending = tokio::spawn(modern(&app, &key, "/mcp", &call(1, "probe_write", json!({}))).send());
    app.test_node.world.executed_at_least(1).await;
    sending.abort();
    ended(&app, "cancelled", 1).await;

    let session = Session::begin(&app, &key, "2025-11-25").await;
    let waiting = tokio::spawn(session.post(&call(7, "probe_write", json!({}))).send());
    app.test_node.world.executed_at_least(2).await;
    let cancelled = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 7 } });
    assert_eq!(send(session.post(&cancelled)).await.status, StatusCode::ACCEPTED);
    ended(&app, "cancelled", 2).await;
    waiting.abort();
}

async fn ended(app: &TestApp, name: &str, count: usize) {
    let waiting = async {
        while app.events(name).await.len() < count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("the calls should have ended");
}
