//! What `forelog demo` shows a newcomer by itself: each of its steps, and a first call with what was recorded of it.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::{Server, answer, command, dir, shown};

const TIMEOUT: Duration = Duration::from_mins(1);

/// A demonstration as a newcomer starts it, without `--json`.
struct Shown {
    process: Child,
    output: PathBuf,
    errors: PathBuf,
}

impl Shown {
    async fn start(data: &Path) -> Self {
        let (output, errors) = (data.with_extension("out"), data.with_extension("err"));
        let file = |path: &Path| std::fs::File::create(path).expect("a file for what it says");
        let mut started = command(&["demo", "--data", shown(data), "--listen", "127.0.0.1:0"]);
        let process = started.stdout(file(&output)).stderr(file(&errors)).spawn().expect("starting forelog");
        let shown = Self { process, output, errors };
        let ready = tokio::time::timeout(TIMEOUT, async {
            while !shown.said().contains("Every key and password is in") {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(ready.await.is_ok(), "{}", std::fs::read_to_string(&shown.errors).unwrap_or_default());
        shown
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// The events of the first call, by position.
    fn events(&self) -> Vec<(i64, String)> {
        let said = self.said();
        let (_, events) = said.split_once("What the log has of it, by position:\n").unwrap_or_else(|| panic!("{said}"));
        let event = |line: &str| {
            let (position, name) = line.trim().split_once("  ")?;
            Some((position.parse().ok()?, name.to_owned()))
        };
        events.lines().map_while(event).collect()
    }

    fn document(data: &Path) -> Value {
        serde_json::from_slice(&std::fs::read(data.join("demo.json")).expect("demo.json")).expect("JSON")
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn first_call_is_made_and_shown_and_each_step_before_it_is_said() {
    let dir = dir();
    let data = dir.path().join("demo");
    let demo = Shown::start(&data).await;
    let events = demo.events();
    let names: Vec<&str> = events.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["intent_recorded", "admitted", "succeeded"], "{}", demo.said());
    assert!(events.is_sorted() && events[0].0 > 0, "{events:?}");

    let said = std::fs::read_to_string(&demo.errors).expect("what it says on standard error");
    let first: Value = serde_json::from_str(said.lines().next().expect("a line")).expect("a line of JSON");
    assert_eq!(first["message"], "starting the demonstration", "nothing comes before it says what it does");
    let steps =
        ["making the log, the views", "making two accounts", "making the VMs", "starting the server", "making a first call"];
    let at: Vec<_> = steps.iter().map(|step| said.find(step).unwrap_or_else(|| panic!("no {step:?}: {said}"))).collect();
    assert!(at.is_sorted(), "{said}");

    // It is a call like any other: the customer's own, and the log has these events of it.
    let document = Shown::document(&data);
    let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).expect("a text").to_owned();
    let http = reqwest::Client::new();
    let read = async |path: &str| {
        let asked = http.get(format!("{}/api/v1/{path}", text("/base_url"))).bearer_auth(text("/customer/api_key"));
        asked.send().await.expect("an answer").json::<Value>().await.expect("JSON")
    };
    let listed = tokio::time::timeout(TIMEOUT, async {
        loop {
            let listed = read("calls").await;
            if listed["items"][0]["status"] == "succeeded" {
                return listed;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let listed = listed.await.expect("the call in the views");
    assert_eq!((listed["items"].as_array().map(Vec::len), &listed["items"][0]["tool"]), (Some(1), &json!("vm_list")), "{listed}");
    let shown = read(&format!("calls/{}", listed["items"][0]["call_id"].as_str().expect("an id"))).await;
    let recorded: Vec<(i64, String)> = shown["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| (event["position"].as_i64().expect("a position"), event["type"].as_str().expect("a name").to_owned()))
        .collect();
    assert_eq!(recorded, events);
}

#[tokio::test]
async fn first_call_that_is_refused_is_shown_as_that() {
    let dir = dir();
    let data = dir.path().join("demo");
    Server::demo(&data).await.stop().await;
    answer(&["switch", "engage", "all", "--reason", "test", "--data", shown(&data)]);
    let demo = Shown::start(&data).await;
    let names: Vec<String> = demo.events().into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["intent_recorded", "refused"], "{}", demo.said());
}

#[tokio::test]
async fn first_call_is_not_made_where_a_program_reads() {
    let dir = dir();
    let data = dir.path().join("demo");
    let demo = Server::demo(&data).await;
    assert!(demo.document["customer"]["api_key"].is_string());
    demo.stop().await;
    let log = rusqlite::Connection::open(data.join("log.db")).expect("the log");
    let calls: i64 = log.query_row("select count(*) from event where call is not null", [], |row| row.get(0)).expect("a count");
    assert_eq!(calls, 0);
}
