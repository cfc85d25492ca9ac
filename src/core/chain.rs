//! The chain of a call: what its own events make of it. Whoever has the database's password writes the rows beside the log, but
//! no event that is there already, so before anything runs, is let go on, ends or is shown because of such a row, the row is
//! held against the chain.
//!
//! INVARIANT: a chain follows from leaves alone: each event names the one before it (`prev`) and may follow it ([`next`]).

use std::collections::BTreeSet;

use super::approval::{Approval, Consent};
use super::call::{Status, next};
use super::covering::Covered;
use super::event::{Admitted, Event, EventKind, IntentRecorded};
use super::hold::HoldTerms;
use super::id::{CallId, EventId, NodeId, Position};
use super::job::{Idempotency, Job};
use super::state::ControlState;
use super::time::Micros;
use super::tool::{Class, ToolSpec};

/// What of a row, or of the events themselves, does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its {0} is not what the log says")]
pub struct RowMismatch(pub &'static str);

/// When a call was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    position: Position,
    at: Micros,
    expires_at: Micros,
    terms: Option<HoldTerms>,
}

/// A call as its events make it.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each of one event")]
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// Where it was asked for.
    pub intent: Position,
    /// What was asked for.
    pub asked: IntentRecorded,
    /// How it stands.
    pub status: Status,
    /// Where its newest event is.
    pub last: Position,
    /// Where it ended.
    pub end: Option<Position>,
    /// The event that ended it.
    pub ended_by: Option<EventId>,
    /// The node that started it last.
    pub node: Option<NodeId>,
    /// All nodes that started it.
    pub ran_on: BTreeSet<NodeId>,
    /// The call that it joined, or whose end it repeats.
    pub joins: Option<CallId>,
    /// Who said yes, in this order.
    pub consents: Vec<Consent>,
    claim: bool,
    /// A worker takes it, so that it may stay open.
    waits: bool,
    held: Option<Held>,
    cancel_asked: bool,
    reconciled: bool,
}

impl Chain {
    /// Folds the events of a call, in order; none if there are none.
    pub fn of(call: &CallId, events: &[Event]) -> Result<Option<Self>, RowMismatch> {
        let Some((first, rest)) = events.split_first() else { return Ok(None) };
        let EventKind::IntentRecorded(asked) = &first.kind else { return Err(RowMismatch("first event")) };
        if asked.call != *call || first.prev != Position(0) {
            return Err(RowMismatch("first event"));
        }
        let mut chain = Self {
            intent: first.position,
            asked: asked.clone(),
            status: Status::Recorded,
            last: first.position,
            end: None,
            ended_by: None,
            node: None,
            ran_on: BTreeSet::new(),
            joins: None,
            consents: Vec::new(),
            claim: false,
            waits: false,
            held: None,
            cancel_asked: false,
            reconciled: false,
        };
        for event in rest {
            chain.follow(event)?;
        }
        Ok(Some(chain))
    }

    fn follow(&mut self, event: &Event) -> Result<(), RowMismatch> {
        // What annotates a call after its end is written without looking for that end.
        let annotates = matches!(event.kind, EventKind::Reconciled { .. } | EventKind::LateResult { .. });
        let linked = event.prev == self.last || (annotates && event.prev == Position(0));
        if event.kind.call() != Some(&self.asked.call) || !linked {
            return Err(RowMismatch("link to the event before"));
        }
        self.status = next(Some(self.status), &event.kind).map_err(|_| RowMismatch("order of events"))?;
        self.last = event.position;
        match &event.kind {
            EventKind::Admitted(admitted) => self.admit(admitted),
            EventKind::Held { expires_at, terms, .. } => {
                let (position, at) = (event.position, event.at);
                self.held = Some(Held { position, at, expires_at: *expires_at, terms: *terms });
            }
            EventKind::Started { node, .. } => {
                self.node = Some(node.clone());
                self.ran_on.insert(node.clone());
            }
            EventKind::ApprovalDecided { by: Some(by), credential: Some(credential), approved: true, .. } => {
                self.consents.push(Consent { by: by.clone(), credential: credential.clone(), at: event.at });
            }
            EventKind::CancelRequested { .. } => self.cancel_asked = true,
            EventKind::Reconciled { .. } => self.reconciled = true,
            _ => {}
        }
        if self.status.is_terminal() && self.end.is_none() {
            self.end = Some(event.position);
            self.ended_by = Some(event.id.clone());
        }
        Ok(())
    }

    fn admit(&mut self, admitted: &Admitted) {
        self.claim = admitted.claim;
        self.waits = admitted.node.is_none();
        self.node.clone_from(&admitted.node);
        self.ran_on.extend(admitted.node.clone());
        self.joins.clone_from(&admitted.joins);
    }

    /// It ended `unknown`, and nobody has said yet what became of it.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.status == Status::Unknown && !self.reconciled
    }

    /// The properties of a call that a switch's target matches.
    #[must_use]
    pub fn properties<'a>(&'a self, tool: &'a ToolSpec) -> Covered<'a> {
        let IntentRecorded { account, credential, resources, providers, .. } = &self.asked;
        Covered { tool, account, credential, resources, providers, visible: false }
    }

    /// Whether the row of an open call says the same; of its tool what `tool` says.
    pub fn fits(&self, job: &Job, tool: Option<&ToolSpec>) -> Result<(), RowMismatch> {
        if self.status.is_terminal() {
            return Err(RowMismatch("being open"));
        }
        self.is_of(job)?;
        all(&[
            ("status", job.status == self.status),
            ("newest event", job.last == self.last),
            ("node", job.node == self.node),
            ("request to be cancelled", job.cancel_asked == self.cancel_asked),
            ("class", tool.is_none_or(|tool| job.class == tool.class)),
            ("idempotence", tool.is_none_or(|tool| job.idempotent == tool.idempotent)),
            ("tool", tool.is_none_or(|tool| job.tool == tool.name)),
        ])
    }

    /// The same in all but how it stands: who asked for what, and how it was let in.
    fn is_of(&self, job: &Job) -> Result<(), RowMismatch> {
        let asked = &self.asked;
        all(&[
            ("call", job.call == asked.call),
            ("account", job.account == asked.account),
            ("key", job.credential == asked.credential),
            ("tool", job.tool == *asked.tool),
            ("resources", job.resources == asked.resources),
            ("providers", job.providers == asked.providers),
            ("intent", job.intent == self.intent),
            ("claim", job.claim == self.claim),
            ("join", job.joins == self.joins),
            ("approval", job.held == self.held.is_some()),
            ("waiting", job.counts == (self.waits || self.held.is_some())),
            ("idempotency key", asked.keyed || job.idempotency.is_none()),
        ])
    }

    /// The row of the open call as the log has it; what leaves do not tell is taken from the row that there is. A tool that
    /// nobody knows any more is taken for one whose calls may not be repeated.
    #[must_use]
    pub fn job(&self, tool: Option<&ToolSpec>, row: Option<&Job>) -> Job {
        let asked = &self.asked;
        Job {
            call: asked.call.clone(),
            account: asked.account.clone(),
            credential: asked.credential.clone(),
            tool: asked.tool.to_string(),
            class: tool.map_or(Class::Write, |tool| tool.class),
            resources: asked.resources.clone(),
            providers: asked.providers.clone(),
            status: self.status,
            intent: self.intent,
            last: self.last,
            node: self.node.clone(),
            idempotent: tool.is_some_and(|tool| tool.idempotent),
            idempotency: row.and_then(|row| row.idempotency.clone()).filter(|_| asked.keyed),
            claim: self.claim,
            joins: self.joins.clone(),
            joined: row.map_or(0, |row| row.joined),
            sealed: row.is_some_and(|row| row.sealed),
            held: self.held.is_some(),
            counts: self.waits || self.held.is_some(),
            cancel_asked: self.cancel_asked,
        }
    }

    /// The approval of this call as it was held, with who said yes as the events say; not one that asks for something else, or
    /// says of somebody that they said yes who did not.
    pub fn approval(&self, row: Approval) -> Result<Approval, RowMismatch> {
        self.approves(&row)?;
        Ok(Approval { consents: self.consents.clone(), ..row })
    }

    fn approves(&self, approval: &Approval) -> Result<(), RowMismatch> {
        let Some(held) = self.held.filter(|_| self.status == Status::Held) else { return Err(RowMismatch("being held")) };
        let asked = &self.asked;
        all(&[
            ("call", approval.call == asked.call),
            ("account", approval.account == asked.account),
            ("person", approval.user == asked.user),
            ("key", approval.credential == asked.credential),
            ("tool", approval.tool == *asked.tool),
            ("resources", approval.resources == asked.resources),
            ("arguments", approval.arguments == *asked.arguments),
            ("time", (approval.held_at, approval.expires_at) == (held.at, held.expires_at)),
            ("state of the resources", approval.versions.iter().all(|version| *version < held.position)),
            ("what is asked for", held.terms == Some(approval.hold.terms())),
            ("consent", approval.consents.iter().all(|consent| self.consents.contains(consent))),
        ])
    }

    /// Whether `asked` asks for the same as this call did: the same key, with the same tool and arguments.
    pub fn is_repeated_by(&self, asked: &IntentRecorded, state: &ControlState) -> Result<(), RowMismatch> {
        let first = &self.asked;
        all(&[
            ("account", first.account == asked.account),
            ("key", state.first_of(&first.credential) == state.first_of(&asked.credential)),
            ("tool", first.tool == asked.tool),
            ("arguments", first.arguments == asked.arguments),
        ])
    }

    /// Whether a row says of this call how it ended, if it has.
    pub fn ended_as(&self, row: &Idempotency) -> Result<(), RowMismatch> {
        let standing = row.end.is_none() || row.status == self.status;
        all(&[("call", row.call == self.asked.call), ("end", row.end == self.end), ("status", standing)])
    }
}

/// The first of these that does not hold.
fn all(checks: &[(&'static str, bool)]) -> Result<(), RowMismatch> {
    checks.iter().find(|(_, holds)| !holds).map_or(Ok(()), |(name, _)| Err(RowMismatch(name)))
}
