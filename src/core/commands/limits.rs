//! Limits put in force.
//!
//! INVARIANT: numbers that make no sense are never in force; what holds already is no other version.

use serde_json::Value;

use super::{Change, Command, Snapshot};
use crate::core::earlier_terms::TermsInForce;
use crate::core::event::EventKind;
use crate::core::id::{CredentialId, EventId, UserId};
use crate::core::refusal::Refusal;
use crate::core::terms::Terms;

/// What is to be in force.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// These numbers; what is not named stays.
    Numbers(Value),
    /// All that a node or command was started with.
    Configured,
    /// The same, unless limits are in force already.
    Unless,
}

/// Puts limits in force.
pub struct SetLimits {
    /// Which.
    pub wanted: Wanted,
    /// What the node or command was started with: what numbers are put into while no limits are in force.
    pub configured: Terms,
    /// Who; nobody at the first start of a log, and on the data itself.
    pub by: Option<(UserId, CredentialId)>,
    /// The id of its event, if it has a text.
    pub event: Option<EventId>,
}

impl Command for SetLimits {
    /// What was in force before.
    type Answer = Option<TermsInForce>;

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change<Self::Answer>, Refusal> {
        let before = at.state.terms.clone();
        let in_force = before.as_ref().map_or(self.configured, |before| before.terms);
        let terms = match &self.wanted {
            Wanted::Unless if before.is_some() => return Ok(Change::none().answering(before)),
            Wanted::Numbers(numbers) => in_force.with(numbers)?,
            Wanted::Configured | Wanted::Unless => self.configured.checked()?,
        };
        if before.as_ref().is_some_and(|before| before.terms == terms) {
            return Ok(Change::none().answering(before));
        }
        let version = before.as_ref().map_or(0, |before| before.version) + 1;
        let (by, credential) = self.by.clone().unzip();
        let kind = EventKind::LimitsSet { version, terms: Box::new(terms), by, credential };
        let change = Change::under(self.event.as_ref(), kind);
        Ok(change.answering(before))
    }
}
