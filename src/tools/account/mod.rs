//! The caller's account: who it is, what it may do, what is left of its limits, and what its providers offer.

mod get;
mod offer;
mod set;

use super::Tool;

/// The tools of this noun.
pub(super) fn tools() -> Vec<Tool> {
    vec![get::tool(), offer::tool(), set::tool()]
}
