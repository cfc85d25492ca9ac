//! `/console/credentials/{id}`: one key, or what a person's sessions act with, as the staff sees it; and its end.

use askama::Template;
use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;

use super::activity::{Row, rows};
use super::confirm::Confirm;
use super::fault::Fault;
use super::form::Posted;
use super::frame::{Frame, page};
use super::keys::{Key, key_of};
use super::visit::Visit;
use crate::core::id::CredentialId;
use crate::core::search::{Field, Search};
use crate::core::state::Credential;
use crate::tools::ActivityQuery;

const LATEST: u32 = 20;

#[derive(Template)]
#[template(path = "credentials.html")]
struct Page {
    frame: Frame,
    key: Key,
    account: String,
    user: String,
    rows: Vec<Row>,
    may_revoke: bool,
}

/// The page.
pub async fn show(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    let row = found(&visit, &id)?;
    let whose = row.created.account.clone();
    visit.check_reader(&format!("credentials/{id}"), Some(whose.clone()), json!({ "credential": id })).await?;
    let mut search = Search::default();
    search.only(Field::Credential, id).map_err(|_| Fault::NotFound)?;
    let query = ActivityQuery { sight: visit.sight(), search, limit: LATEST, ..ActivityQuery::default() };
    let listed = visit.http.door.control().ports.activity.list(query).await?;
    let key = key_of(&visit, &row).await?;
    Ok(page(&Page {
        frame: Frame::of(key.label.clone(), "/console/search", &visit).await,
        may_revoke: visit.role().administers() && !visit.http.door.state().is_over(&row.created.credential),
        account: whose.to_string(),
        user: row.created.user.to_string(),
        rows: rows(&listed.items, &visit).await,
        key,
    }))
}

fn found(visit: &Visit, id: &str) -> Result<Credential, Fault> {
    let id: CredentialId = id.parse().map_err(|_| Fault::NotFound)?;
    visit.http.door.state().credentials.get(&id).filter(|_| visit.is_staff()).cloned().ok_or(Fault::NotFound)
}

/// Asks before it is revoked.
pub async fn ask(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    let row = found(&visit, &id)?;
    let key = key_of(&visit, &row).await?;
    let effect = if key.is_person {
        "Every session of this person ends with its next request, and so does every key that they made in the console. They can \
         sign in again with their password."
    } else {
        "It fails on its next request, on every node, with every key that it made, and cannot be brought back. Calls that \
                  already run go on."
    };
    let back = format!("/console/credentials/{id}");
    Ok(Confirm::new(format!("Revoke {} ({}…)", key.label, key.prefix), effect, &back)
        .danger("Revoke it")
        .page(&visit, &format!("{back}/revoke"))
        .await)
}

/// The same for a key of the visitor's own account.
pub async fn ask_own(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    let state = visit.http.door.state();
    let own = id.parse().ok().and_then(|id| state.credentials.get(&id));
    let own =
        own.filter(|row| visit.sight().key(row) && row.created.account == visit.principal.account && row.created.role.is_none());
    let key = key_of(&visit, own.filter(|_| visit.role().administers()).ok_or(Fault::NotFound)?).await?;
    let effect = "It fails on its next request, on every node, with every key that it made, and cannot be brought back. Calls that \
                  already run go on.";
    Ok(Confirm::new(format!("Revoke {} ({}…)", key.label, key.prefix), effect, "/console/keys")
        .danger("Revoke it")
        .page(&visit, &format!("/console/keys/{id}/revoke"))
        .await)
}

/// Revokes it, by the tool.
pub async fn revoke(Path(id): Path<String>, Posted { visit, .. }: Posted) -> Result<Response, Fault> {
    found(&visit, &id)?;
    visit.done("key_revoke", json!({ "id": id })).await?;
    Ok(Redirect::to(&format!("/console/credentials/{id}")).into_response())
}
