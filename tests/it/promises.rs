//! The promises of the design, by number. Each test can fail: it kills, cuts, races or forges. Some have rooms of their own:
//!
//! ```text
//! P1, P2, P3, P4  model/: every order that a model of the protocol can take; nodes.rs, fleet.rs: several nodes
//! P1, P2, P4, P6  kill.rs: SIGKILL of the real binary between every two steps, and a full disk
//! P5              limit.rs: against a naive oracle
//! P7              store.rs, postgres: the database refuses; verify.rs: what is edited all the same is named
//! P9              gates.rs, mcp.rs, operate.rs: absent and not owned are the same bytes
//! P10             canary.rs, redact.rs
//! P11             views.rs: rebuilt views equal the live ones
//! P15             stopping/: each part broken in turn beneath the real binary, and stopped at every door
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use forelog::control::Reply;
use forelog::core::call::{Status, next};
use forelog::core::code::Code;
use forelog::core::event::{Event, EventKind};
use forelog::core::id::{CallId, SwitchId};
use forelog::core::limit::Limit;
use forelog::core::switch::{Running, Target};
use serde_json::{Value, json};

use crate::fixtures;
use crate::test_node::{Site, TestNode, begin, code_of, on_both};

on_both! {
    nothing_runs_when_the_log_cannot_be_written, p01_nothing_runs_when_the_log_cannot_be_written, postgres_p01_nothing_runs_when_the_log_cannot_be_written;
    each_execution_has_its_admission_in_the_log_before_it, p01_each_execution_has_its_admission_in_the_log_before_it, postgres_p01_each_execution_has_its_admission_in_the_log_before_it;
    refusals_are_calls_and_a_flood_of_them_is_counted, p02_refusals_are_calls_and_a_flood_of_them_is_counted, postgres_p02_refusals_are_calls_and_a_flood_of_them_is_counted;
    no_call_is_admitted_after_a_flip_and_none_starts_after_the_fence, p03_no_call_is_admitted_after_a_flip_and_none_starts_after_the_fence, postgres_p03_no_call_is_admitted_after_a_flip_and_none_starts_after_the_fence;
    a_queued_call_under_a_switch_never_starts, p03_a_queued_call_under_a_switch_never_starts, postgres_p03_a_queued_call_under_a_switch_never_starts;
    running_calls_are_cancelled_where_the_switch_says_so, p03_running_calls_are_cancelled_where_the_switch_says_so, postgres_p03_running_calls_are_cancelled_where_the_switch_says_so;
    the_same_idempotency_key_repeats_the_outcome_and_runs_once, p04_the_same_idempotency_key_repeats_the_outcome_and_runs_once, postgres_p04_the_same_idempotency_key_repeats_the_outcome_and_runs_once;
    duplicates_in_flight_join_the_first, p04_duplicates_in_flight_join_the_first, postgres_p04_duplicates_in_flight_join_the_first;
    limits_are_exact_under_a_race_and_across_a_restart, p05_limits_are_exact_under_a_race_and_across_a_restart, postgres_p05_limits_are_exact_under_a_race_and_across_a_restart;
    time_never_runs_backwards_when_the_clock_does, p06_time_never_runs_backwards_when_the_clock_does, postgres_p06_time_never_runs_backwards_when_the_clock_does;
    a_revoked_key_fails_on_its_next_call, p08_a_revoked_key_fails_on_its_next_call, postgres_p08_a_revoked_key_fails_on_its_next_call;
    a_forged_account_is_refused, p09_a_forged_account_is_refused, postgres_p09_a_forged_account_is_refused;
    state_that_cannot_be_read_refuses, p12_state_that_cannot_be_read_refuses, postgres_p12_state_that_cannot_be_read_refuses;
    a_log_that_ends_before_what_was_seen_refuses, p07_a_log_that_ends_before_what_was_seen_refuses,
        postgres_p07_a_log_that_ends_before_what_was_seen_refuses;
}

/// P2 and P6 over a whole log: legal calls, one terminal event each, gapless positions, time that never runs backwards.
pub fn check(log: &[Event], may_be_open: bool) -> BTreeMap<CallId, Status> {
    let mut calls: BTreeMap<CallId, Status> = BTreeMap::new();
    let mut ends: BTreeMap<CallId, u32> = BTreeMap::new();
    for (event, place) in log.iter().zip(1i64..) {
        assert_eq!(event.position.0, place, "positions have no gaps");
        let Some(call) = event.kind.call() else { continue };
        let status = next(calls.get(call).copied(), &event.kind).expect("a legal transition");
        if matches!(event.kind, EventKind::Refused(_)) || event.kind.end().is_some() {
            *ends.entry(call.clone()).or_default() += 1;
        }
        calls.insert(call.clone(), status);
    }
    assert!(log.is_sorted_by_key(|event| event.at), "time never runs backwards");
    if !may_be_open {
        for (call, status) in &calls {
            assert!(status.is_terminal(), "{call} is left {status:?}");
            assert_eq!(ends.get(call), Some(&1), "{call} has one terminal event");
        }
    }
    calls
}

fn engaged(test_node: &TestNode, target: Target, running: Running) -> EventKind {
    let switch = SwitchId::new(test_node.control.ports.clock.now(), &*test_node.control.ports.entropy);
    EventKind::SwitchEngaged { switch, target, by: None, credential: None, running, expires_at: None }
}

async fn nothing_runs_when_the_log_cannot_be_written(site: Site) {
    let test_node = TestNode::start(&site).await;
    let (locked, answered) = (tokio::sync::Notify::new(), tokio::sync::Notify::new());
    // Another process holds the write lock for longer than the writer waits for it.
    let blocking = async {
        let room = site.room().await;
        let mut transaction = room.begin().await.expect("a transaction");
        if !site.log.is_empty() {
            // PostgreSQL would end it after a while.
            transaction.script("set local idle_in_transaction_session_timeout = 0").await.expect("a setting");
        }
        transaction.execute("update log_head set at = at", Vec::new()).await.expect("the lock");
        locked.notify_one();
        answered.notified().await;
        drop(transaction);
    };
    let calling = async {
        locked.notified().await;
        let reply = test_node.call("probe_write", json!({})).await;
        answered.notify_one();
        reply
    };
    let ((), reply) = tokio::join!(blocking, calling);
    assert_eq!(code_of(&reply), Some(Code::AuditUnavailable));
    assert!(test_node.world.executed().is_empty(), "nothing ran");
    assert!(
        matches!(test_node.call("probe_write", json!({})).await, Reply::Done { .. }),
        "it goes on once the log can be written"
    );
    let log = test_node.log().await;
    check(&log, false);
}

async fn each_execution_has_its_admission_in_the_log_before_it(site: Site) {
    let test_node = TestNode::start(&site).await;
    let calls =
        (0..50).map(|n| test_node.call(if n % 2 == 0 { "probe_write" } else { "probe_read" }, json!({ "text": n.to_string() })));
    for reply in futures::future::join_all(calls).await {
        assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
    }
    let log = test_node.log().await;
    let calls = check(&log, false);
    assert_eq!(calls.len(), 50);
    for call in test_node.world.executed() {
        assert_eq!(calls.get(&call), Some(&Status::Succeeded));
        assert_eq!(test_node.world.runs_of(&call), 1);
    }
}

async fn refusals_are_calls_and_a_flood_of_them_is_counted(site: Site) {
    let test_node = TestNode::start(&site).await;
    test_node.change(engaged(&test_node, Target::All, Running::LetFinish), json!({ "reason": "drill" })).await;
    let mut runs = Vec::new();
    for _ in 0..30 {
        let Reply::Failed { call, refusal, .. } = test_node.call("probe_write", json!({})).await else { panic!("admitted") };
        assert_eq!(refusal.code, Code::KillSwitchEngaged);
        if call.is_none() {
            runs.push(refusal.details["run_id"].as_str().expect("a run").to_owned());
        }
    }
    assert_eq!(runs.len(), 10, "the first twenty are recorded in full");
    assert!(runs.windows(2).all(|pair| pair[0] == pair[1]), "one run");
    test_node.clock.pass(Duration::from_secs(61));
    let log = wait_for(&test_node, |kind| matches!(kind, EventKind::RefusalsCounted { .. })).await;
    let counted: Vec<u64> = log
        .iter()
        .filter_map(|event| if let EventKind::RefusalsCounted { count, .. } = &event.kind { Some(*count) } else { None })
        .collect();
    assert_eq!(counted, [10]);
    assert_eq!(check(&log, false).len(), 20);
    assert!(test_node.world.executed().is_empty());
}

/// Returns the log once there is such an event in it.
pub async fn wait_for(test_node: &TestNode, wanted: impl Fn(&EventKind) -> bool) -> Vec<Event> {
    let watching = async {
        loop {
            let log = test_node.log().await;
            if log.iter().any(|event| wanted(&event.kind)) {
                return log;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), watching).await.expect("the event should have come")
}

async fn no_call_is_admitted_after_a_flip_and_none_starts_after_the_fence(site: Site) {
    let test_node = std::sync::Arc::new(TestNode::start(&site).await);
    let callers: Vec<_> = (0..16)
        .map(|_| {
            let test_node = std::sync::Arc::clone(&test_node);
            tokio::spawn(async move {
                let mut admitted_last = 0;
                for turn in 0..2000 {
                    match test_node.call("probe_write", json!({})).await {
                        Reply::Done { .. } => admitted_last = turn,
                        Reply::Failed { refusal, .. } => {
                            assert_eq!(refusal.code, Code::KillSwitchEngaged);
                            return admitted_last;
                        }
                        Reply::Running { .. } => panic!("a probe never stays"),
                    }
                }
                panic!("the switch never stopped this caller");
            })
        })
        .collect();
    test_node.world.executed_at_least(100).await;
    test_node.change(engaged(&test_node, Target::All, Running::LetFinish), json!({ "reason": "race" })).await;
    let epoch = test_node.writer.fence().state().epoch;
    test_node.writer.fence().drained(epoch).await;
    let fenced = test_node.world.executed().len();
    for caller in callers {
        caller.await.expect("a caller");
    }
    assert_eq!(test_node.world.executed().len(), fenced, "nothing starts after the fence");
    let log = test_node.log().await;
    let flip = log.iter().position(|event| matches!(event.kind, EventKind::SwitchEngaged { .. })).expect("the flip");
    let late = log[flip..].iter().filter(|event| matches!(event.kind, EventKind::Admitted(_))).count();
    assert_eq!(late, 0, "nothing is admitted after the flip");
    check(&log, false);
}

async fn a_queued_call_under_a_switch_never_starts(site: Site) {
    let (test_node, worker, assigned) = TestNode::idle(&site).await;
    let Reply::Running { call, status: Status::Queued, .. } = test_node.call("probe_queued", json!({})).await else {
        panic!("not queued")
    };
    test_node
        .change(
            engaged(&test_node, Target::Class(forelog::core::tool::Class::Write), Running::LetFinish),
            json!({ "reason": "stop" }),
        )
        .await;
    begin(worker, assigned).await;
    let log = wait_for(&test_node, |kind| matches!(kind, EventKind::Cancelled(_))).await;
    assert_eq!(check(&log, false).get(&call), Some(&Status::Cancelled));
    assert_eq!(test_node.world.runs_of(&call), 0);
}

async fn running_calls_are_cancelled_where_the_switch_says_so(site: Site) {
    let test_node = std::sync::Arc::new(TestNode::start(&site).await);
    test_node.world.shut();
    let caller = tokio::spawn({
        let test_node = std::sync::Arc::clone(&test_node);
        async move { test_node.call("probe_write", json!({})).await }
    });
    test_node.world.executed_at_least(1).await;
    test_node.change(engaged(&test_node, Target::All, Running::Cancel), json!({ "reason": "stop" })).await;
    assert_eq!(code_of(&caller.await.expect("the caller")), Some(Code::KillSwitchEngaged));
    let log = test_node.log().await;
    assert!(check(&log, false).values().all(|status| *status == Status::Cancelled));
}

#[test]
fn p04_a_crash_leaves_no_call_open_and_runs_none_twice_that_may_not() {
    a_crash(async { Site::sqlite() });
}

#[test]
fn postgres_p04_a_crash_leaves_no_call_open_and_runs_none_twice_that_may_not() {
    a_crash(Site::postgres());
}

fn a_crash(site: impl Future<Output = Site>) {
    let dying = tokio::runtime::Runtime::new().expect("a runtime");
    let site = dying.block_on(site);
    dying.block_on(async {
        let test_node = std::sync::Arc::new(TestNode::start(&site).await);
        test_node.world.shut();
        for tool in ["probe_write", "probe_read"] {
            let test_node = std::sync::Arc::clone(&test_node);
            tokio::spawn(async move { test_node.call(tool, json!({})).await });
        }
        test_node.world.executed_at_least(2).await;
        assert!(check(&test_node.log().await, true).values().all(|status| *status == Status::Running));
    });
    // Every task of the node ends where it stands: the provider has acted, and nobody has written that down.
    dying.shutdown_background();
    site.world.open();
    let second = tokio::runtime::Runtime::new().expect("a runtime");
    second.block_on(async {
        let test_node = TestNode::start(&site).await;
        test_node.outlast_the_others().await;
        wait_for(&test_node, |kind| matches!(kind, EventKind::Unknown(_))).await;
        let log = wait_for(&test_node, |kind| matches!(kind, EventKind::Succeeded(_))).await;
        check(&log, false);
        for event in &log {
            match &event.kind {
                EventKind::Unknown(end) => assert_eq!(test_node.world.runs_of(&end.call), 1, "the write ran once and is unknown"),
                EventKind::Succeeded(end) => assert_eq!(test_node.world.runs_of(&end.call), 2, "the read was run again"),
                _ => {}
            }
        }
    });
}

async fn the_same_idempotency_key_repeats_the_outcome_and_runs_once(site: Site) {
    let test_node = TestNode::start(&site).await;
    let args = json!({ "text": "a", "idempotency_key": "k1" });
    let Reply::Done { result: first, call: one } = test_node.call("probe_write", args.clone()).await else { panic!("refused") };
    let Reply::Done { result: second, call: two } = test_node.call("probe_write", args).await else { panic!("refused") };
    assert_eq!(first, second);
    assert_ne!(one, two, "the repetition is a call of its own");
    assert_eq!(test_node.world.executed(), std::slice::from_ref(&one));
    let other = test_node.call("probe_write", json!({ "text": "b", "idempotency_key": "k1" })).await;
    assert_eq!(code_of(&other), Some(Code::IdempotencyConflict));
    let log = test_node.log().await;
    check(&log, false);
    let replays: Vec<_> = log.iter().filter_map(|event| event.kind.end()).filter_map(|end| end.replay_of.clone()).collect();
    assert_eq!(replays, [one]);
}

async fn duplicates_in_flight_join_the_first(site: Site) {
    let test_node = std::sync::Arc::new(TestNode::start(&site).await);
    test_node.world.shut();
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let test_node = std::sync::Arc::clone(&test_node);
            tokio::spawn(async move { test_node.call("probe_write", json!({ "text": "a", "idempotency_key": "k" })).await })
        })
        .collect();
    test_node.world.executed_at_least(1).await;
    test_node.world.open();
    for caller in callers {
        assert!(matches!(caller.await.expect("a caller"), Reply::Done { .. }));
    }
    assert_eq!(test_node.world.executed().len(), 1, "one of them ran");
    check(&test_node.log().await, false);
}

async fn limits_are_exact_under_a_race_and_across_a_restart(mut site: Site) {
    site.limits.credential = Limit { admit: 10, window_ms: 60_000 };
    let test_node = std::sync::Arc::new(TestNode::start(&site).await);
    let calls = (0..40).map(|_| {
        let test_node = std::sync::Arc::clone(&test_node);
        tokio::spawn(async move { code_of(&test_node.call("probe_read", json!({})).await) })
    });
    let codes: Vec<_> = futures::future::join_all(calls).await.into_iter().map(|code| code.expect("a caller")).collect();
    assert_eq!(codes.iter().filter(|code| code.is_none()).count(), 10);
    assert_eq!(codes.iter().filter(|code| **code == Some(Code::RateLimited)).count(), 30);
    let again = TestNode::start(&site).await;
    assert_eq!(code_of(&again.call("probe_read", json!({})).await), Some(Code::RateLimited), "a restart forgets nothing");
    site.clock.pass(Duration::from_secs(59));
    again.beat().await;
    assert_eq!(code_of(&again.call("probe_read", json!({})).await), Some(Code::RateLimited));
    site.clock.pass(Duration::from_millis(1_001));
    again.beat().await;
    assert_eq!(code_of(&again.call("probe_read", json!({})).await), None, "the window slides");
}

async fn time_never_runs_backwards_when_the_clock_does(site: Site) {
    let test_node = TestNode::start(&site).await;
    assert!(matches!(test_node.call("probe_write", json!({})).await, Reply::Done { .. }));
    site.clock.jump(-3_000_000);
    assert!(matches!(test_node.call("probe_write", json!({})).await, Reply::Done { .. }), "a small step back is borne");
    site.clock.jump(-3_600_000_000);
    assert_eq!(code_of(&test_node.call("probe_write", json!({})).await), Some(Code::ClockSkew));
    site.clock.jump(3_603_000_000);
    assert!(matches!(test_node.call("probe_write", json!({})).await, Reply::Done { .. }));
    check(&test_node.log().await, false);
}

/// As after a backup was restored, or a standby that lacks the newest events took over.
async fn a_log_that_ends_before_what_was_seen_refuses(site: Site) {
    let test_node = TestNode::start(&site).await;
    assert!(matches!(test_node.call("probe_read", json!({})).await, Reply::Done { .. }));
    let room = site.room().await;
    let on = |table: &str| if site.log.is_empty() { String::new() } else { format!(" on {table}") };
    let mut back = room.begin().await.expect("a transaction");
    let (head, event) = (on("log_head"), on("event"));
    let triggers = format!("drop trigger head_never_goes_back{head}; drop trigger event_is_never_deleted{event}");
    back.script(&triggers).await.expect("no triggers");
    back.execute("delete from event where position = (select position from log_head)", Vec::new()).await.expect("deleted");
    back.execute("update log_head set position = position - 1", Vec::new()).await.expect("the head goes back");
    back.commit().await.expect("a commit");
    assert_eq!(code_of(&test_node.call("probe_write", json!({})).await), Some(Code::AuditUnavailable));
    let log = test_node.log().await;
    assert!(matches!(log.last().map(|event| &event.kind), Some(EventKind::Admitted(_))), "nothing was added");
}

async fn a_revoked_key_fails_on_its_next_call(site: Site) {
    let test_node = TestNode::start(&site).await;
    assert!(matches!(test_node.call("probe_read", json!({})).await, Reply::Done { .. }));
    // Another process revokes it; this node has not heard of that.
    let (other, ..) = TestNode::idle(&site).await;
    other.change(EventKind::CredentialRevoked { credential: test_node.credential.clone(), by: None }, Value::Null).await;
    assert_eq!(code_of(&test_node.call("probe_read", json!({})).await), Some(Code::TokenRevoked));
}

async fn a_forged_account_is_refused(site: Site) {
    let test_node = TestNode::start(&site).await;
    let mut request = test_node.request("probe_read", json!({}));
    request.principal.account = fixtures::account(99);
    let reply = test_node.control.submit(request).await;
    assert_eq!(code_of(&reply), Some(Code::ControlStateUnreadable));
    assert!(test_node.world.executed().is_empty());
}

async fn state_that_cannot_be_read_refuses(site: Site) {
    let test_node = TestNode::start(&site).await;
    assert!(matches!(test_node.call("probe_read", json!({})).await, Reply::Done { .. }));
    let room = site.room().await;
    let mut spoil = room.begin().await.expect("a transaction");
    let spoilt =
        spoil.execute("update state set doc = $1 where name like 'limit:%'", vec![vec![1, 2, 3].into()]).await.expect("spoilt");
    assert!(spoilt > 0);
    spoil.commit().await.expect("committed");
    assert_eq!(code_of(&test_node.call("probe_read", json!({})).await), Some(Code::ControlStateUnreadable));
    check(&test_node.log().await, false);
}
