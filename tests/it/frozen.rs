//! Processes that are halted while they hold the log, really halted: what is to be stopped is stopped all the same, or it is said
//! who is in the way.
//!
//! INVARIANT: each is caught inside a transaction of its own, by what the kernel or the database says, and only processes that
//! a test has started are halted.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use forelog::log::lock_holders;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::cli::{Server, command, complaint, shown, text};
use crate::local_admin::Data;
use crate::pipe::signal;
use crate::postgres::{fresh_database, fresh_roles};

/// How long a process may take to be caught.
const CHASE: Duration = Duration::from_mins(1);

/// How long stopping may take past a session that the database server ends.
const BOUND: Duration = Duration::from_secs(30);

const ENGAGE: [&str; 5] = ["switch", "engage", "all", "--reason", "somebody is halted"];

fn key_of(data: &Data) -> String {
    let made = data.answer(&["key", "create", "--account", &data.account, "--label", "agent"]);
    made["api_key"].as_str().expect("a key").to_owned()
}

async fn serve(data: &Data) -> Server {
    Server::start(&data.at(&["serve"]), &data.path().join("serve.log")).await
}

/// Calls a server without end, so that it writes as often as it can.
pub struct Calling(Arc<AtomicBool>);

impl Calling {
    pub fn begin(server: &Server, key: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..4 {
            let (url, key, stop) =
                (format!("{}/api/v1/tools/vm_list", server.says("/base_url")), key.to_owned(), Arc::clone(&stop));
            tokio::spawn(async move {
                let client = reqwest::Client::builder().timeout(Duration::from_secs(2)).build().expect("a client");
                while !stop.load(Ordering::SeqCst) {
                    // A server that is halted answers nobody.
                    let _ = client.post(&url).bearer_auth(&key).json(&json!({})).send().await;
                }
            });
        }
        Self(stop)
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Halts a process where it holds the log.
async fn catch(pid: u32, holds: impl AsyncFn() -> bool) {
    let chase = async {
        loop {
            signal(pid, "STOP");
            if holds().await {
                return;
            }
            signal(pid, "CONT");
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    };
    if tokio::time::timeout(CHASE, chase).await.is_err() {
        signal(pid, "CONT");
        panic!("it was never caught within a transaction");
    }
}

async fn caught_in_file(data: &Data, pid: u32) {
    let log = data.path().join("log.db");
    catch(pid, async || lock_holders::of_sqlite(&log).iter().any(|holder| holder.pid == pid && holder.is_stopped)).await;
}

/// The same on PostgreSQL, where it holds the head.
pub async fn caught_in_database(url: &str, pid: u32) {
    let idle = format!(
        "select count(*) from pg_stat_activity a join pg_locks l on l.pid = a.pid and l.relation = 'log.log_head'::regclass
         where a.application_name = 'forelog log {pid}' and a.state = 'idle in transaction' and l.granted and l.mode <> 'AccessShareLock'"
    );
    catch(pid, async || {
        let mut connection = PgConnection::connect(url).await.expect("the database");
        // What it had sent before it was halted may still be on its way.
        for _ in 0..3 {
            let count: i64 = sqlx::query_scalar(AssertSqlSafe(idle.clone())).fetch_one(&mut connection).await.expect("a count");
            if count == 0 {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        true
    })
    .await;
}

fn refused(output: &std::process::Output) -> String {
    assert!(!output.status.success(), "{}", text(&output.stdout));
    text(&output.stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_server_on_files_is_named_with_what_to_do() {
    let data = Data::new(None);
    let (key, server) = (key_of(&data), serve(&data).await);
    let calling = Calling::begin(&server, &key);
    caught_in_file(&data, server.id()).await;
    let begin = |args: &[&str]| {
        let mut begun = command(&data.at(args));
        begun.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starting forelog")
    };
    let (engaging, looking) = (begin(&ENGAGE), begin(&["doctor"]));
    for process in [engaging, looking] {
        let said = refused(&process.wait_with_output().expect("it ended"));
        let named = format!("forelog (pid {}), which is stopped", server.id());
        assert!(said.contains(&named) && said.contains("kill -CONT"), "{said}");
    }
    signal(server.id(), "KILL");
    drop(calling);
    assert!(data.answer(&ENGAGE).is_object());
    data.answer(&["log", "verify"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_server_on_files_is_waited_for_by_what_stops() {
    let data = Data::new(None);
    let (key, server) = (key_of(&data), serve(&data).await);
    let calling = Calling::begin(&server, &key);
    caught_in_file(&data, server.id()).await;
    drop(calling);
    let mut engaging = command(&data.at(&ENGAGE));
    engaging.stdout(Stdio::piped()).stderr(Stdio::piped()).env("RUST_LOG", "warn");
    let mut engaging = engaging.spawn().expect("starting forelog");
    // Longer than anything else waits.
    let mut lines = BufReader::new(engaging.stderr.take().expect("its standard error")).lines();
    assert!(lines.any(|line| line.expect("text").contains("is tried again")), "it gave up");
    signal(server.id(), "KILL");
    let output = engaging.wait_with_output().expect("it ended");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// The same database from another directory, as from another machine.
fn elsewhere(data: &Data) -> tempfile::TempDir {
    let other = tempfile::tempdir().expect("a directory");
    for file in ["forelog.toml", "kek"] {
        std::fs::copy(data.path().join(file), other.path().join(file)).expect("a copy");
    }
    other
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_frozen_server_is_got_past_by_what_stops() {
    let url = fresh_database().await;
    let data = Data::new(Some(&url));
    let (key, server, other) = (key_of(&data), serve(&data).await, elsewhere(&data));
    let second = Server::start(&["serve", "--data", shown(other.path())], &other.path().join("serve.log")).await;
    let calling = Calling::begin(&server, &key);
    caught_in_database(&url, server.id()).await;
    drop(calling);
    let panic = tokio::time::timeout(BOUND, second.call(&key, "panic_engage", json!({ "reason": "a node is halted" }))).await;
    let panic = panic.expect("within the bound");
    assert!(panic["error"].is_null(), "{panic}");
    let stopped = second.call(&key, "vm_list", json!({})).await;
    assert_eq!(stopped["error"]["code"], "kill_switch_engaged", "{stopped}");
    assert!(data.answer(&ENGAGE).is_object());
    signal(server.id(), "KILL");
    second.stop().await;
    data.answer(&["log", "verify"]);
}

async fn hold(url: &str) -> (PgConnection, i32) {
    let mut holder = PgConnection::connect(url).await.expect("the database");
    holder
        .execute("set application_name = 'a stranger'; set idle_in_transaction_session_timeout = 0; begin")
        .await
        .expect("begun");
    holder.execute("select position from log.log_head where log_id = 1 for update").await.expect("held");
    let pid = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut holder).await.expect("a number");
    (holder, pid)
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_frozen_client_that_holds_the_head_is_ended_where_it_may_be() {
    let url = fresh_database().await;
    let data = Data::new(Some(&url));
    let (_holder, _) = hold(&url).await;
    let (at, waiting) = (data.at(&ENGAGE).iter().map(ToString::to_string).collect::<Vec<_>>(), BOUND);
    let engaging = tokio::task::spawn_blocking(move || {
        command(&at.iter().map(String::as_str).collect::<Vec<_>>()).output().expect("it ran")
    });
    let output = tokio::time::timeout(waiting, engaging).await.expect("within the bound").expect("a thread");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_frozen_client_that_holds_the_head_is_named_where_it_may_not() {
    let roles = fresh_roles().await;
    crate::cli::answer(&["migrate", "--database-url", &roles.owner, "--grant-to", &roles.name]);
    let data = Data::new(Some(&roles.app));
    let (_holder, pid) = hold(&roles.superuser).await;
    for args in [&ENGAGE[..], &["doctor"]] {
        let said = complaint(&data.at(args));
        assert!(said.contains(&format!("(pid {pid}")) && said.contains("pg_terminate_backend"), "{said}");
    }
}

/// Whoever comes in by the role that serves, with whatever program, is bound as a node is.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_frozen_sessions_of_the_role_that_serves_are_bound() {
    let roles = fresh_roles().await;
    let granted = crate::cli::answer(&["migrate", "--database-url", &roles.superuser, "--grant-to", &roles.name]);
    assert!(granted.is_object());
    let mut connection = PgConnection::connect(&roles.app).await.expect("the role");
    let bound: String =
        sqlx::query_scalar("show idle_in_transaction_session_timeout").fetch_one(&mut connection).await.expect("a setting");
    assert_eq!(bound, "5s");
}
