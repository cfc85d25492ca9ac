//! Running a command: one transaction that looks at who asks, decides by the head of the log, and appends what was decided.
//!
//! INVARIANT: a command and who asks for it are judged by the same head that its events are appended to. Events get the same ids
//! if a lost commit has it run again.

use std::sync::Arc;

use super::appender::Lane;
use super::call_write::CallWrite;
use super::draft::{Draft, NewEvent};
use super::row_names::{readable, use_row};
use super::store::{StoreError, Want};
use super::vault::SealedPart;
use super::writer::{WriteError, Writer};
use crate::core::commands::{Command, Planned, Snapshot, Uses};
use crate::core::event::EventKind;
use crate::core::id::{CredentialId, EventId, Position};
use crate::core::job::Use;
use crate::core::refusal::Refusal;
use crate::core::scrub::Scrubbed;
use crate::core::state::ControlState;
use crate::core::time::{Clock, Entropy, Micros};

/// Who changes something, and in which turn.
#[derive(Clone)]
pub enum Author {
    /// A call, which is looked at again where it writes. What stops something goes before whatever waits.
    Call(Box<CallWrite>),
    /// A call that goes on after its stop: it is tried once, in its turn.
    AfterStop(Box<CallWrite>),
    /// Whoever owns the data, before whatever waits.
    Operator,
    /// The node itself, also for somebody who signs in.
    Node,
}

impl Author {
    fn lane(&self) -> Lane {
        match self {
            Self::Operator => Lane::Stopping,
            Self::Call(acting) if acting.tool.stops => Lane::Stopping,
            Self::Call(_) | Self::AfterStop(_) | Self::Node => Lane::Ordinary,
        }
    }

    fn acting(&self) -> Option<&CallWrite> {
        match self {
            Self::Call(acting) | Self::AfterStop(acting) => Some(acting),
            Self::Operator | Self::Node => None,
        }
    }

    fn want(&self) -> Want {
        self.acting().map(CallWrite::want).unwrap_or_default()
    }

    /// Whether they may write at the head of the log.
    fn check(&self, draft: &Draft) -> Result<Result<(), Refusal>, StoreError> {
        self.acting().map_or(Ok(Ok(())), |acting| acting.check(draft))
    }
}

/// The free text of an event that is to come, sealed under the event's id before the transaction.
#[derive(Clone, Debug)]
pub struct Note {
    id: EventId,
    parts: Vec<SealedPart>,
    text: Scrubbed,
}

impl Note {
    /// A text in one part. Where that was left out control state does not hold it either: it follows from what is kept.
    #[must_use]
    pub fn sealed(id: EventId, part: SealedPart, text: Scrubbed) -> Self {
        let text = if part.is_left_out() { Scrubbed::default() } else { text };
        Self { id, parts: vec![part], text }
    }

    /// Several parts, of which control state holds `text` alone.
    #[must_use]
    pub fn of_parts(id: EventId, parts: Vec<SealedPart>, text: Scrubbed) -> Self {
        Self { id, parts, text }
    }

    /// The event's id, which is handed to the command.
    #[must_use]
    pub fn id(&self) -> EventId {
        self.id.clone()
    }
}

/// Where events without a text get their ids: each of a change once, however often it is decided.
pub struct Ids {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    drawn: Vec<EventId>,
    next: usize,
}

impl Ids {
    /// Ids by this clock and randomness.
    #[must_use]
    pub fn new(clock: &Arc<dyn Clock>, entropy: &Arc<dyn Entropy>) -> Self {
        Self { clock: Arc::clone(clock), entropy: Arc::clone(entropy), drawn: Vec::new(), next: 0 }
    }

    /// Begins anew with those that were drawn.
    pub(super) fn rewind(&mut self) {
        self.next = 0;
    }

    pub(super) fn draw(&mut self) -> EventId {
        let known = self.drawn.get(self.next).cloned();
        self.next += 1;
        known.unwrap_or_else(|| {
            let id = EventId::new(self.clock.now(), &*self.entropy);
            self.drawn.push(id.clone());
            id
        })
    }
}

/// A change that is durable.
#[derive(Clone, Debug)]
pub struct Changed<A> {
    /// What the command answered.
    pub answer: A,
    /// Control state with it.
    pub state: Arc<ControlState>,
    /// The time of the log that it was decided by.
    pub now: Micros,
}

impl Writer {
    /// Runs `entry` for somebody who may still write, and reads what that takes besides what `entry` wants.
    pub(super) async fn act<R: Send + 'static>(
        &self,
        author: Author,
        mut want: Want,
        mut entry: impl FnMut(&mut Draft) -> Result<Result<R, Refusal>, StoreError> + Send + 'static,
    ) -> Result<Result<R, Refusal>, WriteError> {
        want.extend(&author.want());
        self.write_surely(author.lane(), want, move |draft| match author.check(draft)? {
            Ok(()) => entry(draft),
            Err(refusal) => Ok(Err(refusal)),
        })
        .await
    }

    /// Runs a command in the transaction of its writing: appends all of its events, or none and answers why not. `notes` are the
    /// texts of events whose ids the command has.
    pub async fn change<C: Command>(
        &self,
        author: Author,
        mut ids: Ids,
        notes: Vec<Note>,
        command: C,
    ) -> Result<Result<Changed<C::Answer>, Refusal>, WriteError> {
        let want = Want { names: command.uses().iter().map(use_row).collect(), ..Want::default() };
        self.act(author, want, move |draft| {
            ids.rewind();
            draft.change(&command, &notes, &mut ids)
        })
        .await
    }
}

impl Draft {
    /// Decides a command, and appends its events.
    pub(super) fn change<C: Command>(
        &mut self,
        command: &C,
        notes: &[Note],
        ids: &mut Ids,
    ) -> Result<Result<Changed<C::Answer>, Refusal>, StoreError> {
        let (uses, now) = (self.last_uses(&command.uses()), self.now);
        let decided = command.decide(&Snapshot { state: self.state(), now, uses: &uses });
        let (events, answer) = match decided {
            Ok(change) => change.into_parts(),
            Err(refusal) => return Ok(Err(refusal)),
        };
        for planned in events {
            self.append(Position(0), new_event(planned, notes, ids))?;
        }
        Ok(Ok(Changed { answer, state: Arc::clone(self.shared_state()), now }))
    }

    fn last_uses(&self, keys: &[CredentialId]) -> Uses {
        let last = |key: &CredentialId| {
            let row = self.get::<Use>(&use_row(key));
            let is_readable = row.is_ok();
            is_readable.then_some((key.clone(), readable(row).map(|used| used.last)))
        };
        keys.iter().filter_map(last).collect()
    }
}

fn new_event(Planned { kind, id }: Planned, notes: &[Note], ids: &mut Ids) -> NewEvent {
    let id = id.unwrap_or_else(|| ids.draw());
    match notes.iter().find(|note| note.id == id) {
        Some(note) => NewEvent::under(note, kind),
        None => NewEvent::plain(id, kind),
    }
}

impl NewEvent {
    /// An event with the text that was sealed for it.
    #[must_use]
    pub fn under(note: &Note, kind: EventKind) -> Self {
        let Note { id, parts, text } = note.clone();
        Self { id, kind, parts, note: text }
    }
}
