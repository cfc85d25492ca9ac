//! `person_role_set`: another role for a person, at once: their sessions end, and their keys that may do more than the role.

use serde::Deserialize;
use serde_json::json;

use super::{absent, check_not_let_in, check_someone_is_left, managed};
use crate::core::code::Code;
use crate::core::event::Kind;
use crate::core::id::UserId;
use crate::core::member::role_change;
use crate::core::redact::Sensitivity::Public;
use crate::core::refusal::Refusal;
use crate::core::role::Role;
use crate::core::scope::Scope;
use crate::core::tool::ToolFacts;
use crate::tools::outcome::Answer;
use crate::tools::record::{change, fresh};
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, any, choice, id};
use crate::tools::{Execution, Tool, facts, register};

static FACTS: ToolFacts = facts::or(facts::control("person_role_set", Some(Scope::PeopleWrite)), &[Scope::StaffPeople]);

pub(super) fn tool() -> Tool {
    let roles = Role::ALL.map(Role::as_str);
    let input = Shape::new()
        .must("id", Public, id("usr", "The person."))
        .must("role", Public, choice("What the person may do from now on.", &roles))
        .keyed();
    let output = Shape::new()
        .must("id", Public, any("string", "The person."))
        .must("role", Public, any("string", "The role, by this call or an earlier one."))
        .must("revoked", Public, any("array", "The credentials that ended with the role before."));
    let face = Face {
        title: "Change a person's role",
        description: "Gives a person another role. Their sessions end, and those of their keys that may do more than the role.",
    };
    register::tool(&FACTS, face, input.read_as::<Args>(), output, handler!(set))
}

#[derive(Deserialize)]
struct Args {
    id: UserId,
    role: Role,
}

async fn set(execution: Execution) -> Answer {
    let Args { id, role } = execution.arguments()?;
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
    let revoked: Vec<_> = kinds
        .iter()
        .filter_map(|kind| if let Kind::CredentialRevoked { credential, .. } = kind { Some(credential) } else { None })
        .collect();
    Ok(json!({ "id": id, "role": role, "revoked": revoked }))
}
