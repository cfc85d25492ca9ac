//! Who gets through and to what: lists, scopes, keys, hosts and origins.

use std::time::Duration;

use forelog::core::event::EventKind;
use forelog::core::principal::Side;
use forelog::core::scope::Scope;
use forelog::http::Settings;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{LEGACY, MODERN, Session, call, initialize, modern, names, request};
use crate::harness::{ACCEPT, Key, TestApp, generous, send};

#[tokio::test]
async fn mcp_lists_what_the_caller_may_do_and_says_it_is_private() {
    let app = TestApp::start().await;
    let all = app.key(|_| {}).await;
    let reader = app.key(|key| key.read_only = true).await;
    let poor = app.key(|key| key.scopes.clear()).await;
    let list = |key, path| send(modern(&app, key, path, &request(1, "tools/list", json!({}))));
    let everything = list(&all, "/mcp").await.rpc();
    assert_eq!(names(&everything), ["operation_get", "probe_queued", "probe_read", "probe_write", "vm_rename"]);
    for (key, path, expected) in [
        (&reader, "/mcp", vec!["operation_get", "probe_read"]),
        (&poor, "/mcp", vec!["operation_get"]),
        (&all, "/mcp/readonly", vec!["operation_get", "probe_read"]),
    ] {
        let list = list(key, path).await.rpc();
        assert_eq!(names(&list), expected, "{path}");
        assert_eq!(list["result"]["cacheScope"], "private", "what depends on the caller is nobody else's to cache");
    }
    for tool in everything["result"]["tools"].as_array().expect("tools") {
        let hints = ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"];
        assert!(hints.iter().all(|hint| tool["annotations"][hint].is_boolean()), "{tool}");
        assert_eq!((&tool["inputSchema"]["type"], &tool["outputSchema"]["type"]), (&json!("object"), &json!("object")));
    }
    let bad_cursor = send(modern(&app, &all, "/mcp", &request(1, "tools/list", json!({ "cursor": "x" })))).await.rpc();
    assert_eq!(bad_cursor["error"]["code"], -32602);
}

#[tokio::test]
async fn mcp_enforces_on_call_what_it_does_not_list() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let write = send(modern(&app, &key, "/mcp/readonly", &call(1, "probe_write", json!({})))).await.rpc();
    assert_eq!(
        (&write["result"]["isError"], &write["result"]["structuredContent"]["error"]["code"]),
        (&json!(true), &json!("read_only_mode"))
    );
    let read = send(modern(&app, &key, "/mcp/readonly", &call(2, "probe_read", json!({})))).await.rpc();
    assert_eq!(read["result"]["isError"], false);
}

/// A 403 with `insufficient_scope` would send its client to an authorization server, and there is none.
#[tokio::test]
async fn mcp_a_missing_scope_is_the_tools_error_in_every_version() {
    let app = TestApp::start().await;
    let poor = app.key(|key| key.scopes.retain(|scope| *scope != Scope::VmsWrite)).await;
    let session = Session::begin(&app, &poor, "2025-11-25").await;
    let old = session.ask(1, "tools/call", json!({ "name": "probe_write", "arguments": {} })).await;
    let new = send(modern(&app, &poor, "/mcp", &call(1, "probe_write", json!({})))).await;
    for answer in [old, new] {
        assert_eq!((answer.status, answer.header("www-authenticate")), (StatusCode::OK, ""), "{answer:?}");
        let result = &answer.rpc()["result"];
        assert_eq!(
            (&result["isError"], &result["structuredContent"]["error"]["code"]),
            (&json!(true), &json!("forbidden_scope"))
        );
        assert_eq!(result["structuredContent"]["error"]["details"]["scope"], "vms:write");
    }
    assert_eq!(app.events("refused").await.len(), 2, "both are in the log");
    assert!(app.test_node.world.executed().is_empty());
}

#[tokio::test]
async fn mcp_the_gate_reads_the_body_whatever_the_headers_say() {
    let app = TestApp::start().await;
    let poor = app.key(|key| key.scopes.retain(|scope| *scope != Scope::VmsWrite)).await;
    let mut disguised = modern(&app, &poor, "/mcp", &call(1, "probe_write", json!({}))).build().expect("a request");
    disguised.headers_mut().insert("mcp-name", "something_else".parse().expect("a header"));
    let answer = reqwest::Client::builder().no_proxy().build().expect("a client").execute(disguised).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(answer.headers().contains_key("forelog-call-id"), "and it is on record");
    let key = app.key(|_| {}).await;
    let mut mismatched = modern(&app, &key, "/mcp", &call(1, "probe_write", json!({}))).build().expect("a request");
    mismatched.headers_mut().insert("mcp-name", "probe_read".parse().expect("a header"));
    let answer = reqwest::Client::builder().no_proxy().build().expect("a client").execute(mismatched).await.expect("an answer");
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!(body["error"]["code"], -32020);
    // Two readers of one text may differ: the last of two names is the one that counts, for the gate and for what runs.
    let twice = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"probe_none","name":"probe_write","arguments":{},
        "_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let request = app.ask(&poor, Method::POST, "/mcp").header("accept", ACCEPT).header("content-type", "application/json");
    let request =
        request.header("mcp-protocol-version", MODERN).header("mcp-method", "tools/call").header("mcp-name", "probe_write");
    let refused = send(request.body(twice)).await.rpc();
    assert_eq!(refused["result"]["structuredContent"]["error"]["code"], "forbidden_scope", "{refused}");
    assert!(app.test_node.world.executed().is_empty());
}

#[tokio::test]
async fn mcp_an_unknown_tool_is_recorded_and_is_a_fault_of_the_request() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let answer = send(modern(&app, &key, "/mcp", &call(1, "rm_rf_slash", json!({ "a": 1 })))).await;
    assert_eq!((answer.status, &answer.rpc()["error"]["code"]), (StatusCode::OK, &json!(-32602)));
    assert_eq!(answer.rpc()["error"]["data"]["error"]["code"], "unknown_tool");
    let invalid = send(modern(&app, &key, "/mcp", &call(2, "probe_write", json!({ "sudo": true })))).await.rpc();
    assert_eq!(invalid["result"]["structuredContent"]["error"]["code"], "validation_failed");
    let refused = app.events("refused").await;
    assert_eq!(refused.len(), 2);
    let log = app.test_node.log().await;
    assert!(!log.iter().any(|event| format!("{event:?}").contains("rm_rf_slash")), "what is no name of ours is never in a leaf");
}

#[tokio::test]
async fn mcp_refuses_hosts_and_origins_that_are_not_ours() {
    let settings =
        Settings { allowed_origins: vec!["https://app.example:443".into(), "http://dev.example:*".into()], ..generous() };
    let app = TestApp::with(settings).await;
    let key = app.key(|_| {}).await;
    let ping = || modern(&app, &key, "/mcp", &request(1, "tools/list", json!({})));
    for host in ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "127.0.0.1@evil.example"] {
        let answer = send(ping().header("host", host)).await;
        assert!(matches!(answer.status.as_u16(), 400 | 403), "{host}: {answer:?}");
    }
    let answer = send(app.ask(&key, Method::GET, "/api/v1/approvals").header("host", "evil.example")).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::FORBIDDEN, "origin_not_allowed"));
    for host in ["localhost:1", "LOCALHOST", "[::1]:7373", "127.0.0.1"] {
        assert_eq!(send(ping().header("host", host)).await.status, StatusCode::OK, "{host}");
    }
    for origin in
        ["null", "http://evil.example", "http://127.0.0.1:1", "file://", "https://app.example:444", "http://app.example", "x", ""]
    {
        let answer = send(ping().header("origin", origin)).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::FORBIDDEN, "origin_not_allowed"), "{origin}");
    }
    let own = format!("http://{}", app.address);
    for origin in ["https://app.example", "https://app.example:443", "http://dev.example", "http://dev.example:9", &own] {
        assert_eq!(send(ping().header("origin", origin)).await.status, StatusCode::OK, "{origin}");
    }
    assert_eq!(send(ping()).await.status, StatusCode::OK, "no origin is no browser");
}

#[tokio::test]
async fn mcp_a_dead_or_foreign_key_is_401_and_its_call_is_counted() {
    let app = TestApp::start().await;
    let (key, staff) = (app.key(|_| {}).await, app.stranger(Side::Staff).await);
    let session = Session::begin(&app, &key, "2025-11-25").await;
    app.revoke(&key).await;
    let answers = [
        send(modern(&app, &key, "/mcp", &call(1, "probe_write", json!({})))).await,
        send(modern(&app, &key, "/mcp", &request(1, "tools/list", json!({})))).await,
        session.ask(2, "tools/call", json!({ "name": "probe_write", "arguments": {} })).await,
        session.ask(3, "ping", json!({})).await,
        send(session.with_headers(app.ask(&key, Method::GET, "/mcp").header("accept", ACCEPT))).await,
    ];
    for answer in answers {
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNAUTHORIZED, "token_revoked"));
        assert_eq!(
            answer.header("www-authenticate"),
            "Bearer error=\"invalid_token\"",
            "without resource_metadata: there is none"
        );
        assert!(!answer.text.contains(&key.text));
    }
    assert_eq!(app.events("refused").await.len(), 0);
    app.test_node.clock.pass(Duration::from_secs(61));
    app.test_node.beat().await;
    let counted = app.events("refusals_counted").await;
    assert!(matches!(&counted[..], [event] if matches!(event.kind, EventKind::RefusalsCounted { count: 2, .. })), "{counted:?}");
    assert!(app.test_node.world.executed().is_empty());
    let unknown = Key { text: format!("{}x", key.text), id: key.id.clone(), account: key.account.clone() };
    for token in [&unknown.text, "flk_live_", "", "eyJhbGciOiJub25lIn0.e30."] {
        let answer =
            send(app.bare(Method::POST, "/mcp").bearer_auth(token).header("accept", ACCEPT).json(&initialize(LEGACY[3]))).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNAUTHORIZED, "unauthenticated"));
    }
    let in_query = app.bare(Method::POST, &format!("/mcp?access_token={}", staff.text)).json(&initialize(LEGACY[3]));
    assert_eq!(send(in_query).await.status, StatusCode::UNAUTHORIZED);
    let refused = send(app.rpc(&staff, &initialize(LEGACY[3]))).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::FORBIDDEN, "forbidden_role"));
}
