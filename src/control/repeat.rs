//! Idempotency: a call that repeats an earlier one's recorded outcome, or joins one that still runs.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{broadcast, oneshot};

use super::endings::Finished;
use super::joins::Joined;
use super::{Control, Reply};
use crate::core::call::{Outcome, Status};
use crate::core::code::Code;
use crate::core::event::EventKind;
use crate::core::id::{AccountId, CallId, Position};
use crate::core::refusal::Refusal;
use crate::core::tool_result::ToolResult;
use crate::core::visibility::Visibility;
use crate::log::closing::Closing;
use crate::log::reading::ReadError;
use crate::tools::Tool;

/// How soon it is looked whether a call has ended that others have joined, if nobody tells; then half as often each time.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
const SELDOM: Duration = Duration::from_secs(2);

/// Returns once it is told that `first` has ended, or that some ends were missed.
async fn wait_for_end(endings: &mut broadcast::Receiver<CallId>, first: &CallId) {
    loop {
        match endings.recv().await {
            Ok(ended) if ended != *first => {}
            _ => return,
        }
    }
}

impl Control {
    /// Answers with the recorded outcome of `first`.
    pub(super) async fn replay(&self, call: &CallId, first: &CallId, status: Status, end: Position, tool: &Tool) -> Reply {
        let recorded = self.recorded(first, status, end, tool).await;
        match recorded {
            Outcome::Succeeded(result) => Reply::Done { call: call.clone(), result: result.live() },
            Outcome::Failed(refusal) => Reply::Failed { call: Some(call.clone()), refusal, status },
            _ => Reply::Failed { call: Some(call.clone()), refusal: repeated(first, status), status },
        }
    }

    /// The outcome that is written at `end`, as far as it may be shown again. That `first` is a call which may be repeated here
    /// was seen when the repeat was decided; that `end` is its end is seen here.
    async fn recorded(&self, first: &CallId, status: Status, end: Position, tool: &Tool) -> Outcome {
        if status == Status::Succeeded && tool.answers_a_secret() {
            return Outcome::Failed(Refusal::new(
                Code::AlreadyDelivered,
                "The first call delivered a secret, which is shown once.",
            ));
        }
        let document = match self.result_of(first, end).await {
            Ok(Some(document)) => document,
            Ok(None) if status == Status::Refused => return Outcome::Failed(self.refused_at(first, end).await),
            Ok(None) => return Outcome::Failed(repeated(first, status)),
            Err(error) => {
                tracing::error!(%error, call_id = %first, "a recorded result cannot be read back");
                return Outcome::Failed(Refusal::new(Code::AuditUnavailable, "The recorded result cannot be read back now."));
            }
        };
        if status == Status::Succeeded {
            return Outcome::Succeeded(ToolResult::repeated(document));
        }
        Outcome::Failed(Refusal::from_body(&document).unwrap_or_else(|| repeated(first, status)))
    }

    /// The result that `first` ended with at `end`.
    async fn result_of(&self, first: &CallId, end: Position) -> Result<Option<Value>, ReadError> {
        let reader = &self.ports.reader;
        match reader.chain(first).await? {
            Some(chain) if chain.end == Some(end) => reader.result_of(first, &Visibility::Account(chain.asked.account)).await,
            _ => Ok(None),
        }
    }

    /// Why a held call was refused.
    async fn refused_at(&self, call: &CallId, end: Position) -> Refusal {
        match self.ports.reader.event(end).await.map(|event| event.map(|event| event.kind)) {
            Ok(Some(EventKind::Refused(refused))) => Refusal::new(refused.code, refused.code.of_held()),
            _ => repeated(call, Status::Refused),
        }
    }

    /// Waits for `first` and ends as it ended; answers running if that takes longer than `wait`.
    pub(super) async fn join(self: &Arc<Self>, call: &CallId, first: CallId, tool: &Tool, wait: Duration) -> Reply {
        let (done, finished) = oneshot::channel();
        self.end_joined(call, &first, tool.facts.name, Some(done));
        match self.leaving.run_until_cancelled(tokio::time::timeout(wait, finished)).await {
            Some(Ok(Ok(finished))) => finished.reply,
            _ => self.still_open(call, &first).await,
        }
    }

    /// Has a call that joined `first`, and is in hand, ended as soon as that one has. Also for what a crash left open.
    pub fn end_joined(self: &Arc<Self>, call: &CallId, first: &CallId, tool: &str, done: Option<oneshot::Sender<Finished>>) {
        let joined = Joined { call: call.clone(), tool: tool.to_owned(), done };
        if self.joins.add(first, joined) {
            let (control, first) = (Arc::clone(self), first.clone());
            tokio::spawn(async move { control.end_all_joined(&first).await });
        }
    }

    /// Waits for `first`, and ends everything that has joined it by then.
    async fn end_all_joined(&self, first: &CallId) {
        let mut endings = self.endings.subscribe();
        let mut pause = POLL_INTERVAL;
        let (account, status, end) = loop {
            if let Some(ended) = self.ended(first).await {
                break ended;
            }
            let told = tokio::time::timeout(pause, wait_for_end(&mut endings, first)).await.is_ok();
            pause = if told { POLL_INTERVAL } else { (pause * 2).min(SELDOM) };
        };
        let ending = self.joins.take(first).into_iter().map(|joined| self.end_as(joined, first, &account, status, end));
        futures::future::join_all(ending).await;
    }

    async fn end_as(&self, joined: Joined, first: &CallId, account: &AccountId, status: Status, end: Position) {
        let Joined { call, tool, done } = joined;
        let Some(tool) = self.catalogue.get(&tool) else { return self.in_flight.release(&call) };
        let outcome = match self.recorded(first, status, end, tool).await {
            Outcome::Failed(_) if status == Status::Unknown => Outcome::Unknown("the call that it joined ended unknown".into()),
            Outcome::Failed(refusal) if status == Status::Cancelled => Outcome::Cancelled(refusal.code),
            other => other,
        };
        let mut closing = Closing::of(call.clone(), self.ports.node.clone(), self.ports.event_id());
        closing.ended.replay_of = Some(first.clone());
        // Taken over by every node that finds it: only the first one's end counts.
        closing.notes_late = done.is_some();
        self.finish((account, tool), closing, outcome, done).await;
        self.in_flight.release(&call);
    }

    /// How a call ended, as the log has it; none if it has not, or that cannot be read.
    pub(super) async fn recorded_end(&self, call: &CallId, tool: &Tool) -> Option<Reply> {
        let (_, status, end) = self.ended(call).await?;
        Some(match self.recorded(call, status, end, tool).await {
            Outcome::Succeeded(result) => Reply::Done { call: call.clone(), result: result.live() },
            Outcome::Failed(refusal) => Reply::Failed { call: Some(call.clone()), refusal, status },
            _ => Reply::Failed { call: Some(call.clone()), refusal: repeated(call, status), status },
        })
    }

    async fn ended(&self, first: &CallId) -> Option<(AccountId, Status, Position)> {
        let chain = self.ports.reader.chain(first).await.ok()??;
        Some((chain.asked.account, chain.status, chain.end?))
    }
}

fn repeated(first: &CallId, status: Status) -> Refusal {
    let code = match status {
        Status::Cancelled => Code::Cancelled,
        Status::TimedOut => Code::Timeout,
        Status::Unknown => Code::OutcomeUnknown,
        _ => Code::InternalError,
    };
    Refusal::new(code, format!("The first call with this idempotency key, {first}, ended {}.", status.as_str()))
}
