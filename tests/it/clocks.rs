//! No process's clock decides for the others (P15): the log's time moves by what passes, whatever a process that joins says,
//! and what stops something is recorded by a process that nobody believes the time.

use std::sync::Arc;
use std::time::Duration;

use forelog::control::Reply;
use forelog::core::call::Status;
use forelog::core::code::Code;
use forelog::core::event::EventKind;
use forelog::core::id::SwitchId;
use forelog::core::switch::{Running, Target};
use forelog::core::time::{Clock, Micros};
use forelog::log::store::Want;
use serde_json::{Value, json};

use crate::promises::check;
use crate::test_node::{Site, TestClock, TestNode, on_both};

/// More than any switch, limit or invitation here lasts.
const DAYS: Duration = Duration::from_hours(25);

/// How long a log may be left alone without a sign.
const NIGHT: Duration = Duration::from_hours(20);

async fn call(test_node: &TestNode) -> Result<(), Code> {
    match test_node.call("probe_write", json!({})).await {
        Reply::Done { .. } => Ok(()),
        Reply::Failed { refusal, .. } => Err(refusal.code),
        Reply::Running { .. } => panic!("it runs on"),
    }
}

/// Stops one tool until an hour from now.
async fn stop_for_an_hour(test_node: &TestNode) {
    let kind = EventKind::SwitchEngaged {
        switch: SwitchId::new(test_node.clock.now(), &*test_node.control.ports.entropy),
        target: Target::Tool("probe_queued".into()),
        by: None,
        credential: None,
        running: Running::LetFinish,
        expires_at: Some(test_node.clock.after(Duration::from_hours(1))),
    };
    test_node.change(kind, Value::Null).await;
}

async fn newest(test_node: &TestNode) -> Micros {
    test_node.reader.store.head().await.expect("the head").at
}

async fn skewed(test_node: &TestNode) -> bool {
    test_node.writer.write(Want::default(), |draft| Ok(draft.skewed)).await.expect("a transaction")
}

/// What the desk writes, too.
async fn write(test_node: &TestNode) {
    let node = test_node.control.ports.node.clone();
    test_node.change(EventKind::NodeStarted { node, version: "0.0.0".into() }, Value::Null).await;
}

async fn expired(test_node: &TestNode) -> usize {
    test_node.log().await.iter().filter(|event| matches!(event.kind, EventKind::SwitchExpired { .. })).count()
}

async fn fast_node_joins(mut site: Site) {
    let right = TestNode::start(&site).await;
    call(&right).await.expect("alone, and right");
    stop_for_an_hour(&right).await;
    let before = newest(&right).await;
    site.clock = TestClock::at(site.clock.after(DAYS));
    let fast = TestNode::start(&site).await;
    assert_eq!(call(&fast).await, Err(Code::ClockSkew), "nobody else says that it is tomorrow");
    fast.beat().await;
    // It still stops things, at the time of the others.
    write(&fast).await;
    assert!(newest(&right).await.since(before) < Duration::from_secs(6), "nobody moved the log's time by a day");
    call(&right).await.expect("it goes on");
    assert_eq!(expired(&right).await, 0, "the switch has its hour");
    assert!(check(&right.log().await, false).values().any(|status| *status == Status::Refused));
}

async fn clock_steps_while_it_runs(site: Site) {
    let test_node = TestNode::start(&site).await;
    call(&test_node).await.expect("as it was");
    stop_for_an_hour(&test_node).await;
    site.clock.jump(i64::try_from(DAYS.as_micros()).expect("a day"));
    assert_eq!(call(&test_node).await, Err(Code::ClockSkew));
    test_node.beat().await;
    assert_eq!(expired(&test_node).await, 0);
    site.clock.jump(-i64::try_from(DAYS.as_micros()).expect("a day"));
    call(&test_node).await.expect("it agrees again");
}

/// Another process begins after a crash of `first`: whether its clock is followed once the other one is known to be dead, or at
/// once if the machine says that as much time has passed.
async fn is_followed(site: &mut Site, first: TestNode, clock: Arc<TestClock>, at_once: bool) -> bool {
    // Its machine lost power: its row says that it runs. What is only dropped goes on beating.
    first.stop().await;
    site.clock = clock;
    let (next, worker, _assigned) = TestNode::idle(site).await;
    assert_eq!(skewed(&next).await, !at_once, "the other one may live, and have the right time");
    for _ in 0..2 {
        site.clock.pass(Duration::from_secs(2));
        worker.beat(false).await.expect("a beat");
    }
    let (before, skewed) = (newest(&next).await, skewed(&next).await);
    write(&next).await;
    let moved = newest(&next).await.since(before);
    assert_eq!(moved > Duration::from_mins(1), !skewed, "the log's time moves with a clock that is followed: {moved:?}");
    !skewed
}

async fn log_that_was_left_alone(mut site: Site) {
    let first = TestNode::start(&site).await;
    call(&first).await.expect("a call");
    let later = TestClock::at(site.clock.after(NIGHT));
    assert!(is_followed(&mut site, first, later, false).await, "nobody else lives");
}

async fn clock_that_nothing_vouches_for(mut site: Site) {
    let first = TestNode::start(&site).await;
    call(&first).await.expect("a call");
    stop_for_an_hour(&first).await;
    let fast = TestClock::at(site.clock.after(DAYS));
    let right = TestClock::at(site.clock.after(Duration::from_mins(2)));
    assert!(!is_followed(&mut site, first, fast, false).await, "it is alone, and nothing says that it is tomorrow");
    site.clock = right;
    let next = TestNode::start(&site).await;
    next.outlast_the_others().await;
    call(&next).await.expect("the time was not moved");
    assert_eq!(expired(&next).await, 0, "the switch has its hour");
}

/// A machine says how long it runs: what it has slept counts, and whether it was off is known.
async fn machine_that_says_how_long_it_runs(open: impl AsyncFn() -> Site) {
    let (moment, days) = (Duration::from_secs(10), |days: u64| Duration::from_hours(24 * days));
    for (boot, ran, said, followed) in [
        ("one", moment, DAYS, false),
        ("one", moment, NIGHT, false),
        ("one", DAYS, DAYS, true),
        ("one", days(40), days(40), true),
        ("two", moment, Duration::from_hours(60), true),
        ("two", moment, days(8), false),
    ] {
        let (mut site, up) = (open().await, Duration::from_secs(100));
        site.clock = TestClock::on("one", up, site.clock.now());
        let first = TestNode::start(&site).await;
        call(&first).await.expect("a call");
        let up = if boot == "one" { up + ran } else { ran };
        let clock = TestClock::on(boot, up, site.clock.after(said));
        let at_once = followed && boot == "one";
        assert_eq!(is_followed(&mut site, first, clock, at_once).await, followed, "{boot}, up for {ran:?}, and {said:?} later");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_are_held_against_how_long_the_machine_runs() {
    machine_that_says_how_long_it_runs(async || Site::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_clocks_are_held_against_how_long_the_machine_runs() {
    machine_that_says_how_long_it_runs(Site::postgres).await;
}

async fn slow_node_follows_the_others(mut site: Site) {
    let right = TestNode::start(&site).await;
    call(&right).await.expect("a call");
    let now = site.clock.now();
    site.clock = TestClock::at(Micros(now.0 - 3_600_000_000));
    let slow = TestNode::start(&site).await;
    assert_eq!(call(&slow).await, Err(Code::ClockSkew));
    write(&slow).await;
    assert!(newest(&right).await >= now);
    slow.clock.jump(3_600_000_000);
    call(&slow).await.expect("somebody mended it");
}

on_both! {
    fast_node_joins, clocks_a_fast_node_moves_nobodys_time, postgres_clocks_a_fast_node_moves_nobodys_time;
    clock_steps_while_it_runs, clocks_that_step_are_not_followed, postgres_clocks_that_step_are_not_followed;
    clock_that_nothing_vouches_for, clocks_that_nothing_vouches_for_are_not_followed, postgres_clocks_that_nothing_vouches_for_are_not_followed;
    log_that_was_left_alone, clocks_are_believed_where_nobody_else_lives, postgres_clocks_are_believed_where_nobody_else_lives;
    slow_node_follows_the_others, clocks_that_are_slow_follow_the_others, postgres_clocks_that_are_slow_follow_the_others;
}
