//! `person_remove`: a person is none of an account's people any more. Whatever they acted with ends: their sessions, their
//! keys, and the invitations that they made; and who they were is erased.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{check_someone_is_left, managed};
use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::event::Kind;
use crate::core::id::{CredentialId, UserId};
use crate::core::people::{revocations, withdrawals};
use crate::core::redact::Sensitivity::Public;
use crate::core::refusal::Refusal;
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
    let (person, people) = managed(&execution, &state, &id).await?;
    let (user, by) = (id.clone(), execution.principal.user.clone());
    let kinds = change(&execution, move |state, _| {
        // Removed already, and not erased yet.
        if person.role_in(state).is_none() {
            return Ok(Vec::new());
        }
        check_someone_is_left(&people, &user, state)?;
        if user == by {
            let refusal = Refusal::new(Code::ForbiddenRole, "Nobody removes themselves.");
            return Err(refusal.hint("Another person who administers the account does."));
        }
        let mut kinds = revocations(state, &user, Some(&by), |_| true);
        kinds.extend(withdrawals(state, &user, Some(&by)));
        kinds.push(Kind::UserRemoved { user: user.clone(), account: person.account.clone(), by: Some(by.clone()) });
        Ok(kinds)
    })
    .await?;
    let revoked = kinds
        .into_iter()
        .filter_map(|kind| if let Kind::CredentialRevoked { credential, .. } = kind { Some(credential) } else { None })
        .collect();
    if let Err(error) = execution.ports.reader.vault.erase_person(&id).await {
        // They are removed all the same: the log says so. Removing them again erases what is left.
        tracing::error!(user = %id, %error, "a person who was removed could not be erased yet");
    }
    Ok(Output { id, removed: true, revoked })
}
