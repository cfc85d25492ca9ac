//! Invalid rows of open calls: unreadable, or different from what the log says. The worker does not act on them.
//!
//! INVARIANT: they are logged once, those that are found together in one line, and then ignored until they change: a planted row costs
//! no more than reading it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::core::job::Job;
use crate::log::admission::job_row;
use crate::log::store::StateRow;

/// The rows by name, with what they said if that can be read.
#[derive(Default)]
pub(super) struct InvalidRows(Mutex<BTreeMap<String, Option<Job>>>);

impl InvalidRows {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Option<Job>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The open calls that all of these rows speak of, without those that are known not to fit.
    pub(super) fn read(&self, rows: &[StateRow]) -> Vec<Job> {
        let mut known = self.lock();
        let names: BTreeSet<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        known.retain(|name, _| names.contains(name.as_str()));
        let (mut jobs, mut found, mut first) = (Vec::new(), 0_usize, None);
        for row in rows {
            match serde_json::from_slice::<Job>(&row.doc) {
                Ok(job) if job_row(&job.call) == row.name => {
                    if known.get(&row.name).is_none_or(|invalid_row| invalid_row.as_ref() != Some(&job)) {
                        known.remove(&row.name);
                        jobs.push(job);
                    }
                }
                read => {
                    if known.insert(row.name.clone(), None) != Some(None) {
                        found += 1;
                        first.get_or_insert((&row.name, read.err()));
                    }
                }
            }
        }
        if let Some((row, error)) = first {
            let error = error.map_or_else(|| "it is the row of another call".to_owned(), |error| error.to_string());
            tracing::error!(%row, %error, found, "open calls cannot be read; they stay open");
        }
        jobs
    }

    /// Leaves a call alone as long as its row says this.
    pub(super) fn note(&self, job: &Job) {
        self.lock().insert(job_row(&job.call), Some(job.clone()));
    }
}
