//! Families of keys on a log, on both databases and two nodes (P3, P5, P8, P14): what reaches a key reaches what it made,
//! in the transaction that decides. And repeats: they take slots, and cost one waiter for each call that is repeated.

use std::sync::Arc;
use std::time::Duration;

use forelog::control::Reply;
use forelog::core::code::Code;
use forelog::core::decide::JOINED;
use forelog::core::event::{CredentialCreated, EventKind};
use forelog::core::hold::Hold;
use forelog::core::id::CredentialId;
use forelog::core::limit::Limit;
use forelog::core::switch::Running;
use serde_json::{Value, json};

use crate::promises::{check, wait_for};
use crate::test_node::{Site, TestNode, code_of, on_both};

on_both! {
    a_revoked_key_takes_along_what_it_made, family_a_revoked_key_takes_along_what_it_made, postgres_family_a_revoked_key_takes_along_what_it_made;
    a_switch_on_a_key_stops_what_it_made, family_a_switch_on_a_key_stops_what_it_made, postgres_family_a_switch_on_a_key_stops_what_it_made;
    a_family_shares_its_limit, family_a_family_shares_its_limit, postgres_family_a_family_shares_its_limit;
    a_rotation_gives_no_fresh_window, family_a_rotation_gives_no_fresh_window, postgres_family_a_rotation_gives_no_fresh_window;
    a_rotated_key_repeats_what_it_asked_for, family_a_rotated_key_repeats_what_it_asked_for, postgres_family_a_rotated_key_repeats_what_it_asked_for;
    repeats_take_slots, family_repeats_take_slots, postgres_family_repeats_take_slots;
    joined_calls_have_one_waiter_and_a_bound, family_joined_calls_have_one_waiter_and_a_bound, postgres_family_joined_calls_have_one_waiter_and_a_bound;
    rounds_of_a_held_call_count_at_the_first_one, family_rounds_of_a_held_call_count_at_the_first_one, postgres_family_rounds_of_a_held_call_count_at_the_first_one;
}

/// A key that `maker` makes, in the place of `rotates`.
async fn make(test_node: &TestNode, maker: Option<&CredentialId>, rotates: Option<&CredentialId>) -> CredentialId {
    let ports = &test_node.control.ports;
    let state = ports.fence().state();
    let own = state.credentials.get(&test_node.credential).expect("the plant's key").created.clone();
    let credential = CredentialId::new(ports.clock.now(), &*ports.entropy);
    let created = CredentialCreated {
        credential: credential.clone(),
        hash: hex::encode(credential.as_str()).into(),
        rotates: rotates.cloned(),
        made_by: maker.cloned(),
        ..own
    };
    test_node.change(EventKind::CredentialCreated(created), Value::Null).await;
    if let Some(old) = rotates {
        revoke(test_node, old).await;
    }
    credential
}

async fn revoke(test_node: &TestNode, key: &CredentialId) {
    test_node.change(EventKind::CredentialRevoked { credential: key.clone(), by: None }, Value::Null).await;
}

async fn call(test_node: &TestNode, key: &CredentialId, tool: &str, args: Value) -> Reply {
    let mut request = test_node.request(tool, args);
    request.principal.credential = key.clone();
    test_node.control.submit(request).await
}

async fn a_revoked_key_takes_along_what_it_made(site: Site) {
    let test_node = TestNode::start(&site).await;
    let child = make(&test_node, Some(&test_node.credential), None).await;
    let grandchild = make(&test_node, Some(&child), None).await;
    let rotated = make(&test_node, Some(&grandchild), Some(&grandchild)).await;
    assert!(matches!(call(&test_node, &rotated, "probe_write", json!({})).await, Reply::Done { .. }));
    // Another process revokes it; this node has not heard of that.
    let (other, ..) = TestNode::idle(&site).await;
    revoke(&other, &test_node.credential).await;
    for key in [&child, &rotated] {
        assert_eq!(code_of(&call(&test_node, key, "probe_write", json!({})).await), Some(Code::TokenRevoked));
    }
    assert_eq!(test_node.world.executed().len(), 1);
    check(&test_node.log().await, false);
}

async fn a_switch_on_a_key_stops_what_it_made(site: Site) {
    let test_node = Arc::new(TestNode::start(&site).await);
    let child = make(&test_node, Some(&test_node.credential), None).await;
    let rotated = make(&test_node, Some(&child), Some(&child)).await;
    let stranger = make(&test_node, None, None).await;
    test_node.world.shut();
    let runs = {
        let (test_node, key) = (Arc::clone(&test_node), rotated.clone());
        tokio::spawn(async move { call(&test_node, &key, "probe_write", json!({})).await })
    };
    test_node.world.executed_at_least(1).await;
    let (other, ..) = TestNode::idle(&site).await;
    other.engage(&format!("credential:{}", test_node.credential), Running::Cancel).await;
    assert_eq!(code_of(&runs.await.expect("a caller")), Some(Code::KillSwitchEngaged), "what ran was cancelled");
    for key in [&test_node.credential, &rotated] {
        assert_eq!(code_of(&call(&test_node, key, "probe_write", json!({})).await), Some(Code::KillSwitchEngaged));
        assert_eq!(code_of(&call(&test_node, key, "probe_queued", json!({})).await), Some(Code::KillSwitchEngaged));
    }
    test_node.world.open();
    assert!(matches!(call(&test_node, &stranger, "probe_write", json!({})).await, Reply::Done { .. }), "nobody else is stopped");
    check(&test_node.log().await, false);
}

async fn a_family_shares_its_limit(mut site: Site) {
    site.limits.credential = Limit { admit: 10, window_ms: 60_000 };
    let (one, two) = (Arc::new(TestNode::start(&site).await), Arc::new(TestNode::start(&site).await));
    let mut calls = Vec::new();
    for turn in 0..10 {
        let child = make(&one, Some(&one.credential), None).await;
        let test_node = Arc::clone(if turn % 2 == 0 { &one } else { &two });
        calls.push(tokio::spawn(async move {
            let mut done = 0;
            for _ in 0..4 {
                done += usize::from(matches!(call(&test_node, &child, "probe_read", json!({})).await, Reply::Done { .. }));
            }
            done
        }));
    }
    let mut done = 0;
    for calling in calls {
        done += calling.await.expect("a caller");
    }
    assert_eq!(done, 10, "ten in any minute, whoever of the family calls, on whatever node");
    assert_eq!(code_of(&one.call("probe_read", json!({})).await), Some(Code::RateLimited));
    check(&one.log().await, false);
}

async fn a_rotation_gives_no_fresh_window(mut site: Site) {
    site.limits.credential = Limit { admit: 3, window_ms: 60_000 };
    let test_node = TestNode::start(&site).await;
    let (mut key, mut done) = (test_node.credential.clone(), 0);
    for _ in 0..6 {
        done += usize::from(matches!(call(&test_node, &key, "probe_read", json!({})).await, Reply::Done { .. }));
        key = make(&test_node, Some(&key), Some(&key)).await;
    }
    assert_eq!(done, 3, "the same key with another secret");
}

async fn a_rotated_key_repeats_what_it_asked_for(site: Site) {
    let test_node = TestNode::start(&site).await;
    let key = make(&test_node, None, None).await;
    let asked = json!({ "text": "once", "idempotency_key": "once" });
    let Reply::Done { result: first, .. } = call(&test_node, &key, "probe_write", asked.clone()).await else {
        panic!("it is done")
    };
    let mut newest = key;
    for _ in 0..2 {
        newest = make(&test_node, Some(&test_node.credential), Some(&newest)).await;
        let Reply::Done { result, .. } = call(&test_node, &newest, "probe_write", asked.clone()).await else {
            panic!("it is repeated")
        };
        assert_eq!(result, first);
    }
    assert_eq!(test_node.world.executed().len(), 1, "it ran once");
    let child = make(&test_node, Some(&newest), None).await;
    assert!(matches!(call(&test_node, &child, "probe_write", asked).await, Reply::Done { .. }));
    assert_eq!(test_node.world.executed().len(), 2, "what a key has made is another one, with repeats of its own");
    check(&test_node.log().await, false);
}

async fn repeats_take_slots(mut site: Site) {
    site.limits.credential = Limit { admit: 4, window_ms: 3_600_000 };
    let test_node = TestNode::start(&site).await;
    let args = json!({ "text": "a", "idempotency_key": "k" });
    let mut codes = Vec::new();
    for _ in 0..8 {
        codes.push(code_of(&test_node.call("probe_write", args.clone()).await));
    }
    let answered = codes.iter().filter(|code| code.is_none()).count();
    assert_eq!(answered, 4, "one call and three replays: {codes:?}");
    assert!(codes.iter().skip(4).all(|code| *code == Some(Code::RateLimited)), "{codes:?}");
    assert_eq!(test_node.world.executed().len(), 1);
    check(&test_node.log().await, false);
}

async fn joined_calls_have_one_waiter_and_a_bound(site: Site) {
    let test_node = Arc::new(TestNode::start(&site).await);
    test_node.world.shut();
    let args = json!({ "text": "a", "idempotency_key": "k" });
    let most = JOINED as usize;
    let first = {
        let (test_node, args) = (Arc::clone(&test_node), args.clone());
        tokio::spawn(async move { test_node.call("probe_write", args).await })
    };
    test_node.world.executed_at_least(1).await;
    let joining: Vec<_> = (0..most + 10)
        .map(|_| {
            let mut request = test_node.request("probe_write", args.clone());
            request.wait = Duration::ZERO;
            let test_node = Arc::clone(&test_node);
            tokio::spawn(async move { test_node.control.submit(request).await })
        })
        .collect();
    let mut refused = 0;
    for joined in joining {
        match joined.await.expect("a caller") {
            Reply::Running { .. } => {}
            reply => {
                assert_eq!(code_of(&reply), Some(Code::RateLimited), "{reply:?}");
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 10, "so many may wait for one call, and no more");
    assert_eq!(test_node.control.joins.waiters(), 1, "one task waits for all of them");
    test_node.world.open();
    assert!(matches!(first.await.expect("a caller"), Reply::Done { .. }));
    let ends = async {
        while test_node.control.joins.waiters() > 0 || !test_node.control.in_flight.all().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ends).await.expect("all end with the first one");
    let log = test_node.log().await;
    check(&log, false);
    assert_eq!(log.iter().filter_map(|event| event.kind.end()).filter(|end| end.replay_of.is_some()).count(), most);
}

async fn rounds_of_a_held_call_count_at_the_first_one(site: Site) {
    let test_node = TestNode::start(&site).await;
    test_node.world.hold(Some(Hold::new("it interrupts service")));
    let ask = |follows: Option<String>| {
        let mut request = test_node.request("probe_write", json!({ "text": "a" }));
        request.follows = follows;
        request.wait = Duration::ZERO;
        test_node.control.submit(request)
    };
    assert_eq!(code_of(&ask(None).await), Some(Code::ApprovalRequired));
    let log = wait_for(&test_node, |kind| matches!(kind, EventKind::Held { .. })).await;
    let first = log.iter().find_map(|event| event.kind.call()).expect("a call").to_string();
    let mut named = first.clone();
    for round in 0..JOINED {
        let reply = ask(Some(named.clone())).await;
        assert_eq!(code_of(&reply), Some(Code::ApprovalRequired), "round {round}");
        // Whoever comes back names the call before, or the first one.
        named = if round % 2 == 0 { reply.call().expect("a call").to_string() } else { first.clone() };
    }
    assert_eq!(code_of(&ask(Some(named)).await), Some(Code::RateLimited), "however it is named");
    assert_eq!(test_node.control.joins.waiters(), 1);
}
