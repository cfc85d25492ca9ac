//! The open calls that something covers: for whoever engages a switch, and for whoever looks first at what it would stop.
//!
//! INVARIANT: they are read in pages, so that whoever has only so much time uses what was read in it, however many there are.

use super::Ports;
use crate::core::covering::Covered;
use crate::core::job::Job;
use crate::core::state::ControlState;
use crate::core::tool::ToolSpec;
use crate::log::store::StoreError;

/// How many rows are read at once.
pub const PAGE: usize = 500;

/// A walk through the open calls.
#[derive(Default)]
pub struct OpenCalls {
    /// Name of the row that was read last.
    after: Option<String>,
}

impl OpenCalls {
    /// Those of the next page that are covered, as their rows say; `None` after the last page. A row that cannot be read is none.
    pub async fn next(
        &mut self,
        ports: &Ports,
        facts: impl Fn(&str) -> Option<&'static ToolSpec>,
        covers: impl Fn(&Covered<'_>, &ControlState) -> bool,
    ) -> Result<Option<Vec<Job>>, StoreError> {
        let rows = ports.reader.store.page_under("job:", self.after.as_deref(), PAGE).await?;
        let Some(last) = rows.last() else { return Ok(None) };
        self.after = Some(last.name.clone());
        let state = ports.fence().state();
        let is_covered = |job: &Job| facts(&job.tool).is_some_and(|tool| covers(&job.properties(tool), &state));
        Ok(Some(rows.iter().filter_map(|row| serde_json::from_slice(&row.doc).ok()).filter(is_covered).collect()))
    }
}

/// All that are covered.
pub async fn open_calls(
    ports: &Ports,
    facts: impl Fn(&str) -> Option<&'static ToolSpec>,
    covers: impl Fn(&Covered<'_>, &ControlState) -> bool,
) -> Result<Vec<Job>, StoreError> {
    let (mut walk, mut open) = (OpenCalls::default(), Vec::new());
    while let Some(jobs) = walk.next(ports, &facts, &covers).await? {
        open.extend(jobs);
    }
    Ok(open)
}
