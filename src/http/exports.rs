//! Exports as they are found again, and made again when they are downloaded; for the API and the console.
//!
//! INVARIANT: what is sent has the digest that was recorded when the export was made; it is counted out before the first
//! byte leaves, and nothing is sent if it has become another file.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::stream::{self, Stream};

use super::{Gateway, Http};
use crate::control::Recipient;
use crate::core::call::Status;
use crate::core::code::Code;
use crate::core::id::CallId;
use crate::core::principal::{Principal, Side};
use crate::core::quota::QuotaKind;
use crate::core::reading::Reading;
use crate::core::refusal::Refusal;
use crate::core::search::{Field, Search};
use crate::core::visibility::Visibility;
use crate::core::visible::says_something;
use crate::log::reading::ReadError;
use crate::tools::export::sheet::Sheet;
use crate::tools::export::{CREATE, Export};
use crate::tools::{ActivityQuery, CallRecord, NodeSlot};

/// Exports on a page.
const PAGE: u32 = 50;

/// The call that made an export, and what it recorded of it if it is done.
pub struct Made {
    /// The call.
    pub record: CallRecord,
    /// The export.
    pub export: Option<Export>,
}

/// A page of the exports of whoever asks, of their account or of the staff, newest first; and where the next one begins.
pub async fn list(http: &Http, who: &Principal, cursor: Option<String>) -> Result<(Vec<Made>, Option<String>), Refusal> {
    let mut search = Search::default();
    search.only(Field::Tool, CREATE).map_err(|fault| Refusal::new(Code::InternalError, fault.to_string()))?;
    let query = ActivityQuery { visibility: own(http, who), search, limit: PAGE, cursor, ..ActivityQuery::default() };
    let found = http.gateway.control().ports.activity.list(query).await?;
    Ok((read(http, who, found.items).await?, found.next_cursor))
}

/// One of them. Absent and not one's own look the same.
pub async fn find(http: &Http, who: &Principal, id: &str) -> Result<Made, Refusal> {
    let absent = || Refusal::new(Code::NotFound, "There is no such export.");
    let id: CallId = id.parse().map_err(|_| absent())?;
    let found = http.gateway.control().ports.activity.call(&own(http, who), &id).await?;
    let record = found.filter(|record| record.tool == CREATE).ok_or_else(absent)?;
    read(http, who, vec![record]).await?.pop().ok_or_else(absent)
}

/// Exports are of whoever made them: the staff's are the staff's, all of them.
fn own(http: &Http, who: &Principal) -> Visibility {
    if who.side == Side::Staff { Visibility::Account(who.account.clone()) } else { Visibility::of(who, &http.gateway.state()) }
}

/// Calls that made exports with what they recorded, in one read.
async fn read(http: &Http, who: &Principal, records: Vec<CallRecord>) -> Result<Vec<Made>, Refusal> {
    let done = records.iter().filter(|record| record.status == Status::Succeeded);
    let ids: Vec<CallId> = done.map(|record| record.call_id.clone()).collect();
    let results = http.gateway.control().ports.reader.results_of(&ids, &own(http, who)).await;
    let mut results = results.map_err(|error| unreadable(&error))?;
    let made = records.into_iter().map(|record| {
        let result = results.remove(&record.call_id);
        Made { export: result.and_then(|result| serde_json::from_value(result).ok()), record }
    });
    Ok(made.collect())
}

fn unreadable(error: &ReadError) -> Refusal {
    tracing::error!(error = error as &dyn std::error::Error, "exports cannot be read");
    Refusal::new(Code::AuditUnavailable, "The exports cannot be read now.")
}

/// The file, made again.
pub async fn download(http: &Http, who: &Principal, made: Made, reason: Option<&str>) -> Result<Response, Refusal> {
    let ports = &http.gateway.control().ports;
    let gone = || Refusal::new(Code::NotFound, "The export cannot be downloaded any more.");
    let export = made.export.filter(|export| !export.is_over(ports.clock.now())).ok_or_else(gone)?;
    let place = ports.places.take(QuotaKind::Exports, ports.terms().quotas.exports, who)?;
    check_reason(who, &made.record, &export, reason)?;
    if who.side == Side::Staff {
        let what = Reading::ExportFile(made.record.call_id.clone());
        let asked = serde_json::json!({ "q": export.q, "reason": reason });
        http.gateway.check_reader(who, what, export.account.clone(), asked).await?;
    }
    let sheet = || -> Result<Sheet, Refusal> {
        let query = export.query(&http.gateway.state()).map_err(|_| changed())?;
        Ok(Sheet::new(Arc::clone(&ports.activity), export.form, query))
    };
    let counting = http.recounts.begin(&who.account, ports.clock.now())?;
    let mut trial = sheet()?;
    while trial.next().await?.is_some() {}
    drop(counting);
    if trial.sha256() != export.sha256 {
        return Err(changed());
    }
    Ok((headers(&export), Body::from_stream(pieces(sheet()?, place, Arc::clone(&http.gateway), who.clone()))).into_response())
}

/// Whether staff who take calls of several accounts away have said why: whoever made the export has, when they made it.
pub fn check_reason(who: &Principal, record: &CallRecord, export: &Export, reason: Option<&str>) -> Result<(), Refusal> {
    let has_said = record.user == who.user.as_str() || reason.is_some_and(says_something);
    if who.side == Side::Customer || export.account.is_some() || has_said {
        return Ok(());
    }
    let text = "The export has calls of more than one account; whoever takes them away says why.";
    Err(Refusal::new(Code::ValidationFailed, text).hint("Give a reason."))
}

/// The file, for which the place is kept until it is sent. It breaks off with the key that it is sent to.
fn pieces(
    sheet: Sheet,
    place: NodeSlot,
    gateway: Arc<Gateway>,
    who: Principal,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    stream::unfold(Some((sheet, place)), move |state| {
        let (gateway, who) = (Arc::clone(&gateway), who.clone());
        async move {
            let (mut sheet, place) = state?;
            let piece = sheet.next().await;
            let alive = gateway.control().recheck_in_log(Recipient::listening(&who)).await;
            match alive.and(piece) {
                Ok(piece) => piece.map(|piece| (Ok(piece.into()), Some((sheet, place)))),
                Err(refusal) => Some((Err(std::io::Error::other(refusal.message)), None)),
            }
        }
    })
}

fn headers(export: &Export) -> HeaderMap {
    let digest = STANDARD.encode(hex::decode(&export.sha256).unwrap_or_default());
    let texts = [
        (CONTENT_TYPE, export.form.media_type().to_owned()),
        (CONTENT_LENGTH, export.bytes.to_string()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", export.file())),
        (CACHE_CONTROL, "no-store".to_owned()),
        (HeaderName::from_static("repr-digest"), format!("sha-256=:{digest}:")),
    ];
    texts.into_iter().filter_map(|(name, text)| Some((name, HeaderValue::from_str(&text).ok()?))).collect()
}

fn changed() -> Refusal {
    let text = "The file would not be the one that was exported: something that it held has been erased since.";
    Refusal::new(Code::Conflict, text).hint("Make a new export.")
}
