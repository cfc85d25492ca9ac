//! Searches that the staff keep for each other: `search_list`, `search_keep`, `search_forget`. Nothing is decided or proved by
//! them; they name people and customers, so they lie in the vault.

use serde::Deserialize;
use serde_json::{Value, json};

use super::outcome::Answer;
use super::register::{Face, handler, tool};
use super::shape::{Shape, any, text};
use super::{Execution, Tool, facts};
use crate::core::code::Code;
use crate::core::id::ulid;
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::scrub::ScrubbedText;
use crate::core::tool::ToolFacts;
use crate::log::saved_search::SavedSearch;

static LIST: ToolFacts = facts::control("search_list", Some(Scope::StaffAudit));
static KEEP: ToolFacts = facts::control("search_keep", Some(Scope::StaffAudit));
static FORGET: ToolFacts = facts::control("search_forget", Some(Scope::StaffAudit));

/// Longest name and line, in characters.
const LONGEST: (usize, usize) = (80, 2000);

/// The tools of this noun.
pub(super) fn tools() -> Vec<Tool> {
    let id = || any("string", "The search.");
    let list = Shape::new().must("items", Content, any("array", "The searches, by name: line, who keeps it, since when."));
    let keep = Shape::new()
        .must("name", Content, text("What it is called.", LONGEST.0))
        .must("line", Content, text("The line.", LONGEST.1))
        .keyed();
    let kept = Shape::new().must("id", Public, id());
    let forget = Shape::new()
        .must("id", Public, text("One of the caller's own; of anybody's, for whoever manages the staff's people.", 40))
        .keyed();
    let forgotten = Shape::new().must("id", Public, id()).must("forgotten", Public, any("boolean", "It is gone."));
    let face = |title, description| Face { title, description };
    vec![
        tool(
            &LIST,
            face("List searches", "Lists the searches that staff keep for each other."),
            Shape::new(),
            list,
            handler!(listed),
        ),
        tool(
            &KEEP,
            face("Keep a search", "Keeps a line under a name, for all of the staff."),
            keep.read_as::<Line>(),
            kept,
            handler!(keep_line),
        ),
        tool(
            &FORGET,
            face(
                "Forget a search",
                "Forgets a search of the caller's own; of anybody's, for whoever manages the staff's people.",
            ),
            forget.read_as::<Which>(),
            forgotten,
            handler!(forget_line),
        ),
    ]
}

async fn listed(execution: Execution) -> Answer {
    let saved = execution.ports.reader.vault.saved_searches().await?;
    let shown = |search: &SavedSearch| {
        json!({
            "id": search.id, "name": search.name.as_str(), "line": search.line.as_str(), "user": search.owner, "made_at": search.made.document(),
            "is_own": search.owner == execution.principal.user,
        })
    };
    let items: Vec<Value> = saved.iter().map(shown).collect();
    Ok(json!({ "items": items }))
}

#[derive(Deserialize)]
struct Line {
    name: String,
    line: String,
}

async fn keep_line(execution: Execution) -> Answer {
    let Line { name, line } = execution.arguments()?;
    let ports = &execution.ports;
    let made = ports.clock.now();
    let id = ulid(made, &*ports.entropy).to_string();
    let (name, line) = (ScrubbedText::of(&name), ScrubbedText::of(&line));
    let search = SavedSearch { id: id.clone(), name, line, owner: execution.principal.user.clone(), made };
    let _permit = execution.permit()?;
    ports.reader.vault.save_search(&search, ports.terms().quotas.searches).await??;
    Ok(json!({ "id": id }))
}

#[derive(Deserialize)]
struct Which {
    id: String,
}

async fn forget_line(execution: Execution) -> Answer {
    let Which { id } = execution.arguments()?;
    let (who, state) = (&execution.principal, execution.ports.fence().state());
    // Who says who the staff's people are clears up after them, too.
    let may_any = state.credentials.get(&who.credential).is_some_and(|row| row.created.scopes.contains(&Scope::StaffPeople));
    let _permit = execution.permit()?;
    if !execution.ports.reader.vault.forget_search(&id, Some(&who.user).filter(|_| !may_any)).await? {
        return Err(Refusal::new(Code::NotFound, "There is no such search that the caller may forget.").into());
    }
    Ok(json!({ "id": id, "forgotten": true }))
}
