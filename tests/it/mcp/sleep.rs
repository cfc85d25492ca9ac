//! Sessions that nobody uses sleep, and nobody notices: whoever comes back goes on in the same session, and what is under way
//! keeps its session awake.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{Session, call};
use crate::harness::{TestApp, send};

const TIMEOUT: Duration = Duration::from_secs(20);

/// Longer than a session stays awake that nobody uses.
const QUIET: Duration = Duration::from_secs(11);

async fn gauge(app: &TestApp, name: &str) -> usize {
    let text = send(app.bare(Method::GET, "/metrics")).await.text;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// Returns once so many sessions sleep.
async fn asleep(app: &TestApp, count: usize) {
    let waiting = async {
        while gauge(app, "forelog_mcp_sessions_asleep").await != count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, waiting).await.expect("so many sessions to sleep");
}

async fn pass(app: &TestApp, time: Duration) {
    app.test_node.clock.pass(time);
    app.test_node.beat().await;
}

#[tokio::test]
async fn mcp_a_session_that_slept_goes_on_with_what_it_was_begun_with() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    for version in super::LEGACY {
        let session = Session::begin(&app, &key, version).await;
        let before = session.ask(1, "tools/call", json!({ "name": "probe_write", "arguments": {} })).await;
        assert_eq!(before.status, StatusCode::OK, "{before:?}");
        pass(&app, QUIET).await;
        asleep(&app, 1).await;
        let after = session.ask(2, "tools/call", json!({ "name": "probe_write", "arguments": {} })).await;
        assert_eq!(after.status, StatusCode::OK, "{after:?}");
        assert_eq!(gauge(&app, "forelog_mcp_sessions_asleep").await, 0, "it is awake while it is used");
        let sessions: Vec<String> = app
            .events("intent_recorded")
            .await
            .iter()
            .rev()
            .take(2)
            .map(|event| json!(event)["session"].as_str().expect("a session").to_owned())
            .collect();
        assert_eq!(sessions[0], sessions[1], "the record takes it for another session");
        let ended = send(session.with_headers(app.ask(&key, Method::DELETE, "/mcp"))).await;
        assert_eq!(ended.status, StatusCode::NO_CONTENT);
    }
    assert_eq!(gauge(&app, "forelog_mcp_sessions").await, 0);
}

#[tokio::test]
async fn mcp_a_session_in_use_is_not_laid_down() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let (working, listening) = (Session::begin(&app, &key, "2025-11-25").await, Session::begin(&app, &key, "2025-11-25").await);
    let quiet = Session::begin(&app, &key, "2025-11-25").await;
    let get = app.ask(&key, Method::GET, "/mcp").header("accept", "text/event-stream");
    let stream = listening.with_headers(get).send().await.expect("a stream");
    assert_eq!(stream.status(), StatusCode::OK);
    app.test_node.world.shut();
    let answer = tokio::spawn(working.post(&call(1, "probe_write", json!({}))).send());
    app.test_node.world.executed_at_least(1).await;
    for _ in 0..3 {
        pass(&app, QUIET).await;
        asleep(&app, 1).await;
        assert_eq!(quiet.ask(1, "ping", json!({})).await.status, StatusCode::OK);
        asleep(&app, 0).await;
    }
    app.test_node.world.open();
    let answer = answer.await.expect("a task").expect("an answer");
    assert!(answer.text().await.expect("a text").contains("\"ran\""), "the session was laid down under a call");
    drop(stream);
    // What a client that was cut off has begun goes on in its session, too.
    app.test_node.world.shut();
    let given_up = tokio::spawn(working.post(&call(2, "probe_write", json!({}))).send());
    app.test_node.world.executed_at_least(2).await;
    given_up.abort();
    app.test_node.world.open();
    // When the call has let go of its session nobody is told: time passes until it has.
    let all = async {
        while gauge(&app, "forelog_mcp_sessions_asleep").await != 3 {
            pass(&app, QUIET).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, all).await.expect("the sessions to sleep");
}

#[tokio::test(flavor = "multi_thread")]
async fn mcp_requests_that_come_while_a_session_falls_asleep_are_answered() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let session = Session::begin(&app, &key, "2025-11-25").await;
    for _ in 0..3 {
        pass(&app, QUIET).await;
        asleep(&app, 1).await;
        let together = (0..8).map(|id| session.ask(id, "ping", json!({})));
        for answer in futures::future::join_all(together).await {
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        }
    }
    // Each time it has been quiet for long enough, so that whenever it is looked for what may sleep, a request is on its way.
    let racing = async {
        for id in 100.. {
            pass(&app, QUIET).await;
            let answer = session.ask(id, "ping", json!({})).await;
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(5), racing).await.is_err(), "it goes on until it is stopped");
}

#[tokio::test]
async fn mcp_a_session_that_sleeps_ends_as_any_other() {
    let app = TestApp::start().await;
    let (key, revoked) = (app.key(|_| {}).await, app.key(|_| {}).await);
    let (deleted, left) = (Session::begin(&app, &key, "2025-11-25").await, Session::begin(&app, &key, "2025-11-25").await);
    let of_revoked = Session::begin(&app, &revoked, "2025-11-25").await;
    pass(&app, QUIET).await;
    asleep(&app, 3).await;
    let stolen = Session { app: &app, key: &revoked, id: left.id.clone(), version: left.version };
    assert_eq!(stolen.ask(1, "ping", json!({})).await.status, StatusCode::NOT_FOUND, "another key woke it");
    let ended = send(deleted.with_headers(app.ask(&key, Method::DELETE, "/mcp"))).await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    assert_eq!(deleted.ask(1, "ping", json!({})).await.status, StatusCode::NOT_FOUND);
    app.revoke(&revoked).await;
    assert_ne!(of_revoked.ask(1, "ping", json!({})).await.status, StatusCode::OK);
    pass(&app, Duration::from_mins(31)).await;
    asleep(&app, 0).await;
    assert_eq!(left.ask(1, "ping", json!({})).await.status, StatusCode::NOT_FOUND, "it sleeps for ever");
    assert_eq!(gauge(&app, "forelog_mcp_sessions").await, 0, "something is kept of it");
}
