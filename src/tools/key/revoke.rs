//! `key_revoke`: a key, and all that comes from it, fail on their next request (P8, P14).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::call::Outcome;
use crate::core::commands::key::By;
use crate::core::commands::key::revoke::RevokeKey;
use crate::core::id::CredentialId;
use crate::core::redact::Sensitivity::Public;
use crate::core::scope::Scope;
use crate::tools::Execution;
use crate::tools::declare::{Operation, Route, administration};
use crate::tools::record::change;

pub(super) static REVOKE: Operation<Args, Output> = administration("key_revoke")
    .scope(Scope::KeysWrite)
    .or(&[Scope::StaffTokens])
    .stops()
    .administers()
    .harmless_twice()
    .title("Revoke a key")
    .about(
        "Ends a key for good, with every key that it made. They fail on their next request. If the key was rotated and both \
         secrets worked, the first time ends this one alone, and goes_on names the other.",
    )
    .rest(Route::delete("/keys/{id}"))
    .run(|execution, args| Box::pin(revoke(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// The key.
    #[schemars(extend("x-class" = Public))]
    id: CredentialId,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The key.
    #[schemars(extend("x-class" = Public))]
    id: CredentialId,
    /// It is revoked, by this call or an earlier one.
    #[schemars(extend("x-class" = Public))]
    revoked: bool,
    /// Another secret of the same key that goes on; null if the key has ended. Revoking this one once more ends both.
    #[schemars(extend("x-class" = Public))]
    goes_on: Option<CredentialId>,
}

async fn revoke(execution: Execution, Args { id }: Args) -> Result<Output, Outcome> {
    let by = By::Caller(execution.principal.clone());
    let changed = change(&execution, None, RevokeKey { key: id.clone(), by, event: None }).await?;
    let goes_on = changed.state.goes_on_in(&id).cloned();
    Ok(Output { id, revoked: true, goes_on })
}
