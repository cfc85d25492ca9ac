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

use std::collections::BTreeMap;

use serde::Serialize;

pub use finding::{Fault, Finding};

use self::calls::Calls;
use self::control::Control;
use self::finding::Findings;
use self::payload::Payloads;
use crate::core::event::Event;
use crate::core::id::{Epoch, Position};
use crate::core::time::Micros;
use crate::log::store::{Batch, EventRow, Head, Store, StoreError, Want};
use crate::log::vault::{Vault, VaultError};

/// Events that are read at once.
const STEP: u32 = 500;

/// The kinds of state that are checked against the log.
const KINDS: [&str; 8] = ["account", "person", "invitation", "credential", "vm", "switch", "policy", "job"];

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Order, leaves, calls and the state beside the log.
    State,
    /// Payloads too: every ciphertext is hashed, and with keys every plaintext.
    Whole,
}

/// A log that could not be walked at all.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The log room failed.
    #[error("reading the log")]
    Store(#[from] StoreError),
    /// The vault failed.
    #[error("opening a payload")]
    Vault(#[from] VaultError),
}

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
    /// Parts whose key was erased: their plaintext is gone, their ciphertext is still what was recorded.
    pub erased: u64,
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

/// Walks the log. Without a `vault`, plaintexts and what is folded from them are not checked.
pub async fn verify(
    store: &dyn Store,
    vault: Option<&Vault>,
    extent: Extent,
    mut progress: impl FnMut(Position, Position) + Send,
) -> Result<Report, VerifyError> {
    let (head, rows) = snapshot(store).await?;
    let mut walk = Walk { last: Position(0), at: Micros(0), events: 0, calls: Calls::default(), findings: Findings::default() };
    let mut payloads = Payloads::new(store, vault, extent);
    let mut control = Control::default();
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
    payloads.check_tail(head.position, &mut walk.findings).await?;
    walk.end(&head);
    check_beyond(store, &head, &mut walk.findings).await?;
    control.compare(&head, &rows, &mut walk.findings);
    walk.calls.compare(&rows, &mut walk.findings);
    let calls = walk.calls.count();
    let (findings, more) = walk.findings.finish();
    let Head { position, at, epoch } = head;
    let (hashed, opened, erased) = payloads.counts();
    Ok(Report { position, at, epoch, events: walk.events, calls, payloads: hashed, opened, erased, findings, more })
}

/// State rows by name.
type Rows = BTreeMap<String, crate::log::store::StateRow>;

/// Head and state at one moment. The transaction writes nothing.
async fn snapshot(store: &dyn Store) -> Result<(Head, Rows), StoreError> {
    let want = Want { kinds: KINDS.to_vec(), known_position: Position(i64::MAX), ..Want::default() };
    let mut rows = Rows::new();
    let head = store
        .transact(&want, &mut |head, found| {
            rows = found.rows.into_iter().map(|row| (row.name.clone(), row)).collect();
            Ok(Batch { epoch: head.epoch, ..Batch::default() })
        })
        .await?;
    Ok((head, rows))
}

/// An event past the head is one that no transaction of ours wrote, unless the head has moved meanwhile.
async fn check_beyond(store: &dyn Store, head: &Head, findings: &mut Findings) -> Result<(), StoreError> {
    let beyond = store.events(head.position, 1).await?;
    let now = store.head().await?;
    if let Some(row) = beyond.first().filter(|row| row.position > now.position) {
        findings.at(row.position, Fault::PastHead, format!("the head is at {}", now.position.0));
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
