//! `/console/people`: who an account's people are, and, for whoever administers it, inviting, roles and removing. Staff open
//! the same page for any account.

use askama::Template;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Value, json};

use super::activity::{Choice, Pairs};
use super::address::encoded;
use super::confirm::Confirm;
use super::fault::Fault;
use super::form::Posted;
use super::frame::{Frame, page};
use super::sessions::{Row, rows};
use super::shown::{When, visible};
use super::visit::Visit;
use super::who::person as named;
use crate::core::id::AccountId;
use crate::core::principal::Side;
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
}

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
    until: When,
}

#[derive(Template)]
#[template(path = "people/person.html")]
struct One {
    frame: Frame,
    person: Person,
    may_give_role: bool,
    back: String,
    roles: Vec<Choice>,
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
    until: When,
    back: String,
}

/// The list.
pub async fn show(visit: Visit, Query(pairs): Query<Pairs>) -> Result<Response, Fault> {
    let asked = pairs.iter().find(|(name, value)| name == "account" && !value.is_empty()).map(|(_, value)| value.clone());
    let account = match asked {
        Some(text) => text.parse().map_err(|_| Fault::NotFound)?,
        None => visit.principal.account.clone(),
    };
    let listed = visit.done("person_list", json!({ "account": account })).await?;
    let may_manage = listed["may_manage"] == true;
    let people: Vec<Person> = listed["items"].as_array().into_iter().flatten().map(person).collect();
    let invitations = if may_manage { waiting(&visit, &account, &people).await? } else { Vec::new() };
    let name = name_of(&visit, &account).await;
    Ok(page(&Page {
        frame: Frame::of(name.clone().map_or_else(|| "People".to_owned(), |name| format!("People of {name}")), HERE, &visit)
            .await,
        may_invite: may_manage && may_let_in(&visit, &account),
        may_manage,
        people,
        invitations,
        roles: roles(&visit, &account, None),
        account: account.to_string(),
        name,
    }))
}

fn person(item: &Value) -> Person {
    let text = |name: &str| visible(item[name].as_str().unwrap_or_default());
    Person {
        id: text("id"),
        email: text("email"),
        role: text("role"),
        is_self: item["is_self"] == true,
        sessions: item["sessions"].as_u64().unwrap_or_default(),
        keys: item["keys"].as_u64().unwrap_or_default(),
    }
}

async fn waiting(visit: &Visit, account: &AccountId, people: &[Person]) -> Result<Vec<Waiting>, Fault> {
    let listed = visit.done("invitation_list", json!({ "account": account })).await?;
    let now = visit.http.door.control().ports.clock.now();
    let mut waiting = Vec::new();
    for item in listed["items"].as_array().into_iter().flatten() {
        let text = |name: &str| visible(item[name].as_str().unwrap_or_default());
        let until =
            item["expires_at"].as_str().and_then(|text| Micros::read(text).ok()).map(|at| When::of(at, now)).unwrap_or_default();
        // A customer does not learn who of the staff it was.
        let own = people.iter().find(|person| item["by"] == person.id.as_str());
        let by = match own {
            Some(person) => person.email.clone(),
            None if visit.is_staff() => named(visit, item["by"].as_str().map(str::to_owned)).await,
            None => "staff".to_owned(),
        };
        waiting.push(Waiting { id: text("id"), email: text("email"), role: text("role"), by, until });
    }
    Ok(waiting)
}

/// The name of an account that is not the visitor's own.
async fn name_of(visit: &Visit, account: &AccountId) -> Option<String> {
    if *account == visit.principal.account {
        return None;
    }
    let name = visit.http.door.control().ports.reader.vault.account_name(account).await.ok().flatten();
    Some(name.map_or_else(|| account.to_string(), |name| visible(&name)))
}

/// Staff remove a customer's people, and let nobody in.
fn may_let_in(visit: &Visit, account: &AccountId) -> bool {
    !visit.is_staff() || *account == visit.principal.account
}

/// The roles that an account's people may have.
fn roles(visit: &Visit, account: &AccountId, now: Option<&str>) -> Vec<Choice> {
    let side = visit.http.door.state().accounts.get(account).map_or(Side::Customer, |row| row.side);
    let mut of_side: Vec<Role> = Role::ALL.into_iter().filter(|role| role.side() == side).collect();
    // What is chosen first, if nobody looks, is not the one that may do most.
    of_side.sort_by_key(|role| role.administers());
    let name = |role: Role| role.as_str().to_owned();
    let choice = |role: Role| Choice { id: name(role), label: name(role), is_chosen: now == Some(role.as_str()) };
    of_side.into_iter().map(choice).collect()
}

fn list_of(visit: &Visit, account: &AccountId) -> String {
    let own = *account == visit.principal.account;
    if own { HERE.to_owned() } else { format!("{HERE}?account={}", encoded(account.as_str())) }
}

/// Invites somebody and shows the link.
pub async fn invite(Posted { visit, fields }: Posted) -> Result<Response, Fault> {
    let account: AccountId = fields.text("account").parse().map_err(|_| Fault::NotFound)?;
    let asked = json!({ "account": account, "email": fields.text("email"), "role": fields.text("role") });
    let made = visit.done("person_invite", asked).await?;
    let text = |name: &str| made[name].as_str().unwrap_or_default();
    let link =
        if text("link").starts_with('/') { format!("{}{}", visit.base_url(), text("link")) } else { text("link").to_owned() };
    let now = visit.http.door.control().ports.clock.now();
    Ok(page(&Invited {
        frame: Frame::of("The link is made", HERE, &visit).await,
        email: visible(text("email")),
        role: visible(text("role")),
        link,
        until: Micros::read(text("expires_at")).ok().map(|at| When::of(at, now)).unwrap_or_default(),
        back: list_of(&visit, &account),
    }))
}

/// Takes an invitation back.
pub async fn revoke_invitation(Path(id): Path<String>, Posted { visit, fields }: Posted) -> Result<Response, Fault> {
    visit.done("invitation_revoke", json!({ "id": id })).await?;
    let account: AccountId = fields.text("account").parse().map_err(|_| Fault::NotFound)?;
    Ok(Redirect::to(&list_of(&visit, &account)).into_response())
}

/// A person whom the visitor manages, and whose they are. Before that nothing is asked, for it would be recorded of whom (P9).
async fn found(visit: &Visit, id: &str) -> Result<(Person, AccountId), Fault> {
    let user = id.parse().map_err(|_| Fault::NotFound)?;
    let found = visit.http.door.control().ports.reader.vault.person(&user).await.unwrap_or_default();
    let account = found.ok_or(Fault::NotFound)?.account;
    if !visit.is_staff() && account != visit.principal.account {
        return Err(Fault::NotFound);
    }
    let listed = visit.done("person_list", json!({ "account": account })).await?;
    let managed = listed["items"].as_array().filter(|_| listed["may_manage"] == true);
    let item = managed.into_iter().flatten().find(|item| item["id"] == id).ok_or(Fault::NotFound)?;
    Ok((person(item), account))
}

/// One person: their role, their sessions, and the way out.
pub async fn one(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    let (person, account) = found(&visit, &id).await?;
    let listed = visit.done("session_list", json!({ "user": id })).await?;
    Ok(page(&One {
        frame: Frame::of(person.email.clone(), HERE, &visit).await,
        may_give_role: !person.is_self && may_let_in(&visit, &account),
        roles: roles(&visit, &account, Some(&person.role)),
        back: list_of(&visit, &account),
        sessions: rows(&visit, &listed),
        sessions_end: format!("{HERE}/{id}/sessions/end"),
        person,
    }))
}

/// Gives a person another role.
pub async fn set_role(Path(id): Path<String>, Posted { visit, fields }: Posted) -> Result<Response, Fault> {
    visit.done("person_role_set", json!({ "id": id, "role": fields.text("role") })).await?;
    Ok(Redirect::to(&format!("{HERE}/{}", encoded(&id))).into_response())
}

/// Ends a session of a person, or all of them.
pub async fn end_sessions(Path(id): Path<String>, Posted { visit, fields }: Posted) -> Result<Response, Fault> {
    let mut asked = json!({ "user": id });
    if !fields.text("session").is_empty() {
        asked["session"] = json!(fields.text("session"));
    }
    visit.done("session_end", asked).await?;
    Ok(Redirect::to(&format!("{HERE}/{}", encoded(&id))).into_response())
}

/// Asks before a person is removed.
pub async fn ask(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    let (person, _) = found(&visit, &id).await?;
    let effect = "Every session, every key and every open invitation of this person ends at once, on every node, and their e-mail \
                  address and password are erased. Agents that use one of those keys stop working. What they did stays in the log.";
    let back = format!("{HERE}/{id}");
    let heading = format!("Remove {} ({} sessions, {} keys)", person.email, person.sessions, person.keys);
    Ok(Confirm::new(heading, effect, &back).danger("Remove").page(&visit, &format!("{back}/remove")).await)
}

/// Removes a person.
pub async fn remove(Path(id): Path<String>, Posted { visit, .. }: Posted) -> Result<Response, Fault> {
    let (_, account) = found(&visit, &id).await?;
    visit.done("person_remove", json!({ "id": id })).await?;
    Ok(Redirect::to(&list_of(&visit, &account)).into_response())
}
