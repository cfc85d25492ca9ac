//! What of a call is checked while its page is made: that each leaf is the canonical text that it was hashed as, lies where
//! it says, follows the event that it names, and that the encrypted parts beside it are those that it names.
//!
//! INVARIANT: nothing counts as checked that was not computed from the bytes in the log for this page.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::request::SignedInRequest;
use crate::core::canonical::canonical;
use crate::core::event::Event;
use crate::core::id::Position;
use crate::tools::Moment;

/// What was found.
pub struct IntegrityCheck {
    /// Events that are what they say.
    pub leaves: usize,
    /// Encrypted parts that are what the leaves say.
    pub parts: usize,
    /// What is not as it should be.
    pub faults: Vec<String>,
}

/// Checks the events of a call, which come in order.
pub async fn check(request: &SignedInRequest, events: &[Moment]) -> IntegrityCheck {
    let mut proof = IntegrityCheck { leaves: 0, parts: 0, faults: Vec::new() };
    let mut before = Position(0);
    for raw in events {
        let position = raw.position;
        // A leaf that the visitor is not shown is checked all the same.
        let stored = if raw.leaf.is_null() { stored(request, position).await } else { raw.leaf.clone() };
        match leaf(&stored, raw, before) {
            Ok(event) => {
                proof.leaves += 1;
                check_parts(request, &event, &mut proof).await;
            }
            Err(why) => proof.faults.push(format!("The event at position {} {why}.", position.0)),
        }
        before = position;
    }
    proof
}

fn leaf(leaf: &Value, raw: &Moment, before: Position) -> Result<Event, &'static str> {
    let event: Event = serde_json::from_value(leaf.clone()).map_err(|_| "cannot be read")?;
    let bytes = canonical(leaf).map_err(|_| "cannot be written as canonical JSON")?;
    if hex::encode(Sha256::digest(&bytes)) != raw.sha256 {
        return Err("is not the canonical text of its leaf");
    }
    if event.position != raw.position {
        return Err("was written for another position");
    }
    if event.prev != before {
        return Err("does not follow the event before it");
    }
    Ok(event)
}

async fn stored(request: &SignedInRequest, position: Position) -> Value {
    let store = &request.http.gateway.control().ports.reader.store;
    let rows = store.events(Position(position.0 - 1), 1).await.unwrap_or_default();
    rows.first().and_then(|row| serde_json::from_slice(&row.leaf).ok()).unwrap_or_default()
}

async fn check_parts(request: &SignedInRequest, event: &Event, proof: &mut IntegrityCheck) {
    let store = &request.http.gateway.control().ports.reader.store;
    let Ok(rows) = store.payloads(event.position, event.position).await else {
        proof.faults.push(format!("The parts of the event at position {} cannot be read.", event.position.0));
        return;
    };
    for named in &event.parts {
        match rows.iter().find(|row| row.part == named.part) {
            // What was erased is not there; that it was is an event of its own.
            None => {}
            Some(row) if hex::encode(Sha256::digest(&row.body)) == named.sha256 => proof.parts += 1,
            Some(_) => {
                proof.faults.push(format!("The part {} of the event at position {} was changed.", named.part, event.position.0));
            }
        }
    }
}
