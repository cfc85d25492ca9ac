//! Facts of the common kinds of tool, so that a tool says only what is special about it.

use crate::core::scope::Scope;
use crate::core::tool::{Class, Risk, Timing, ToolFacts};

/// It reads.
pub(super) const fn read(name: &'static str, scope: Option<Scope>) -> ToolFacts {
    ToolFacts {
        name,
        version: 1,
        scope,
        or: &[],
        open: None,
        class: Class::Read,
        risk: Risk::R0,
        timing: Timing::Instant,
        idempotent: true,
        stops: false,
        administers: false,
        puts_policies: false,
        claims_vm: false,
        needs_exec: false,
    }
}

/// It changes something, and may do so only once.
pub(super) const fn write(name: &'static str, scope: Option<Scope>, class: Class, risk: Risk) -> ToolFacts {
    ToolFacts { class, risk, idempotent: false, ..read(name, scope) }
}

/// It administers Forelog: hidden from MCP.
pub(super) const fn control(name: &'static str, scope: Option<Scope>) -> ToolFacts {
    write(name, scope, Class::Control, Risk::R2)
}

/// It stops something: switches and limits never apply.
pub(super) const fn stop(facts: ToolFacts) -> ToolFacts {
    ToolFacts { stops: true, ..facts }
}

/// Another scope does as well: the staff's for staff, a wider one of a customer's.
pub(super) const fn or(facts: ToolFacts, or: &'static [Scope]) -> ToolFacts {
    ToolFacts { or, ..facts }
}

/// It needs no scope, and this is why.
pub(super) const fn open(facts: ToolFacts, why: &'static str) -> ToolFacts {
    ToolFacts { open: Some(why), ..facts }
}

/// It takes from others what is theirs, or gives back what was stopped.
pub(super) const fn administer(facts: ToolFacts) -> ToolFacts {
    ToolFacts { administers: true, ..facts }
}

/// It puts policies in force, and so does not wait for those that nobody can ask.
pub(super) const fn puts_policies(facts: ToolFacts) -> ToolFacts {
    ToolFacts { puts_policies: true, ..facts }
}
