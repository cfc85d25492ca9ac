//! Ending a call: the outcome is written before anybody is told, and is written however long that takes.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::endings::Finished;
use super::{Control, Reply};
use crate::core::call::{Outcome, Status};
use crate::core::code::Code;
use crate::core::id::{AccountId, CallId};
use crate::core::list_summary::summarize_list;
use crate::core::refusal::Refusal;
use crate::core::scrub::Scrubbed;
use crate::log::binding::Binding;
use crate::log::closing::{Closed, Closing};
use crate::log::stop_sealing::SealingNeed;
use crate::log::vault::{PART_MAX, SealedPart};
use crate::tools::Tool;

impl Control {
    /// Writes the terminal event of a call of `account`, tells the waiter, and answers what the caller is told. How it ended is
    /// said by the outcome.
    pub async fn finish(
        &self,
        (account, tool): (&AccountId, &Tool),
        mut closing: Closing,
        outcome: Outcome,
        done: Option<oneshot::Sender<Finished>>,
    ) -> Reply {
        let outcome = self.declared(tool, outcome);
        let shown = recorded(&outcome, tool);
        let reply = reply_to(&closing.ended.call, outcome, tool);
        let (status, code) = (status_of(&reply), code_of(&reply));
        (closing.status, closing.ended.code) = (status, code);
        closing.parts = self.seal_result((account, tool), &closing, record_of(&reply, shown)).await;
        let closed = self.close(&closing).await;
        let call = &closing.ended.call;
        self.ports.writer.stats().ended.count(status.as_str());
        tracing::info!(
            target: "forelog::call",
            call_id = %call,
            account = %account,
            tool = tool.facts.name,
            status = status.as_str(),
            code = code.map(Code::as_str),
            late = closed == Closed::Late,
        );
        self.endings.notify(call);
        if let Some(done) = done {
            // The caller has left; the log has the outcome.
            let _ = done.send(Finished { reply: reply.clone() });
        }
        reply
    }

    /// In a build for development: that a tool answers what it does not declare is a fault of ours, and not passed on.
    fn declared(&self, tool: &Tool, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Succeeded(shown) if cfg!(debug_assertions) => {
                let undeclared = self.catalogue.undeclared(tool, &shown.clone().live());
                undeclared.map_or(Outcome::Succeeded(shown), Outcome::Failed)
            }
            other => other,
        }
    }

    /// The redacted result, sealed. If that fails the event is written without it: the thing has happened.
    async fn seal_result(&self, (account, tool): (&AccountId, &Tool), closing: &Closing, record: Scrubbed) -> Vec<SealedPart> {
        let call = &closing.ended.call;
        let of = Binding::step(&closing.id, call, closing.status.as_str());
        let (vault, now) = (&self.ports.reader.vault, self.ports.clock.now());
        let (need, record) = (SealingNeed::of(Some(tool.facts)), record.shortened(PART_MAX));
        let seal = async |need| vault.seal_as(need, account, now, of.clone(), "result", &record).await;
        let sealed = match seal(need).await {
            // It has happened: where the key of a new month cannot be had, the one that its arguments lie under does.
            Err(error) if need == SealingNeed::Always => {
                seal(SealingNeed::IfAtHand).await.ok().filter(|part| !part.is_left_out()).ok_or(error)
            }
            sealed => sealed,
        };
        match sealed {
            Ok(part) => vec![part],
            Err(error) => {
                tracing::error!(call_id = %call, %error, "a result is withheld: it could not be encrypted");
                Vec::new()
            }
        }
    }

    async fn close(&self, closing: &Closing) -> Closed {
        let mut pause = Duration::from_millis(20);
        let mut closed = self.ports.writer.close(closing.clone()).await;
        loop {
            match closed {
                Ok(closed) => return closed,
                Err(error) => {
                    tracing::error!(call_id = %closing.ended.call, %error, "an outcome could not be written; trying again");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
            closed = self.ports.writer.close_again(closing.clone()).await;
        }
    }
}

fn reply_to(call: &CallId, outcome: Outcome, tool: &Tool) -> Reply {
    let failed = |refusal: Refusal, status: Status| Reply::Failed { call: Some(call.clone()), refusal, status };
    match outcome {
        Outcome::Succeeded(result) => Reply::Done { call: call.clone(), result: result.live() },
        Outcome::Failed(refusal) => failed(refusal, Status::Failed),
        Outcome::Cancelled(code) => failed(Refusal::new(code, "The call was cancelled."), Status::Cancelled),
        Outcome::TimedOut(partial) => {
            let refusal = Refusal::new(Code::Timeout, "It took longer than allowed and was ended.");
            failed(refusal.details(json!({ "result": partial.live() })), Status::TimedOut)
        }
        Outcome::Unknown(why) => {
            let refusal =
                Refusal::new(Code::OutcomeUnknown, format!("It may or may not have happened: {why}")).hint(place_to_look(tool));
            failed(refusal, Status::Unknown)
        }
    }
}

/// Where it shows what became of a call whose end nobody knows.
fn place_to_look(tool: &Tool) -> &'static str {
    if tool.facts.effect.is_some() {
        return "Look at the VM before trying again; operation_get tells when the provider knows.";
    }
    "Look at what it was to change before trying again: the switches in force, the keys or the people, in the console, over REST or \
     with `forelog switch list` and `forelog key list`."
}

fn status_of(reply: &Reply) -> Status {
    match reply {
        Reply::Done { .. } => Status::Succeeded,
        Reply::Failed { status, .. } | Reply::Running { status, .. } => *status,
    }
}

fn code_of(reply: &Reply) -> Option<Code> {
    match reply {
        Reply::Failed { refusal, .. } => Some(refusal.code),
        _ => None,
    }
}

/// What is recorded of a result, or of what there was of one.
fn recorded(outcome: &Outcome, tool: &Tool) -> Option<Value> {
    match outcome {
        Outcome::Succeeded(shown) if tool.facts.lists() => Some(summarize_list(shown.recorded(&tool.results))),
        Outcome::Succeeded(shown) | Outcome::TimedOut(shown) => Some(shown.recorded(&tool.results)),
        Outcome::Failed(_) | Outcome::Cancelled(_) | Outcome::Unknown(_) => None,
    }
}

/// What is recorded of an end: never the result as it was answered, also where that is inside an error. Error texts may
/// quote what a provider said (P10).
fn record_of(reply: &Reply, shown: Option<Value>) -> Scrubbed {
    if let Reply::Done { .. } = reply {
        return Scrubbed::of(shown.unwrap_or_default());
    }
    let mut document = reply.document();
    if let (Some(place), Some(shown)) = (document.pointer_mut("/error/details/result"), shown) {
        *place = shown;
    }
    Scrubbed::of(document)
}
