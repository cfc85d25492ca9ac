//! What staff read of the log, as the event that tells of it names it.
//!
//! INVARIANT: the names are in leaves, so one of them never changes what it means. A new reading has a new name, and pages that word
//! readings do not compile without it.

use std::fmt;

use super::id::{AccountId, CallId, CredentialId, SwitchId};
use super::resource::ResourceId;

/// Something that staff read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A list of calls, or how many there are.
    Calls,
    /// A list of calls that goes on as they come.
    LiveCalls,
    /// A call; none for the id of no call.
    Call(Option<CallId>),
    /// What happened outside of calls.
    Events,
    /// The page of a resource, such as a VM.
    Resource(ResourceId),
    /// Accounts that a text finds.
    Accounts,
    /// An account.
    Account(AccountId),
    /// A key, or the credential of a person's sessions; none for the id of no key.
    Credential(Option<CredentialId>),
    /// The list of switches.
    Switches,
    /// A switch.
    Switch(SwitchId),
    /// What a switch would stop.
    Reach,
    /// What an id, or a name, stands for.
    Search,
    /// The list of exports.
    Exports,
    /// The page of an export.
    ExportPage(CallId),
    /// The calls of an export, when it was made.
    ExportMade(CallId),
    /// The calls of an export, as a file.
    ExportFile(CallId),
    /// The calls that wait for a person.
    Approvals,
    /// Events, by the command line on the data.
    Bundle,
}

impl Reading {
    /// What a name stands for; none for one that this version does not give.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (of, one) = name.split_once('/').map_or((name, None), |(of, one)| (of, Some(one)));
        Some(match (of, one) {
            ("calls", None) => Self::Calls,
            ("calls", Some("live")) => Self::LiveCalls,
            ("calls", Some(UNKNOWN)) => Self::Call(None),
            ("calls", Some(id)) => Self::Call(Some(id.parse().ok()?)),
            ("events", None) => Self::Events,
            ("accounts", None) => Self::Accounts,
            ("accounts", Some(id)) => Self::Account(id.parse().ok()?),
            ("credentials", Some(UNKNOWN)) => Self::Credential(None),
            ("credentials", Some(id)) => Self::Credential(Some(id.parse().ok()?)),
            ("switches", None) => Self::Switches,
            ("switches", Some("reach")) => Self::Reach,
            ("switches", Some(id)) => Self::Switch(id.parse().ok()?),
            ("search", None) => Self::Search,
            ("exports", None) => Self::Exports,
            ("exports", Some(id)) => match id.split_once('/') {
                None => Self::ExportMade(id.parse().ok()?),
                Some((id, "page")) => Self::ExportPage(id.parse().ok()?),
                Some((id, "file")) => Self::ExportFile(id.parse().ok()?),
                Some(_) => return None,
            },
            ("approvals", None) => Self::Approvals,
            ("export", None) => Self::Bundle,
            (several, Some(id)) => {
                let resource: ResourceId = id.parse().ok()?;
                return (collection(&resource) == several).then_some(Self::Resource(resource));
            }
            _ => return None,
        })
    }
}

/// What stands for the id of what there is not: the id of what is nobody's is told to nobody.
const UNKNOWN: &str = "unknown";

/// What all resources of a noun are called: `vms`.
fn collection(resource: &ResourceId) -> String {
    format!("{}s", resource.noun().name)
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Calls => f.write_str("calls"),
            Self::LiveCalls => f.write_str("calls/live"),
            Self::Call(id) => write!(f, "calls/{}", id.as_ref().map_or(UNKNOWN, CallId::as_str)),
            Self::Events => f.write_str("events"),
            Self::Resource(id) => write!(f, "{}/{id}", collection(id)),
            Self::Accounts => f.write_str("accounts"),
            Self::Account(id) => write!(f, "accounts/{id}"),
            Self::Credential(id) => write!(f, "credentials/{}", id.as_ref().map_or(UNKNOWN, CredentialId::as_str)),
            Self::Switches => f.write_str("switches"),
            Self::Switch(id) => write!(f, "switches/{id}"),
            Self::Reach => f.write_str("switches/reach"),
            Self::Search => f.write_str("search"),
            Self::Exports => f.write_str("exports"),
            Self::ExportPage(id) => write!(f, "exports/{id}/page"),
            Self::ExportMade(id) => write!(f, "exports/{id}"),
            Self::ExportFile(id) => write!(f, "exports/{id}/file"),
            Self::Approvals => f.write_str("approvals"),
            Self::Bundle => f.write_str("export"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As they are in leaves.
    const NAMES: [&str; 20] = [
        "calls",
        "calls/live",
        "calls/unknown",
        "calls/call_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "events",
        "vms/vm_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "accounts",
        "accounts/acc_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "credentials/unknown",
        "credentials/key_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "switches",
        "switches/swi_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "switches/reach",
        "search",
        "exports",
        "exports/call_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "exports/call_01ARZ3NDEKTSV4RRFFQ69G5FAV/page",
        "exports/call_01ARZ3NDEKTSV4RRFFQ69G5FAV/file",
        "approvals",
        "export",
    ];

    #[test]
    fn a_reading_is_what_its_name_says() {
        for name in NAMES {
            assert_eq!(Reading::parse(name).map(|reading| reading.to_string()).as_deref(), Some(name));
        }
        for other in ["", "calls/", "keys", "exports/x", "exports/call_01ARZ3NDEKTSV4RRFFQ69G5FAV/other", "events/1"] {
            assert_eq!(Reading::parse(other), None, "{other}");
        }
    }
}
