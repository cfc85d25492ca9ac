//! `person_invite`: a link by which somebody becomes one of an account's people. No mail is sent: who invites passes it on.
//!
//! INVARIANT: the record of the call keeps no address. The vault has it as long as it is needed, and what is erased there is gone.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::account_of;
use crate::auth::session::Token;
use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::commands::invitation::Invite;
use crate::core::email::{EmailAddress, EmailAddressError};
use crate::core::grant::{check_not_let_in, may_manage};
use crate::core::id::{AccountId, InvitationId};
use crate::core::redact::Sensitivity::{Public, Secret};
use crate::core::refusal::Refusal;
use crate::core::role::Role;
use crate::core::scope::Scope;
use crate::core::user;
use crate::log::users::Invited;
use crate::tools::Execution;
use crate::tools::declare::{Operation, Route, administration};
use crate::tools::instant::Instant;
use crate::tools::record::{change, fresh};

/// How long a link works.
const HOLDS: Duration = Duration::from_hours(7 * 24);

pub(super) static INVITE: Operation<Args, Output> = administration(user::INVITE)
    .scope(Scope::PeopleWrite)
    .or(&[Scope::StaffPeople])
    .title("Invite a person")
    .about("Makes a link by which somebody becomes one of an account's people, once, within seven days. No mail is sent.")
    .rest(Route::post("/invitations").created())
    .run(|execution, args| Box::pin(invite(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// To be one of which account's people; the caller's account if absent.
    #[schemars(extend("x-class" = Public))]
    account: Option<AccountId>,
    /// The e-mail address that the person signs in with.
    #[schemars(extend("x-class" = Secret), length(min = 1, max = 254))]
    email: String,
    /// What the person may do.
    #[schemars(extend("x-class" = Public))]
    role: Role,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The invitation.
    #[schemars(extend("x-class" = Public))]
    id: InvitationId,
    /// The account.
    #[schemars(extend("x-class" = Public))]
    account: AccountId,
    /// The e-mail address.
    #[schemars(extend("x-class" = Secret), with = "String")]
    email: EmailAddress,
    /// The role.
    #[schemars(extend("x-class" = Public))]
    role: Role,
    /// The link works until then.
    #[schemars(extend("x-class" = Public))]
    expires_at: Instant,
    /// Where the person chooses a password. Shown this once; no mail is sent.
    #[schemars(extend("x-class" = Secret))]
    link: String,
}

async fn invite(execution: Execution, Args { account, email, role }: Args) -> Result<Output, Outcome> {
    let state = fresh(&execution).await?;
    let account = account_of(&execution, &state, account, may_manage)?;
    check_not_let_in(&state, &execution.principal, &account)?;
    let email: EmailAddress = email.parse().map_err(|error: EmailAddressError| invalid("/email", &error.to_string()))?;
    if state.accounts.get(&account).is_none_or(|row| row.side != role.side()) {
        return Err(invalid("/role", "it has to be a role of the account's side").into());
    }
    let ports = &execution.ports;
    let (vault, token, now) = (&ports.reader.vault, Token::generate(&*ports.entropy), ports.clock.now());
    // Nothing is said of other accounts: the address may be somebody's there.
    let known = vault.users_with(&email).await?;
    if known.iter().any(|person| person.account == account && person.role_in(&state).is_some()) {
        return Err(already().into());
    }
    let address = vault.address_in(&account, &email).await?;
    let (id, expires_at) = (InvitationId::new(now, &*ports.entropy), now.plus(HOLDS));
    let earlier = vault.invited_to(&account).await?;
    let replaced: Vec<InvitationId> = earlier.into_iter().filter(|row| row.email == email).map(|row| row.id).collect();
    let invited =
        Invited { id: id.clone(), hash: token.hash(), account: account.clone(), email: email.clone(), ends: expires_at };
    // The vault first: an event must not name an invitation that is not there.
    vault.keep_invited(&invited, now).await?;
    let by = execution.principal.clone();
    let command = Invite { invitation: id.clone(), account: account.clone(), role, by, expires_at, address, replaced };
    let taken_back = match change(&execution, None, command).await {
        Ok(changed) => changed.answer,
        Err(outcome) => {
            if matches!(&outcome, Outcome::Failed(refusal) if matches!(refusal.code, Code::QuotaExceeded | Code::Conflict)) {
                // Nothing was written that names it.
                vault.forget_invited(&id).await?;
            }
            return Err(outcome);
        }
    };
    for invitation in &taken_back {
        vault.forget_invited(invitation).await?;
    }
    let base = ports.approvals.url.as_deref().unwrap_or_default().trim_end_matches('/');
    let link = format!("{base}/console/welcome/{}", token.reveal());
    Ok(Output { id, account, email, role, expires_at: expires_at.into(), link })
}

fn invalid(path: &str, rule: &str) -> Refusal {
    Refusal::of_argument(path, rule, rule)
}

fn already() -> Refusal {
    Refusal::new(Code::Conflict, "That person is one of the account's people already.")
}
