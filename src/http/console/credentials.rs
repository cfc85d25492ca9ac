//! `/console/credentials/{id}`: one key, or what a person's sessions act with, as the staff sees it; and its end.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use serde_json::json;

use super::activity::{Row, rows};
use super::confirm::Confirm;
use super::form::Posted;
use super::frame::{Frame, page};
use super::keys::{Key, key_of, name_of};
use super::page_error::PageError;
use super::request::SignedInRequest;
use super::told;
use super::who::{account_name, person};
use crate::core::id::CredentialId;
use crate::core::reading::Reading;
use crate::core::scope::Scope;
use crate::core::search::{Field, Search};
use crate::core::state::Credential;
use crate::tools::ActivityQuery;

const MAX_LISTED: u32 = 20;

#[derive(Template)]
#[template(path = "credentials.html")]
struct Page {
    frame: Frame,
    key: Key,
    account: String,
    account_name: String,
    user: String,
    rows: Vec<Row>,
    may_revoke: bool,
    may_stop: bool,
}

/// The page.
pub async fn show(request: SignedInRequest, Path(id): Path<String>) -> Result<Response, PageError> {
    let row = found(&request, &id)?;
    let whose = row.created.account.clone();
    request
        .check_reader(Reading::Credential(Some(row.created.credential.clone())), Some(whose.clone()), json!({ "credential": id }))
        .await?;
    let mut search = Search::default();
    search.only(Field::Credential, id).map_err(|_| PageError::NotFound)?;
    let query = ActivityQuery { visibility: request.visibility(), search, limit: MAX_LISTED, ..ActivityQuery::default() };
    let listed = request.http.gateway.control().ports.activity.list(query).await?;
    let key = key_of(&request, &row).await?;
    Ok(page(&Page {
        frame: Frame::of(key.title(), "/console/search", &request).await,
        may_revoke: request.role().administers() && !request.http.gateway.state().is_over(&row.created.credential),
        may_stop: request.may(Scope::StaffSwitch) && !request.http.gateway.state().is_over(&row.created.credential),
        account_name: account_name(&request, &whose).await,
        account: whose.to_string(),
        user: row.created.user.to_string(),
        rows: rows(&listed.items, &request).await,
        key,
    }))
}

fn found(request: &SignedInRequest, id: &str) -> Result<Credential, PageError> {
    let id: CredentialId = id.parse().map_err(|_| PageError::NotFound)?;
    request.http.gateway.state().credentials.get(&id).filter(|_| request.is_staff()).cloned().ok_or(PageError::NotFound)
}

/// Asks before it is revoked.
pub async fn ask(request: SignedInRequest, Path(id): Path<String>) -> Result<Response, PageError> {
    let row = found(&request, &id)?;
    let key = key_of(&request, &row).await?;
    let effect = if key.is_person {
        "Every session of this person ends with its next request, and so does every key that they made in the console. They can \
         sign in again with their password."
    } else {
        "It fails on its next request, on every node, with every key that it made, and cannot be brought back. Calls that \
                  already run go on."
    };
    let back = format!("/console/credentials/{id}");
    let heading = if key.is_person {
        format!("Revoke the sessions of {}", person(&request, Some(row.created.user.to_string())).await)
    } else {
        format!("Revoke {} ({}…)", key.name, key.prefix)
    };
    Ok(Confirm::new(heading, effect, &back)
        .danger(if key.is_person { "Revoke sessions" } else { "Revoke key" })
        .page(&request, &format!("{back}/revoke"))
        .await)
}

/// The same for a key of the visitor's own account.
pub async fn ask_own(request: SignedInRequest, Path(id): Path<String>) -> Result<Response, PageError> {
    let state = request.http.gateway.state();
    let own = id.parse().ok().and_then(|id| state.credentials.get(&id));
    let own = own.filter(|row| {
        request.visibility().key(row) && row.created.account == request.principal.account && row.created.role.is_none()
    });
    let key = key_of(&request, own.filter(|_| request.role().administers()).ok_or(PageError::NotFound)?).await?;
    let effect = "It fails on its next request, on every node, with every key that it made, and cannot be brought back. Calls that \
                  already run go on.";
    Ok(Confirm::new(format!("Revoke {} ({}…)", key.name, key.prefix), effect, "/console/keys")
        .danger("Revoke key")
        .page(&request, &format!("/console/keys/{id}/revoke"))
        .await)
}

/// Revokes it, by the tool.
pub async fn revoke(Path(id): Path<String>, Posted { request, .. }: Posted) -> Result<Response, PageError> {
    found(&request, &id)?;
    request.done("key_revoke", json!({ "id": id })).await?;
    let text = format!("Revoked: {}. It fails on its next request.", name_of(&request, &id));
    Ok(told::after(&request, &format!("/console/credentials/{id}"), &text))
}
