//! What ends, stops or limits a key does so for what it made, and for nothing else.

use std::time::Duration;

use forelog::core::code::Code;
use forelog::core::decide::{Decision, INACTIVITY};
use forelog::core::switch::Target;
use forelog::core::user::User;

use super::{Family, grandchild, made};
use crate::fixtures::{Case, NEW_YEAR, account, credential, user, vm};

#[test]
fn what_ends_a_key_ends_what_it_made() {
    type Ends = fn(&mut Case, i64);
    let ways: [(&str, Code, Ends); 6] = [
        ("revoked", Code::TokenRevoked, Case::revoke),
        ("expired", Code::TokenExpired, |case, n| {
            let now = case.now;
            case.state.credentials.get_mut(&credential(n)).expect("a key").created.expires_at = Some(now);
        }),
        ("forgotten", Code::TokenExpired, |case, n| {
            case.last_used = Some(NEW_YEAR);
            case.uses.insert(credential(n), NEW_YEAR);
            case.now = NEW_YEAR.plus(INACTIVITY + Duration::from_micros(1));
            for other in (1..4).filter(|other| *other != n) {
                case.uses.insert(credential(other), case.now);
            }
        }),
        ("of somebody who has left", Code::TokenRevoked, |case, n| {
            case.state.credentials.get_mut(&credential(n)).expect("a key").created.user = user(9);
            case.state.users.insert(
                user(9),
                User {
                    id: user(9),
                    account: account(1),
                    role: None,
                    invited: None,
                    known_as: std::collections::BTreeSet::new(),
                    vouched_until: None,
                    withdrawn_by: None,
                    linked: std::collections::BTreeSet::new(),
                    sessions: std::collections::BTreeMap::new(),
                    address: None,
                    given: None,
                    role_at: forelog::core::id::Position(0),
                },
            );
        }),
        ("of somebody whom no issuer vouches for any more", Code::TokenExpired, |case, n| {
            case.state.credentials.get_mut(&credential(n)).expect("a key").created.user = user(9);
            case.state.users.insert(
                user(9),
                User {
                    id: user(9),
                    account: account(1),
                    role: Some(forelog::core::role::Role::Owner),
                    invited: None,
                    known_as: std::collections::BTreeSet::new(),
                    vouched_until: Some(case.now),
                    withdrawn_by: None,
                    linked: std::collections::BTreeSet::new(),
                    sessions: std::collections::BTreeMap::new(),
                    address: None,
                    given: None,
                    role_at: forelog::core::id::Position(0),
                },
            );
        }),
        ("gone", Code::ControlStateUnreadable, |case, n| drop(case.state.credentials.remove(&credential(n)))),
    ];
    for (name, code, end) in ways {
        for ancestor in [1, 2] {
            let mut case = grandchild();
            case.last_used = Some(case.now);
            assert!(matches!(case.decide(), Decision::Admit(_)), "{name}: {:?}", case.decide());
            end(&mut case, ancestor);
            case.last_used = Some(case.now);
            assert_eq!(case.refusal().code, code, "{name}, key {ancestor}");
        }
    }
}

#[test]
fn what_a_key_may_not_its_descendants_may_not() {
    type Confinement = (&'static str, Code, fn(&mut Case));
    let confine: [Confinement; 3] = [
        ("read-only", Code::ReadOnlyMode, |case| case.key().expect("a key").created.read_only = true),
        ("another VM", Code::VmNotFound, |case| case.key().expect("a key").created.vms = Some(vec![vm(2)])),
        ("another network", Code::IpNotAllowed, |case| case.key().expect("a key").ips = Some(vec!["10.0.0.0/8".into()])),
    ];
    for (name, code, confine) in confine {
        let mut case = grandchild();
        confine(&mut case);
        assert_eq!(case.refusal().code, code, "{name}");
        case.by(2);
        assert_eq!(case.refusal().code, code, "{name}, one step down");
    }
}

#[test]
fn a_switch_on_a_key_reaches_what_comes_from_it_and_nothing_else() {
    for (target, covered) in [(1, true), (2, true), (3, true), (4, false), (5, false)] {
        let mut case = grandchild();
        case.make(made(4, Some(2), None));
        case.make(made(5, Some(3), None));
        case.engage(Target::Credential(credential(target)), None);
        assert_eq!(matches!(case.decide(), Decision::Refuse { switch: Some(_), .. }), covered, "a switch on {target}");
    }
}
