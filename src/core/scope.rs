//! Scopes: what a credential may do at most. Names of other systems are read as aliases and never written.

use std::collections::BTreeSet;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use super::near::did_you_mean;
use super::parsed::parsed;

macro_rules! scopes {
    ($(#[doc = $about:literal] $name:ident = $text:literal $(| $alias:literal)*;)*) => {
        /// One right, as it is spelled everywhere: lower case, `noun:verb`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(into = "String")]
        pub enum Scope { $(#[doc = $about] $name,)* }

        impl Scope {
            /// Every scope.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The scope as it is written.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What it allows, as a sentence.
            #[must_use]
            pub fn about(self) -> &'static str {
                match self { $(Self::$name => $about,)* }.trim_start()
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
    /// Read the account: its name, the key in use, what is left of its limits, and what a provider offers.
    AccountRead = "account:read";
    /// Read invoices and usage.
    BillingRead = "billing:read";
    /// List VMs and read their state and statistics.
    VmsRead = "vms:read" | "servers:read";
    /// Read a VM's secrets, such as its first password.
    VmsSecrets = "vms:secrets";
    /// Start, shut down, reboot, stop and reset VMs.
    VmsPower = "vms:power" | "servers:power";
    /// Change VMs, for example their names.
    VmsWrite = "vms:write" | "servers:write";
    /// Destroy VMs with their data.
    VmsDestroy = "vms:destroy" | "servers:destroy";
    /// Run commands in VMs, and read and end one's commands.
    VmsExec = "vms:exec" | "servers:exec";
    /// Open a VM's console.
    VmsConsole = "vms:console";
    /// Sign in to the provider's own dashboard.
    DashboardSso = "dashboard:sso";
    /// Read webhooks.
    WebhooksRead = "webhooks:read";
    /// Make and change webhooks.
    WebhooksWrite = "webhooks:write";
    /// Read sandboxes.
    SandboxesRead = "sandboxes:read";
    /// Make and change sandboxes.
    SandboxesWrite = "sandboxes:write";
    /// Read daemons.
    DaemonsRead = "daemons:read";
    /// Make and change daemons.
    DaemonsWrite = "daemons:write";
    /// Read the fleet of an account.
    FleetRead = "fleet:read";
    /// Administer the fleet of an account.
    FleetAdmin = "fleet:admin";
    /// Read API settings.
    ApiRead = "api:read";
    /// Change API settings.
    ApiWrite = "api:write";
    /// Read messages.
    MessagesRead = "messages:read";
    /// Send messages.
    MessagesWrite = "messages:write";
    /// Read the account's calls and events, and export them.
    AuditRead = "audit:read";
    /// List the account's keys.
    KeysRead = "keys:read";
    /// Make, rotate and revoke the account's keys.
    KeysWrite = "keys:write";
    /// Approve and reject calls that wait for one of the account's people.
    ApprovalsDecide = "approvals:decide";
    /// Read the calls and events of every account; each reading is recorded.
    StaffAudit = "staff:audit";
    /// Engage, release and drill kill switches, cancel calls, clear a VM's place for a command, and accept a clock.
    StaffSwitch = "staff:switch" | "staff:killswitch";
    /// Administer accounts, end customers' keys, administer those of staff, and give machines to accounts.
    StaffTokens = "staff:tokens";
    /// Export the calls and events of every account.
    StaffExport = "staff:export";
    /// Put policies and limits in force.
    StaffPolicy = "staff:policy";
    /// Approve and reject calls that wait for staff.
    StaffApprove = "staff:approve";
    /// List the account's people and invitations.
    PeopleRead = "people:read";
    /// Invite and remove the account's people, change their roles, and end their sessions.
    PeopleWrite = "people:write";
    /// Administer the people of every account.
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
#[error("unknown scope {name:?}. {}There are {}", meant(.name), all())]
pub struct UnknownScope {
    /// What was asked for.
    pub name: String,
}

/// Which one was probably meant.
fn meant(name: &str) -> String {
    let known = Scope::ALL.iter().map(|scope| scope.as_str());
    did_you_mean(name, known, str::to_owned).map_or_else(String::new, |meant| format!("{meant} "))
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
