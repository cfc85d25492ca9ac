//! `person_list`: the people of an account with their roles.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::account_of;
use crate::auth::session::idle_since;
use crate::core::call::Outcome;
use crate::core::email::EmailAddress;
use crate::core::grant::{may_manage, may_see_people};
use crate::core::id::{AccountId, UserId};
use crate::core::redact::Sensitivity::{Pii, Public};
use crate::core::role::Role;
use crate::core::scope::Scope;
use crate::tools::Execution;
use crate::tools::declare::{Operation, Route, administration};
use crate::tools::record::fresh;

pub(super) static LIST: Operation<Args, Output> = administration("person_list")
    .scope(Scope::PeopleRead)
    .or(&[Scope::PeopleWrite, Scope::StaffAudit, Scope::StaffPeople])
    .stops()
    .title("List people")
    .about("Lists the people of an account with their roles.")
    .rest(Route::get("/people"))
    .run(|execution, args| Box::pin(list(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// Whose people; the caller's account's if absent.
    #[schemars(extend("x-class" = Public))]
    account: Option<AccountId>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The account.
    #[schemars(extend("x-class" = Public))]
    account: AccountId,
    /// The caller may invite, remove and give roles.
    #[schemars(extend("x-class" = Public))]
    may_manage: bool,
    /// The people, by e-mail address, with role, and for who may manage them sessions and keys.
    #[schemars(extend("x-class" = Pii))]
    items: Vec<Listed>,
}

#[derive(Serialize, JsonSchema)]
struct Listed {
    /// The person.
    id: UserId,
    /// Their e-mail address.
    #[schemars(with = "String")]
    email: EmailAddress,
    /// What they may do.
    role: Role,
    /// It is the caller.
    is_self: bool,
    /// How many keys they hold; for who may manage them.
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<usize>,
    /// How often they are signed in; for who may manage them.
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions: Option<usize>,
}

async fn list(execution: Execution, Args { account }: Args) -> Result<Output, Outcome> {
    let state = fresh(&execution).await?;
    let account = account_of(&execution, &state, account, may_see_people)?;
    let manages = may_manage(&state, &execution.principal, &account);
    let (vault, now) = (&execution.ports.reader.vault, execution.ports.clock.now());
    let (people, mut items) = (vault.users_of(&account).await?, Vec::new());
    let ids: Vec<UserId> = people.iter().filter(|_| manages).map(|person| person.id.clone()).collect();
    let signed_in = if ids.is_empty() { BTreeMap::new() } else { vault.count_sessions(&ids, now, idle_since(now)).await? };
    for person in people {
        let Some(role) = person.role_in(&state) else { continue };
        let is_self = person.id == execution.principal.user;
        let (mut keys, mut sessions) = (None, None);
        if manages {
            let held = state.keys_of_user(&person.id).filter(|row| row.created.account == account && !row.is_person());
            keys = Some(held.filter(|row| row.revoked_at.is_none()).count());
            sessions = Some(signed_in.get(&person.id).copied().unwrap_or_default());
        }
        items.push(Listed { id: person.id, email: person.email, role, is_self, keys, sessions });
    }
    Ok(Output { account, may_manage: manages, items })
}
