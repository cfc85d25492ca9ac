//! Payloads against the leaves that name them: the ciphertext by its digest, and with keys the plaintext by its commitment.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::control::Note;
use super::finding::{Fault, Findings, VerifyError};
use crate::core::event::{Event, EventKind, Part};
use crate::core::id::{CallId, Position};
use crate::log::store::{PayloadRow, Store};
use crate::log::vault::{Vault, VaultError};
use crate::tools;

/// Notes by position; only of events that have one.
pub(super) type Notes = HashMap<Position, Note>;

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Order, leaves, calls, the state beside the log, and that each payload has its event and each event its payloads.
    State,
    /// The payloads' content too: every ciphertext is hashed, and with keys every plaintext.
    Whole,
}

/// The payloads so far.
pub(super) struct Payloads<'a> {
    store: &'a dyn Store,
    vault: Option<&'a Vault>,
    extent: Extent,
    /// Payloads up to here were looked at.
    seen: Position,
    /// Calls that stop something.
    stops: HashSet<CallId>,
    hashed: u64,
    opened: u64,
    erased: u64,
    /// Keys of which it was said that they are missing.
    keys_missing: BTreeSet<String>,
    left_out: u64,
}

/// How many parts there were.
pub(super) struct Counts {
    pub(super) hashed: u64,
    pub(super) opened: u64,
    /// Without a key.
    pub(super) erased: u64,
    /// Of what stopped something while the vault was away.
    pub(super) left_out: u64,
}

/// Events beside the calls that are written without their note if the vault is away: those that stop something, or let go.
fn is_stop(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::SwitchEngaged { .. }
            | EventKind::ReleaseRequested { .. }
            | EventKind::ReleaseRamped { .. }
            | EventKind::SwitchReleased { .. }
            | EventKind::CredentialRevoked { .. }
    )
}

/// The parts that an event of this type has whatever happened. Of a call that succeeded that is its result: one that could not be
/// encrypted when the call ended is missing evidence, too. What repeats another call's outcome names that one instead.
fn always(kind: &EventKind) -> &'static [&'static str] {
    match kind {
        EventKind::IntentRecorded(_) => &["arguments"],
        EventKind::Succeeded(end) if end.replay_of.is_none() => &["result"],
        _ => &[],
    }
}

/// What is left out of a leaf together with its row leaves no other trace.
fn check_whole(event: &Event, findings: &mut Findings) {
    for name in always(&event.kind).iter().filter(|name| event.parts.iter().all(|part| part.part != **name)) {
        findings.at(event.position, Fault::PayloadLacking, format!("the part {name:?}"));
    }
}

type Stored = BTreeMap<(Position, String), PayloadRow>;

impl<'a> Payloads<'a> {
    pub(super) fn new(store: &'a dyn Store, vault: Option<&'a Vault>, extent: Extent) -> Self {
        Self {
            store,
            vault,
            extent,
            seen: Position(i64::MIN),
            stops: HashSet::new(),
            hashed: 0,
            opened: 0,
            erased: 0,
            keys_missing: BTreeSet::new(),
            left_out: 0,
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let Self { hashed, opened, erased, left_out, .. } = *self;
        Counts { hashed, opened, erased, left_out }
    }

    /// Counts a part that was left out of what stopped something. Everything else is recorded whole, or not at all.
    fn note_left_out(&mut self, event: &Event, part: &Part, findings: &mut Findings) {
        if event.kind.call().map_or_else(|| is_stop(&event.kind), |call| self.stops.contains(call)) {
            self.left_out += 1;
        } else {
            let detail = format!("the part {:?} is said to be left out, of what stops nothing", part.part);
            findings.at(event.position, Fault::PayloadLacking, detail);
        }
    }

    /// Checks the payloads of `events`, which are all up to `last`; answers their notes.
    pub(super) async fn check(
        &mut self,
        last: Position,
        events: &[Event],
        findings: &mut Findings,
    ) -> Result<Notes, VerifyError> {
        for event in events {
            check_whole(event, findings);
            if let EventKind::IntentRecorded(intent) = &event.kind
                && tools::halts(&intent.tool)
            {
                self.stops.insert(intent.call.clone());
            }
        }
        let extent = self.extent;
        let wanted = |part: &Part| extent == Extent::Whole || part.part == "note" || part.left_out.is_some();
        let mut notes = Notes::new();
        let (first, opens) = (self.seen.next(), events.iter().any(|event| event.parts.iter().any(wanted)));
        self.seen = last;
        let mut stored = Stored::new();
        let mut there: BTreeSet<(Position, String)> = if opens || self.extent == Extent::Whole {
            let rows = self.store.payloads(first, last).await?;
            stored.extend(rows.into_iter().map(|row| ((row.position, row.part.clone()), row)));
            stored.keys().cloned().collect()
        } else {
            self.store.parts(first, last).await?.into_iter().collect()
        };
        for event in events {
            for part in &event.parts {
                let name = (event.position, part.part.to_string());
                let is_there = there.remove(&name);
                if part.left_out.is_some() && !is_there {
                    self.note_left_out(event, part, findings);
                    continue;
                }
                if part.part == "note" {
                    notes.insert(event.position, Note::Closed);
                }
                if !is_there {
                    findings.at(event.position, Fault::PayloadMissing, format!("the part {:?}", part.part));
                } else if let Some(row) = stored.get(&name).filter(|_| extent == Extent::Whole || part.part == "note") {
                    self.check_part(event, part, row, &mut notes, findings).await?;
                }
            }
        }
        for (position, part) in there {
            let is_read = events.iter().any(|event| event.position == position);
            let why = if is_read { "its event does not name it" } else { "there is no event that can be read" };
            findings.at(position, Fault::PayloadOrphan, format!("the part {part:?}: {why}"));
        }
        Ok(notes)
    }

    /// Payloads past the last event that was walked, which belong to none. Those of events that were added meanwhile do.
    pub(super) async fn check_tail(&self, findings: &mut Findings) -> Result<(), VerifyError> {
        for (position, part) in self.store.strays(self.seen).await? {
            findings.at(position, Fault::PayloadOrphan, format!("the part {part:?}: there is no event"));
        }
        Ok(())
    }

    async fn check_part(
        &mut self,
        event: &Event,
        part: &Part,
        row: &PayloadRow,
        notes: &mut Notes,
        findings: &mut Findings,
    ) -> Result<(), VerifyError> {
        let is_note = part.part == "note";
        if let EventKind::IntentRecorded(intent) = &event.kind
            && row.key.split_once('/').is_none_or(|(account, _)| account != intent.account.as_str())
        {
            findings.at(event.position, Fault::PayloadForeign, format!("the part {:?} is sealed for {}", part.part, row.key));
        }
        self.hashed += 1;
        if hex::encode(Sha256::digest(&row.body)) != part.sha256 {
            findings.at(event.position, Fault::PayloadDigest, format!("the part {:?}", part.part));
        }
        let Some(vault) = self.vault else { return Ok(()) };
        match vault.open_part(event, part, row, None).await {
            Ok(plaintext) => {
                self.opened += 1;
                if let Some(said) = serde_json::from_slice::<Value>(&plaintext).ok().filter(|_| is_note) {
                    notes.insert(event.position, Note::Said(said));
                }
            }
            Err(VaultError::Erased(key)) => {
                self.erased += 1;
                if self.keys_missing.insert(key) {
                    let detail = format!("{} is not in the vault, and what was sealed under it is lost, here and later", row.key);
                    findings.at(event.position, Fault::KeyMissing, detail);
                }
            }
            Err(VaultError::Sealed) => {
                findings.at(event.position, Fault::PayloadCommitment, format!("the part {:?}", part.part));
            }
            Err(error @ (VaultError::Sql(_) | VaultError::Taken)) => return Err(error.into()),
        }
        Ok(())
    }
}
