//! The caller's account: who it is, what it may do, what is left of its limits, and what its providers offer.

mod get;
mod offer;
mod set;

use super::declare::Declared;

/// The operations of this noun.
pub(super) static OPERATIONS: &[&dyn Declared] = &[&get::GET, &offer::LIST, &set::SET];
