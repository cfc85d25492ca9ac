//! `key_rotate`: a new key with the old one's rights; the old one ends in the same transaction. It is the same key with another
//! secret: limits, switches, what it comes from and what came of it stay (`core::lineage`).

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Made, no_key, tried};
use crate::auth::key::ApiKey;
use crate::core::call::Outcome;
use crate::core::commands::key::By;
use crate::core::commands::key::rotate::RotateKey;
use crate::core::id::CredentialId;
use crate::core::redact::Sensitivity::Public;
use crate::core::scope::Scope;
use crate::tools::Execution;
use crate::tools::declare::{Operation, Route, administration};
use crate::tools::record::{change, fresh, note};

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
    let (ports, state) = (&execution.ports, fresh(&execution).await?);
    let key = ApiKey::generate(&*ports.entropy);
    let mut command = RotateKey {
        old: id,
        new: CredentialId::new(ports.clock.now(), &*ports.entropy),
        hash: key.hash(),
        prefix: key.prefix(),
        by: By::Caller(execution.principal.clone()),
        event: ports.event_id(),
    };
    tried(&execution, &state, &command)?;
    // Whose key it is and what it is called does not change.
    let old = state.credentials.get(&command.old).ok_or_else(no_key)?;
    let note = note(&execution, &old.created.account, json!({ "label": old.label, "ips": old.ips })).await?;
    command.event = note.id();
    let credential = command.new.clone();
    let changed = change(&execution, [note], command).await?;
    Made::of(&changed.state, &credential, &key)
}
