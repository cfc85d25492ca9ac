//! What is true of a commit whose answer was lost.
//!
//! INVARIANT: whoever is told that something was written, or that it was not, is told so by the log. It is looked at where the
//! event would be, once the transaction that wrote it has let go of the head: before that it could come after the look.

use std::sync::{Arc, Mutex, PoisonError};

use super::appender::Lane;
use super::draft::Draft;
use super::store::{EventRow, StoreError, Want};
use super::write_error::WriteError;
use super::writer::Writer;
use crate::core::error_chain::error_chain;
use crate::core::id::Position;

impl Writer {
    /// Runs `entry` as [`Writer::write`] does. Where the answer to its commit is lost it answers what the log says of it; only
    /// where that cannot be had it is uncertain.
    pub(super) async fn write_surely<R: Send + 'static>(
        &self,
        lane: Lane,
        want: Want,
        mut entry: impl FnMut(&mut Draft) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, WriteError> {
        let made = Arc::new(Mutex::new(None));
        let making = Arc::clone(&made);
        let written = self.enqueue(lane, want, move |draft| {
            let before = draft.position();
            let answer = entry(draft)?;
            let last = draft.last_event().filter(|event| event.position > before).cloned();
            *making.lock().unwrap_or_else(PoisonError::into_inner) = Some((last, answer));
            Ok(())
        });
        let written = written.await;
        let made = made.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (written, made) {
            (Ok(()), Some((_, answer))) => Ok(answer),
            (Err(WriteError::Store { text, uncertain: true }), Some((Some(event), answer))) => {
                match self.is_in_log(lane, &event).await {
                    Ok(true) => {
                        tracing::warn!(position = event.position.0, "the answer to a commit was lost, and the log has it");
                        Ok(answer)
                    }
                    Ok(false) => Err(WriteError::Store { text, uncertain: false }),
                    Err(error) => {
                        tracing::error!(error = error_chain(&error), "whether the log has it cannot be looked up");
                        Err(WriteError::Store { text, uncertain: true })
                    }
                }
            }
            // Nothing was to be written.
            (Err(WriteError::Store { text, uncertain: true }), Some((None, _))) => {
                Err(WriteError::Store { text, uncertain: false })
            }
            (Err(error), _) => Err(error),
            (Ok(()), None) => Err(WriteError::Stopped),
        }
    }

    async fn is_in_log(&self, lane: Lane, event: &EventRow) -> Result<bool, WriteError> {
        // Writes nothing, and waits for the head's lock.
        self.enqueue(lane, Want::default(), |_| Ok(())).await?;
        let before = Position(event.position.0.saturating_sub(1));
        let found = self.store.events(before, 1).await.map_err(WriteError::unread)?;
        Ok(found.first().is_some_and(|found| found.leaf == event.leaf))
    }
}
