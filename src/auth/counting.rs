//! Counting guesses on all nodes: in the vault, and by the time of the log.

use std::time::Duration;

use super::guesses::{Attempt, GuessSource, KnownIn, Name, Pace, micros};
use super::session::{SessionError, Sessions};
use crate::log::guess::Counted;

impl Sessions {
    /// Counts an attempt on all nodes, or says how long to wait until there may be one.
    pub(super) async fn count(&self, guesser: GuessSource<'_>) -> Result<Result<Attempt, Duration>, SessionError> {
        self.count_taken(self.guesses.attempt(guesser, self.clock.now())).await
    }

    /// The same of somebody who comes back from an issuer.
    pub(super) async fn count_back(
        &self,
        address: &str,
        known: &[KnownIn<'_>],
    ) -> Result<Result<Attempt, Duration>, SessionError> {
        self.count_taken(self.guesses.come_back(address, known, self.clock.now())).await
    }

    async fn count_taken(&self, taken: Result<Attempt, Duration>) -> Result<Result<Attempt, Duration>, SessionError> {
        let attempt = match taken {
            Ok(attempt) => attempt,
            Err(wait) => return Ok(Err(wait)),
        };
        let wait = match self.count_in_vault(&attempt).await {
            Ok(Ok(())) => return Ok(Ok(attempt)),
            Ok(Err(wait)) => Ok(Err(wait)),
            Err(error) => Err(error),
        };
        self.guesses.give_back(attempt);
        wait
    }

    /// Whether it fits, by the time of the log: no node's clock gives anybody more guesses.
    async fn count_in_vault(&self, attempt: &Attempt) -> Result<Result<(), Duration>, SessionError> {
        let now = self.writer.fresh().await?.now();
        let by: Vec<Counted<'_>> = attempt.names.iter().chain([&attempt.work]).map(counted).collect();
        let counted = self.vault.count_guess(&by, now, self.guesses.tidy()).await?;
        Ok(counted.map_err(|fits_at| fits_at.since(now)))
    }

    /// Gives back an attempt that succeeded, or was not even looked at.
    pub(super) async fn uncount(&self, attempt: Attempt) {
        let by: Vec<Counted<'_>> = attempt.names.iter().map(counted).collect();
        if let Err(error) = self.vault.give_guess_back(&by).await {
            tracing::warn!(%error, "an attempt to sign in that succeeded counts for a while, because it cannot be given back");
        }
        self.guesses.give_back(attempt);
    }
}

fn counted((name, pace): &(Name, Pace)) -> Counted<'_> {
    Counted { name, every: micros(pace.every), ahead: pace.ahead() }
}
