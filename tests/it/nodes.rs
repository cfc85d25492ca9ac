//! Several nodes on one log, in one process: leases, leave, limits, idempotency and recovery between them, with a clock that
//! the test turns. `fleet.rs` does what needs real processes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use forelog::control::Reply;
use forelog::core::call::Status;
use forelog::core::code::Code;
use forelog::core::event::{Event, EventKind};
use forelog::core::id::{CallId, Epoch};
use forelog::core::job::Node;
use forelog::core::limit::Limit;
use serde_json::{Value, json};

use crate::postgres;
use crate::promises::{check, wait_for};
use crate::test_node::{Site, TestClock, TestNode, code_of, on_both};

fn spawn(test_node: &Arc<TestNode>, tool: &'static str, args: Value) -> tokio::task::JoinHandle<Reply> {
    let test_node = Arc::clone(test_node);
    tokio::spawn(async move { test_node.call(tool, args).await })
}

async fn rows(test_node: &TestNode) -> Vec<Node> {
    let rows = test_node.reader.store.state(&["node"]).await.expect("the nodes");
    rows.iter().map(|row| serde_json::from_slice(&row.doc).expect("a node")).collect()
}

/// Returns once this node has beaten `count` times by itself.
async fn beats(test_node: &TestNode, count: i64) {
    let own =
        |nodes: Vec<Node>| nodes.into_iter().find(|node| node.id == test_node.control.ports.node).map_or(0, |node| node.beat);
    let until = own(rows(test_node).await) + count;
    let beating = async {
        while own(rows(test_node).await) < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), beating).await.expect("a node beats");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_a_fast_clock_ends_nothing_that_lives() {
    let mut site = Site::sqlite();
    let slow = Arc::new(TestNode::start(&site).await);
    slow.world.shut();
    let calling = spawn(&slow, "probe_write", json!({}));
    slow.world.executed_at_least(1).await;
    // Less than the five seconds that are tolerated, and more than a lease.
    site.clock = TestClock::at(site.clock.after(Duration::from_secs(4)));
    let fast = TestNode::start(&site).await;
    beats(&fast, 3).await;
    slow.world.open();
    assert!(matches!(calling.await.expect("the caller"), Reply::Done { .. }), "its node lives");
    let log = slow.log().await;
    assert!(check(&log, false).values().all(|status| *status == Status::Succeeded));
    assert!(!log.iter().any(|event| matches!(event.kind, EventKind::LateResult { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_leave_is_worth_nothing_after_its_lease() {
    let site = Site::sqlite();
    let living = TestNode::start(&site).await;
    // It has leave, and freezes before its worker does anything with it.
    let (frozen, worker, assigned) = TestNode::idle(&site).await;
    worker.beat(false).await.expect("a beat");
    let mut request = frozen.request("probe_write", json!({}));
    request.wait = Duration::ZERO;
    let Reply::Running { call, .. } = frozen.control.submit(request).await else { panic!("not admitted") };
    living.outlast_the_others().await;
    wait_for(&living, |kind| matches!(kind, EventKind::Unknown(_))).await;
    // It wakes: the first thing it does is to renew its lease.
    worker.beat(false).await.expect("a beat");
    assert!(frozen.writer.fence().holds_lease());
    tokio::spawn(worker.work(assigned, tokio_util::sync::CancellationToken::new(), Duration::from_secs(5)));
    let log = wait_for(&living, |kind| matches!(kind, EventKind::LateResult { .. })).await;
    assert_eq!(living.world.runs_of(&call), 0, "what was ended as unknown does not happen afterwards");
    assert_eq!(check(&log, false).get(&call), Some(&Status::Unknown));
}

#[test]
fn nodes_recover_a_dead_ones_calls_exactly_once() {
    let site = Site::sqlite();
    let dying = tokio::runtime::Runtime::new().expect("a runtime");
    let living = tokio::runtime::Runtime::new().expect("a runtime");
    let (one, two) = living.block_on(async { (TestNode::start(&site).await, TestNode::start(&site).await) });
    dying.block_on(async {
        let test_node = Arc::new(TestNode::start(&site).await);
        test_node.world.shut();
        for n in 0..20 {
            spawn(&test_node, if n % 2 == 0 { "probe_write" } else { "probe_read" }, json!({ "text": n.to_string() }));
        }
        spawn(&test_node, "probe_write", json!({ "text": "a", "idempotency_key": "k" }));
        test_node.world.executed_at_least(21).await;
        spawn(&test_node, "probe_write", json!({ "text": "a", "idempotency_key": "k" }));
        wait_for(&test_node, |kind| matches!(kind, EventKind::Admitted(admitted) if admitted.joins.is_some())).await;
    });
    dying.shutdown_background();
    site.world.open();
    living.block_on(async {
        tokio::join!(one.beat(), two.beat());
        for _ in 0..2 {
            site.clock.pass(Duration::from_secs(2));
            tokio::join!(one.beat(), two.beat());
        }
        let ended = |log: &[Event]| log.iter().filter(|event| event.kind.end().is_some()).count();
        let all = async {
            while ended(&one.log().await) < 22 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), all).await.expect("all are recovered");
        // Whoever came second has had the time to do it again.
        beats(&one, 2).await;
        beats(&two, 2).await;
        let log = one.log().await;
        let calls = check(&log, false);
        assert_eq!(calls.len(), 22);
        assert!(!log.iter().any(|event| matches!(event.kind, EventKind::LateResult { .. })), "nothing was ended twice");
        let started: Vec<&CallId> = log.iter().filter_map(|event| started(&event.kind)).collect();
        assert_eq!(started.len(), started.iter().collect::<BTreeSet<_>>().len(), "nothing was taken over twice");
        for call in one.world.executed() {
            let expected = if calls[&call] == Status::Unknown { 1 } else { 2 };
            assert_eq!(one.world.runs_of(&call), expected, "{call} {:?}", calls[&call]);
        }
        assert_eq!(calls.values().filter(|status| **status == Status::Unknown).count(), 12);
    });
}

fn started(kind: &EventKind) -> Option<&CallId> {
    if let EventKind::Started { call, .. } = kind { Some(call) } else { None }
}

async fn share_their_limits(mut site: Site) {
    const WINDOW: i64 = 60_000_000;
    site.limits.credential = Limit { admit: 10, window_ms: 60_000 };
    let plants = [Arc::new(TestNode::start(&site).await), Arc::new(TestNode::start(&site).await)];
    for round in 0..6 {
        let calls = (0..24).map(|n| spawn(&plants[(n + round) % 2], "probe_read", json!({ "text": n.to_string() })));
        for reply in futures::future::join_all(calls).await {
            let reply = reply.expect("a caller");
            assert!(matches!(code_of(&reply), None | Some(Code::RateLimited)), "{reply:?}");
        }
        // Not a divisor of the window, so that it slides over the rounds.
        site.clock.pass(Duration::from_secs(17));
        tokio::join!(plants[0].beat(), plants[1].beat());
    }
    let log = plants[0].log().await;
    check(&log, false);
    let admitted: Vec<i64> =
        log.iter().filter(|event| matches!(event.kind, EventKind::Admitted(_))).map(|event| event.at.0).collect();
    for (place, at) in admitted.iter().enumerate() {
        let within = admitted[..=place].iter().filter(|earlier| **earlier > at - WINDOW).count();
        assert!(within <= 10, "{within} in one window");
    }
    assert_eq!(admitted.len(), 20, "and not one fewer: the window is full at 0 and 68 seconds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_share_their_limits_exactly() {
    share_their_limits(Site::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_nodes_share_their_limits_exactly() {
    share_their_limits(Site::on(postgres::fresh_database().await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_share_idempotency_keys() {
    share_idempotency_keys(Site::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_nodes_share_idempotency_keys() {
    share_idempotency_keys(Site::on(postgres::fresh_database().await)).await;
}

async fn share_idempotency_keys(site: Site) {
    let (one, two) = (Arc::new(TestNode::start(&site).await), Arc::new(TestNode::start(&site).await));
    for round in 0..10 {
        let args = json!({ "text": "a", "idempotency_key": format!("k{round}") });
        let before = site.world.executed().len();
        let (first, second) = tokio::join!(spawn(&one, "probe_write", args.clone()), spawn(&two, "probe_write", args));
        let results = [first, second].map(|reply| match reply.expect("a caller") {
            Reply::Done { result, .. } => result,
            other => panic!("{other:?}"),
        });
        assert_eq!(results[0], results[1]);
        assert_eq!(site.world.executed().len(), before + 1, "one of the two was executed");
    }
    site.world.shut();
    let args = json!({ "text": "a", "idempotency_key": "slow" });
    let running = spawn(&one, "probe_write", args.clone());
    site.world.executed_at_least(11).await;
    let joining = spawn(&two, "probe_write", args);
    let here = Some(&two.control.ports.node);
    wait_for(&two, |kind| matches!(kind, EventKind::Admitted(by) if by.joins.is_some() && by.node.as_ref() == here)).await;
    let other = two.call("probe_write", json!({ "text": "b", "idempotency_key": "slow" })).await;
    assert_eq!(code_of(&other), Some(Code::IdempotencyConflict));
    site.world.open();
    for reply in [running.await, joining.await] {
        assert!(matches!(reply.expect("a caller"), Reply::Done { .. }));
    }
    assert_eq!(site.world.executed().len(), 11);
    check(&one.log().await, false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_a_commit_that_was_reported_lost_is_ended_by_its_own_node() {
    let site = Site::sqlite();
    let test_node = TestNode::start(&site).await;
    site.forgets.store(true, Ordering::SeqCst);
    let reply = test_node.call("probe_write", json!({})).await;
    assert_eq!(code_of(&reply), Some(Code::AuditUnavailable), "as far as the node knows, nothing was written");
    let log = wait_for(&test_node, |kind| matches!(kind, EventKind::Cancelled(_))).await;
    assert_eq!(check(&log, false).into_values().collect::<Vec<_>>(), [Status::Cancelled]);
    assert!(test_node.world.executed().is_empty());
}

on_both! {
    rows_make_no_node_dead, nodes_are_not_dead_because_their_rows_were_taken_away, postgres_nodes_are_not_dead_because_their_rows_were_taken_away;
}

/// Whoever writes beside the log removes a node's row, or says in it that the node has ended. It is fenced when its lease is over.
async fn rows_make_no_node_dead(site: Site) {
    let (working, watching) = (TestNode::start(&site).await, TestNode::idle(&site).await.0);
    let of_working = async || {
        let peers = watching.writer.fence().peers().observe(&*watching.reader.store).await.expect("the nodes");
        let found = peers.into_iter().find(|peer| peer.node.id == working.control.ports.node);
        found.map(|peer| (peer.dead, peer.ended))
    };
    assert_eq!(of_working().await, Some((false, false)));
    let run = async |sql: &'static str, doc: Option<Vec<u8>>| {
        let mut transaction = site.room().await.begin().await.expect("a transaction");
        let bound = doc.map(forelog::log::sql::Value::Bytes).into_iter().collect();
        assert_eq!(transaction.execute(sql, bound).await.expect(sql), 1);
        transaction.commit().await.expect("a commit");
    };
    // The newest event of the log is none that says so.
    let at = watching.log().await.last().expect("an event").position;
    let row = rows(&watching).await.into_iter().find(|row| row.id == working.control.ports.node).expect("its row");
    let forged = serde_json::to_vec(&Node { ended: Some(at), ..row.clone() }).expect("JSON");
    run("update state set doc = $1 where name like 'node:%'", Some(forged)).await;
    assert_eq!(of_working().await, Some((false, false)), "nothing is recorded of its end");
    // Nor does it confirm what the node has not, whatever else the row says.
    let confirmed = row.confirmed;
    let forged = Node { confirmed: Epoch(confirmed.0 + 1000), beat: row.beat + 1, ..row };
    run("update state set doc = $1 where name like 'node:%'", Some(serde_json::to_vec(&forged).expect("JSON"))).await;
    let peers = watching.writer.fence().peers().observe(&*watching.reader.store).await.expect("the nodes");
    let seen = peers.into_iter().find(|peer| peer.node.id == forged.id).expect("the node");
    assert_eq!((seen.node.confirmed, seen.moved), (confirmed, false), "no node has written that");
    run("delete from state where name like 'node:%'", None).await;
    assert_eq!(of_working().await, Some((false, false)), "its row is gone, and it may live");
}
