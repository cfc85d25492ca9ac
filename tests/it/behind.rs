//! Nothing lands behind a switch: what a call changes in the log by itself is looked at by the switches in the transaction
//! that writes it (P3), and by what the caller still is (P14).

use std::time::Duration;

use forelog::control::Reply;
use forelog::core::code::Code;
use forelog::core::event::{CredentialCreated, EventKind};
use forelog::core::id::CredentialId;
use forelog::core::scope::Scope;
use forelog::core::switch::{Running, Target};
use serde_json::{Value, json};

use crate::test_node::{Site, TestNode, on_both};

on_both! {
    no_change_lands_behind_a_switch, behind_a_switch_no_change_lands, postgres_behind_a_switch_no_change_lands;
    no_change_lands_behind_a_revocation, behind_a_revocation_no_change_lands, postgres_behind_a_revocation_no_change_lands;
}

/// A key that may do everything a customer's key may be given.
async fn full(test_node: &TestNode) -> CredentialCreated {
    let at = test_node.clock.after(Duration::ZERO);
    let credential = CredentialId::new(at, &*test_node.control.ports.entropy);
    let state = test_node.writer.fence().state();
    let own = state.credentials[&test_node.credential].created.clone();
    let scopes = Scope::ALL.iter().copied().filter(|scope| !scope.is_staff()).collect();
    let made = CredentialCreated { credential, scopes, hash: "11".repeat(32).into(), ..own };
    test_node.change(EventKind::CredentialCreated(made.clone()), json!({ "label": "full" })).await;
    made
}

/// Admits one call of every tool that only appends control events, does `stop` before any of them runs, and answers what
/// became of them, and which events beside the calls came after `stop`.
async fn after(site: &Site, stop: impl AsyncFn(&TestNode, &CredentialCreated)) -> (Vec<Reply>, Vec<&'static str>) {
    let (test_node, worker, assigned) = TestNode::idle(site).await;
    worker.beat(true).await.expect("a lease");
    let test_node = std::sync::Arc::new(test_node);
    let key = full(&test_node).await;
    let asks = [
        ("key_create", json!({ "label": "late", "scopes": ["vms:read"] })),
        ("key_rotate", json!({ "id": test_node.credential })),
        ("person_invite", json!({ "email": "late@example.com", "role": "member" })),
    ];
    let calls: Vec<_> = asks
        .into_iter()
        .map(|(tool, args)| {
            let test_node = std::sync::Arc::clone(&test_node);
            let mut request = test_node.request(tool, args);
            request.principal.credential = key.credential.clone();
            tokio::spawn(async move { test_node.control.submit(request).await })
        })
        .collect();
    let admitted = async {
        while test_node.log().await.iter().filter(|event| matches!(event.kind, EventKind::Admitted(_))).count() < calls.len() {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(20), admitted).await.is_ok();
    assert!(in_time, "not every call is admitted: {:#?}", test_node.log().await);
    stop(&test_node, &key).await;
    let stopped = test_node.log().await.last().expect("the stop").position;
    let working = tokio::spawn(worker.work(assigned, tokio_util::sync::CancellationToken::new(), Duration::from_secs(5)));
    let mut replies = Vec::new();
    for call in calls {
        replies.push(call.await.expect("an answer"));
    }
    working.abort();
    let late = test_node.log().await.into_iter().filter(|event| event.position > stopped && event.kind.call().is_none());
    (replies, late.map(|event| event.kind.name()).collect())
}

fn codes(replies: &[Reply]) -> Vec<Option<Code>> {
    replies.iter().map(|reply| if let Reply::Failed { refusal, .. } = reply { Some(refusal.code) } else { None }).collect()
}

async fn no_change_lands_behind_a_switch(site: Site) {
    let engage = async |test_node: &TestNode, _: &CredentialCreated| {
        test_node.engage("all", Running::LetFinish).await;
    };
    let (replies, late) = after(&site, engage).await;
    assert_eq!(codes(&replies), [Some(Code::KillSwitchEngaged); 3], "{replies:?}");
    assert!(late.is_empty(), "landed behind the switch: {late:?}");
}

async fn no_change_lands_behind_a_revocation(site: Site) {
    let revoke = async |test_node: &TestNode, key: &CredentialCreated| {
        test_node.change(EventKind::CredentialRevoked { credential: key.credential.clone(), by: None }, Value::Null).await;
    };
    let (replies, late) = after(&site, revoke).await;
    assert_eq!(codes(&replies), [Some(Code::TokenRevoked); 3], "{replies:?}");
    assert!(late.is_empty(), "landed behind the revocation: {late:?}");
}

/// Others take the node for dead between the leave to stop and the stop: it is engaged all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_lost_lease_a_stop_still_lands() {
    let site = Site::sqlite();
    let (test_node, worker, assigned) = TestNode::idle(&site).await;
    worker.beat(true).await.expect("a lease");
    let staff = crate::approvals::staff(&test_node).await;
    let test_node = std::sync::Arc::new(test_node);
    let asked = {
        let test_node = std::sync::Arc::clone(&test_node);
        let mut request = test_node.request("switch_engage", json!({ "target": "all", "reason": "a test" }));
        request.principal = staff;
        tokio::spawn(async move { test_node.control.submit(request).await })
    };
    let admitted = async {
        while !test_node.log().await.iter().any(|event| matches!(event.kind, EventKind::Admitted(_))) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), admitted).await.expect("it is admitted");
    // What recovery writes of a call whose node is gone.
    let call = test_node.log().await.into_iter().rev().find_map(|event| event.kind.call().cloned()).expect("the call");
    let ended = forelog::core::event::Ended::of(call.clone(), test_node.control.ports.node.clone(), None);
    let closing = forelog::log::closing::Closing {
        id: test_node.event_id(),
        status: forelog::core::call::Status::Unknown,
        ended,
        parts: Vec::new(),
        depends: Vec::new(),
        notes_late: false,
        run_by: None,
    };
    test_node.writer.close(closing).await.expect("an end");
    tokio::spawn(worker.work(assigned, tokio_util::sync::CancellationToken::new(), Duration::from_secs(5)));
    asked.await.expect("an answer");
    assert!(test_node.writer.fence().state().switches.values().any(|switch| switch.target == Target::All), "the stop was lost");
}
