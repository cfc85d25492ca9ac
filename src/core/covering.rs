//! Which calls a switch stops, as control state says what they are about.
//!
//! INVARIANT: stopping is never switched off.

use super::bounded::Name;
use super::id::{AccountId, CredentialId};
use super::ramp::Ramp;
use super::resource::ResourceId;
use super::state::ControlState;
use super::switch::{Switch, Target};
use super::time::Micros;
use super::tool::{Class, ToolSpec};
use super::visibility::Visibility;

/// The properties of a call that a switch's target matches.
#[derive(Clone, Debug)]
pub struct Covered<'a> {
    /// The tool.
    pub tool: &'a ToolSpec,
    /// The caller's account.
    pub account: &'a AccountId,
    /// The caller's key.
    pub credential: &'a CredentialId,
    /// What it is about.
    pub resources: &'a [ResourceId],
    /// The providers that it was written down to reach beside those of its resources.
    pub providers: &'a [Name],
    /// It also reaches each provider that has a resource which the caller may see.
    pub visible: bool,
}

impl Covered<'_> {
    /// Whether it reaches a provider: one of its resources is there, it was asked for with it, or it would look at all that its
    /// caller may see.
    #[must_use]
    pub fn reaches(&self, provider: &str, state: &ControlState) -> bool {
        let is_there = |id: &ResourceId| state.resource(id).is_some_and(|row| row.provider.as_deref() == Some(provider));
        self.providers.iter().any(|name| name == provider)
            || self.resources.iter().any(is_there)
            || (self.visible && Visibility::of_key(self.account, self.credential, state).reaches(provider, state))
    }
}

impl ControlState {
    /// The switches that stop the call at `now`.
    pub fn covering<'a>(&'a self, call: &'a Covered<'_>, now: Micros) -> impl Iterator<Item = &'a Switch> {
        self.switches.values().filter(move |switch| switch.covers(call, self, now))
    }
}

impl Target {
    /// Whether a switch with this target stops the call. Stopping is never switched off.
    #[must_use]
    pub fn covers(&self, call: &Covered<'_>, state: &ControlState) -> bool {
        if call.tool.stops {
            return false;
        }
        match self {
            Self::All => true,
            Self::Class(class) => call.tool.class == *class,
            Self::Tool(name) => call.tool.name == name,
            Self::Provider(name) => call.reaches(name, state),
            Self::Account(id) => call.account == id,
            Self::Credential(id) => state.comes_from(call.credential, id),
            Self::Resource { id, exec_only } => call.resources.contains(id) && (!exec_only || call.tool.class == Class::Exec),
        }
    }
}

impl Switch {
    /// Whether this switch stops the call at `now`. Stopping is never switched off.
    #[must_use]
    pub fn covers(&self, call: &Covered<'_>, state: &ControlState, now: Micros) -> bool {
        // A key keeps its place in the queue when it is rotated, and a person when they sign in again.
        let lets_through = |ramp: Ramp| ramp.lets_through(&self.id, state.counted_as(call.credential), now);
        let is_let_through = self.ramp.is_some_and(lets_through);
        !self.is_over(now) && !is_let_through && self.target.covers(call, state)
    }
}
