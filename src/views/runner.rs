//! The runner: pulls events from the log after the cursor and writes rows and cursor in one transaction.
//!
//! INVARIANT: the cursor row is locked and looked at again before anything is written, so several processes may pull at
//! once. Being woken is a courtesy; polling is what keeps the views moving.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::batch::Batch;
use super::status::{CURSOR, ViewsStatus};
use super::{ViewError, Views};
use crate::core::error_chain::error_chain;
use crate::core::id::Position;
use crate::log::pair::log_mark;
use crate::log::sql::Transaction;

/// Events of one transaction.
const BATCH: u32 = 500;

/// How often the log is asked for more.
const POLL: Duration = Duration::from_millis(250);

impl Views {
    /// Keeps the views up to date until `stop`. What fails is tried again.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut said = String::new();
        while !stop.is_cancelled() {
            let pulled = self.pull().await;
            if pulled.is_ok() && !std::mem::take(&mut said).is_empty() {
                tracing::info!("the views are brought up to date again");
            }
            match pulled {
                Ok(0) => self.pause(&stop).await,
                Ok(_) => {}
                Err(error) => {
                    let error = error_chain(&error);
                    // Once for each reason: this is tried four times a second.
                    if error != said {
                        tracing::error!(error, "the views could not be brought up to date; trying again");
                        said = error;
                    }
                    self.pause(&stop).await;
                }
            }
        }
    }

    async fn pause(&self, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }

    /// Pulls until the views have reached `to`, or the log has no more. Answers where they stand.
    pub async fn catch_up(&self, to: Position) -> Result<Position, ViewError> {
        loop {
            let reached = self.position().await?;
            if reached >= to {
                return Ok(reached);
            }
            if self.pull().await? == 0 {
                // Whoever pulled the rest may have been somebody else.
                return self.position().await;
            }
        }
    }

    /// Takes over one batch; answers how many events there were.
    async fn pull(&self) -> Result<usize, ViewError> {
        let _turn = self.turn.lock().await;
        let stand = self.settled().await?;
        let Some(batch) = Batch::read(&self.reader, stand.position, BATCH).await? else { return Ok(0) };
        let log = log_mark(&*self.reader.store).await?;
        let mut transaction = self.database.begin().await?;
        if self.lock_cursor(&mut *transaction).await? == stand {
            batch.write(&mut *transaction, self.database.dialect()).await?;
            let sql = "update cursor set position = $1, leaf = $2, log = $3 where view = 'calls'";
            transaction.execute(sql, vec![batch.last().0.into(), batch.leaf().into(), log.into()]).await?;
            transaction.commit().await?;
        }
        // Somebody else was faster: there is still something to look at.
        Ok(batch.len())
    }

    /// Locks the cursor against other processes and reads it.
    pub(super) async fn lock_cursor(&self, transaction: &mut dyn Transaction) -> Result<ViewsStatus, ViewError> {
        let lock = format!("{CURSOR}{}", self.database.dialect().for_update);
        ViewsStatus::read(&transaction.query(&lock, Vec::new()).await?)
    }
}
