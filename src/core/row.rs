//! Names of the rows that control state is stored in.
//!
//! INVARIANT: a row is of the kind and the key that its name says, or it is not read.

use super::id::CredentialId;

/// One row of control state by name: its kind and its key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowName {
    /// `account`, `person`, `invitation`, `credential`, `vm`, `switch`, `clock`, `policy` or `limits`.
    pub kind: &'static str,
    /// The id within the kind.
    pub key: String,
}

/// A control row that is not what its kind should be.
#[derive(Debug, thiserror::Error)]
#[error("reading control row {kind}:{key}")]
pub struct UnreadableRow {
    pub(super) kind: String,
    pub(super) key: String,
    #[source]
    pub(super) source: serde_json::Error,
}

pub(super) fn named(kind: &'static str, key: &str) -> Vec<RowName> {
    vec![RowName { kind, key: key.to_owned() }]
}

pub(super) fn all_named(kind: &'static str, keys: &[CredentialId]) -> Vec<RowName> {
    keys.iter().map(|key| RowName { kind, key: key.to_string() }).collect()
}
