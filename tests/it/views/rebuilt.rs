//! Views that are made again: to the same, by two at once, of another log, and of what a log has lost.

use std::collections::BTreeSet;
use std::sync::Arc;

use forelog::core::call::Status;
use forelog::log::dialect::Room;
use forelog::views::Views;
use forelog::views::activity::Calls;
use forelog::views::call::COLUMNS;
use forelog::views::status::invalid_row_of;
use tokio_util::sync::CancellationToken;

use super::{list, lively, open, query};
use crate::sample_log::{Ask, POWER, SampleLog};

async fn dump(calls: &Calls) -> String {
    let database = calls.views().database();
    let mut all = Vec::new();
    let calls = format!("select {COLUMNS} from call order by intent");
    for sql in [
        calls.as_str(),
        "select * from administration order by position",
        "select * from subject order by subject, of_intent",
        "select * from vm order by vm",
        "select * from cursor order by view",
    ] {
        let rows = database.query(sql, Vec::new()).await.expect("the rows");
        assert!(!rows.is_empty(), "{sql} is empty");
        all.push(format!("{sql}\n{rows:#?}"));
    }
    all.join("\n")
}

async fn rebuild_is_equal(sample: SampleLog) {
    let calls = open(&sample).await;
    let stop = CancellationToken::new();
    let runner = tokio::spawn(Arc::clone(calls.views()).run(stop.clone()));
    lively(&sample).await;
    let head = sample.reader.store.head().await.expect("the head").position;
    assert!(head.0 > 600, "{head:?}");
    assert_eq!(list(&calls, query()).await.as_of, head);
    let live = dump(&calls).await;
    let mut steps = Vec::new();
    let reached = calls.views().rebuild(|at, of| steps.push((at, of))).await.expect("a rebuild");
    assert_eq!(reached, head);
    assert_eq!(steps.last(), Some(&(head, head)));
    assert_eq!(dump(&calls).await, live);
    stop.cancel();
    runner.await.expect("the runner ends");
}

#[tokio::test]
async fn views_are_rebuilt_equal() {
    rebuild_is_equal(SampleLog::sqlite().await).await;
}

#[tokio::test]
async fn postgres_views_are_rebuilt_equal() {
    rebuild_is_equal(SampleLog::postgres().await).await;
}

/// Two processes pull at once and come to what one comes to.
async fn pulled_twice(sample: SampleLog) {
    lively(&sample).await;
    let head = sample.reader.store.head().await.expect("the head").position;
    let (one, two) = (open(&sample).await, open(&sample).await);
    let (first, second) = tokio::join!(one.views().catch_up(head), two.views().catch_up(head));
    assert_eq!((first.expect("one"), second.expect("two")), (head, head));
    let both = dump(&one).await;
    one.views().rebuild(|_, _| ()).await.expect("a rebuild");
    assert_eq!(dump(&one).await, both);
}

#[tokio::test]
async fn views_may_be_pulled_by_two_processes() {
    pulled_twice(SampleLog::sqlite().await).await;
}

#[tokio::test]
async fn postgres_views_may_be_pulled_by_two_processes() {
    pulled_twice(SampleLog::postgres().await).await;
}

async fn words(calls: &Calls) -> BTreeSet<String> {
    list(calls, query()).await.items.into_iter().map(|item| item.text).collect()
}

/// The views of a log that had more are beside one that has less, or something else; what only the other one had is never shown.
async fn other_logs_views_are_made_again(lost: SampleLog, kept: SampleLog) {
    for (number, text) in (0..40).zip(["action=lost", "action=gone"].into_iter().cycle()) {
        lost.finish(Ask { text, ..Ask::by(1 + number % 2, &POWER) }, Status::Succeeded, None).await;
    }
    let calls = open(&lost).await;
    let head = lost.reader.store.head().await.expect("the head").position;
    calls.views().catch_up(head).await.expect("the views");
    assert!(words(&calls).await.contains("action=lost"));
    calls.views().database().close().await;
    drop(calls);

    // First the log ends before the cursor; then it has another event there.
    for (most, text) in [(1, "action=kept"), (120, "action=later")] {
        for _ in 0..most {
            kept.finish(Ask { text, ..Ask::by(1, &POWER) }, Status::Succeeded, None).await;
        }
        let own = kept.reader.store.head().await.expect("the head").position;
        assert_eq!(own > head, most > 1, "{own:?} {head:?}");
        let told = invalid_row_of(&*lost.room("views.db", Room::Views).await, &*kept.reader.store).await.expect("a look");
        assert!(told.is_some(), "doctor names it");
        let views = Views::open(lost.room("views.db", Room::Views).await, kept.reader.clone()).await.expect("the views");
        assert!(views.position().await.expect("a position") <= own, "it stands where this log is");
        let calls = Calls::new(Arc::clone(&views));
        let are_kept = |words: BTreeSet<String>| words.iter().all(|word| word == "action=kept" || word == "action=later");
        assert!(are_kept(words(&calls).await), "nothing of the other log is shown");
        views.catch_up(own).await.expect("the views");
        assert!(are_kept(words(&calls).await));
        let told = invalid_row_of(calls.views().database(), &*kept.reader.store).await.expect("a look");
        assert_eq!(told, None);
        calls.views().database().close().await;
        drop(calls);

        // The views of the lost one again.
        let calls = open(&lost).await;
        calls.views().catch_up(head).await.expect("the views");
        assert!(words(&calls).await.contains("action=lost"), "its own log makes them as they were");
        calls.views().database().close().await;
    }
}

#[tokio::test]
async fn views_of_another_log_are_made_again() {
    other_logs_views_are_made_again(SampleLog::sqlite().await, SampleLog::sqlite().await).await;
}

#[tokio::test]
async fn postgres_views_of_another_log_are_made_again() {
    other_logs_views_are_made_again(SampleLog::postgres().await, SampleLog::postgres().await).await;
}

/// The log is put back under a node that runs.
async fn what_a_log_has_lost_goes_while_a_node_runs(sample: SampleLog) {
    let calls = open(&sample).await;
    lively(&sample).await;
    let head = sample.reader.store.head().await.expect("the head").position;
    calls.views().catch_up(head).await.expect("the views");
    let before = dump(&calls).await;
    // As if there had been more.
    let mut transaction = calls.views().database().begin().await.expect("a transaction");
    for sql in [
        "update cursor set position = position + 7 where view = 'calls'",
        "update call set call = 'call_phantom' where intent = (select max(intent) from call)",
    ] {
        transaction.execute(sql, Vec::new()).await.expect("a phantom");
    }
    transaction.commit().await.expect("a phantom");
    let stop = CancellationToken::new();
    let runner = tokio::spawn(Arc::clone(calls.views()).run(stop.clone()));
    let mended = async {
        while calls.views().position().await.expect("a position") != head {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), mended).await.expect("they are made again");
    assert_eq!(dump(&calls).await, before);
    stop.cancel();
    runner.await.expect("the runner ends");
}

#[tokio::test]
async fn views_of_what_a_log_has_lost_go_while_a_node_runs() {
    what_a_log_has_lost_goes_while_a_node_runs(SampleLog::sqlite().await).await;
}

#[tokio::test]
async fn postgres_views_of_what_a_log_has_lost_go_while_a_node_runs() {
    what_a_log_has_lost_goes_while_a_node_runs(SampleLog::postgres().await).await;
}
