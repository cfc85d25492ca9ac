//! Events: what happened, in the past tense, as canonical JSON (RFC 8785). The leaf schema is version 1 and frozen.
//!
//! A leaf holds ids, digests, verdicts and versions only: no free text, names, addresses or argument values. Those
//! are encrypted payload parts beside it, which the leaf names by digest (`Part`). Every column of an event row is
//! derived from the leaf's bytes. Each text in it is of a type that says how long it may be ([`super::bounded`]).

mod body;
mod kind;
mod leaf;
mod says;

pub use body::{
    Admitted, CredentialCreated, DrillCompleted, DrillFault, Ended, IntentRecorded, LeftOut, MendedRows, Part, Refused, named,
};
pub use kind::EventKind;
#[cfg(feature = "testing")]
pub use leaf::LEAF_MAX;
pub use leaf::{Event, LEAF_VERSION, LeafError};
