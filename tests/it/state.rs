//! Control rows: what is stored is what the events fold to, and what cannot be read is not guessed at (P12).

use std::collections::BTreeMap;

use forelog::core::event::EventKind;
use forelog::core::id::Position;
use forelog::core::state::{ControlState, RowKind, RowName};
use forelog::core::switch::{Running, Target};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixtures::{NEW_YEAR, account, credential, invitation, switch, user, vm};
use crate::kinds;

/// The stored rows, as the writer keeps them: the newest of each name.
#[derive(Default)]
struct Stored {
    rows: BTreeMap<RowName, (Position, Vec<u8>)>,
}

impl Stored {
    fn put(&mut self, state: &ControlState, position: Position, names: Vec<RowName>) {
        for name in names {
            let doc = state.row(&name).expect("a row");
            self.rows.insert(name, (position, doc));
        }
    }

    /// Brings `state` up to date by what changed after it.
    fn reload(&self, state: &mut ControlState) {
        let known = state.position;
        for (name, (_, doc)) in self.rows.iter().filter(|(_, (position, _))| *position > known) {
            state.load(name.kind.as_str(), &name.key, doc).expect("a readable row");
        }
    }
}

fn same(one: &ControlState, other: &ControlState) -> bool {
    let rows = |state: &ControlState| {
        let ControlState { accounts, credentials, vms, switches, policy, users: people, invitations, .. } = state.clone();
        (accounts, credentials, vms, switches, policy, people, invitations)
    };
    rows(one) == rows(other)
}

fn note() -> Value {
    json!({ "label": "web", "reason": "an incident", "message": "Back at noon.", "incident": "INC-1", "ips": ["10.0.0.0/8"] })
}

fn changes() -> impl Strategy<Value = EventKind> {
    let all = kinds::one_of_each().into_iter().filter(|kind| kind.call().is_none()).collect::<Vec<_>>();
    prop_oneof![
        proptest::sample::select(all),
        (1..4_i64).prop_map(engaged),
        (1..4_i64).prop_map(|n| EventKind::SwitchReleased {
            switch: switch(n),
            by: Some(user(1)),
            second: None,
            break_glass: false
        }),
        (1..3_i64).prop_map(|n| EventKind::VmExecSet { vm: vm(n), enabled: n == 1 }),
        (1..3_i64).prop_map(|n| EventKind::CredentialRevoked { credential: credential(n), by: None }),
    ]
}

fn engaged(n: i64) -> EventKind {
    EventKind::SwitchEngaged {
        switch: switch(n),
        target: Target::Account(account(n)),
        by: None,
        credential: None,
        running: Running::LetFinish,
        expires_at: None,
    }
}

proptest! {
    #[test]
    fn a_node_that_reads_only_what_changed_knows_what_the_log_says(kinds in proptest::collection::vec(changes(), 0..40), at in 0..40_usize) {
        let (mut folded, mut stored, mut node) = (ControlState::default(), Stored::default(), ControlState::default());
        for (index, (kind, position)) in kinds.iter().zip((1..).map(Position)).enumerate() {
            let epoch = folded.epoch;
            let names = folded.apply(position, NEW_YEAR, kind, &note());
            // Mending changes no row, and may move the epoch to what a forged head says.
            if !matches!(kind, EventKind::StateMended { .. }) {
                prop_assert_eq!(folded.epoch > epoch, !names.is_empty(), "the epoch moves with every change, and only then");
            }
            stored.put(&folded, position, names);
            if index == at {
                stored.reload(&mut node);
                prop_assert!(same(&node, &folded));
                node.position = position;
            }
        }
        stored.reload(&mut node);
        prop_assert!(same(&node, &folded), "{node:?}\n{folded:?}");
    }

    #[test]
    fn no_bytes_make_reading_panic(kind in "(account|person|invitation|credential|vm|switch|policy|other)", key in ".{0,8}", doc in any::<Vec<u8>>()) {
        prop_assert!(ControlState::default().load(&kind, &key, &doc).is_err(), "random bytes are no row");
    }
}

#[test]
fn a_blank_or_broken_row_refuses_and_releases_nothing() {
    let mut state = ControlState::default();
    state.apply(Position(1), NEW_YEAR, &engaged(1), &note());
    let key = switch(1).to_string();
    for kind in ["account", "person", "invitation", "credential", "vm", "policy", "switch"] {
        for doc in [&b""[..], b" ", b"{}", b"[]", b"\xff", b"{\"id\":\"\"}"] {
            assert!(state.load(kind, &key, doc).is_err(), "{kind} from {doc:?}");
        }
    }
    for kind in ["account", "person", "credential", "vm", "policy"] {
        assert!(state.load(kind, &key, b"null").is_err(), "only a switch or an invitation goes away, not the {kind}");
    }
    assert_eq!(state.switches.len(), 1, "a blank row is no release");
    state.load("switch", &key, b"null").expect("a tombstone");
    assert!(state.switches.is_empty());
}

#[test]
fn a_row_under_another_key_refuses() {
    let mut state = ControlState::default();
    for (kind, position) in kinds::one_of_each().into_iter().zip((1..).map(Position)) {
        for name in state.apply(position, NEW_YEAR, &kind, &note()) {
            let doc = state.row(&name).expect("a row");
            let ids = [account(9).to_string(), credential(9).to_string(), vm(9).to_string(), switch(9).to_string()];
            let moved: Vec<_> = ids.into_iter().chain([user(9).to_string(), invitation(9).to_string()]).collect();
            let wrong = |key: &String| ControlState::default().load(name.kind.as_str(), key, &doc).is_err();
            assert!(
                matches!(name.kind, RowKind::Policy | RowKind::Limits | RowKind::Clock)
                    || doc == b"null"
                    || moved.iter().all(wrong),
                "{name:?}"
            );
        }
    }
}

#[test]
fn a_revoked_key_stays_revoked_since_the_first_time() {
    let mut state = ControlState::default();
    let created = kinds::one_of_each().into_iter().find(|kind| kind.name() == "credential_created").expect("one of each");
    state.apply(Position(1), NEW_YEAR, &created, &note());
    let revoked = EventKind::CredentialRevoked { credential: credential(1), by: None };
    state.apply(Position(2), NEW_YEAR, &revoked, &note());
    state.apply(Position(3), NEW_YEAR.plus(std::time::Duration::from_secs(9)), &revoked, &note());
    let key = state.credentials.get(&credential(1)).expect("the key");
    assert_eq!(key.revoked_at, Some(NEW_YEAR));
    assert_eq!((key.label.as_str(), key.ips.as_deref()), ("web", Some(&["10.0.0.0/8".to_owned()][..])));
}
