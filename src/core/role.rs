//! Roles: what a person may do in the console at most, as a bundle of scopes. A key has scopes and no role.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::principal::Side;
use super::scope::{Scope, ScopeSet};

/// What a person is to an account, or in the staff.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Of a customer: everything, keys included.
    Owner,
    /// Of a customer: works with the VMs; neither makes keys nor destroys anything.
    Member,
    /// Of the staff: reads the log.
    Reader,
    /// Of the staff: reads, and engages and releases switches.
    Responder,
    /// Of the staff: reads, and takes exports away.
    Exporter,
    /// Of the staff: everything.
    Admin,
}

/// A text that names no role.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown role {0:?}: use owner or member, or for staff reader, responder, exporter or admin")]
pub struct UnknownRole(pub String);

impl Role {
    /// Every role.
    pub const ALL: [Self; 6] = [Self::Owner, Self::Member, Self::Reader, Self::Responder, Self::Exporter, Self::Admin];

    /// The role as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Member => "member",
            Self::Reader => "reader",
            Self::Responder => "responder",
            Self::Exporter => "exporter",
            Self::Admin => "admin",
        }
    }

    /// Which side of the counter has it.
    #[must_use]
    pub fn side(self) -> Side {
        match self {
            Self::Owner | Self::Member => Side::Customer,
            Self::Reader | Self::Responder | Self::Exporter | Self::Admin => Side::Staff,
        }
    }

    /// Whether it makes and ends keys of others, and says who the people are.
    #[must_use]
    pub fn administers(self) -> bool {
        matches!(self, Self::Owner | Self::Admin)
    }

    /// What it may do at most.
    #[must_use]
    pub fn scopes(self) -> ScopeSet {
        match self {
            Self::Owner => with(
                Scope::customer(),
                &[Scope::KeysRead, Scope::KeysWrite, Scope::PeopleRead, Scope::PeopleWrite, Scope::ApprovalsDecide],
            ),
            Self::Admin => with(Scope::staff(), &[Scope::StaffPeople, Scope::StaffApprove]),
            Self::Reader => ScopeSet::from([Scope::StaffAudit]),
            Self::Responder => ScopeSet::from([Scope::StaffAudit, Scope::StaffSwitch, Scope::StaffApprove]),
            Self::Exporter => ScopeSet::from([Scope::StaffAudit, Scope::StaffExport]),
            Self::Member => {
                let beyond = [Scope::VmsDestroy, Scope::VmsSecrets, Scope::BillingRead, Scope::DashboardSso, Scope::ApiWrite];
                let usual = Scope::customer().into_iter().filter(|scope| !beyond.contains(scope)).collect();
                with(usual, &[Scope::KeysRead, Scope::PeopleRead])
            }
        }
    }
}

fn with(mut scopes: ScopeSet, more: &[Scope]) -> ScopeSet {
    scopes.extend(more);
    scopes
}

impl FromStr for Role {
    type Err = UnknownRole;
    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| UnknownRole(text.to_owned()))
    }
}
