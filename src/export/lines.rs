//! The lines of a bundle, held against its manifest, against each other and against what their leaves say.
//!
//! INVARIANT: what is accepted could have been exported: each leaf is one, in the order of its log, asked for, with nothing left
//! out that the lines and the manifest tell of. That nobody left out whole calls of a choice takes the log itself.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::bundle::ExportError;
use super::filter::Choice;
use super::line::{Line, plaintext};
use super::manifest::Manifest;
use crate::core::call::{Status, next};
use crate::core::event::{Event, EventKind, LEAF_VERSION};
use crate::core::id::{CallId, Position};
use crate::core::time::Micros;
use crate::log::vault::commits;

/// The lines so far.
pub(super) struct Lines<'a> {
    manifest: &'a Manifest,
    choice: Choice<'a>,
    /// Each call's newest event and how it stands, as far as that is known.
    calls: HashMap<CallId, (Position, Option<Status>)>,
    count: u64,
    first: Option<Position>,
    last: Option<Position>,
    at: Micros,
}

fn damaged<T>(what: impl Into<String>) -> Result<T, ExportError> {
    Err(ExportError::Damaged(what.into()))
}

impl<'a> Lines<'a> {
    pub(super) fn new(manifest: &'a Manifest) -> Self {
        let choice = Choice::new(&manifest.filter);
        Self { manifest, choice, calls: HashMap::new(), count: 0, first: None, last: None, at: Micros(i64::MIN) }
    }

    /// Checks the next line.
    pub(super) fn check(&mut self, written: &[u8]) -> Result<(), ExportError> {
        let line: Line = serde_json::from_slice(written).or_else(|error| damaged(error.to_string()))?;
        let at = line.position.0;
        // Of a field that is there twice only one is read, by us and by whoever else reads it: not always the same.
        if line.bytes().ok().as_deref() != Some(written) {
            return damaged(format!("the line at {at} is not written as an export writes it"));
        }
        if hex::encode(Sha256::digest(line.leaf.as_bytes())) != line.sha256 {
            return damaged(format!("the leaf at {at} is not the one that was hashed"));
        }
        let event = Event::decode(line.leaf.as_bytes()).or_else(|error| damaged(format!("the leaf at {at}: {error}")))?;
        if event.encode().ok().as_deref() != Some(line.leaf.as_bytes()) || event.v != LEAF_VERSION || event.log != 1 {
            return damaged(format!("the leaf at {at} is not one of this log's form"));
        }
        if event.position != line.position {
            return damaged(format!("the leaf at {at} says that it is at {}", event.position.0));
        }
        self.check_order(&event)?;
        self.check_choice(&event)?;
        self.check_call(&event)?;
        self.check_parts(&event, &line)
    }

    /// Positions go up, one by one if everything was asked for; times do not go back; neither goes past the head.
    fn check_order(&mut self, event: &Event) -> Result<(), ExportError> {
        let (position, before) = (event.position, self.last.unwrap_or(Position(0)));
        let has_gap = self.last.is_some() && !self.manifest.filter.chooses() && position != before.next();
        if position <= before || has_gap {
            return damaged(format!("{} comes after {}", position.0, before.0));
        }
        if event.at < self.at {
            return damaged(format!("the time at {} is before the one at {}", position.0, before.0));
        }
        if position.0 > self.manifest.head.position || event.at.0 > self.manifest.head.at {
            return damaged(format!("{} is past the head at {}", position.0, self.manifest.head.position));
        }
        self.first.get_or_insert(position);
        (self.last, self.at, self.count) = (Some(position), event.at, self.count + 1);
        Ok(())
    }

    /// It was asked for, as far as the lines before it tell.
    fn check_choice(&mut self, event: &Event) -> Result<(), ExportError> {
        let (filter, taken) = (&self.manifest.filter, self.choice.take(event));
        let is_named = matches!(event.kind, EventKind::IntentRecorded(_)) || !filter.begins() || !filter.chooses();
        if !filter.spans(event) || (!taken && is_named) || !filter.may_hold(event) {
            return damaged(format!("what is at {} was not asked for", event.position.0));
        }
        Ok(())
    }

    /// Of a call all is there from its first line on.
    fn check_call(&mut self, event: &Event) -> Result<(), ExportError> {
        let Some(call) = event.kind.call() else { return Ok(()) };
        let position = event.position.0;
        let known = self.calls.get(call).copied();
        if known.is_none() && !self.manifest.filter.begins() && !matches!(event.kind, EventKind::IntentRecorded(_)) {
            return damaged(format!("the beginning of the call at {position} is not there"));
        }
        let annotates =
            matches!(event.kind, EventKind::Reconciled { .. } | EventKind::LateResult { .. }) && event.prev == Position(0);
        if known.is_some_and(|(last, _)| event.prev != last) && !annotates {
            return damaged(format!("an event of the call at {position} is not there: it comes after {}", event.prev.0));
        }
        let status = match (known, &event.kind) {
            (Some((_, Some(status))), kind) => Some(next(Some(status), kind)),
            (None, kind @ EventKind::IntentRecorded(_)) => Some(next(None, kind)),
            _ => None,
        };
        let status = status.transpose().or_else(|error| damaged(format!("the call at {position}: {error}")))?;
        self.calls.insert(call.clone(), (event.position, status));
        Ok(())
    }

    /// The plaintexts are those that the leaf commits to.
    fn check_parts(&self, event: &Event, line: &Line) -> Result<(), ExportError> {
        let at = event.position.0;
        let (parts, salts) = match (&line.parts, &line.salts) {
            (None, None) if !self.manifest.parts => return Ok(()),
            (Some(parts), Some(salts)) if self.manifest.parts => (parts, salts),
            _ => return damaged(format!("the plaintexts at {at} are not as the manifest says")),
        };
        if parts.len() != event.parts.len() || !salts.keys().all(|name| parts.contains_key(name)) {
            return damaged(format!("the leaf at {at} names other parts"));
        }
        for named in &event.parts {
            let Some(value) = parts.get(&*named.part) else {
                return damaged(format!("the part {:?} at {at} is not there", named.part));
            };
            let is_gone = match named.left_out {
                Some(why) => *value == serde_json::json!({ "$left_out": why }),
                None => [serde_json::json!({ "$erased": true }), serde_json::json!({ "$missing": true })].contains(value),
            };
            let salt = salts.get(&*named.part).map(|salt| salt.as_str().and_then(|salt| hex::decode(salt).ok()));
            let holds = match salt {
                None => is_gone,
                Some(None) => false,
                Some(Some(salt)) => plaintext(value, named.truncated).is_some_and(|plaintext| commits(named, &salt, &plaintext)),
            };
            if !holds {
                return damaged(format!("the part {:?} at {at} is not the one that the leaf commits to", named.part));
            }
        }
        Ok(())
    }

    /// Checks what the manifest says of all of them.
    pub(super) fn end(self) -> Result<(), ExportError> {
        let manifest = self.manifest;
        if (self.count, self.first, self.last) != (manifest.count, manifest.first, manifest.last) {
            let (first, last) = (self.first.unwrap_or(Position(0)), self.last.unwrap_or(Position(0)));
            return damaged(format!("it has {} events from {} to {}", self.count, first.0, last.0));
        }
        let filter = &manifest.filter;
        if filter.chooses() {
            return Ok(());
        }
        // Everything in a range: where it begins and ends is known, unless that is said by time.
        let head = Position(manifest.head.position);
        let (begin, end) =
            (filter.from_position.unwrap_or(Position(1)).max(Position(1)), filter.to_position.unwrap_or(head).min(head));
        let is_short = |there: Option<Position>, due: Position| there.is_none_or(|there| there != due) && begin <= end;
        if (filter.from.is_none() && (filter.to.is_none() || self.first.is_some()) && is_short(self.first, begin))
            || (filter.to.is_none() && (filter.from.is_none() || self.last.is_some()) && is_short(self.last, end))
        {
            return damaged("events at its beginning or its end are not there");
        }
        Ok(())
    }
}
