//! Kill switches: engage, list, release, and cancelling what still runs under one. Stopping is never switched off; no agent
//! releases.

mod acknowledge;
mod canary;
mod cancel;
pub(super) mod drain;
mod drill;
mod engage;
pub(super) mod fenced;
mod list;
mod release;

use super::declare::Declared;

/// The operations of this noun.
pub(super) static OPERATIONS: &[&dyn Declared] =
    &[&engage::ENGAGE, &list::LIST, &release::RELEASE, &cancel::CANCEL, &drill::DRILL, &acknowledge::ACKNOWLEDGE];
