//! `key_rotate`: a new key with the old one's rights; the old one ends in the same transaction. It is the same key with another
//! secret: limits, switches, what it comes from and what came of it stay (`core::lineage`).

use serde::Deserialize;
use serde_json::json;

use super::{administered, made_shape, may_hold, quota, shown, with_key};
use crate::auth::key::ApiKey;
use crate::core::code::Code;
use crate::core::event::{CredentialCreated, Kind};
use crate::core::id::CredentialId;
use crate::core::lineage::check_length;
use crate::core::redact::Sensitivity::Public;
use crate::core::refusal::Refusal;
use crate::core::tool::ToolFacts;
use crate::tools::outcome::Answer;
use crate::tools::record::{Record, fresh, record};
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, id};
use crate::tools::{Execution, Tool, facts, register};

static FACTS: ToolFacts = facts::control("key_rotate", None);

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
    let state = fresh(&execution).await?;
    let old = administered(&execution, &state, &id)?.clone();
    if old.created.role.is_some() {
        return Err(Refusal::new(Code::NotFound, "What the console acts with is no key.").into());
    }
    let key = ApiKey::generate(&*execution.ports.entropy);
    let credential = CredentialId::new(execution.ports.clock.now(), &*execution.ports.entropy);
    let (hash, prefix, rotates) = (key.hash(), key.prefix(), Some(id.clone()));
    let made_by = Some(execution.principal.credential.clone());
    let created = CredentialCreated {
        credential: credential.clone(),
        hash: hash.into(),
        prefix: prefix.into(),
        rotates,
        made_by,
        ..old.created.clone()
    };
    may_hold(&execution, &state, &created)?;
    let note = json!({ "label": old.label, "ips": old.ips });
    let made = Record::noted(&execution, &old.created.account, Kind::CredentialCreated(created), note).await?;
    let (by, maker) = (Some(execution.principal.user.clone()), execution.principal.credential.clone());
    let revoked = Record::plain(&execution, Kind::CredentialRevoked { credential: id.clone(), by });
    let full = quota(&execution, &old.created.account, true);
    record(&execution, vec![made, revoked], move |state| {
        let live = state.credentials.get(&id).is_some_and(|row| row.revoked_at.is_none());
        if !live {
            return Some(Refusal::new(Code::Conflict, "The key was revoked already."));
        }
        check_length(state, &maker, Some(&id)).err().or_else(|| full(state))
    })
    .await?;
    let row = fresh(&execution).await?.credentials.remove(&credential);
    let row = row.ok_or_else(|| Refusal::new(Code::InternalError, "The key was made and cannot be read back."))?;
    Ok(with_key(shown(&row), key.reveal()))
}
