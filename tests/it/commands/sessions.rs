//! Sessions, and what an issuer says of people.

use std::time::Duration;

use forelog::core::code::Code;
use forelog::core::commands::Command;
use forelog::core::commands::issuer::{AdmitByIssuer, GiveRole, LinkIdentity, UnlinkIdentity, WithdrawRole};
use forelog::core::commands::session::{EndSessions, Ender, NewConsoleKey, SetPassword, SignIn};
use forelog::core::commands::user::NewUser;
use forelog::core::commands::vouching::Word;
use forelog::core::event::EventKind;
use forelog::core::principal::{Principal, Via};
use forelog::core::role::Role;

use super::{House, new_user, who};
use crate::fixtures::{account, credential, event, user};

fn sign_in(role: Role) -> SignIn {
    SignIn {
        user: user(1),
        account: account(1),
        role,
        session: "session".into(),
        issuer: None,
        ended: vec![(user(2), "before".into())],
        word: Word::Nobody,
        known: Some(credential(11)),
        fresh: NewConsoleKey { credential: credential(40), hash: "22".repeat(32), event: event(2) },
        event: event(1),
    }
}

#[test]
fn a_session_begins_in_the_present_role_with_what_outlives_it() {
    let mut house = House::new();
    assert_eq!(house.run(&sign_in(Role::Member)).expect("no refusal"), (Vec::new(), None), "they are an owner");
    assert_eq!(sign_in(Role::Owner).uses(), [credential(11)]);
    let (kinds, acts) = house.run(&sign_in(Role::Owner)).expect("a session");
    assert_eq!(acts, Some(credential(40)), "of what they acted with the use cannot be read");
    assert_eq!(kinds.iter().map(EventKind::name).collect::<Vec<_>>(), ["credential_created", "signed_out", "signed_in"]);
    assert!(matches!(&kinds[1], EventKind::SignedOut { user: whose, .. } if *whose == user(2)), "whoever had the browser before");
    house.uses.insert(credential(40), Some(house.now));
    let (kinds, acts) = house.run(&sign_in(Role::Owner)).expect("another one");
    assert_eq!((acts, kinds.len()), (Some(credential(40)), 2));
    house.uses.insert(credential(40), None);
    house.now = house.now.plus(Duration::from_hours(90 * 24));
    let later =
        SignIn { fresh: NewConsoleKey { credential: credential(41), ..sign_in(Role::Owner).fresh }, ..sign_in(Role::Owner) };
    assert_eq!(house.run(&later).expect("a third one").1, Some(credential(41)), "the other one would die of disuse");
}

#[test]
fn sessions_are_ended_by_their_person_or_whoever_manages_them() {
    let mut house = House::new();
    let end = |by| EndSessions { user: user(1), session: None, by };
    let key = Principal { credential: credential(1), via: Via::Rest, ..who(1) };
    assert_eq!(house.refused(&end(Ender::Caller(key))), Code::NotFound, "a key is no person");
    assert_eq!(house.refused(&end(Ender::Caller(who(2)))), Code::NotFound);
    for (by, named) in [(Ender::Themselves, None), (Ender::Caller(who(1)), None), (Ender::Caller(who(3)), Some(user(3)))] {
        let (kinds, ()) = house.run(&end(by)).expect("an end");
        assert!(matches!(&kinds[..], [EventKind::SignedOut { by, .. }] if *by == named), "{kinds:?}");
    }
    let set = |n| SetPassword { user: user(n), session: None, event: None };
    assert_eq!(house.names(&set(1)), ["password_set"]);
    assert_eq!(house.refused(&set(9)), Code::NotFound, "nobody has a password");
}

#[test]
fn an_issuers_word_does_not_undo_a_newer_one_and_ends_with_what_it_gave() {
    let mut house = House::new();
    let word = || Word::Issuer("main".into(), Duration::from_hours(24), Some("subject".into()));
    let admit =
        |new| AdmitByIssuer { new, issuer: "main".into(), holds: Duration::from_hours(24), gives: Some("subject".into()) };
    assert_eq!(house.refused(&admit(NewUser { address: "digest-3".into(), ..new_user(5, 3, Role::Reader) })), Code::Conflict);
    assert_eq!(house.names(&admit(new_user(5, 3, Role::Reader))), ["user_created", "vouched_for"]);
    let link =
        |n| LinkIdentity { user: user(n), issuer: "main".into(), known_as: "subject".into(), word: word(), event: event(1) };
    assert_eq!(house.refused(&link(9)), Code::NotFound, "nobody is linked");
    assert_eq!(house.names(&link(5)), ["identity_linked"]);
    let give = |seen| GiveRole { user: user(5), account: account(3), role: Role::Responder, seen, word: word(), event: event(1) };
    let seen = house.state.position;
    assert_eq!(house.names(&give(seen)), ["role_changed"]);
    assert_eq!(house.run(&give(seen)).expect("an older word"), (Vec::new(), false));
    let absent = GiveRole { user: user(9), ..give(house.state.position) };
    assert_eq!(house.run(&absent).expect("nobody"), (Vec::new(), false));
    let withdraw = |seen| WithdrawRole { user: user(5), account: account(3), issuer: "main".into(), seen };
    assert_eq!(house.run(&withdraw(seen)).expect("an older word"), (Vec::new(), false));
    let unlink =
        UnlinkIdentity { user: user(5), account: account(3), issuer: "main".into(), known_as: "subject".into(), event: event(1) };
    let (kinds, own) = house.run(&unlink).expect("an end");
    assert_eq!((kinds.last().map(EventKind::name), own), (Some("role_withdrawn"), None), "it made them a person");
    assert!(house.state.users.get(&user(5)).is_some_and(|member| member.acting_role().is_none()));
}
