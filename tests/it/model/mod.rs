//! The protocol as a model that is searched whole, in every order and with every crash, freeze and lost commit: P1 to P4 hold
//! in each state that it can reach, and each of them fails as soon as the rule that it rests on is taken away.
//!
//! What is modelled, and what is not, is in docs/adr/0009.

mod protocol;
mod state;

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model, Property};

use protocol::{Flaw, Protocol};
use state::{End, Fenced, Job, State};

const WRITE: Protocol = Protocol { queued: false, idempotent: false, ramped: false, records: false, flaw: None };
const RECORD: Protocol = Protocol { records: true, ..WRITE };
const RAMPED: Protocol = Protocol { ramped: true, ..WRITE };
const QUEUED: Protocol = Protocol { queued: true, ..WRITE };
const READ: Protocol = Protocol { idempotent: true, ..WRITE };

const LEAVE: &str = "P1: nothing is sent without leave in the log";
const ENDS: &str = "P2: a call has one end, and none stays open";
const BEGUN: &str = "P2: what is said never to have begun was not sent";
const ADMITTED: &str = "P3: nothing is admitted once the switch is engaged";
const STARTED: &str = "P3: nothing starts once fenced is reported, and who confirmed sends nothing";
const LANDED: &str = "P3: nothing lands behind the switch";
const ONCE: &str = "P4: what may not run twice is sent once";
const TAKEN: &str = "P4: nobody starts what recovery took from him";

type Holds = fn(&Protocol, &State) -> bool;

fn properties() -> Vec<Property<Protocol>> {
    let always: [(_, Holds); 8] = [
        (LEAVE, |_, state| state.sent == 0 || state.admitted),
        (ENDS, one_end),
        (BEGUN, |_, state| state.sent == 0 || state.job != Job::Ended(End::NeverBegun)),
        (ADMITTED, |_, state| !state.admitted_after_engaging),
        (STARTED, |_, state| !state.started_after_fenced),
        (LANDED, |_, state| !state.landed_behind_the_switch),
        (ONCE, |call, state| call.idempotent || state.sent <= 1),
        (TAKEN, |call, state| call.idempotent || !state.started_what_was_taken),
    ];
    // A model in which nothing happens would keep every promise.
    let sometimes: [(_, Holds); 7] = [
        ("it succeeds", |_, state| state.sent > 0 && state.job == Job::Ended(End::Succeeded)),
        ("a switch stops it", |_, state| matches!(state.job, Job::Ended(End::Refused | End::Cancelled))),
        ("a lost commit is found", |_, state| state.job == Job::Ended(End::NeverBegun)),
        ("its turn comes", |call, state| !call.ramped || state.nodes.iter().any(|node| node.let_through && state.sent > 0)),
        ("all confirm", |_, state| state.fenced == Fenced::Reported([true; 2])),
        ("one expires", |_, state| matches!(state.fenced, Fenced::Reported(nodes) if nodes != [true; 2])),
        (
            "a crash is recovered",
            |call, state| {
                if call.idempotent { state.sent == 2 } else { state.job == Job::Ended(End::Unknown) }
            },
        ),
    ];
    let always = always.map(|(name, holds)| Property::always(name, holds));
    always.into_iter().chain(sometimes.map(|(name, holds)| Property::sometimes(name, holds))).collect()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as a property is asked")]
fn one_end(call: &Protocol, state: &State) -> bool {
    let ended = matches!(state.job, Job::Ended(_));
    let goes_on = || {
        let mut actions = Vec::new();
        call.actions(state, &mut actions);
        !actions.is_empty()
    };
    state.ends == u8::from(ended) && (ended || state.job == Job::Unasked || goes_on())
}

#[test]
fn model_a_write_keeps_the_promises() {
    WRITE.checker().threads(2).spawn_bfs().join().assert_properties();
}

#[test]
fn model_a_queued_write_keeps_the_promises() {
    QUEUED.checker().threads(2).spawn_bfs().join().assert_properties();
}

#[test]
fn model_a_read_keeps_the_promises() {
    READ.checker().threads(2).spawn_bfs().join().assert_properties();
}

#[test]
fn model_a_change_of_control_state_keeps_the_promises() {
    RECORD.checker().threads(2).spawn_bfs().join().assert_properties();
}

#[test]
fn model_a_release_step_by_step_keeps_the_promises() {
    RAMPED.checker().threads(2).spawn_bfs().join().assert_properties();
}

#[test]
fn model_each_promise_fails_without_its_rule() {
    let broken = [
        (WRITE, Flaw::StartsBeforeCommit, LEAVE),
        (WRITE, Flaw::DecidesFromCache, ADMITTED),
        (WRITE, Flaw::FenceNotAskedAgain, STARTED),
        (WRITE, Flaw::FencedWithoutSections, STARTED),
        (QUEUED, Flaw::LeaseFromAfterTheWrite, STARTED),
        (WRITE, Flaw::LeaseReadFromTheWall, STARTED),
        (WRITE, Flaw::LeaseReadFromTheWall, TAKEN),
        (WRITE, Flaw::LeaveOutlivesLease, TAKEN),
        (WRITE, Flaw::RunsAgainWhatItMayNot, ONCE),
        (READ, Flaw::NeverBegunByItsRow, BEGUN),
        (READ, Flaw::EndsWhatOthersHave, BEGUN),
        (RAMPED, Flaw::TurnReadFromTheWall, STARTED),
        (RECORD, Flaw::LandsUnasked, LANDED),
        (RECORD, Flaw::LandsUnasked, TAKEN),
    ];
    for (call, flaw, promise) in broken {
        let search = Protocol { flaw: Some(flaw), ..call }.checker();
        let found = search.finish_when(HasDiscoveries::AnyOf(BTreeSet::from([promise]))).spawn_bfs().join();
        assert!(found.discovery(promise).is_some(), "{flaw:?} should break {promise:?}");
    }
}
