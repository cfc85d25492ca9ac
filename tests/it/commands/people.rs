//! Accounts, people and invitations.

use std::time::Duration;

use forelog::core::code::Code;
use forelog::core::commands::account::{OpenAccount, SetAccount, Setter};
use forelog::core::commands::invitation::{Invite, RevokeInvitation, TakeInvitation};
use forelog::core::commands::switch::Again;
use forelog::core::commands::user::{AddUser, NewUser, RemoveUser, SetRole};
use forelog::core::event::EventKind;
use forelog::core::role::Role;
use forelog::core::switch::Target;

use super::{House, engage, new_user, who};
use crate::fixtures::{Case, account, credential, invitation, switch, user};

#[test]
fn an_address_is_one_persons_in_each_account_and_roles_are_of_its_side() {
    let mut house = House::new();
    let twin = |of| AddUser(NewUser { address: "digest-1".into(), ..new_user(5, of, Role::Member) });
    assert_eq!(house.refused(&twin(1)), Code::Conflict);
    assert_eq!(house.names(&twin(2)), ["user_created"], "of another account");
    assert_eq!(house.refused(&AddUser(new_user(6, 1, Role::Reader))), Code::ForbiddenRole);
    assert_eq!(house.refused(&AddUser(new_user(6, 9, Role::Owner))), Code::NotFound);
}

#[test]
fn an_account_is_opened_once_and_the_first_of_the_staff_is_the_first() {
    let mut house = House::new();
    let open = |of, only_first_staff| OpenAccount { first: new_user(7, of, Role::Admin), event: None, only_first_staff };
    assert_eq!(house.refused(&open(3, false)), Code::Conflict);
    assert_eq!(house.refused(&open(7, true)), Code::Conflict, "somebody is of the staff");
    assert_eq!(house.names(&open(7, false)), ["account_created", "user_created"]);
    let set = |by| SetAccount { account: account(1), agents_may_enable_exec: true, by, event: None };
    assert_eq!(house.refused(&set(Setter::Staff)), Code::ForbiddenRole);
    assert_eq!(house.names(&set(Setter::Operator)), ["account_changed"]);
}

#[test]
fn a_role_ends_with_what_was_made_by_it_and_somebody_is_left() {
    let mut house = House::new();
    let set = |n, role, by| SetRole { user: user(n), account: account(1), role, by: who(by) };
    assert_eq!(house.refused(&set(1, Role::Member, 1)), Code::ForbiddenRole, "their own");
    assert_eq!(house.refused(&set(1, Role::Member, 2)), Code::NotFound, "a stranger's");
    assert_eq!(house.refused(&set(1, Role::Member, 3)), Code::ForbiddenRole, "staff give no roles to customers");
    house.person(4, 1, Role::Member);
    let remove = |n, by| RemoveUser { user: user(n), account: account(1), by: who(by) };
    assert_eq!(house.refused(&remove(1, 3)), Code::Conflict, "nobody would be left");
    assert_eq!(house.names(&set(4, Role::Owner, 1)), ["role_changed"]);
    assert!(house.run(&set(4, Role::Owner, 1)).expect("the same role").0.is_empty());
    house.run(&invite(1, "guest", 1)).expect("an invitation");
    let (kinds, revoked) = house.run(&remove(1, 3)).expect("removed by the staff");
    assert_eq!(revoked, [credential(1), credential(11)]);
    assert_eq!(kinds.last().expect("an event").name(), "user_removed");
    assert!(house.state.invitations.is_empty());
    assert!(house.run(&remove(1, 3)).expect("once more").0.is_empty());
}

fn invite(n: i64, address: &str, by: i64) -> Invite {
    Invite {
        invitation: invitation(n),
        account: account(by),
        role: Role::Owner,
        by: who(by),
        expires_at: Case::new().now.plus(Duration::from_hours(1)),
        address: address.into(),
        replaced: Vec::new(),
    }
}

#[test]
fn an_address_has_one_link_which_works_once() {
    let mut house = House::new();
    assert_eq!(house.refused(&invite(1, "digest-1", 1)), Code::Conflict, "they are here");
    assert_eq!(house.refused(&Invite { account: account(2), ..invite(1, "new", 1) }), Code::NotFound);
    assert_eq!(house.refused(&Invite { account: account(1), ..invite(1, "new", 3) }), Code::ForbiddenRole);
    house.run(&invite(1, "new", 1)).expect("an invitation");
    let (_, taken_back) = house.run(&invite(2, "new", 1)).expect("another one");
    assert_eq!(taken_back, [invitation(1)]);
    let take = |n, of| TakeInvitation { invitation: invitation(n), user: user(8), account: account(of), address: "new".into() };
    assert_eq!(house.refused(&take(1, 1)), Code::NotFound);
    assert_eq!(house.refused(&take(2, 2)), Code::NotFound, "of another account");
    let stop = |again| engage(Target::Account(account(1)), again);
    house.run(&stop(Again::Another)).expect("a switch");
    assert_eq!(house.refused(&take(2, 1)), Code::KillSwitchEngaged, "it waits");
    house.apply(&EventKind::SwitchReleased { switch: switch(5), by: None, second: None, break_glass: true });
    assert_eq!(house.names(&take(2, 1)), ["user_created"]);
    assert_eq!(house.state.users.get(&user(8)).and_then(|row| row.invited.clone()).map(|by| by.by), Some(user(1)));
    assert_eq!(house.refused(&take(2, 1)), Code::NotFound, "once");
    assert_eq!(house.refused(&RevokeInvitation { invitation: invitation(2), by: who(1) }), Code::NotFound);
}
