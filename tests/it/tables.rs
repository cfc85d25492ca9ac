//! Tables of control state: what finds a row is what a walk over all rows would find, however the rows came there; and a copy is
//! a copy, whatever happens to what it was taken of.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use forelog::core::event::{CredentialCreated, EventKind};
use forelog::core::id::{CredentialId, Position};
use forelog::core::principal::Side;
use forelog::core::role::Role;
use forelog::core::root::RootKey;
use forelog::core::state::{ControlState, RowName};
use forelog::core::switch::{Running, Target};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixtures::{NEW_YEAR, account, credential, invitation, key_made, switch, user, vm};
use crate::kinds;

const LABELS: [&str; 3] = ["web", "web-2", "we"];

/// An event, and the label that its note says.
type Said = (EventKind, &'static str);

fn made(n: i64, owner: i64, maker: Option<i64>, rotates: Option<i64>, role: Option<Role>) -> EventKind {
    EventKind::CredentialCreated(CredentialCreated {
        account: account(owner),
        user: user(owner),
        hash: format!("{n:064x}").into(),
        made_by: maker.map(credential),
        rotates: rotates.map(credential),
        role,
        ..key_made(n)
    })
}

fn of_keys() -> impl Strategy<Value = EventKind> {
    let key = 1..9_i64;
    let some = proptest::option::of(1..9_i64);
    prop_oneof![
        4 => (key.clone(), 1..4_i64, some.clone(), some).prop_map(|(n, owner, maker, old)| made(n, owner, maker, old, None)),
        1 => (key.clone(), 1..4_i64).prop_map(|(n, owner)| made(n, owner, None, None, Some(Role::Owner))),
        1 => (key.clone(), key.clone()).prop_map(|(n, with)| EventKind::CredentialAdopted {
            credential: credential(n),
            by: None,
            with: credential(with)
        }),
        1 => key.prop_map(|n| EventKind::CredentialRevoked { credential: credential(n), by: None }),
    ]
}

fn of_vms() -> impl Strategy<Value = EventKind> {
    prop_oneof![
        3 => (1..9_i64, 1..4_i64, 1..3_i64, 1..5_i64).prop_map(|(n, owner, provider, machine)| EventKind::VmImported {
            vm: vm(n),
            account: account(owner),
            provider: format!("sim-{provider}").into(),
            machine: format!("m-{machine}").into(),
        }),
        1 => (1..9_i64, any::<bool>()).prop_map(|(n, enabled)| EventKind::VmExecSet { vm: vm(n), enabled }),
    ]
}

fn of_people() -> impl Strategy<Value = EventKind> {
    let who = 1..6_i64;
    let host = proptest::option::of(1..6_i64);
    prop_oneof![
        2 => (who.clone(), 1..4_i64, host.clone()).prop_map(|(n, owner, host)| EventKind::UserCreated {
            user: user(n),
            account: account(owner),
            side: Side::Customer,
            role: Some(Role::Admin),
            invitation: Some(invitation(n)),
            invited_by: host.map(user),
            address: None,
        }),
        1 => (who.clone(), 1..4_i64).prop_map(|(n, digest)| EventKind::IdentityLinked {
            user: user(n),
            issuer: "staff".into(),
            known_as: Some(format!("d{digest}").into()),
        }),
        1 => (who.clone(), 1..4_i64).prop_map(|(n, owner)| EventKind::RoleChanged {
            user: user(n),
            account: account(owner),
            role: Role::Member,
            by: None
        }),
        1 => (who.clone(), 1..4_i64).prop_map(|(n, owner)| EventKind::UserRemoved { user: user(n), account: account(owner), by: None }),
        1 => (who, 1..4_i64, host).prop_map(|(n, owner, by)| EventKind::PersonInvited {
            invitation: invitation(n),
            account: account(owner),
            role: Role::Member,
            by: by.map(user),
            credential: None,
            expires_at: NEW_YEAR,
            address: None,
        }),
    ]
}

fn of_switches() -> impl Strategy<Value = EventKind> {
    prop_oneof![
        (1..4_i64).prop_map(|n| EventKind::SwitchEngaged {
            switch: switch(n),
            target: Target::Credential(credential(n)),
            by: None,
            credential: None,
            running: Running::LetFinish,
            expires_at: None,
        }),
        (1..4_i64).prop_map(|n| EventKind::SwitchReleased { switch: switch(n), by: None, second: None, break_glass: true }),
    ]
}

fn changes() -> impl Strategy<Value = Said> {
    let others: Vec<EventKind> = kinds::one_of_each().into_iter().filter(|kind| kind.call().is_none()).collect();
    let accounts = (1..4_i64, any::<bool>()).prop_map(|(n, staff)| EventKind::AccountCreated {
        account: account(n),
        side: if staff { Side::Staff } else { Side::Customer },
    });
    let kinds = prop_oneof![
        4 => of_keys(),
        3 => of_vms(),
        3 => of_people(),
        1 => of_switches(),
        1 => accounts,
        1 => proptest::sample::select(others),
    ];
    (kinds, proptest::sample::select(&LABELS[..]))
}

/// Whether a log may say so: a key is made once, and replaces one that is there.
fn is_sound(state: &ControlState, kind: &EventKind) -> bool {
    let EventKind::CredentialCreated(made) = kind else { return true };
    let is_there = |id: &CredentialId| state.credentials.contains_key(id);
    !is_there(&made.credential) && made.rotates.as_ref().is_none_or(is_there)
}

/// What is found, and what a walk over all rows says should be.
pub fn check(state: &ControlState) {
    let (keys, vms, people) = (state.credentials.values(), state.vms.values(), state.users.values());
    let (keys, vms, people): (Vec<_>, Vec<_>, Vec<_>) = (keys.collect(), vms.collect(), people.collect());
    for n in 1..10 {
        let (id, owner) = (account(n), user(n));
        let mut own: Vec<_> = keys.iter().copied().filter(|row| row.created.account == id).collect();
        own.sort_by_key(|row| (row.created_at, &row.created.credential));
        assert_eq!(state.keys_of(&id).collect::<Vec<_>>(), own);
        assert_eq!(state.count_keys_of(&id), own.len());
        let own: Vec<_> = keys.iter().copied().filter(|row| row.created.user == owner).collect();
        assert_eq!(state.keys_of_user(&owner).collect::<Vec<_>>(), own);
        assert_eq!(state.vms_of(&id).collect::<Vec<_>>(), vms.iter().copied().filter(|vm| vm.account == id).collect::<Vec<_>>());
        for label in LABELS {
            let named = vms.iter().copied().filter(|vm| vm.account == id && vm.label == label).collect::<Vec<_>>();
            assert_eq!(state.vms_labelled(&id, label).collect::<Vec<_>>(), named);
        }
        assert_eq!(
            state.users_of(&id).collect::<Vec<_>>(),
            people.iter().copied().filter(|row| row.account == id).collect::<Vec<_>>()
        );
        let invited = |row: &forelog::core::user::User| row.invited.as_ref().is_some_and(|invited| invited.by == owner);
        assert_eq!(
            state.guests_of(&owner).collect::<Vec<_>>(),
            people.iter().copied().filter(|row| invited(row)).collect::<Vec<_>>()
        );
        let digest = format!("d{n}");
        let known = people.iter().copied().filter(|row| row.known_as.contains(&digest)).collect::<Vec<_>>();
        assert_eq!(state.known_as(&digest).collect::<Vec<_>>(), known);
        let open = || state.invitations.values();
        assert_eq!(state.invitations_of(&id).collect::<Vec<_>>(), open().filter(|row| row.account == id).collect::<Vec<_>>());
        let by = open().filter(|row| row.by.as_ref() == Some(&owner)).collect::<Vec<_>>();
        assert_eq!(state.invitations_by(&owner).collect::<Vec<_>>(), by);
        come_of(state, &credential(n));
    }
    for row in &keys {
        assert_eq!(state.key_hashed(&row.created.hash).map(|found| &found.created.hash), Some(&row.created.hash));
    }
    for row in &vms {
        let there = |vm: &&forelog::core::state::Vm| vm.provider == row.provider && vm.machine == row.machine;
        assert_eq!(state.vm_on(&row.provider, &row.machine), vms.iter().copied().find(there));
        let at: BTreeSet<_> = vms.iter().filter(|vm| vm.provider == row.provider).map(|vm| &vm.id).collect();
        assert_eq!(state.vms_at(&row.provider).map(|vm| &vm.id).collect::<BTreeSet<_>>(), at);
    }
    assert_eq!(state.providers().collect::<BTreeSet<_>>(), vms.iter().map(|vm| vm.provider.as_str()).collect());
    assert_eq!(state.owners().collect::<BTreeSet<_>>(), vms.iter().map(|vm| &vm.account).collect());
    let staff = state.accounts.values().find(|row| row.side == Side::Staff).map(|row| &row.id);
    assert_eq!(state.staff(), staff);
}

/// What comes of a credential, and which credentials are the same key.
fn come_of(state: &ControlState, id: &CredentialId) {
    // One whose lineage cannot be read is reached by everything, and refused by itself.
    let readable = |one: &CredentialId| one == id || state.lineage(one).is_ok();
    let found: BTreeSet<_> =
        state.descendants(id).into_iter().map(|row| &row.created.credential).filter(|one| readable(one)).collect();
    let come: BTreeSet<_> = state.credentials.keys().filter(|one| readable(one) && state.comes_from(one, id)).collect();
    assert_eq!(found, come, "of {id}");
    let first = state.first_of(id).clone();
    let mut same: BTreeSet<CredentialId> =
        state.credentials.keys().filter(|one| *state.first_of(one) == first).cloned().collect();
    if same.len() > 1 || same.first().is_some_and(|one| *one != first) {
        same.insert(first);
    } else {
        same = BTreeSet::from([id.clone()]);
    }
    assert_eq!(*state.same_key(id), same);
}

proptest! {
    /// Folded, loaded at once, and loaded in two steps: the same rows, found by the same, with the same root.
    #[test]
    fn rows_are_found_as_a_walk_would_find_them_and_copies_stay(said in proptest::collection::vec(changes(), 0..60), at in 0..60_usize) {
        let key = || RootKey::of(&[7; 32]);
        let (mut folded, mut rows) = (ControlState::under(key()), BTreeMap::<RowName, Vec<u8>>::new());
        let (mut node, mut copy) = (ControlState::under(key()), None);
        for ((index, (kind, label)), position) in said.iter().enumerate().zip((1..).map(Position)) {
            let note: Value = json!({ "label": label, "reason": "a test" });
            if !is_sound(&folded, kind) {
                continue;
            }
            for name in folded.apply(position, NEW_YEAR.plus(Duration::from_secs(index as u64 / 2)), kind, &note) {
                let doc = folded.row(&name).expect("a row");
                rows.insert(name, doc);
            }
            if index == at {
                for (name, doc) in &rows {
 node.load(name.kind.as_str(), &name.key, doc).expect("a readable row");
 }
                copy = Some((folded.clone(), format!("{folded:?}"), folded.root(position)));
            }
        }
        let mut loaded = ControlState::under(key());
        for (name, doc) in &rows {
            loaded.load(name.kind.as_str(), &name.key, doc).expect("a readable row");
            node.load(name.kind.as_str(), &name.key, doc).expect("a readable row");
        }
        for other in [&mut loaded, &mut node] {
            (other.position, other.epoch) = (folded.position, folded.epoch);
            prop_assert_eq!(&*other, &folded);
            prop_assert_eq!(other.root(Position(7)), folded.root(Position(7)));
            check(other);
        }
        check(&folded);
        if let Some((copy, was, root)) = copy {
            prop_assert_eq!(format!("{copy:?}"), was);
            prop_assert_eq!(copy.root(copy.position), root);
            check(&copy);
        }
    }

    /// The root is of the rows, whatever order they come in, and of nothing less: one row more, less or other is another root.
    #[test]
    fn a_root_is_of_the_rows_in_any_order(said in proptest::collection::vec(changes(), 1..30), seed in any::<prop::sample::Index>()) {
        let key = || RootKey::of(&[7; 32]);
        let (mut folded, mut rows) = (ControlState::under(key()), BTreeMap::<RowName, Vec<u8>>::new());
        for ((kind, label), position) in said.iter().zip((1..).map(Position)) {
            for name in folded.apply(position, NEW_YEAR, kind, &json!({ "label": label })) {
                rows.insert(name.clone(), folded.row(&name).expect("a row"));
            }
        }
        let root = folded.root(Position(1));
        let load = |rows: &mut dyn Iterator<Item = (&RowName, &Vec<u8>)>| {
            let mut state = ControlState::under(key());
            rows.for_each(|(name, doc)| state.load(name.kind.as_str(), &name.key, doc).expect("a readable row"));
            state.root(Position(1))
        };
        prop_assert_eq!(load(&mut rows.iter().rev()), root.clone());
        let there: Vec<&RowName> = rows.iter().filter(|(_, doc)| *doc != b"null").map(|(name, _)| name).collect();
        prop_assume!(!there.is_empty());
        let gone = there[seed.index(there.len())];
        prop_assert_ne!(load(&mut rows.iter().filter(|(name, _)| *name != gone)), root.clone());
        // The same row in other bytes is not what the log says either.
        let spaced = rows.iter().map(|(name, doc)| {
            let doc = if name == gone { [doc.as_slice(), b" "].concat() } else { doc.clone() };
            (name.clone(), doc)
        });
        let spaced: Vec<(RowName, Vec<u8>)> = spaced.collect();
        prop_assert_ne!(load(&mut spaced.iter().map(|(name, doc)| (name, doc))), root.clone());
        let other = ControlState::under(RootKey::of(&[8; 32]));
        prop_assert_ne!(other.root(Position(1)), ControlState::under(key()).root(Position(1)));
    }
}
