//! Scopes: what a credential may do at most. Names of other systems are read as aliases and never written.

use std::collections::BTreeSet;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use super::parsed::parsed;

macro_rules! scopes {
    ($($name:ident = $text:literal $(| $alias:literal)*;)*) => {
        /// One right, as it is spelled everywhere: lower case, `noun:verb`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(into = "String")]
        #[cfg_attr(feature = "testing", expect(missing_docs, reason = "each name is its own description"))]
        pub enum Scope { $($name,)* }

        impl Scope {
            /// Every scope.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The scope as it is written.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }

        impl FromStr for Scope {
            type Err = UnknownScope;
            fn from_str(text: &str) -> Result<Self, UnknownScope> {
                match text {
                    $($text $(| $alias)* => Ok(Self::$name),)*
                    _ => Err(UnknownScope { name: text.to_owned() }),
                }
            }
        }
    };
}

scopes! {
    AccountRead = "account:read";
    BillingRead = "billing:read";
    VmsRead = "vms:read" | "servers:read";
    VmsSecrets = "vms:secrets";
    VmsPower = "vms:power" | "servers:power";
    VmsWrite = "vms:write" | "servers:write";
    VmsDestroy = "vms:destroy" | "servers:destroy";
    VmsExec = "vms:exec" | "servers:exec";
    VmsConsole = "vms:console";
    DashboardSso = "dashboard:sso";
    WebhooksRead = "webhooks:read";
    WebhooksWrite = "webhooks:write";
    SandboxesRead = "sandboxes:read";
    SandboxesWrite = "sandboxes:write";
    DaemonsRead = "daemons:read";
    DaemonsWrite = "daemons:write";
    FleetRead = "fleet:read";
    FleetAdmin = "fleet:admin";
    ApiRead = "api:read";
    ApiWrite = "api:write";
    MessagesRead = "messages:read";
    MessagesWrite = "messages:write";
    AuditRead = "audit:read";
    KeysRead = "keys:read";
    KeysWrite = "keys:write";
    ApprovalsDecide = "approvals:decide";
    StaffAudit = "staff:audit";
    StaffSwitch = "staff:switch" | "staff:killswitch";
    StaffTokens = "staff:tokens";
    StaffExport = "staff:export";
    StaffPolicy = "staff:policy";
    StaffApprove = "staff:approve";
    PeopleRead = "people:read";
    PeopleWrite = "people:write";
    StaffPeople = "staff:people";
}

impl Scope {
    /// What an agent's key may do unless somebody chooses, in the console and on the command line: it sees, restarts and runs
    /// commands, and destroys nothing.
    pub const AGENT: [Self; 5] = [Self::AccountRead, Self::VmsRead, Self::VmsPower, Self::VmsExec, Self::AuditRead];

    /// Staff scopes are accepted on REST and the CLI, never on `/mcp` or stdio.
    #[must_use]
    pub fn is_staff(self) -> bool {
        self.as_str().starts_with("staff:")
    }

    /// A right that is in no default set: over people and over keys, by which one right becomes another, and to say yes for a
    /// person. Whoever has it was given it by name.
    #[must_use]
    pub fn is_by_name(self) -> bool {
        use Scope::{ApprovalsDecide, KeysRead, KeysWrite, PeopleRead, PeopleWrite, StaffApprove, StaffPeople};
        matches!(self, PeopleRead | PeopleWrite | StaffPeople | KeysRead | KeysWrite | ApprovalsDecide | StaffApprove)
    }

    /// All that a customer's key may have without being given it by name.
    #[must_use]
    pub fn customer() -> ScopeSet {
        let usual = |scope: &Self| !scope.is_staff() && !scope.is_by_name() && *scope != Self::FleetAdmin;
        Self::ALL.iter().copied().filter(usual).collect()
    }

    /// All that a staff key has unless somebody chooses.
    #[must_use]
    pub fn staff() -> ScopeSet {
        Self::ALL.iter().copied().filter(|scope| scope.is_staff() && !scope.is_by_name()).collect()
    }
}

/// The scopes of one credential, in a stable order.
pub type ScopeSet = BTreeSet<Scope>;

/// A scope that is not in the table.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown scope {name:?}; there are {}", all())]
pub struct UnknownScope {
    /// What was asked for.
    pub name: String,
}

/// Their names, for somebody who does not know them.
fn all() -> String {
    Scope::ALL.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ")
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.as_str().to_owned()
    }
}
