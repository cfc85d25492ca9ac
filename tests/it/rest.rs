//! The REST API over a real socket: who may speak, what is answered, and what is written down.

use std::num::NonZeroU32;
use std::time::Duration;

use forelog::core::event::EventKind;
use forelog::core::principal::{Side, Via};
use forelog::core::scope::Scope;
use forelog::http::{Rate, Settings};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Key, TestApp, generous, send};

#[tokio::test]
async fn rest_calls_a_tool_and_names_the_call() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let answer = app.call(&key, "probe_write", json!({ "text": "hello" })).await;
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, json!({ "ran": 1 })));
    let intents = app.events("intent_recorded").await;
    let [event] = &intents[..] else { panic!("not one intent: {intents:?}") };
    let EventKind::IntentRecorded(intent) = &event.kind else { panic!("{event:?}") };
    assert_eq!(intent.call.as_str(), answer.header("forelog-call-id"));
    assert_eq!((intent.via, &intent.credential), (Via::Rest, &key.id));
    assert!(event.parts.iter().any(|part| part.part == "subject"), "the client's address is recorded");
}

#[tokio::test]
async fn rest_takes_the_idempotency_key_as_a_header() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let call = |header: &'static str, args: Value| {
        let request = app.ask(&key, Method::POST, "/api/v1/tools/probe_write").header("idempotency-key", header);
        send(request.json(&args))
    };
    let first = call("one", json!({ "text": "a" })).await;
    let again = call("one", json!({ "text": "a" })).await;
    assert_eq!((first.status, first.json()), (again.status, again.json()));
    assert_eq!(app.test_node.world.executed().len(), 1, "the second call repeats the first one's outcome");
    assert_eq!(call("one", json!({ "text": "b" })).await.code(), "idempotency_conflict");
    let both = call("one", json!({ "text": "a", "idempotency_key": "two" })).await;
    assert_eq!((both.status, both.code().as_str()), (StatusCode::BAD_REQUEST, "validation_failed"));
}

#[tokio::test]
async fn rest_answers_an_operation_when_the_wait_is_over() {
    let app = TestApp::with(Settings { wait: Duration::from_millis(50), ..generous() }).await;
    let key = app.key(|_| {}).await;
    app.test_node.world.shut();
    let answer = app.call(&key, "probe_write", json!({})).await;
    assert_eq!((answer.status, &answer.json()["status"]), (StatusCode::ACCEPTED, &json!("running")));
    assert_eq!(answer.json()["operation_id"], answer.header("forelog-call-id"));
    app.test_node.world.open();
    let call = answer.header("forelog-call-id").to_owned();
    until(async || app.events("succeeded").await.iter().any(|event| event.kind.call().is_some_and(|id| id.as_str() == call)))
        .await;
}

#[tokio::test]
async fn rest_a_caller_that_goes_away_cancels_its_call_and_leaves_none_open() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    app.test_node.world.shut();
    let request = app.ask(&key, Method::POST, "/api/v1/tools/probe_write").json(&json!({}));
    let sending = tokio::spawn(request.send());
    app.test_node.world.executed_at_least(1).await;
    sending.abort();
    until(async || app.events("cancelled").await.len() == 1).await;
}

#[tokio::test]
async fn rest_only_open_endpoints_answer_without_a_key() {
    let app = TestApp::start().await;
    for path in ["/healthz", "/readyz", "/metrics", "/api/v1", "/api/v1/openapi.json"] {
        assert_eq!(send(app.bare(Method::GET, path)).await.status, StatusCode::OK, "{path}");
    }
    let closed = [
        (Method::POST, "/api/v1/tools/probe_read"),
        (Method::POST, "/api/v1/tools/none"),
        (Method::GET, "/api/v1/calls"),
        (Method::GET, "/api/v1/calls/call_x"),
        (Method::GET, "/api/v1/switches"),
        (Method::POST, "/api/v1/switches"),
        (Method::POST, "/api/v1/switches/x/release"),
        (Method::GET, "/api/v1/keys"),
        (Method::POST, "/api/v1/keys"),
        (Method::DELETE, "/api/v1/keys/x"),
        (Method::POST, "/api/v1/keys/x/rotate"),
        (Method::GET, "/api/v1/approvals"),
        (Method::POST, "/mcp"),
        (Method::GET, "/mcp"),
        (Method::DELETE, "/mcp"),
        (Method::POST, "/mcp/readonly"),
    ];
    for (method, path) in closed {
        let answer = send(app.bare(method.clone(), path)).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNAUTHORIZED, "unauthenticated"), "{method} {path}");
        assert_eq!(answer.header("www-authenticate"), "Bearer", "{method} {path}");
    }
    assert!(app.events("intent_recorded").await.is_empty(), "who is not known is counted, not logged");
    let metrics = send(app.bare(Method::GET, "/metrics")).await.text;
    assert!(metrics.contains("forelog_unauthenticated_total 16\n"), "{metrics}");
}

#[tokio::test]
async fn rest_takes_a_key_from_the_header_only() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let path = "/api/v1/approvals";
    let in_query = app.bare(Method::GET, &format!("{path}?access_token={0}&api_key={0}", key.text));
    let basic = app.bare(Method::GET, path).header("authorization", format!("Basic {}", key.text));
    let naked = app.bare(Method::GET, path).header("authorization", &key.text);
    let cookie = app.bare(Method::GET, path).header("cookie", format!("authorization={}", key.text));
    let twice = app.ask(&key, Method::GET, path).bearer_auth(&key.text);
    for request in [in_query, basic, naked, cookie, twice] {
        let answer = send(request).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
        assert!(!answer.text.contains(&key.text));
    }
    assert_eq!(send(app.ask(&key, Method::GET, path)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn rest_a_dead_key_fails_on_its_next_request() {
    let app = TestApp::start().await;
    let end = app.test_node.control.ports.clock.now().plus(Duration::from_mins(1));
    let (revoked, expired) = (app.key(|_| {}).await, app.key(|key| key.expires_at = Some(end)).await);
    for key in [&revoked, &expired] {
        assert_eq!(app.call(key, "probe_read", json!({})).await.status, StatusCode::OK);
    }
    app.revoke(&revoked).await;
    app.test_node.clock.pass(Duration::from_secs(61));
    app.test_node.beat().await;
    for (key, code) in [(&revoked, "token_revoked"), (&expired, "token_expired")] {
        let call = app.call(key, "probe_read", json!({})).await;
        let read = send(app.ask(key, Method::GET, "/api/v1/calls")).await;
        for answer in [call, read] {
            assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNAUTHORIZED, code));
            assert!(answer.header("www-authenticate").starts_with("Bearer"));
        }
    }
    assert_eq!(app.events("refused").await.len(), 0, "of a dead key nothing is kept but counts");
    app.test_node.clock.pass(Duration::from_secs(61));
    app.test_node.beat().await;
    assert_eq!(app.events("refusals_counted").await.len(), 2, "both calls were counted");
}

#[tokio::test]
async fn rest_a_customer_reads_its_own_log_and_no_other() {
    let app = TestApp::start().await;
    let (key, stranger) = (app.key(|_| {}).await, app.stranger(Side::Customer).await);
    let call = app.call(&key, "probe_write", json!({ "text": "mine" })).await.header("forelog-call-id").to_owned();
    let own = send(app.ask(&key, Method::GET, &format!("/api/v1/calls/{call}"))).await.json();
    let kinds: Vec<&str> = own["events"].as_array().expect("events").iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(kinds, ["intent_recorded", "admitted", "succeeded"]);
    assert_eq!((&own["call_id"], &own["status"]), (&json!(call), &json!("succeeded")));
    assert!(own["at"].as_str().is_some_and(|at| at.ends_with('Z')), "times are RFC 3339: {own}");
    assert!(own["events"][0]["leaf"]["at"].is_i64(), "a leaf stays as it was hashed: {own}");

    let absent = "/api/v1/calls/call_01J00000000000000000000000";
    let [foreign, absent, nonsense] = [format!("/api/v1/calls/{call}"), absent.to_owned(), "/api/v1/calls/x".to_owned()]
        .map(|path| send(app.ask(&stranger, Method::GET, &path)));
    let (foreign, absent, nonsense) = (foreign.await, absent.await, nonsense.await);
    assert_eq!((foreign.status, &foreign.text), (StatusCode::NOT_FOUND, &absent.text), "absent and foreign look the same");
    assert_eq!(nonsense.text, absent.text);

    let listed = send(app.ask(&stranger, Method::GET, &format!("/api/v1/calls?account={}", key.account))).await.json();
    assert_eq!(listed["items"], json!([]), "naming another account widens nothing");
    let vms = Some(Vec::new());
    let limited = app.key(|key| key.vms = vms).await;
    let beyond = send(app.ask(&limited, Method::GET, &format!("/api/v1/calls/{call}"))).await;
    assert_eq!(beyond.text, absent.text, "a key that is limited to some VMs sees its own calls only");
    for filter in ["", &format!("?credential={}", key.id)] {
        let listed = send(app.ask(&limited, Method::GET, &format!("/api/v1/calls{filter}"))).await.json();
        assert_eq!(listed["items"], json!([]), "{filter}");
    }
    let blind = app.key(|key| key.scopes.retain(|scope| *scope != Scope::AuditRead)).await;
    let refused = send(app.ask(&blind, Method::GET, "/api/v1/calls")).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::FORBIDDEN, "forbidden_scope"));
}

#[tokio::test]
async fn rest_a_read_of_the_log_by_staff_is_an_event() {
    let app = TestApp::start().await;
    let (key, staff) = (app.key(|_| {}).await, app.stranger(Side::Staff).await);
    let call = app.call(&key, "probe_write", json!({})).await.header("forelog-call-id").to_owned();
    let listed = send(app.ask(&staff, Method::GET, "/api/v1/calls?tool=probe_write&limit=5")).await;
    assert_eq!(listed.json()["items"][0]["call_id"], call);
    let shown = send(app.ask(&staff, Method::GET, &format!("/api/v1/calls/{call}"))).await;
    assert_eq!(shown.status, StatusCode::OK);
    let reads = app.events("log_read").await;
    let what: Vec<_> = reads
        .iter()
        .map(|event| match &event.kind {
            EventKind::LogRead { what, .. } => what.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(what, ["calls".to_owned(), format!("calls/{call}")]);
    let asked = app
        .test_node
        .reader
        .part(&reads[0], "note", &forelog::core::visibility::Visibility::Everything)
        .await
        .expect("the note")
        .expect("a note");
    assert_eq!(asked["tool"], "probe_write", "what they asked for is in it");
    send(app.ask(&key, Method::GET, "/api/v1/calls")).await;
    assert_eq!(app.events("log_read").await.len(), 2, "a customer's own read is none");
}

#[tokio::test]
async fn rest_throttles_each_address_before_it_authenticates() {
    let one = |n| NonZeroU32::new(n).expect("not zero");
    let rate = Rate { per_second: one(1), burst: one(3) };
    let app =
        TestApp::with(Settings { rate, trusted_proxies: vec!["127.0.0.0/8".parse().expect("a network")], ..generous() }).await;
    let from = |address: &str| send(app.bare(Method::POST, "/mcp").header("x-forwarded-for", address.to_owned()));
    for _ in 0..3 {
        assert_eq!(from("203.0.113.9").await.status, StatusCode::UNAUTHORIZED);
    }
    let limited = from("203.0.113.9").await;
    assert_eq!((limited.status, limited.code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "rate_limited"));
    assert!(limited.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1));
    assert_eq!(from("203.0.113.10").await.status, StatusCode::UNAUTHORIZED, "another address is another matter");
    let sent_by_client = from("203.0.113.11, 203.0.113.9").await;
    assert_eq!(sent_by_client.status, StatusCode::TOO_MANY_REQUESTS, "what the client wrote before the proxy is not believed");
}

/// Many behind one address: what one of them asks for, or anybody without a key, uses up nobody else's stop, nor their own.
#[tokio::test]
async fn rest_throttles_nobody_for_whoever_shares_their_address() {
    let one = |n| NonZeroU32::new(n).expect("not zero");
    let app = TestApp::with(Settings { rate: Rate { per_second: one(1), burst: one(2) }, ..generous() }).await;
    let (flooding, other, revoked) = (app.key(|_| {}).await, app.key(|_| {}).await, app.key(|_| {}).await);
    let call = |key: &Key, tool: &str| {
        send(app.ask(key, Method::POST, &format!("/api/v1/tools/{tool}")).json(&json!({ "reason": "x" })))
    };
    while call(&flooding, "probe_read").await.status != StatusCode::TOO_MANY_REQUESTS {}
    while send(app.bare(Method::POST, "/mcp")).await.status != StatusCode::TOO_MANY_REQUESTS {}
    assert_ne!(call(&other, "panic_engage").await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_ne!(call(&flooding, "panic_engage").await.status, StatusCode::TOO_MANY_REQUESTS, "its own stop");
    // A key that is dead has what its address has.
    app.revoke(&revoked).await;
    assert_eq!(call(&revoked, "panic_engage").await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn rest_believes_a_forwarded_address_from_trusted_proxies_only() {
    let trusting = Settings { trusted_proxies: vec!["127.0.0.1/32".parse().expect("a network")], ..generous() };
    for (settings, expected) in [(trusting, StatusCode::OK), (generous(), StatusCode::FORBIDDEN)] {
        let app = TestApp::with(settings).await;
        let key = app.key_from(&["198.51.100.0/24"]).await;
        let request = app.ask(&key, Method::POST, "/api/v1/tools/probe_read").header("x-forwarded-for", "198.51.100.7");
        let answer = send(request.json(&json!({}))).await;
        assert_eq!(answer.status, expected, "{answer:?}");
    }
}

#[tokio::test]
async fn rest_hardens_every_answer_and_words_every_error_the_same() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let cases = [
        (Method::GET, "/nothing", StatusCode::NOT_FOUND, "not_found"),
        (Method::GET, "/api/v1/nothing", StatusCode::NOT_FOUND, "not_found"),
        (Method::PUT, "/api/v1/calls", StatusCode::METHOD_NOT_ALLOWED, "validation_failed"),
        (Method::PATCH, "/mcp", StatusCode::METHOD_NOT_ALLOWED, "validation_failed"),
    ];
    for (method, path, status, code) in cases {
        let answer = send(app.ask(&key, method.clone(), path)).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"));
    }
}

#[tokio::test]
async fn rest_begins_at_a_document_that_leads_everywhere() {
    let app = TestApp::start().await;
    let index = send(app.bare(Method::GET, "/api/v1")).await.json();
    assert_eq!(send(app.bare(Method::GET, "/api/v1/")).await.json(), index);
    assert_eq!(index["links"]["openapi"], "/api/v1/openapi.json");
    for (name, path) in index["links"].as_object().expect("links") {
        let path = path.as_str().expect("a path").replace("{name}", "probe_read");
        assert_ne!(send(app.bare(Method::GET, &path)).await.status, StatusCode::NOT_FOUND, "{name}: {path}");
    }
}

#[tokio::test]
async fn rest_describes_itself_from_the_catalogue() {
    let app = TestApp::start().await;
    let document = send(app.bare(Method::GET, "/api/v1/openapi.json")).await.json();
    assert_eq!(document["openapi"], "3.1.0");
    for tool in app.test_node.control.catalogue.iter() {
        let body = &document["paths"][format!("/api/v1/tools/{}", tool.facts.name)]["post"]["requestBody"];
        assert_eq!(body["content"]["application/json"]["schema"], tool.input);
    }
}

/// Returns once `done`; fails if that takes too long.
async fn until(done: impl AsyncFn() -> bool) {
    let waiting = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it should have happened");
}
