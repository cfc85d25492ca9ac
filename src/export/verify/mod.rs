//! `log verify`: walks the whole log and names everything that is not as the writer leaves it (P7).
//!
//! What this cannot see is a tail that was cut off together with the head and the state beside it: that takes a
//! checkpoint that somebody else holds.
//!
//! INVARIANT: head and state are read in one transaction before the walk, which ends at that head, so a log that goes on
//! meanwhile is no finding.

mod calls;
mod control;
mod finding;
mod leaf;
mod payload;
mod stored;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use finding::{Fault, Finding, VerifyError};
pub use payload::Extent;
pub use stored::checked;

use self::calls::Calls;
use self::control::Control;
use self::finding::Findings;
use self::payload::{Counts, Payloads};
use self::stored::{Rows, snapshot};
use crate::core::chain::Chain;
use crate::core::event::Event;
use crate::core::id::{CallId, Epoch, Position};
use crate::core::state::ControlState;
use crate::core::time::Micros;
use crate::log::call_rows;
use crate::log::store::{EventRow, Head, StateRow, Store, StoreError, Want};
use crate::log::vault::Vault;

/// Events that are read at once.
const STEP: u32 = 500;

/// What was looked at, and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Position of the head when the walk began.
    pub position: Position,
    /// Time of the head.
    pub at: Micros,
    /// Epoch of the head.
    pub epoch: Epoch,
    /// Events that were walked.
    pub events: u64,
    /// Calls among them.
    pub calls: u64,
    /// Payload parts that were hashed.
    pub payloads: u64,
    /// Parts whose plaintext was opened and checked too.
    pub opened: u64,
    /// Parts whose key is missing: their plaintext is gone, their ciphertext is still what was recorded.
    pub erased: u64,
    /// Parts that were never stored, because the vault was away when something was stopped. The event says so.
    pub left_out: u64,
    /// What is wrong, in the order of the log; at most a thousand.
    pub findings: Vec<Finding>,
    /// How many more there are.
    pub more: u64,
}

impl Report {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// The findings about the state beside the log, which `doctor` shows.
    pub fn about_state(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.fault.is_about_state())
    }
}

/// A log that was walked, with what its events make of the state beside it.
pub struct Folded {
    /// What was found.
    pub report: Report,
    control: Control,
    rows: Rows,
    head: Head,
    open: Vec<CallId>,
}

/// What of the state beside the log is not what the log says.
#[derive(Debug, Default)]
pub struct Differences {
    /// Control rows as they have to be.
    pub control: Vec<StateRow>,
    /// Rows that no event made.
    pub extra: Vec<String>,
    /// Calls that are open, or of which there is a row that says so.
    pub calls: Vec<CallId>,
    /// The head says another epoch than the events.
    pub epoch: bool,
    /// It says another position or time than the newest event, or an epoch that is out of reach.
    pub head: bool,
}

impl Folded {
    /// Control state as the events make it; or why nobody can tell.
    pub fn state(&self) -> Result<ControlState, String> {
        self.control.state(&self.rows)
    }

    /// Epoch of the head when the walk began.
    #[must_use]
    pub fn head_epoch(&self) -> Epoch {
        self.head.epoch
    }

    /// What can be mended; or why nothing can.
    pub fn differences(&self) -> Result<Differences, String> {
        if let Some(finding) =
            self.report.findings.iter().find(|finding| !finding.fault.is_mendable() && !finding.fault.is_about_presence())
        {
            return Err(format!("the log itself is not in order, which takes a backup: {finding}"));
        }
        let (control, mut extra) = self.control.differing(&self.rows)?;
        let mut calls: BTreeSet<CallId> = self.open.iter().cloned().collect();
        for name in self.rows.keys().filter(|name| name.starts_with("job:")) {
            match name.trim_start_matches("job:").parse() {
                Ok(call) => drop(calls.insert(call)),
                Err(_) => extra.push(name.clone()),
            }
        }
        let epoch = self.head.epoch != self.control.epoch();
        let is_off = |finding: &Finding| matches!(finding.fault, Fault::HeadPosition | Fault::HeadTime);
        let head = self.report.findings.iter().any(is_off) || self.head.epoch.is_spent();
        Ok(Differences { control, extra, calls: calls.into_iter().collect(), epoch, head })
    }
}

/// Walks the log. Without a `vault`, plaintexts and what is folded from them are not checked.
pub async fn verify(
    store: &dyn Store,
    vault: Option<&Vault>,
    extent: Extent,
    progress: impl FnMut(Position, Position) + Send,
) -> Result<Report, VerifyError> {
    Ok(fold(store, vault, extent, progress).await?.report)
}

/// The same, and keeps what the events make of the state beside the log.
pub async fn fold(
    store: &dyn Store,
    vault: Option<&Vault>,
    extent: Extent,
    mut progress: impl FnMut(Position, Position) + Send,
) -> Result<Folded, VerifyError> {
    let (head, rows) = snapshot(store).await?;
    let mut walk = Walk { last: Position(0), at: Micros(0), events: 0, calls: Calls::default(), findings: Findings::default() };
    let mut payloads = Payloads::new(store, vault, extent);
    let mut control = Control::under(vault.map(Vault::root_key));
    loop {
        let read = store.events(walk.cursor(), STEP).await?;
        let rows: Vec<EventRow> = read.into_iter().filter(|row| row.position <= head.position).collect();
        let Some(last) = rows.last().map(|row| row.position) else { break };
        let events: Vec<Event> = rows.iter().filter_map(|row| walk.step(row)).collect();
        let notes = payloads.check(last, &events, &mut walk.findings).await?;
        for event in &events {
            control.fold(event, notes.get(&event.position), &mut walk.findings);
        }
        progress(last, head.position);
    }
    payloads.check_tail(&mut walk.findings).await?;
    walk.end(&head);
    let is_whole = walk.findings.is_empty();
    check_beyond(store, &head, &mut walk.findings).await?;
    control.compare(&head, &rows, &mut walk.findings);
    let open = walk.calls.open();
    // Of a log that is not in order enough was said already.
    let chains = if is_whole { chains(store, &head, &open).await? } else { BTreeMap::new() };
    walk.calls.compare(&rows, &chains, &mut walk.findings);
    let calls = walk.calls.count();
    let (findings, more) = walk.findings.finish();
    let Head { position, at, epoch } = head;
    let Counts { hashed, opened, erased, left_out } = payloads.counts();
    let (events, payloads) = (walk.events, hashed);
    let report = Report { position, at, epoch, events, calls, payloads, opened, erased, left_out, findings, more };
    Ok(Folded { report, control, rows, head, open })
}

/// Open calls as their own events make them, as far as those can be folded. The walk has named what cannot.
async fn chains(store: &dyn Store, head: &Head, open: &[CallId]) -> Result<BTreeMap<CallId, Chain>, StoreError> {
    let mut rows: BTreeMap<CallId, Vec<EventRow>> = BTreeMap::new();
    for row in store.of_calls(open).await?.into_iter().filter(|row| row.position <= head.position) {
        if let Some(call) = row.call.as_deref().and_then(|call| call.parse().ok()) {
            rows.entry(call).or_default().push(row);
        }
    }
    let fold = |(call, rows): (CallId, Vec<EventRow>)| {
        let chain = call_rows::fold(&call, rows.iter()).ok()??;
        Some((call, chain))
    };
    Ok(rows.into_iter().filter_map(fold).collect())
}

/// An event past the head is one that no transaction of ours wrote, unless the head has moved meanwhile.
async fn check_beyond(store: &dyn Store, head: &Head, findings: &mut Findings) -> Result<(), StoreError> {
    let beyond = store.events(head.position, 1).await?;
    let (now, _) = store.read(&Want { known_epoch: head.epoch, ..Want::default() }).await?.1.stored;
    if let Some(row) = beyond.first().filter(|row| row.position > now) {
        findings.at(row.position, Fault::PastHead, format!("the head is at {}", now.0));
    }
    Ok(())
}

/// The walk so far.
struct Walk {
    last: Position,
    at: Micros,
    events: u64,
    calls: Calls,
    findings: Findings,
}

impl Walk {
    /// Where to read on. Before the first step that is before every position there can be.
    fn cursor(&self) -> Position {
        if self.events == 0 { Position(i64::MIN) } else { self.last }
    }

    fn step(&mut self, row: &EventRow) -> Option<Event> {
        let expected = self.last.next();
        if row.position != expected {
            let detail = format!("{} comes after {}", row.position.0, self.last.0);
            self.findings.at(expected, Fault::Gap, detail);
        }
        if row.at < self.at {
            let detail = format!("{} comes after {}", row.at.0, self.at.0);
            self.findings.at(row.position, Fault::TimeBackwards, detail);
        }
        (self.last, self.at, self.events) = (row.position, self.at.max(row.at), self.events + 1);
        let event = leaf::check(row, &mut self.findings)?;
        self.calls.step(row.position, &event, &mut self.findings);
        Some(event)
    }

    fn end(&mut self, head: &Head) {
        if head.position != self.last {
            let detail = format!("the newest event is at {}, the head at {}", self.last.0, head.position.0);
            self.findings.about("head", Fault::HeadPosition, detail);
        }
        if head.at != self.at {
            let detail = format!("the newest event is of {}, the head of {}", self.at.0, head.at.0);
            self.findings.about("head", Fault::HeadTime, detail);
        }
    }
}
