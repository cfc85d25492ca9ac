//! `key_rotate`: a new key with the old one's rights; the old one ends in the same transaction. It is the same key with another
//! secret: limits, switches, what it comes from and what came of it stay (`core::lineage`).

use serde::Deserialize;
use serde_json::json;

use super::{administered, made_shape, no_key, quota, shown, with_key};
use crate::auth::key::ApiKey;
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
use crate::core::tool::ToolFacts;
use crate::tools::outcome::Answer;
use crate::tools::record::{Record, fresh, record};
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, id};
use crate::tools::{Execution, Tool, facts, register};

static FACTS: ToolFacts = facts::or(facts::control("key_rotate", Some(Scope::KeysWrite)), &[Scope::StaffTokens]);

pub(super) fn tool() -> Tool {
    let input = Shape::new().must("id", Public, id("key", "The key to replace.")).keyed();
    let face = Face {
        title: "Rotate a key",
        description: "Replaces a key by a new one with the same rights. The old one ends at once; what it made goes on with the new one.",
    };
    register::tool(&FACTS, face, input.read_as::<Args>(), made_shape(), handler!(rotate))
}

#[derive(Deserialize)]
struct Args {
    id: CredentialId,
}

async fn rotate(execution: Execution) -> Answer {
    let Args { id } = execution.arguments()?;
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
    Ok(with_key(shown(&row), key.reveal()))
}

/// Whose the new key is: whoever has it in their hands, but for a person who changes the key of a colleague.
fn holder(state: &ControlState, who: &Principal, old: &Credential) -> UserId {
    let is_person = state.credentials.get(&who.credential).is_some_and(Credential::is_person);
    let keeps = is_person && who.side == Side::Customer && !state.has_left(old);
    if keeps { old.created.user.clone() } else { who.user.clone() }
}
