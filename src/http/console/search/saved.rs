//! Searches that the staff keep for each other. They are no part of the log: nothing is decided or proved by them.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};

use super::line::Line;
use crate::core::code::Code;
use crate::core::id::ulid;
use crate::core::refusal::Refusal;
use crate::http::console::fault::Fault;
use crate::http::console::form::Posted;
use crate::http::console::shown::visible;
use crate::http::console::visit::Visit;
use crate::log::saved_search::SavedSearch;
use crate::log::vault::VaultError;

/// Longest name and line, in characters.
const LONGEST: (usize, usize) = (80, 2000);

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
    /// It is the visitor's own.
    pub is_own: bool,
}

/// All of them. If the vault cannot be read the page goes without.
pub async fn all(visit: &Visit) -> Vec<Saved> {
    let vault = &visit.http.door.control().ports.reader.vault;
    let mut shown = Vec::new();
    for saved in vault.saved_searches().await.unwrap_or_default() {
        let owner = vault.email(&saved.owner).await.ok().flatten();
        shown.push(Saved {
            href: Line::of(&saved.line).href(),
            owner: owner.map_or_else(|| saved.owner.to_string(), |email| visible(&email)),
            is_own: saved.owner == visit.principal.user,
            id: saved.id,
            name: visible(&saved.name),
            line: visible(&saved.line),
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
    let length = (name.chars().count(), line.to_string().chars().count());
    if name.is_empty() || length.0 > LONGEST.0 || length.1 > LONGEST.1 {
        return Err(Fault::Unreadable("A search needs a name of at most 80 characters, and a line of at most 2000."));
    }
    let ports = &visit.http.door.control().ports;
    let made = ports.clock.now();
    let id = ulid(made, &*ports.entropy).to_string();
    let search = SavedSearch { id, name: name.to_owned(), line: line.to_string(), owner: visit.principal.user.clone(), made };
    if !ports.reader.vault.save_search(&search).await.map_err(|error| unkept(&error))? {
        return Err(Fault::Unreadable("There are 200 saved searches already. Forget some of yours."));
    }
    Ok(Redirect::to(&line.href()).into_response())
}

/// Forgets one's own.
pub async fn forget(Path(id): Path<String>, Posted { visit, .. }: Posted) -> Result<Response, Fault> {
    let vault = &visit.http.door.control().ports.reader.vault;
    let gone = vault.forget_search(&id, &visit.principal.user).await.map_err(|error| unkept(&error))?;
    if gone { Ok(Redirect::to("/console/search").into_response()) } else { Err(Fault::NotFound) }
}

fn unkept(error: &VaultError) -> Fault {
    tracing::error!(%error, "a saved search cannot be kept");
    Fault::Refused(Refusal::new(Code::InternalError, "Saved searches cannot be changed now."))
}
