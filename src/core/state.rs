//! Control state: accounts, people, credentials, VMs, switches, the policy set and the limits in force. Events change it
//! (`fold/`), `lookup/` finds rows in it, and [`super::stored`] stores and loads it.
//!
//! INVARIANT: it is the fold of its events, and nothing else changes it, for the writer and for `doctor` alike; a stored
//! row that differs from the fold of the log is a fault, and nothing is decided with it (P12): what is loaded has the root
//! that the newest event says ([`ControlState::follows`]).

use super::alarm::Alarms;
use super::clock::Accepted;
use super::earlier_terms::TermsInForce;
use super::id::{Epoch, Position};
use super::root::{Loose, Root, RootKey};
pub use super::row::{Account, Credential, PolicySet, RowKind, RowName};
use super::switch::Switch;
use super::table::Table;
use super::time::Micros;
use super::user::{Invitation, User};
pub use super::vm::Vm;

/// Everything a decision reads that is not looked up by key. A copy shares all of it, however much that is.
#[derive(Clone, Debug, Default)]
pub struct ControlState {
    /// Moves with every change.
    pub epoch: Epoch,
    /// Position of the newest event that is folded in.
    pub position: Position,
    /// Accounts by id.
    pub accounts: Table<Account>,
    /// Keys by id, revoked ones included.
    pub credentials: Table<Credential>,
    /// VMs by id.
    pub vms: Table<Vm>,
    /// Switches in force.
    pub switches: Table<Switch>,
    /// The policy set in force.
    pub policy: Option<PolicySet>,
    /// The limits in force, and the other numbers that decide for callers.
    pub terms: Option<TermsInForce>,
    /// People whose role the log has said, removed ones included.
    pub users: Table<User>,
    /// Invitations that nobody has taken or revoked yet.
    pub invitations: Table<Invitation>,
    /// The clock as it was last accepted; none if it never had to be.
    pub clock: Option<Accepted>,
    /// Switches that were changed on the data itself, lately.
    pub alarms: Alarms,
    /// What the root counts the rows as that are in no table.
    pub(super) loose: Loose,
    /// Digest of all rows.
    pub(super) root: Root,
}

/// By rows: the root and what finds them follow from them.
impl PartialEq for ControlState {
    fn eq(&self, other: &Self) -> bool {
        // Without `..`: a new table does not compile until it is compared.
        let Self {
            epoch,
            position,
            accounts,
            credentials,
            vms,
            switches,
            policy,
            terms,
            users,
            invitations,
            clock,
            alarms,
            loose: _,
            root: _,
        } = self;
        (*epoch, *position) == (other.epoch, other.position)
            && (accounts, credentials, vms) == (&other.accounts, &other.credentials, &other.vms)
            && (switches, policy, terms) == (&other.switches, &other.policy, &other.terms)
            && (users, invitations) == (&other.users, &other.invitations)
            && (clock, alarms) == (&other.clock, &other.alarms)
    }
}

impl Eq for ControlState {}

impl ControlState {
    /// Nothing yet, whose root is made with `key`.
    #[must_use]
    pub fn under(key: RootKey) -> Self {
        Self { root: Root::under(key), ..Self::default() }
    }

    /// Nothing yet, of the same log.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self { root: self.root.empty(), ..Self::default() }
    }

    /// How many microseconds the log's time is ahead of the clocks.
    #[must_use]
    pub fn ahead(&self) -> i64 {
        self.clock.map_or(0, |accepted| accepted.ahead)
    }

    /// What clocks say at a time of the log: what ends by itself is judged by it.
    #[must_use]
    pub fn on_clocks(&self, at: Micros) -> Micros {
        at.shifted(self.ahead().saturating_neg())
    }

    /// The time of the log when clocks say this: limits count by it.
    #[must_use]
    pub fn in_log(&self, clocks: Micros) -> Micros {
        clocks.shifted(self.ahead())
    }

    /// Whether the person is gone whose credential it is: a right ends with whom it was given to.
    #[must_use]
    pub fn has_left(&self, row: &Credential) -> bool {
        let member = self.users.get(&row.created.user);
        member.is_some_and(|member| member.acting_role().is_none() || member.account != row.created.account)
    }

    /// Whether it is a key of somebody for whom an issuer has not vouched for too long.
    #[must_use]
    pub fn is_unvouched(&self, row: &Credential, now: Micros) -> bool {
        let member = self.users.get(&row.created.user);
        !row.is_person() && member.and_then(|member| member.vouched_until).is_some_and(|until| until <= now)
    }
}
