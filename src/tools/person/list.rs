//! `person_list`: the people of an account with their roles.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{account_of, may_manage, may_see};
use crate::auth::session::idle_since;
use crate::core::id::AccountId;
use crate::core::redact::Sensitivity::{Pii, Public};
use crate::core::scope::Scope;
use crate::core::tool::ToolFacts;
use crate::tools::outcome::Answer;
use crate::tools::record::fresh;
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, any, id};
use crate::tools::{Execution, Tool, facts, register};

static FACTS: ToolFacts = facts::stop(facts::or(
    facts::control("person_list", Some(Scope::PeopleRead)),
    &[Scope::PeopleWrite, Scope::StaffAudit, Scope::StaffPeople],
));

pub(super) fn tool() -> Tool {
    let input = Shape::new().may("account", Public, id("acc", "Whose people; the caller's account's if absent."));
    let output = Shape::new()
        .must("account", Public, any("string", "The account."))
        .must("may_manage", Public, any("boolean", "The caller may invite, remove and give roles."))
        .must(
            "items",
            Pii,
            any("array", "The people, by e-mail address, with role, and for who may manage them sessions and keys."),
        );
    let face = Face { title: "List people", description: "Lists the people of an account with their roles." };
    register::tool(&FACTS, face, input.read_as::<Args>(), output, handler!(list))
}

#[derive(Deserialize)]
struct Args {
    account: Option<AccountId>,
}

async fn list(execution: Execution) -> Answer {
    let Args { account } = execution.arguments()?;
    let state = fresh(&execution).await?;
    let account = account_of(&execution, &state, account, may_see)?;
    let manages = may_manage(&execution, &state, &account);
    let (vault, now) = (&execution.ports.reader.vault, execution.ports.clock.now());
    let mut items: Vec<Value> = Vec::new();
    for person in vault.people_of(&account).await? {
        let Some(role) = person.role_in(&state) else { continue };
        let mut item =
            json!({ "id": person.id, "email": person.email, "role": role, "is_self": person.id == execution.principal.user });
        if manages {
            let held = state.keys_of_user(&person.id).filter(|row| row.created.account == account && !row.is_person());
            item["keys"] = json!(held.filter(|row| row.revoked_at.is_none()).count());
            item["sessions"] = json!(vault.sessions_of(&person.id, now, idle_since(now)).await?.len());
        }
        items.push(item);
    }
    Ok(json!({ "account": account, "may_manage": manages, "items": items }))
}
