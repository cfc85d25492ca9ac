//! MCP over a real socket, in all five versions, and the ways in which others' servers were broken.

use std::time::Duration;

use forelog::core::event::EventKind;
use forelog::core::principal::{Side, Via};
use forelog::core::protocol::Protocol;
use forelog::core::scope::Scope;
use forelog::http::{SessionCaps, Settings};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::harness::{ACCEPT, Answer, Key, TestApp, generous, send};

const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
const MODERN: &str = "2026-07-28";

/// A session of a version before 2026-07-28.
struct Session<'a> {
    app: &'a TestApp,
    key: &'a Key,
    id: String,
    version: &'static str,
}

fn initialize(version: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": version, "capabilities": {}, "clientInfo": { "name": "test", "version": "1" },
    } })
}

#[expect(clippy::needless_pass_by_value, reason = "callers write the parameters in place")]
fn request(id: i64, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

impl<'a> Session<'a> {
    async fn begin(app: &'a TestApp, key: &'a Key, version: &'static str) -> Self {
        let answer = send(app.rpc(key, &initialize(version))).await;
        assert_eq!((answer.status, &answer.rpc()["result"]["protocolVersion"]), (StatusCode::OK, &json!(version)), "{answer:?}");
        let session = Self { app, key, id: answer.header("mcp-session-id").to_owned(), version };
        let begun = send(session.post(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))).await;
        assert_eq!(begun.status, StatusCode::ACCEPTED);
        session
    }

    fn post(&self, message: &Value) -> RequestBuilder {
        self.with_headers(self.app.rpc(self.key, message))
    }

    fn with_headers(&self, request: RequestBuilder) -> RequestBuilder {
        let request = request.header("mcp-session-id", &self.id);
        // The header came with 2025-06-18.
        if self.version < "2025-06-18" { request } else { request.header("mcp-protocol-version", self.version) }
    }

    async fn ask(&self, id: i64, method: &str, params: Value) -> Answer {
        send(self.post(&request(id, method, params))).await
    }
}

/// A request of 2026-07-28, which has no sessions.
fn modern(app: &TestApp, key: &Key, path: &str, message: &Value) -> RequestBuilder {
    let mut message = message.clone();
    message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(MODERN);
    message["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    let name = message["params"]["name"].as_str().map(str::to_owned);
    let method = message["method"].as_str().expect("a method").to_owned();
    let request = app.ask(key, Method::POST, path).header("accept", ACCEPT).json(&message);
    let request = request.header("mcp-protocol-version", MODERN).header("mcp-method", method);
    name.into_iter().fold(request, |request, name| request.header("mcp-name", name))
}

#[expect(clippy::needless_pass_by_value, reason = "callers write the arguments in place")]
fn call(id: i64, tool: &str, args: Value) -> Value {
    request(id, "tools/call", json!({ "name": tool, "arguments": args }))
}

fn names(list: &Value) -> Vec<String> {
    let tools = list["result"]["tools"].as_array().unwrap_or_else(|| panic!("no tools: {list}"));
    tools.iter().filter_map(|tool| tool["name"].as_str()).map(str::to_owned).collect()
}

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
    assert!(!log.iter().any(|event| format!("{event:?}").contains("rm_rf_slash")), "what is no name of ours is kept as a digest");
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
