//! The open calls that something covers: for whoever engages a switch, and for whoever looks first at what it would stop.

use super::Ports;
use crate::core::covering::Covered;
use crate::core::job::Job;
use crate::core::state::ControlState;
use crate::core::tool::ToolSpec;
use crate::log::store::StoreError;

/// The calls that wait or run and are covered, as their rows say. A row that cannot be read is none.
pub async fn open_calls(
    ports: &Ports,
    facts: impl Fn(&str) -> Option<&'static ToolSpec>,
    covers: impl Fn(&Covered<'_>, &ControlState) -> bool,
) -> Result<Vec<Job>, StoreError> {
    let rows = ports.reader.store.state(&["job"]).await?;
    let state = ports.fence().state();
    let is_covered = |job: &Job| facts(&job.tool).is_some_and(|tool| covers(&job.properties(tool), &state));
    Ok(rows.iter().filter_map(|row| serde_json::from_slice(&row.doc).ok()).filter(is_covered).collect())
}
