//! Changes of a machine, whatever is changed: who may make one now.
//!
//! INVARIANT: a change is in the journal before a byte of it is sent, and one machine undergoes one change at a time, in
//! whichever process of ours (a file lock says so, and lets go when its process dies).

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::journal::{Ending, Entry, Journal, Known};
use super::machines::unreadable;
use crate::core::id::CallId;
use crate::log::private;
use crate::providers::compute::ProviderError;

const POLL: Duration = Duration::from_millis(100);

/// The right to change a machine, until it is dropped.
pub(super) struct Turn {
    journal: Journal,
    _held: File,
}

impl Turn {
    /// Takes it for a call that has asked for nothing yet.
    pub(super) async fn take(home: &Path, call: &CallId) -> Result<Self, ProviderError> {
        let Some(held) = await_lock(home).await? else {
            return Err(ProviderError::State("another change of it is under way".into()));
        };
        let journal = Journal::of(home);
        if !matches!(journal.find(call).map_err(unreadable)?, Known::Nothing) {
            return Err(ProviderError::State(format!("{call} was already asked for").into()));
        }
        Ok(Self { journal, _held: held })
    }

    /// Writes down what is about to be done, does it, and writes down how that ended.
    pub(super) async fn make(
        &self,
        mut entry: Entry,
        change: impl Future<Output = Result<(), ProviderError>>,
    ) -> Result<(), ProviderError> {
        self.write(&entry).await?;
        let done = change.await;
        entry.ending = match &done {
            Ok(()) => Some(Ending::Happened),
            Err(ProviderError::AnswerLost(_)) => None,
            Err(_) => Some(Ending::DidNotHappen),
        };
        // If this fails the change has been made all the same; the journal then says less than it could, never a lie.
        let written = self.write(&entry).await.map_err(|e| ProviderError::AnswerLost(e.to_string().into()));
        done.and(written)
    }

    async fn write(&self, entry: &Entry) -> Result<(), ProviderError> {
        let (journal, entry) = (self.journal.clone(), entry.clone());
        let written = spawn_blocking(move || journal.write(&entry)).await;
        written.map_err(|e| ProviderError::Unreachable(format!("writing the journal: {e}").into()))?.map_err(unreadable)
    }
}

/// The right to change a machine, if it can be had soon: a question holds it for a moment too.
async fn await_lock(home: &Path) -> Result<Option<File>, ProviderError> {
    for _ in 0..10 {
        if let Some(held) = lock(home)? {
            return Ok(Some(held));
        }
        sleep(POLL).await;
    }
    Ok(None)
}

/// The right to change a machine; none if somebody has it.
pub(super) fn lock(home: &Path) -> Result<Option<File>, ProviderError> {
    let file = private::open(&home.join("lock"), File::options().create(true).append(true)).map_err(unreadable)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(e)) => Err(unreadable(e)),
    }
}
