//! `person_role_set`: another role for a person, at once: their sessions end, and their keys that may do more than the role.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::managed;
use crate::core::call::Outcome;
use crate::core::commands::user::SetRole;
use crate::core::id::{CredentialId, UserId};
use crate::core::redact::Sensitivity::Public;
use crate::core::role::Role;
use crate::core::scope::Scope;
use crate::tools::Execution;
use crate::tools::declare::{Operation, Route, administration};
use crate::tools::record::{change, fresh};

pub(super) static SET_ROLE: Operation<Args, Output> = administration("person_role_set")
    .scope(Scope::PeopleWrite)
    .or(&[Scope::StaffPeople])
    .title("Change a person's role")
    .about("Gives a person another role. Their sessions end, and those of their keys that may do more than the role.")
    .rest(Route::patch("/people/{id}"))
    .run(|execution, args| Box::pin(set(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// The person.
    #[schemars(extend("x-class" = Public))]
    id: UserId,
    /// What the person may do from now on.
    #[schemars(extend("x-class" = Public))]
    role: Role,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The person.
    #[schemars(extend("x-class" = Public))]
    id: UserId,
    /// The role, by this call or an earlier one.
    #[schemars(extend("x-class" = Public))]
    role: Role,
    /// The credentials that ended with the role before.
    #[schemars(extend("x-class" = Public))]
    revoked: Vec<CredentialId>,
}

async fn set(execution: Execution, Args { id, role }: Args) -> Result<Output, Outcome> {
    let state = fresh(&execution).await?;
    let account = managed(&execution, &state, &id).await?;
    let by = execution.principal.clone();
    let changed = change(&execution, None, SetRole { user: id.clone(), account, role, by }).await?;
    let Some(revoked) = changed.answer else { return Ok(Output { id, role, revoked: Vec::new() }) };
    // The log has said it, so it is so; this is for those who look into the vault alone.
    if let Err(error) = execution.ports.reader.vault.set_role(&id, role.as_str()).await {
        tracing::error!(user = %id, %error, "the vault does not have a person's new role yet");
    }
    Ok(Output { id, role, revoked })
}
