//! Acknowledging an alarm: a person of the staff has seen what was done to a switch on the data itself.

use super::{Change, Command, Snapshot};
use crate::core::code::Code;
use crate::core::event::EventKind;
use crate::core::id::{CredentialId, EventId, Position, SwitchId, UserId};
use crate::core::refusal::Refusal;
use crate::core::row::Credential;

/// Names a person as having seen an alarm. Said again it changes nothing.
pub struct Acknowledge {
    /// The position of the event that raised it.
    pub alarm: Position,
    /// Who has seen it.
    pub by: UserId,
    /// What they say it with.
    pub credential: CredentialId,
    /// The id of its event, which has a text.
    pub event: EventId,
}

impl Command for Acknowledge {
    type Answer = SwitchId;

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change<SwitchId>, Refusal> {
        let Some(alarm) = at.state.alarms.find(self.alarm, at.now) else { return Err(none_there()) };
        if !at.state.credentials.get(&self.credential).is_some_and(Credential::is_person) {
            return Err(no_person());
        }
        let switch = alarm.switch.clone();
        if !alarm.takes(&self.by) {
            return Ok(Change::none().answering(switch));
        }
        let (by, credential) = (self.by.clone(), self.credential.clone());
        let kind = EventKind::AlarmAcknowledged { switch: switch.clone(), alarm: self.alarm, by, credential };
        Ok(Change::noted(&self.event, kind).answering(switch))
    }
}

fn none_there() -> Refusal {
    Refusal::new(Code::NotFound, "There is no alarm of the last day at this position.")
        .hint("It is the position of an event that engaged or released a switch on the data itself; GET /events lists them.")
}

fn no_person() -> Refusal {
    Refusal::new(Code::ForbiddenRole, "A key speaks for nobody who has seen something; a person acknowledges an alarm.")
        .hint("Sign in to the console, and acknowledge it in the line at the top of each page.")
}
