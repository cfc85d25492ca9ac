//! `export_create`: counts and digests the calls of a search at one position, so that the file can be made again and checked.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::sheet::{Form, Sheet};
use super::{CREATE, Export};
use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::engagement::{REASON, check_reason_if_any};
use crate::core::id::{CallId, Position};
use crate::core::principal::Side;
use crate::core::quota::QuotaKind;
use crate::core::reading::Reading;
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::scrub::ScrubbedText;
use crate::core::search::{Field, Search};
use crate::core::visibility::Visibility;
use crate::tools::declare::{Operation, Route, administration};
use crate::tools::record::{fresh, record_read};
use crate::tools::{ActivityQuery, Execution};

/// How long it can be downloaded.
const LASTS: Duration = Duration::from_hours(7 * 24);

/// Most calls in one file.
const MAX_COUNT: u64 = 500_000;

/// How long the making may take.
const TIME: Duration = Duration::from_mins(10);

pub(super) static MAKE: Operation<Args, Output> = administration(CREATE)
    .scope(Scope::AuditRead)
    .or(&[Scope::StaffExport])
    .title("Export calls")
    .about("Makes a file of the calls of a search, as they are now: counted, digested, and to be downloaded for a week.")
    .time_limit(TIME)
    .rest(Route::post("/exports").created())
    .run(|execution, args| Box::pin(create(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// Which calls, as in a search; all if absent.
    #[schemars(extend("x-class" = Content), length(min = 1, max = 2000))]
    q: Option<String>,
    /// What the file is.
    #[schemars(extend("x-class" = Public))]
    form: Form,
    /// Why staff take calls of several accounts away.
    #[schemars(extend("x-class" = Content), length(min = 1, max = REASON))]
    reason: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The export, by which it is downloaded: the id of this call.
    #[schemars(extend("x-class" = Public))]
    id: CallId,
    #[serde(flatten)]
    export: Export,
}

async fn create(execution: Execution, Args { q, form, reason }: Args) -> Result<Output, Outcome> {
    check_reason_if_any(reason.as_deref())?;
    let now = execution.ports.clock.now();
    // Scrubbed as it was typed, which is what is looked for and kept: words that are folded have lost what a secret is known by.
    let typed = ScrubbedText::of(&q.unwrap_or_default());
    let read = execution
        .read_typed(|known| Search::parse_of(typed.as_str(), now, Some(known)))
        .and_then(|search| Ok((search, Search::written_out(typed.as_str(), now)?)));
    let (search, q) = read.map_err(|fault| Refusal::new(Code::ValidationFailed, format!("q cannot be read: {fault}.")))?;
    let visibility = visibility(&execution, &search, reason.is_some()).await?;
    let (account, credential) = (visibility.account().cloned(), visibility.credentials().and_then(|key| key.first().cloned()));
    let ports = &execution.ports;
    let _place = ports.places.take(QuotaKind::Exports, ports.terms().quotas.exports, &execution.principal)?;
    if execution.principal.side == Side::Staff {
        let what = Reading::ExportMade(execution.call().clone());
        record_read(&execution, account.as_ref(), what, json!({ "q": q, "reason": reason })).await?;
    }
    // As the log was when this was asked for: the call that makes the export is not in it.
    let asked = execution.ports.activity.call(&execution.visibility(), execution.call()).await?;
    let as_of = asked.map(|record| Position(record.intent.0 - 1));
    let commands = execution.principal.side == Side::Customer || reason.is_some();
    let query = ActivityQuery { visibility, search, commands, as_of, ..ActivityQuery::default() };
    let sheet = made(&execution, form, query).await?;
    let export = Export {
        q,
        form,
        account,
        credential,
        commands,
        as_of: sheet.as_of(),
        count: sheet.count(),
        bytes: sheet.bytes(),
        sha256: sheet.sha256(),
        expires_at: now.plus(LASTS).rfc3339(),
    };
    Ok(Output { id: execution.call().clone(), export })
}

/// Whose calls it may hold.
async fn visibility(execution: &Execution, search: &Search, has_reason: bool) -> Result<Visibility, Outcome> {
    let (who, state) = (&execution.principal, fresh(execution).await?);
    let key = state.credentials.get(&who.credential).map(|row| &row.created);
    let needed = if who.side == Side::Staff { Scope::StaffExport } else { Scope::AuditRead };
    if !key.is_some_and(|key| key.scopes.contains(&needed)) {
        let text = format!("Taking calls away needs the scope {}.", needed.as_str());
        return Err(Refusal::new(Code::ForbiddenScope, text).details(json!({ "scope": needed.as_str() })).into());
    }
    if who.side == Side::Customer {
        return Ok(Visibility::own(who, &state));
    }
    let account = search.value(Field::Account).and_then(|account| account.parse().ok());
    if account.is_none() && !has_reason {
        let text = "Staff who take calls of several accounts away say why.";
        return Err(Refusal::new(Code::ValidationFailed, text).hint("Give a reason, or one account.").into());
    }
    Ok(Visibility::bounded(account, None))
}

/// Goes through the whole file, and keeps nothing of it but its measures.
async fn made(execution: &Execution, form: Form, query: ActivityQuery) -> Result<Sheet, Outcome> {
    let mut sheet = Sheet::new(Arc::clone(&execution.ports.activity), form, query);
    while sheet.next().await?.is_some() {
        if execution.cancel.is_cancelled() {
            return Err(Outcome::Cancelled(Code::Cancelled));
        }
        if sheet.count() > MAX_COUNT {
            let text = format!("These are more than {MAX_COUNT} calls.");
            return Err(Refusal::new(Code::TooLarge, text).hint("Narrow the search, or use `forelog export`.").into());
        }
    }
    Ok(sheet)
}
