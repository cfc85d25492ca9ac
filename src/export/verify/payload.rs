//! Payloads against the leaves that name them: the ciphertext by its digest, and with keys the plaintext by its commitment.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::control::Note;
use super::finding::{Fault, Findings};
use super::{Extent, VerifyError};
use crate::core::event::{Event, Kind, Part};
use crate::core::id::{CallId, Position};
use crate::log::store::{PayloadRow, Store};
use crate::log::vault::{Vault, VaultError};
use crate::tools;

/// Notes by position; only of events that have one.
pub(super) type Notes = HashMap<Position, Note>;

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
fn is_stop(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::SwitchEngaged { .. }
            | Kind::ReleaseRequested { .. }
            | Kind::ReleaseRamped { .. }
            | Kind::SwitchReleased { .. }
            | Kind::CredentialRevoked { .. }
    )
}

/// The parts that an event of this type has whatever happened. Of a call that succeeded that is its result: one that could not be
/// encrypted when the call ended is missing evidence, too. What repeats another call's outcome names that one instead.
fn always(kind: &Kind) -> &'static [&'static str] {
    match kind {
        Kind::IntentRecorded(_) => &["arguments"],
        Kind::Succeeded(end) if end.replay_of.is_none() => &["result"],
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
            if let Kind::IntentRecorded(intent) = &event.kind
                && tools::halts(&intent.tool)
            {
                self.stops.insert(intent.call.clone());
            }
        }
        let wanted = |part: &Part| self.extent == Extent::Whole || part.part == "note" || part.left_out.is_some();
        let mut notes = Notes::new();
        if self.extent == Extent::State && !events.iter().any(|event| event.parts.iter().any(wanted)) {
            return Ok(notes);
        }
        let rows = self.store.payloads(self.seen.next(), last).await?;
        let mut stored: Stored = rows.into_iter().map(|row| ((row.position, row.part.clone()), row)).collect();
        self.seen = last;
        for event in events {
            for part in &event.parts {
                let row = stored.remove(&(event.position, part.part.to_string()));
                if part.left_out.is_some() && row.is_none() {
                    self.note_left_out(event, part, findings);
                } else if self.extent == Extent::Whole || part.part == "note" {
                    self.check_part(event, part, row.as_ref(), &mut notes, findings).await?;
                }
            }
        }
        if self.extent == Extent::Whole {
            for (position, part) in stored.into_keys() {
                findings.at(position, Fault::PayloadOrphan, format!("the part {part:?}"));
            }
        }
        Ok(notes)
    }

    /// Payloads past the last event, up to the head.
    pub(super) async fn check_tail(&mut self, head: Position, findings: &mut Findings) -> Result<(), VerifyError> {
        if self.extent == Extent::Whole && self.seen < head {
            self.check(head, &[], findings).await?;
        }
        Ok(())
    }

    async fn check_part(
        &mut self,
        event: &Event,
        part: &Part,
        row: Option<&PayloadRow>,
        notes: &mut Notes,
        findings: &mut Findings,
    ) -> Result<(), VerifyError> {
        let is_note = part.part == "note";
        if is_note {
            notes.insert(event.position, Note::Closed);
        }
        let Some(row) = row else {
            findings.at(event.position, Fault::PayloadMissing, format!("the part {:?}", part.part));
            return Ok(());
        };
        if let Kind::IntentRecorded(intent) = &event.kind
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
            Err(VaultError::Erased(_)) => self.erased += 1,
            Err(VaultError::Sealed) => {
                findings.at(event.position, Fault::PayloadCommitment, format!("the part {:?}", part.part));
            }
            Err(error @ (VaultError::Sql(_) | VaultError::Address { .. })) => return Err(error.into()),
        }
        Ok(())
    }
}
