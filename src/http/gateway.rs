//! Where the protocols meet control: calls are submitted, and what only reads is checked, in one place for REST, MCP
//! and stdio.
//!
//! INVARIANT: a caller that goes away takes nothing with it. The submission runs in a task of its own, so that an
//! admitted call always finds somebody who starts it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tracing::Instrument;

use super::body_budget::Reservation;
use super::counts::Counts;
use crate::control::{Control, Recipient, Reply, Request};
use crate::core::call::Status;
use crate::core::code::Code;
use crate::core::decide::Decision;
use crate::core::event::EventKind;
use crate::core::id::{AccountId, CallId};
use crate::core::lineage::{LineageRows, alive};
use crate::core::principal::{Principal, Side};
use crate::core::proposal::{Proposal, Verdict};
use crate::core::reading::Reading;
use crate::core::refusal::Refusal;
use crate::core::resource::ProviderReach;
use crate::core::scope::Scope;
use crate::core::scrub::Scrubbed;
use crate::core::state::ControlState;
use crate::core::time::Micros;
use crate::core::tool::ToolSpec;
use crate::log::draft::NewEvent;

/// How often a reading is checked again when what its key comes from changes under it.
const MAX_ATTEMPTS: usize = 3;

/// A key that is alive may do it.
pub static BE_ALIVE: ToolSpec = reading("be_alive", None);
static READ_OWN: ToolSpec = reading("read_own_log", Some(Scope::AuditRead));
static EXPORT_ALL: ToolSpec = reading("export_log", Some(Scope::StaffExport));
static READ_ALL: ToolSpec = reading("read_log", Some(Scope::StaffAudit));

/// Reading back what happened is no call, so switches and limits do not cover it; key, address and scope are checked all
/// the same, by the same decision.
const fn reading(name: &'static str, scope: Option<Scope>) -> ToolSpec {
    let mut facts = ToolSpec::reading(name);
    (facts.scope, facts.stops) = (scope, true);
    facts
}

/// The way in.
pub struct Gateway {
    control: Arc<Control>,
    counts: Counts,
    wait: Duration,
}

impl Gateway {
    /// A door to `control`, whose callers wait for `wait` at most.
    #[must_use]
    pub fn new(control: Arc<Control>, wait: Duration) -> Self {
        Self { control, counts: Counts::default(), wait }
    }

    /// What is behind it.
    #[must_use]
    pub fn control(&self) -> &Arc<Control> {
        &self.control
    }

    /// What went through it.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Control state as this node knows it. It may refuse early, never admit.
    #[must_use]
    pub fn state(&self) -> Arc<ControlState> {
        self.control.ports.fence().state()
    }

    /// Submits a call, which has `held` of what may be in memory for as long as its arguments are. If this future is dropped, the
    /// call is asked to stop.
    pub async fn submit(&self, mut request: Request, held: Reservation) -> Reply {
        let known = self.control.catalogue.get(&request.tool).map(|tool| tool.facts.name);
        let gone = request.cancel.clone().drop_guard();
        request.wait = request.wait.max(self.wait);
        let control = Arc::clone(&self.control);
        let submitting = async move {
            let _held = held;
            control.submit(request).await
        };
        let submitting = submitting.instrument(tracing::Span::current());
        let reply = tokio::spawn(submitting).await.unwrap_or_else(|error| broken(&error));
        // Answered: from here on only a cancel call stops what still runs.
        gone.disarm();
        self.counts.answered(known, &reply);
        reply
    }

    /// Refuses a key that is no longer alive, or may not be used from its address, as the log knows it at this moment.
    pub async fn check_alive(&self, who: &Principal) -> Result<(), Refusal> {
        self.check(who, &BE_ALIVE, None).await
    }

    /// Leave to read the log back: a customer its own account, staff all of it. That staff read it is written down
    /// first, with what they asked for.
    pub async fn check_reader(
        &self,
        who: &Principal,
        what: Reading,
        about: Option<AccountId>,
        asked: Value,
    ) -> Result<(), Refusal> {
        if who.side == Side::Customer {
            return self.check(who, &READ_OWN, None).await;
        }
        let ports = &self.control.ports;
        let id = ports.event_id();
        let note = ports.reader.vault.seal(&who.account, ports.clock.now(), &id, "note", &Scrubbed::of(asked)).await;
        let note = note.map_err(|error| unwritten(&error))?;
        let kind = EventKind::LogRead { user: Some(who.user.clone()), account: about, what: what.to_string().into() };
        self.check(who, &READ_ALL, Some(NewEvent { id, kind, parts: vec![note], note: Scrubbed::default() })).await
    }

    /// Leave to go on reading what was begun, and written down, a moment ago.
    pub async fn check_reader_still(&self, who: &Principal) -> Result<(), Refusal> {
        self.check(who, if who.side == Side::Customer { &READ_OWN } else { &READ_ALL }, None).await
    }

    /// Leave to take calls away that an export holds.
    pub async fn check_exporter(&self, who: &Principal) -> Result<(), Refusal> {
        self.check(who, if who.side == Side::Customer { &READ_OWN } else { &EXPORT_ALL }, None).await
    }

    async fn check(&self, who: &Principal, facts: &'static ToolSpec, event: Option<NewEvent>) -> Result<(), Refusal> {
        let ports = &self.control.ports;
        for _ in 0..MAX_ATTEMPTS {
            let lineage_rows = self.state().lineage_rows(&who.credential);
            let proposal = proposal(who, lineage_rows, facts, CallId::new(ports.clock.now(), &*ports.entropy));
            let checked = match event.clone() {
                Some(event) => ports.writer.write_down(proposal, event).await,
                None => ports.writer.check(&proposal).await,
            };
            match checked.map_err(|error| unwritten(&error))? {
                Decision::Refuse { refusal, .. } => return Err(refusal),
                Decision::Unsettled => {}
                _ => return Ok(()),
            }
        }
        Err(Refusal::new(Code::ControlStateUnreadable, "What the key comes from kept changing."))
    }
}

impl Gateway {
    /// Returns once the key is dead as far as this node knows: what it listens to ends with it.
    pub async fn dies(&self, who: &Principal) {
        self.control.key_ended(Recipient::listening(who)).await;
    }
}

/// Whether the key, or what it comes from, is dead as far as this node knows: then it is.
#[must_use]
pub fn is_dead(who: &Principal, state: &ControlState, now: Micros) -> bool {
    alive(state, &who.credential, now).is_err()
}

fn proposal(who: &Principal, lineage_rows: LineageRows, facts: &'static ToolSpec, call: CallId) -> Proposal {
    Proposal {
        call,
        principal: who.clone(),
        lineage_rows,
        tool: Some(facts),
        resources: Vec::new(),
        versions: Vec::new(),
        reach: ProviderReach::default(),
        invalid: None,
        guard: None,
        enables_exec: false,
        stop: None,
        idempotency: None,
        follows: None,
        verdict: Verdict::default(),
        approved: None,
    }
}

fn unwritten(error: &(dyn std::error::Error + 'static)) -> Refusal {
    tracing::error!(error, "a request could not be checked against the log");
    Refusal::new(Code::AuditUnavailable, "The log cannot be reached, so nothing is answered.")
}

fn broken(error: &tokio::task::JoinError) -> Reply {
    tracing::error!(%error, "a submission broke off");
    let refusal = Refusal::new(Code::InternalError, "The call broke off; look its outcome up in the log.");
    Reply::Failed { call: None, refusal: refusal.details(json!({})), status: Status::Unknown }
}
