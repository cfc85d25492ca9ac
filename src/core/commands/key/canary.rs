//! The key that a drill of the switches stops.
//!
//! INVARIANT: it is of the staff's own account, ends by itself, only reads, and reaches no VM: it needs no right to make keys.

use crate::core::code::Code;
use crate::core::commands::{Change, Command, Snapshot};
use crate::core::event::{CredentialCreated, EventKind};
use crate::core::id::EventId;
use crate::core::principal::Side;
use crate::core::refusal::Refusal;

/// Makes a key for a drill.
pub struct MakeCanary {
    /// What it is to be.
    pub created: CredentialCreated,
    /// The id of its event, whose text has the label.
    pub event: EventId,
}

impl Command for MakeCanary {
    type Answer = ();

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change, Refusal> {
        let made = &self.created;
        let of_staff = at.state.accounts.get(&made.account).is_some_and(|row| row.side == Side::Staff);
        let is_harmless = made.read_only && made.expires_at.is_some() && made.vms.as_ref().is_some_and(Vec::is_empty);
        if !of_staff || !is_harmless {
            return Err(Refusal::new(Code::ForbiddenRole, "A drill stops a key of the staff that reads and reaches nothing."));
        }
        Ok(Change::noted(&self.event, EventKind::CredentialCreated(made.clone())))
    }
}
