//! `key_adopt`: a person keeps a key that another one made. It ends with that one no more, but with the person.
//!
//! INVARIANT: one key at a time, by a person who is signed in; what a switch covers stays covered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::call::Outcome;
use crate::core::commands::key::adopt::AdoptKey;
use crate::core::id::CredentialId;
use crate::core::redact::Sensitivity::Public;
use crate::core::scope::Scope;
use crate::tools::Execution;
use crate::tools::declare::{Operation, administration};
use crate::tools::record::change;

pub(super) static ADOPT: Operation<Args, Output> = administration("key_adopt")
    .scope(Scope::KeysWrite)
    .or(&[Scope::StaffTokens])
    .title("Keep a key")
    .about(
        "Keeps a key that another key made: it ends, stops and counts with that one no more. Only a person who is signed in \
         may, also after that one has ended. What the key itself may do stays as it is.",
    )
    .run(|execution, args| Box::pin(adopt(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// The key to keep.
    #[schemars(extend("x-class" = Public))]
    id: CredentialId,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The key.
    #[schemars(extend("x-class" = Public))]
    id: CredentialId,
    /// It comes from the person who is signed in, by this call or an earlier one.
    #[schemars(extend("x-class" = Public))]
    adopted: bool,
}

async fn adopt(execution: Execution, Args { id }: Args) -> Result<Output, Outcome> {
    let by = execution.principal.clone();
    change(&execution, None, AdoptKey { key: id.clone(), by }).await?;
    Ok(Output { id, adopted: true })
}
