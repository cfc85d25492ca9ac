//! Rows that a decision looks up by key: limit windows, key uses, a claim, and the call that it may repeat.
//!
//! INVARIANT: the transaction reads the rows that [`rows_of`] names. A decision that needs another row is not made
//! (`Decision::Unsettled`). An unreadable row refuses every call that depends on it (P12), except stops.

use std::collections::BTreeMap;

use super::draft::Draft;
use super::row_names::{claim_row, job_row, readable};
pub use super::row_names::{limit_row, use_row};
use super::store::{StoreError, Want};
use super::writer::Writer;
use crate::core::decide::limit_keys;
use crate::core::id::{CallId, CredentialId};
use crate::core::job::{Claim, Idempotency, Job, Use};
use crate::core::limit::{Limit, Window};
use crate::core::lineage::LineageRows;
use crate::core::proposal::Proposal;
use crate::core::resource::place_of;
use crate::core::time::Micros;
use crate::core::tool::ToolSpec;

/// What a decision looks up by key.
pub(super) struct LookedUpRows {
    pub(super) windows: BTreeMap<String, Window>,
    pub(super) idempotency: Option<Idempotency>,
    pub(super) joined: u32,
    pub(super) claim: Option<Claim>,
    pub(super) uses: BTreeMap<CredentialId, Micros>,
}

/// The rows that a decision on `proposal` looks up.
pub(super) fn rows_of(proposal: &Proposal) -> Vec<String> {
    let mut names: Vec<String> = limit_keys(proposal).iter().map(|key| limit_row(key)).collect();
    names.extend(use_rows(&proposal.lineage_rows));
    let claims = proposal.tool.is_some_and(ToolSpec::is_command);
    names.extend(place_of(&proposal.resources).filter(|_| claims).map(claim_row));
    names
}

/// The rows that say when the keys were last used that count for a decision.
#[must_use]
pub fn use_rows(lineage_rows: &LineageRows) -> Vec<String> {
    lineage_rows.uses.iter().map(use_row).collect()
}

impl Draft {
    pub(super) fn look_up(&self, proposal: &Proposal) -> Result<LookedUpRows, StoreError> {
        if proposal.tool.is_some_and(|tool| tool.stops) {
            return Ok(self.look_up_to_stop(proposal));
        }
        let mut windows = BTreeMap::new();
        for key in limit_keys(proposal) {
            let Some(bytes) = self.bytes(&limit_row(&key)) else { continue };
            windows.insert(key, Window::decode(bytes).map_err(|error| StoreError::Unreadable(error.to_string()))?);
        }
        let idempotency = proposal.idempotency.as_ref().map_or(Ok(None), |(key, _)| self.get::<Idempotency>(key))?;
        let claims = proposal.tool.is_some_and(ToolSpec::is_command);
        let place = place_of(&proposal.resources).filter(|_| claims);
        let claim = place.map_or(Ok(None), |place| self.get::<Claim>(&claim_row(place)))?;
        let joined = self.joined(proposal, idempotency.as_ref())?;
        Ok(LookedUpRows { windows, idempotency, joined, claim, uses: self.uses(&proposal.lineage_rows)? })
    }

    /// What a stop looks up. It counts against no limit unless what it would stop is stopped already, and holds no place. A row that
    /// cannot be read counts as missing; a last use that cannot be read counts as now, so the key is not taken for inactive.
    fn look_up_to_stop(&self, proposal: &Proposal) -> LookedUpRows {
        let row = proposal.idempotency.as_ref().map(|(key, _)| self.get::<Idempotency>(key));
        let idempotency = readable(row.unwrap_or(Ok(None)));
        let joined = idempotency.as_ref().map_or(0, |row| row.joined);
        let last = |key: &CredentialId| match self.get::<Use>(&use_row(key)) {
            Ok(used) => used.map(|used| used.last),
            broken => readable(broken).map_or(Some(self.now), |used| Some(used.last)),
        };
        let uses = proposal.lineage_rows.uses.iter().filter_map(|key| Some((key.clone(), last(key)?))).collect();
        // Of what would change nothing if it came now. An unreadable one holds up nobody.
        let window = |key: &String| Window::decode(self.bytes(&limit_row(key))?).ok();
        let windows = limit_keys(proposal).into_iter().filter_map(|key| Some((key.clone(), window(&key)?))).collect();
        LookedUpRows { windows, idempotency, joined, claim: None, uses }
    }

    /// Takes a slot of each; answers their keys.
    pub(super) fn take_slots(&mut self, limits: &[(String, Limit)]) -> Vec<String> {
        for (key, limit) in limits {
            let name = limit_row(key);
            let mut window = self.bytes(&name).map_or(Ok(Window::default()), Window::decode).unwrap_or_default();
            window.take(*limit, self.at);
            self.put_bytes(&name, window.encode());
        }
        limits.iter().map(|(key, _)| key.clone()).collect()
    }

    /// How many have joined the call that this one would join: it stands with its idempotency key, else with the call itself.
    fn joined(&self, proposal: &Proposal, row: Option<&Idempotency>) -> Result<u32, StoreError> {
        match (&proposal.follows, row) {
            (Some(first), row) if row.is_none_or(|row| row.call != *first) => {
                Ok(self.get::<Job>(&job_row(first))?.map_or(0, |job| job.joined))
            }
            (_, row) => Ok(row.map_or(0, |row| row.joined)),
        }
    }

    pub(super) fn count_joined(&mut self, proposal: &Proposal, first: &CallId) -> Result<(), StoreError> {
        if let Some((key, _)) = &proposal.idempotency
            && let Some(row) = self.get::<Idempotency>(key)?.filter(|row| row.call == *first)
        {
            return self.put(key, &Idempotency { joined: row.joined + 1, ..row });
        }
        let name = job_row(first);
        match self.get::<Job>(&name)? {
            Some(job) => self.put(&name, &Job { joined: job.joined + 1, ..job }),
            None => Ok(()),
        }
    }

    /// Counts the use of a key. A row that cannot be read stays as it is: it refuses what does not stop, and that is recorded all
    /// the same.
    pub(super) fn count_use(&mut self, credential: &CredentialId) -> Result<(), StoreError> {
        let row = use_row(credential);
        match self.get::<Use>(&row) {
            Ok(used) => self.put(&row, &Use { last: self.now, count: used.unwrap_or_default().count + 1 }),
            Err(error) => {
                tracing::error!(%error, "the use of a key cannot be counted");
                Ok(())
            }
        }
    }

    /// When the keys were last used that count for a decision.
    pub fn uses(&self, lineage_rows: &LineageRows) -> Result<BTreeMap<CredentialId, Micros>, StoreError> {
        let mut uses = BTreeMap::new();
        for key in &lineage_rows.uses {
            uses.extend(self.get::<Use>(&use_row(key))?.map(|used| (key.clone(), used.last)));
        }
        Ok(uses)
    }
}

impl Writer {
    /// Counts the use of a key in a transaction to come: nobody who stops something waits for that.
    pub(super) fn count_use_later(&self, credential: &CredentialId) {
        let (writer, credential) = (self.clone(), credential.clone());
        let want = Want { names: vec![use_row(&credential)], ..Want::default() };
        tokio::spawn(async move {
            if let Err(error) = writer.write(want, move |draft| draft.count_use(&credential)).await {
                tracing::error!(%error, "the use of a key that stopped something was not counted");
            }
        });
    }
}
