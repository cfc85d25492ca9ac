//! What goes over the wire: headers, progress, questions, and what is taken back.

use axum::http::Method;
use serde_json::json;

use super::{Fake, KEY, Seen, TIMEOUT, next};
use crate::pipe::{Pipe, called, modern};

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
