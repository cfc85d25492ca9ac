//! `submit`: the only way in.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::endings::Finished;
use super::intake::{BRIEF, Intake, brief as brief_of, take_in};
use super::plane::Assignment;
use super::unrecorded::{Unrecorded, answer_unrecorded};
use super::{Control, Reply, Request};
use crate::auth::session;
use crate::core::call::Status;
use crate::core::code::Code;
use crate::core::document::is_heavy;
use crate::core::event::IntentRecorded;
use crate::core::id::{CallId, EventId, RunId};
use crate::core::principal::Principal;
use crate::core::proposal::{Proposal, Verdict};
use crate::core::protocol::Protocol;
use crate::core::quota::QuotaKind;
use crate::core::refusal::Refusal;
use crate::core::resource::Resource;
use crate::core::scrub::{Scrubbed, ScrubbedText};
use crate::core::time::Micros;
use crate::core::tool::ToolSpec;
use crate::log::admission::{Admitted, Submission, Submitted};
use crate::log::binding::Binding;
use crate::log::stop_sealing::SealingNeed;
use crate::log::vault::{SealedPart, VaultError};
use crate::tools::{Arguments, Calls, Execution, NodeSlot, Progress, Tool};

/// How often a call is evaluated again when policy or a resource move under it.
const MAX_ATTEMPTS: usize = 3;

/// When a call may be tried again of a node that cannot stop.
const STOPPABLE_AGAIN: Duration = Duration::from_secs(1);

/// What a client says it is, is recorded so long, in characters.
const AGENT_MAX: usize = 200;

impl Control {
    /// Takes a call from intent to answer. Every authenticated call is in the log before anything happens (P1, P2).
    pub async fn submit(self: &Arc<Self>, mut request: Request) -> Reply {
        let call = CallId::new(self.ports.clock.now(), &*self.ports.entropy);
        // Kept until the caller is answered. Who has none left is refused as any other, on the record.
        let place = self.place(&request);
        let args = std::mem::take(&mut request.args);
        let is_large = is_heavy(&args);
        request.args = self.in_turn(&request, is_large, || self.catalogue.plain(&request.tool, args)).await;
        let crowded = place.as_ref().err().cloned();
        self.in_flight.take(&call);
        // What a submission is made of is large, and every caller's own future would hold it.
        match Box::pin(self.try_submit(&call, request, crowded)).await {
            Ok(reply) => reply,
            Err(unrecorded) => {
                self.in_flight.lose(&call);
                answer_unrecorded(&call, &unrecorded)
            }
        }
    }

    /// Why this node starts nothing: it has found that it could not stop it (P15), or that its vault is gone for good.
    #[must_use]
    pub fn starts_nothing(&self) -> Option<Refusal> {
        if self.ports.reader.vault.is_lost() {
            let text = "The vault that this node has opened was replaced or emptied, so it makes no calls.";
            return Some(Refusal::new(Code::AuditUnavailable, text));
        }
        let cannot = self.ports.writer.stats().cannot_stop.load(Ordering::Relaxed);
        let text = "This node could not stop calls now, so it makes none.";
        cannot.then(|| Refusal::new(Code::AuditUnavailable, text).retry_after(STOPPABLE_AGAIN))
    }

    /// Does the work of a request where it comes in; of one that is large, off the threads that serve everybody, in turn.
    async fn in_turn<T>(&self, request: &Request, is_large: bool, work: impl FnOnce() -> T) -> T {
        if !is_large {
            return work();
        }
        let stops = self.catalogue.get(&request.tool).is_some_and(|tool| tool.facts.stops);
        self.turns.take(&request.principal.account, stops, work).await
    }

    /// A place among the calls that somebody waits for. Stopping takes none.
    fn place(&self, request: &Request) -> Result<Option<NodeSlot>, Refusal> {
        let tool = self.catalogue.get(&request.tool);
        if tool.is_some_and(|tool| tool.facts.stops) {
            return Ok(None);
        }
        self.ports.places.take(QuotaKind::Waits, self.ports.terms().quotas.waits, &request.principal).map(Some)
    }

    async fn try_submit(
        self: &Arc<Self>,
        call: &CallId,
        request: Request,
        crowded: Option<Refusal>,
    ) -> Result<Reply, Unrecorded> {
        let now = self.ports.clock.now();
        let ids = [self.ports.event_id(), self.ports.event_id(), self.ports.event_id()];
        let (mut settled, mut repeats) = (None, None);
        for attempt in 1..=MAX_ATTEMPTS + 1 {
            let state = self.ports.fence().state();
            let reached = self.reached(&request, &state).await;
            let taking = || take_in(&request, &self.catalogue, &state, reached);
            let mut intake = self.in_turn(&request, is_heavy(&request.args), taking).await;
            let unstoppable = self.starts_nothing().filter(|_| intake.tool.is_none_or(|tool| !tool.facts.stops));
            intake.invalid = crowded.clone().or(unstoppable).or(intake.invalid);
            let puts_policies = intake.tool.is_some_and(|tool| tool.facts.puts_policies);
            let unasked = attempt > MAX_ATTEMPTS && puts_policies && !self.is_settled();
            if attempt > MAX_ATTEMPTS && !unasked {
                intake.invalid = Some(unsettled());
            }
            let mut submission =
                self.submission(call, &request, &intake, &ids, now).await.map_err(|error| Unrecorded::unsealed(&error))?;
            submission.repeats.clone_from(&repeats);
            if unasked {
                submission.proposal.verdict = Verdict { missing: true, ..Verdict::default() };
            }
            let is_sealed = submission.waits.sealed;
            let waits = submission.may_wait();
            let submitted = self.ports.writer.submit(submission).await.map_err(|error| Unrecorded { error, waits })?;
            if is_sealed && !matches!(submitted, Submitted::Held(_) | Submitted::Queued) {
                self.ports.forget_seal(call).await;
            }
            if let Submitted::Repeats(first) = submitted {
                repeats = Some(first);
            } else if !matches!(submitted, Submitted::Unsettled) {
                settled = Some((submitted, intake.tool.zip(intake.args), intake.about.found));
                break;
            }
        }
        let Some((submitted, asked, about)) = settled else {
            self.in_flight.release(call);
            return Ok(Reply::Failed {
                call: None,
                refusal: Refusal::new(Code::PolicyUnsettled, "Undecided."),
                status: Status::Refused,
            });
        };
        Ok(self.answer(call, request, submitted, asked, about).await)
    }

    async fn submission(
        &self,
        call: &CallId,
        request: &Request,
        intake: &Intake<'_>,
        ids: &[EventId; 3],
        now: Micros,
    ) -> Result<Submission, VaultError> {
        let who = &request.principal;
        let vault = &self.ports.reader.vault;
        let facts = intake.tool.map(|tool| tool.facts);
        let need = SealingNeed::of(facts);
        let arguments = vault.digest_as(need, &who.account, &intake.canonical).await?;
        let mut invalid = intake.invalid.clone();
        let mut follows = None;
        if let Some(name) = request.follows.as_ref().filter(|_| invalid.is_none()) {
            match self.followed(name, who, intake, &arguments).await {
                Ok(first) => follows = Some(first),
                Err(refusal) => invalid = Some(refusal),
            }
        }
        let known = self.ports.fence().state();
        // To stop twice harms nobody: without a digest nothing is remembered of the key.
        let key = intake.key.as_ref().filter(|_| !arguments.is_empty());
        let idempotency = key.zip(facts).map(|(key, facts)| {
            // A rotated key is the same key with another secret, also to what it asked for before.
            let scope = format!("{}|{}|{}|{key}", who.account, known.first_of(&who.credential), facts.name);
            (format!("idem:{}", hex::encode(Sha256::digest(scope))), arguments.clone())
        });
        let intent = IntentRecorded {
            call: call.clone(),
            account: who.account.clone(),
            side: who.side,
            user: who.user.clone(),
            credential: who.credential.clone(),
            via: who.via,
            tool: intake.name.as_str().into(),
            tool_version: facts.map_or(0, |facts| facts.version),
            resources: intake.about.found.iter().map(|row| row.id.clone()).collect(),
            providers: intake.reach.providers.clone(),
            session: request.session.as_ref().map(|id| session::digest(id).into()),
            protocol: request.protocol.as_deref().map(Protocol::named),
            follows: follows.clone(),
            arguments: arguments.into(),
            keyed: idempotency.is_some(),
        };
        let asked = intake.tool.zip(intake.args.as_ref());
        let proposal = Proposal {
            call: call.clone(),
            principal: who.clone(),
            lineage_rows: self.ports.fence().state().lineage_rows(&who.credential),
            tool: facts,
            resources: intake.about.named.clone(),
            versions: intake.about.versions(),
            reach: intake.reach.clone(),
            guard: intake.guard.clone(),
            enables_exec: asked.is_some_and(|(tool, args)| tool.handler.enables_exec(args)),
            stop: asked
                .filter(|_| invalid.is_none())
                .and_then(|(tool, args)| tool.handler.asks_to_stop(args, who, &intake.about.found, &known)),
            invalid,
            idempotency,
            follows,
            verdict: self.verdict(who, facts, &intake.about.found),
            approved: None,
        };
        let (parts, brief) = self.intent_parts(request, intake, &Binding::intent(&ids[0], &intent), now).await?;
        let waits = self.waits(&proposal, intake, request, &ids[1], now).await?;
        let run = RunId::new(now, &*self.ports.entropy);
        let (node, events, others) = (self.ports.node.clone(), ids.clone(), request.others);
        Ok(Submission { proposal, intent, events, run, others, parts, brief, node, repeats: None, waits })
    }

    /// Whether the policies that are asked here are those in force. While they are not, whatever would need them is refused.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let state = self.ports.fence().state();
        state.policy.as_ref().is_none_or(|set| self.evaluator.version() == Some(set.version))
    }

    /// What the policies say now. Also asked before an orphan is run again.
    pub fn verdict(&self, who: &Principal, tool: Option<&'static ToolSpec>, about: &[Resource]) -> Verdict {
        let state = self.ports.fence().state();
        let scopes =
            state.credentials.get(&who.credential).map(|credential| credential.created.scopes.clone()).unwrap_or_default();
        tool.map_or_else(Verdict::default, |tool| self.evaluator.evaluate(who, &scopes, tool, about))
    }

    /// What is kept of the call, and of a long one what is kept if it is refused.
    async fn intent_parts(
        &self,
        request: &Request,
        intake: &Intake<'_>,
        of: &Binding,
        at: Micros,
    ) -> Result<(Vec<SealedPart>, Option<Vec<SealedPart>>), VaultError> {
        let account = &request.principal.account;
        let need = SealingNeed::of(intake.tool.map(|tool| tool.facts));
        let vault = &self.ports.reader.vault;
        let seal = async |part, document: &Scrubbed| vault.seal_as(need, account, at, of.clone(), part, document).await;
        let mut parts = vec![seal("arguments", &intake.recorded).await?];
        if request.principal.ip.is_some() || request.user_agent.is_some() {
            let agent = request.user_agent.as_deref().map(|text| String::from(ScrubbedText::of(text).cut(AGENT_MAX)));
            let subject = Scrubbed::of(json!({ "ip": request.principal.ip, "user_agent": agent }));
            parts.push(seal("subject", &subject).await?);
        }
        if intake.recorded.bytes().len() <= BRIEF {
            return Ok((parts, None));
        }
        let mut brief = parts.clone();
        brief[0] = seal("arguments", &brief_of(&intake.recorded)).await?;
        Ok((parts, Some(brief)))
    }

    /// Hands an admitted call to the worker.
    #[expect(clippy::too_many_arguments, reason = "the parts of an execution, each from another place")]
    pub fn assign(
        self: &Arc<Self>,
        admitted: Admitted,
        tool: &Tool,
        principal: Principal,
        args: Arguments,
        resources: Vec<Resource>,
        cancel: CancellationToken,
        progress: Option<mpsc::Sender<Progress>>,
        done: Option<oneshot::Sender<Finished>>,
    ) {
        let (ports, calls) = (Arc::clone(&self.ports), Arc::clone(self) as Arc<dyn Calls>);
        let execution = Execution { admitted, tool: tool.facts, principal, args, resources, ports, cancel, progress, calls };
        if self.assignments.send(Assignment { execution, done }).is_err() {
            tracing::error!("the worker is gone; admitted calls will be recovered at the next start");
        }
    }
}

fn unsettled() -> Refusal {
    let text = "The policies in force are not settled on this node; nothing was done.";
    Refusal::new(Code::PolicyUnsettled, text)
        .hint("Try again. If it stays so, /readyz of the node says so, and policy_reload mends it.")
}
