//! Accepting this machine's clock on the data: where nobody else can say what time it is, or the log itself is ahead.
//!
//! INVARIANT: it is an event, with who sat at the machine and why. That the log is ahead is said by its owner alone.

use serde_json::json;

use super::local_admin::{LocalAdmin, LocalAdminError};
use super::rooms::RoomError;
use crate::core::clock::Proposed;
use crate::core::engagement::check_reason;
use crate::core::time::Micros;
use crate::log::changing::Author;
use crate::log::roles;

/// How the clocks stand.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// This machine's.
    pub machine: Micros,
    /// The database's, if it has one of its own.
    pub database: Option<Micros>,
    /// The log's time.
    pub log: Micros,
    /// How many microseconds the log's time is ahead of the clocks, as it was accepted.
    pub ahead: i64,
    /// Calls are refused for it here.
    pub skewed: bool,
}

impl LocalAdmin {
    /// How the clocks stand.
    pub async fn clocks(&self) -> Result<Clocks, LocalAdminError> {
        self.settle().await;
        let database = self.rooms.store.clock().await.map_err(RoomError::of_log)?;
        let fresh = self.writer.fresh().await?;
        let (log, ahead, skewed) = (fresh.at(), fresh.state().ahead(), fresh.is_skewed());
        Ok(Clocks { machine: self.clock.now(), database, log, ahead, skewed })
    }

    /// Accepts this machine's clock, which has to say what is `named`; answers the log's time from then on.
    pub async fn accept_clock(&self, named: Micros, reason: &str) -> Result<Micros, LocalAdminError> {
        check_reason(reason)?;
        let owner = roles::owns(self.rooms.store.database()).await.map_err(RoomError::of_log)?;
        let proposed = Proposed { clock: self.clock.now(), named, owner };
        let note = self.note(&self.state().await?.operator_account(), json!({ "reason": reason })).await?;
        Ok(self.writer.accept_clock(Author::Operator, note, proposed, None).await??)
    }
}
