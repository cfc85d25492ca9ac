//! Keys: made, listed, rotated, kept and revoked. A key is shown once, in the answer that makes it; the log has its hash.

mod adopt;
mod create;
mod list;
mod revoke;
mod rotate;

use schemars::JsonSchema;
use serde::Serialize;

use super::Execution;
use super::declare::Declared;
use super::instant::Instant;
use crate::auth::key::ApiKey;
use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::commands::{Command, Snapshot, Uses};
use crate::core::id::{AccountId, CredentialId, UserId, VmId};
use crate::core::limit::Limit;
use crate::core::redact::Sensitivity::{Content, Pii, Public, Secret};
use crate::core::refusal::Refusal;
use crate::core::role::Role;
use crate::core::scope::ScopeSet;
use crate::core::state::{ControlState, Credential};

/// The operations of this noun.
pub(super) static OPERATIONS: &[&dyn Declared] = &[&create::CREATE, &list::LIST, &revoke::REVOKE, &rotate::ROTATE, &adopt::ADOPT];

/// What is shown of a key, over and over.
#[derive(Serialize, JsonSchema)]
struct Shown {
    /// The key's id.
    #[schemars(extend("x-class" = Public))]
    id: CredentialId,
    /// Whose key.
    #[schemars(extend("x-class" = Public))]
    account: AccountId,
    /// The person who holds it.
    #[schemars(extend("x-class" = Public))]
    user: UserId,
    /// The start of the key.
    #[schemars(extend("x-class" = Public))]
    prefix: String,
    /// Its name for people.
    #[schemars(extend("x-class" = Content))]
    label: String,
    /// What it may do at most.
    #[schemars(extend("x-class" = Public), with = "Vec<String>")]
    scopes: ScopeSet,
    /// The VMs it may touch; all of the account's if null.
    #[schemars(extend("x-class" = Public))]
    vms: Option<Vec<VmId>>,
    /// The networks it may be used from; any if null.
    #[schemars(extend("x-class" = Pii))]
    ips: Option<Vec<String>>,
    /// It only reads.
    #[schemars(extend("x-class" = Public))]
    read_only: bool,
    /// Its own sliding window, if it has one.
    #[schemars(extend("x-class" = Public))]
    limit: Option<Limit>,
    /// When it was made.
    #[schemars(extend("x-class" = Public))]
    created_at: Instant,
    /// When it ends.
    #[schemars(extend("x-class" = Public))]
    expires_at: Option<Instant>,
    /// When it was revoked.
    #[schemars(extend("x-class" = Public))]
    revoked_at: Option<Instant>,
    /// The key that it replaces.
    #[schemars(extend("x-class" = Public))]
    rotates: Option<CredentialId>,
    /// The credential that it was made with.
    #[schemars(extend("x-class" = Public))]
    made_by: Option<CredentialId>,
    /// The role of the person for whom the console acts with it; null for a key.
    #[schemars(extend("x-class" = Public))]
    role: Option<Role>,
}

impl From<&Credential> for Shown {
    fn from(row: &Credential) -> Self {
        let made = row.created.clone();
        Self {
            id: made.credential,
            account: made.account,
            user: made.user,
            prefix: made.prefix.to_string(),
            label: row.label.clone(),
            scopes: made.scopes,
            vms: made.vms,
            ips: row.ips.clone(),
            read_only: made.read_only,
            limit: made.limit,
            created_at: row.created_at.into(),
            expires_at: made.expires_at.map(Instant),
            revoked_at: row.revoked_at.map(Instant),
            rotates: made.rotates,
            made_by: made.made_by,
            role: made.role,
        }
    }
}

/// The same with the key itself, which only the answer that makes a key has.
#[derive(Serialize, JsonSchema)]
struct Made {
    #[serde(flatten)]
    shown: Shown,
    /// The key. Shown this once.
    #[schemars(extend("x-class" = Secret))]
    api_key: String,
}

impl Made {
    fn of(state: &ControlState, id: &CredentialId, key: &ApiKey) -> Result<Self, Outcome> {
        let row = state.credentials.get(id);
        let row = row.ok_or_else(|| Refusal::new(Code::InternalError, "The key was made and cannot be read back."))?;
        Ok(Self { shown: row.into(), api_key: key.reveal().to_owned() })
    }
}

/// Refuses what would be refused anyway, before anything is sealed for an account.
fn tried<C: Command>(execution: &Execution, state: &ControlState, command: &C) -> Result<(), Refusal> {
    let (now, uses) = (execution.ports.clock.now(), Uses::new());
    command.decide(&Snapshot { state, now, uses: &uses }).map(drop)
}

fn no_key() -> Refusal {
    Refusal::new(Code::NotFound, "There is no such key.")
}
