//! People and keys: what a person made ends with them, and what another key made they may keep.

use forelog::core::code::Code;
use forelog::core::commands::key::adopt::adoption;
use forelog::core::commands::role_change;
use forelog::core::decide::Decision;
use forelog::core::event::{CredentialCreated, EventKind};
use forelog::core::principal::{Principal, Via};
use forelog::core::role::Role;
use forelog::core::switch::Target;

use super::{Family, apply, made};
use crate::fixtures::{Case, account, credential, user};

#[test]
fn a_person_shares_no_window_and_need_not_sign_in_but_ends_what_they_made() {
    let mut case = Case::new();
    case.make(CredentialCreated { role: Some(Role::Owner), ..made(2, None, None) });
    case.make(made(3, Some(2), None));
    case.by(3);
    case.uses.remove(&credential(2));
    let Decision::Admit(limits) = case.decide() else { panic!("{:?}", case.decide()) };
    assert_eq!(limits.iter().filter(|(key, _)| key.starts_with("credential:")).count(), 1, "{limits:?}");
    case.revoke(2);
    assert_eq!(case.refusal().code, Code::TokenRevoked, "the person was removed, or has the role no more");
}

#[test]
fn what_the_console_acts_with_next_is_under_the_same_switches_and_limits() {
    let person = |n, role| CredentialCreated { role: Some(role), ..made(n, None, None) };
    let mut case = Case::new();
    case.make(person(2, Role::Owner));
    case.make(made(3, Some(2), None));
    case.revoke(2);
    case.make(person(4, Role::Member));
    case.make(person(5, Role::Owner));
    case.make(made(6, Some(5), None));
    case.make(CredentialCreated { user: user(2), ..person(7, Role::Owner) });
    case.make(CredentialCreated { account: account(2), ..person(8, Role::Owner) });
    for (target, n, covered) in [
        (2, 4, true),
        (2, 5, true),
        (2, 6, true),
        (4, 5, true),
        (5, 4, true),
        (2, 7, false),
        (2, 1, false),
        (6, 5, false),
        (2, 8, false),
    ] {
        assert_eq!(case.state.comes_from(&credential(n), &credential(target)), covered, "a switch on {target}, and {n}");
    }
    for n in [4, 5] {
        case.by(n);
        let Decision::Admit(limits) = case.decide() else { panic!("{:?}", case.decide()) };
        let windows: Vec<_> = limits.into_iter().map(|(key, _)| key).filter(|key| key.starts_with("credential:")).collect();
        assert_eq!(windows, [format!("credential:{}", credential(2))], "they take a fresh window");
    }
    case.by(3);
    assert_eq!(case.refusal().code, Code::TokenRevoked, "what an ended one made comes back with the next one");
    case.by(6);
    case.engage(Target::Credential(credential(2)), None);
    assert_eq!(case.refusal().code, Code::KillSwitchEngaged);
}

/// Key 2, that key 1 made, and a person, who is 3.
fn to_be_kept() -> (Case, Principal) {
    let mut case = Case::new();
    case.make(made(2, Some(1), None));
    case.make(CredentialCreated { role: Some(Role::Owner), ..made(3, None, None) });
    case.by(2);
    let person = Principal { credential: credential(3), via: Via::Console, ..case.proposal.principal.clone() };
    (case, person)
}

fn adopt(case: &mut Case, who: &Principal, n: i64) -> Result<bool, Code> {
    let kind = adoption(&case.state, &credential(n), who, case.now).map_err(|refusal| refusal.code)?;
    let is_new = kind.is_some();
    if let Some(kind) = kind {
        apply(&mut case.state, kind);
    }
    Ok(is_new)
}

#[test]
fn a_person_keeps_what_another_key_made_before_and_after_that_one_ends() {
    for ended_before in [false, true] {
        let (mut case, person) = to_be_kept();
        if ended_before {
            case.revoke(1);
            assert_eq!(case.refusal().code, Code::TokenRevoked);
        }
        assert_eq!(adopt(&mut case, &person, 2), Ok(true));
        assert_eq!(adopt(&mut case, &person, 2), Ok(false), "it is kept already");
        case.revoke(1);
        let Decision::Admit(limits) = case.decide() else { panic!("{:?}", case.decide()) };
        assert!(!limits.iter().any(|(key, _)| key.contains(credential(1).as_str())), "{limits:?}");
        case.revoke(3);
        assert_eq!(case.refusal().code, Code::TokenRevoked, "it ends with the person who kept it");
    }
}

#[test]
fn nobody_else_keeps_anything_and_nothing_gets_out_from_under_a_switch() {
    let (mut case, person) = to_be_kept();
    let key = Principal { credential: credential(1), ..person.clone() };
    assert_eq!(adopt(&mut case, &key, 2), Err(Code::ForbiddenRole), "a key keeps nothing");
    let stranger = Principal { account: account(2), ..person.clone() };
    assert_eq!(adopt(&mut case, &stranger, 2), Err(Code::NotFound));
    assert_eq!(adopt(&mut case, &person, 3), Err(Code::NotFound), "what the console acts with is no key");
    assert_eq!(adopt(&mut case, &person, 9), Err(Code::NotFound));
    case.engage(Target::Credential(credential(1)), None);
    assert_eq!(adopt(&mut case, &person, 2), Err(Code::KillSwitchEngaged));
    case.engage(Target::Credential(credential(2)), None);
    assert_eq!(adopt(&mut case, &person, 2), Ok(true), "the switch on the key itself goes on covering it");
    assert_eq!(case.refusal().code, Code::KillSwitchEngaged);
    case.revoke(2);
    assert_eq!(adopt(&mut case, &person, 2), Err(Code::Conflict), "it has ended itself");
    case.revoke(3);
    assert_eq!(adopt(&mut case, &person, 2), Err(Code::TokenRevoked), "the person is gone");
    let (mut case, person) = to_be_kept();
    case.state.credentials.get_mut(&credential(3)).expect("a person").created.role = Some(Role::Member);
    assert_eq!(adopt(&mut case, &person, 2), Err(Code::ForbiddenRole), "who administers no keys");
}

#[test]
fn another_role_is_not_the_end_of_a_person_but_their_removal_is() {
    let (mut case, person) = to_be_kept();
    assert_eq!(adopt(&mut case, &person, 2), Ok(true));
    let lost = role_change(&case.state, &user(1), &account(1), Role::Member, None);
    assert!(lost.contains(&EventKind::CredentialRevoked { credential: credential(3), by: None }), "{lost:?}");
    for kind in lost.into_iter().filter(|kind| *kind != EventKind::CredentialRevoked { credential: credential(2), by: None }) {
        apply(&mut case.state, kind);
    }
    assert!(matches!(case.decide(), Decision::Admit(_)), "what the new role may do goes on: {:?}", case.decide());
    apply(&mut case.state, EventKind::UserRemoved { user: user(1), account: account(1), by: None });
    assert_eq!(case.refusal().code, Code::TokenRevoked);
}
