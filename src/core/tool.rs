//! What the decision needs to know of a tool. The catalogue in `tools` adds schema, text and handler.

use serde::{Deserialize, Serialize};

use super::noun::Subject;
use super::principal::Side;
use super::scope::{Scope, ScopeSet};

/// What a switch can stop as a class, and what a policy can name as a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Reads.
    Read,
    /// Changes something.
    Write,
    /// Runs commands in a guest, or lets them run.
    Exec,
    /// Destroys data.
    Destroy,
    /// Administers Forelog itself; hidden from MCP.
    Control,
}

impl Class {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 5] = [Self::Read, Self::Write, Self::Exec, Self::Destroy, Self::Control];

    /// The class as it is written in a switch target.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Exec => "exec",
            Self::Destroy => "destroy",
            Self::Control => "control",
        }
    }
}

/// Risk of a tool, which fixes the guard it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Reads.
    R0,
    /// Reads a secret.
    R1,
    /// Writes.
    R2,
    /// Interrupts service: `confirm`.
    R3,
    /// Exact phrase: `confirmation`.
    R3p,
    /// Destroys data: `confirm`, `acknowledge_data_loss`, `expected_label`.
    R4,
}

impl Risk {
    /// All of them, from the least.
    pub const ALL: [Self; 6] = [Self::R0, Self::R1, Self::R2, Self::R3, Self::R3p, Self::R4];
}

/// When the call's result is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// Claimed by the admitting node in the admitting transaction; the caller waits.
    Instant,
    /// Queued, claimed later by any worker; the caller gets an operation id.
    Queued,
}

/// What a call reaches outside beside the providers of the resources that it names, which it always may reach. A handler gets at
/// no provider that is not said here, so a switch on a provider stops every call that would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderAccess {
    /// Nothing else.
    Resources,
    /// Each provider that has a resource which the caller may see.
    Visible,
    /// The same if this argument is one of these words; else nothing else.
    VisibleFor(&'static str, &'static [&'static str]),
    /// The provider that this argument names.
    Named(&'static str),
    /// The providers of what the call is about that this argument names.
    OfCall(&'static str),
}

impl ProviderAccess {
    /// Whether it may look at all that its caller may see.
    #[must_use]
    pub fn is_visible(self) -> bool {
        matches!(self, Self::Visible | Self::VisibleFor(..))
    }
}

/// What a call leaves at its provider, by which reconcile finds out later what became of one that ended `unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EffectKind {
    /// A change of what the call is about, which is known at the provider by its call.
    Change,
    /// A command in a guest, which holds the one place for a command there.
    Command,
    /// Something new at the provider, which is known there by its call.
    Creation,
}

/// The decision's view of a tool.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each read by one check")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolSpec {
    /// `<noun>_<verb>`, `[a-z0-9_]{1,40}`, never renamed.
    pub name: &'static str,
    /// Moves when the schema changes.
    pub version: u32,
    /// The scope it needs; none for what every credential may do.
    pub scope: Option<Scope>,
    /// Scopes that do as well: the staff's for staff, a customer's for a customer.
    pub or: &'static [Scope],
    /// Why it needs no scope, if it needs none.
    pub open: Option<&'static str>,
    /// Its class.
    pub class: Class,
    /// Its risk.
    pub risk: Risk,
    /// When its result is there.
    pub timing: Timing,
    /// Running it twice is the same as running it once: it may be run again after a crash (P4).
    pub idempotent: bool,
    /// It only stops something, or shows what is stopped: switches and limits do not hold for it (ADR 0006).
    pub stops: bool,
    /// It takes from others what is theirs, or gives back what was stopped: nothing for a credential that only reads,
    /// although it stops.
    pub administers: bool,
    /// It puts policies in force: where no verdict can be had, its scope alone lets it through.
    pub puts_policies: bool,
    /// It needs command execution to be on in what it is about.
    pub needs_exec: bool,
    /// Arguments that name resources beside those that their nouns say.
    pub also_about: &'static [Subject],
    /// What it reaches outside.
    pub reaches: ProviderAccess,
    /// What it leaves outside, of one that changes something there.
    pub effect: Option<EffectKind>,
    /// What a call of it does, as a list says it: words, with public arguments in braces. Nothing, if its arguments say that.
    pub act: Option<&'static str>,
}

impl ToolSpec {
    /// Of a tool that reads, takes no scope, and reaches nothing but what it is about.
    #[must_use]
    pub const fn reading(name: &'static str) -> Self {
        Self {
            name,
            version: 1,
            scope: None,
            or: &[],
            open: None,
            class: Class::Read,
            risk: Risk::R0,
            timing: Timing::Instant,
            idempotent: true,
            stops: false,
            administers: false,
            puts_policies: false,
            needs_exec: false,
            also_about: &[],
            reaches: ProviderAccess::Resources,
            effect: None,
            act: None,
        }
    }

    /// Whether it only reads control state: it administers, and its name says that it lists.
    #[must_use]
    pub fn lists(&self) -> bool {
        self.class == Class::Control && self.name.ends_with("_list")
    }

    /// Whether its calls are commands in a guest: each takes the one place for a command there.
    #[must_use]
    pub fn is_command(&self) -> bool {
        self.effect == Some(EffectKind::Command)
    }

    /// Whether it stops something, or lets go, and so is written even if its text cannot be sealed (P15). A list is not.
    #[must_use]
    pub fn halts(&self) -> bool {
        self.stops && !self.lists()
    }

    /// The scope that a credential of this side lacks for it; none if it lacks none.
    #[must_use]
    pub fn lacks(&self, side: Side, held: &ScopeSet) -> Option<Scope> {
        let needed = self.scope.filter(|scope| !held.contains(scope))?;
        let of_side = |scope: &&Scope| scope.is_staff() == (side == Side::Staff);
        let mut others = self.or.iter().filter(of_side);
        if others.clone().any(|scope| held.contains(scope)) {
            return None;
        }
        Some(if side == Side::Staff { others.next().copied().unwrap_or(needed) } else { needed })
    }
}
