//! Reading without waiting for whoever appends: what the log says at a moment that is not before the question.
//!
//! ```text
//! question ─┐
//! question ─┼─▶ one read of the head, of what changed since, and of the rows asked for, all of one moment ──▶ every answer
//! question ─┘   (what is asked meanwhile is answered by the next read)
//! ```
//!
//! INVARIANT: a read begins after every question that it answers, in one transaction that locks nothing, and what it shows is
//! committed; so whatever was acknowledged before a question came is in its answer, whichever node wrote it (P8). Where the
//! log cannot be read there is no answer but an error.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::appender::{PAUSE, STOPPING};
use super::draft::Draft;
use super::seen::Seen;
use super::store::{StoreError, Want};
use super::write_error::WriteError;
use crate::core::decide::Decision;
use crate::core::error_chain::error_chain;
use crate::core::id::Position;
use crate::core::proposal::Proposal;
use crate::core::state::ControlState;
use crate::core::time::Micros;

/// What the log said at one moment, after it was asked.
#[derive(Clone)]
pub struct Fresh(Arc<Draft>);

impl Fresh {
    /// Control state.
    #[must_use]
    pub fn state(&self) -> &Arc<ControlState> {
        self.0.shared_state()
    }

    /// What clocks say: what ends by itself is judged by it.
    #[must_use]
    pub fn now(&self) -> Micros {
        self.0.now
    }

    /// The log's time.
    #[must_use]
    pub fn at(&self) -> Micros {
        self.0.at
    }

    /// The latest that it may be by now, by any clock that is believed.
    #[must_use]
    pub fn latest(&self) -> Micros {
        self.0.latest
    }

    /// Of the newest event.
    #[must_use]
    pub fn position(&self) -> Position {
        self.0.position()
    }

    /// This node's clock cannot be trusted.
    #[must_use]
    pub fn is_skewed(&self) -> bool {
        self.0.skewed
    }

    /// What is decided of a reading; the rows of uses have to have been asked for.
    pub(super) fn decide(&self, reading: &Proposal) -> Result<Decision, StoreError> {
        self.0.decide_reading(reading)
    }
}

/// Somebody who waits for the next read.
pub(super) struct Question {
    pub(super) names: Vec<String>,
    /// It is asked again while what keeps it from being answered may pass, until then, by this node's measure of time.
    pub(super) tries_on: bool,
    pub(super) until: Option<Duration>,
    pub(super) answer: oneshot::Sender<Result<Fresh, WriteError>>,
}

/// Answers questions until nobody can ask any more.
pub(super) async fn answer(seen: Arc<Seen>, mut questions: mpsc::Receiver<Question>) {
    let mut waiting = Vec::new();
    loop {
        if waiting.is_empty() {
            let Some(question) = questions.recv().await else { return };
            waiting.push(question);
        }
        while let Ok(question) = questions.try_recv() {
            waiting.push(question);
        }
        waiting.retain(|question: &Question| !question.answer.is_closed());
        for question in waiting.iter_mut().filter(|question| question.tries_on) {
            question.until.get_or_insert(seen.time.elapsed() + STOPPING);
        }
        let names = waiting.iter().flat_map(|question| question.names.iter().cloned()).collect();
        match read(&seen, names).await {
            Ok(fresh) => waiting.drain(..).for_each(|question| drop(question.answer.send(Ok(fresh.clone())))),
            Err(error) => {
                waiting = refuse(&seen, waiting, error);
                if !waiting.is_empty() {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Answers that the log cannot be read; gives back who asks again.
fn refuse(seen: &Seen, questions: Vec<Question>, error: StoreError) -> Vec<Question> {
    let (passes, now) = (matches!(&error, StoreError::Sql(error) if error.may_pass()), seen.time.elapsed());
    let (again, over): (Vec<Question>, Vec<Question>) =
        questions.into_iter().partition(|question| passes && question.until.is_some_and(|until| now < until));
    if !over.is_empty() {
        tracing::error!(error = error_chain(&error), questions = over.len(), "the log cannot be read");
    }
    let unread = WriteError::unread(error);
    for question in over {
        // Whoever does not wait any more needs no answer.
        let _ = question.answer.send(Err(unread.clone()));
    }
    again
}

async fn read(seen: &Seen, names: Vec<String>) -> Result<Fresh, StoreError> {
    let (known, want) = (seen.fence.state(), Want { names, ..Want::default() });
    match read_knowing(seen, &known, want.clone()).await {
        // Rows may say that they changed at another time than they did: all of them are read before that is a fault.
        Err(StoreError::Differs(_)) => read_knowing(seen, &Arc::new(known.anew()), want).await,
        done => done,
    }
}

async fn read_knowing(seen: &Seen, known: &Arc<ControlState>, want: Want) -> Result<Fresh, StoreError> {
    let look = seen.look(known, want);
    let (head, found) = seen.store.read(&look.want).await?;
    let draft = seen.draft(&look, &head, found)?;
    seen.take(head.position, draft.shared_state());
    Ok(Fresh(Arc::new(draft)))
}
