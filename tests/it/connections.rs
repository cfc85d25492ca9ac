//! Clients that are slow, silent or too many: each connection has its timers and its place, before TLS too.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use forelog::http::{ConnectionCaps, Settings};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::net::{TcpSocket, TcpStream};

use crate::demo::Demo;
use crate::harness::{ACCEPT, TestApp, generous, send};
use crate::tls::Pair;
use crate::wire::{TIMEOUT, Wire, until};

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";

/// The connection preface and an empty SETTINGS frame.
const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

fn caps() -> ConnectionCaps {
    let long = Duration::from_mins(10);
    ConnectionCaps { total: 10_000, per_address: 10_000, head: long, idle: long, stalled: long }
}

async fn app(connections: ConnectionCaps) -> TestApp {
    TestApp::with(Settings { connections, ..generous() }).await
}

#[tokio::test]
async fn connections_that_never_complete_a_request_are_closed() {
    rlimit::increase_nofile_limit(u64::MAX).expect("files");
    let app = app(ConnectionCaps { head: Duration::from_millis(500), ..caps() }).await;
    let halves = ["", "G", "GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n", "PRI * HTTP/2.0\r\n", PREFACE];
    let mut wires = Vec::new();
    for half in halves.into_iter().cycle().take(1500) {
        let mut wire = Wire::to(app.address).await;
        wire.send(half).await;
        wires.push(wire);
    }
    for wire in wires {
        wire.ends().await;
    }
    until("their places are free", || app.connections.open() == 0).await;
    assert_eq!(send(app.bare(Method::GET, "/healthz")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn connections_are_not_prolonged_by_what_is_no_request() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let app = app(ConnectionCaps { head: Duration::from_millis(500), idle: Duration::from_millis(500), ..caps() }).await;
    let (settings, ping) = ("\0\0\0\x04\0\0\0\0\0", "\0\0\x08\x06\0\0\0\0\0forelog!");
    for (first, drop) in [("", "G"), (HEALTH, "G"), (PREFACE, settings), (PREFACE, ping)] {
        let mut wire = Wire::to(app.address).await;
        wire.send(first).await;
        if first == HEALTH {
            assert_eq!(wire.answer().await.expect("an answer").status, 200);
        }
        let (mut reading, mut writing) = wire.stream.into_split();
        let dripping = tokio::spawn(async move {
            while writing.write_all(drop.as_bytes()).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let ended = async { while reading.read(&mut [0; 64]).await.is_ok_and(|count| count > 0) {} };
        tokio::time::timeout(TIMEOUT, ended).await.expect("the connection to be closed");
        dripping.abort();
    }
}

/// Requests that are taken back as soon as they are made, without end.
#[tokio::test]
async fn connections_that_take_every_request_back_are_closed() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let app = app(caps()).await;
    let wire = Wire::to(app.address).await;
    let (mut reading, mut writing) = wire.stream.into_split();
    let flooding = tokio::spawn(async move {
        let mut frames = PREFACE.as_bytes().to_vec();
        for number in 0_u32.. {
            let stream = (number * 2 + 1).to_be_bytes();
            // HEADERS with `GET / http 127.0.0.1`, then RST_STREAM with CANCEL.
            frames.extend_from_slice(b"\0\0\x0e\x01\x05");
            frames.extend_from_slice(&stream);
            frames.extend_from_slice(b"\x82\x86\x84\x41\x09127.0.0.1");
            frames.extend_from_slice(b"\0\0\x04\x03\0");
            frames.extend_from_slice(&stream);
            frames.extend_from_slice(b"\0\0\0\x08");
            if frames.len() > 60_000 {
                if writing.write_all(&frames).await.is_err() {
                    return;
                }
                frames.clear();
            }
        }
    });
    let ended = async { while reading.read(&mut [0; 4096]).await.is_ok_and(|count| count > 0) {} };
    tokio::time::timeout(TIMEOUT, ended).await.expect("the connection to be closed");
    tokio::time::timeout(TIMEOUT, flooding).await.expect("in time").expect("its client is told");
    assert_eq!(send(app.bare(Method::GET, "/healthz")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn connections_end_when_a_body_does_not_come_or_nothing_is_asked() {
    let short = Duration::from_millis(300);
    let settings = Settings { body_time: short, connections: ConnectionCaps { idle: short, ..caps() }, ..generous() };
    let app = TestApp::with(settings).await;
    let key = app.key(|_| {}).await;
    for path in ["/mcp", "/api/v1/tools/probe_write"] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {}\r\n", key.text);
        for body in ["content-length: 10\r\n\r\n{", "transfer-encoding: chunked\r\n\r\n1\r\n{\r\n"] {
            let mut wire = Wire::to(app.address).await;
            wire.send(&format!("{head}content-type: application/json\r\n{body}")).await;
            let answer = wire.answer().await.expect("an answer");
            assert!(answer.status == 408 && answer.closes(), "{path}: {answer:?}");
            wire.ends().await;
        }
    }
    let mut idle = Wire::to(app.address).await;
    for _ in 0..3 {
        idle.send(HEALTH).await;
        assert_eq!(idle.answer().await.expect("an answer").status, 200);
    }
    idle.ends().await;
}

#[tokio::test]
async fn connections_of_one_address_are_capped_and_others_come_in() {
    let app = app(ConnectionCaps { per_address: 5, ..caps() }).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(Wire::to(app.address).await);
    }
    until("they are open", || app.connections.open() == 5).await;
    Wire::to(app.address).await.ends().await;
    let mut other = Wire::from("127.0.0.2", app.address).await;
    other.send(HEALTH).await;
    assert_eq!(other.answer().await.expect("another address has places of its own").status, 200);
    assert_eq!(app.connections.refused(), 1);
    held.pop();
    until("one of them is closed", || app.connections.open() == 5).await;
    let mut again = Wire::to(app.address).await;
    again.send(HEALTH).await;
    assert_eq!(again.answer().await.expect("there is a place again").status, 200);
}

#[tokio::test]
async fn connections_give_their_places_back() {
    let app = app(ConnectionCaps { total: 3, ..caps() }).await;
    let held = [Wire::to(app.address).await, Wire::to(app.address).await, Wire::to(app.address).await];
    until("they are open", || app.connections.open() == 3).await;
    Wire::from("127.0.0.3", app.address).await.ends().await;
    drop(held);
    until("they are closed", || app.connections.open() == 0).await;
    let mut wire = Wire::to(app.address).await;
    wire.send("GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").await;
    let page = wire.answer().await.expect("an answer").body;
    assert!(page.contains("\nforelog_connections 1\n") && page.contains("\nforelog_connections_refused_total 1\n"), "{page}");
}

#[tokio::test]
async fn connections_of_a_trusted_proxy_are_capped_in_all_only() {
    let connections = ConnectionCaps { total: 30, per_address: 2, ..caps() };
    let proxies = vec!["127.0.0.1/32".parse().expect("a network")];
    let app = TestApp::with(Settings { connections, trusted_proxies: proxies, ..generous() }).await;
    let mut held = Vec::new();
    for _ in 0..29 {
        let mut wire = Wire::to(app.address).await;
        wire.send(HEALTH).await;
        assert_eq!(wire.answer().await.expect("an answer").status, 200);
        held.push(wire);
    }
    let one = Wire::from("127.0.0.9", app.address).await;
    until("they are open", || app.connections.open() == 30).await;
    Wire::to(app.address).await.ends().await;
    drop((held, one));
}

#[tokio::test]
async fn connections_whose_client_takes_no_answer_are_closed() {
    let app = app(ConnectionCaps { stalled: Duration::from_millis(300), ..caps() }).await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let stream = socket.connect(app.address).await.expect("connect");
    let ask = "GET /console/assets/htmx.js HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
    let (_reading, mut writing) = stream.into_split();
    let asking = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        while writing.write_all(ask.as_bytes()).await.is_ok() {}
    });
    until("it is open", || app.connections.open() == 1).await;
    until("it is closed", || app.connections.open() == 0).await;
    asking.await.expect("its client is told");
}

async fn multiplexed(address: SocketAddr, window: u32) -> http2::SendRequest<Empty<Bytes>> {
    let stream = TokioIo::new(TcpStream::connect(address).await.expect("connect"));
    let mut builder = http2::Builder::new(TokioExecutor::new());
    let (sender, connection) = builder.initial_stream_window_size(window).handshake(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

fn get(address: SocketAddr, path: &str) -> http::Request<Empty<Bytes>> {
    http::Request::get(format!("http://{address}{path}")).body(Empty::new()).expect("a request")
}

#[tokio::test]
async fn connections_of_http2_have_the_same_timers() {
    let short = Duration::from_millis(300);
    let app = app(ConnectionCaps { stalled: short, idle: short, ..caps() }).await;
    let mut quiet = multiplexed(app.address, 65_535).await;
    let answer = quiet.send_request(get(app.address, "/healthz")).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    answer.into_body().collect().await.expect("its body");
    until("it was idle", || app.connections.open() == 0).await;

    let mut slow = multiplexed(app.address, 16).await;
    let mut untaken = Vec::new();
    for _ in 0..10 {
        untaken.push(slow.send_request(get(app.address, "/api/v1/openapi.json")).await.expect("an answer"));
    }
    until("nothing of it was taken", || app.connections.open() == 0).await;
}

/// What lasts is not what is slow: a stream of events stays although nothing happens on it.
#[tokio::test]
async fn connections_with_a_stream_of_events_stay() {
    let short = Duration::from_millis(300);
    let app = app(ConnectionCaps { stalled: short, idle: short, head: short, ..caps() }).await;
    let key = app.key(|_| {}).await;
    app.test_node.world.shut();
    let call = tokio::spawn(app.ask(&key, Method::POST, "/api/v1/tools/probe_write").json(&json!({})).send());
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}, "progressToken": 1 });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "probe_write", "arguments": {}, "_meta": meta } });
    let request = app.ask(&key, Method::POST, "/mcp").header("accept", ACCEPT).json(&message);
    let request = request.header("mcp-protocol-version", "2026-07-28").header("mcp-method", "tools/call");
    let stream = tokio::spawn(send(request.header("mcp-name", "probe_write")));
    app.test_node.world.executed_at_least(2).await;
    // Later connections come to their ends twice over.
    for _ in 0..4 {
        Wire::to(app.address).await.ends().await;
    }
    app.test_node.world.open();
    assert_eq!(call.await.expect("the call").expect("an answer").status(), StatusCode::OK);
    let answer = stream.await.expect("the stream");
    assert!(answer.status == StatusCode::OK && answer.rpc()["result"].is_object(), "{answer:?}");
}

#[tokio::test]
async fn connections_that_do_not_finish_a_handshake_count_and_end() {
    let pair = Pair::new();
    let (chain, key) = (pair.chain(), pair.key());
    let text = |path: &std::path::Path| path.to_str().expect("text").to_owned();
    let (chain, key) = (text(&chain), text(&key));
    let variables = [
        ("FORELOG_TLS__CERTIFICATE", chain.as_str()),
        ("FORELOG_TLS__KEY", key.as_str()),
        ("FORELOG_CONNECTIONS__PER_ADDRESS", "4"),
        ("FORELOG_CONNECTIONS__HEAD_MS", "3000"),
    ];
    let demo = Demo::start_with(&variables).await;
    let address = demo.text("/base_url").trim_start_matches("https://").parse().expect("an address");
    let held: Vec<Wire> = futures::future::join_all((0..4).map(|_| Wire::from("127.0.0.5", address))).await;
    Wire::from("127.0.0.5", address).await.ends().await;
    for (mut wire, half) in held.into_iter().zip(["", "\x16", "\x16\x03\x01\x02\0", "GET / HTTP/1.1\r\n\r\n"]) {
        wire.send(half).await;
        wire.ends().await;
    }
}

#[tokio::test]
async fn connections_leave_files_for_the_database() {
    rlimit::increase_nofile_limit(u64::MAX).expect("files");
    let demo = Demo::start_with_few_files(200, &[("FORELOG_CONNECTIONS__HEAD_MS", "2000")]).await;
    assert!(demo.log().contains("the limit of open files allows fewer connections"), "{}", demo.log());
    let address: SocketAddr = demo.text("/base_url").trim_start_matches("http://").parse().expect("an address");
    let from = |n: usize| format!("127.0.0.{}", 10 + n % 4);
    let mut held = Vec::new();
    for n in 0..400 {
        let mut wire = Wire::from(&from(n), address).await;
        wire.send("POST /mcp HTTP/1.1\r\n").await;
        held.push(wire);
    }
    let ending = tokio::spawn(futures::future::join_all(held.into_iter().map(Wire::ends)));
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let url = format!("http://{address}/api/v1/tools/vm_list");
    let called = async {
        loop {
            // Until the timers have made room there may be no place, but never an answer that says that something is broken.
            match client.post(&url).bearer_auth(demo.customer_key()).json(&json!({})).send().await {
                Ok(answer) => return answer.status(),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    assert_eq!(tokio::time::timeout(TIMEOUT, called).await.expect("a place"), StatusCode::OK, "{}", demo.log());
    ending.await.expect("all of them end");
    let log = demo.log();
    assert!(!log.contains("Too many open files") && !log.contains("unable to open"), "{log}");
}
