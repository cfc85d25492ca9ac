//! Keys: made, rotated, kept and revoked.
//!
//! INVARIANT: a key never does more than whoever made it may give, nor more than the role of the person who holds it; whoever may
//! not administer a key is told that it is not there.

pub mod adopt;
pub mod canary;
pub mod create;
pub mod revoke;
pub mod rotate;

use crate::core::code::Code;
use crate::core::grant::{acting, may_administer};
use crate::core::id::{AccountId, CredentialId};
use crate::core::principal::Principal;
use crate::core::quota::{Quota, QuotaKind};
use crate::core::refusal::Refusal;
use crate::core::state::{ControlState, Credential};
use crate::core::time::Micros;

/// Who makes or ends a key.
#[derive(Clone, Debug)]
pub enum By {
    /// Whoever calls, within what they may give.
    Caller(Principal),
    /// Whoever owns the data, of whom nobody is a person here.
    Operator,
}

/// A key that the caller may administer, as control state stands. One that it may not, and one that is not there, look the same
/// (P9). What the console acts with for a person is no key, and only a person ends it: an agent could keep everybody out.
fn administered<'a>(state: &'a ControlState, who: &Principal, id: &CredentialId) -> Result<&'a Credential, Refusal> {
    let own = acting(state, who)?;
    let found = state.credentials.get(id).filter(|row| may_administer(state, who, &row.created.account));
    let row = found.ok_or_else(absent)?;
    if row.is_person() && !own.is_person() {
        return Err(no_key());
    }
    Ok(row)
}

/// A key that may be rotated or revoked by whoever asks.
fn found<'a>(state: &'a ControlState, by: &By, id: &CredentialId) -> Result<&'a Credential, Refusal> {
    match by {
        By::Caller(who) => administered(state, who, id),
        By::Operator => state.credentials.get(id).ok_or_else(absent),
    }
}

/// Refuses one more key than the account, or what it is made with, may have.
fn check_quota(
    state: &ControlState,
    account: &AccountId,
    maker: &CredentialId,
    replaces: bool,
    now: Micros,
) -> Result<(), Refusal> {
    let quotas = state.quotas();
    let (most, a_day, keys) =
        (state.keys_at_most(account), of_key(state, maker, quotas.keys_a_day), of_key(state, maker, quotas.keys));
    let made = || QuotaKind::KeysADay.check(a_day, state.keys_made(account, maker, now));
    QuotaKind::KeysADay.check(a_day, most).or_else(|_| made())?;
    if replaces {
        return Ok(());
    }
    let used = || QuotaKind::Keys.check(keys, state.keys_used(account, maker, now));
    QuotaKind::Keys.check(keys, most).or_else(|_| used())
}

/// What a person makes in the console is the person's, of whom one is not told from the other by a credential.
fn of_key(state: &ControlState, maker: &CredentialId, quota: Quota) -> Quota {
    let by_person = state.credentials.get(maker).is_some_and(Credential::is_person);
    Quota { key: if by_person { quota.account } else { quota.key }, ..quota }
}

fn absent() -> Refusal {
    Refusal::new(Code::NotFound, "There is no such key.")
}

fn no_key() -> Refusal {
    Refusal::new(Code::NotFound, "What the console acts with is no key.")
}
