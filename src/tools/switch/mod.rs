//! Kill switches: engage, list, release. Engaging is never switched off; no agent releases.

pub(super) mod drain;
mod engage;
pub(super) mod fenced;
mod list;
mod release;

use super::Tool;

/// The tools of this noun.
pub(super) fn tools() -> Vec<Tool> {
    vec![engage::tool(), list::tool(), release::tool()]
}
