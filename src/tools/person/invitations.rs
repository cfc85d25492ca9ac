//! `invitation_list` and `invitation_revoke`: whom an account waits for, and that it does not any more. The links are not kept.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{account_of, may_manage};
use crate::core::code::Code;
use crate::core::event::Kind;
use crate::core::id::{AccountId, InvitationId};
use crate::core::redact::Sensitivity::{Pii, Public};
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::tool::ToolFacts;
use crate::tools::outcome::Answer;
use crate::tools::record::{change, fresh};
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, any, id};
use crate::tools::{Execution, Tool, facts, register};

static LIST: ToolFacts =
    facts::stop(facts::or(facts::control("invitation_list", Some(Scope::PeopleWrite)), &[Scope::StaffPeople]));
static REVOKE: ToolFacts = facts::administer(facts::stop(facts::or(
    facts::control("invitation_revoke", Some(Scope::PeopleWrite)),
    &[Scope::StaffPeople],
)));

pub(super) fn list() -> Tool {
    let input = Shape::new().may("account", Public, id("acc", "Of which account; the caller's if absent."));
    let output = Shape::new().must("account", Public, any("string", "The account.")).must(
        "items",
        Pii,
        any("array", "The invitations whose links work, oldest first: for whom, in which role, by whom, until when."),
    );
    let face = Face { title: "List invitations", description: "Lists the invitations that nobody has taken yet." };
    register::tool(&LIST, face, input.read_as::<Args>(), output, handler!(listed))
}

#[derive(Deserialize)]
struct Args {
    account: Option<AccountId>,
}

async fn listed(execution: Execution) -> Answer {
    let Args { account } = execution.arguments()?;
    let state = fresh(&execution).await?;
    let account = account_of(&execution, &state, account, may_manage)?;
    let now = execution.ports.clock.now();
    let invited = execution.ports.reader.vault.invited_to(&account).await?;
    let open = state.invitations_of(&account).filter(|row| row.holds(&state, now));
    let items: Vec<Value> = open
        .map(|row| {
            let email = invited.iter().find(|invited| invited.id == row.id).map(|invited| &invited.email);
            json!({
                "id": row.id, "account": account, "email": email, "role": row.role, "by": row.by,
                "made_at": row.made_at.document(), "expires_at": row.expires_at.document(),
            })
        })
        .collect();
    Ok(json!({ "account": account, "items": items }))
}

pub(super) fn revoke() -> Tool {
    let input = Shape::new().must("id", Public, id("inv", "The invitation."));
    let output = Shape::new().must("id", Public, any("string", "The invitation.")).must(
        "revoked",
        Public,
        any("boolean", "Its link does not work any more."),
    );
    let face = Face { title: "Revoke an invitation", description: "Ends an invitation. Its link does not work any more." };
    register::tool(&REVOKE, face, input.read_as::<Which>(), output, handler!(revoked))
}

#[derive(Deserialize)]
struct Which {
    id: InvitationId,
}

async fn revoked(execution: Execution) -> Answer {
    let Which { id } = execution.arguments()?;
    let absent = || Refusal::new(Code::NotFound, "There is no such invitation.");
    let state = fresh(&execution).await?;
    let row = state.invitations.get(&id).filter(|row| may_manage(&execution, &state, &row.account)).ok_or_else(absent)?;
    let (account, by, wanted) = (row.account.clone(), Some(execution.principal.user.clone()), id.clone());
    change(&execution, move |state, _| {
        let open = state.invitations.contains_key(&wanted);
        if open {
            Ok(vec![Kind::InvitationRevoked { invitation: wanted.clone(), account: account.clone(), by: by.clone() }])
        } else {
            Err(absent())
        }
    })
    .await?;
    if let Err(error) = execution.ports.reader.vault.forget_invited(&id).await {
        // It is revoked all the same: the log says so, and nobody comes in by it.
        tracing::error!(invitation = %id, %error, "whom a revoked invitation was for could not be erased yet");
    }
    Ok(json!({ "id": id, "revoked": true }))
}
