//! Whether this node can stop calls, and whether its vault answers: looked at all the time, so that nobody learns it when a
//! stop is needed.
//!
//! INVARIANT: a node that has found that it cannot stop admits nothing until it has found that it can (P15). A vault that is
//! away keeps no stop from being written.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::core::error_chain::error_chain;
use crate::log::rehearsal::{Rehearsed, rehearse};
use crate::log::vault::VaultError;

/// How soon a node that cannot stop looks again.
const RETRY_AFTER: Duration = Duration::from_millis(250);

impl Worker {
    /// Apart from the beat: it may wait for the vault.
    pub(super) async fn look_until(self: Arc<Self>, over: CancellationToken) {
        loop {
            if let Err(error) = self.check_stop().await {
                tracing::debug!(error = error_chain(&error), "the vault is away");
            }
            let cannot_stop = self.control.ports.writer.stats().cannot_stop.load(Ordering::Relaxed);
            let pause = if cannot_stop { RETRY_AFTER } else { self.lease / 3 };
            if over.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// Rehearses a stop, and keeps the house's keys in memory. The answer is the vault's.
    pub async fn check_stop(&self) -> Result<(), VaultError> {
        let ports = &self.control.ports;
        let (state, now) = (ports.fence().state(), ports.clock.now());
        match rehearse(&*ports.reader.store, &state, now, &*ports.entropy).await {
            Rehearsed::CanStop => self.note_ready(true, None),
            Rehearsed::CannotStop(error) => self.note_ready(false, Some(&error_chain(&error))),
            // The writer says so, and admits nothing.
            Rehearsed::Unwritable(_) => {}
        }
        let (vault, was_away) = (&ports.reader.vault, ports.reader.vault.is_away());
        let looked = vault.warm(state.staff(), now).await;
        match &looked {
            Err(error) if !was_away => {
                let error = error_chain(error);
                tracing::error!(error, "the vault is away: only what keys in memory can seal is recorded, and stopping goes on");
            }
            Ok(()) if was_away => tracing::info!("the vault answers again"),
            _ => {}
        }
        looked
    }

    fn note_ready(&self, can_stop: bool, error: Option<&str>) {
        let could_not = self.control.ports.writer.stats().cannot_stop.swap(!can_stop, Ordering::Relaxed);
        if !can_stop && !could_not {
            tracing::error!(error, "this node cannot write a stop, so it admits nothing");
        } else if can_stop && could_not {
            tracing::info!("this node can stop calls again");
        }
    }
}
