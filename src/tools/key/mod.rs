//! Keys: made, listed, rotated, kept and revoked. A key is shown once, in the answer that makes it; the log has its hash.

mod adopt;
mod create;
mod list;
mod revoke;
mod rotate;

use std::sync::Arc;

use serde_json::{Value, json};

use super::instant::render_maybe;
use super::shape::{Shape, any, maybe};
use super::{Execution, Tool};
use crate::core::code::Code;
use crate::core::event::CredentialCreated;
use crate::core::id::{AccountId, CredentialId};
use crate::core::principal::Side;
use crate::core::quota::{Counted, Quota};
use crate::core::redact::Sensitivity::{Content, Pii, Public, Secret};
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
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

/// Whether the caller may administer keys of this account: staff with the right to, customers for their own. A key that
/// is itself confined to some VMs or networks may not, or it would make itself one that is not.
fn may_administer(execution: &Execution, state: &ControlState, account: &AccountId) -> bool {
    let Some(own) = state.credentials.get(&execution.principal.credential) else { return false };
    if own.created.role.is_some_and(|role| !role.administers()) {
        return false;
    }
    match execution.principal.side {
        Side::Staff => own.created.scopes.contains(&Scope::StaffTokens),
        Side::Customer => execution.principal.account == *account && own.created.vms.is_none() && own.ips.is_none(),
    }
}

/// Whether the caller may hold a key with these rights for this person. A staff key is made by its holder alone, or one
/// person could act as the second one (two-person release).
fn may_hold(execution: &Execution, state: &ControlState, made: &CredentialCreated) -> Result<(), Refusal> {
    let own = state.credentials.get(&execution.principal.credential).map(|row| row.created.clone());
    let own = own.ok_or_else(|| Refusal::new(Code::Unauthenticated, "The key is not known."))?;
    if made.side == Side::Staff && made.user != execution.principal.user {
        return Err(Refusal::new(Code::ForbiddenRole, "A staff key is made by the person who holds it."));
    }
    let allowed = if own.side == Side::Staff && made.side == Side::Customer { Scope::customer() } else { own.scopes };
    if let Some(beyond) = made.scopes.difference(&allowed).next() {
        let text = format!("The scope {} is more than the caller may give.", beyond.as_str());
        return Err(Refusal::new(Code::ForbiddenScope, text).details(json!({ "scope": beyond.as_str() })));
    }
    let outlives = own.side == made.side && own.expires_at.is_some_and(|end| made.expires_at.is_none_or(|made| made > end));
    if outlives {
        return Err(Refusal::new(Code::ForbiddenRole, "A key cannot make one that outlives it."));
    }
    Ok(())
}

/// Whether the caller may add one more key to an account, or put it in the place of another. To be asked in the transaction
/// that adds it.
fn quota(
    execution: &Execution,
    account: &AccountId,
    replaces: bool,
) -> impl Fn(&ControlState) -> Option<Refusal> + Send + 'static {
    let (quotas, account, maker) = (Arc::clone(&execution.ports.quotas), account.clone(), execution.principal.credential.clone());
    let now = execution.ports.clock.now();
    move |state| {
        // What a person makes in the console is the person's, of whom one is not told from the other by a credential.
        let by_person = state.credentials.get(&maker).is_some_and(|row| row.created.role.is_some());
        let of_key = |quota: Quota| Quota { key: if by_person { quota.account } else { quota.key }, ..quota };
        let made = state.keys_made(&account, &maker, now);
        let is_full = Counted::KeysADay.check(of_key(quotas.keys_a_day), made);
        let live = || Counted::Keys.check(of_key(quotas.keys), state.keys_used(&account, &maker, now));
        is_full.and_then(|()| if replaces { Ok(()) } else { live() }).err()
    }
}

/// A key that the caller may administer. One that it may not, and one that is not there, look the same (P9).
fn administered<'a>(execution: &Execution, state: &'a ControlState, id: &CredentialId) -> Result<&'a Credential, Refusal> {
    let found = state.credentials.get(id).filter(|row| may_administer(execution, state, &row.created.account));
    found.ok_or_else(|| Refusal::new(Code::NotFound, "There is no such key."))
}
