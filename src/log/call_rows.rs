//! Rows beside the log, held against the leaves of the call that they speak of, in the transaction that follows from them.
//!
//! INVARIANT: what does not fit is as good as not there: nothing runs, is let go on or ends because of it, and an error names
//! it. The row stays as it is, for `forelog log verify` to name and `forelog doctor --mend` to mend.

use super::draft::Draft;
use super::row_names::{approval_row, job_row, readable};
use super::store::{EventRow, StoreError};
use crate::core::approval::Approval;
use crate::core::chain::{Chain, RowMismatch};
use crate::core::event::Event;
use crate::core::id::CallId;
use crate::core::job::Job;
use crate::core::tool::ToolSpec;

/// The row of an open call, as far as it may be believed.
#[derive(Clone, Debug, PartialEq)]
pub enum OpenCallRow {
    /// There is none.
    Gone,
    /// There is one that is not what the log says.
    Unfit,
    /// It is what the log says.
    Fits(Box<Job>, Box<Chain>),
}

/// Folds the events of one call; none if there are none.
pub fn fold<'a>(call: &CallId, rows: impl Iterator<Item = &'a EventRow>) -> Result<Option<Chain>, StoreError> {
    let unreadable = |error: &dyn std::error::Error| StoreError::Unreadable(format!("the events of {call}: {error}"));
    let events: Result<Vec<Event>, StoreError> =
        rows.map(|row| Event::decode(&row.leaf).map_err(|error| unreadable(&error))).collect();
    Chain::of(call, &events?).map_err(|error| unreadable(&error))
}

/// Says that a row does not fit.
fn unfit(row: &str, why: RowMismatch) {
    tracing::error!(row, %why, "a row is not what the log says of its call, and nothing follows from it");
}

impl Draft {
    /// A call as its events make it, if there is such a call. The transaction must have read them.
    pub fn chain(&self, call: &CallId) -> Result<Option<Chain>, StoreError> {
        let rows = self.events_of(call);
        let rows = rows.ok_or_else(|| StoreError::Unreadable(format!("the events of {call} were not read")))?;
        fold(call, rows)
    }

    /// The row of an open call. The transaction must have read both the row and the call's events.
    pub fn open(&self, call: &CallId, tool: Option<&ToolSpec>) -> Result<OpenCallRow, StoreError> {
        let name = job_row(call);
        let Some(job) = self.get::<Job>(&name)? else { return Ok(OpenCallRow::Gone) };
        let fits = match self.chain(call) {
            Ok(Some(chain)) => chain.fits(&job, tool).map(|()| chain),
            Ok(None) => Err(RowMismatch("call")),
            Err(error) => {
                tracing::error!(row = name, %error, "the events of an open call cannot be read");
                return Ok(OpenCallRow::Unfit);
            }
        };
        Ok(match fits {
            Ok(chain) => OpenCallRow::Fits(Box::new(job), Box::new(chain)),
            Err(why) => {
                unfit(&name, why);
                OpenCallRow::Unfit
            }
        })
    }

    /// The row of a call that is to be stopped: as the log has it, whatever became of the row. None if the call is not open.
    pub fn stoppable(&self, call: &CallId, facts: impl Fn(&str) -> Option<&'static ToolSpec>) -> Result<Option<Job>, StoreError> {
        let Some(chain) = self.chain(call)?.filter(|chain| !chain.status.is_terminal()) else { return Ok(None) };
        let row = readable(self.get::<Job>(&job_row(call))).filter(|row| row.call == *call);
        if let Some(row) = row.as_ref().filter(|row| chain.fits(row, None).is_ok()) {
            return Ok(Some(row.clone()));
        }
        Ok(Some(chain.job(facts(&chain.asked.tool), row.as_ref())))
    }

    /// A held call's approval. One that is gone, cannot be read or is of another call is none (P12); what was said by who has
    /// left since counts no more.
    pub(super) fn approval_of(&self, chain: &Chain) -> Option<Approval> {
        let name = approval_row(&chain.asked.account, &chain.asked.call);
        let row = self.get::<Approval>(&name).ok().flatten()?;
        let approval = chain.approval(row).inspect_err(|why| unfit(&name, *why)).ok()?;
        Some(approval.standing(self.state(), self.now))
    }
}
