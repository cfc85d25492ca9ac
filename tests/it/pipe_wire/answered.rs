//! Something else than an answer comes back: each request is answered all the same, and nobody is followed elsewhere.

use axum::body::Body;
use serde_json::json;

use super::{Fake, KEY, next};
use crate::cli::{command, text};
use crate::pipe::{Pipe, called};

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
