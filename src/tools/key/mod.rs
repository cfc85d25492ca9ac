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
use crate::core::code::Code;
use crate::core::grant::{acting, may_administer};
use crate::core::id::{AccountId, CredentialId, UserId, VmId};
use crate::core::limit::Limit;
use crate::core::principal::Principal;
use crate::core::quota::{Counted, Quota};
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
    fn of(row: &Credential, key: &ApiKey) -> Self {
        Self { shown: row.into(), api_key: key.reveal().to_owned() }
    }
}

/// A key that the caller may administer, as control state stands. One that it may not, and one that is not there, look the same
/// (P9). What the console acts with for a person is no key, and only a person ends it: an agent could keep everybody out.
fn administered<'a>(state: &'a ControlState, who: &Principal, id: &CredentialId) -> Result<&'a Credential, Refusal> {
    let own = acting(state, who)?;
    let found = state.credentials.get(id).filter(|row| may_administer(state, who, &row.created.account));
    let row = found.ok_or_else(|| Refusal::new(Code::NotFound, "There is no such key."))?;
    if row.is_person() && !own.is_person() {
        return Err(no_key());
    }
    Ok(row)
}

/// Whether the caller may add one more key to an account, or put it in the place of another. To be asked in the transaction
/// that adds it.
fn quota(
    execution: &Execution,
    account: &AccountId,
    replaces: bool,
) -> impl Fn(&ControlState) -> Option<Refusal> + Send + 'static {
    let (account, maker) = (account.clone(), execution.principal.credential.clone());
    let now = execution.ports.clock.now();
    move |state| {
        let quotas = state.quotas();
        let (most, a_day, keys) =
            (state.keys_at_most(&account), of_key(state, &maker, quotas.keys_a_day), of_key(state, &maker, quotas.keys));
        let made = || Counted::KeysADay.check(a_day, state.keys_made(&account, &maker, now));
        let is_full = Counted::KeysADay.check(a_day, most).or_else(|_| made());
        let used = || Counted::Keys.check(keys, state.keys_used(&account, &maker, now));
        let live = || Counted::Keys.check(keys, most).or_else(|_| used());
        is_full.and_then(|()| if replaces { Ok(()) } else { live() }).err()
    }
}

/// What a person makes in the console is the person's, of whom one is not told from the other by a credential.
fn of_key(state: &ControlState, maker: &CredentialId, quota: Quota) -> Quota {
    let by_person = state.credentials.get(maker).is_some_and(Credential::is_person);
    Quota { key: if by_person { quota.account } else { quota.key }, ..quota }
}

fn no_key() -> Refusal {
    Refusal::new(Code::NotFound, "What the console acts with is no key.")
}
