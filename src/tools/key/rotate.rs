//! `key_rotate`: a new key with the old one's rights; the old one ends in the same transaction. It is the same key with another
//! secret: limits, switches, what it comes from and what came of it stay (`core::lineage`).

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Made, administered, no_key, quota};
use crate::auth::key::ApiKey;
use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::event::{CredentialCreated, Kind};
use crate::core::grant;
use crate::core::id::{CredentialId, UserId};
use crate::core::lineage::alive;
use crate::core::principal::{Principal, Side};
use crate::core::redact::Sensitivity::Public;
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::state::{ControlState, Credential};
use crate::core::succession::check_rotation;
use crate::tools::Execution;
use crate::tools::declare::{Operation, Route, administration};
use crate::tools::record::{Record, fresh, record};

pub(super) static ROTATE: Operation<Args, Made> = administration("key_rotate")
    .scope(Scope::KeysWrite)
    .or(&[Scope::StaffTokens])
    .title("Rotate a key")
    .about("Replaces a key by a new one with the same rights. The old one ends at once; what it made goes on with the new one.")
    .rest(Route::post("/keys/{id}/rotate").created())
    .run(|execution, args| Box::pin(rotate(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// The key to replace.
    #[schemars(extend("x-class" = Public))]
    id: CredentialId,
}

async fn rotate(execution: Execution, Args { id }: Args) -> Result<Made, Outcome> {
    let (state, who) = (fresh(&execution).await?, execution.principal.clone());
    let old = administered(&state, &who, &id)?.clone();
    if old.is_person() {
        return Err(no_key().into());
    }
    let key = ApiKey::generate(&*execution.ports.entropy);
    let credential = CredentialId::new(execution.ports.clock.now(), &*execution.ports.entropy);
    let created = CredentialCreated {
        credential: credential.clone(),
        user: holder(&state, &who, &old),
        hash: key.hash().into(),
        prefix: key.prefix().into(),
        rotates: Some(id.clone()),
        made_by: Some(who.credential.clone()),
        ..old.created.clone()
    };
    grant::check(&state, &who, &created)?;
    let note = json!({ "label": old.label, "ips": old.ips });
    let made = Record::noted(&execution, &old.created.account, Kind::CredentialCreated(created.clone()), note).await?;
    let by = Some(who.user.clone());
    let revoked = Record::plain(&execution, Kind::CredentialRevoked { credential: id.clone(), by });
    let (now, taken_over) = (execution.ports.clock.now(), created.user != old.created.user);
    let full = quota(&execution, &old.created.account, alive(&state, &id, now).is_ok());
    record(&execution, vec![made, revoked], move |state| {
        if let Err(refusal) = grant::check(state, &who, &created) {
            return Some(refusal);
        }
        check_rotation(state, &id, taken_over, now).err().or_else(|| full(state))
    })
    .await?;
    let row = fresh(&execution).await?.credentials.get(&credential).cloned();
    let row = row.ok_or_else(|| Refusal::new(Code::InternalError, "The key was made and cannot be read back."))?;
    Ok(Made::of(&row, &key))
}

/// Whose the new key is: whoever has it in their hands, but for a person who changes the key of a colleague.
fn holder(state: &ControlState, who: &Principal, old: &Credential) -> UserId {
    let is_person = state.credentials.get(&who.credential).is_some_and(Credential::is_person);
    let keeps = is_person && who.side == Side::Customer && !state.has_left(old);
    if keeps { old.created.user.clone() } else { who.user.clone() }
}
