//! Calls that a protocol rejects before any tool is reached. Whoever is authenticated and asks for a call is on record,
//! whatever else is wrong with the request (P2); of what was asked only digest, size and fault are kept.

use std::time::Duration;

use forelog::core::event::{Event, EventKind};
use forelog::core::principal::Side;
use forelog::core::scope::Scope;
use forelog::http::Settings;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::harness::{ACCEPT, Answer, Key, TestApp, generous, send};

const MODERN: &str = "2026-07-28";
const CANARY: &str = "hunter2-correct-horse";

#[expect(clippy::needless_pass_by_value, reason = "values are written in place")]
fn call(id: Value, args: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": "probe_write", "arguments": args } })
}

fn modern(mut message: Value) -> Value {
    message["params"]["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {},
    });
    message
}

fn post(app: &TestApp, key: &Key, message: &Value, headers: &[(&str, &str)]) -> RequestBuilder {
    let request = app.ask(key, Method::POST, "/mcp").json(message);
    let accept = !headers.iter().any(|(name, _)| *name == "accept");
    let request = if accept { request.header("accept", ACCEPT) } else { request };
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}

const HEADERS: [(&str, &str); 3] = [("mcp-protocol-version", MODERN), ("mcp-method", "tools/call"), ("mcp-name", "probe_write")];

/// The intents, and the calls that were refused.
async fn recorded(app: &TestApp) -> (Vec<Event>, usize) {
    (app.events("intent_recorded").await, app.events("refused").await.len())
}

async fn begin(app: &TestApp, key: &Key, version: &str) -> String {
    let message = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": version, "capabilities": {}, "clientInfo": { "name": "test", "version": "1" },
    } });
    let id = send(app.rpc(key, &message)).await.header("mcp-session-id").to_owned();
    let begun = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    send(app.rpc(key, &begun).header("mcp-session-id", &id)).await;
    id
}

/// A request that asks for a call and is rejected: what is wrong, its message, its headers.
type Case = (&'static str, Value, Vec<(&'static str, &'static str)>);

fn cases(plain: &Value) -> Vec<Case> {
    const SESSION: [(&str, &str); 2] = [("mcp-session-id", "(own)"), ("mcp-protocol-version", "2025-11-25")];
    let edited = |base: Value, edit: fn(&mut Value)| {
        let mut message = base;
        edit(&mut message);
        message
    };
    let with = |edit: fn(&mut Value)| edited(modern(plain.clone()), edit);
    let old = |edit: fn(&mut Value)| edited(plain.clone(), edit);
    let without_id = |message: &mut Value| drop(message.as_object_mut().map(|fields| fields.remove("id")));
    vec![
        ("no session", plain.clone(), vec![]),
        ("a session that is none", plain.clone(), vec![("mcp-session-id", "none")]),
        ("somebody else's session", plain.clone(), vec![("mcp-session-id", "(foreign)")]),
        ("an unknown version", plain.clone(), vec![SESSION[0], ("mcp-protocol-version", "1999-01-01")]),
        ("a name that differs", modern(plain.clone()), vec![HEADERS[0], HEADERS[1], ("mcp-name", "probe_read")]),
        ("a method that differs", modern(plain.clone()), vec![HEADERS[0], ("mcp-method", "tools/list"), HEADERS[2]]),
        ("no name", modern(plain.clone()), vec![HEADERS[0], HEADERS[1]]),
        ("no version header", modern(plain.clone()), HEADERS[1..].to_vec()),
        ("a version from the future", plain.clone(), vec![("mcp-protocol-version", "2999-01-01"), HEADERS[1], HEADERS[2]]),
        ("no capabilities", with(|message| message["params"]["_meta"] = json!({})), HEADERS.to_vec()),
        ("meta that is none", with(|message| message["params"]["_meta"] = json!("x")), HEADERS.to_vec()),
        ("a state that is none", with(|message| message["params"]["requestState"] = json!(7)), HEADERS.to_vec()),
        ("meta that is none, in a session", old(|message| message["params"]["_meta"] = json!(7)), SESSION.to_vec()),
        ("no accepted answer", plain.clone(), vec![SESSION[0], SESSION[1], ("accept", "text/html")]),
        ("a null id", old(|message| message["id"] = Value::Null), SESSION.to_vec()),
        ("an id that is an object", old(|message| message["id"] = json!({})), SESSION.to_vec()),
        ("an id that is a flag", with(|message| message["id"] = json!(true)), HEADERS.to_vec()),
        ("an id with a fraction", old(|message| message["id"] = json!(1.5)), SESSION.to_vec()),
        ("an id beyond all bounds", old(|message| message["id"] = json!(u64::MAX)), SESSION.to_vec()),
        ("no id", with(without_id), HEADERS.to_vec()),
        ("no id, in a session", old(without_id), SESSION.to_vec()),
        ("another JSON-RPC", with(|message| message["jsonrpc"] = json!("1.0")), HEADERS.to_vec()),
        ("parameters that are none", with(|message| message["params"] = json!([1])), HEADERS.to_vec()),
        ("no parameters", json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call" }), SESSION.to_vec()),
        ("arguments that are none", with(|message| message["params"]["arguments"] = json!([CANARY])), HEADERS.to_vec()),
        ("a name that is none", with(|message| message["params"]["name"] = json!(7)), HEADERS.to_vec()),
    ]
}

#[tokio::test]
async fn rejected_calls_over_mcp_are_on_record() {
    let app = TestApp::start().await;
    let other = app.key(|_| {}).await;
    let foreign = begin(&app, &other, "2025-11-25").await;
    let plain = call(json!(1), json!({ "text": CANARY }));
    let mut silent = Vec::new();
    for (count, (name, edit, headers)) in cases(&plain).into_iter().enumerate() {
        // Identical refusals of one key are counted after the first few.
        let key = app.key(|_| {}).await;
        let session = begin(&app, &key, "2025-11-25").await;
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| match *value {
                "(own)" => (*name, session.as_str()),
                "(foreign)" => (*name, foreign.as_str()),
                value => (*name, value),
            })
            .collect();
        let before = recorded(&app).await;
        let answer = send(post(&app, &key, &edit, &headers)).await;
        let (intents, refused) = recorded(&app).await;
        if (intents.len(), refused) != (before.0.len() + 1, before.1 + 1) {
            silent.push(format!("{count} {name}: {} → {} {answer:?}", before.0.len(), intents.len()));
        }
        assert!(!answer.text.contains(CANARY), "{name}: {answer:?}");
        assert!(answer.text.contains("error"), "{name}: {answer:?}");
    }
    assert!(silent.is_empty(), "nothing is on record of:\n{}", silent.join("\n"));
    assert!(app.test_node.world.executed().is_empty(), "none of it ran");
    for event in app.events("intent_recorded").await {
        let kept = app
            .test_node
            .reader
            .part(&event, "arguments", &forelog::core::visibility::Visibility::Everything)
            .await
            .expect("a part")
            .unwrap_or_default();
        assert!(!kept.to_string().contains(CANARY), "{kept}");
        assert!(kept["args"]["faults"].is_array(), "{kept}");
    }
}

#[tokio::test]
async fn rejected_bodies_are_calls_if_the_request_says_so() {
    let app = TestApp::with(Settings { body_limit: 2000, ..generous() }).await;
    let large = modern(call(json!(1), json!({ "text": "x".repeat(3000) }))).to_string();
    let bodies: [(&str, &str, &str); 5] = [
        ("cut", "{\"jsonrpc\": \"2.0\",", "application/json"),
        ("no JSON", CANARY, "application/json"),
        ("nothing", "", "application/json"),
        ("too large", &large, "application/json"),
        ("of another kind", "{}", "text/plain"),
    ];
    for (count, (name, body, kind)) in bodies.iter().enumerate() {
        let key = app.key(|_| {}).await;
        let request = app.ask(&key, Method::POST, "/mcp").header("accept", ACCEPT).header("content-type", *kind);
        let request = HEADERS.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = send(request.body((*body).to_owned())).await;
        assert!(answer.status.is_client_error() && !answer.text.contains(CANARY), "{name}: {answer:?}");
        assert_eq!(recorded(&app).await.0.len(), count + 1, "{name}");
        // Without the header nobody can tell what it was meant to be.
        let request = app.ask(&key, Method::POST, "/mcp").header("accept", ACCEPT).header("content-type", *kind);
        send(request.body((*body).to_owned())).await;
        assert_eq!(recorded(&app).await.0.len(), count + 1, "{name}");
    }
}

#[tokio::test]
async fn rejected_for_what_it_is_said_to_be_is_a_call_all_the_same() {
    let app = TestApp::start().await;
    let plain = call(json!(1), json!({ "text": CANARY })).to_string();
    let deep = format!("{}{}", "[".repeat(3000), "]".repeat(3000));
    let deep = plain.replace(&format!("\"{CANARY}\""), &deep);
    assert!(serde_json::from_str::<Value>(&deep).is_err());
    let batch = format!("[{plain},{plain}]");
    let mut count = 0;
    for (body, kind, status, calls) in [
        (&plain, Some("text/plain"), 415, 1),
        (&plain, Some("application/x-www-form-urlencoded"), 415, 1),
        (&plain, None, 415, 1),
        (&batch, Some("text/plain"), 415, 2),
        (&deep, Some("text/plain"), 415, 1),
        (&deep, Some("application/json"), 400, 1),
        (&format!("[{deep}]"), Some("application/json"), 400, 1),
    ] {
        let key = app.key(|_| {}).await;
        let request = app.ask(&key, Method::POST, "/mcp").header("accept", ACCEPT);
        let request = kind.map_or_else(|| app.ask(&key, Method::POST, "/mcp"), |kind| request.header("content-type", kind));
        let answer = send(request.body(body.clone())).await;
        assert_eq!(answer.status.as_u16(), status, "{kind:?}: {answer:?}");
        assert!(!answer.text.contains(CANARY), "{answer:?}");
        count += calls;
        let (intents, refused) = recorded(&app).await;
        assert_eq!((intents.len(), refused), (count, count), "{kind:?}: {answer:?}");
        let forelog::core::event::EventKind::IntentRecorded(intent) = &intents[count - 1].kind else { panic!("an intent") };
        // Of a batch that is nested too deep only the methods are known.
        let is_named = !body.starts_with('[') || *body == batch;
        assert_eq!(&*intent.tool == "probe_write", is_named, "{kind:?}: {}", &*intent.tool);
    }
    assert!(app.test_node.world.executed().is_empty());
}

#[tokio::test]
async fn rejected_batches_are_a_call_for_each_call_that_they_hold() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let batch = json!([call(1.into(), json!({})), { "jsonrpc": "2.0", "id": 2, "method": "ping" }, call(3.into(), json!({}))]);
    let newer = begin(&app, &key, "2025-06-18").await;
    let answer = send(app.rpc(&key, &batch).header("mcp-session-id", &newer).header("mcp-protocol-version", "2025-06-18")).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(recorded(&app).await.0.len(), 2);
    let many: Vec<Value> = (0..30).map(|id| call(id.into(), json!({}))).collect();
    // Identical refusals of one key are counted after the first few.
    let key = app.key(|_| {}).await;
    assert_eq!(send(app.rpc(&key, &json!(many))).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(recorded(&app).await.0.len(), 22, "as many as a batch may hold");
    // Within a batch that is taken: no session, no id, an id that is none.
    let mut without_id = call(Value::Null, json!({}));
    without_id.as_object_mut().expect("an object").remove("id");
    let mixed = json!([call(1.into(), json!({})), without_id, call(json!({}), json!({}))]);
    let key = app.key(|_| {}).await;
    send(app.rpc(&key, &mixed)).await;
    assert_eq!(recorded(&app).await.0.len(), 25);
    assert!(app.test_node.world.executed().is_empty());
}

/// Of more than a batch may hold nothing is passed over: what is not recorded in full is counted.
#[tokio::test]
async fn rejected_batches_beyond_their_size_count_what_they_do_not_record() {
    let forms: [fn(usize) -> String; 3] = [
        |_| "probe_write".to_owned(),
        |id| ["probe_write", "probe_read", "none"][id % 3].to_owned(),
        |id| format!("made_up_{id}"),
    ];
    for form in forms {
        let app = TestApp::start().await;
        let key = app.key(|_| {}).await;
        let of = |id: usize| {
            let mut message = call(id.into(), json!({}));
            message["params"]["name"] = json!(form(id));
            message
        };
        let many: Vec<Value> = (0..300).map(of).collect();
        assert_eq!(send(app.rpc(&key, &json!(many))).await.status, StatusCode::BAD_REQUEST);
        let (intents, full) = recorded(&app).await;
        assert!(intents.len() == full && (20..=40).contains(&full), "{full} are recorded in full");
        app.test_node.clock.pass(Duration::from_secs(61));
        app.test_node.beat().await;
        let counted = app.events("refusals_counted").await;
        let counts = counted.iter().map(|event| match &event.kind {
            EventKind::RefusalsCounted { count, .. } => *count,
            other => panic!("{other:?}"),
        });
        assert_eq!(full as u64 + counts.sum::<u64>(), 300, "{}: {counted:?}", form(0));
    }
}

#[tokio::test]
async fn rejected_calls_of_staff_over_mcp_are_on_record() {
    let app = TestApp::start().await;
    let staff = app.stranger(Side::Staff).await;
    let answer = send(post(&app, &staff, &modern(call(1.into(), json!({}))), &HEADERS)).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::FORBIDDEN, "forbidden_role"));
    assert_eq!(recorded(&app).await.0.len(), 1);
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    assert_eq!(send(app.rpc(&staff, &list)).await.code(), "forbidden_role");
    assert_eq!(recorded(&app).await.0.len(), 1, "only a call is one");
}

#[tokio::test]
async fn rejected_calls_over_rest_are_on_record() {
    let app = TestApp::with(Settings { body_limit: 2000, ..generous() }).await;
    let key = app.key(|key| key.scopes.extend([Scope::KeysWrite])).await;
    let large = json!({ "text": "x".repeat(3000) }).to_string();
    let cut = format!("{{\"text\": \"{CANARY}");
    let bodies: [(&str, &str, &str, u16); 4] = [
        ("cut", &cut, "application/json", 400),
        ("no JSON", CANARY, "application/json", 400),
        ("too large", &large, "application/json", 413),
        ("of another kind", "text=1", "application/x-www-form-urlencoded", 400),
    ];
    let mut count = 0;
    for (name, body, kind, status) in bodies {
        for path in ["/api/v1/tools/probe_write", "/api/v1/tools/no_such_tool", "/api/v1/keys", "/api/v1/switches"] {
            let answer = send(app.ask(&key, Method::POST, path).header("content-type", kind).body(body.to_owned())).await;
            count += 1;
            let (intents, refused) = recorded(&app).await;
            assert_eq!((intents.len(), refused), (count, count), "{name} {path}: {answer:?}");
            assert!(!answer.text.contains(CANARY), "{answer:?}");
            let is_own = !matches!(path, "/api/v1/tools/no_such_tool" | "/api/v1/switches");
            assert!(!is_own || answer.status.as_u16() == status, "{name} {path}: {answer:?}");
            assert!(answer.json()["error"]["call_id"].is_string(), "{answer:?}");
        }
    }
    for event in app.events("intent_recorded").await {
        let kept = app
            .test_node
            .reader
            .part(&event, "arguments", &forelog::core::visibility::Visibility::Everything)
            .await
            .expect("a part")
            .unwrap_or_default();
        assert!(!kept.to_string().contains(CANARY) && kept.to_string().len() < 300, "{kept}");
    }
}

/// What is wrong is told in our own words, with the names of no type of ours.
#[tokio::test]
async fn rejected_requests_are_told_in_our_own_words() {
    let app = TestApp::start().await;
    let key = app.key(|key| key.scopes.extend([Scope::KeysRead, Scope::KeysWrite])).await;
    let session = begin(&app, &key, "2025-11-25").await;
    let in_session = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")];
    let mut answers: Vec<(String, Answer)> = Vec::new();
    for message in [
        json!({ "jsonrpc": "2.0", "id": 1.5, "method": "tools/list" }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": 7 }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": { "cursor": 7 } }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": { "protocolVersion": 7 } }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize" }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "probe_write", "arguments": {}, "_meta": 7 } }),
        json!({ "jsonrpc": "2.0", "id": 1, "result": { "x": 1 } }),
        json!({ "jsonrpc": "2.0", "id": 1, "error": { "x": 1 } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": {} } }),
    ] {
        for headers in [&in_session[..], &[], &HEADERS[..1]] {
            answers.push((message.to_string(), send(post(&app, &key, &message, headers)).await));
        }
    }
    for query in ["limit=x", "limit=-1", "limit=99999999999", "color=red", "limit=1&limit=2", "account=a&account=b", "cursor=%ff"]
    {
        for path in [
            "calls",
            "events",
            "keys",
            "calls/histogram",
            "calls/live",
            "switches/reach",
            "people",
            "calls/call_x",
            "invitations",
        ] {
            answers.push((format!("{path}?{query}"), send(app.ask(&key, Method::GET, &format!("/api/v1/{path}?{query}"))).await));
        }
    }
    for path in ["people/%ff/sessions/%ff", "people/usr_x/sessions/%ff", "keys/%ff"] {
        answers.push((path.to_owned(), send(app.ask(&key, Method::DELETE, &format!("/api/v1/{path}"))).await));
    }
    for args in [json!({ "text": 7 }), json!([]), json!({ "a": 1 }), json!({ "idempotency_key": "x".repeat(65) })] {
        answers.push((args.to_string(), app.call(&key, "probe_write", args).await));
    }
    for args in [
        json!({ "scopes": 7 }),
        json!({}),
        json!({ "label": "x", "scopes": [], "expires_at": "soon" }),
        json!({ "label": "x", "scopes": [], "expires_at": 7 }),
        json!({ "label": "x", "scopes": [], "limit": { "admit": "x" } }),
        json!({ "label": "x", "scopes": ["x"], "user": "usr_8ZZZZZZZZZZZZZZZZZZZZZZZZZ" }),
    ] {
        answers.push((args.to_string(), app.call(&key, "key_create", args).await));
    }
    let leaks = [
        "Single(",
        "Multiple(",
        "invalid type",
        "invalid value",
        "missing field",
        "unknown field",
        "unknown variant",
        "expected one of",
        "untagged enum",
        "did not match any variant",
        "deserialize",
        "Some(",
        "invalid digit",
        "at line",
        "JsonRpc",
        "expected struct",
        "duplicate field",
        "Utf8Error",
        "invalid utf-8",
        "serde",
    ];
    let told: Vec<String> = answers
        .iter()
        .filter_map(|(asked, answer)| {
            leaks.iter().find(|leak| answer.text.contains(*leak)).map(|leak| format!("{leak}: {asked} → {}", answer.text))
        })
        .collect();
    assert!(told.is_empty(), "words that are not ours:\n{}", told.join("\n"));
    for (asked, answer) in &answers {
        let is_error = answer.status.is_client_error();
        assert!(!is_error || answer.header("content-type").starts_with("application/json"), "{asked}: {answer:?}");
        assert_ne!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{asked}: {answer:?}");
    }
    let wrong = app.call(&key, "probe_write", json!({ "text": 7 })).await.json();
    assert_eq!(wrong["error"]["details"]["faults"], json!([{ "path": "/text", "rule": "type", "expected": "string" }]));
}
