//! Sessions of the database that hold what a stop writes, idle or busy, by the role that serves and by others: what is to be
//! stopped is stopped all the same, or it is said who is in the way, and then nothing is let through (P15).
//!
//! INVARIANT: each holder is a session of its own on a real server; who holds what is seen in the database, not timed.

use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;

use crate::cli::{Server, answer, command, dir, shown, text};
use crate::harness::until;
use crate::local_admin::id;
use crate::postgres::{Roles, fresh_roles};

/// How long anything may take that has to come.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A served house on roles as an operator sets them up: a person of the staff, and an agent.
pub struct House {
    dir: TempDir,
    pub roles: Roles,
    pub server: Server,
    pub staff: Value,
    /// The agent's.
    account: String,
    pub agent: Value,
    http: Client,
}

impl House {
    pub async fn open() -> Self {
        Self::on(fresh_roles().await).await
    }

    pub async fn on(roles: Roles) -> Self {
        answer(&["migrate", "--database-url", &roles.owner, "--grant-to", &roles.name]);
        let dir = dir();
        let config = format!("database_url = \"{}\"\nlease_ms = 1500\n[providers.sim]\nmachines = [\"web-1\"]\n", roles.app);
        std::fs::write(dir.path().join("forelog.toml"), config).expect("a configuration");
        let at = |args: &[&str]| answer(&[args, &["--data", shown(dir.path())]].concat());
        let staff = id(&at(&["account", "create", "--name", "Staff", "--email", "staff@example.com", "--staff"]));
        let account = id(&at(&["account", "create", "--name", "Example Ltd", "--email", "ops@example.com"]));
        let key = |account: &str| at(&["key", "create", "--account", account, "--label", "a key"]);
        let (staff, agent) = (key(&staff), key(&account));
        let server = Server::start(&["serve", "--data", shown(dir.path())], &dir.path().join("serve.log")).await;
        let http = Client::builder().no_proxy().timeout(TIMEOUT).build().expect("a client");
        let house = Self { dir, roles, server, staff, account, agent, http };
        // Each has a row that counts its uses.
        assert_eq!(house.code(&house.staff).await, "forbidden_scope");
        assert_eq!(house.code(&house.agent).await, "", "{}", house.said());
        house
    }

    pub fn at<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        [args, &["--data", shown(self.dir.path())]].concat()
    }

    pub async fn ask(&self, key: &Value, method: Method, path: &str, body: Value) -> (u16, Value) {
        let (url, key) = (format!("{}{path}", self.server.says("/base_url")), key["api_key"].as_str().expect("a key"));
        let asked = self.http.request(method, url).bearer_auth(key).json(&body).send().await;
        let answered = asked.unwrap_or_else(|error| panic!("{path}: {error}: {}", self.said()));
        (answered.status().as_u16(), answered.json().await.unwrap_or_default())
    }

    /// What a call is refused with; nothing if it is made.
    pub async fn code(&self, key: &Value) -> String {
        let (_, said) = self.ask(key, Method::POST, "/api/v1/tools/vm_list", json!({})).await;
        said["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    pub async fn engage(&self, target: &str) -> (u16, Value) {
        let wanted = json!({ "target": target, "reason": "an incident" });
        self.ask(&self.staff, Method::POST, "/api/v1/switches", wanted).await
    }

    /// Runs a command beside the test.
    pub fn begin(&self, args: &[&str]) -> tokio::task::JoinHandle<std::process::Output> {
        let args: Vec<String> = self.at(args).iter().map(ToString::to_string).collect();
        tokio::task::spawn_blocking(move || {
            command(&args.iter().map(String::as_str).collect::<Vec<_>>()).output().expect("it ran")
        })
    }

    /// What the server has logged.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("serve.log")).unwrap_or_default()
    }

    pub async fn is_ready(&self) -> bool {
        let url = format!("{}/readyz", self.server.says("/base_url"));
        self.http.get(url).send().await.is_ok_and(|said| said.status().is_success())
    }
}

/// A session that holds what this statement locks, for as long as it is kept.
pub async fn hold(url: &str, sql: &str) -> (PgConnection, i32) {
    let mut holder = PgConnection::connect(url).await.expect("the database");
    let begin = "set application_name = 'a stranger'; set idle_in_transaction_session_timeout = 0; begin";
    holder.execute(sqlx::raw_sql(begin)).await.expect("begun");
    holder.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.expect("held");
    let pid = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut holder).await.expect("a number");
    (holder, pid)
}

fn row(kind: &str, key: &Value) -> String {
    format!("select name from log.state where name = '{kind}:{}' for update", id(key))
}

const HEAD: &str = "select position from log.log_head where log_id = 1 for update";

/// A row that only counts how often a key was used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_held_row_that_counts_keeps_nobody_from_stopping() {
    let house = House::open().await;
    let (mut holder, _) =
        hold(&house.roles.superuser, &format!("{}; {}", row("use", &house.staff), row("use", &house.agent))).await;
    let (status, said) = house.engage("tool:vm_list").await;
    assert_eq!(status, 201, "{said}: {}", house.said());
    let panic =
        house.server.call(house.agent["api_key"].as_str().expect("a key"), "panic_engage", json!({ "reason": "lost" })).await;
    assert!(panic["error"].is_null(), "{panic}");
    let (status, said) = house.ask(&house.staff, Method::DELETE, &format!("/api/v1/keys/{}", id(&house.agent)), json!({})).await;
    assert_eq!(status, 200, "{said}: {}", house.said());
    holder.execute("rollback").await.expect("it ends");
    assert_eq!(house.code(&house.agent).await, "token_revoked");
    let counted = async || {
        let mut connection = PgConnection::connect(&house.roles.superuser).await.expect("the database");
        let name = format!("use:{}", id(&house.staff));
        let doc: Vec<u8> = sqlx::query_scalar("select doc from log.state where name = $1")
            .bind(name)
            .fetch_one(&mut connection)
            .await
            .expect("a row");
        serde_json::from_slice::<Value>(&doc).expect("a document")["count"].as_i64().expect("a count")
    };
    let before = counted().await;
    assert_eq!(house.engage("tool:vm_get").await.0, 201);
    until(TIMEOUT, "a stop is counted as well", async || counted().await > before).await;
    answer(&house.at(&["log", "verify"]));
}

/// A key that could not be revoked is served by nobody, and it is said who holds it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_held_key_is_not_served_and_its_holder_is_named() {
    let house = House::open().await;
    let (mut holder, pid) = hold(&house.roles.superuser, &row("credential", &house.agent)).await;
    until(TIMEOUT, "nothing is let through", async || !house.code(&house.agent).await.is_empty() && !house.is_ready().await)
        .await;
    let (doctor, revoke) = (house.begin(&["doctor"]), house.begin(&["key", "revoke", &id(&house.agent)]));
    // What can be stopped is stopped.
    let (status, said) = house.engage("class:exec").await;
    assert_eq!(status, 201, "{said}: {}", house.said());
    for process in [doctor, revoke] {
        let output = process.await.expect("it ended");
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(&format!("(pid {pid}, a stranger)")), "{said}");
        assert!(said.contains("pg_terminate_backend"), "{said}");
    }
    holder.execute("rollback").await.expect("it ends");
    until(TIMEOUT, "calls are let through again", async || house.code(&house.agent).await.is_empty()).await;
    answer(&house.at(&["key", "revoke", &id(&house.agent)]));
    assert_eq!(house.code(&house.agent).await, "token_revoked");
}

/// The role that serves may end its own sessions, and does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_held_key_is_revoked_past_an_idle_session_of_the_own_role() {
    let house = House::open().await;
    let (_holder, _) =
        hold(&house.roles.app, &format!("{}; {}", row("credential", &house.agent), row("use", &house.staff))).await;
    let output = house.begin(&["key", "revoke", &id(&house.agent)]).await.expect("it ended");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(house.code(&house.agent).await, "token_revoked");
}

/// However many wait for the head, for which each waits twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_held_head_is_named_however_many_wait() {
    let house = House::open().await;
    let calling = crate::frozen::Calling::begin(&house.server, house.agent["api_key"].as_str().expect("a key"));
    let (mut holder, pid) = hold(&house.roles.superuser, HEAD).await;
    let (agent, target) = (id(&house.agent), "class:exec");
    let commands = [
        &["switch", "engage", target, "--reason", "held"][..],
        &["switch", "engage", target, "--reason", "held", "--minutes", "5"],
        &["key", "revoke", &agent],
    ];
    let begun: Vec<_> = commands.iter().map(|args| house.begin(args)).collect();
    let listing = house.begin(&["switch", "list"]);
    let (status, said) = house.engage("all").await;
    assert_eq!(status, 503, "{said}");
    assert!(said.to_string().contains("forelog doctor"), "{said}");
    for (process, args) in begun.into_iter().zip(commands) {
        let output = process.await.expect("it ended");
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(&format!("(pid {pid}, a stranger)")), "{args:?}: {said}");
        assert!(said.contains("pg_terminate_backend") && !said.contains("forelog log"), "{args:?}: {said}");
    }
    let listed = listing.await.expect("it ended");
    assert!(listed.status.success(), "looking takes no lock: {}", text(&listed.stderr));
    drop(calling);
    holder.execute("rollback").await.expect("it ends");
    until(TIMEOUT, "it is stopped", async || house.engage("all").await.0 == 201).await;
}

/// Statements of its own that each are short, in a transaction that does not end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_held_head_is_had_past_a_busy_session_of_the_own_role() {
    let house = House::open().await;
    let (mut holder, _) = hold(&house.roles.app, HEAD).await;
    let busy = tokio::spawn(async move { while holder.execute("select pg_sleep(0.05)").await.is_ok() {} });
    let engaging = house.begin(&["switch", "engage", "all", "--reason", "held"]);
    let (status, said) = house.engage("class:exec").await;
    assert_eq!(status, 201, "{said}: {}", house.said());
    let output = engaging.await.expect("it ended");
    assert!(output.status.success(), "{}", text(&output.stderr));
    busy.await.expect("its session was ended");
}

/// Rows of open calls that somebody puts in, readable or not: none is larger than a row of ours, and however many there are, a stop reads
/// no more of them than it can, and the log says it once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_held_up_by_no_number_of_rows() {
    let house = House::open().await;
    let mut role = PgConnection::connect(&house.roles.app).await.expect("the role that serves");
    let large =
        "insert into log.state select 'job:call_' || lpad(g::text, 26, '0'), 0, 1, convert_to(repeat('x', 300000), 'UTF8')
                 from generate_series(1, 30) g";
    let refused = role.execute(large).await.expect_err("a row of any size").to_string();
    assert!(refused.contains("check constraint"), "{refused}");
    let job = json!({
        "call": "CALL", "account": house.account, "credential": id(&house.agent), "tool": "vm_list", "class": "read", "vm": null,
        "status": "queued", "intent": 1, "last": 1, "node": null, "idempotent": false, "idempotency": null, "claim": false, "joins": null,
    });
    let unreadable = json!({ "call": "CALL", "account": null });
    let many = "insert into log.state select 'job:call_' || lpad(g::text, 26, '0'), 0, 1,
                convert_to(replace(case when g % 2 = 0 then $1 else $2 end, 'CALL', 'call_' || lpad(g::text, 26, '0')), 'UTF8')
                from generate_series(1, 60000) g";
    sqlx::query(many).bind(job.to_string()).bind(unreadable.to_string()).execute(&mut role).await.expect("many rows");
    let (status, said) = house.engage("tool:vm_list").await;
    assert_eq!(status, 201, "{said}: {}", house.said());
    assert_eq!(house.code(&house.agent).await, "kill_switch_engaged");
    let panic =
        house.server.call(house.agent["api_key"].as_str().expect("a key"), "panic_engage", json!({ "reason": "lost" })).await;
    assert!(panic["error"].is_null(), "{panic}");
    let told = house.said().lines().filter(|line| line.contains("cannot be read")).count();
    assert!((1..100).contains(&told), "{told} lines");
}

/// Whoever holds a row and waits for something that is none of ours is in the way all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_held_key_is_revoked_past_a_session_that_waits_for_something_else() {
    let house = House::open().await;
    let mut other = PgConnection::connect(&house.roles.app).await.expect("the role that serves");
    other.execute("select pg_advisory_lock(7)").await.expect("a lock");
    let (mut holder, _) = hold(&house.roles.app, &row("credential", &house.agent)).await;
    let waiting = tokio::spawn(async move { holder.execute("select pg_advisory_lock(7)").await.map(|_| ()) });
    let output = house.begin(&["key", "revoke", &id(&house.agent)]).await.expect("it ended");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(house.code(&house.agent).await, "token_revoked");
    assert!(waiting.await.expect("it ended").is_err(), "its session was ended");
}

/// A transaction that was prepared has no session, and outlives whoever began it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_held_key_is_revoked_past_a_prepared_transaction() {
    let house = House::open().await;
    let (mut holder, _) = hold(&house.roles.app, &row("credential", &house.agent)).await;
    holder.execute("prepare transaction 'left'").await.expect("prepared");
    drop(holder);
    let doctor = house.begin(&["doctor"]).await.expect("it ended");
    assert!(text(&doctor.stderr).contains("the prepared transaction 'left'"), "{}", text(&doctor.stderr));
    let output = house.begin(&["key", "revoke", &id(&house.agent)]).await.expect("it ended");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(house.code(&house.agent).await, "token_revoked");
    assert!(house.said().contains("rolled back") || text(&output.stderr).contains("rolled back"), "somebody says so");
}
