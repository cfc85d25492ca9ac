//! Keys: made, rotated, and told nobody.

use std::time::Duration;

use forelog::core::code::Code;
use forelog::core::commands::key::By;
use forelog::core::commands::key::canary::MakeCanary;
use forelog::core::commands::key::create::CreateKey;
use forelog::core::commands::key::revoke::RevokeKey;
use forelog::core::commands::key::rotate::RotateKey;
use forelog::core::event::CredentialCreated;
use forelog::core::id::UserId;
use forelog::core::principal::Side;
use forelog::core::role::Role;
use forelog::core::scope::Scope;

use super::{House, who};
use crate::fixtures::{account, credential, event, key_made, user, vm};

fn create(created: CredentialCreated, by: By) -> CreateKey {
    CreateKey { created, ips: None, by, event: event(1) }
}

#[test]
fn a_key_on_the_data_is_held_to_the_rules_of_every_key() {
    let mut house = House::new();
    house.person(4, 1, Role::Member);
    let key = |n: i64| key_made(20 + n);
    let of = |holder: UserId| CredentialCreated { user: holder, ..key(1) };
    assert_eq!(house.refused(&create(of(user(2)), By::Operator)), Code::NotFound, "of a stranger");
    let beyond = CredentialCreated { scopes: Role::Owner.scopes(), ..of(user(4)) };
    assert_eq!(house.refused(&create(beyond, By::Operator)), Code::ForbiddenScope, "more than their role");
    let foreign = CredentialCreated { vms: Some(vec![vm(2)]), ..key(1) };
    assert_eq!(house.refused(&create(foreign.clone(), By::Operator)), Code::VmNotFound);
    assert_eq!(house.refused(&create(foreign, By::Caller(who(1)))), Code::VmNotFound);
    for end in [house.now, house.now.plus(Duration::from_hours(11 * 366 * 24))] {
        let over = CredentialCreated { expires_at: Some(end), made_by: Some(credential(11)), ..key(1) };
        assert_eq!(house.refused(&create(over.clone(), By::Operator)), Code::ValidationFailed);
        assert_eq!(house.refused(&create(over, By::Caller(who(1)))), Code::ValidationFailed);
    }
    let ips = Some(vec!["nowhere".into()]);
    assert_eq!(house.refused(&CreateKey { ips, ..create(key(1), By::Operator) }), Code::ValidationFailed);
    assert_eq!(house.names(&create(key(1), By::Operator)), ["credential_created"]);
}

#[test]
fn a_rotation_ends_the_old_secret_but_on_the_data_both_go_on() {
    let mut house = House::new();
    let rotate = |old, n, by| {
        let (old, new) = (credential(old), credential(n));
        RotateKey { old, new, hash: format!("{n:064}"), prefix: "flk_live_wxyz".into(), by, event: event(1) }
    };
    assert_eq!(house.refused(&rotate(11, 21, By::Operator)), Code::NotFound, "what the console acts with");
    assert_eq!(house.refused(&rotate(1, 21, By::Caller(who(2)))), Code::NotFound, "a stranger's");
    assert_eq!(house.names(&rotate(1, 21, By::Operator)), ["credential_created"]);
    assert_eq!(house.names(&rotate(21, 22, By::Caller(who(1)))), ["credential_created", "credential_revoked"]);
    let revoke = |n, by| RevokeKey { key: credential(n), by, event: None };
    assert_eq!(house.names(&revoke(22, By::Operator)), ["credential_revoked"]);
    assert_eq!(house.names(&revoke(22, By::Caller(who(1)))), ["credential_revoked"], "the key with all its secrets");
    assert!(house.run(&revoke(22, By::Caller(who(1)))).expect("once more").0.is_empty());
    assert_eq!(house.refused(&revoke(22, By::Operator)), Code::NotFound, "nothing is left to end");
}

#[test]
fn a_canary_reaches_nothing() {
    let mut house = House::new();
    let canary = CredentialCreated {
        account: account(3),
        user: user(3),
        side: Side::Staff,
        scopes: [Scope::VmsRead].into_iter().collect(),
        vms: Some(Vec::new()),
        read_only: true,
        expires_at: Some(house.now.plus(Duration::from_mins(5))),
        ..key_made(30)
    };
    for harmful in [
        CredentialCreated { vms: None, ..canary.clone() },
        CredentialCreated { read_only: false, ..canary.clone() },
        CredentialCreated { expires_at: None, ..canary.clone() },
        CredentialCreated { account: account(1), ..canary.clone() },
    ] {
        assert_eq!(house.refused(&MakeCanary { created: harmful, event: event(1) }), Code::ForbiddenRole);
    }
    assert_eq!(house.names(&MakeCanary { created: canary, event: event(1) }), ["credential_created"]);
}
