//! `person_role_set`: another role for a person, at once: their sessions end, and their keys that may do more than the role.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{absent, check_not_let_in, check_someone_is_left, managed};
use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::event::Kind;
use crate::core::id::{CredentialId, UserId};
use crate::core::people::role_change;
use crate::core::redact::Sensitivity::Public;
use crate::core::refusal::Refusal;
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
    let (person, people) = managed(&execution, &state, &id).await?;
    check_not_let_in(&execution, &state, &person.account)?;
    let by = execution.principal.user.clone();
    if id == by {
        return Err(Refusal::new(Code::ForbiddenRole, "Nobody changes their own role.").into());
    }
    let (user, account) = (id.clone(), person.account.clone());
    let kinds = change(&execution, move |state, _| {
        let now = person.role_in(state).ok_or_else(absent)?;
        if state.accounts.get(&account).is_none_or(|row| row.side != role.side()) {
            return Err(Refusal::new(Code::ForbiddenRole, "Customers and staff have different roles."));
        }
        // The same one again is what lets them in whose issuer gives them none any more.
        if now == role && person.acting_role_in(state).is_some() {
            return Ok(Vec::new());
        }
        if !role.administers() {
            check_someone_is_left(&people, &user, state)?;
        }
        Ok(role_change(state, &user, &account, role, Some(&by)))
    })
    .await?;
    if !kinds.is_empty() {
        // The log has said it, so it is so; this is for those who look into the vault alone.
        if let Err(error) = execution.ports.reader.vault.set_role(&id, role.as_str()).await {
            tracing::error!(user = %id, %error, "the vault does not have a person's new role yet");
        }
    }
    let revoked = kinds
        .into_iter()
        .filter_map(|kind| if let Kind::CredentialRevoked { credential, .. } = kind { Some(credential) } else { None })
        .collect();
    Ok(Output { id, role, revoked })
}
