//! `key_revoke`: a key, and all that comes from it, fail on their next request (P8, P14).

use serde::Deserialize;
use serde_json::json;

use super::administered;
use crate::core::event::Kind;
use crate::core::id::CredentialId;
use crate::core::redact::Sensitivity::Public;
use crate::core::scope::Scope;
use crate::core::tool::ToolFacts;
use crate::tools::outcome::Answer;
use crate::tools::record::{change, fresh};
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, any, id, maybe};
use crate::tools::{Execution, Tool, facts, register};

static FACTS: ToolFacts =
    facts::administer(facts::stop(facts::or(facts::control("key_revoke", Some(Scope::KeysWrite)), &[Scope::StaffTokens])));

pub(super) fn tool() -> Tool {
    let input = Shape::new().must("id", Public, id("key", "The key."));
    let other = "Another secret of the same key that goes on; null if the key has ended. Revoking this one once more ends both.";
    let output = Shape::new()
        .must("id", Public, any("string", "The key."))
        .must("revoked", Public, any("boolean", "It is revoked, by this call or an earlier one."))
        .must("goes_on", Public, maybe("string", other));
    let face = Face {
        title: "Revoke a key",
        description: "Ends a key for good, with every key that it made. They fail on their next request. If the key was rotated and \
                      both secrets worked, the first time ends this one alone, and goes_on names the other.",
    };
    register::tool(&FACTS, face, input.read_as::<Args>(), output, handler!(revoke))
}

#[derive(Deserialize)]
struct Args {
    id: CredentialId,
}

async fn revoke(execution: Execution) -> Answer {
    let Args { id } = execution.arguments()?;
    let (who, wanted) = (execution.principal.clone(), id.clone());
    change(&execution, move |state, _| {
        administered(state, &who, &wanted)?;
        // Of one that was replaced, this ends what replaced it.
        if state.is_over(&wanted) {
            return Ok(Vec::new());
        }
        Ok(vec![Kind::CredentialRevoked { credential: wanted.clone(), by: Some(who.user.clone()) }])
    })
    .await?;
    let state = fresh(&execution).await?;
    Ok(json!({ "id": id, "revoked": true, "goes_on": state.goes_on_in(&id) }))
}
