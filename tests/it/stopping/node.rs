//! What a node does by itself: it rehearses its stops, admits nothing that it could not stop, and writes to no log that others
//! do not see.

use std::sync::Arc;
use std::time::Duration;

use forelog::control::Reply;
use forelog::core::code::Code;
use forelog::core::event::EventKind;
use forelog::core::id::{AccountId, Position, SwitchId};
use forelog::core::principal::Side;
use forelog::core::scrub::Scrubbed;
use forelog::core::switch::{Running, Target};
use forelog::export::verify::{Extent, verify};
use forelog::log::draft::NewEvent;
use forelog::log::stop_sealing::SealingNeed;
use forelog::log::store::Want;
use forelog::log::vault::Vault;
use serde_json::json;

use super::{House, On, TIMEOUT};
use crate::harness::until;
use crate::promises::check;
use crate::test_node::{Site, TestNode, on_both};

on_both! {
    what_cannot_be_stopped_is_not_admitted, p15_a_node_that_cannot_stop_admits_nothing, postgres_p15_a_node_that_cannot_stop_admits_nothing;
    only_stops_leave_out, p15_only_what_stops_is_written_without_its_text, postgres_p15_only_what_stops_is_written_without_its_text;
    a_month_turns, p15_a_result_is_recorded_whole_though_the_month_turns_without_the_vault,
        postgres_p15_a_result_is_recorded_whole_though_the_month_turns_without_the_vault;
}

/// The database takes every row but those of switches.
async fn refuse_switches(site: &Site, refuse: bool) {
    let script = match (site.log.is_empty(), refuse) {
        (true, true) => {
            "create trigger no_stop before insert on state when new.name like 'switch:%' begin select raise(abort, 'no'); end"
        }
        (true, false) => "drop trigger no_stop",
        (false, true) => {
            "create function no_stop() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
             create trigger no_stop before insert on state for each row when (new.name like 'switch:%') execute function no_stop()"
        }
        (false, false) => "drop trigger no_stop on state",
    };
    let room = site.room().await;
    let mut transaction = room.begin().await.expect("a transaction");
    transaction.script(script).await.expect(script);
    transaction.commit().await.expect("a commit");
}

async fn what_cannot_be_stopped_is_not_admitted(site: Site) {
    let test_node = TestNode::start(&site).await;
    assert!(matches!(test_node.call("probe_write", json!({})).await, Reply::Done { .. }));
    refuse_switches(&site, true).await;
    let refused = || async {
        match test_node.call("probe_read", json!({})).await {
            Reply::Failed { refusal, call, .. } => {
                assert_eq!(refusal.code, Code::AuditUnavailable, "{refusal:?}");
                assert!(call.is_some() || refusal.details["run_id"].is_string(), "it is recorded: {refusal:?}");
                true
            }
            _ => false,
        }
    };
    until(TIMEOUT, "a call that could not be stopped is refused", refused).await;
    let made = test_node.world.executed().len();
    assert!(refused().await);
    assert_eq!(test_node.world.executed().len(), made, "nothing runs");
    refuse_switches(&site, false).await;
    until(TIMEOUT, "it can be stopped again, and is made", async || {
        matches!(test_node.call("probe_write", json!({})).await, Reply::Done { .. })
    })
    .await;
    check(&test_node.log().await, false);
}

/// Whoever edits the log cannot take the text from something else by saying so.
async fn only_stops_leave_out(site: Site) {
    let test_node = TestNode::start(&site).await;
    let ports = &test_node.control.ports;
    let away = Vault::away("it is away", zeroize::Zeroizing::new([7; 32]), Arc::clone(&ports.entropy));
    let account = AccountId::new(ports.clock.now(), &*ports.entropy);
    let switch = SwitchId::new(ports.clock.now(), &*ports.entropy);
    let engaged = EventKind::SwitchEngaged {
        switch: switch.clone(),
        target: Target::All,
        by: None,
        credential: None,
        running: Running::LetFinish,
        expires_at: None,
    };
    let kinds = [engaged, EventKind::AccountCreated { account, side: Side::Customer }];
    for (kind, findings) in kinds.into_iter().zip([0, 1]) {
        let (id, note) = (test_node.event_id(), Scrubbed::of(json!({ "reason": "an incident" })));
        assert!(
            away.seal(&test_node.account, ports.clock.now(), &id, "note", &note).await.is_err(),
            "what has to be recorded is not"
        );
        let part =
            away.seal_as(SealingNeed::IfAtHand, &test_node.account, ports.clock.now(), &id, "note", &note).await.expect("a part");
        let event = NewEvent::noted(id, kind, part, note);
        test_node.writer.write(Want::default(), move |draft| draft.append(Position(0), event.clone())).await.expect("an event");
        let report =
            verify(&*test_node.reader.store, Some(&test_node.reader.vault), Extent::Whole, |_, _| {}).await.expect("a walk");
        assert_eq!((report.left_out, report.findings.len()), (1, findings), "{report:?}");
    }
    let state = test_node.writer.fence().state();
    assert_eq!(state.switches[&switch].reason, "", "control state follows from what is kept");
}

/// A call that began while its vault was there ends in a month whose key nobody has.
async fn a_month_turns(site: Site) {
    let test_node = Arc::new(TestNode::start(&site).await);
    test_node.world.shut();
    let caller = tokio::spawn({
        let test_node = Arc::clone(&test_node);
        async move { test_node.call("probe_write", json!({})).await }
    });
    test_node.world.executed_at_least(1).await;
    let (vault, aside) = (site.dir().join("vault.db"), site.dir().join("vault.db.aside"));
    std::fs::rename(&vault, &aside).expect("moved away");
    test_node.clock.pass(Duration::from_hours(24 * 20));
    test_node.world.open();
    assert!(matches!(caller.await.expect("the caller"), Reply::Done { .. }));
    std::fs::rename(&aside, &vault).expect("moved back");
    let report = verify(&*test_node.reader.store, Some(&test_node.reader.vault), Extent::Whole, |_, _| {}).await.expect("a walk");
    assert!(report.is_clean() && report.opened == report.payloads && report.left_out == 0, "{report:?}");
}

/// Where others do not see what is written, nothing is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p15_a_log_that_was_moved_away_takes_no_call() {
    let house = House::open(On::Sqlite, "[providers.sim]\nmachines = [\"web-1\"]\n").await;
    assert_eq!(house.refused(&house.agent, "vm_list").await, "");
    let moved = super::parts::Part::Moved("log").break_in(&house).await;
    let (status, said) = house.call(&house.agent, "vm_list").await;
    assert_eq!((status, &said["error"]["code"]), (503, &json!("audit_unavailable")), "{said}");
    moved.mend(&house).await;
    house.run(&["switch", "engage", "all", "--reason", "an incident"]);
    assert_eq!(house.refused(&house.agent, "vm_list").await, "kill_switch_engaged");
    assert_eq!(house.run(&["log", "verify"])["findings"], json!([]));
}
