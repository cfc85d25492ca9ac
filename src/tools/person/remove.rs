//! `person_remove`: a person is none of an account's people any more. Whatever they acted with ends: their sessions, their
//! keys, and the invitations that they made; and who they were is erased.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::managed;
use crate::core::call::Outcome;
use crate::core::commands::user::RemoveUser;
use crate::core::id::{CredentialId, UserId};
use crate::core::redact::Sensitivity::Public;
use crate::core::scope::Scope;
use crate::tools::Execution;
use crate::tools::declare::{Operation, Route, administration};
use crate::tools::record::{change, fresh};

pub(super) static REMOVE: Operation<Args, Output> = administration("person_remove")
    .scope(Scope::PeopleWrite)
    .or(&[Scope::StaffPeople])
    .stops()
    .administers()
    .harmless_twice()
    .title("Remove a person")
    .about("Ends a person's sessions, keys and invitations at once, and erases their e-mail address and password.")
    .rest(Route::delete("/people/{id}"))
    .run(|execution, args| Box::pin(remove(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// The person.
    #[schemars(extend("x-class" = Public))]
    id: UserId,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The person.
    #[schemars(extend("x-class" = Public))]
    id: UserId,
    /// The person is removed, by this call or an earlier one.
    #[schemars(extend("x-class" = Public))]
    removed: bool,
    /// The credentials that ended with it: of sessions, and keys.
    #[schemars(extend("x-class" = Public))]
    revoked: Vec<CredentialId>,
}

async fn remove(execution: Execution, Args { id }: Args) -> Result<Output, Outcome> {
    let state = fresh(&execution).await?;
    let account = managed(&execution, &state, &id).await?;
    let by = execution.principal.clone();
    let revoked = change(&execution, None, RemoveUser { user: id.clone(), account, by }).await?.answer;
    if let Err(error) = execution.ports.reader.vault.erase_user(&id).await {
        // They are removed all the same: the log says so. Removing them again erases what is left.
        tracing::error!(user = %id, %error, "a person who was removed could not be erased yet");
    }
    Ok(Output { id, removed: true, revoked })
}
