//! Notices between nodes are a courtesy: any role of the database server can fill their queue or flood it, and nothing that is
//! written fails or waits because of that (P15).

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use forelog::control::Reply;
use forelog::core::code::Code;
use forelog::core::event::EventKind;
use forelog::core::id::{Position, SwitchId};
use forelog::core::switch::{Running, Target};
use forelog::log::dialect::Room;
use forelog::log::postgres::open_postgres;
use forelog::log::sql::SqlError;
use forelog::log::sql_store::SqlStore;
use forelog::log::store::{Batch, EventRow, Head, Store, StoreError, Want};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::faults::cluster::until;
use crate::postgres::Cluster;
use crate::promises::check;
use crate::test_node::{Site, TestNode};

const TIMEOUT: Duration = Duration::from_secs(30);

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("a connection")
}

async fn run(url: &str, sql: &str) {
    connect(url).await.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.expect(sql);
}

/// The URL of the same database as a role that has no right there.
pub async fn stranger(cluster: &Cluster, url: &str) -> String {
    run(&cluster.url("postgres"), "create role stranger login").await;
    url.replacen("//postgres@", "//stranger@", 1)
}

/// The queue of notifications, which a stranger has filled: its tail is held by somebody who listens and does not read, and it
/// cannot grow, as if its 8 GB were used.
pub struct Full {
    directory: std::path::PathBuf,
    _listens: PgConnection,
}

impl Full {
    pub async fn make(cluster: &Cluster, url: &str) -> Self {
        let mut listens = connect(url).await;
        listens.execute("listen elsewhere").await.expect("it listens");
        listens.execute("begin; select 1").await.expect("a transaction that stays open");
        let directory = cluster.data().join("pg_notify");
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o000)).expect("its mode");
        let mut floods = connect(url).await;
        // First by large ones, then to the last byte.
        for size in [7900, 1] {
            let mut sent = 0;
            while floods.execute(AssertSqlSafe(format!("select pg_notify('elsewhere', repeat('x', {size}))"))).await.is_ok() {
                sent += 1;
                assert!(sent < 10_000, "the queue grows");
            }
        }
        Self { directory, _listens: listens }
    }

    pub fn mend(self) {
        std::fs::set_permissions(&self.directory, std::fs::Permissions::from_mode(0o700)).expect("its mode");
    }
}

fn engaged(test_node: &TestNode) -> EventKind {
    let switch = SwitchId::new(test_node.control.ports.clock.now(), &*test_node.control.ports.entropy);
    let (target, running) = (Target::All, Running::LetFinish);
    EventKind::SwitchEngaged { switch, target, by: None, credential: None, running, expires_at: None }
}

async fn code(test_node: &TestNode) -> Option<Code> {
    match test_node.call("probe_write", json!({})).await {
        Reply::Failed { refusal, .. } => Some(refusal.code),
        _ => None,
    }
}

/// Every change of control state is written and reaches the other node, which finds it by itself.
async fn stops_and_goes_on(nodes: &[TestNode; 2]) {
    let engaged = engaged(&nodes[0]);
    let EventKind::SwitchEngaged { switch, .. } = engaged.clone() else { unreachable!() };
    nodes[0].change(engaged, json!({ "reason": "drill" })).await;
    let epoch = nodes[0].writer.fence().state().epoch;
    until("the other node knows of the switch", async || nodes[1].writer.fence().state().epoch >= epoch).await;
    assert_eq!(code(&nodes[1]).await, Some(Code::KillSwitchEngaged));
    let released = EventKind::SwitchReleased { switch, by: None, second: None, break_glass: true };
    nodes[1].change(released, json!({ "reason": "over" })).await;
    assert_eq!(code(&nodes[0]).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_notices_that_cannot_be_sent_keep_nobody_from_stopping() {
    let cluster = Cluster::start().await;
    let url = cluster.fresh_database().await;
    let stranger = stranger(&cluster, &url).await;
    let site = Site::on(url.clone());
    let nodes = [TestNode::start(&site).await, TestNode::start(&site).await];
    let full = Full::make(&cluster, &stranger).await;
    let refused = connect(&stranger).await.execute("notify forelog, '1'").await.expect_err("the queue is full");
    assert!(refused.to_string().contains("could not"), "{refused}");
    stops_and_goes_on(&nodes).await;
    let revoked = EventKind::CredentialRevoked { credential: nodes[0].credential.clone(), by: None };
    nodes[0].change(revoked, serde_json::Value::Null).await;
    assert_eq!(code(&nodes[1]).await, Some(Code::TokenRevoked));
    full.mend();
    check(&nodes[0].log().await, false);
}

/// A server that lets nobody send them at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_notices_that_are_forbidden_keep_nobody_from_stopping() {
    let roles = crate::postgres::fresh_roles().await;
    let store = SqlStore::new(open_postgres(&roles.owner, Room::Log).await.expect("a room"));
    store.migrate().await.expect("migrate");
    forelog::log::roles::grant(store.database(), Room::Log, &roles.name).await.expect("the rights");
    run(&roles.superuser, "revoke execute on function pg_catalog.pg_notify(text, text) from public").await;
    // The role that serves may not.
    crate::postgres::simulate(&roles.owner).await;
    let site = Site::on(roles.app.clone());
    let nodes = [TestNode::start(&site).await, TestNode::start(&site).await];
    stops_and_goes_on(&nodes).await;
    check(&nodes[0].log().await, false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_notices_from_strangers_cost_few_looks() {
    let cluster = Cluster::start().await;
    let url = cluster.fresh_database().await;
    let stranger = stranger(&cluster, &url).await;
    let room = open_postgres(&url, Room::Log).await.expect("a room");
    assert_eq!(room.next_epoch().await.expect("it listens"), None, "whoever has just begun to listen looks");
    // What no node can have sent is heard by nobody; the last one is.
    let nonsense = "select pg_notify('forelog', said) from unnest(array['', 'x', '-1', '+5', ' 6', '0', '1.5', '0x10',
        '9223372036854775807', '18446744073709551617', repeat('9', 7000)]) as said;
        notify forelog, '7'";
    run(&stranger, nonsense).await;
    let told = tokio::time::timeout(TIMEOUT, room.next_epoch()).await.expect("in time").expect("it listens");
    assert_eq!(told, Some(7));
    // One transaction after another, so that they arrive one by one.
    let flooding = async {
        let mut floods = connect(&stranger).await;
        for first in (1000..21_000).step_by(100) {
            let some = format!("select pg_notify('forelog', said::text) from generate_series({first}, {first} + 99) as said");
            floods.execute(AssertSqlSafe(some)).await.expect("notices");
        }
    };
    let hearing = async {
        let mut looks = 0;
        while room.next_epoch().await.expect("it listens") != Some(20_999) {
            looks += 1;
        }
        looks
    };
    let ((), looks) = tokio::time::timeout(TIMEOUT, async { tokio::join!(flooding, hearing) }).await.expect("in time");
    assert!(looks < 1000, "20,000 notices caused {looks} looks");
}

/// A change that the server refuses when it is asked to commit was not made, and says so; it may be made again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_a_commit_that_is_refused_wrote_nothing() {
    let cluster = Cluster::start().await;
    let url = cluster.fresh_database().await;
    // Its vault's file is gone with it.
    let site = Site::on(url.clone());
    let test_node = TestNode::start(&site).await;
    assert_eq!(code(&test_node).await, None);
    let refusing = "create function log.say_no() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
        create constraint trigger late after insert on log.event deferrable initially deferred
        for each row execute function log.say_no()";
    run(&url, refusing).await;
    assert_eq!(code(&test_node).await, Some(Code::AuditUnavailable));
    let store = Arc::new(SqlStore::new(open_postgres(&url, Room::Log).await.expect("a room")));
    let before = store.head().await.expect("the head");
    let decide = &mut |head: &Head, _| {
        let event = EventRow { position: head.position.next(), at: head.at, kind: "test".into(), call: None, leaf: vec![1] };
        Ok(Batch { events: vec![event], epoch: head.epoch, ..Batch::default() })
    };
    let refused = store.transact(&Want::default(), decide).await;
    assert!(matches!(refused, Err(StoreError::Sql(SqlError::Statement(_)))), "{refused:?}");
    assert_eq!(store.head().await.expect("the head"), before);
    assert!(store.events(before.position, 10).await.expect("the events").iter().all(|row| row.position > Position(0)));
    run(&url, "drop trigger late on log.event").await;
    assert_eq!(code(&test_node).await, None);
    assert_eq!(test_node.world.executed().len(), 2, "what was refused was not executed");
    check(&test_node.log().await, false);
}
