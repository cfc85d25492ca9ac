//! Changes of control state: one pure function for each, whoever asks for it — a tool, the command line on the data, or somebody
//! who signs in.
//!
//! ```text
//! tool        ─┐
//! local admin ─┼─▶ Writer::change { read the head · decide: Snapshot → Change | Refusal · append · commit } ─▶ answer
//! sign-in     ─┘
//! ```
//!
//! INVARIANT: a command does no I/O and draws no ids: it is decided again if a commit is lost, and then says the same. Only this
//! module makes a [`Change`], so no other one appends a change of control state through [`Writer::change`].
//!
//! To add a change of control state: its kind (`core/event/kind.rs`) with its row (`core/row.rs`), a command here with a test in
//! `tests/it/commands/`, and whoever asks for it: an operation under `tools/`, or a method of the local admin (`app/registry.rs`).
//!
//! [`Writer::change`]: crate::log::writer::Writer::change

pub mod account;
pub mod alarm;
mod ending;
pub mod invitation;
pub mod issuer;
pub mod key;
pub mod limits;
pub mod notice;
pub mod policy;
pub mod session;
pub mod switch;
pub mod user;
pub mod vm;
pub mod vouching;

use std::collections::BTreeMap;

#[cfg(feature = "testing")]
pub use ending::role_change;

use super::event::EventKind;
use super::id::{CredentialId, EventId};
use super::refusal::Refusal;
use super::state::ControlState;
use super::time::Micros;

/// What a command is decided by: what the transaction found at the head of the log.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a> {
    /// Control state.
    pub state: &'a ControlState,
    /// The time of the log.
    pub now: Micros,
    /// When the keys that [`Command::uses`] names were last used.
    pub uses: &'a Uses,
}

/// When keys were last used; none of a key that never was. A key whose row cannot be read is missing.
pub type Uses = BTreeMap<CredentialId, Option<Micros>>;

/// A change of control state that somebody asks for, with its arguments. Ids come with it.
pub trait Command: Send + 'static {
    /// What whoever asked is told.
    type Answer: Send + 'static;

    /// The keys whose last use it looks at.
    fn uses(&self) -> Vec<CredentialId> {
        Vec::new()
    }

    /// The events that make the change, or why it is refused.
    fn decide(&self, at: &Snapshot<'_>) -> Result<Change<Self::Answer>, Refusal>;
}

/// The events of a change, in their order, and its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Change<A = ()> {
    events: Vec<Planned>,
    answer: A,
}

/// An event that a command decided on.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// What happens.
    pub kind: EventKind,
    /// The id that its free text was sealed under; none if it has no text.
    pub id: Option<EventId>,
}

impl Change<()> {
    fn none() -> Self {
        Self { events: Vec::new(), answer: () }
    }

    fn of(kind: EventKind) -> Self {
        Self::none().and(kind)
    }

    fn noted(id: &EventId, kind: EventKind) -> Self {
        Self::under(Some(id), kind)
    }

    fn under(id: Option<&EventId>, kind: EventKind) -> Self {
        Self::none().and_under(id, kind)
    }
}

impl<A> Change<A> {
    fn and(self, kind: EventKind) -> Self {
        self.and_under(None, kind)
    }

    fn and_all(mut self, kinds: impl IntoIterator<Item = EventKind>) -> Self {
        self.events.extend(kinds.into_iter().map(|kind| Planned { kind, id: None }));
        self
    }

    fn and_noted(self, id: &EventId, kind: EventKind) -> Self {
        self.and_under(Some(id), kind)
    }

    fn and_under(mut self, id: Option<&EventId>, kind: EventKind) -> Self {
        self.events.push(Planned { kind, id: id.cloned() });
        self
    }

    fn answering<B>(self, answer: B) -> Change<B> {
        Change { events: self.events, answer }
    }

    /// The events, and the answer.
    #[must_use]
    pub fn into_parts(self) -> (Vec<Planned>, A) {
        (self.events, self.answer)
    }
}
