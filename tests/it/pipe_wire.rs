//! `forelog stdio` before servers that a real one never is: what goes over the wire, and what a client is told when something
//! else than an answer comes back.

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

use crate::cli::{command, text};
use crate::pipe::{Pipe, called, modern};

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

#[tokio::test(flavor = "multi_thread")]
async fn pipe_says_in_headers_what_its_version_wants() {
    let (fake, url, mut seen) = Fake::start().await;
    fake.welcome("one");
    let mut pipe = Pipe::start(&["--url", &url], KEY);
    pipe.begin();
    let answer = json!({ "jsonrpc": "2.0", "id": 1, "result": {} });
    fake.json(200, &answer);
    assert_eq!(pipe.ask(&called(1, "vm_list", &json!({}))), answer);
    fake.json(200, &answer);
    assert_eq!(pipe.ask(&modern(1, "vm_list", &json!({}))), answer);
    pipe.end();
    let mut all = Vec::new();
    for _ in 0..6 {
        all.push(next(&mut seen).await);
    }
    assert!(all.iter().all(|one| one.header("authorization") == format!("Bearer {KEY}")));
    let said =
        |one: &Seen| ["mcp-session-id", "mcp-protocol-version", "mcp-method", "mcp-name"].map(|name| one.header(name).to_owned());
    assert_eq!(said(&all[0]), ["", "2026-07-28", "server/discover", ""]);
    assert_eq!(said(&all[1]), ["", "", "", ""], "an introduction");
    assert_eq!(all[2].body["method"], "notifications/initialized");
    assert_eq!(said(&all[2]), ["one", "2025-11-25", "", ""]);
    assert_eq!(said(&all[3]), ["one", "2025-11-25", "", ""]);
    assert_eq!(said(&all[4]), ["", "2026-07-28", "tools/call", "vm_list"], "no session in a version without any");
    assert_eq!((&all[5].method, all[5].header("mcp-session-id")), (&Method::DELETE, "one"), "whoever leaves says so");
}

#[tokio::test(flavor = "multi_thread")]
async fn pipe_passes_on_progress_questions_and_what_is_taken_back() {
    let (fake, url, mut seen) = Fake::start().await;
    fake.welcome("one");
    let mut pipe = Pipe::start(&["--url", &url], KEY);
    pipe.begin();
    let stream = fake.stream();
    pipe.send(&called(1, "vm_create", &json!({})));
    let progress =
        json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": 1, "progress": 1 } });
    stream.send(progress.clone()).await.expect("sent");
    assert_eq!(pipe.next(), progress);
    let question = json!({ "jsonrpc": "2.0", "id": 0, "method": "elicitation/create", "params": { "mode": "url" } });
    stream.send(question.clone()).await.expect("sent");
    assert_eq!(pipe.next(), question);
    let reply = json!({ "jsonrpc": "2.0", "id": 0, "result": { "action": "accept" } });
    pipe.send(&reply);
    for _ in 0..4 {
        next(&mut seen).await;
    }
    assert_eq!(next(&mut seen).await.body, reply, "the answer to a question goes to the server");
    let answer = json!({ "jsonrpc": "2.0", "id": 1, "result": { "done": true } });
    stream.send(answer.clone()).await.expect("sent");
    assert_eq!(pipe.next(), answer);

    // With sessions the server is told; without, the answer is ended.
    let stream = fake.stream();
    pipe.send(&called(2, "vm_create", &json!({})));
    let cancel = |id: i64| json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } });
    assert_eq!(next(&mut seen).await.body["id"], 2);
    pipe.send(&cancel(2));
    assert_eq!(next(&mut seen).await.body, cancel(2));
    drop(stream);
    let stream = fake.stream();
    pipe.send(&modern(3, "vm_create", &json!({})));
    assert_eq!(next(&mut seen).await.body["id"], 3);
    pipe.send(&cancel(3));
    tokio::time::timeout(TIMEOUT, stream.closed()).await.expect("the answer is ended");
    // Neither is answered after that.
    let answer = json!({ "jsonrpc": "2.0", "id": 4, "result": {} });
    fake.json(200, &answer);
    assert_eq!(pipe.ask(&called(4, "vm_list", &json!({}))), answer);
    pipe.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn pipe_answers_each_request_whatever_comes_back() {
    let (fake, url, _seen) = Fake::start().await;
    fake.welcome("one");
    let mut pipe = Pipe::start(&["--url", &url], KEY);
    pipe.begin();
    let revoked = json!({ "error": { "code": "token_revoked", "message": "The key was revoked.", "details": {} } });
    let html = || Body::from("<html>something in between</html>");
    let mut number = 0;
    let mut ask = |expected: &str| {
        number += 1;
        let answer = pipe.ask(&called(number, "vm_list", &json!({})));
        assert_eq!((&answer["id"], &answer["error"]["data"]["error"]["code"]), (&json!(number), &json!(expected)), "{answer}");
        assert!(answer["error"]["code"].is_i64() && answer["error"]["message"].is_string(), "{answer}");
        answer
    };
    fake.json(401, &revoked);
    ask("token_revoked");
    for (status, code) in [
        (400, "validation_failed"),
        (403, "forbidden_role"),
        (413, "too_large"),
        (500, "outcome_unknown"),
        (502, "outcome_unknown"),
        (503, "audit_unavailable"),
        (200, "outcome_unknown"),
    ] {
        fake.say(status, &[("content-type", "text/html")], html());
        ask(code);
    }
    fake.say(429, &[("retry-after", "7")], Body::empty());
    assert_eq!(ask("rate_limited")["error"]["data"]["error"]["retry_after_ms"], 7000);
    fake.say(200, &[("content-type", "application/json")], Body::from("{\"jsonrpc\":"));
    ask("outcome_unknown");
    // Taken, as what needs no answer is.
    fake.say(202, &[], Body::empty());
    ask("outcome_unknown");
    // A stream that ends, or breaks, before the answer.
    drop(fake.stream());
    ask("outcome_unknown");
    let broken = futures::stream::iter([Ok("data: {\n\n"), Err(std::io::Error::other("broken"))]);
    fake.say(200, &[("content-type", "text/event-stream")], Body::from_stream(broken));
    ask("outcome_unknown");
    // What refuses in the words of the protocol is passed on as it is.
    let refusal = json!({ "jsonrpc": "2.0", "id": 99, "error": { "code": -32602, "message": "no" } });
    fake.json(400, &refusal);
    assert_eq!(pipe.ask(&called(99, "vm_list", &json!({}))), refusal);
    pipe.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn pipe_begins_a_forgotten_conversation_again_and_asks_once_more() {
    let (fake, url, mut seen) = Fake::start().await;
    fake.welcome("one");
    let mut pipe = Pipe::start(&["--url", &url], KEY);
    pipe.begin();
    let forgotten = json!({ "error": { "code": "not_found", "message": "There is no such session.", "details": {} } });
    let answer = json!({ "jsonrpc": "2.0", "id": 1, "result": {} });
    fake.json(404, &forgotten);
    fake.welcome("two");
    fake.json(200, &answer);
    assert_eq!(pipe.ask(&called(1, "vm_list", &json!({}))), answer);
    let mut all = Vec::new();
    for _ in 0..7 {
        all.push(next(&mut seen).await);
    }
    let sessions: Vec<_> = all[2..].iter().map(|one| one.header("mcp-session-id").to_owned()).collect();
    assert_eq!(sessions, ["one", "one", "", "two", "two"]);
    assert_eq!(all[4].body, all[1].body, "it introduces itself as its client did");
    // One that is forgotten at once is no reason to ask for ever.
    fake.json(404, &forgotten);
    fake.welcome("three");
    fake.json(404, &forgotten);
    let answer = pipe.ask(&called(2, "vm_list", &json!({})));
    assert_eq!(answer["error"]["data"]["error"]["code"], "not_found", "{answer}");
    pipe.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn pipe_follows_nobody_elsewhere() {
    let (_elsewhere, other, mut others) = Fake::start().await;
    for status in [301, 302, 303, 307, 308] {
        let (fake, url, mut seen) = Fake::start().await;
        fake.answers.lock().expect("the answers").clear();
        fake.say(status, &[("location", &format!("{other}/mcp"))], Body::empty());
        let output = tokio::task::spawn_blocking(move || {
            command(&["stdio", "--url", &url]).env("FORELOG_API_KEY", KEY).env("HTTP_PROXY", "http://127.0.0.1:9").output()
        });
        let output = output.await.expect("a thread").expect("it ran");
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains("not followed"), "{status}: {said}");
        next(&mut seen).await;
    }
    assert!(others.try_recv().is_err(), "the key went elsewhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn pipe_says_at_once_when_nobody_lets_it_in() {
    for (status, body, expected) in [
        (401, json!({ "error": { "code": "token_expired", "message": "Its time is over.", "details": {} } }), "time is over"),
        (403, json!({}), "does not let the key in"),
        (404, json!({}), "no MCP endpoint"),
        (200, json!({ "hello": "world" }), "no message of MCP"),
    ] {
        let (fake, url, _seen) = Fake::start().await;
        fake.answers.lock().expect("the answers").clear();
        fake.json(status, &body);
        let output = tokio::task::spawn_blocking(move || {
            command(&["stdio", "--url", &url]).env("FORELOG_API_KEY", KEY).output().expect("it ran")
        });
        let output = output.await.expect("a thread");
        assert!(!output.status.success() && text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pipe_answers_once_however_an_id_is_written() {
    let (fake, url, mut seen) = Fake::start().await;
    fake.welcome("one");
    let mut pipe = Pipe::start(&["--url", &url], KEY);
    pipe.begin();
    for (written, read) in [("7.0", 7_i64), ("1e0", 1), ("-0", 0), ("4294967296.0", 4_294_967_296)] {
        let stream = fake.stream();
        pipe.send_text(&called(0, "vm_list", &json!({})).to_string().replace("\"id\":0", &format!("\"id\":{written}")));
        let answer = json!({ "jsonrpc": "2.0", "id": read, "result": {} });
        stream.send(answer.clone()).await.expect("sent");
        assert_eq!(pipe.next(), answer);
        // The next line is the answer to the next request, and nothing in between.
        let following = json!({ "jsonrpc": "2.0", "id": 99, "result": {} });
        drop(stream);
        fake.json(200, &following);
        assert_eq!(pipe.ask(&called(99, "vm_list", &json!({}))), following, "{written}");
        // And it is taken back by whichever form.
        let stream = fake.stream();
        pipe.send_text(&modern(0, "vm_list", &json!({})).to_string().replace("\"id\":0", &format!("\"id\":{written}")));
        let is_it = |one: &Seen| one.body["method"] == "tools/call" && one.body["params"]["_meta"].is_object();
        while !is_it(&next(&mut seen).await) {}
        let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": read } });
        pipe.send(&cancel);
        tokio::time::timeout(TIMEOUT, stream.closed()).await.unwrap_or_else(|_| panic!("{written} is not taken back"));
    }
    pipe.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn pipe_lets_a_stop_past_whatever_waits() {
    for tool in ["panic_engage", "command_cancel"] {
        let (fake, url, mut seen) = Fake::start().await;
        fake.welcome("one");
        let mut pipe = Pipe::start(&["--url", &url], KEY);
        pipe.begin();
        let _waiting: Vec<_> = (0..64).map(|_| fake.stream()).collect();
        for number in 0..80 {
            pipe.send(&called(number, "operation_wait", &json!({})));
        }
        // The knock, the introduction and what follows it, and all that may be under way at once.
        let mut arrived = Vec::new();
        for _ in 0..3 + 64 {
            arrived.push(next(&mut seen).await.body["id"].clone());
        }
        let waits = (0..80).find(|number| !arrived.contains(&json!(number))).expect("one that waits");
        let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": waits } });
        pipe.send(&cancel);
        let answer = json!({ "jsonrpc": "2.0", "id": 100, "result": {} });
        fake.json(200, &answer);
        assert_eq!(pipe.ask(&called(100, tool, &json!({}))), answer);
        assert_eq!(next(&mut seen).await.body["id"], 100, "{tool} waits for nothing, not even for what was taken back before it");
    }
}

/// Listens where a server would, says who it is, and writes down what it is sent.
const SQUAT: &str = "
import os, socket, sys
os.makedirs(os.path.dirname(sys.argv[1]), exist_ok=True)
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
listener.listen()
print(os.getuid(), flush=True)
listener.settimeout(20)
try:
    sent = listener.accept()[0].recv(65536)
except TimeoutError:
    sent = b''
print(len(sent), flush=True)
";

/// In a directory that others may write, somebody else listens at the socket.
#[test]
fn pipe_gives_its_key_to_no_other_user() {
    let data = crate::cli::dir();
    std::fs::set_permissions(data.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("its mode");
    let python = crate::tools::find("FORELOG_PYTHON").display().to_string();
    let socket = data.path().join("run/mcp.sock").display().to_string();
    let command_line = [crate::postgres::unprivileged(), vec![python, "-c".into(), SQUAT.into(), socket]].concat();
    let mut squatting = std::process::Command::new(&command_line[0]);
    squatting.args(&command_line[1..]).stdout(std::process::Stdio::piped());
    let mut squatter = squatting.spawn().expect("run Python");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(squatter.stdout.take().expect("a pipe")));
    let mut line = || lines.next().expect("a line").expect("text");
    let theirs = line()
        != std::fs::metadata(data.path()).map(|about| std::os::unix::fs::MetadataExt::uid(&about)).expect("it").to_string();
    let mut started = command(&["stdio", "--data", crate::cli::shown(data.path())]);
    let output = started.env("FORELOG_API_KEY", KEY).output().expect("it ran");
    assert!(!output.status.success());
    assert_eq!(text(&output.stderr).contains("belongs to another user"), theirs, "{}", text(&output.stderr));
    assert_eq!(line() == "0", theirs, "what it was sent");
    squatter.wait().expect("it ends");
}
