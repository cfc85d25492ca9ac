//! What a node has in hand: a call that runs is nobody's orphan, however soon the worker has claimed what was queued.

use std::time::Duration;

use forelog::control::Reply;
use forelog::core::call::Status;
use forelog::core::id::CallId;
use forelog::core::job::Job;
use serde_json::json;

use crate::plant::{Plant, Site, on_both};
use crate::promises::check;

on_both! {
    claimed_before_its_caller_heard, in_hand_is_what_was_claimed_before_its_caller_heard_that_it_is_queued, postgres_in_hand_is_what_was_claimed_before_its_caller_heard_that_it_is_queued;
}

/// The calls that are open.
async fn open(plant: &Plant) -> Vec<CallId> {
    let rows = plant.reader.store.state(&["job"]).await.expect("the rows");
    rows.iter().map(|row| serde_json::from_slice::<Job>(&row.doc).expect("a row").call).collect()
}

/// Queues a call whose submission hears nothing more once the log has it; answers that submission, and the call.
async fn queued(plant: &Plant) -> (std::pin::Pin<Box<impl Future<Output = Reply>>>, CallId) {
    loop {
        let mut request = plant.request("probe_queued", json!({}));
        request.wait = Duration::ZERO;
        let mut submitting = Box::pin(plant.control.submit(request));
        while futures::poll!(&mut submitting).is_pending() {
            let recorded = async {
                loop {
                    if let Some(call) = open(plant).await.into_iter().next() {
                        return call;
                    }
                }
            };
            if let Ok(call) = tokio::time::timeout(Duration::from_millis(100), recorded).await {
                return (submitting, call);
            }
        }
        // It has heard in between: another one.
        let ended = async { while !open(plant).await.is_empty() {} };
        tokio::time::timeout(Duration::from_secs(20), ended).await.expect("it runs to its end");
    }
}

async fn claimed_before_its_caller_heard(site: Site) {
    let plant = Plant::start(&site).await;
    plant.world.shut();
    let (submitting, call) = queued(&plant).await;
    plant.world.ran(&call, 1).await;
    let reply = submitting.await;
    assert!(matches!(&reply, Reply::Running { call: told, .. } if *told == call), "{reply:?}");
    assert!(plant.control.in_hand.holds(&call), "it runs");
    // Somebody has reason to look for orphans, as when a commit was reported lost.
    plant.control.in_hand.lose(&CallId::new(forelog::core::time::Clock::now(&*plant.clock), &*plant.control.ports.entropy));
    plant.outlast_the_others().await;
    plant.world.open();
    let ended = async {
        while !open(&plant).await.is_empty() || !plant.control.in_hand.all().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("it ends, and nobody has it any more");
    let log = plant.log().await;
    assert_eq!(check(&log, false).into_iter().collect::<Vec<_>>(), [(call, Status::Succeeded)]);
}
