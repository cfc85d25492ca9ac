//! Searches that the staff keep for each other. They are no part of the log: nothing is decided or proved by them.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;

use super::line::Line;
use crate::http::console::fault::Fault;
use crate::http::console::form::Posted;
use crate::http::console::shown::visible;
use crate::http::console::visit::Visit;

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
pub async fn all(visit: &Visit) -> Vec<Saved> {
    let vault = &visit.http.door.control().ports.reader.vault;
    let mut shown = Vec::new();
    for saved in vault.saved_searches().await.unwrap_or_default() {
        let owner = vault.email(&saved.owner).await.ok().flatten();
        shown.push(Saved {
            href: Line::of(saved.line.as_str()).href(),
            owner: owner.map_or_else(|| saved.owner.to_string(), |email| visible(&email)),
            may_forget: visit.visitor.role.administers() || saved.owner == visit.principal.user,
            id: saved.id,
            name: visible(saved.name.as_str()),
            line: visible(saved.line.as_str()),
        });
    }
    shown
}

/// Keeps a line under a name.
pub async fn keep(Posted { visit, fields }: Posted) -> Result<Response, Fault> {
    let (name, line) = (fields.text("name"), Line::of(fields.text("line")));
    if !visit.is_staff() {
        return Err(Fault::NotFound);
    }
    if name.is_empty() || line.to_string().is_empty() {
        return Err(Fault::Unreadable("A search needs a name, and a line."));
    }
    visit.done("search_keep", json!({ "name": name, "line": line.to_string() })).await?;
    Ok(Redirect::to(&line.href()).into_response())
}

/// Forgets one's own, or anybody's, for an admin.
pub async fn forget(Path(id): Path<String>, Posted { visit, .. }: Posted) -> Result<Response, Fault> {
    if !visit.is_staff() {
        return Err(Fault::NotFound);
    }
    visit.done("search_forget", json!({ "id": id })).await?;
    Ok(Redirect::to("/console/search").into_response())
}
