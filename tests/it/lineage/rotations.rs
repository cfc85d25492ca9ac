//! A rotated key is the same key with another secret, and a lineage of any shape has an end.

use std::collections::BTreeSet;

use forelog::core::code::Code;
use forelog::core::decide::Decision;
use forelog::core::event::EventKind;
use forelog::core::limit::Limit;
use forelog::core::lineage::{MAX_COUNT, alive, check_length};
use forelog::core::switch::Target;
use forelog::core::table::Table;

use super::{Family, apply, grandchild, made};
use crate::fixtures::{Case, NEW_YEAR, account, credential, vm};

#[test]
fn a_rotated_key_is_the_same_key_with_another_secret() {
    let mut case = grandchild();
    case.rotate(4, Some(1), 3);
    case.by(3);
    assert_eq!(case.refusal().code, Code::TokenRevoked, "the old secret is over");
    case.by(4);
    assert!(matches!(case.decide(), Decision::Admit(_)), "the new one goes on: {:?}", case.decide());
    for target in [1, 2, 3, 4] {
        case.engage(Target::Credential(credential(target)), None);
        assert_eq!(case.refusal().code, Code::KillSwitchEngaged, "a switch on {target}");
        case.state.switches = Table::default();
    }
    let windows = |case: &Case| match case.decide() {
        Decision::Admit(limits) => limits.into_iter().map(|(key, _)| key).collect::<BTreeSet<_>>(),
        other => panic!("{other:?}"),
    };
    let expected: BTreeSet<String> = [1, 2, 3]
        .map(|n| format!("credential:{}", credential(n)))
        .into_iter()
        .chain([format!("exec:{}/{}", account(1), vm(1))])
        .collect();
    assert_eq!(windows(&case), expected, "it counts where the one that it replaces counted");
    // Revoked once more, the old one ends what took its place.
    let mut other = case.clone();
    other.revoke(3);
    assert_eq!(other.refusal().code, Code::TokenRevoked);
    case.revoke(2);
    assert_eq!(case.refusal().code, Code::TokenRevoked, "what the old one came from is what the new one comes from");
}

#[test]
fn what_a_key_made_follows_it_through_rotations_and_ends_with_the_last() {
    let mut case = grandchild();
    case.rotate(10, Some(2), 2);
    case.rotate(11, Some(10), 10);
    assert!(matches!(case.decide(), Decision::Admit(_)), "{:?}", case.decide());
    for end in [2, 10, 11] {
        let mut case = case.clone();
        case.revoke(end);
        assert_eq!(case.refusal().code, Code::TokenRevoked, "{end} was revoked");
    }
}

#[test]
fn a_rotation_that_leaves_the_old_secret_alive_ends_it_later_and_nothing_else() {
    let mut case = Case::new();
    case.make(made(2, None, Some(1)));
    let alive = |case: &mut Case, n| {
        case.by(n);
        matches!(case.decide(), Decision::Admit(_))
    };
    assert!(alive(&mut case, 1) && alive(&mut case, 2), "both, until the old one is revoked");
    let mut undone = case.clone();
    undone.revoke(2);
    assert!(alive(&mut undone, 1) && !alive(&mut undone, 2), "the rotation was taken back");
    undone.revoke(1);
    assert!(!alive(&mut undone, 1));
    case.revoke(1);
    assert!(!alive(&mut case, 1) && alive(&mut case, 2), "the rotation is complete");
    case.revoke(1);
    assert!(!alive(&mut case, 2), "revoked once more, it ends what replaced it");
}

#[test]
fn who_rotates_another_key_does_not_get_out_of_a_limit_or_an_end() {
    let mut case = Case::new();
    let tight = Limit { admit: 2, window_ms: 60_000 };
    case.key().expect("a key").created.limit = Some(tight);
    case.make(made(2, None, None));
    case.rotate(3, Some(1), 2);
    case.by(3);
    let Decision::Admit(limits) = case.decide() else { panic!("{:?}", case.decide()) };
    assert!(limits.contains(&(format!("credential:{}", credential(1)), tight)), "{limits:?}");
    case.revoke(1);
    assert_eq!(case.refusal().code, Code::TokenRevoked);
}

#[test]
fn circles_and_loose_ends_are_total() {
    let mut case = Case::new();
    case.make(made(2, Some(1), None));
    case.rotate(3, Some(2), 1);
    case.by(3);
    assert!(matches!(case.decide(), Decision::Admit(_)), "each made the other: {:?}", case.decide());
    case.revoke(2);
    assert_eq!(case.refusal().code, Code::TokenRevoked);
    let mut broken = Case::new();
    broken.key().expect("a key").descent.makers = vec![credential(1), credential(9)];
    assert_eq!(broken.refusal().code, Code::ControlStateUnreadable, "one is missing");
    let mut broken = Case::new();
    broken.key().expect("a key").descent.first = Some(credential(1));
    assert_eq!(broken.refusal().code, Code::ControlStateUnreadable, "it replaces itself");
    let mut broken = Case::new();
    broken.key().expect("a key").descent.newest = Some(credential(9));
    assert_eq!(broken.refusal().code, Code::ControlStateUnreadable, "what replaces it is missing");
    let mut broken = Case::new();
    for n in 2..100 {
        broken.make(made(n, Some(n - 1), None));
    }
    broken.by(99);
    assert_eq!(broken.refusal().code, Code::ControlStateUnreadable, "it comes from more than anybody may");
}

#[test]
fn a_lineage_has_an_end_and_rotations_do_not_make_it_longer() {
    let (mut state, mut n) = (Case::new().state, 1);
    while check_length(&state, &credential(n), None).is_ok() {
        apply(&mut state, EventKind::CredentialCreated(made(n + 1, Some(n), None)));
        n += 1;
    }
    assert_eq!(usize::try_from(n).expect("few"), MAX_COUNT);
    for _ in 0..1000 {
        check_length(&state, &credential(n), Some(&credential(n))).expect("the same key with another secret");
        apply(&mut state, EventKind::CredentialCreated(made(n + 1, Some(n), Some(n))));
        apply(&mut state, EventKind::CredentialRevoked { credential: credential(n), by: None });
        n += 1;
    }
    let lineage = alive(&state, &credential(n), NEW_YEAR).expect("alive");
    assert_eq!(lineage.lineage_rows().windows.len(), MAX_COUNT);
    // A stranger who rotates it would be one more.
    apply(&mut state, EventKind::CredentialCreated(made(n + 1, None, None)));
    assert_eq!(check_length(&state, &credential(n + 1), Some(&credential(n))).expect_err("too many").code, Code::Conflict);
}
