//! The leaf: one event as it is recorded and hashed.

use serde::{Deserialize, Serialize};

use super::body::Part;
use super::kind::EventKind;
use crate::core::bounded::Hex;
use crate::core::canonical::canonical_exact;
use crate::core::id::{EventId, Position};
use crate::core::time::Micros;

/// Version of the leaf schema.
pub const LEAF_VERSION: u8 = 1;

/// Largest leaf that is ever written, in bytes; C2SP entry bundles stop at 65,535.
pub const LEAF_MAX: usize = 60 * 1024;

/// The field that resources have taken the place of.
const OLDER: &[u8] = b"\"vm\":";

/// One event as it is recorded: the leaf.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Version of this schema: 1.
    pub v: u8,
    /// Which log; there is one, until there are N (ADR 0001).
    pub log: u32,
    /// Place in the log.
    pub position: Position,
    /// When: never before an earlier position's time.
    pub at: Micros,
    /// Id that the payload parts are bound to.
    pub id: EventId,
    /// Position of the previous event of the same call; 0 if none.
    pub prev: Position,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
    /// Encrypted bodies that belong to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// Root of control state after it ([`crate::core::root`]), hex. Every event that belongs to no call has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<Hex>,
}

/// A leaf that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum LeafError {
    /// It is not canonical JSON of this schema.
    #[error("encoding or decoding a leaf")]
    Json(#[from] serde_json::Error),
    /// It is of a version of this schema that was never released.
    #[error(
        "the leaf at position {0} names a VM where calls name resources: it is of an older development version, whose data this one does not read"
    )]
    Older(i64),
    /// It is larger than [`LEAF_MAX`].
    #[error("encoding a leaf: {0} bytes are more than allowed")]
    TooLarge(usize),
}

impl Event {
    /// The leaf's bytes: canonical JSON (RFC 8785), at most [`LEAF_MAX`].
    pub fn encode(&self) -> Result<Vec<u8>, LeafError> {
        let bytes = canonical_exact(self)?;
        if bytes.len() > LEAF_MAX { Err(LeafError::TooLarge(bytes.len())) } else { Ok(bytes) }
    }

    /// Reads a leaf's bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, LeafError> {
        let event: Self = serde_json::from_slice(bytes)?;
        // What an older version wrote of a call would be read as a call about nothing. No text in a leaf has a quote as it is.
        let of_calls = matches!(event.kind, EventKind::IntentRecorded(_) | EventKind::RefusalsCounted { .. });
        if of_calls && bytes.windows(OLDER.len()).any(|part| part == OLDER) {
            return Err(LeafError::Older(event.position.0));
        }
        Ok(event)
    }
}
