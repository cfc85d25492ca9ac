//! Commands: what each change of control state is decided by, whoever asks for it. Given a state, when a command, then events or a
//! refusal.

use std::time::Duration;

use forelog::core::code::Code;
use forelog::core::commands::account::{OpenAccount, SetAccount, Setter};
use forelog::core::commands::invitation::{Invite, RevokeInvitation, TakeInvitation};
use forelog::core::commands::issuer::{AdmitByIssuer, GiveRole, LinkIdentity, UnlinkIdentity, WithdrawRole};
use forelog::core::commands::key::By;
use forelog::core::commands::key::canary::MakeCanary;
use forelog::core::commands::key::create::CreateKey;
use forelog::core::commands::key::revoke::RevokeKey;
use forelog::core::commands::key::rotate::RotateKey;
use forelog::core::commands::limits::{SetLimits, Wanted};
use forelog::core::commands::policy::PutPolicies;
use forelog::core::commands::session::{EndSessions, Ender, NewConsoleKey, SetPassword, SignIn};
use forelog::core::commands::switch::{Again, Asked, Engage, Engager, Release, Released, Releaser};
use forelog::core::commands::user::{AddUser, NewUser, RemoveUser, SetRole};
use forelog::core::commands::vm::{Import, ImportVm, SetExec};
use forelog::core::commands::vouching::Word;
use forelog::core::commands::{Command, Snapshot, Uses};
use forelog::core::engagement::{Names, Proposed};
use forelog::core::event::{CredentialCreated, EventKind};
use forelog::core::id::{Position, UserId};
use forelog::core::principal::{Principal, Side, Via};
use forelog::core::role::Role;
use forelog::core::scope::Scope;
use forelog::core::state::{Account, ControlState};
use forelog::core::switch::{Running, Target};
use forelog::core::terms::Terms;
use forelog::core::time::Micros;
use forelog::core::tool::{Class, ToolSpec};
use serde_json::json;

use crate::fixtures::{Case, account, credential, event, invitation, key_made, switch, user, vm};

/// A state, the time, and where the log is.
struct House {
    state: ControlState,
    now: Micros,
    uses: Uses,
}

impl House {
    /// Two customers and the staff (account 3), each with somebody who administers it and is signed in: users 1, 2 and 3 with the
    /// credentials 11, 12 and 13. Key 1 is user 1's.
    fn new() -> Self {
        let Case { mut state, now, .. } = Case::new();
        state.accounts.insert(account(3), Account { id: account(3), side: Side::Staff, agents_may_enable_exec: false });
        let mut house = Self { state, now, uses: Uses::new() };
        for (n, role) in [(1, Role::Owner), (2, Role::Owner), (3, Role::Admin)] {
            house.person(n, n, role);
            let created = CredentialCreated {
                account: account(n),
                user: user(n),
                side: role.side(),
                role: Some(role),
                scopes: role.scopes(),
                hash: format!("{n:064}").into(),
                ..key_made(10 + n)
            };
            house.apply(&EventKind::CredentialCreated(created));
        }
        house
    }

    fn person(&mut self, n: i64, of: i64, role: Role) {
        self.run(&AddUser(new_user(n, of, role))).expect("a person");
    }

    fn apply(&mut self, kind: &EventKind) {
        let at = Position(self.state.position.0 + 1);
        self.state.apply(at, self.now, kind, &json!({}));
    }

    /// The events and the answer of a command, which are folded in.
    fn run<C: Command>(&mut self, command: &C) -> Result<(Vec<EventKind>, C::Answer), Code> {
        let at = Snapshot { state: &self.state, now: self.now, uses: &self.uses };
        let change = command.decide(&at).map_err(|refusal| refusal.code)?;
        let (events, answer) = change.into_parts();
        let kinds: Vec<EventKind> = events.into_iter().map(|planned| planned.kind).collect();
        for kind in &kinds {
            self.apply(kind);
        }
        Ok((kinds, answer))
    }

    fn names<C: Command>(&mut self, command: &C) -> Vec<&'static str> {
        let (kinds, _) = self.run(command).expect("no refusal");
        kinds.iter().map(EventKind::name).collect()
    }

    fn refused<C: Command>(&mut self, command: &C) -> Code {
        let before = self.state.clone();
        let code = self.run(command).err().expect("a refusal");
        assert_eq!(self.state, before);
        code
    }
}

fn new_user(n: i64, of: i64, role: Role) -> NewUser {
    NewUser { user: user(n), account: account(of), role, address: format!("digest-{n}"), event: None }
}

/// A person who is signed in.
fn who(n: i64) -> Principal {
    Principal {
        side: if n == 3 { Side::Staff } else { Side::Customer },
        account: account(n),
        user: user(n),
        credential: credential(10 + n),
        via: Via::Console,
        ip: None,
        read_only: false,
    }
}

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

#[test]
fn a_machine_is_one_vm_of_a_customer() {
    let mut house = House::new();
    let import = |of, machine: &str, label: &str| {
        let import = Import::of(account(of), "sim".into(), machine.into(), label).expect("a label");
        ImportVm { vm: vm(5), import, event: event(1) }
    };
    assert_eq!(house.refused(&import(3, "free", "db")), Code::NotFound, "the staff have no VMs");
    assert_eq!(house.refused(&import(1, "machine-2", "db")), Code::Conflict, "it is another account's");
    assert_eq!(house.refused(&import(1, "free", "web-1")), Code::Conflict, "the label is taken");
    assert_eq!(house.names(&import(1, "free", "db")), ["vm_imported"]);
    let set = |of| SetExec { vm: vm(5), account: account(of), enabled: true };
    assert_eq!(house.refused(&set(2)), Code::VmNotFound);
    assert_eq!(house.names(&set(1)), ["vm_exec_set"]);
}

fn asked(target: Target, again: Again) -> Asked {
    let proposed = Proposed { target, reason: "an incident".into(), message: None, incident: None, expires_at: None };
    Asked { switch: switch(5), proposed, running: Running::LetFinish, again, event: event(1) }
}

/// As whoever owns the data.
fn engage(target: Target, again: Again) -> Engage {
    Engage { asked: vec![asked(target, again)], by: None, names: Names::default() }
}

#[test]
fn a_switch_is_engaged_again_only_if_it_is_another_one() {
    let mut house = House::new();
    assert_eq!(house.refused(&engage(Target::Tool("nothing".into()), Again::Another)), Code::NotFound);
    house.run(&engage(Target::All, Again::SameWords)).expect("a switch");
    let again =
        |again| Engage { asked: vec![Asked { switch: switch(6), ..asked(Target::All, again) }], ..engage(Target::All, again) };
    assert_eq!(house.run(&again(Again::AsMuch)).expect("it stands"), (Vec::new(), vec![switch(5)]));
    // The row has no words, as if it had been engaged without the vault.
    assert_eq!(house.run(&again(Again::SameWords)).expect("it stands"), (Vec::new(), vec![switch(5)]));
    let by = Some(Engager { who: who(3), is_named: true });
    let (kinds, switches) = house.run(&Engage { by, ..again(Again::Another) }).expect("another one");
    assert!(matches!(&kinds[..], [EventKind::SwitchEngaged { by: Some(by), .. }] if *by == user(3)), "{kinds:?}");
    assert_eq!(switches, [switch(6)]);
}

/// Whoever engaged a switch has reason to let it go, so it does in the place of nobody else's.
#[test]
fn a_switch_that_stands_does_for_whoever_engaged_it() {
    let mut house = House::new();
    let by = |n: i64| Some(Engager { who: Principal { credential: credential(n), ..who(1) }, is_named: false });
    let stop = |n: i64, id: i64| Engage {
        asked: vec![Asked { switch: switch(id), ..asked(Target::Account(account(1)), Again::AsMuch) }],
        by: by(n),
        names: Names::default(),
    };
    house.run(&engage(Target::Account(account(1)), Again::Another)).expect("on the data");
    assert_eq!(house.run(&stop(1, 6)).expect("a key's").1, [switch(6)]);
    assert_eq!(house.run(&stop(11, 7)).expect("a person's").1, [switch(7)]);
    for (n, there) in [(1, 6), (11, 7)] {
        assert_eq!(house.run(&stop(n, 8)).expect("it stands"), (Vec::new(), vec![switch(there)]));
    }
}

#[test]
fn what_is_never_stopped_is_not_engaged() {
    static STOPS: ToolSpec = ToolSpec { stops: true, class: Class::Destroy, ..ToolSpec::reading("key_end") };
    static READS: ToolSpec = ToolSpec::reading("vm_get");
    let mut house = House::new();
    let engage = |target, tools: &[&'static ToolSpec]| {
        let names = Names { tools: tools.to_vec(), ..Names::default() };
        Engage { names, ..engage(target, Again::Another) }
    };
    let both = [&STOPS, &READS];
    assert_eq!(house.refused(&engage(Target::Tool("key_end".into()), &both)), Code::ValidationFailed);
    assert_eq!(house.refused(&engage(Target::Class(Class::Destroy), &both)), Code::ValidationFailed, "all of its tools stop");
    for target in [Target::Tool("vm_get".into()), Target::Class(Class::Read), Target::Class(Class::Write)] {
        assert_eq!(house.names(&engage(target, &both)), ["switch_engaged"]);
    }
}

#[test]
fn what_stops_everybody_takes_two_or_the_data_and_a_reason() {
    let mut house = House::new();
    house.person(4, 3, Role::Admin);
    let release = |by, reason: Option<&str>| Release {
        switch: switch(5),
        by,
        over: None,
        reason: reason.map(str::to_owned),
        event: event(1),
    };
    let person = |n: i64| Releaser::Person(user(n), credential(13));
    assert_eq!(house.refused(&release(person(3), None)), Code::NotFound);
    house.run(&engage(Target::All, Again::Another)).expect("a switch");
    assert_eq!(house.refused(&release(Releaser::Operator, None)), Code::ValidationFailed);
    assert_eq!(house.refused(&release(Releaser::Operator, Some(" "))), Code::ValidationFailed);
    assert_eq!(house.refused(&release(person(3), Some(" "))), Code::ValidationFailed, "one that is given says something");
    assert_eq!(house.names(&release(person(3), None)), ["release_requested"]);
    assert_eq!(house.run(&release(person(3), None)).expect("again"), (Vec::new(), Released::Asked));
    let over = Some(Duration::from_mins(5));
    let (kinds, answer) = house.run(&Release { over, ..release(person(4), None) }).expect("a second person");
    assert_eq!(kinds[0].name(), "release_ramped");
    assert!(
        matches!(&answer, Released::Now { by: Some(by), second: Some(second), until: Some(_) } if (by, second) == (&user(3), &user(4)))
    );
    assert_eq!(house.refused(&Release { over, ..release(Releaser::Operator, Some("x")) }), Code::Conflict, "it lets go already");
    let (kinds, _) = house.run(&release(Releaser::Operator, Some("x"))).expect("at once");
    assert!(matches!(&kinds[..], [EventKind::SwitchReleased { break_glass: true, by: None, .. }]));
}

#[test]
fn what_is_in_force_makes_sense_and_has_one_version() {
    let mut house = House::new();
    let set = |wanted, configured| SetLimits { wanted, configured, by: None, event: None };
    let bad = Terms { approval_ms: 0, ..Terms::default() };
    assert_eq!(house.refused(&set(Wanted::Configured, bad)), Code::ValidationFailed);
    assert_eq!(house.refused(&set(Wanted::Numbers(json!({ "approval_ms": 0 })), Terms::default())), Code::ValidationFailed);
    assert!(house.run(&set(Wanted::Unless, bad)).expect("some are").0.is_empty());
    let (kinds, before) = house.run(&set(Wanted::Configured, Terms::default())).expect("limits");
    assert_eq!((kinds[0].name(), before.map(|before| before.version)), ("limits_set", Some(1)));
    assert!(house.run(&set(Wanted::Configured, Terms::default())).expect("the same").0.is_empty());
    let put = |only_first| PutPolicies { sha256: "11".repeat(32), only_first, by: None, event: event(1) };
    assert!(house.run(&put(true)).expect("a set is in force").0.is_empty());
    let (_, (set, before)) = house.run(&put(false)).expect("a set");
    assert_eq!((set.version, before.map(|set| set.version)), (2, Some(1)));
}

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
