//! A client that is cut off while it waits for a call comes back for the answer, to any node, and gets it or an error.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::harness::{ACCEPT, Answer, Key, TestApp, generous, send};
use crate::tools;

const TIMEOUT: Duration = Duration::from_secs(30);
const VERSIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

fn message(id: &Value, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

async fn begin(app: &TestApp, key: &Key, version: &str) -> String {
    let client = json!({ "name": "test", "version": "1" });
    let params = json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": client });
    let answer = send(app.rpc(key, &message(&json!(0), "initialize", &params))).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let session = answer.header("mcp-session-id").to_owned();
    let told = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(send(app.rpc(key, &told).header("mcp-session-id", &session)).await.status, StatusCode::ACCEPTED);
    session
}

/// Calls, and is cut off as soon as there is something to come back with.
async fn cut_off(app: &TestApp, key: &Key, session: &str, id: &Value, params: &Value) -> String {
    let request = app.rpc(key, &message(id, "tools/call", params)).header("mcp-session-id", session);
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    let mut stream = answer.bytes_stream();
    let mut text = String::new();
    let reading = async {
        loop {
            text.push_str(&String::from_utf8_lossy(&stream.next().await.expect("an event").expect("bytes")));
            if let Some((_, rest)) = text.split_once("id:")
                && let Some((event, _)) = rest.split_once('\n')
            {
                return event.trim().to_owned();
            }
        }
    };
    let event = tokio::time::timeout(TIMEOUT, reading).await.expect("an event id in time");
    assert!(!text.contains("result"), "it is not answered yet: {text}");
    event
}

fn come_back(app: &TestApp, key: &Key, session: &str, event: &str) -> RequestBuilder {
    let request = app.ask(key, Method::GET, "/mcp").header("accept", "text/event-stream");
    request.header("mcp-session-id", session).header("last-event-id", event)
}

async fn ended(app: &TestApp, count: usize) {
    let waiting = async {
        while app.events("succeeded").await.len() < count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, waiting).await.expect("the call to end");
}

fn write() -> Value {
    json!({ "name": "probe_write", "arguments": { "text": "x" } })
}

#[tokio::test]
async fn resume_of_a_call_that_ended_while_nobody_listened_brings_its_answer() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let mut done = 0;
    for version in VERSIONS {
        let session = begin(&app, &key, version).await;
        for id in [json!(7), json!("seven")] {
            app.test_node.world.shut();
            let event = cut_off(&app, &key, &session, &id, &write()).await;
            app.test_node.world.open();
            done += 1;
            ended(&app, done).await;
            // Twice, because it may be cut off again.
            for _ in 0..2 {
                let answer = send(come_back(&app, &key, &session, &event)).await;
                assert_eq!(answer.status, StatusCode::OK, "{version}: {answer:?}");
                let document = answer.rpc();
                assert_eq!(document["id"], id, "{version}: {document}");
                assert_eq!(document["result"]["isError"], false, "{version}: {document}");
                assert!(document["result"]["structuredContent"].is_object(), "{version}: {document}");
            }
        }
    }
    assert_eq!(app.events("intent_recorded").await.len(), done, "nothing was called again");
}

#[tokio::test]
async fn resume_waits_for_a_call_that_still_runs() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let session = begin(&app, &key, "2025-11-25").await;
    app.test_node.world.shut();
    let event = cut_off(&app, &key, &session, &json!(1), &write()).await;
    let answer = come_back(&app, &key, &session, &event).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    app.test_node.world.open();
    let text = tokio::time::timeout(TIMEOUT, answer.text()).await.expect("in time").expect("a stream");
    assert!(text.contains("structuredContent"), "{text}");
}

#[tokio::test]
async fn resume_that_takes_long_is_answered_with_the_operation() {
    let app = TestApp::with(forelog::http::Settings { wait: Duration::from_millis(100), ..generous() }).await;
    let key = app.key(|_| {}).await;
    let session = begin(&app, &key, "2025-11-25").await;
    app.test_node.world.shut();
    let event = cut_off(&app, &key, &session, &json!(1), &write()).await;
    let document = send(come_back(&app, &key, &session, &event)).await.rpc();
    app.test_node.world.open();
    let result = &document["result"]["structuredContent"];
    assert_eq!(result["status"], "running", "{document}");
    assert!(event.starts_with(result["operation_id"].as_str().expect("an operation")), "{event} {document}");
}

#[tokio::test]
async fn resume_finds_the_answer_on_another_node_too() {
    let app = TestApp::start().await;
    let other = app.beside(generous()).await;
    let key = app.key(|_| {}).await;
    let session = begin(&app, &key, "2025-11-25").await;
    app.test_node.world.shut();
    let event = cut_off(&app, &key, &session, &json!(1), &write()).await;
    app.test_node.world.open();
    ended(&app, 1).await;
    let document = send(come_back(&other, &key, &session, &event)).await.rpc();
    assert_eq!((&document["id"], &document["result"]["isError"]), (&json!(1), &json!(false)), "{document}");
}

#[tokio::test]
async fn resume_is_refused_plainly_where_there_is_nothing_to_go_on_from() {
    let app = TestApp::start().await;
    let (key, stranger) = (app.key(|_| {}).await, app.key(|_| {}).await);
    let session = begin(&app, &key, "2025-11-25").await;
    let others = begin(&app, &stranger, "2025-11-25").await;
    app.test_node.world.shut();
    let event = cut_off(&app, &key, &session, &json!(1), &write()).await;
    app.test_node.world.open();
    ended(&app, 1).await;
    let refused = |answer: Answer| {
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::NOT_FOUND, "not_found"), "{answer:?}");
        assert!(answer.text.contains("operation_get"), "it says what to do: {answer:?}");
    };
    for nothing in ["0", "0/0", "1/7", "x", "call_01JJJJJJJJJJJJJJJJJJJJJJJJ.MQ", &event[..event.len() - 1]] {
        refused(send(come_back(&app, &key, &session, nothing)).await);
    }
    refused(send(come_back(&app, &stranger, &others, &event)).await);
    refused(send(come_back(&app, &stranger, &session, &event)).await);
    refused(send(come_back(&app, &key, "another-session", &event)).await);
    app.revoke(&key).await;
    assert_eq!(send(come_back(&app, &key, &session, &event)).await.status, StatusCode::UNAUTHORIZED);
}

/// A way to a server on which the first connection that brings `retry:` is cut there and then. Later ones are passed on.
/// Tells when it was cut.
async fn cut_once(to: SocketAddr) -> (SocketAddr, Arc<Notify>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (was_cut, cut) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
    let told = Arc::clone(&cut);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (was_cut, told) = (Arc::clone(&was_cut), Arc::clone(&told));
            tokio::spawn(async move {
                let server = TcpStream::connect(to).await.expect("the server");
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let asking = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
                let mut space = vec![0; 65_536];
                while let Ok(count) = from_server.read(&mut space).await {
                    if count == 0 || to_client.write_all(&space[..count]).await.is_err() {
                        break;
                    }
                    let brings = String::from_utf8_lossy(&space[..count]).contains("retry:");
                    if brings && !was_cut.swap(true, Ordering::SeqCst) {
                        break;
                    }
                }
                asking.abort();
                drop((from_server, to_client));
                if was_cut.load(Ordering::SeqCst) {
                    told.notify_one();
                }
            });
        }
    });
    (address, cut)
}

async fn client_that_is_cut_off(script: &str) {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let (way, cut) = cut_once(app.address).await;
    app.test_node.world.shut();
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script);
    let mut command = tokio::process::Command::new(tools::find("FORELOG_NODE"));
    let url = format!("http://{way}/mcp");
    command.arg(script).args([&url, &key.text, "probe_write"]).stdin(std::process::Stdio::null()).kill_on_drop(true);
    let client = tokio::spawn(command.output());
    app.test_node.world.executed_at_least(1).await;
    tokio::time::timeout(TIMEOUT, cut.notified()).await.expect("it is cut off");
    app.test_node.world.open();
    let output = tokio::time::timeout(TIMEOUT, client).await.expect("in time").expect("the client").expect("run the client");
    let (told, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let seen: Value = serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {told}\n{complained}"));
    assert_eq!(seen["isError"], false, "{seen}");
    assert!(seen["structuredContent"].is_object(), "{seen}");
    assert_eq!(app.events("intent_recorded").await.len(), 1, "it called once");
}

#[tokio::test]
async fn client_typescript_v1_that_is_cut_off_gets_its_answer() {
    client_that_is_cut_off("typescript-v1.mjs").await;
}

#[tokio::test]
async fn client_typescript_that_is_cut_off_gets_its_answer() {
    client_that_is_cut_off("typescript.mjs").await;
}

/// An event id is a promise: nothing has one that the log does not answer for.
#[tokio::test]
async fn resume_is_not_promised_where_it_cannot_be_kept() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let session = begin(&app, &key, "2025-11-25").await;
    let ask = |method: &str, params: Value| {
        send(app.rpc(&key, &message(&json!(1), method, &params)).header("mcp-session-id", &session))
    };
    let refused = json!({ "name": "probe_read", "arguments": { "sudo": true } });
    for answer in [ask("ping", json!({})).await, ask("tools/list", json!({})).await, ask("tools/call", refused).await] {
        assert!(answer.status == StatusCode::OK && !answer.text.contains("id:") && !answer.text.contains("retry:"), "{answer:?}");
    }
    let standing = app.ask(&key, Method::GET, "/mcp").header("accept", ACCEPT).header("mcp-session-id", &session);
    let standing = standing.send().await.expect("a stream");
    assert_eq!(standing.status(), StatusCode::OK);
    let done = ask("tools/call", write()).await;
    assert!(done.text.contains("id:") && done.text.contains("retry:"), "{done:?}");
}
