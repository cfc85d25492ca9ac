//! What a node has in hand: a call that runs is nobody's orphan, however soon the worker has claimed what was queued.

use std::time::Duration;

use forelog::control::Reply;
use forelog::core::call::Status;
use forelog::core::id::CallId;
use forelog::core::job::Job;
use serde_json::json;

use crate::promises::check;
use crate::test_node::{Site, TestNode, on_both};

on_both! {
    claimed_before_its_caller_heard, in_hand_is_what_was_claimed_before_its_caller_heard_that_it_is_queued, postgres_in_hand_is_what_was_claimed_before_its_caller_heard_that_it_is_queued;
}

/// The calls that are open.
async fn open(test_node: &TestNode) -> Vec<CallId> {
    let rows = test_node.reader.store.state(&["job"]).await.expect("the rows");
    rows.iter().map(|row| serde_json::from_slice::<Job>(&row.doc).expect("a row").call).collect()
}

/// Queues a call whose submission hears nothing more once the log has it; answers that submission, and the call.
async fn queued(test_node: &TestNode) -> (std::pin::Pin<Box<impl Future<Output = Reply>>>, CallId) {
    loop {
        let mut request = test_node.request("probe_queued", json!({}));
        request.wait = Duration::ZERO;
        let mut submitting = Box::pin(test_node.control.submit(request));
        while futures::poll!(&mut submitting).is_pending() {
            let recorded = async {
                loop {
                    if let Some(call) = open(test_node).await.into_iter().next() {
                        return call;
                    }
                }
            };
            if let Ok(call) = tokio::time::timeout(Duration::from_millis(100), recorded).await {
                return (submitting, call);
            }
        }
        // It has heard in between: another one.
        let ended = async { while !open(test_node).await.is_empty() {} };
        tokio::time::timeout(Duration::from_secs(20), ended).await.expect("it runs to its end");
    }
}

async fn claimed_before_its_caller_heard(site: Site) {
    let test_node = TestNode::start(&site).await;
    test_node.world.shut();
    let (submitting, call) = queued(&test_node).await;
    test_node.world.ran(&call, 1).await;
    let reply = submitting.await;
    assert!(matches!(&reply, Reply::Running { call: told, .. } if *told == call), "{reply:?}");
    assert!(test_node.control.in_flight.holds(&call), "it runs");
    // Somebody has reason to look for orphans, as when a commit was reported lost.
    test_node
        .control
        .in_flight
        .lose(&CallId::new(forelog::core::time::Clock::now(&*test_node.clock), &*test_node.control.ports.entropy));
    test_node.outlast_the_others().await;
    test_node.world.open();
    let ended = async {
        while !open(&test_node).await.is_empty() || !test_node.control.in_flight.all().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("it ends, and nobody has it any more");
    let log = test_node.log().await;
    assert_eq!(check(&log, false).into_iter().collect::<Vec<_>>(), [(call, Status::Succeeded)]);
}
