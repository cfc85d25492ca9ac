//! Why an entry was not written, or a question not answered.
//!
//! INVARIANT: what nobody knows is not said: of an entry that may be in the log all the same it says that it may be.

use std::sync::Arc;

use super::store::StoreError;
use crate::core::error_chain::error_chain;

/// An entry that was not written, as far as anybody knows.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    /// The queue is full; nothing was written.
    #[error("the writer's queue is full")]
    Overloaded,
    /// The store failed. Unless `uncertain`, nothing was written.
    #[error("{}: {text}", said(*uncertain))]
    Store {
        /// What failed, for operators.
        text: String,
        /// It may have been written all the same.
        uncertain: bool,
    },
    /// Somebody else holds the log; nothing was written.
    #[error("the log cannot be written: {0}")]
    Blocked(String),
    /// A synchronous standby of the database does not answer; nothing was written.
    #[error("the log cannot be written: {0}")]
    Unconfirmed(String),
    /// Control state is not what the log says of it, so nothing is decided; nothing was written.
    #[error("the log cannot be written: {0}")]
    Differs(String),
    /// The log could not be read, and nothing was to be written.
    #[error("the log cannot be read")]
    Unread(#[source] Arc<StoreError>),
    /// The writer has stopped.
    #[error("the writer has stopped")]
    Stopped,
}

impl WriteError {
    /// Of a read that failed.
    pub(super) fn unread(error: StoreError) -> Self {
        match error {
            StoreError::Differs(_) => Self::Differs(error_chain(&error)),
            _ => Self::Unread(Arc::new(error)),
        }
    }
}

fn said(uncertain: bool) -> &'static str {
    if uncertain {
        "it may or may not have been written, because the answer to the commit was lost"
    } else {
        "the log cannot be written"
    }
}
