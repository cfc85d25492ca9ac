//! Input that is wrong, over REST and MCP alike: the right code, the right status, never plain text, never a panic.

use forelog::core::principal::Side;
use forelog::core::scope::Scope;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{ACCEPT, TestApp, generous, send};

const TOOL: &str = "/api/v1/tools/probe_write";

#[tokio::test]
async fn bad_input_over_rest_is_answered_with_a_code() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let bodies: [(&str, &[u8], &str, u16, &str); 12] = [
        ("malformed JSON", b"{\"text\": ", "application/json", 400, "validation_failed"),
        ("more than one document", b"{} {}", "application/json", 400, "validation_failed"),
        ("bad UTF-8", b"{\"text\": \"\xff\xfe\"}", "application/json", 400, "validation_failed"),
        ("too deep", deep.as_bytes(), "application/json", 400, "validation_failed"),
        ("another content type", b"text=1", "application/x-www-form-urlencoded", 400, "validation_failed"),
        ("no content type", b"{}", "", 400, "validation_failed"),
        ("an array", b"[]", "application/json", 422, "validation_failed"),
        ("a text", b"\"x\"", "application/json", 422, "validation_failed"),
        ("null", b"null", "application/json", 422, "validation_failed"),
        ("an unknown argument", b"{\"sudo\": true}", "application/json", 422, "validation_failed"),
        ("a wrong type", b"{\"text\": 7}", "application/json", 422, "validation_failed"),
        ("a foreign VM", b"{\"vm_id\": \"vm_01J00000000000000000000000\"}", "application/json", 404, "vm_not_found"),
    ];
    for (name, body, content_type, status, code) in bodies {
        let request = app.ask(&key, Method::POST, TOOL).header("content-type", content_type).body(body.to_vec());
        let answer = send(request).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{name}: {answer:?}");
        assert!(answer.json()["error"]["message"].is_string(), "{name}");
    }
    let unknown = app.call(&key, "no_such_tool", json!({})).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (StatusCode::NOT_FOUND, "unknown_tool"));
    let odd_name = send(app.ask(&key, Method::POST, "/api/v1/tools/%ff%fe").json(&json!({}))).await;
    assert_eq!((odd_name.status, odd_name.code().as_str()), (StatusCode::BAD_REQUEST, "validation_failed"));
    assert!(odd_name.json()["error"]["call_id"].is_string(), "it is on record all the same: {odd_name:?}");
    assert!(app.test_node.world.executed().is_empty(), "none of it ran");
}

#[tokio::test]
async fn bad_input_quotes_no_value_back() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let secret = "hunter2-correct-horse";
    for body in
        [format!("{{\"text\": \"{secret}"), format!("{{\"text\": [\"{secret}\"]}}"), format!("{{\"vm_id\": \"{secret}\"}}")]
    {
        let request = app.ask(&key, Method::POST, TOOL).header("content-type", "application/json").body(body);
        let answer = send(request).await;
        assert!(answer.status.is_client_error() && !answer.text.contains(secret), "{answer:?}");
    }
}

#[tokio::test]
async fn bad_input_in_a_query_is_refused_by_name() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let queries = [
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=-1",
        "from=yesterday",
        "to=2026-13-01T00:00:00Z",
        "account=acc_1",
        "color=red",
        "limit=1e9",
        "limit=",
        "limit=1&limit=2",
        "tool=a&tool=b",
        "vm=",
        "vm=web-1",
        "user=me",
        "credential=x",
        "switch=x",
        "via=pigeon",
        "ip=here",
        "outcome=fine",
        "code=fine",
        "from=1764300000",
        "from=1764300000000",
        "to=0",
        "to=-1",
        "from=20260131",
        "from=",
        "from=2026-02-01&to=2026-01-01",
        "q=created:%3C1764300000",
        "q=created:2027..2026",
        "q=tool:",
        "tool=%00",
        "tool=%ff",
    ];
    let staff = app.stranger(Side::Staff).await;
    for query in queries {
        let answer = send(app.ask(&staff, Method::GET, &format!("/api/v1/calls?{query}"))).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "validation_failed"), "{query}: {answer:?}");
    }
    for query in [
        "from=2026-01-02T03:04:05Z",
        "from=1767225600000000",
        "to=2030-01-02T03:04:05.5%2B02:00",
        "limit=200",
        "from=2026-01-02+03:04:05",
        "from=2026-01-02%2003:04:05%20UTC",
        "from=2026-01-02T03:04",
        "from=2026-01",
        "q=created:%3C2027",
        "q=created:%3E%3D%222026-01-02%2003:04:05%22",
    ] {
        let answer = send(app.ask(&key, Method::GET, &format!("/api/v1/calls?{query}"))).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {answer:?}");
    }
}

#[tokio::test]
async fn bad_input_as_a_time_says_what_was_meant() {
    let app = TestApp::start().await;
    let key = app.key(|key| key.scopes.extend([Scope::KeysWrite])).await;
    for query in ["from=1764300000", "q=created:%3C1764300000"] {
        let answer = send(app.ask(&key, Method::GET, &format!("/api/v1/calls?{query}"))).await;
        assert!(answer.text.contains("if these are seconds, write 2025-11-28T03:20:00Z"), "{query}: {answer:?}");
    }
    let made = app.call(&key, "key_create", json!({ "label": "x", "scopes": ["vms:read"], "expires_at": 1_764_300_000 })).await;
    assert_eq!(made.code(), "validation_failed", "{made:?}");
}

#[tokio::test]
async fn bad_input_that_is_not_known_is_refused_and_not_ignored() {
    let app = TestApp::start().await;
    let key = app.key(|key| key.scopes.extend([Scope::KeysRead, Scope::KeysWrite])).await;
    let staff = app.stranger(Side::Staff).await;
    for path in ["approvals", "switches", "exports", "searches", "people/usr_x/sessions", "keys", "events", "calls/histogram"] {
        let answer = send(app.ask(&key, Method::GET, &format!("/api/v1/{path}?colour=red"))).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "validation_failed"), "{path}: {answer:?}");
    }
    for (key, method, path) in [
        (&key, Method::POST, "tools/probe_write?dry_run=true"),
        (&key, Method::POST, "keys?user=x"),
        (&key, Method::DELETE, "keys/key_x?dry_run=1"),
        (&staff, Method::POST, "switches/swi_x/release?force=1"),
        (&key, Method::DELETE, "keys/%ff"),
        (&key, Method::DELETE, "keys/a%00b"),
        (&key, Method::DELETE, "people/%ff/sessions/x"),
        (&key, Method::POST, "tools/probe_write%00"),
    ] {
        let answer = send(app.ask(key, method, &format!("/api/v1/{path}")).json(&json!({}))).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "validation_failed"), "{path}: {answer:?}");
        assert!(answer.json()["error"]["call_id"].is_string(), "it is on record all the same: {path}: {answer:?}");
    }
    for query in [
        "type=nonsense",
        "type=",
        "subject=",
        "subject=%00",
        "user=me",
        "account=x",
        "limit=0",
        "limit=1000000000",
        "reason=a&reason=b",
    ] {
        let answer = send(app.ask(&key, Method::GET, &format!("/api/v1/events?{query}"))).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "validation_failed"), "{query}: {answer:?}");
    }
    assert!(app.test_node.world.executed().is_empty());
}

#[tokio::test]
async fn bad_input_larger_than_allowed_is_refused_on_both_sides() {
    let app = TestApp::with(forelog::http::Settings { body_limit: 2000, ..generous() }).await;
    let key = app.key(|_| {}).await;
    let large = "x".repeat(3000);
    let rest = app.call(&key, "probe_write", json!({ "text": large })).await;
    let mcp = send(app.rpc(&key, &json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "params": { "x": large } }))).await;
    for answer in [rest, mcp] {
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "too_large"));
    }
    assert_eq!(app.call(&key, "probe_write", json!({ "text": "x".repeat(1000) })).await.status, StatusCode::OK);
}

#[tokio::test]
async fn bad_input_that_does_not_arrive_is_not_waited_for() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let body_time = std::time::Duration::from_millis(100);
    let app = TestApp::with(forelog::http::Settings { body_time, ..generous() }).await;
    let key = app.key(|_| {}).await;
    let mut socket = tokio::net::TcpStream::connect(app.address).await.expect("connect");
    let head = format!(
        "POST {TOOL} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{{",
        key.text
    );
    socket.write_all(head.as_bytes()).await.expect("send");
    let mut answer = [0; 12];
    tokio::time::timeout(std::time::Duration::from_secs(20), socket.read_exact(&mut answer))
        .await
        .expect("in time")
        .expect("read");
    assert_eq!(&answer, b"HTTP/1.1 408");
}

#[tokio::test]
async fn bad_input_over_mcp_is_a_json_rpc_error() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let bodies: [(&str, &[u8], i64); 11] = [
        ("malformed JSON", b"{\"jsonrpc\": \"2.0\",", -32700),
        ("bad UTF-8", b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"\xff\"}", -32700),
        ("nothing", b"", -32700),
        ("a text", b"\"ping\"", -32600),
        ("no version", b"{\"id\": 1, \"method\": \"ping\"}", -32600),
        ("another version", b"{\"jsonrpc\": \"1.0\", \"id\": 1, \"method\": \"ping\"}", -32600),
        ("no method", b"{\"jsonrpc\": \"2.0\", \"id\": 1}", -32600),
        ("a null id", b"{\"jsonrpc\": \"2.0\", \"id\": null, \"method\": \"ping\"}", -32600),
        ("an empty batch", b"[]", -32600),
        ("no session", b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"tools/list\"}", -32600),
        (
            "arguments that are none",
            br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"probe_read","arguments":[]}}"#,
            -32602,
        ),
    ];
    for (name, body, code) in bodies {
        let request = app.ask(&key, Method::POST, "/mcp").header("accept", ACCEPT).header("content-type", "application/json");
        let answer = send(request.body(body.to_vec())).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]["code"]), (400, &json!(code)), "{name}: {answer:?}");
        assert_eq!(answer.json()["jsonrpc"], "2.0", "{name}");
    }
    let other = app.ask(&key, Method::POST, "/mcp").header("accept", ACCEPT).header("content-type", "text/plain").body("{}");
    assert_eq!(send(other).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(app.events("intent_recorded").await.len(), 1, "the one tools/call among them is a call");
    let too_many: Vec<Value> = (1..=21).map(|id| json!({ "jsonrpc": "2.0", "id": id, "method": "ping" })).collect();
    assert_eq!(send(app.rpc(&key, &json!(too_many))).await.json()["error"]["code"], -32600);
}
