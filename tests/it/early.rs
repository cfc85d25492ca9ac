//! Answers that come before their request was read: the connection either goes on, or the answer says that it ends.

use std::num::NonZeroU32;

use forelog::http::{Rate, Settings};

use crate::harness::{TestApp, generous};
use crate::wire::{Answered, Wire};

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";

/// How a client brings a body.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// All of it with the head.
    AtOnce,
    /// When the answer has come.
    After,
    /// Never: it waits for leave, and the answer is none.
    Expecting,
    /// In chunks, the last when the answer has come.
    Chunked,
    /// In chunks, all of them with the head.
    ChunkedAtOnce,
}

const MANNERS: [Manner; 5] = [Manner::AtOnce, Manner::After, Manner::Expecting, Manner::Chunked, Manner::ChunkedAtOnce];

/// A request of a client that reuses its connection if it may. Answers what it was answered.
async fn ask(app: &TestApp, head: &str, manner: Manner, size: usize) -> Answered {
    let body = "x".repeat(size);
    let mut wire = Wire::to(app.address).await;
    let (headers, first, rest) = match manner {
        Manner::AtOnce => (format!("content-length: {size}\r\n"), body, String::new()),
        Manner::After => (format!("content-length: {size}\r\n"), String::new(), body),
        Manner::Expecting => (format!("content-length: {size}\r\nexpect: 100-continue\r\n"), String::new(), String::new()),
        Manner::Chunked => {
            let chunk = format!("{size:x}\r\n{body}\r\n");
            ("transfer-encoding: chunked\r\n".to_owned(), chunk, "0\r\n\r\n".to_owned())
        }
        Manner::ChunkedAtOnce => {
            ("transfer-encoding: chunked\r\n".to_owned(), format!("{size:x}\r\n{body}\r\n0\r\n\r\n"), String::new())
        }
    };
    wire.send(&format!("{head}{headers}\r\n{first}")).await;
    let answer = wire.answer().await.unwrap_or_else(|| panic!("{head} {manner:?}: no answer"));
    wire.send(&rest).await;
    if answer.closes() {
        wire.ends().await;
    } else {
        wire.send(HEALTH).await;
        let next = wire.answer().await.unwrap_or_else(|| panic!("{head} {manner:?}: {answer:?}, and then the end"));
        assert_eq!(next.status, 200, "{head} {manner:?}: {next:?}");
    }
    answer
}

#[tokio::test]
async fn early_answers_say_whether_their_connection_goes_on() {
    let app = TestApp::with(Settings { body_limit: 1000, ..generous() }).await;
    let (key, revoked) = (app.key(|_| {}).await, app.key(|_| {}).await);
    app.revoke(&revoked).await;
    let bearer = format!("authorization: Bearer {}\r\n", key.text);
    let over = format!("authorization: Bearer {}\r\n", revoked.text);
    let json = "content-type: application/json\r\n";
    let requests = [
        ("POST /mcp", String::new(), 401),
        ("POST /mcp", "authorization: Bearer flk_live_nobody\r\n".to_owned(), 401),
        ("POST /mcp", over.clone(), 401),
        ("POST /mcp/readonly", over.clone(), 401),
        ("POST /api/v1/tools/probe_write", over.clone(), 401),
        ("POST /api/v1/keys", over, 401),
        ("POST /mcp", format!("{bearer}origin: https://evil.example\r\n"), 403),
        ("PUT /mcp", bearer.clone(), 405),
        ("POST /api/v1/tools/probe_write", String::new(), 401),
        ("POST /api/v1/nowhere", bearer.clone(), 404),
        ("PUT /api/v1/calls", bearer.clone(), 405),
        ("POST /nowhere", String::new(), 404),
        ("POST /console/people", String::new(), 403),
        ("GET /healthz", String::new(), 200),
        ("GET /api/v1/calls", bearer.clone(), 200),
    ];
    for (line, headers, status) in &requests {
        let head = format!("{line} HTTP/1.1\r\nhost: 127.0.0.1\r\n{json}{headers}");
        for manner in MANNERS {
            let answer = ask(&app, &head, manner, 500).await;
            assert_eq!(answer.status, *status, "{line} {manner:?}: {answer:?}");
            let whole = matches!(manner, Manner::AtOnce | Manner::ChunkedAtOnce);
            assert_eq!(answer.closes(), !whole, "what is there is read: {line} {manner:?} {answer:?}");
        }
    }
    let elsewhere = format!("POST /mcp HTTP/1.1\r\nhost: evil.example\r\n{bearer}");
    for manner in MANNERS {
        assert_eq!(ask(&app, &elsewhere, manner, 500).await.status, 403);
    }
}

#[tokio::test]
async fn early_answers_to_what_is_too_large_arrive() {
    let app = TestApp::with(Settings { body_limit: 1000, ..generous() }).await;
    let key = app.key(|_| {}).await;
    for path in ["/mcp", "/api/v1/tools/probe_write"] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {}\r\n", key.text);
        for manner in [Manner::AtOnce, Manner::ChunkedAtOnce] {
            assert_eq!(ask(&app, &head, manner, 5000).await.status, 413, "{path} {manner:?}");
            // More than is received only to keep the connection: it ends, after the answer.
            let answer = ask(&app, &head, manner, 700 * 1024).await;
            assert!(answer.status == 413 && answer.closes(), "{path} {manner:?} {answer:?}");
        }
    }
}

#[tokio::test]
async fn early_answers_to_a_revoked_key_wait_for_no_body() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    app.revoke(&key).await;
    for (path, more) in
        [("/mcp", ""), ("/mcp", "mcp-method: tools/call\r\nmcp-name: probe_write\r\n"), ("/api/v1/tools/probe_write", "")]
    {
        let bearer = format!("authorization: Bearer {}\r\ncontent-type: application/json\r\n{more}", key.text);
        let head = format!("POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{bearer}");
        for manner in [Manner::After, Manner::Expecting, Manner::Chunked] {
            let answer = ask(&app, &head, manner, 900_000).await;
            assert!(answer.status == 401 && answer.closes(), "{path} {manner:?} {answer:?}");
        }
    }
    // What says that it is a call is counted, and nothing else is kept.
    app.test_node.clock.pass(std::time::Duration::from_secs(61));
    app.test_node.beat().await;
    let counted: u64 = app.events("refusals_counted").await.iter().map(count).sum();
    assert_eq!((counted, app.events("refused").await.len()), (6, 0));
}

fn count(event: &forelog::core::event::Event) -> u64 {
    serde_json::to_value(&event.kind).expect("an event")["count"].as_u64().expect("a count")
}

#[tokio::test]
async fn early_answers_of_the_throttle_are_no_exception() {
    let one = NonZeroU32::MIN;
    let app = TestApp::with(Settings { rate: Rate { per_second: one, burst: one }, ..generous() }).await;
    let mut first = Wire::to(app.address).await;
    first.send(HEALTH).await;
    assert_eq!(first.answer().await.expect("an answer").status, 200);
    let mut wire = Wire::to(app.address).await;
    wire.send("POST /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 5\r\n\r\n").await;
    let answer = wire.answer().await.expect("an answer");
    assert!(answer.status == 429 && answer.closes(), "{answer:?}");
    wire.ends().await;
}

#[tokio::test]
async fn early_answers_are_not_given_to_who_waits_for_leave_and_gets_it() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let mut wire = Wire::to(app.address).await;
    let head = format!("POST /api/v1/tools/probe_write HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {}\r\n", key.text);
    for _ in 0..2 {
        wire.send(&format!("{head}content-type: application/json\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n")).await;
        assert_eq!(wire.answer().await.expect("leave").status, 100);
        wire.send("{}").await;
        let answer = wire.answer().await.expect("an answer");
        assert!(answer.status == 200 && !answer.closes(), "{answer:?}");
    }
}

/// What hyper answers by itself is empty and ends the connection, and none of it is taken for a request: docs/rest.md says so,
/// and if it ever has a body of its own, this is to be looked at again.
#[tokio::test]
async fn early_what_is_no_request_is_answered_empty_and_ends_the_connection() {
    let app = TestApp::start().await;
    let large = format!("GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nx-large: {}\r\n\r\n", "x".repeat(1 << 20));
    let many = format!("GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n{}\r\n", "x-many: 1\r\n".repeat(500));
    let long = format!("GET /{} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", "x".repeat(70_000));
    let cases = [
        ("a head that is too large", large.as_str(), 431),
        ("too many headers", &many, 431),
        ("a path that is too long", &long, 414),
        ("a request line that is none", "\u{1}\u{2} nothing\r\n\r\n", 400),
        ("a header that is none", "GET /healthz HTTP/1.1\r\nno header\r\n\r\n", 400),
        ("another HTTP", "GET /healthz HTTP/9.9\r\n\r\n", 400),
        ("two lengths", "POST /mcp HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", 400),
    ];
    for (what, sent, status) in cases {
        let mut wire = Wire::to(app.address).await;
        wire.send(sent).await;
        let answered = wire.answer().await.unwrap_or_else(|| panic!("{what} has no answer"));
        assert_eq!((answered.status, answered.body.as_str()), (status, ""), "{what}: {answered:?}");
        wire.ends().await;
    }
    // A preface of HTTP/2, and then no frame.
    let mut wire = Wire::to(app.address).await;
    wire.send(&format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{}", "x".repeat(64))).await;
    wire.ends().await;
    assert!(app.test_node.log().await.iter().all(|event| event.kind.name() != "intent_recorded"));
}
