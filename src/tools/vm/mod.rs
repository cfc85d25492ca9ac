//! Virtual machines: which there are, how they are, their power; and, for staff, whose they are.

mod claim;
pub(super) mod fleet;
mod get;
mod import;
mod list;
mod power;

use super::Tool;

/// The tools of this noun.
pub(super) fn tools() -> Vec<Tool> {
    vec![list::tool(), get::tool(), get::stats_tool(), power::tool(), import::tool(), claim::tool()]
}
