//! `key_adopt`: a person keeps a key that another one made. It ends with that one no more, but with the person.
//!
//! INVARIANT: one key at a time, by a person who is signed in; what a switch covers stays covered.

use serde::Deserialize;
use serde_json::json;

use super::of_key;
use crate::core::adoption::adoption;
use crate::core::id::CredentialId;
use crate::core::lineage::alive;
use crate::core::quota::Counted;
use crate::core::redact::Sensitivity::Public;
use crate::core::scope::Scope;
use crate::core::tool::ToolFacts;
use crate::tools::outcome::Answer;
use crate::tools::record::change;
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, any, id};
use crate::tools::{Execution, Tool, facts, register};

static FACTS: ToolFacts = facts::or(facts::control("key_adopt", Some(Scope::KeysWrite)), &[Scope::StaffTokens]);

pub(super) fn tool() -> Tool {
    let input = Shape::new().must("id", Public, id("key", "The key to keep.")).keyed();
    let output = Shape::new().must("id", Public, any("string", "The key.")).must(
        "adopted",
        Public,
        any("boolean", "It comes from the person who is signed in, by this call or an earlier one."),
    );
    let face = Face {
        title: "Keep a key",
        description: "Keeps a key that another key made: it ends, stops and counts with that one no more. Only a person who is \
                      signed in may, also after that one has ended. What the key itself may do stays as it is.",
    };
    register::tool(&FACTS, face, input.read_as::<Args>(), output, handler!(adopt))
}

#[derive(Deserialize)]
struct Args {
    id: CredentialId,
}

async fn adopt(execution: Execution) -> Answer {
    let Args { id } = execution.arguments()?;
    let (who, key) = (execution.principal.clone(), id.clone());
    change(&execution, move |state, now| {
        let kept = adoption(state, &key, &who, now)?;
        // One that had ended with what made it was not counted any more.
        if kept.is_some() && alive(state, &key, now).is_err() {
            let quota = of_key(state, &who.credential, state.quotas().keys);
            let used = state.keys_used(&who.account, &who.credential, now);
            Counted::Keys.check(quota, used)?;
        }
        Ok(kept.into_iter().collect())
    })
    .await?;
    Ok(json!({ "id": id, "adopted": true }))
}
