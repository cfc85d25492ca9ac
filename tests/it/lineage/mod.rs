//! Lineage (P14): what ends, stops, limits or confines a key does so for everything that it made or rotated.

mod drawn;
mod ends;
mod people;
mod rotations;

use forelog::core::event::{CredentialCreated, EventKind};
use forelog::core::state::ControlState;
use serde_json::Value;

use crate::fixtures::{Case, NEW_YEAR, credential, key_made};

/// A key of the first account, as it is recorded.
pub fn made(n: i64, made_by: Option<i64>, rotates: Option<i64>) -> CredentialCreated {
    CredentialCreated {
        hash: format!("{n:064}").into(),
        rotates: rotates.map(credential),
        made_by: made_by.map(credential),
        ..key_made(n)
    }
}

/// A case whose key 1 has made 2, and 2 has made 3; the third one calls.
fn grandchild() -> Case {
    let mut case = Case::new();
    case.make(made(2, Some(1), None));
    case.make(made(3, Some(2), None));
    case.by(3);
    case
}

trait Family {
    fn make(&mut self, created: CredentialCreated);
    fn rotate(&mut self, n: i64, made_by: Option<i64>, old: i64);
    fn revoke(&mut self, n: i64);
    fn by(&mut self, n: i64);
}

impl Family for Case {
    fn make(&mut self, created: CredentialCreated) {
        self.uses.insert(created.credential.clone(), self.now);
        apply(&mut self.state, EventKind::CredentialCreated(created));
    }

    fn rotate(&mut self, n: i64, made_by: Option<i64>, old: i64) {
        let row = self.state.credentials.get(&credential(old)).expect("a key").created.clone();
        let fresh = made(n, made_by, Some(old));
        self.make(CredentialCreated { limit: row.limit, vms: row.vms, expires_at: row.expires_at, ..fresh });
        self.revoke(old);
    }

    fn revoke(&mut self, n: i64) {
        apply(&mut self.state, EventKind::CredentialRevoked { credential: credential(n), by: None });
    }

    fn by(&mut self, n: i64) {
        self.proposal.principal.credential = credential(n);
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the event is made where it is applied")]
fn apply(state: &mut ControlState, kind: EventKind) {
    let position = state.position.next();
    state.apply(position, NEW_YEAR, &kind, &Value::Null);
}
