//! `/console/people`: who an account's people are, and, for whoever administers it, inviting, roles and removing. Staff open
//! the same page for any account.

use askama::Template;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::activity::{Choice, Pairs};
use super::address::encoded;
use super::confirm::Confirm;
use super::form::Posted;
use super::form_state::{Argument, FormState};
use super::format::{DisplayTime, escape_hidden};
use super::frame::{Frame, page};
use super::page_error::PageError;
use super::request::SignedInRequest;
use super::sessions::{Row, rows};
use super::told;
use super::who::{account_names, person as named};
use crate::core::id::AccountId;
use crate::core::principal::Side;
use crate::core::refusal::Refusal;
use crate::core::role::Role;
use crate::core::time::Micros;

const HERE: &str = "/console/people";

#[derive(Template)]
#[template(path = "people.html")]
struct Page {
    frame: Frame,
    account: String,
    name: Option<String>,
    may_manage: bool,
    may_invite: bool,
    people: Vec<Person>,
    invitations: Vec<Waiting>,
    roles: Vec<Choice>,
    draft: FormState,
}

/// What the arguments of `person_invite` come from.
const ARGUMENTS: [Argument; 2] = [
    Argument { name: "email", field: "email", takes: "Write an e-mail address, for example name@example.com." },
    Argument { name: "role", field: "role", takes: "Choose a role that the form offers." },
];

/// A person in the list.
struct Person {
    id: String,
    email: String,
    role: String,
    is_self: bool,
    sessions: u64,
    keys: u64,
}

/// Somebody who is invited.
struct Waiting {
    id: String,
    email: String,
    role: String,
    by: String,
    until: DisplayTime,
}

#[derive(Template)]
#[template(path = "people/person.html")]
struct One {
    frame: Frame,
    person: Person,
    may_give_role: bool,
    back: String,
    roles: Vec<Choice>,
    draft: FormState,
    sessions: Vec<Row>,
    sessions_end: String,
}

#[derive(Template)]
#[template(path = "people/invited.html")]
struct Invited {
    frame: Frame,
    email: String,
    role: String,
    link: String,
    until: DisplayTime,
    back: String,
}

/// The list.
pub async fn show(request: SignedInRequest, Query(pairs): Query<Pairs>) -> Result<Response, PageError> {
    let asked = pairs.iter().find(|(name, value)| name == "account" && !value.is_empty()).map(|(_, value)| value.clone());
    let account = match asked {
        Some(text) => text.parse().map_err(|_| PageError::NotFound)?,
        None => request.principal.account.clone(),
    };
    list(&request, account, FormState::default()).await
}

async fn list(request: &SignedInRequest, account: AccountId, draft: FormState) -> Result<Response, PageError> {
    let listed = request.done("person_list", json!({ "account": account })).await?;
    let may_manage = listed["may_manage"] == true;
    let people: Vec<Person> = listed["items"].as_array().into_iter().flatten().map(person).collect();
    let invitations = if may_manage { waiting(request, &account, &people).await? } else { Vec::new() };
    let name = name_of(request, &account).await;
    let status = draft.status();
    let shown = page(&Page {
        frame: Frame::of(name.clone().map_or_else(|| "People".to_owned(), |name| format!("People of {name}")), HERE, request)
            .await,
        may_invite: may_manage && may_let_in(request, &account),
        may_manage,
        people,
        invitations,
        roles: roles(request, &account, Some(draft.text("role"))),
        account: account.to_string(),
        name,
        draft,
    });
    Ok((status, shown).into_response())
}

fn person(item: &Value) -> Person {
    let text = |name: &str| escape_hidden(item[name].as_str().unwrap_or_default());
    Person {
        id: text("id"),
        email: text("email"),
        role: text("role"),
        is_self: item["is_self"] == true,
        sessions: item["sessions"].as_u64().unwrap_or_default(),
        keys: item["keys"].as_u64().unwrap_or_default(),
    }
}

async fn waiting(request: &SignedInRequest, account: &AccountId, people: &[Person]) -> Result<Vec<Waiting>, PageError> {
    let listed = request.done("invitation_list", json!({ "account": account })).await?;
    let now = request.http.gateway.control().ports.clock.now();
    let mut waiting = Vec::new();
    for item in listed["items"].as_array().into_iter().flatten() {
        let text = |name: &str| escape_hidden(item[name].as_str().unwrap_or_default());
        let until = item["expires_at"]
            .as_str()
            .and_then(|text| Micros::read(text).ok())
            .map(|at| DisplayTime::of(at, now))
            .unwrap_or_default();
        // A customer does not learn who of the staff it was.
        let own = people.iter().find(|person| item["by"] == person.id.as_str());
        let by = match own {
            Some(person) => person.email.clone(),
            None if request.is_staff() => named(request, item["by"].as_str().map(str::to_owned)).await,
            None => "staff".to_owned(),
        };
        waiting.push(Waiting { id: text("id"), email: text("email"), role: text("role"), by, until });
    }
    Ok(waiting)
}

/// The name of an account that is not the visitor's own, which is not taken for that of another.
async fn name_of(request: &SignedInRequest, account: &AccountId) -> Option<String> {
    if *account == request.principal.account {
        return None;
    }
    let mut names = account_names(request, std::iter::once(account.clone())).await;
    Some(names.remove(account.as_str()).unwrap_or_else(|| account.to_string()))
}

/// Staff remove a customer's people, and let nobody in.
fn may_let_in(request: &SignedInRequest, account: &AccountId) -> bool {
    !request.is_staff() || *account == request.principal.account
}

/// The roles that an account's people may have.
fn roles(request: &SignedInRequest, account: &AccountId, now: Option<&str>) -> Vec<Choice> {
    let side = request.http.gateway.state().accounts.get(account).map_or(Side::Customer, |row| row.side);
    let mut of_side: Vec<Role> = Role::ALL.into_iter().filter(|role| role.side() == side).collect();
    // What is chosen first, if nobody looks, is not the one that may do most.
    of_side.sort_by_key(|role| role.administers());
    let name = |role: Role| role.as_str().to_owned();
    let choice = |role: Role| Choice { id: name(role), label: name(role), is_chosen: now == Some(role.as_str()) };
    of_side.into_iter().map(choice).collect()
}

fn list_of(request: &SignedInRequest, account: &AccountId) -> String {
    let own = *account == request.principal.account;
    if own { HERE.to_owned() } else { format!("{HERE}?account={}", encoded(account.as_str())) }
}

/// Invites somebody and shows the link.
pub async fn invite(Posted { request, fields }: Posted) -> Result<Response, PageError> {
    let account: AccountId = fields.text("account").parse().map_err(|_| PageError::NotFound)?;
    let asked = json!({ "account": account, "email": fields.text("email"), "role": fields.text("role") });
    let made = match request.done("person_invite", asked).await.map_err(PageError::from) {
        Ok(made) => made,
        Err(fault) => return list(&request, account, FormState::of(fields, fault, "email", &ARGUMENTS)?).await,
    };
    let text = |name: &str| made[name].as_str().unwrap_or_default();
    let link =
        if text("link").starts_with('/') { format!("{}{}", request.base_url(), text("link")) } else { text("link").to_owned() };
    let now = request.http.gateway.control().ports.clock.now();
    Ok(page(&Invited {
        frame: Frame::of("Invitation created", HERE, &request).await,
        email: escape_hidden(text("email")),
        role: escape_hidden(text("role")),
        link,
        until: Micros::read(text("expires_at")).ok().map(|at| DisplayTime::of(at, now)).unwrap_or_default(),
        back: list_of(&request, &account),
    }))
}

/// Takes an invitation back.
pub async fn revoke_invitation(Path(id): Path<String>, Posted { request, fields }: Posted) -> Result<Response, PageError> {
    request.done("invitation_revoke", json!({ "id": id })).await?;
    let account: AccountId = fields.text("account").parse().map_err(|_| PageError::NotFound)?;
    Ok(told::after(&request, &list_of(&request, &account), "Invitation revoked. Its link no longer works."))
}

/// A person whom the visitor manages, and whose they are. Before that nothing is asked, for it would be recorded of whom (P9).
async fn found(request: &SignedInRequest, id: &str) -> Result<(Person, AccountId), PageError> {
    let user = id.parse().map_err(|_| PageError::NotFound)?;
    let found = request.http.gateway.control().ports.reader.vault.user(&user).await.map_err(Refusal::from)?;
    let account = found.ok_or(PageError::NotFound)?.account;
    if !request.is_staff() && account != request.principal.account {
        return Err(PageError::NotFound);
    }
    let listed = request.done("person_list", json!({ "account": account })).await?;
    let managed = listed["items"].as_array().filter(|_| listed["may_manage"] == true);
    let item = managed.into_iter().flatten().find(|item| item["id"] == id).ok_or(PageError::NotFound)?;
    Ok((person(item), account))
}

/// One person: their role, their sessions, and the way out.
pub async fn one(request: SignedInRequest, Path(id): Path<String>) -> Result<Response, PageError> {
    of_one(&request, &id, FormState::default()).await
}

async fn of_one(request: &SignedInRequest, id: &str, draft: FormState) -> Result<Response, PageError> {
    let (person, account) = found(request, id).await?;
    let listed = request.done("session_list", json!({ "user": id })).await?;
    let status = draft.status();
    let shown = page(&One {
        frame: Frame::of(person.email.clone(), HERE, request).await,
        may_give_role: !person.is_self && may_let_in(request, &account),
        roles: roles(request, &account, Some(&person.role)),
        back: list_of(request, &account),
        sessions: rows(request, &listed),
        sessions_end: format!("{HERE}/{id}/sessions/end"),
        person,
        draft,
    });
    Ok((status, shown).into_response())
}

/// Gives a person another role.
pub async fn set_role(Path(id): Path<String>, Posted { request, fields }: Posted) -> Result<Response, PageError> {
    if let Err(fault) = request.done("person_role_set", json!({ "id": id, "role": fields.text("role") })).await {
        return of_one(&request, &id, FormState::of(fields, fault.into(), "role", &ARGUMENTS)?).await;
    }
    Ok(told::after(&request, &format!("{HERE}/{}", encoded(&id)), "Role changed. All sessions of the person have ended."))
}

/// Ends a session of a person, or all of them.
pub async fn end_sessions(Path(id): Path<String>, Posted { request, fields }: Posted) -> Result<Response, PageError> {
    let mut asked = json!({ "user": id });
    if !fields.text("session").is_empty() {
        asked["session"] = json!(fields.text("session"));
    }
    request.done("session_end", asked).await?;
    let text = if fields.text("session").is_empty() { "All sessions have ended." } else { "The session has ended." };
    Ok(told::after(&request, &format!("{HERE}/{}", encoded(&id)), text))
}

/// Asks before a person is removed.
pub async fn ask(request: SignedInRequest, Path(id): Path<String>) -> Result<Response, PageError> {
    let (person, _) = found(&request, &id).await?;
    let effect = "Every session, every key and every open invitation of this person ends at once, on every node, and their e-mail \
                  address and password are erased. Agents that use one of those keys stop working. What they did stays in the log.";
    let back = format!("{HERE}/{id}");
    let heading = format!("Remove {} ({} sessions, {} keys)", person.email, person.sessions, person.keys);
    Ok(Confirm::new(heading, effect, &back).danger("Remove person").page(&request, &format!("{back}/remove")).await)
}

/// Removes a person.
pub async fn remove(Path(id): Path<String>, Posted { request, .. }: Posted) -> Result<Response, PageError> {
    let (person, account) = found(&request, &id).await?;
    request.done("person_remove", json!({ "id": id })).await?;
    let text = format!("Removed: {}. Their sessions, keys and invitations have ended.", person.email);
    Ok(told::after(&request, &list_of(&request, &account), &text))
}
