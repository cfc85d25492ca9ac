//! Keys: made, listed, rotated, kept and revoked. A key is shown once, in the answer that makes it; the log has its hash.

mod adopt;
mod create;
mod list;
mod revoke;
mod rotate;

use serde_json::{Value, json};

use super::instant::render_maybe;
use super::shape::{Shape, any, maybe};
use super::{Execution, Tool};
use crate::core::code::Code;
use crate::core::grant::{acting, may_administer};
use crate::core::id::{AccountId, CredentialId};
use crate::core::principal::Principal;
use crate::core::quota::{Counted, Quota};
use crate::core::redact::Sensitivity::{Content, Pii, Public, Secret};
use crate::core::refusal::Refusal;
use crate::core::state::{ControlState, Credential};

pub(super) fn tools() -> Vec<Tool> {
    vec![create::tool(), list::tool(), revoke::tool(), rotate::tool(), adopt::tool()]
}

/// What is shown of a key, over and over.
fn shown(row: &Credential) -> Value {
    let made = &row.created;
    json!({
        "id": made.credential, "account": made.account, "user": made.user, "prefix": made.prefix, "label": row.label,
        "scopes": made.scopes, "vms": made.vms, "ips": row.ips, "read_only": made.read_only, "limit": made.limit,
        "created_at": row.created_at.document(), "expires_at": render_maybe(made.expires_at), "revoked_at": render_maybe(row.revoked_at),
        "rotates": made.rotates, "made_by": made.made_by, "role": made.role,
    })
}

/// The same as a shape.
fn shown_shape() -> Shape {
    Shape::new()
        .must("id", Public, any("string", "The key's id."))
        .must("account", Public, any("string", "Whose key."))
        .must("user", Public, any("string", "The person who holds it."))
        .must("prefix", Public, any("string", "The start of the key."))
        .must("label", Content, any("string", "Its name for people."))
        .must("scopes", Public, any("array", "What it may do at most."))
        .must("vms", Public, maybe("array", "The VMs it may touch; all of the account's if null."))
        .must("ips", Pii, maybe("array", "The networks it may be used from; any if null."))
        .must("read_only", Public, any("boolean", "It only reads."))
        .must("limit", Public, maybe("object", "Its own sliding window, if it has one."))
        .must("created_at", Public, any("string", "When it was made."))
        .must("expires_at", Public, maybe("string", "When it ends."))
        .must("revoked_at", Public, maybe("string", "When it was revoked."))
        .must("rotates", Public, maybe("string", "The key that it replaces."))
        .must("made_by", Public, maybe("string", "The credential that it was made with."))
        .must("role", Public, maybe("string", "The role of the person for whom the console acts with it; null for a key."))
}

/// The same with the key itself, which only the answer that makes a key has.
fn made_shape() -> Shape {
    shown_shape().must("api_key", Secret, any("string", "The key. Shown this once."))
}

fn with_key(mut shown: Value, key: &str) -> Value {
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("api_key".to_owned(), json!(key));
    }
    shown
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
