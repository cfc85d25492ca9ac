//! Mending the state beside the log: rows that are not what the log says are written anew as it says, and what no event made is
//! removed. For the owner, on the data itself.
//!
//! INVARIANT: nothing is mended unless the log itself is whole, nothing but what the events make is written, and that it was
//! done is an event that says how many rows of which kinds it was. Of the vault nothing is written: rows that are not ours go.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::local_admin::{LocalAdmin, LocalAdminError};
use super::rooms::RoomError;
use crate::core::chain::Chain;
use crate::core::event::{EventKind, MendedRows};
use crate::core::id::{CallId, Position};
use crate::core::job::Job;
use crate::core::tool::ToolSpec;
use crate::export::verify::{Differences, Folded, checked};
use crate::log::admission::job_row;
use crate::log::draft::{Draft, NewEvent};
use crate::log::roles;
use crate::log::signet::ForgedRow;
use crate::log::sql::SqlError;
use crate::log::store::{StateRow, StoreError, Want};

/// Mending that was not done.
#[derive(Debug, thiserror::Error)]
pub enum MendError {
    /// The log cannot be written.
    #[error(transparent)]
    LocalAdmin(#[from] LocalAdminError),
    /// The database cannot say who asks.
    #[error("looking for the owner of the schema")]
    Owner(#[source] crate::log::sql::SqlError),
    /// It must not be done.
    #[error("nothing was mended: {0}")]
    Refused(String),
}

/// What is to be written.
struct Plan {
    written: Vec<StateRow>,
    removed: Vec<String>,
    calls: Vec<CallId>,
}

/// Mends what differs, by the tools that calls name; answers how many rows of which kinds that were, and where it is written.
/// Nothing is written if nothing differs.
pub async fn mend(
    local_admin: &LocalAdmin,
    tools: impl Fn(&str) -> Option<&'static ToolSpec> + Send + 'static,
    folded: &Folded,
) -> Result<Option<(Position, Vec<MendedRows>)>, MendError> {
    if !roles::owns(local_admin.rooms.store.database()).await.map_err(MendError::Owner)? {
        let text = "that takes the role that owns the schema, as `forelog migrate` does: name it with --database-url";
        return Err(MendError::Refused(text.into()));
    }
    let Differences { control: written, extra: removed, calls, epoch: moves, head: pushed } =
        folded.differences().map_err(MendError::Refused)?;
    if pushed {
        refuse_a_cut_log(local_admin).await?;
    }
    let plan = Plan { written, removed, calls };
    let sealed = local_admin.rooms.vault.sealed_calls().await.map_err(LocalAdminError::from)?;
    let strangers = local_admin.rooms.vault.forged_rows().await.map_err(LocalAdminError::from)?;
    let strange = counted(&strangers);
    let mut state = folded.state().map_err(MendError::Refused)?;
    let note = local_admin.signed(&state.operator_account()).await?;
    // The rows are not believed: what the writer goes by is what was folded, under the epoch that the head says.
    let (made, head) = (state.epoch, folded.head_epoch());
    let epoch = if head.is_spent() { made } else { made.max(head) };
    state.epoch = head;
    let known = state.position;
    local_admin.writer.fence().publish(&Arc::new(state));
    let names = plan.calls.iter().map(job_row).chain(plan.removed.iter().cloned()).collect();
    let want = Want { names, calls: plan.calls.clone(), ..Want::default() };
    let written = local_admin.writer.write(want, move |draft| {
        // An epoch that is out of reach does not tell.
        if draft.state().epoch != head || (head.is_spent() && draft.state().position != known) {
            return Ok(Err("control state was changed meanwhile; run it again"));
        }
        let mut rows: Vec<MendedRows> = plan.write(draft, &tools, &sealed)?.into_iter().chain(strange.clone()).collect();
        if rows.is_empty() && !moves && !pushed {
            return Ok(Ok(None));
        }
        let epoch = if head.is_spent() { epoch } else { draft.state().epoch.max(epoch) };
        if pushed {
            rows.push(MendedRows { kind: "head".into(), written: 1, removed: 0 });
            draft.repair(epoch);
        }
        let kind = EventKind::StateMended { rows: rows.clone(), epoch };
        Ok(Ok(Some((draft.append(Position(0), NewEvent::under(&note, kind))?, rows))))
    });
    let mended = written.await.map_err(LocalAdminError::from)?.map_err(|why| MendError::Refused(why.into()))?;
    // They have counted as not there all the time.
    local_admin.rooms.vault.remove(&strangers).await.map_err(LocalAdminError::from)?;
    Ok(mended)
}

/// How many rows of which tables of the vault are removed.
fn counted(strangers: &[ForgedRow]) -> Vec<MendedRows> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for row in strangers {
        *counts.entry(row.table()).or_default() += 1;
    }
    counts.into_iter().map(|(table, removed)| MendedRows { kind: format!("vault.{table}").into(), written: 0, removed }).collect()
}

/// A head ahead of the events may be all that is left of some that were taken away: then nothing is put right over that.
async fn refuse_a_cut_log(local_admin: &LocalAdmin) -> Result<(), MendError> {
    let failed = |error: SqlError| MendError::LocalAdmin(RoomError::of_log(error).into());
    let database = local_admin.rooms.store.database();
    let rows = database.query(BEYOND, Vec::new()).await.map_err(failed)?;
    let Some(row) = rows.first() else { return Ok(()) };
    let text = format!(
        "{} is of an event that is not there: the end of the log is missing, which takes a backup",
        row.text(0).map_err(failed)?
    );
    Err(MendError::Refused(text))
}

/// Rows that only an event after the newest one can have written.
const BEYOND: &str = "\
select part from payload where position > (select coalesce(max(position), 0) from event)
union all select name from state where control = 0 and position > (select coalesce(max(position), 0) from event) limit 1";

impl Plan {
    fn write(
        &self,
        draft: &mut Draft,
        tools: &impl Fn(&str) -> Option<&'static ToolSpec>,
        sealed: &[CallId],
    ) -> Result<Vec<MendedRows>, StoreError> {
        let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        let mut count = |name: &str, removed: bool| {
            let counted = counts.entry(kind_of(name).to_owned()).or_default();
            *(if removed { &mut counted.1 } else { &mut counted.0 }) += 1;
        };
        for row in &self.written {
            count(&row.name, false);
            draft.mend(row.clone());
        }
        for name in &self.removed {
            count(name, true);
            draft.delete(name);
        }
        // Calls go on meanwhile: each is looked at as it stands now.
        for call in &self.calls {
            let name = job_row(call);
            let row = draft.get::<Job>(&name).ok().flatten();
            match draft.chain(call)?.filter(|chain| !chain.status.is_terminal()) {
                Some(chain) => {
                    let job = whole(&chain, tools, row.as_ref(), sealed);
                    if row.as_ref() != Some(&job) {
                        count(&name, false);
                        draft.put(&name, &job)?;
                    }
                }
                None if draft.bytes(&name).is_some() => {
                    count(&name, true);
                    draft.delete(&name);
                }
                None => {}
            }
        }
        let rows = counts.into_iter().map(|(kind, (written, removed))| MendedRows { kind: kind.into(), written, removed });
        Ok(rows.collect())
    }
}

/// What the event says of a row: its kind if that is one of ours, for a name may be anybody's text, and of any length.
fn kind_of(name: &str) -> &str {
    let kind = name.split(':').next().unwrap_or_default();
    if checked().any(|known| known == kind) { kind } else { "other" }
}

/// The row of an open call as it has to be.
fn whole(chain: &Chain, tools: &impl Fn(&str) -> Option<&'static ToolSpec>, row: Option<&Job>, sealed: &[CallId]) -> Job {
    let job = chain.job(tools(&chain.asked.tool), row.filter(|row| row.call == chain.asked.call));
    Job { sealed: sealed.contains(&job.call), ..job }
}
