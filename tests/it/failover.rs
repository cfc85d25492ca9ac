//! A node whose PostgreSQL goes away, hangs, only reads, or moves to another server: nothing runs meanwhile, and it goes on
//! by itself. And what one node changes, the others know at once.
//!
//! Invariant: every test has a cluster of its own, because it breaks it.

use std::sync::Arc;
use std::time::Duration;

use forelog::core::code::Code;
use forelog::core::event::EventKind;
use forelog::core::id::{Epoch, Position, SwitchId};
use forelog::core::job::Node;
use forelog::core::switch::{Running, Target};
use forelog::log::dialect::Room;
use forelog::log::postgres::open_postgres;
use forelog::log::session::each_host;
use forelog::log::sql::SqlError;
use forelog::log::sql_store::SqlStore;
use forelog::log::store::{Batch, EventRow, Head, Store, StoreError, Want};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::cli::{Server, answer, complaint, dir, shown};
use crate::faults::cluster::until;
use crate::postgres::Cluster;
use crate::promises::check;
use crate::test_node::{Site, TestNode, code_of};

const TIMEOUT: Duration = Duration::from_secs(30);

async fn write(test_node: &TestNode) -> Option<Code> {
    let called = tokio::time::timeout(TIMEOUT, test_node.call("probe_write", json!({}))).await;
    code_of(&called.expect("an answer in time"))
}

/// Calls until one is done; every other is refused because the log cannot be written.
async fn until_it_goes_on(test_node: &TestNode) {
    let trying = async {
        while let Some(code) = write(test_node).await {
            assert_eq!(code, Code::AuditUnavailable);
        }
    };
    tokio::time::timeout(TIMEOUT, trying).await.expect("it goes on");
}

async fn run(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.expect("a connection");
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.expect(sql);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_a_node_goes_on_after_its_database_was_away() {
    let cluster = Cluster::start().await;
    // Its vault's file is gone with it.
    let site = Site::on(cluster.fresh_database().await);
    let test_node = TestNode::start(&site).await;
    assert_eq!(write(&test_node).await, None);
    cluster.stop();
    assert_eq!(write(&test_node).await, Some(Code::AuditUnavailable));
    cluster.start_again().await;
    assert_eq!(write(&test_node).await, None, "the first call after it is back");
    cluster.crash();
    assert_eq!(write(&test_node).await, Some(Code::AuditUnavailable));
    cluster.start_again().await;
    assert_eq!(write(&test_node).await, None);
    assert_eq!(test_node.world.executed().len(), 3, "what was refused was not executed");
    check(&test_node.log().await, false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_a_database_that_hangs_is_given_up_and_taken_again() {
    let cluster = Cluster::start().await;
    // Its vault's file is gone with it.
    let site = Site::on(cluster.fresh_database().await);
    let test_node = TestNode::start(&site).await;
    assert_eq!(write(&test_node).await, None);
    cluster.freeze();
    assert_eq!(write(&test_node).await, Some(Code::AuditUnavailable));
    assert_eq!(test_node.world.executed().len(), 1);
    cluster.thaw();
    until_it_goes_on(&test_node).await;
    check(&test_node.log().await, false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_another_process_that_halts_in_a_transaction_does_not_hold_the_log_for_ever() {
    let cluster = Cluster::start().await;
    let site = Site::on(cluster.fresh_database().await);
    let test_node = TestNode::start(&site).await;
    let room = site.room().await;
    let mut halted = room.begin().await.expect("a transaction");
    halted.execute("update log_head set at = at", Vec::new()).await.expect("the lock");
    until_it_goes_on(&test_node).await;
    assert!(halted.execute("update log_head set at = at", Vec::new()).await.is_err(), "it was ended");
    drop(halted);
    check(&test_node.log().await, false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_a_statement_that_nobody_waits_for_any_more_holds_nothing() {
    let cluster = Cluster::start().await;
    let site = Site::on(cluster.fresh_database().await);
    let test_node = TestNode::start(&site).await;
    let room = site.room().await;
    let mut left = room.begin().await.expect("a transaction");
    left.execute("update log_head set at = at", Vec::new()).await.expect("the lock");
    let sleeping = left.execute("select count(pg_sleep(60))", Vec::new());
    assert!(tokio::time::timeout(Duration::from_millis(100), sleeping).await.is_err(), "it sleeps");
    drop(left);
    assert_eq!(write(&test_node).await, None);
    // Nobody is given the answer that is still to come.
    let rows = room.query("select 7::bigint", Vec::new()).await.expect("a row");
    assert_eq!(rows[0].int(0).expect("a number"), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_a_server_that_only_reads_records_nothing() {
    let cluster = Cluster::start().await;
    let url = cluster.fresh_database().await;
    // Its vault's file is gone with it.
    let site = Site::on(url.clone());
    let test_node = TestNode::start(&site).await;
    assert_eq!(write(&test_node).await, None);
    let database = url.split(['/', '?']).nth(3).expect("its name");
    let server = cluster.url("postgres");
    run(&server, &format!("alter database {database} set default_transaction_read_only = on")).await;
    // Old sessions learn of it by their end, as when an operator or a provider locks a database that is full.
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()";
    run(&server, &format!("{cut} and datname = '{database}'")).await;
    assert_eq!(write(&test_node).await, Some(Code::AuditUnavailable));
    run(&server, &format!("alter database {database} reset default_transaction_read_only")).await;
    until_it_goes_on(&test_node).await;
    assert_eq!(test_node.world.executed().len(), 2);
    check(&test_node.log().await, false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_a_node_follows_its_database_to_the_standby_that_took_over() {
    let primary = Cluster::start().await;
    let url = primary.fresh_database().await;
    let database = url.split(['/', '?']).nth(3).expect("its name").to_owned();
    let standby = primary.standby().await;
    // The standby is named first and only reads: that it answers is not enough.
    // Its vault's file is gone with it.
    let site = Site::on(standby.url_with(&primary, &database));
    let test_node = TestNode::start(&site).await;
    assert_eq!(write(&test_node).await, None);
    // In order, so that the standby has everything.
    primary.stop();
    assert_eq!(write(&test_node).await, Some(Code::AuditUnavailable));
    standby.promote().await;
    until_it_goes_on(&test_node).await;
    assert_eq!(test_node.world.executed().len(), 2);
    check(&test_node.log().await, false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_a_commit_whose_answer_is_lost_is_uncertain() {
    let cluster = Cluster::start().await;
    let url = cluster.fresh_database().await;
    let store = Arc::new(SqlStore::new(open_postgres(&url, Room::Log).await.expect("a room")));
    store.migrate().await.expect("migrate");
    let slow =
        "create function log.wait() returns trigger language plpgsql as $$ begin perform pg_sleep(60); return null; end $$;
        create constraint trigger slow after insert on log.event deferrable initially deferred
        for each row execute function log.wait()";
    run(&url, slow).await;
    let append = |store: Arc<SqlStore>| async move {
        let decide = &mut |head: &Head, _| {
            let event = EventRow { position: head.position.next(), at: head.at, kind: "test".into(), call: None, leaf: vec![1] };
            Ok(Batch { events: vec![event], epoch: head.epoch, ..Batch::default() })
        };
        store.transact(&Want::default(), decide).await
    };
    let committing = tokio::spawn(append(Arc::clone(&store)));
    let mut connection = PgConnection::connect(&url).await.expect("a connection");
    let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity where wait_event = 'PgSleep'";
    let cutting = async {
        while sqlx::query_scalar::<_, i64>(cut).fetch_one(&mut connection).await.expect("a count") == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(TIMEOUT, cutting).await.expect("it commits");
    let lost = committing.await.expect("the writer");
    assert!(matches!(lost, Err(StoreError::Sql(SqlError::Commit(_)))), "{lost:?}");
    run(&url, "drop trigger slow on log.event").await;
    assert_eq!(append(store).await.expect("an append").position, Position(1));
}

async fn until_off(connection: &mut PgConnection, show: &'static str) {
    let looking = async {
        while sqlx::query_scalar::<_, String>(show).fetch_one(&mut *connection).await.expect("a setting") != "off" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(TIMEOUT, looking).await.expect("the server reads its settings again");
}

#[tokio::test]
async fn postgres_commits_are_flushed_and_a_server_that_does_not_is_named() {
    let (cluster, dir) = (Cluster::start().await, dir());
    let url = cluster.fresh_database().await;
    run(&url, "alter system set synchronous_commit = off").await;
    run(&url, "select pg_reload_conf()").await;
    let mut connection = PgConnection::connect(&url).await.expect("a connection");
    until_off(&mut connection, "show synchronous_commit").await;
    let room = open_postgres(&url, Room::Log).await.expect("a room");
    let flushes = room.query("select current_setting('synchronous_commit')", Vec::new()).await.expect("a setting");
    assert_eq!(flushes[0].text(0).expect("a text"), "on");
    std::fs::write(dir.path().join("forelog.toml"), format!("database_url = \"{url}\"\n")).expect("a configuration");
    let at = ["--data", shown(dir.path())];
    answer(&[&["account", "create", "--name", "Example", "--email", "a@example.com"], &at[..]].concat());
    assert!(!complaint(&[&["doctor"], &at[..]].concat()).contains("full_page_writes"));
    run(&url, "alter system set full_page_writes = off").await;
    run(&url, "select pg_reload_conf()").await;
    until_off(&mut connection, "show full_page_writes").await;
    assert!(complaint(&[&["doctor"], &at[..]].concat()).contains("full_page_writes is off"));
}

#[tokio::test]
async fn postgres_readiness_follows_the_database() {
    let (cluster, dir) = (Cluster::start().await, dir());
    let text = format!("database_url = \"{}\"\n", cluster.fresh_database().await);
    std::fs::write(dir.path().join("forelog.toml"), text).expect("a configuration");
    let at = ["serve", "--create", "--data", shown(dir.path())];
    let server = Server::start(&at, &dir.path().join("serve.log")).await;
    let ready = || async { reqwest::get(format!("{}/readyz", server.says("/base_url"))).await.expect("an answer").status() };
    assert_eq!(ready().await, 200);
    cluster.stop();
    until("the node says that it cannot record", async || ready().await == 503).await;
    assert_eq!(reqwest::get(format!("{}/healthz", server.says("/base_url"))).await.expect("an answer").status(), 200);
    cluster.start_again().await;
    until("it goes on by itself", async || ready().await == 200).await;
    server.stop().await;
    answer(&["log", "verify", "--data", shown(dir.path())]);
}

/// Engages a switch on one node and waits until all have confirmed it.
async fn flip(one: &TestNode, nodes: usize) {
    let switch = SwitchId::new(one.control.ports.clock.now(), &*one.control.ports.entropy);
    let (target, running) = (Target::All, Running::LetFinish);
    let kind = EventKind::SwitchEngaged { switch, target, by: None, credential: None, running, expires_at: None };
    one.change(kind, json!({ "reason": "drill" })).await;
    let epoch = one.writer.fence().state().epoch;
    while confirmed(one, epoch).await < nodes {
        tokio::task::yield_now().await;
    }
}

async fn confirmed(test_node: &TestNode, epoch: Epoch) -> usize {
    let rows = test_node.reader.store.state(&["node"]).await.expect("the nodes");
    let nodes = rows.iter().map(|row| serde_json::from_slice::<Node>(&row.doc).expect("a node"));
    nodes.filter(|node| node.confirmed >= epoch).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_a_switch_reaches_the_fence_of_every_node_at_once() {
    let cluster = Cluster::start().await;
    let mut site = Site::on(cluster.fresh_database().await);
    // A beat comes every ten minutes: what is known sooner was heard.
    site.lease = Duration::from_mins(30);
    let nodes = [TestNode::start(&site).await, TestNode::start(&site).await, TestNode::start(&site).await];
    for node in &nodes {
        tokio::time::timeout(TIMEOUT, flip(node, 3)).await.expect("every node has confirmed");
    }
    // Losing the connection costs a while, and not the message: whoever comes back looks.
    let lost = "select count(pg_terminate_backend(pid)) from pg_stat_activity where query ilike 'listen%'";
    let mut connection = PgConnection::connect(&site.log).await.expect("a connection");
    let ended: i64 = sqlx::query_scalar(lost).fetch_one(&mut connection).await.expect("a count");
    assert_eq!(ended, 3);
    tokio::time::timeout(TIMEOUT, flip(&nodes[0], 3)).await.expect("every node has confirmed again");
    cluster.stop();
    cluster.start_again().await;
    tokio::time::timeout(TIMEOUT, flip(&nodes[2], 3)).await.expect("every node has confirmed after a restart");
    check(&nodes[0].log().await, false);
}

#[test]
fn postgres_urls_list_hosts_as_libpq_does() {
    let both = |list: &str| each_host(list).expect("hosts");
    assert_eq!(both("postgres://u:p@a:1,b/db?x=1"), ["postgres://u:p@a:1/db?x=1", "postgres://u:p@b/db?x=1"]);
    assert_eq!(
        both("postgres:///db?host=/run/a,/run/b&user=u"),
        ["postgres:///db?host=/run/a&user=u", "postgres:///db?host=/run/b&user=u"]
    );
    assert_eq!(both("postgres://u@h/db"), ["postgres://u@h/db"]);
    // Ports go with the hosts of their places, and one is that of all.
    assert_eq!(
        both("postgres://u@/db?host=a,b&port=1,2&sslmode=require"),
        ["postgres://u@/db?host=a&port=1&sslmode=require", "postgres://u@/db?host=b&port=2&sslmode=require"]
    );
    assert_eq!(both("postgres://u@/db?port=7&host=a,b"), ["postgres://u@/db?host=a&port=7", "postgres://u@/db?host=b&port=7"]);
    for all in ["any", "read-write", "primary", "prefer-standby"] {
        assert_eq!(both(&format!("postgres://u@a,b/db?target_session_attrs={all}")), ["postgres://u@a/db", "postgres://u@b/db"]);
    }
    for wrong in ["standby", "read-only", ""] {
        let refused = each_host(&format!("postgres://u@a,b/db?target_session_attrs={wrong}")).expect_err(wrong).to_string();
        assert!(refused.contains("read-write"), "{refused}");
    }
}

/// Settings that a server or a role has for everybody are changed while calls are made: some are refused, none is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_a_server_that_is_made_read_only_under_load_loses_nothing() {
    let cluster = Cluster::start().await;
    let url = cluster.fresh_database().await;
    // Its vault's file is gone with it.
    let site = Site::on(url);
    let test_node = Arc::new(TestNode::start(&site).await);
    let server = cluster.url("postgres");
    let flips = async {
        for _ in 0..5 {
            for to in ["on", "off"] {
                run(&server, &format!("alter system set default_transaction_read_only = {to}")).await;
                run(&server, "select pg_reload_conf()").await;
                let before = test_node.world.executed().len();
                let expected = (to == "on").then_some(Code::AuditUnavailable);
                until("calls are answered like that", async || write(&test_node).await == expected).await;
                assert!(test_node.world.executed().len() >= before);
            }
        }
    };
    let calls = async {
        let mut done = 0;
        for _ in 0..200 {
            match write(&test_node).await {
                None => done += 1,
                refused => assert_eq!(refused, Some(Code::AuditUnavailable)),
            }
        }
        done
    };
    let ((), done) = tokio::time::timeout(TIMEOUT * 2, async { tokio::join!(flips, calls) }).await.expect("in time");
    assert!(done > 0);
    until_it_goes_on(&test_node).await;
    // What was cut off is ended by recovery.
    until("every call ends", async || check(&test_node.log().await, true).values().all(|status| status.is_terminal())).await;
    check(&test_node.log().await, false);
}
