//! Calls read from the log itself: slow, and right.

use async_trait::async_trait;
use forelog::core::call::Status;
use forelog::core::event::{Event, EventKind};
use forelog::core::id::{CallId, Position};
use forelog::core::refusal::Refusal;
use forelog::core::search::Field;
use forelog::core::visibility::Visibility;
use forelog::log::reading::Reader;
use forelog::tools::{Activity, ActivityPage, ActivityQuery, CallRecord, CallTimeline, Durations, Moment};
use serde_json::json;
use sha2::{Digest, Sha256};

/// Every event.
pub async fn whole_log(reader: &Reader) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    loop {
        let after = all.last().map_or(Position(0), |event| event.position);
        let page = reader.events(after, 1000).await.expect("the log");
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

/// Reads calls from the log itself: slow, and right.
pub struct FromLog(pub Reader);

#[async_trait]
impl Activity for FromLog {
    async fn position(&self) -> Result<Position, Refusal> {
        Ok(Position(0))
    }

    /// Each call that was recorded since then, once.
    async fn changes(&self, query: ActivityQuery, after: Position) -> Result<forelog::tools::Changes, Refusal> {
        let (mut items, log) = (Vec::new(), whole_log(&self.0).await);
        for event in log.iter().filter(|event| event.position > after) {
            let EventKind::IntentRecorded(intent) = &event.kind else { continue };
            let call = self.call(&query.visibility, &intent.call).await?;
            items.extend(call.map(|call| forelog::tools::Change { position: event.position, call }));
        }
        Ok(forelog::tools::Changes { items, position: log.last().map_or(after, |event| event.position), is_behind: false })
    }

    async fn administration(
        &self,
        _: forelog::tools::AdministrationQuery,
    ) -> Result<forelog::tools::AdministrationPage, Refusal> {
        Err(Refusal::new(forelog::core::code::Code::NotImplemented, "There are no views here."))
    }

    async fn histogram(&self, _: ActivityQuery, _: u32) -> Result<forelog::tools::Histogram, Refusal> {
        Err(Refusal::new(forelog::core::code::Code::NotImplemented, "There are no views here."))
    }

    /// Filters by sight and tool only.
    async fn list(&self, query: ActivityQuery) -> Result<ActivityPage, Refusal> {
        let (mut items, log) = (Vec::new(), whole_log(&self.0).await);
        for event in log.iter().rev() {
            let EventKind::IntentRecorded(intent) = &event.kind else { continue };
            if query.search.value(Field::Tool).is_none_or(|tool| *tool == *intent.tool) {
                items.extend(self.call(&query.visibility, &intent.call).await?);
            }
        }
        Ok(ActivityPage { items, next_cursor: None, as_of: log.last().map_or(Position(0), |event| event.position) })
    }

    async fn call(&self, visibility: &Visibility, call: &CallId) -> Result<Option<CallRecord>, Refusal> {
        let mut record: Option<CallRecord> = None;
        for event in whole_log(&self.0).await {
            if event.kind.call() != Some(call) {
                continue;
            }
            if let EventKind::IntentRecorded(intent) = &event.kind {
                record = Some(CallRecord {
                    policy: None,
                    switch: None,
                    user: intent.user.to_string(),
                    call_id: call.clone(),
                    account: intent.account.clone(),
                    credential: intent.credential.to_string(),
                    resources: intent.resources.clone(),
                    tool: intent.tool.to_string(),
                    via: String::new(),
                    status: Status::Recorded,
                    code: None,
                    at: event.at,
                    ended_at: None,
                    session: None,
                    ip: None,
                    text: String::new(),
                    intent: event.position,
                    end: None,
                });
            }
            let Some(record) = record.as_mut() else { continue };
            let before = (record.status != Status::Recorded || !matches!(event.kind, EventKind::IntentRecorded(_)))
                .then_some(record.status);
            record.status = forelog::core::call::next(before, &event.kind).expect("a legal log");
            if record.status.is_terminal() && record.end.is_none() {
                record.end = Some(event.position);
            }
        }
        Ok(record.filter(|record| visibility.call(&record.account, &record.credential)))
    }

    async fn calls(&self, visibility: &Visibility, calls: &[CallId]) -> Result<Vec<CallRecord>, Refusal> {
        let mut found = Vec::new();
        for call in calls {
            found.extend(self.call(visibility, call).await?);
        }
        Ok(found)
    }

    async fn timeline(&self, visibility: &Visibility, call: &CallId) -> Result<Option<CallTimeline>, Refusal> {
        let Some(record) = self.call(visibility, call).await? else { return Ok(None) };
        let log = whole_log(&self.0).await;
        let of_call = log.iter().filter(|event| event.kind.call() == Some(call));
        let moment = |event: &Event| Moment {
            position: event.position,
            at: event.at,
            kind: event.kind.name().to_owned(),
            leaf: json!(event),
            sha256: hex::encode(Sha256::digest(json!(event).to_string())),
        };
        let events = of_call.map(moment).collect();
        Ok(Some(CallTimeline { call: record, arguments: None, result: None, durations: Durations::default(), events }))
    }
}
