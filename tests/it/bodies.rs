//! What requests carry: how much of it may be in memory at a time, how many parts it may have, and that whoever sends much of
//! it is nobody else's trouble.

use std::collections::BTreeMap;

use bytes::Bytes;
use forelog::core::event::EventKind;
use forelog::core::principal::Side;
use forelog::core::scope::Scope;
use futures::stream::{FuturesUnordered, StreamExt};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::harness::{ACCEPT, Key, TestApp, send};
use crate::wire::{Answered, TIMEOUT, Wire};

const FORM: &str = "content-type: application/x-www-form-urlencoded\r\nsec-fetch-site: same-origin\r\n";
const SIGN_IN: &str = "/console/sign-in";

/// The largest form.
const LARGEST: usize = 64 * 1024;

/// Asks for leave to send so much, and answers what it was answered: 100 is leave.
async fn ask(app: &TestApp, from: &str, path: &str, headers: &str, size: usize) -> (Wire, Answered) {
    let mut wire = Wire::from(from, app.address).await;
    let head = format!("POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nexpect: 100-continue\r\n");
    wire.send(&format!("{head}content-length: {size}\r\n{headers}\r\n")).await;
    let answer = wire.answer().await.expect("an answer");
    (wire, answer)
}

fn bearer(key: &Key) -> String {
    format!("authorization: Bearer {}\r\ncontent-type: application/json\r\naccept: {ACCEPT}\r\n", key.text)
}

/// Waits until leave is given to send so much, as places become free.
async fn until_leave(app: &TestApp, from: &str, path: &str, headers: &str, size: usize) {
    let asking = async { while ask(app, from, path, headers, size).await.1.status != 100 {} };
    tokio::time::timeout(TIMEOUT, asking).await.expect("leave in time");
}

#[tokio::test]
async fn bodies_of_strangers_have_a_share_for_each_address() {
    let app = TestApp::start().await;
    let mut held = Vec::new();
    for _ in 0..16 {
        let (wire, answer) = ask(&app, "127.0.0.2", SIGN_IN, FORM, LARGEST).await;
        assert_eq!(answer.status, 100, "{answer:?}");
        held.push(wire);
    }
    let (_, answer) = ask(&app, "127.0.0.2", SIGN_IN, FORM, LARGEST).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.body.contains("overloaded"), "{answer:?}");
    // What is small fits whatever the others of the address do, and another address has a share of its own.
    let (mut small, leave) = ask(&app, "127.0.0.2", SIGN_IN, FORM, 32).await;
    assert_eq!(leave.status, 100);
    small.send("email=ada%40x.example&password=x").await;
    assert_eq!(small.answer().await.expect("an answer").status, 401);
    assert_eq!(ask(&app, "127.0.0.3", SIGN_IN, FORM, LARGEST).await.1.status, 100);
    held.pop();
    until_leave(&app, "127.0.0.2", SIGN_IN, FORM, LARGEST).await;
}

#[tokio::test]
async fn bodies_of_a_key_have_a_share_and_what_stops_has_another() {
    const LARGE: usize = 1_000_000;
    let app = TestApp::start().await;
    let own = app.key(|key| key.scopes.extend([Scope::KeysWrite])).await;
    let (second, other) = (app.key(|_| {}).await, app.stranger(Side::Customer).await);
    let mut held = Vec::new();
    for path in ["/api/v1/tools/probe_write", "/mcp", "/mcp/readonly", "/api/v1/keys"] {
        let (wire, answer) = ask(&app, "127.0.0.1", path, &bearer(&own), LARGE).await;
        assert_eq!(answer.status, 100, "{path}: {answer:?}");
        held.push(wire);
    }
    let told = "mcp-method: tools/call\r\nmcp-name: probe_write\r\n";
    for (path, more) in [("/api/v1/tools/probe_write", ""), ("/api/v1/keys", ""), ("/mcp", ""), ("/mcp", told)] {
        let (_, answer) = ask(&app, "127.0.0.1", path, &format!("{}{more}", bearer(&own)), LARGE).await;
        assert_eq!(answer.status, 503, "{path}: {answer:?}");
        assert!(answer.body.contains("\"overloaded\"") && answer.header("retry-after").is_some(), "{path}: {answer:?}");
    }
    assert_eq!(app.events("refused").await.len(), 3, "a refusal of a call is on record");
    for key in [&second, &other] {
        let answer = ask(&app, "127.0.0.1", "/api/v1/tools/probe_write", &bearer(key), LARGE).await.1;
        assert_eq!(answer.status, 100, "{answer:?}");
    }
    let stops = "mcp-method: tools/call\r\nmcp-name: panic_engage\r\n";
    for (path, more) in
        [("/api/v1/tools/panic_engage", ""), ("/api/v1/tools/panic_engage/", ""), ("/api/v1/switches", ""), ("/mcp", stops)]
    {
        until_leave(&app, "127.0.0.1", path, &format!("{}{more}", bearer(&own)), LARGE).await;
    }
    assert_eq!(app.call(&own, "probe_write", json!({ "text": "small" })).await.status, StatusCode::OK);
    held.clear();
    until_leave(&app, "127.0.0.1", "/api/v1/tools/probe_write", &bearer(&own), LARGE).await;
}

/// A body that does not say how long it is takes its share as it comes.
#[tokio::test]
async fn bodies_in_chunks_take_their_share_as_they_come() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let mut held = Vec::new();
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 19, "x".repeat(1 << 19));
    let request = format!("POST /api/v1/tools/probe_write HTTP/1.1\r\nhost: 127.0.0.1\r\n{}", bearer(&key));
    let refused = async {
        loop {
            let mut wire = Wire::to(app.address).await;
            wire.send(&format!("{request}transfer-encoding: chunked\r\n\r\n{chunk}")).await;
            held.push(tokio::spawn(async move { wire.answer().await }));
            let waiting = held.iter().position(tokio::task::JoinHandle::is_finished);
            if let Some(at) = waiting {
                return held.swap_remove(at).await.expect("no panic");
            }
            tokio::task::yield_now().await;
        }
    };
    let answer = tokio::time::timeout(TIMEOUT, refused).await.expect("in time").expect("an answer");
    assert_eq!(answer.status, 503, "{answer:?}");
    held.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn bodies_over_http2_have_the_same_share() {
    let app = TestApp::start().await;
    let stream = TokioIo::new(TcpStream::connect(app.address).await.expect("connect"));
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new()).handshake(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    let mut answers = FuturesUnordered::new();
    for _ in 0..60 {
        let body = StreamBody::new(futures::stream::pending::<Result<Frame<Bytes>, std::io::Error>>());
        let request = http::Request::post(format!("http://{}{SIGN_IN}", app.address))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .header("content-length", LARGEST);
        sender.ready().await.expect("room");
        answers.push(sender.send_request(request.body(body).expect("a request")));
    }
    // Sixteen are read; all others are answered at once, though none of them is complete.
    for _ in 0..44 {
        let answer = tokio::time::timeout(TIMEOUT, answers.next()).await.expect("in time").expect("one").expect("an answer");
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        let text = answer.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        assert!(String::from_utf8_lossy(&text).contains("overloaded"));
    }
}

#[tokio::test]
async fn bodies_of_forms_have_as_many_fields_as_a_form_has() {
    let app = TestApp::start().await;
    let fields = |count: usize, more: &str| format!("{}email=ada%40x.example&password=x{more}", "a&".repeat(count));
    let post = |body: String| {
        let request = app.bare(Method::POST, SIGN_IN).header("sec-fetch-site", "same-origin");
        send(request.header("content-type", "application/x-www-form-urlencoded").body(body))
    };
    for (what, body, status) in [
        ("many fields", fields(2_000, ""), 400),
        ("a great many", fields(500_000, ""), 400),
        ("a large field", fields(0, &"x".repeat(LARGEST)), 400),
        ("a form", fields(200, ""), 401),
    ] {
        let answer = post(body).await;
        assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.text);
    }
    // Before anybody is known an address says as little.
    let address = format!("{SIGN_IN}?{}", "a&".repeat(5_000));
    assert_eq!(send(app.bare(Method::GET, &address)).await.status, StatusCode::BAD_REQUEST);
    let key = app.key(|_| {}).await;
    let address = format!("/api/v1/calls?{}", "limit=1&".repeat(5_000));
    assert_eq!(send(app.ask(&key, Method::GET, &address)).await.status, StatusCode::BAD_REQUEST);
}

/// As many values as no arguments have, in the forms that cost the most.
fn vast() -> [(&'static str, String); 4] {
    let of = |part: &str, count: usize| vec![part; count].join(",");
    [
        ("objects", format!("[{}]", of("{\"\":0}", 20_000))),
        ("numbers", format!("[{}]", of("0", 20_000))),
        ("fields", format!("{{{}}}", of("\"a\":0", 20_000))),
        ("nested", format!("{}{}", "[".repeat(100), "]".repeat(100))),
    ]
}

#[tokio::test]
async fn bodies_of_more_values_than_anything_takes_are_refused_before_they_are_made() {
    let app = TestApp::start().await;
    let mut count = 0;
    for (what, value) in vast() {
        let key = app.key(|_| {}).await;
        let args = format!("{{\"x\":{value}}}");
        let call = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"probe_write\",\"arguments\":{args}}}}}"
        );
        let batch = format!("[{call}]");
        let json = "application/json";
        for (path, body, kind, status) in [
            ("/api/v1/tools/probe_write", &args, json, 400),
            ("/mcp", &call, json, 400),
            ("/mcp/readonly", &call, json, 400),
            ("/mcp", &batch, json, 400),
            ("/mcp", &call, "text/plain", 415),
        ] {
            let request = app.ask(&key, Method::POST, path).header("accept", ACCEPT).header("content-type", kind);
            let answer = send(request.body(body.clone())).await;
            assert_eq!(answer.status.as_u16(), status, "{what} {path}: {answer:?}");
            let is_recorded = status == 415 || answer.text.contains("values") || answer.text.contains("nested");
            assert!(is_recorded, "{what} {path}: {answer:?}");
            count += 1;
            assert_eq!(app.events("refused").await.len(), count, "{what} {path}: {answer:?}");
        }
    }
    let staff = app.stranger(Side::Staff).await;
    let text = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{}}}", vast()[0].1);
    let request = app.ask(&staff, Method::POST, "/mcp").header("accept", ACCEPT).header("content-type", "application/json");
    assert_eq!(send(request.body(text)).await.code(), "forbidden_role");
    assert_eq!(app.events("refused").await.len(), count + 1);
    assert!(app.test_node.world.executed().is_empty());
}

/// Of a batch that is too long to be made a document nothing is passed over, and no text is kept once for each of its calls.
#[tokio::test]
async fn bodies_of_a_great_many_calls_are_counted() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let calls = 8_000;
    let one = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"probe_write\"}}";
    let body = format!("[{}]", vec![one; calls].join(","));
    let request = app.ask(&key, Method::POST, "/mcp").header("accept", ACCEPT).header("content-type", "application/json");
    assert_eq!(send(request.body(body)).await.status, StatusCode::BAD_REQUEST);
    let full = app.events("refused").await.len();
    assert!((20..=40).contains(&full), "{full}");
    app.test_node.clock.pass(std::time::Duration::from_secs(61));
    app.test_node.beat().await;
    let counted: u64 = app
        .events("refusals_counted")
        .await
        .iter()
        .map(|event| match &event.kind {
            EventKind::RefusalsCounted { count, .. } => *count,
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(full as u64 + counted, calls as u64);
}

#[tokio::test]
async fn bodies_that_never_change_are_made_once() {
    let app = TestApp::start().await;
    let path = "/api/v1/openapi.json";
    let first = send(app.bare(Method::GET, path)).await;
    let tag = first.header("etag").to_owned();
    assert!(first.status == StatusCode::OK && tag.starts_with('"'), "{:?}", first.headers);
    assert!(first.json()["paths"].is_object());
    assert_eq!(send(app.bare(Method::GET, path)).await.header("etag"), tag);
    for known in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
        let again = send(app.bare(Method::GET, path).header("if-none-match", &known)).await;
        assert_eq!((again.status, again.text.as_str()), (StatusCode::NOT_MODIFIED, ""), "{known}");
        assert_eq!(again.header("etag"), tag);
    }
    assert_eq!(send(app.bare(Method::GET, path).header("if-none-match", "\"x\"")).await.status, StatusCode::OK);
}

/// What a client says is not said back to it: a key pasted into the wrong place would be in whatever keeps errors.
#[tokio::test]
async fn bodies_of_errors_quote_nothing_that_was_sent() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let secret = format!("flk_live_{}", "a1B2".repeat(12));
    let meta = |version: &str| json!({ "io.modelcontextprotocol/protocolVersion": version, "io.modelcontextprotocol/clientCapabilities": {} });
    let call = |name: &str, version: &str| {
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": name, "arguments": {}, "_meta": meta(version) } })
    };
    let begin = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } } });
    let list = |version: &str| json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": { "_meta": meta(version) } });
    let session = send(app.rpc(&key, &begin)).await.header("mcp-session-id").to_owned();
    let new = "2026-07-28";
    let later = format!("2027-{secret}");
    let odd = json!({ "jsonrpc": "2.0", "id": 1, "method": secret, "params": { "_meta": meta(new) } });
    let cases: Vec<(&str, Value, BTreeMap<&str, &str>)> = vec![
        (
            "name",
            call("probe_write", new),
            [("mcp-protocol-version", new), ("mcp-method", "tools/call"), ("mcp-name", &*secret)].into(),
        ),
        (
            "name in the body",
            call(&secret, new),
            [("mcp-protocol-version", new), ("mcp-method", "tools/call"), ("mcp-name", "probe_read")].into(),
        ),
        (
            "unknown name",
            call(&secret, new),
            [("mcp-protocol-version", new), ("mcp-method", "tools/call"), ("mcp-name", &*secret)].into(),
        ),
        ("method", list(new), [("mcp-protocol-version", new), ("mcp-method", &*secret)].into()),
        ("method of initialize", begin.clone(), [("mcp-method", &*secret)].into()),
        ("method in the body", odd.clone(), [("mcp-protocol-version", new), ("mcp-method", "tools/list")].into()),
        ("no such method", odd, [("mcp-protocol-version", new), ("mcp-method", &*secret)].into()),
        ("version in the header", list(new), [("mcp-protocol-version", &*later), ("mcp-method", "tools/list")].into()),
        ("version in both", list(&later), [("mcp-protocol-version", &*later), ("mcp-method", "tools/list")].into()),
        ("version in the body", list(&later), [("mcp-protocol-version", new), ("mcp-method", "tools/list")].into()),
        ("version at the start", begin.clone(), [("mcp-protocol-version", &*secret)].into()),
        (
            "version of a session",
            list(&secret[..30]),
            [("mcp-session-id", &*session), ("mcp-protocol-version", "2025-11-25")].into(),
        ),
        (
            "early version of a session",
            list(&format!("1999 {secret}")),
            [("mcp-session-id", &*session), ("mcp-protocol-version", "2025-11-25")].into(),
        ),
        ("session", list("2025-11-25"), [("mcp-session-id", &*secret)].into()),
    ];
    let mut quoted = Vec::new();
    for (what, message, headers) in &cases {
        for accept in [ACCEPT, "application/json"] {
            let request = app.ask(&key, Method::POST, "/mcp").header("accept", accept).json(message);
            let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            let answer = send(request).await;
            if answer.text.contains("flk_live_") {
                quoted.push(format!("{what}: {}", answer.text));
            }
            assert!(answer.text.len() < 20_000, "{what}");
        }
    }
    assert!(quoted.is_empty(), "{}", quoted.join("\n"));
    let (_, message, headers) = &cases[0];
    let request = headers.iter().fold(app.rpc(&key, message), |request, (name, value)| request.header(*name, *value));
    let answer = send(request).await;
    assert_eq!((answer.status, &answer.rpc()["error"]["code"]), (StatusCode::BAD_REQUEST, &json!(-32020)));
}
