//! The real binary, as its users meet it: what it makes, what it says, and what it refuses to do.
//!
//! Invariant: every process that a test starts is gone when its handle is dropped.

mod data;
mod denied;
mod mistakes;
mod named;
mod said;
mod served;

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

const TIMEOUT: Duration = Duration::from_mins(1);

pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forelog"));
    command.args(args).stdin(Stdio::null());
    // Whatever happens to listen where a server does by itself is no fault of what a test has made.
    if args.first() == Some(&"doctor") {
        command.env("FORELOG_LISTEN", "127.0.0.1:0");
    }
    command
}

fn forelog(args: &[&str]) -> Output {
    command(args).output().expect("running forelog")
}

/// What a command answers that has to succeed.
pub fn answer(args: &[&str]) -> Value {
    answer_in(&[], args)
}

/// The same in an environment.
pub fn answer_in(env: &[(&str, String)], args: &[&str]) -> Value {
    let asked = [args, &["--json"]].concat();
    let output = command(&asked).envs(env.iter().map(|(name, value)| (name, value))).output().expect("running forelog");
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON document")
}

/// What a command says that has to fail.
pub fn complaint(args: &[&str]) -> String {
    let output = forelog(args);
    assert!(!output.status.success(), "{args:?} succeeded: {}", text(&output.stdout));
    assert!(output.stdout.is_empty(), "{args:?} answered: {}", text(&output.stdout));
    text(&output.stderr)
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn shown(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

pub fn dir() -> TempDir {
    tempfile::Builder::new().prefix("forelog-cli-").tempdir().expect("a directory")
}

/// A server, and the document it said when it was ready.
pub struct Server {
    process: Child,
    pub document: Value,
}

impl Server {
    pub async fn start(args: &[&str], errors: &Path) -> Self {
        Self::start_in(&[], args, errors).await
    }

    /// The same in an environment.
    pub async fn start_in(env: &[(&str, String)], args: &[&str], errors: &Path) -> Self {
        let log = std::fs::File::create(errors).expect("a file for what it logs");
        let args = [args, &["--listen", "127.0.0.1:0", "--json"]].concat();
        let mut started = command(&args);
        started.envs(env.iter().map(|(name, value)| (name, value))).stdout(Stdio::piped()).stderr(log);
        let mut process = started.spawn().expect("starting forelog");
        let out = process.stdout.take().expect("its standard output");
        let reading = tokio::task::spawn_blocking(move || first_document(out));
        let document = tokio::time::timeout(TIMEOUT, reading).await.expect("an answer in time").expect("a reader");
        let said = std::fs::read_to_string(errors).unwrap_or_default();
        Self { process, document: document.unwrap_or_else(|| panic!("it ended: {said}")) }
    }

    pub async fn demo(data: &Path) -> Self {
        Self::start(&["demo", "--data", shown(data)], &data.with_extension("log")).await
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        self.process.kill().and_then(|()| self.process.wait()).expect("it ends");
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub fn says(&self, pointer: &str) -> String {
        self.document.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer}")).to_owned()
    }

    pub async fn call(&self, key: &str, tool: &str, args: Value) -> Value {
        let url = format!("{}/api/v1/tools/{tool}", self.says("/base_url"));
        let answered = reqwest::Client::new().post(url).bearer_auth(key).json(&args).send().await.expect("an answer");
        answered.json().await.expect("JSON")
    }

    /// Asks it to stop, as an init system would, and waits until it has.
    pub async fn stop(mut self) {
        let asked = Command::new("kill").arg("-TERM").arg(self.process.id().to_string()).status().expect("kill");
        assert!(asked.success());
        let ended = tokio::time::timeout(TIMEOUT, async {
            loop {
                if let Some(status) = self.process.try_wait().expect("its status") {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(ended.await.expect("an end in time").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The first whole document of a stream; none if it ends before.
fn first_document(mut out: impl Read) -> Option<Value> {
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    while out.read(&mut byte).ok()? == 1 {
        bytes.extend(byte);
        if byte == *b"\n"
            && let Ok(document) = serde_json::from_slice(&bytes)
        {
            return Some(document);
        }
    }
    None
}
