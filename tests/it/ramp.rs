//! A ramped release: who is let through and when, as arithmetic, with real calls on two nodes, and told from the log alone.

use std::collections::BTreeSet;
use std::time::Duration;

use forelog::control::{Reply, Request};
use forelog::core::code::Code;
use forelog::core::covering::Covered;
use forelog::core::event::{CredentialCreated, Event, EventKind};
use forelog::core::id::{CredentialId, SwitchId};
use forelog::core::principal::Side;
use forelog::core::ramp::Ramp;
use forelog::core::scope::Scope;
use forelog::core::switch::Running;
use forelog::core::time::{Clock, Micros};
use forelog::log::fence::Admissibility;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixtures::{NEW_YEAR, credential, key_made, switch};
use crate::promises::wait_for;
use crate::test_node::{Site, TestNode, on_both};

const MINUTE: Duration = Duration::from_mins(1);

proptest! {
    #[test]
    fn a_key_that_is_let_through_stays_let_through(key in 1..10_000_i64, which in 1..50_i64, span in 0..7_200_000_000_i64, at in -10..7_300_000_000_i64, more in 0..7_300_000_000_i64) {
        let ramp = Ramp { since: NEW_YEAR, until: Micros(NEW_YEAR.0 + span) };
        let passes = |offset: i64| ramp.lets_through(&switch(which), &credential(key), Micros(NEW_YEAR.0 + offset));
        prop_assert!(!passes(at) || passes(at + more), "let through and stopped again");
        prop_assert!(passes(span), "at the end everybody is let through");
        prop_assert!(span == 0 || !passes(0), "at the beginning nobody is");
        let turn = ramp.turn(&switch(which), &credential(key));
        prop_assert!((ramp.since..=ramp.until).contains(&turn));
        prop_assert_eq!(passes(at), Micros(NEW_YEAR.0 + at) >= turn, "the turn is when it is let through");
    }
}

#[test]
fn keys_come_back_evenly_and_in_another_order_for_each_switch() {
    let ramp = Ramp { since: NEW_YEAR, until: NEW_YEAR.plus(MINUTE * 100) };
    for minutes in [10_u32, 50, 90] {
        let now = NEW_YEAR.plus(MINUTE * minutes);
        let through = (1..=1000).filter(|key| ramp.lets_through(&switch(1), &credential(*key), now)).count();
        let wanted = usize::try_from(minutes).expect("small") * 10;
        assert!(through.abs_diff(wanted) < 60, "{through} of 1000 after {minutes} of 100 minutes");
        assert_eq!(u32::from(ramp.percent(now)), minutes);
    }
    let order = |of: i64| {
        let mut keys: Vec<_> = (1..=20).map(credential).collect();
        keys.sort_by_key(|key| ramp.turn(&switch(of), key));
        keys
    };
    assert_ne!(order(1), order(2), "nobody is always the last");
}

#[test]
fn a_place_in_the_queue_is_what_it_was_when_the_log_was_written() {
    let ramp = Ramp { since: Micros(0), until: Micros(1_000_000) };
    let turns: Vec<i64> = (1..=3).map(|key| ramp.turn(&switch(1), &credential(key)).0).collect();
    assert_eq!(turns, PLACES, "an auditor computes the same in ten years");
}

/// SHA-256 of `SWITCH/CREDENTIAL`, its first eight bytes as a share of 2^64, of a million microseconds, and one.
const PLACES: [i64; 3] = [935_443, 390_628, 8_263];

on_both! {
    keys_come_back_one_after_the_other, p03_keys_come_back_one_after_the_other_on_every_node, postgres_p03_keys_come_back_one_after_the_other_on_every_node;
    the_second_fence_goes_by_the_log, p03_the_second_fence_of_a_ramp_goes_by_the_log_and_not_by_the_clock, postgres_p03_the_second_fence_of_a_ramp_goes_by_the_log_and_not_by_the_clock;
}

async fn make_keys(test_node: &TestNode, count: usize) -> Vec<CredentialId> {
    let ports = &test_node.control.ports;
    let mut keys = Vec::new();
    for _ in 0..count {
        let id = CredentialId::new(ports.clock.now(), &*ports.entropy);
        let created = CredentialCreated {
            credential: id.clone(),
            account: test_node.account.clone(),
            user: test_node.user.clone(),
            side: Side::Customer,
            hash: id.to_string().into(),
            prefix: "flk_live_ramped".into(),
            scopes: Scope::customer(),
            ..key_made(1)
        };
        test_node.change(EventKind::CredentialCreated(created), Value::Null).await;
        keys.push(id);
    }
    keys
}

async fn passes(test_node: &TestNode, key: &CredentialId) -> bool {
    let request = test_node.request("probe_write", json!({}));
    let mut principal = request.principal.clone();
    principal.credential = key.clone();
    match test_node.control.submit(Request { principal, ..request }).await {
        Reply::Done { .. } => true,
        Reply::Failed { refusal, .. } => {
            assert_eq!(refusal.code, Code::KillSwitchEngaged, "{refusal:?}");
            false
        }
        Reply::Running { .. } => panic!("a probe never stays"),
    }
}

async fn ramp(test_node: &TestNode, switch: &SwitchId, over: Duration) {
    let until = test_node.clock.after(over);
    let kind = EventKind::ReleaseRamped { switch: switch.clone(), by: None, second: None, until, break_glass: true };
    test_node.change(kind, json!({ "reason": "over" })).await;
}

async fn keys_come_back_one_after_the_other(site: Site) {
    let nodes = [TestNode::start(&site).await, TestNode::start(&site).await];
    let keys = make_keys(&nodes[0], 24).await;
    let switch = nodes[0].engage("all", Running::Cancel).await;
    ramp(&nodes[1], &switch, MINUTE * 10).await;
    let mut through: BTreeSet<CredentialId> = BTreeSet::new();
    let mut sizes = Vec::new();
    for _ in 0..11 {
        for (key, node) in keys.iter().zip(nodes.iter().cycle()) {
            let passed = passes(node, key).await;
            assert!(passed || !through.contains(key), "{key} was let through and is stopped again");
            if passed {
                through.insert(key.clone());
            }
        }
        sizes.push(through.len());
        site.clock.pass(MINUTE);
        for node in &nodes {
            node.beat().await;
        }
    }
    assert_eq!((sizes.first(), sizes.last()), (Some(&0), Some(&24)), "nobody at first, everybody at the end");
    let steps: BTreeSet<_> = sizes.iter().collect();
    assert!(steps.len() > 5, "they came back all at once: {sizes:?}");
    let log = wait_for(&nodes[0], |kind| matches!(kind, EventKind::SwitchExpired { .. })).await;
    assert_eq!(let_through_by_the_log(&log), 0, "an auditor finds an admission that the switch covered");
    assert!(sizes.iter().sum::<usize>() > 100, "the load was real");

    let again = nodes[1].engage("all", Running::Cancel).await;
    ramp(&nodes[1], &again, MINUTE * 10).await;
    site.clock.pass(MINUTE * 5);
    for node in &nodes {
        node.beat().await;
    }
    let back = keys.iter().filter(|key| {
        let ramp = nodes[0].writer.fence().state().switches[&again].ramp.expect("a ramp");
        ramp.lets_through(&again, key, site.clock.now())
    });
    let back: Vec<_> = back.cloned().collect();
    assert!(!back.is_empty() && passes(&nodes[0], &back[0]).await);
    nodes[0].engage("all", Running::Cancel).await;
    for (key, node) in keys.iter().zip(nodes.iter().cycle()) {
        assert!(!passes(node, key).await, "{key} passes although everything was stopped again");
    }
}

/// Admissions that a switch covered, told from the leaves alone.
fn let_through_by_the_log(log: &[Event]) -> usize {
    let (mut engaged, mut keys): (std::collections::BTreeMap<&SwitchId, Option<Ramp>>, std::collections::BTreeMap<_, _>) =
        Default::default();
    let mut wrong = 0;
    for event in log {
        match &event.kind {
            EventKind::SwitchEngaged { switch, .. } => drop(engaged.insert(switch, None)),
            EventKind::ReleaseRamped { switch, until, .. } => {
                engaged.insert(switch, Some(Ramp { since: event.at, until: *until }));
            }
            EventKind::SwitchExpired { switch } => drop(engaged.remove(switch)),
            EventKind::IntentRecorded(intent) => drop(keys.insert(&intent.call, &intent.credential)),
            EventKind::Admitted(admitted) => {
                let key = keys[&admitted.call];
                let stops = |(switch, ramp): (&&SwitchId, &Option<Ramp>)| {
                    ramp.is_none_or(|ramp| !ramp.lets_through(switch, key, event.at))
                };
                wrong += usize::from(engaged.iter().any(stops));
            }
            _ => {}
        }
    }
    wrong
}

async fn the_second_fence_goes_by_the_log(site: Site) {
    let test_node = TestNode::start(&site).await;
    let fence = test_node.writer.fence();
    let tool = test_node.control.catalogue.get("probe_write").expect("a tool").facts;
    let call = Covered {
        tool,
        account: &test_node.account,
        credential: &test_node.credential,
        resources: &[],
        providers: &[],
        visible: false,
    };
    let before = site.clock.now();
    let switch = test_node.engage("all", Running::Cancel).await;
    ramp(&test_node, &switch, MINUTE * 10).await;
    let ramp = fence.state().switches[&switch].ramp.expect("a ramp");
    let turn = ramp.turn(&switch, &test_node.credential);
    let enter =
        |at: Micros| fence.enter(&call, Admissibility { lease: fence.lease(), at }).map(drop).map_err(|refusal| refusal.code);
    site.clock.jump(3_600_000_000);
    for at in [before, ramp.since, Micros(turn.0 - 1)] {
        assert_eq!(enter(at), Err(Code::KillSwitchEngaged), "decided at {at:?}, and this node's clock says that it is over");
    }
    site.clock.jump(-7_200_000_000);
    assert_eq!(enter(turn), Ok(()), "the log let it through; a clock that is behind does not stop it");
    site.clock.jump(3_600_000_000);
    test_node.engage("all", Running::Cancel).await;
    assert_eq!(enter(turn), Err(Code::KillSwitchEngaged), "everything was stopped again after it was let through");
}
