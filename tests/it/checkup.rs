//! What the commands of somebody on call say while something is broken: each looks at what can be looked at.
//!
//! Invariant: what is broken here is broken from outside, as disks, people and clocks do it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use forelog::log::dialect::Room;
use forelog::log::sqlite::open_sqlite;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli::{Server, answer, command, complaint, dir, shown, text};
use crate::harness::until;
use crate::local_admin::id;
use crate::tools;

const TIMEOUT: Duration = Duration::from_mins(1);
const CALLS: &str = "write,pwrite64,fallocate,ftruncate";

struct House {
    dir: TempDir,
    agent: String,
}

impl House {
    fn make() -> Self {
        let dir = dir();
        std::fs::write(dir.path().join("forelog.toml"), "lease_ms = 1500\n").expect("a configuration");
        let at = |args: &[&str]| answer(&[args, &["--data", shown(dir.path())]].concat());
        at(&["account", "create", "--name", "Staff", "--email", "s@example.com", "--staff"]);
        let account = id(&at(&["account", "create", "--name", "Example Ltd", "--email", "o@example.com"]));
        let key = at(&["key", "create", "--account", &account, "--label", "a key"]);
        Self { agent: key["api_key"].as_str().expect("a key").to_owned(), dir }
    }

    async fn serve(&self) -> Server {
        Server::start(&["serve", "--data", shown(self.dir.path())], &self.file("serve.log")).await
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, args: &[&str]) -> Output {
        command(&[args, &["--data", shown(self.dir.path())]].concat()).output().expect("running forelog")
    }

    fn answers(&self, args: &[&str]) -> Value {
        answer(&[args, &["--data", shown(self.dir.path())]].concat())
    }

    fn complains(&self, args: &[&str]) -> String {
        complaint(&[args, &["--data", shown(self.dir.path())]].concat())
    }
}

async fn sample(server: &Server, name: &str) -> Option<f64> {
    let page =
        reqwest::get(format!("{}/metrics", server.says("/base_url"))).await.expect("an answer").text().await.expect("text");
    page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// With a disk that is full for the files of the log.
fn on_a_full_disk(house: &House, args: &[&str]) -> Output {
    let report = house.file("strace.log");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-e", &format!("trace={CALLS}"), "-e", &format!("inject={CALLS}:error=ENOSPC"), "-o", shown(&report)]);
    for file in ["log.db", "log.db-wal"] {
        strace.args(["-P", shown(&house.file(file))]);
    }
    strace.arg(env!("CARGO_BIN_EXE_forelog")).args(args).args(["--data", shown(house.dir.path())]);
    strace.stdin(Stdio::null()).output().expect("run strace")
}

#[test]
fn checkup_a_full_disk_is_met() {
    let house = House::make();
    // So that strace knows the file by its name.
    std::fs::File::options().create(true).append(true).open(house.file("log.db-wal")).expect("a file");
    let output = on_a_full_disk(&house, &["doctor"]);
    let said = text(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("nothing can be recorded, so nothing is admitted and nothing has to be stopped"), "{said}");
    assert!(said.contains("ok  the log is in order"), "{said}");
    let output = on_a_full_disk(&house, &["switch", "engage", "all", "--reason", "an incident"]);
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("hint:") && said.contains("make room"), "{said}");
}

fn attach(house: &House, process: u32) -> Child {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-e", &format!("trace={CALLS}"), "-e", &format!("inject={CALLS}:error=ENOSPC"), "-o"]);
    strace.arg(house.file("strace.log"));
    for file in ["log.db", "log.db-wal"] {
        strace.args(["-P", shown(&house.file(file))]);
    }
    strace.arg(format!("--attach={process}")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    strace.spawn().expect("run strace")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkup_metrics_say_that_a_full_disk_takes_nothing() {
    let house = House::make();
    let server = house.serve().await;
    assert_eq!(sample(&server, "forelog_can_stop").await, Some(1.0));
    let mut strace = attach(&house, server.id());
    until(TIMEOUT, "nothing can be recorded", async || {
        server.call(&house.agent, "vm_list", json!({})).await["error"]["code"] == "audit_unavailable"
    })
    .await;
    until(TIMEOUT, "the metrics say so", async || {
        sample(&server, "forelog_can_stop").await == Some(0.0) && sample(&server, "forelog_store_up").await == Some(0.0)
    })
    .await;
    crate::pipe::signal(strace.id(), "INT");
    strace.wait().expect("an end");
    until(TIMEOUT, "it can be stopped again", async || sample(&server, "forelog_can_stop").await == Some(1.0)).await;
}

#[test]
fn checkup_goes_on_without_the_vault() {
    let house = House::make();
    house.answers(&["switch", "engage", "tool:vm_list", "--reason", "a test"]);
    let events = house.answers(&["log", "verify"])["events"].clone();
    std::fs::rename(house.file("vault.db"), house.file("aside")).expect("moved");
    let said = house.complains(&["doctor"]);
    for line in ["ok  a switch could be engaged now", "ok  the log is in order", "ok  control state follows from the log"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(said.contains("each data key opens: not looked at: the vault cannot be used"), "{said}");
    assert!(said.contains("vault.db is not there"), "{said}");
    assert_eq!(house.answers(&["log", "verify"])["events"], events);
    for args in [&["clock", "show"][..], &["limits", "show"], &["policy", "show"], &["switch", "list"], &["key", "list"]] {
        let said = house.answers(args);
        assert!(
            said["without_vault"].is_string() || args[0] == "clock" || args[0] == "key" || said["version"].is_null(),
            "{said}"
        );
    }
    let output = house.run(&["switch", "list"]);
    assert!(text(&output.stdout).contains("was not opened"), "{}", text(&output.stdout));
    let said = house.complains(&["account", "list"]);
    assert!(said.contains("put the vault back"), "{said}");
}

#[test]
fn checkup_goes_on_without_the_log() {
    let house = House::make();
    std::fs::rename(house.file("log.db"), house.file("aside")).expect("moved");
    let said = house.complains(&["doctor"]);
    assert!(
        said.contains("this command cannot record anything; a server that runs may go on")
            && said.contains("log.db is not there"),
        "{said}"
    );
    assert!(said.contains("ok  nobody but its owner reads what is kept"), "{said}");
    assert!(said.contains("the log is in order: not looked at: the log cannot be read"), "{said}");
}

/// What `doctor` says of what it looks at, line by line: each begins with how that stands.
fn looked_at(said: &str) -> Vec<&str> {
    let lines = said.lines().map(str::trim_start);
    lines.filter_map(|line| ["ok  ", "--  ", "??  ", "NOT "].iter().find_map(|sign| line.strip_prefix(sign))).collect()
}

#[test]
fn checkup_the_same_is_named_without_the_log() {
    let house = House::make();
    let whole = house.answers(&["doctor"]);
    let names: Vec<&str> =
        whole["checks"].as_array().expect("checks").iter().filter_map(|check| check["check"].as_str()).collect();
    std::fs::rename(house.file("log.db"), house.file("aside")).expect("moved");
    let said = house.complains(&["doctor"]);
    let lines = looked_at(&said);
    let is_of = |line: &str, name: &str| line.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'));
    for name in &names {
        assert!(lines.iter().any(|line| is_of(line, name)), "nothing is said of {name}: {said}");
    }
    let more: Vec<&&str> = lines.iter().filter(|line| !names.iter().any(|name| is_of(line, name))).collect();
    assert_eq!(more, Vec::<&&str>::new(), "{said}");
    assert_eq!(names.len(), lines.len(), "something is named twice: {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkup_looking_waits_for_nobody_who_writes() {
    let house = House::make();
    house.answers(&["switch", "engage", "tool:vm_list", "--reason", "a test"]);
    let database = open_sqlite(&house.file("log.db"), Room::Log).await.expect("the log room");
    let held = database.begin().await.expect("the lock");
    let listed = house.answers(&["switch", "list"]);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{listed}");
    let said = house.complains(&["doctor"]);
    assert!(said.contains("the log is held by"), "{said}");
    assert!(said.contains("ok  a node takes control state from the log"), "{said}");
    drop(held);
    database.close().await;
}

fn scribble(file: &Path) {
    use std::os::unix::fs::FileExt;
    let open = std::fs::File::options().write(true).open(file).expect("the file");
    open.write_all_at(&[0x5A; 8192], 0).expect("written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkup_corrupt_views_keep_no_node_from_starting() {
    let house = House::make();
    house.serve().await.stop().await;
    scribble(&house.file("views.db"));
    let said = house.complains(&["doctor"]);
    assert!(said.contains("`forelog view rebuild` makes them again") && said.contains("ok  the log is in order"), "{said}");
    let server = house.serve().await;
    assert_eq!(server.call(&house.agent, "vm_list", json!({})).await["error"], Value::Null);
    assert_eq!(sample(&server, "forelog_views_up").await, Some(0.0));
    assert!(sample(&server, "forelog_views_lag_seconds").await.is_some());
    let rebuilt = house.answers(&["view", "rebuild"]);
    assert!(rebuilt["position"].as_i64() > Some(3), "{rebuilt}");
    until(TIMEOUT, "the node has opened the new ones", async || sample(&server, "forelog_views_up").await == Some(1.0)).await;
    assert_eq!(server.call(&house.agent, "activity_list", json!({})).await["error"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkup_views_that_were_removed_are_made_again_under_a_node() {
    for left in [&[""][..], &["", "-wal", "-shm"]] {
        let house = House::make();
        let server = house.serve().await;
        until(TIMEOUT, "the views are there", async || sample(&server, "forelog_views_lag_events").await == Some(0.0)).await;
        for end in left {
            std::fs::remove_file(house.file(&format!("views.db{end}"))).expect("removed");
        }
        let rebuilt = house.answers(&["view", "rebuild"]);
        assert!(rebuilt["position"].as_i64() > Some(3), "{rebuilt}");
        until(TIMEOUT, "the node has opened the new ones", async || {
            server.call(&house.agent, "activity_list", json!({})).await["error"] == Value::Null
        })
        .await;
        assert_eq!(house.answers(&["doctor"])["ok"], true);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_checkup_a_node_starts_without_the_views() {
    let url = crate::postgres::fresh_database().await;
    let dir = dir();
    std::fs::write(dir.path().join("forelog.toml"), format!("database_url = \"{url}\"\n")).expect("a configuration");
    let at = ["--data", shown(dir.path())];
    answer(&[&["account", "create", "--name", "Staff", "--email", "s@example.com", "--staff"], &at[..]].concat());
    let server = Server::start(&[&["serve"], &at[..]].concat(), &dir.path().join("serve.log")).await;
    until(TIMEOUT, "the views are there", async || sample(&server, "forelog_views_up").await == Some(1.0)).await;
    let mut session = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await.expect("connect to the cluster");
    sqlx::Executor::execute(&mut session, "drop schema views cascade").await.expect("dropped");
    until(TIMEOUT, "they are not", async || sample(&server, "forelog_views_up").await == Some(0.0)).await;
    let said = complaint(&[&["doctor"], &at[..]].concat());
    assert!(said.contains("migrate --grant-to"), "{said}");
    answer(&[&["view", "rebuild"], &at[..]].concat());
    until(TIMEOUT, "they are again", async || sample(&server, "forelog_views_up").await == Some(1.0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkup_a_second_demonstration_leaves_the_first_alone() {
    let dir = dir();
    let data = dir.path().join("data");
    let demo = Server::start(&["demo", "--data", shown(&data)], &dir.path().join("demo.log")).await;
    let port = demo.says("/base_url").rsplit_once(':').expect("a port").1.to_owned();
    let said = complaint(&["demo", "--data", shown(&data), "--listen", &format!("127.0.0.1:{port}")]);
    assert!(said.contains("is held by forelog (pid "), "{said}");
    let kept = std::fs::read(data.join("demo.json")).expect("the first one's keys");
    assert_eq!(serde_json::from_slice::<Value>(&kept).expect("JSON")["base_url"], demo.says("/base_url"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkup_a_demonstration_that_goes_on_says_which_switch_stands() {
    let dir = dir();
    let data = dir.path().join("data");
    Server::start(&["demo", "--data", shown(&data)], &dir.path().join("demo.log")).await.stop().await;
    let engaged = answer(&["switch", "engage", "class:exec", "--reason", "yesterday", "--data", shown(&data)]);
    let mut again = command(&["demo", "--data", shown(&data), "--listen", "127.0.0.1:0"]);
    let mut again = again.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starting forelog");
    let lines = std::io::BufRead::lines(std::io::BufReader::new(again.stdout.take().expect("its standard output")));
    let first: Vec<String> = lines.map_while(Result::ok).take(3).collect();
    again.kill().and_then(|()| again.wait()).expect("an end");
    let said = first.join("\n");
    assert!(
        said.starts_with("A switch is still engaged") && said.contains(&id(&engaged)) && said.contains("switch release"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkup_a_clock_that_is_not_trusted_is_said_with_the_way_out() {
    let house = House::make();
    let library = tools::find("FORELOG_FAKETIME").display().to_string();
    let env = [("LD_PRELOAD", library), ("FAKETIME", "+9d".to_owned()), ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned())];
    let server = Server::start_in(&env, &["serve", "--data", shown(house.dir.path())], &house.file("serve.log")).await;
    assert_eq!(server.document["clock_trusted"], false, "{}", server.document);
    let told =
        async || std::fs::read_to_string(house.file("serve.log")).is_ok_and(|said| said.contains("forelog clock accept --time"));
    until(TIMEOUT, "its log says what to do", told).await;
    let (ready, listen) = (reqwest::get(format!("{}/readyz", server.says("/base_url"))), server.says("/base_url"));
    let ready = ready.await.expect("an answer").text().await.expect("text");
    assert!(ready.contains("forelog clock accept --time"), "{ready}");
    let asked = ["health", "--listen", listen.trim_start_matches("http://"), "--data", shown(house.dir.path())];
    assert!(complaint(&asked).contains("forelog clock accept --time"));
    let mut show = command(&["clock", "show", "--data", shown(house.dir.path())]);
    let output = show.envs(env.iter().map(|(name, value)| (name, value))).output().expect("running forelog");
    let said = text(&output.stdout);
    assert!(
        said.contains("forelog clock accept --time") && said.contains(&format!("--data {}", house.dir.path().display())),
        "{said}"
    );
}

#[test]
fn checkup_a_limit_that_was_set_in_an_emergency_is_no_fault() {
    let house = House::make();
    house.answers(&["limits", "set", "limits.exec.admit=5"]);
    let output = house.run(&["doctor"]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(said.contains("limits.exec.admit is 5 in force and 60 in this configuration"), "{said}");
    assert!(said.contains("would replace it") && said.contains("put in force by"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkup_switches_say_how_the_nodes_stand() {
    let house = House::make();
    let server = house.serve().await;
    let engaged = house.answers(&["switch", "engage", "tool:vm_list", "--reason", "a test"]);
    assert_eq!(engaged["nodes"][0]["pid"], server.id(), "{engaged}");
    assert!(engaged["nodes"][0]["host"].is_string(), "{engaged}");
    let listed = house.answers(&["switch", "list"]);
    assert_eq!((&listed["fenced"], &listed["nodes"][0]["state"]), (&json!(true), &json!("confirmed")), "{listed}");
    crate::pipe::signal(server.id(), "STOP");
    let output = house.run(&["switch", "engage", "all", "--reason", "a test"]);
    let said = text(&output.stdout);
    crate::pipe::signal(server.id(), "CONT");
    assert!(said.contains(&format!("pid {}", server.id())) && said.contains("kill -9"), "{said}: {}", text(&output.stderr));
}

/// What the page of incidents calls by a name on the console is called so there.
#[test]
fn checkup_the_page_names_what_the_console_has() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/operations.md")).expect("the page");
    let row = page.lines().find(|line| line.starts_with("| the console |")).expect("what to do on the console");
    let templates: String = std::fs::read_dir(root.join("admin-ui/templates"))
        .expect("the templates")
        .map(|entry| std::fs::read_to_string(entry.expect("an entry").path()).unwrap_or_default())
        .collect();
    // A button says `Stop every call` of `Every call is stopped`.
    let code = std::fs::read_to_string(root.join("src/http/console/target_words.rs")).expect("what switches are called");
    let deed = |label: &str| {
        let what = label.strip_prefix("Stop ").and_then(|what| what.split_at_checked(1));
        what.is_some_and(|(first, rest)| code.contains(&format!("\"{}{rest} is stopped\"", first.to_uppercase())))
    };
    let labels: Vec<&str> = row.split('*').skip(1).step_by(2).collect();
    assert!(labels.len() >= 4, "{row}");
    for label in labels {
        let shown = templates.contains(&format!(">{label}<")) || deed(label);
        assert!(shown, "the console has nothing that is called {label}");
    }
}
