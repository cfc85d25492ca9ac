//! In whose turn open calls are looked at.
//!
//! INVARIANT: accounts take turns: whoever has a thousand calls has one before each other account's first, not a thousand (P13).

use std::collections::BTreeMap;

use crate::core::id::AccountId;
use crate::core::job::Job;

/// The first of each account, then the second of each, and so on; those of one account stay in their order.
pub(super) fn in_turns(jobs: &[Job]) -> Vec<&Job> {
    let mut rounds: BTreeMap<&AccountId, usize> = BTreeMap::new();
    let mut numbered: Vec<(usize, &Job)> = Vec::with_capacity(jobs.len());
    for job in jobs {
        let round = rounds.entry(&job.account).or_default();
        *round += 1;
        numbered.push((*round, job));
    }
    numbered.sort_by_key(|(round, _)| *round);
    numbered.into_iter().map(|(_, job)| job).collect()
}
