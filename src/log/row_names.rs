//! Names of the rows beside the log that are of calls and keys, and how one is read that may be broken.

use super::store::StoreError;
use crate::core::id::{AccountId, CallId, CredentialId};
use crate::core::job::Job;
use crate::core::resource::{ResourceId, place_of};

/// Name of an open call's row.
#[must_use]
pub fn job_row(call: &CallId) -> String {
    format!("job:{call}")
}

/// Name of the row that says which call has the one place for a command in a resource.
#[must_use]
pub fn claim_row(resource: &ResourceId) -> String {
    format!("claim:{resource}")
}

/// What the rows of an account's open calls begin with.
pub(super) fn opens_of(account: &AccountId) -> String {
    format!("open:{account}/")
}

/// The row of an open call; it says whose key the call came with.
pub(super) fn open_row(job: &Job) -> String {
    format!("{}{}", opens_of(&job.account), job.call)
}

/// What the names of the rows of all held calls begin with.
pub const APPROVALS: &str = "approval:";

/// What the names of the rows of an account's held calls begin with: whoever asks about one account reads no other's.
#[must_use]
pub fn approvals_of(account: &AccountId) -> String {
    format!("{APPROVALS}{account}/")
}

/// Name of a held call's approval row.
#[must_use]
pub fn approval_row(account: &AccountId, call: &CallId) -> String {
    format!("{}{call}", approvals_of(account))
}

/// Name of the row of a call that ended `unknown` and that its provider was not yet asked about.
#[must_use]
pub fn unknown_row(call: &CallId) -> String {
    format!("unknown:{call}")
}

/// Name of the row that says how often a key was used, and when last.
#[must_use]
pub fn use_row(credential: &CredentialId) -> String {
    format!("use:{credential}")
}

/// Name of the row of a limit's window.
#[must_use]
pub fn limit_row(key: &str) -> String {
    format!("limit:{key}")
}

/// The rows that the end of an open call frees: its place for a command, and its idempotency key.
pub(super) fn freed_with(job: &Job) -> Vec<String> {
    let claim = place_of(&job.resources).filter(|_| job.claim).map(claim_row);
    claim.into_iter().chain(job.idempotency.clone()).collect()
}

/// What was read; a row that cannot be read is named, and left as it is.
pub(super) fn readable<T>(read: Result<Option<T>, StoreError>) -> Option<T> {
    read.unwrap_or_else(|error| {
        tracing::error!(%error, "a row cannot be read, and something goes on without it");
        None
    })
}
