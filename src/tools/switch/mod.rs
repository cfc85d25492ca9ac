//! Kill switches: engage, list, release, and cancelling what still runs under one. Stopping is never switched off; no agent
//! releases.

mod asked;
mod canary;
mod cancel;
pub(super) mod drain;
mod drill;
mod engage;
pub(super) mod fenced;
mod list;
mod release;

use super::Tool;

/// The tools of this noun.
pub(super) fn tools() -> Vec<Tool> {
    vec![engage::tool(), list::tool(), release::tool(), cancel::tool(), drill::tool()]
}
