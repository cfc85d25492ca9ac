//! Calls that another node took over: whoever was late, or lost the commit by which it took one over, never says that it had not
//! begun. The order that the model finds (`model/`, `NeverBegunByItsRow`, `EndsWhatOthersHave`), made on both databases.

use std::sync::Arc;
use std::time::Duration;

use forelog::control::Reply;
use forelog::core::call::Status;
use forelog::core::code::Code;
use forelog::core::event::{Ended, Event, EventKind};
use forelog::core::job::Job;
use forelog::log::claim::Claimed;
use forelog::log::closing::{Closed, Closing};
use serde_json::json;

use crate::promises::check;
use crate::test_node::{Site, TestNode, on_both};

on_both! {
    lost_its_commit, taken_over_call_is_run_again_by_whoever_lost_its_commit, postgres_taken_over_call_is_run_again_by_whoever_lost_its_commit;
    was_late, taken_over_call_is_not_ended_by_whoever_was_late, postgres_taken_over_call_is_not_ended_by_whoever_was_late;
}

/// A read that a node runs, and does not finish.
async fn running(site: &Site) -> (Arc<TestNode>, tokio::task::JoinHandle<Reply>, Job) {
    let first = Arc::new(TestNode::start(site).await);
    first.world.shut();
    let calling = tokio::spawn({
        let first = Arc::clone(&first);
        async move { first.call("probe_read", json!({})).await }
    });
    first.world.executed_at_least(1).await;
    let rows = first.reader.store.state(&["job"]).await.expect("the open calls");
    let job = serde_json::from_slice(&rows.first().expect("a row").doc).expect("a job");
    (first, calling, job)
}

/// Takes it over, and does nothing with the leave: as if the answer to the commit had been lost.
async fn take_over(next: &TestNode, job: &Job) {
    let facts = next.control.catalogue.get(&job.tool).expect("its tool").facts;
    let taken = next.writer.take_over(job, facts, next.control.ports.node.clone(), next.event_id()).await.expect("written");
    assert!(matches!(taken, Claimed::Admitted(..)), "{taken:?}");
}

fn started(log: &[Event]) -> usize {
    log.iter().filter(|event| matches!(event.kind, EventKind::Started { .. })).count()
}

async fn lost_its_commit(site: Site) {
    let (first, calling, job) = running(&site).await;
    let (next, worker, assigned) = TestNode::idle(&site).await;
    worker.beat(true).await.expect("the first beat");
    take_over(&next, &job).await;
    tokio::spawn(worker.work(assigned, tokio_util::sync::CancellationToken::new(), Duration::from_secs(5)));
    next.world.ran(&job.call, 2).await;
    let log = next.log().await;
    assert_eq!(check(&log, true)[&job.call], Status::Running, "it was begun, so nobody says that it was not");
    assert_eq!(started(&log), 2, "the leave that was lost is not used");
    first.world.open();
    assert!(matches!(calling.await.expect("the caller"), Reply::Done { .. }));
    assert_eq!(check(&next.log().await, true)[&job.call], Status::Succeeded);
}

async fn was_late(site: Site) {
    let (first, calling, job) = running(&site).await;
    let (next, ..) = TestNode::idle(&site).await;
    take_over(&next, &job).await;
    let node = first.control.ports.node.clone();
    let never_begun = Closing {
        id: first.event_id(),
        status: Status::Cancelled,
        ended: Ended::of(job.call.clone(), node.clone(), Some(Code::AuditUnavailable)),
        parts: Vec::new(),
        depends: Closing::depends_on(&job),
        notes_late: false,
        run_by: Some(node),
    };
    assert_eq!(first.writer.close(never_begun).await.expect("looked at"), Closed::Late);
    assert_eq!(check(&first.log().await, true)[&job.call], Status::Running);
    first.world.open();
    assert!(matches!(calling.await.expect("the caller"), Reply::Done { .. }));
}
