//! Searches that the staff keep for each other. They are no part of the log: nothing is decided or proved by them.

use axum::extract::Path;
use axum::response::Response;
use serde_json::json;

use super::line::Line;
use super::unsaved;
use crate::http::console::form::Posted;
use crate::http::console::form_state::{Argument, FormState};
use crate::http::console::format::escape_hidden;
use crate::http::console::page_error::PageError;
use crate::http::console::request::SignedInRequest;
use crate::http::console::told;
use crate::http::console::who::emails;

/// What a search is kept with, and what that takes.
const ARGUMENTS: [Argument; 1] =
    [Argument { name: "name", field: "name", takes: "The name of a search has 1 to 80 characters." }];

/// A search in the list.
pub struct Saved {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// The line.
    pub line: String,
    /// Where it is shown.
    pub href: String,
    /// Who keeps it.
    pub owner: String,
    /// The visitor may forget it: it is their own, or they manage the staff's people.
    pub may_forget: bool,
}

/// All of them. If the vault cannot be read the page goes without.
pub async fn all(request: &SignedInRequest) -> Vec<Saved> {
    let vault = &request.http.gateway.control().ports.reader.vault;
    let kept = vault.saved_searches().await;
    let kept = kept.inspect_err(|error| tracing::warn!(%error, "saved searches are not shown")).unwrap_or_default();
    // Whoever cannot be named is shown by id.
    let owners = emails(request, &kept.iter().map(|saved| saved.owner.clone()).collect()).await.unwrap_or_default();
    let shown = kept.into_iter().map(|saved| Saved {
        href: Line::of(saved.line.as_str()).href(),
        owner: owners.get(saved.owner.as_str()).cloned().unwrap_or_else(|| saved.owner.to_string()),
        may_forget: request.signed_in.role.administers() || saved.owner == request.principal.user,
        id: saved.id,
        name: escape_hidden(saved.name.as_str()),
        line: escape_hidden(saved.line.as_str()),
    });
    shown.collect()
}

/// Keeps a line under a name.
pub async fn keep(Posted { request, fields }: Posted) -> Result<Response, PageError> {
    let line = Line::of(fields.text("line"));
    if !request.is_staff() {
        return Err(PageError::NotFound);
    }
    match keep_line(&request, fields.text("name"), &line).await {
        Ok(()) => Ok(told::after(&request, &line.href(), "Search saved.")),
        Err(fault) => Ok(unsaved(&request, &line, FormState::of(fields, fault, "name", &ARGUMENTS)?).await),
    }
}

async fn keep_line(request: &SignedInRequest, name: &str, line: &Line) -> Result<(), PageError> {
    if name.is_empty() || line.to_string().is_empty() {
        return Err(PageError::Unreadable("A search needs a name, and a line."));
    }
    request.done("search_keep", json!({ "name": name, "line": line.to_string() })).await?;
    Ok(())
}

/// Forgets one's own, or anybody's, for an admin.
pub async fn forget(Path(id): Path<String>, Posted { request, .. }: Posted) -> Result<Response, PageError> {
    if !request.is_staff() {
        return Err(PageError::NotFound);
    }
    request.done("search_forget", json!({ "id": id })).await?;
    Ok(told::after(&request, "/console/search", "Search removed."))
}
