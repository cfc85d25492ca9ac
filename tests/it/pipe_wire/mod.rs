//! `forelog stdio` before servers that a real one never is: what goes over the wire, and what a client is told when something
//! else than an answer comes back.

mod answered;
mod relayed;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

const TIMEOUT: Duration = Duration::from_secs(30);

const KEY: &str = "flk_live_of_a_test";

/// A request as it came.
#[derive(Debug)]
struct Seen {
    method: Method,
    headers: HeaderMap,
    body: Value,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// What is answered: status, headers, and the pieces of a body, which may be sent one by one.
struct Scripted {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Body,
}

/// A server that answers as it is told, in order, and says what it was asked.
#[derive(Clone, Default)]
struct Fake {
    answers: Arc<Mutex<VecDeque<Scripted>>>,
    seen: Arc<Mutex<Option<mpsc::Sender<Seen>>>>,
}

impl Fake {
    /// Starts it; the first thing that a pipe asks is answered.
    async fn start() -> (Self, String, mpsc::Receiver<Seen>) {
        let (fake, (sender, seen)) = (Self::default(), mpsc::channel(100));
        *fake.seen.lock().expect("the sender") = Some(sender);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let app = Router::new().fallback(answer).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.expect("serve") });
        fake.json(200, &json!({ "jsonrpc": "2.0", "id": "forelog-stdio", "result": {} }));
        (fake, url, seen)
    }

    fn say(&self, status: u16, headers: &[(&'static str, &str)], body: Body) {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.answers.lock().expect("the answers").push_back(Scripted { status, headers, body });
    }

    fn json(&self, status: u16, body: &Value) {
        self.say(status, &[("content-type", "application/json")], Body::from(body.to_string()));
    }

    /// A stream, of which each piece is sent when it is sent here.
    fn stream(&self) -> mpsc::Sender<Value> {
        let (sender, pieces) = mpsc::channel::<Value>(10);
        let pieces = ReceiverStream::new(pieces).map(|piece| Ok::<_, std::io::Error>(format!("data: {piece}\n\n")));
        self.say(200, &[("content-type", "text/event-stream")], Body::from_stream(pieces));
        sender
    }

    /// Answers to an introduction, and to what follows it.
    fn welcome(&self, session: &str) {
        let result =
            json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": { "name": "f", "version": "1" } });
        let body = json!({ "jsonrpc": "2.0", "id": "hello", "result": result });
        let headers = [("content-type", "application/json"), ("mcp-session-id", session)];
        self.say(200, &headers, Body::from(body.to_string()));
        self.say(202, &[], Body::empty());
    }
}

async fn answer(State(fake): State<Fake>, method: Method, headers: HeaderMap, body: Bytes) -> Response {
    let listens = method == Method::GET;
    let seen = Seen { method, headers, body: serde_json::from_slice(&body).unwrap_or_default() };
    // Whoever sees a request may script the answer to the next one, so its own is taken first.
    let scripted = if listens { None } else { fake.answers.lock().expect("the answers").pop_front() };
    let sender = fake.seen.lock().expect("the sender").clone().expect("a sender");
    sender.send(seen).await.expect("somebody who looks");
    if listens {
        return Response::builder().status(StatusCode::METHOD_NOT_ALLOWED).body(Body::empty()).expect("a response");
    }
    let scripted = scripted.unwrap_or_else(|| Scripted { status: 202, headers: Vec::new(), body: Body::empty() });
    let mut response = Response::builder().status(scripted.status);
    for (name, value) in scripted.headers {
        response = response.header(name, value);
    }
    response.body(scripted.body).expect("a response")
}

/// The next request that a server saw, other than for what it says by itself.
async fn next(seen: &mut mpsc::Receiver<Seen>) -> Seen {
    let found = async {
        loop {
            let one = seen.recv().await.expect("a request");
            if one.method != Method::GET {
                return one;
            }
        }
    };
    tokio::time::timeout(TIMEOUT, found).await.expect("a request in time")
}
