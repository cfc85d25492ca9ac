//! `person_remove`: a person is none of an account's people any more. Whatever they acted with ends: their sessions, their
//! keys, and the invitations that they made; and who they were is erased.

use serde::Deserialize;
use serde_json::json;

use super::{check_someone_is_left, managed};
use crate::core::code::Code;
use crate::core::event::Kind;
use crate::core::id::UserId;
use crate::core::member::{revocations, withdrawals};
use crate::core::redact::Sensitivity::Public;
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::tool::ToolFacts;
use crate::tools::outcome::Answer;
use crate::tools::record::{change, fresh};
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, any, id};
use crate::tools::{Execution, Tool, facts, register};

static FACTS: ToolFacts =
    facts::administer(facts::stop(facts::or(facts::control("person_remove", Some(Scope::PeopleWrite)), &[Scope::StaffPeople])));

pub(super) fn tool() -> Tool {
    let input = Shape::new().must("id", Public, id("usr", "The person."));
    let output = Shape::new()
        .must("id", Public, any("string", "The person."))
        .must("removed", Public, any("boolean", "The person is removed, by this call or an earlier one."))
        .must("revoked", Public, any("array", "The credentials that ended with it: of sessions, and keys."));
    let face = Face {
        title: "Remove a person",
        description: "Ends a person's sessions, keys and invitations at once, and erases their e-mail address and password.",
    };
    register::tool(&FACTS, face, input.read_as::<Args>(), output, handler!(remove))
}

#[derive(Deserialize)]
struct Args {
    id: UserId,
}

async fn remove(execution: Execution) -> Answer {
    let Args { id } = execution.arguments()?;
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
    let revoked: Vec<_> = kinds
        .iter()
        .filter_map(|kind| if let Kind::CredentialRevoked { credential, .. } = kind { Some(credential) } else { None })
        .collect();
    if let Err(error) = execution.ports.reader.vault.erase_person(&id).await {
        // They are removed all the same: the log says so. Removing them again erases what is left.
        tracing::error!(user = %id, %error, "a person who was removed could not be erased yet");
    }
    Ok(json!({ "id": id, "removed": true, "revoked": revoked }))
}
