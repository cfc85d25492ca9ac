//! Commands: what each change of control state is decided by, whoever asks for it. Given a state, when a command, then events or a
//! refusal.

mod alarms;
mod in_force;
mod keys;
mod people;
mod sessions;
mod stops;
mod vms;

use forelog::core::code::Code;
use forelog::core::commands::switch::{Again, Asked, Engage};
use forelog::core::commands::user::{AddUser, NewUser};
use forelog::core::commands::{Command, Snapshot, Uses};
use forelog::core::engagement::{Names, Proposed};
use forelog::core::event::{CredentialCreated, EventKind};
use forelog::core::id::Position;
use forelog::core::principal::{Principal, Side, Via};
use forelog::core::role::Role;
use forelog::core::state::{Account, ControlState};
use forelog::core::switch::{Running, Target};
use forelog::core::time::Micros;
use serde_json::json;

use crate::fixtures::{Case, account, credential, event, key_made, switch, user};

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

fn asked(target: Target, again: Again) -> Asked {
    let proposed = Proposed { target, reason: "an incident".into(), message: None, incident: None, expires_at: None };
    Asked { switch: switch(5), proposed, running: Running::LetFinish, again, event: event(1) }
}

/// As whoever owns the data.
fn engage(target: Target, again: Again) -> Engage {
    Engage { asked: vec![asked(target, again)], by: None, names: Names::default() }
}
