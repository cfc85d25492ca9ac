//! `invitation_list` and `invitation_revoke`: whom an account waits for, and that it does not any more. The links are not kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::account_of;
use crate::core::call::Outcome;
use crate::core::commands::invitation::RevokeInvitation;
use crate::core::email::EmailAddress;
use crate::core::grant::may_manage;
use crate::core::id::{AccountId, InvitationId, UserId};
use crate::core::redact::Sensitivity::{Pii, Public};
use crate::core::role::Role;
use crate::core::scope::Scope;
use crate::tools::Execution;
use crate::tools::declare::{Operation, Route, administration};
use crate::tools::instant::Instant;
use crate::tools::record::{change, fresh};

pub(super) static LIST: Operation<Args, Output> = administration("invitation_list")
    .scope(Scope::PeopleWrite)
    .or(&[Scope::StaffPeople])
    .stops()
    .title("List invitations")
    .about("Lists the invitations that nobody has taken yet.")
    .rest(Route::get("/invitations"))
    .run(|execution, args| Box::pin(listed(execution, args)));

pub(super) static REVOKE: Operation<Which, Revoked> = administration("invitation_revoke")
    .scope(Scope::PeopleWrite)
    .or(&[Scope::StaffPeople])
    .stops()
    .administers()
    .harmless_twice()
    .title("Revoke an invitation")
    .about("Ends an invitation. Its link does not work any more.")
    .rest(Route::delete("/invitations/{id}"))
    .run(|execution, args| Box::pin(revoked(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// Of which account; the caller's if absent.
    #[schemars(extend("x-class" = Public))]
    account: Option<AccountId>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The account.
    #[schemars(extend("x-class" = Public))]
    account: AccountId,
    /// The invitations whose links work, oldest first: for whom, in which role, by whom, until when.
    #[schemars(extend("x-class" = Pii))]
    items: Vec<Invited>,
}

#[derive(Serialize, JsonSchema)]
struct Invited {
    /// The invitation.
    id: InvitationId,
    /// To be one of its people.
    account: AccountId,
    /// For whom; null if that is not kept any more.
    #[schemars(with = "Option<String>")]
    email: Option<EmailAddress>,
    /// What the person may do.
    role: Role,
    /// Who invites.
    by: Option<UserId>,
    /// Since when.
    made_at: Instant,
    /// The link works until then.
    expires_at: Instant,
}

async fn listed(execution: Execution, Args { account }: Args) -> Result<Output, Outcome> {
    let state = fresh(&execution).await?;
    let account = account_of(&execution, &state, account, may_manage)?;
    let now = execution.ports.clock.now();
    let invited = execution.ports.reader.vault.invited_to(&account).await?;
    let open = state.invitations_of(&account).filter(|row| row.holds(&state, now));
    let items = open
        .map(|row| Invited {
            id: row.id.clone(),
            account: account.clone(),
            email: invited.iter().find(|invited| invited.id == row.id).map(|invited| invited.email.clone()),
            role: row.role,
            by: row.by.clone(),
            made_at: row.made_at.into(),
            expires_at: row.expires_at.into(),
        })
        .collect();
    Ok(Output { account, items })
}

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Which {
    /// The invitation.
    #[schemars(extend("x-class" = Public))]
    id: InvitationId,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Revoked {
    /// The invitation.
    #[schemars(extend("x-class" = Public))]
    id: InvitationId,
    /// Its link does not work any more.
    #[schemars(extend("x-class" = Public))]
    revoked: bool,
}

async fn revoked(execution: Execution, Which { id }: Which) -> Result<Revoked, Outcome> {
    let by = execution.principal.clone();
    change(&execution, None, RevokeInvitation { invitation: id.clone(), by }).await?;
    if let Err(error) = execution.ports.reader.vault.forget_invited(&id).await {
        // It is revoked all the same: the log says so, and nobody comes in by it.
        tracing::error!(invitation = %id, %error, "whom a revoked invitation was for could not be erased yet");
    }
    Ok(Revoked { id, revoked: true })
}
