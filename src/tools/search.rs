//! Searches that the staff keep for each other: `search_list`, `search_keep`, `search_forget`. Nothing is decided or proved by
//! them; they name people and customers, so they lie in the vault.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Execution;
use super::declare::{Declared, Nothing, Operation, Route, administration};
use super::instant::Instant;
use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::id::{UserId, ulid};
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::scrub::ScrubbedText;
use crate::log::saved_search::SavedSearch;

/// The operations of this noun.
pub(super) static OPERATIONS: &[&dyn Declared] = &[&LIST, &KEEP, &FORGET];

static LIST: Operation<Nothing, Listed> = administration("search_list")
    .scope(Scope::StaffAudit)
    .title("List searches")
    .about("Lists the searches that staff keep for each other.")
    .rest(Route::get("/searches"))
    .run(|execution, _| Box::pin(listed(execution)));

static KEEP: Operation<Line, Made> = administration("search_keep")
    .scope(Scope::StaffAudit)
    .title("Keep a search")
    .about("Keeps a line under a name, for all of the staff.")
    .rest(Route::post("/searches").created())
    .run(|execution, args| Box::pin(keep_line(execution, args)));

static FORGET: Operation<Which, Forgotten> = administration("search_forget")
    .scope(Scope::StaffAudit)
    .title("Forget a search")
    .about("Forgets a search of the caller's own; of anybody's, for whoever manages the staff's people.")
    .rest(Route::delete("/searches/{id}"))
    .run(|execution, args| Box::pin(forget_line(execution, args)));

#[derive(Serialize, JsonSchema)]
struct Listed {
    /// The searches, by name.
    #[schemars(extend("x-class" = Content))]
    items: Vec<Search>,
}

#[derive(Serialize, JsonSchema)]
struct Search {
    /// The search.
    id: String,
    /// What it is called.
    name: String,
    /// The line.
    line: String,
    /// Who keeps it.
    user: UserId,
    /// Since when.
    made_at: Instant,
    /// The caller keeps it.
    is_own: bool,
}

async fn listed(execution: Execution) -> Result<Listed, Outcome> {
    let saved = execution.ports.reader.vault.saved_searches().await?;
    let shown = |search: SavedSearch| Search {
        id: search.id,
        name: search.name.into(),
        line: search.line.into(),
        is_own: search.owner == execution.principal.user,
        user: search.owner,
        made_at: search.made.into(),
    };
    Ok(Listed { items: saved.into_iter().map(shown).collect() })
}

#[derive(Clone, Deserialize, JsonSchema)]
struct Line {
    /// What it is called.
    #[schemars(extend("x-class" = Content), length(min = 1, max = 80))]
    name: String,
    /// The line.
    #[schemars(extend("x-class" = Content), length(min = 1, max = 2000))]
    line: String,
}

#[derive(Serialize, JsonSchema)]
struct Made {
    /// The search.
    #[schemars(extend("x-class" = Public))]
    id: String,
}

async fn keep_line(execution: Execution, Line { name, line }: Line) -> Result<Made, Outcome> {
    let ports = &execution.ports;
    let made = ports.clock.now();
    let id = ulid(made, &*ports.entropy).to_string();
    let (name, line) = (ScrubbedText::of(&name), ScrubbedText::of(&line));
    let search = SavedSearch { id: id.clone(), name, line, owner: execution.principal.user.clone(), made };
    let _permit = execution.permit()?;
    ports.reader.vault.save_search(&search, ports.terms().quotas.searches).await??;
    Ok(Made { id })
}

#[derive(Clone, Deserialize, JsonSchema)]
struct Which {
    /// One of the caller's own; of anybody's, for whoever manages the staff's people.
    #[schemars(extend("x-class" = Public), length(min = 1, max = 40))]
    id: String,
}

#[derive(Serialize, JsonSchema)]
struct Forgotten {
    /// The search.
    #[schemars(extend("x-class" = Public))]
    id: String,
    /// It is gone.
    #[schemars(extend("x-class" = Public))]
    forgotten: bool,
}

async fn forget_line(execution: Execution, Which { id }: Which) -> Result<Forgotten, Outcome> {
    let (who, state) = (&execution.principal, execution.ports.fence().state());
    // Who says who the staff's people are clears up after them, too.
    let may_any = state.credentials.get(&who.credential).is_some_and(|row| row.created.scopes.contains(&Scope::StaffPeople));
    let _permit = execution.permit()?;
    if !execution.ports.reader.vault.forget_search(&id, Some(&who.user).filter(|_| !may_any)).await? {
        return Err(Refusal::new(Code::NotFound, "There is no such search that the caller may forget.").into());
    }
    Ok(Forgotten { id, forgotten: true })
}
