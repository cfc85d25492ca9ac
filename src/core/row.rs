//! Rows of control state that have no file of their own, and the names that all of them are stored under.
//!
//! INVARIANT: a row is of the kind and the key that its name says, or it is not read.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::bounded::Hex;
use super::event::CredentialCreated;
use super::id::{AccountId, CredentialId, UserId, VmId};
use super::limit::Limit;
use super::principal::Side;
use super::role::Role;
use super::scope::ScopeSet;
use super::time::Micros;

/// A customer, or the provider's own staff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Customer or staff.
    pub side: Side,
    /// A key of the account may turn command execution on for a VM.
    pub agents_may_enable_exec: bool,
}

/// A key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredCredential")]
pub struct Credential {
    /// What was recorded when it was made.
    #[serde(flatten)]
    pub created: CredentialCreated,
    /// A name that people gave it.
    pub label: String,
    /// Addresses it may be used from, as networks; any if absent.
    pub ips: Option<Vec<String>>,
    /// When it was made.
    pub created_at: Micros,
    /// When it was revoked.
    pub revoked_at: Option<Micros>,
    /// What it comes from, and what has come of it.
    #[serde(default, skip_serializing_if = "Descent::is_plain")]
    pub descent: Descent,
}

impl Credential {
    /// Whether the console acts with it for a person who is signed in. It is no key then: nobody holds a secret of it.
    #[must_use]
    pub fn is_person(&self) -> bool {
        self.created.role.is_some()
    }
}

/// Where a credential stands among those that it comes from. A key and all that replace it are one: what is said of them
/// together stands at the first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descent {
    /// The first of the keys that it replaces, one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<CredentialId>,
    /// Of a first one: the newest of those that replace it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<CredentialId>,
    /// On the first key of a rotation chain only: the makers of every key in the chain, each named by the first key of its own chain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub makers: Vec<CredentialId>,
    /// Of a first one: when it was revoked together with what replaces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Micros>,
    /// Of what the console acts with: it has ended with its role, and the person is still there, so what they made goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stays: bool,
}

impl Descent {
    /// It comes from nobody, and nothing has come of it.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// [`Credential`] as it is read. `flatten` reads a row twice, and there are more of these than of any other kind.
#[derive(Deserialize)]
struct StoredCredential {
    credential: CredentialId,
    account: AccountId,
    user: UserId,
    side: Side,
    hash: Hex,
    prefix: Hex,
    scopes: ScopeSet,
    vms: Option<Vec<VmId>>,
    #[serde(default)]
    read_only: bool,
    expires_at: Option<Micros>,
    limit: Option<Limit>,
    rotates: Option<CredentialId>,
    role: Option<Role>,
    made_by: Option<CredentialId>,
    label: String,
    ips: Option<Vec<String>>,
    created_at: Micros,
    revoked_at: Option<Micros>,
    #[serde(default)]
    descent: Descent,
}

impl From<StoredCredential> for Credential {
    fn from(row: StoredCredential) -> Self {
        let created = CredentialCreated {
            credential: row.credential,
            account: row.account,
            user: row.user,
            side: row.side,
            hash: row.hash,
            prefix: row.prefix,
            scopes: row.scopes,
            vms: row.vms,
            read_only: row.read_only,
            expires_at: row.expires_at,
            limit: row.limit,
            rotates: row.rotates,
            role: row.role,
            made_by: row.made_by,
        };
        Self {
            created,
            label: row.label,
            ips: row.ips,
            created_at: row.created_at,
            revoked_at: row.revoked_at,
            descent: row.descent,
        }
    }
}

/// The policy set in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicySet {
    /// Counts loads, from 1.
    pub version: i64,
    /// SHA-256 of its text, hex.
    pub sha256: String,
}

/// The kinds of rows that control state is made of. All that folds, stores, loads, checks or mends rows goes by this list, and a kind that
/// somebody forgot does not compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKind {
    /// The clock that was accepted.
    Clock,
    /// Accounts.
    Account,
    /// People.
    Person,
    /// Invitations.
    Invitation,
    /// Keys.
    Credential,
    /// VMs.
    Vm,
    /// Switches.
    Switch,
    /// The policies in force.
    Policy,
    /// The limits in force.
    Limits,
    /// Switches that were changed on the data itself.
    Alarms,
}

impl RowKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Clock,
        Self::Account,
        Self::Person,
        Self::Invitation,
        Self::Credential,
        Self::Vm,
        Self::Switch,
        Self::Policy,
        Self::Limits,
        Self::Alarms,
    ];

    /// As it is written in a row's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::Account => "account",
            Self::Person => "person",
            Self::Invitation => "invitation",
            Self::Credential => "credential",
            Self::Vm => "vm",
            Self::Switch => "switch",
            Self::Policy => "policy",
            Self::Limits => "limits",
            Self::Alarms => "alarms",
        }
    }

    /// The kind that is written so.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for RowKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a row: `kind:key`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowName {
    /// Its kind.
    pub kind: RowKind,
    /// The id within the kind.
    pub key: String,
}

impl fmt::Display for RowName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.key)
    }
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

pub(super) fn named(kind: RowKind, key: &str) -> Vec<RowName> {
    vec![RowName { kind, key: key.to_owned() }]
}

pub(super) fn all_named(kind: RowKind, keys: &[CredentialId]) -> Vec<RowName> {
    keys.iter().map(|key| RowName { kind, key: key.to_string() }).collect()
}
