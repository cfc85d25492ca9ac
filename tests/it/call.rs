//! The life of a call: which event may follow which, written down in full, and that a call ends once (P2).

use std::fmt::Write;

use forelog::core::call::{Status, next};
use forelog::core::event::EventKind;
use proptest::prelude::*;

use crate::kinds;

const STATUSES: [Option<Status>; 11] = [
    None,
    Some(Status::Recorded),
    Some(Status::Held),
    Some(Status::Queued),
    Some(Status::Running),
    Some(Status::Refused),
    Some(Status::Succeeded),
    Some(Status::Failed),
    Some(Status::Cancelled),
    Some(Status::TimedOut),
    Some(Status::Unknown),
];

/// An event of one call, by what it is called in these tests: `claimed` and `queued` are the two ways to be admitted.
fn event(name: &str) -> EventKind {
    match name {
        "claimed" => kinds::admitted(true),
        "queued" => kinds::admitted(false),
        name => kinds::one_of_each().into_iter().find(|kind| kind.name() == name).expect("an event of this name"),
    }
}

/// What may happen to a call, and what the call is after it.
fn steps(status: Option<Status>) -> &'static [(&'static str, Status)] {
    use Status::{Cancelled, Failed, Held, Queued, Recorded, Refused, Running, Succeeded, TimedOut, Unknown};
    match status {
        None => &[("intent_recorded", Recorded)],
        Some(Recorded) => &[("refused", Refused), ("claimed", Running), ("queued", Queued), ("held", Held)],
        Some(Held) => &[("refused", Refused), ("claimed", Running), ("queued", Queued), ("approval_decided", Held)],
        Some(Queued) => &[
            ("started", Running),
            ("cancelled", Cancelled),
            ("timed_out", TimedOut),
            ("unknown", Unknown),
            ("cancel_requested", Queued),
        ],
        Some(Running) => &[
            ("cancel_requested", Running),
            ("started", Running),
            ("succeeded", Succeeded),
            ("failed", Failed),
            ("cancelled", Cancelled),
            ("timed_out", TimedOut),
            ("unknown", Unknown),
        ],
        Some(Refused) => &[],
        Some(Succeeded) => &[("late_result", Succeeded)],
        Some(Failed) => &[("late_result", Failed)],
        Some(Cancelled) => &[("late_result", Cancelled)],
        Some(TimedOut) => &[("late_result", TimedOut)],
        Some(Unknown) => &[("late_result", Unknown), ("reconciled", Unknown)],
    }
}

const OF_A_CALL: [&str; 15] = [
    "intent_recorded",
    "refused",
    "claimed",
    "queued",
    "held",
    "started",
    "succeeded",
    "failed",
    "cancelled",
    "timed_out",
    "unknown",
    "reconciled",
    "late_result",
    "approval_decided",
    "cancel_requested",
];

#[test]
fn every_status_and_event_has_one_written_answer() {
    let mut names: Vec<_> = kinds::one_of_each().iter().map(EventKind::name).filter(|name| *name != "admitted").collect();
    names.extend(["claimed", "queued"]);
    let mut table = String::new();
    for status in STATUSES {
        for name in &names {
            if let Ok(after) = next(status, &event(name)) {
                let before = status.map_or("-", Status::as_str);
                writeln!(table, "{before:10} {name:16} {}", after.as_str()).expect("a string takes it");
            }
        }
    }
    assert_eq!(table, include_str!("golden/transitions.txt"), "only what is listed may happen");
}

#[test]
fn a_refused_step_says_what_and_where() {
    let error = next(Some(Status::Refused), &event("started")).expect_err("a refused call never starts");
    assert_eq!(error.to_string(), "folding a call: started cannot follow Some(Refused)");
}

proptest! {
    #[test]
    fn whatever_comes_a_call_ends_at_most_once(names in proptest::collection::vec(proptest::sample::select(OF_A_CALL.to_vec()), 0..60)) {
        let mut status = None;
        let mut ends = 0;
        for name in names {
            let before = status;
            let expected = steps(before).iter().find(|(step, _)| *step == name).map(|(_, after)| *after);
            let after = next(before, &event(name)).ok();
            prop_assert_eq!(after, expected, "{} after {:?}", name, before);
            status = after.or(before);
            let was_over = before.is_some_and(Status::is_terminal);
            ends += usize::from(!was_over && status.is_some_and(Status::is_terminal));
            prop_assert!(!was_over || status == before, "the end stands");
        }
        prop_assert!(ends <= 1);
        prop_assert_eq!(ends == 1, status.is_some_and(Status::is_terminal));
    }

    #[test]
    fn every_legal_life_is_accepted_and_ends_exactly_once(choices in proptest::collection::vec(any::<proptest::sample::Index>(), 1..40)) {
        let mut status = None;
        let mut ends = 0;
        for choice in choices {
            let legal = steps(status);
            if legal.is_empty() {
                break;
            }
            let (name, after) = legal[choice.index(legal.len())];
            prop_assert_eq!(next(status, &event(name)), Ok(after));
            ends += usize::from(after.is_terminal() && !status.is_some_and(Status::is_terminal));
            status = Some(after);
        }
        prop_assert_eq!(ends, usize::from(status.is_some_and(Status::is_terminal)));
    }

    #[test]
    fn an_event_of_something_else_never_belongs_to_a_call(at in any::<proptest::sample::Index>()) {
        let others: Vec<_> = kinds::one_of_each().into_iter().filter(|kind| kind.call().is_none()).collect();
        let other = &others[at.index(others.len())];
        for status in STATUSES {
            prop_assert!(next(status, other).is_err());
        }
    }
}

#[test]
fn from_every_status_an_end_can_be_reached() {
    for status in STATUSES.into_iter().filter(|status| !status.is_some_and(Status::is_terminal)) {
        let mut seen = vec![status];
        let mut at = 0;
        while let Some(now) = seen.get(at).copied() {
            at += 1;
            let after =
                steps(now).iter().map(|(_, after)| Some(*after)).filter(|after| !seen.contains(after)).collect::<Vec<_>>();
            seen.extend(after);
        }
        assert!(seen.iter().flatten().any(|status| status.is_terminal()), "{status:?} is a dead end");
    }
}
