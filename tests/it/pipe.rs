//! `forelog stdio` as the real binary: a pipe to a server and nothing more, wherever there can be one.
//!
//! INVARIANT: the log says what happened: a pipe that is no node has written no node into it.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::cli::{Server, answer, command, complaint, shown, text};
use crate::local_admin::{Data, on_both};
use crate::tls::Pair;

/// A `forelog stdio`, as whoever starts it has it.
pub struct Pipe {
    pub process: Child,
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Pipe {
    pub fn start(args: &[&str], key: &str) -> Self {
        Self::start_with(args, &[("FORELOG_API_KEY", key)])
    }

    pub fn start_with(args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut started = command(&[&["stdio"], args].concat());
        started.envs(env.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = started.spawn().expect("starting forelog");
        let (input, output) = (process.stdin.take(), process.stdout.take().expect("its standard output"));
        Self { process, input, lines: BufReader::new(output).lines() }
    }

    pub fn send(&mut self, message: &Value) {
        self.send_text(&message.to_string());
    }

    pub fn send_text(&mut self, line: &str) {
        writeln!(self.input.as_mut().expect("its standard input"), "{line}").expect("a line sent");
    }

    pub fn next(&mut self) -> Value {
        let line = self.lines.next().expect("a line").expect("text");
        serde_json::from_str(&line).expect("JSON alone")
    }

    pub fn ask(&mut self, message: &Value) -> Value {
        self.send(message);
        self.next()
    }

    /// Introduces a client as versions with sessions do.
    pub fn begin(&mut self) {
        let client = json!({ "name": "test", "version": "1" });
        let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
        let welcome = self.ask(&json!({ "jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": hello }));
        assert_eq!(welcome["result"]["protocolVersion"], "2025-11-25", "{welcome}");
        self.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    }

    pub fn call(&mut self, number: i64, tool: &str, args: &Value) -> Value {
        let answer = self.ask(&called(number, tool, args));
        assert_eq!(answer["id"], number, "{answer}");
        answer
    }

    /// Ends its input, and waits until it has ended.
    pub fn end(mut self) {
        drop(self.input.take());
        assert!(self.process.wait().expect("its end").success());
    }

    pub fn signal(&self, name: &str) {
        signal(self.process.id(), name);
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status().expect("kill").success());
}

pub fn called(number: i64, tool: &str, args: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": number, "method": "tools/call", "params": { "name": tool, "arguments": args } })
}

/// The same in a version without sessions.
pub fn modern(number: i64, tool: &str, args: &Value) -> Value {
    let mut message = called(number, tool, args);
    message["params"]["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    message
}

fn key_of(data: &Data) -> String {
    let made = data.answer(&["key", "create", "--account", &data.account, "--label", "agent"]);
    made["api_key"].as_str().expect("a key").to_owned()
}

async fn serve(data: &Data) -> Server {
    Server::start(&data.at(&["serve"]), &data.path().join("serve.log")).await
}

/// The leaves in the log, as an export says them.
pub fn leaves(data: &Data) -> Vec<Value> {
    // What SQLite keeps beside its files comes and goes.
    let is_bundle = |entry: &std::io::Result<std::fs::DirEntry>| {
        entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("bundle-"))
    };
    let bundles = std::fs::read_dir(data.path()).expect("a directory").filter(is_bundle).count();
    let out = data.path().join(format!("bundle-{bundles}"));
    answer(&[&["export", "--out", shown(&out), "--plaintext"], &data.at(&[])[..]].concat());
    let lines = std::fs::read_to_string(out.join("events.jsonl")).expect("the lines");
    let leaf = |line: &str| serde_json::from_str::<Value>(line).ok()?["leaf"].as_str().map(str::to_owned);
    lines.lines().map(|line| serde_json::from_str(&leaf(line).expect("a leaf")).expect("JSON")).collect()
}

fn of_type<'l>(leaves: &'l [Value], kind: &str) -> Vec<&'l Value> {
    leaves.iter().filter(|leaf| leaf["type"] == kind).collect()
}

on_both! {
    of_a_server_decides_nothing, pipe_of_a_server_decides_nothing, postgres_pipe_of_a_server_decides_nothing;
    outlives_its_server, pipe_outlives_its_server, postgres_pipe_outlives_its_server;
}

/// Neither its environment nor its halting matters to anybody else, and it is no node.
async fn of_a_server_decides_nothing(data: Data) {
    let config = data.path().join("forelog.toml");
    let text = std::fs::read_to_string(&config).expect("a configuration");
    std::fs::write(&config, format!("{text}\n[limits]\ncredential = {{ admit = 3, window_ms = 3600000 }}\n")).expect("limits");
    let (key, server) = (key_of(&data), serve(&data).await);
    let loose = ("FORELOG_LIMITS__CREDENTIAL", "{admit=10000,window_ms=1}");
    let mut pipe = Pipe::start_with(&data.at(&[]), &[("FORELOG_API_KEY", &key), loose]);
    pipe.begin();
    for number in 1..=3 {
        assert!(pipe.call(number, "vm_list", &json!({}))["result"]["structuredContent"]["items"].is_array());
    }
    let full = pipe.call(4, "vm_list", &json!({}));
    assert_eq!(full["result"]["structuredContent"]["error"]["code"], "rate_limited", "{full}");
    pipe.signal("STOP");
    assert_eq!(server.call(&key, "vm_list", json!({})).await["error"]["code"], "rate_limited");
    let engaged = data.answer(&["switch", "engage", "all", "--reason", "while a pipe is stopped"]);
    assert!(engaged["switch_id"].is_string() || engaged["id"].is_string(), "{engaged}");
    pipe.signal("CONT");
    pipe.end();
    server.stop().await;
    let leaves = leaves(&data);
    assert_eq!(of_type(&leaves, "node_started").len(), 1, "the pipe is a node");
    let vias: Vec<_> = of_type(&leaves, "intent_recorded").iter().map(|leaf| leaf["via"].clone()).collect();
    assert_eq!(vias[..4], ["stdio", "stdio", "stdio", "stdio"], "{vias:?}");
    data.answer(&["log", "verify"]);
}

/// A server that is started again has forgotten the conversation, of which the client knows nothing.
async fn outlives_its_server(data: Data) {
    let (key, server) = (key_of(&data), serve(&data).await);
    let mut pipe = Pipe::start(&data.at(&[]), &key);
    pipe.begin();
    assert!(pipe.call(1, "vm_list", &json!({}))["result"]["structuredContent"]["items"].is_array());
    // Killed, it leaves its socket behind.
    drop(server);
    let gone = pipe.call(2, "vm_list", &json!({}));
    assert_eq!(gone["error"]["data"]["error"]["code"], "audit_unavailable", "{gone}");
    let server = serve(&data).await;
    for number in 3..5 {
        let answer = pipe.call(number, "vm_list", &json!({}));
        assert!(answer["result"]["structuredContent"]["items"].is_array(), "{answer}");
    }
    let answer = pipe.ask(&modern(5, "vm_list", &json!({})));
    assert!(answer["result"]["structuredContent"]["items"].is_array(), "{answer}");
    pipe.end();
    server.stop().await;
    assert!(!data.path().join("run").exists(), "a clean stop leaves no socket");
}

#[tokio::test(flavor = "multi_thread")]
async fn pipe_alone_has_the_data_to_itself() {
    let data = Data::new(None);
    data.in_force();
    let (key, at) = (key_of(&data), data.at(&[]));
    let mut first = Pipe::start(&at, &key);
    first.begin();
    assert!(first.call(1, "vm_list", &json!({}))["result"]["structuredContent"]["items"].is_array());
    let holder = format!("(pid {})", first.process.id());
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["demo", "--listen", "127.0.0.1:0"]] {
        let said = complaint(&data.at(command));
        assert!(said.contains("held by forelog") && said.contains(&holder) && said.contains("hint:"), "{said}");
    }
    // A second one is a client of the first, which alone is a node.
    let mut second = Pipe::start(&at, &key);
    second.begin();
    assert!(second.call(1, "vm_list", &json!({}))["result"]["structuredContent"]["items"].is_array());
    second.end();
    first.signal("STOP");
    let said = complaint(&data.at(&["serve", "--listen", "127.0.0.1:0"]));
    assert!(said.contains("which is stopped") && said.contains("kill -CONT"), "{said}");
    first.signal("CONT");
    first.end();
    let leaves = leaves(&data);
    let kinds: Vec<_> = leaves.iter().filter_map(|leaf| leaf["type"].as_str()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "node_started").count(), 1);
    assert_eq!(kinds.iter().filter(|kind| **kind == "node_stopped").count(), 1);
    let server = serve(&data).await;
    assert!(server.call(&key, "vm_list", json!({})).await["items"].is_array());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_pipe_is_no_node_where_another_lives() {
    let url = crate::postgres::fresh_database().await;
    let data = Data::new(Some(&url));
    let (key, server) = (key_of(&data), serve(&data).await);
    // The same database from another directory, as from another machine.
    let other = tempfile::tempdir().expect("a directory");
    for file in ["forelog.toml", "kek"] {
        std::fs::copy(data.path().join(file), other.path().join(file)).expect("a copy");
    }
    let output = command(&["stdio", "--data", shown(other.path())]).env("FORELOG_API_KEY", &key).output().expect("it ran");
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("node_") && said.contains("--url"), "{said}");
    let mut pipe = Pipe::start(&["--data", shown(other.path()), "--url", &server.says("/base_url")], &key);
    pipe.begin();
    assert!(pipe.call(1, "vm_list", &json!({}))["result"]["structuredContent"]["items"].is_array());
    pipe.end();
    server.stop().await;
    assert_eq!(of_type(&leaves(&data), "node_started").len(), 1);
}

/// What an agent's client is started with is not what a log begins with, whatever it says and however loose that is.
fn first_start_is_nobodys(data: &Data) {
    let key = key_of(data);
    let loose = [
        ("FORELOG_NEWCOMER_MS", "0"),
        ("FORELOG_LIMITS__EXEC__ADMIT", "10000"),
        ("FORELOG_LIMITS__EXEC__WINDOW_MS", "1"),
        ("FORELOG_API_KEY", key.as_str()),
    ];
    let count = |kind: &str| of_type(&leaves(data), kind).len();
    let output = command(&data.at(&["stdio"])).envs(loose).output().expect("it ran");
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("forelog serve") && said.contains("limits load"), "{said}");
    assert_eq!((count("limits_set"), count("policy_loaded"), count("node_started")), (0, 0, 0));
    data.answer(&["limits", "load"]);
    let output = command(&data.at(&["stdio"])).envs(loose).output().expect("it ran");
    assert!(!output.status.success(), "the policies are nobody's either");
    data.answer(&["policy", "load"]);
    let mut pipe = Pipe::start_with(&data.at(&[]), &loose);
    pipe.begin();
    assert!(pipe.call(1, "vm_list", &json!({}))["result"]["structuredContent"]["items"].is_array());
    pipe.end();
    assert_eq!((count("limits_set"), count("policy_loaded"), count("node_started")), (1, 1, 1));
    assert_eq!(data.answer(&["limits", "show"])["limits"]["limits"]["exec"]["admit"], 60);
}

#[test]
fn pipe_puts_nothing_in_force() {
    first_start_is_nobodys(&Data::new(None));
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_pipe_puts_nothing_in_force() {
    first_start_is_nobodys(&Data::new(Some(&crate::postgres::fresh_database().await)));
}

#[test]
fn pipe_makes_no_data_where_there_is_none() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = dir.path().join("typo");
    let output = command(&["stdio", "--data", shown(&at)]).env("FORELOG_API_KEY", "flk_live_x").output().expect("it ran");
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("no Forelog data"), "{said}");
    assert!(!at.join("log.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn pipe_by_url_speaks_tls_and_both_eras() {
    let pair = Pair::new();
    let demo = pair.demo().await;
    let (url, key, chain) = (demo.mcp_url().to_owned(), demo.customer_key().to_owned(), pair.chain());
    let env = [("FORELOG_API_KEY", key.as_str()), ("SSL_CERT_FILE", shown(&chain))];
    let mut pipe = Pipe::start_with(&["--url", &url], &env);
    pipe.begin();
    let answer = pipe.call(1, "vm_list", &json!({}));
    assert_eq!(answer["result"]["structuredContent"]["items"].as_array().map(Vec::len), Some(3), "{answer}");
    let answer = pipe.ask(&modern(2, "vm_list", &json!({})));
    assert_eq!(answer["result"]["structuredContent"]["items"].as_array().map(Vec::len), Some(3), "{answer}");
    pipe.end();
    // Who is not trusted gets no key.
    let output = command(&["stdio", "--url", &url]).env("FORELOG_API_KEY", &key).output().expect("it ran");
    assert!(!output.status.success() && text(&output.stderr).contains("nobody answers"), "{}", text(&output.stderr));
    // Reading stays reading, whichever way it is asked for.
    let readonly = format!("{url}/readonly");
    for args in [&["--url", &url, "--read-only"][..], &["--url", &readonly]] {
        let mut pipe = Pipe::start_with(args, &env);
        pipe.begin();
        let args = json!({ "vm_id": demo.text("/vms/0/id"), "action": "start", "confirm": "web-1" });
        let answer = pipe.call(1, "vm_power", &args);
        assert_eq!(answer["result"]["structuredContent"]["error"]["code"], "read_only_mode", "{answer}");
        pipe.end();
    }
}

#[test]
fn pipe_sends_no_key_in_the_clear() {
    for url in ["http://forelog.example", "http://192.0.2.1:7373", "https://u:secret@forelog.example", "forelog.example"] {
        let said = {
            let output = command(&["stdio", "--url", url]).env("FORELOG_API_KEY", "flk_live_x").output().expect("it ran");
            assert!(!output.status.success());
            text(&output.stderr)
        };
        assert!(said.contains("--url") && said.contains("hint:") && !said.contains("secret"), "{url}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pipe_passes_lines_on_that_are_no_messages() {
    let data = Data::new(None);
    let (key, server) = (key_of(&data), serve(&data).await);
    let mut pipe = Pipe::start(&data.at(&[]), &key);
    for (line, code) in [
        ("{", -32700),
        ("not JSON", -32700),
        ("7", -32600),
        ("{}", -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"vm_list"}}"#, -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"tools/list"}"#, -32600),
    ] {
        pipe.send_text(line);
        let answer = pipe.next();
        assert_eq!(answer["error"]["code"], code, "{line}: {answer}");
        pipe.send_text("");
    }
    let long = called(9, "vm_list", &json!({ "x": "y".repeat(2 * 1024 * 1024) }));
    let answer = pipe.ask(&long);
    assert!(answer["error"]["code"].is_i64(), "{answer}");
    pipe.begin();
    assert!(pipe.call(10, "vm_list", &json!({}))["result"]["structuredContent"]["items"].is_array());
    pipe.end();
    server.stop().await;
}

/// A path that no socket's address holds is no obstacle.
#[tokio::test(flavor = "multi_thread")]
async fn pipe_reaches_a_server_however_long_the_path_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let deep = dir.path().join("d".repeat(150));
    let at = ["--data", shown(&deep)];
    let account = answer(&[&["account", "create", "--name", "Example", "--email", "a@example.com"], &at[..]].concat());
    let account = account["id"].as_str().expect("an account");
    let made = answer(&[&["key", "create", "--account", account, "--label", "agent"], &at[..]].concat());
    let key = made["api_key"].as_str().expect("a key");
    let server = Server::start(&[&["serve"], &at[..]].concat(), &dir.path().join("serve.log")).await;
    let mut pipe = Pipe::start(&at, key);
    pipe.begin();
    assert!(pipe.call(1, "vm_list", &json!({}))["result"]["structuredContent"]["items"].is_array());
    pipe.end();
    server.stop().await;
    assert!(!deep.join("run").exists(), "a clean stop leaves no socket");
}
