//! The first words of a declaration: what kind of operation it is, which right it takes, and what is special about it.

use std::time::Duration;

use futures::future::BoxFuture;

use super::guard::Guard;
use super::{Declaration, ORDINARY, Operation, Route};
use crate::core::call::Outcome;
use crate::core::scope::Scope;
use crate::core::tool::{Class, EffectKind, ProviderAccess, Risk, Timing, ToolSpec};
use crate::tools::Execution;

/// It reads.
#[must_use]
pub const fn reading(name: &'static str) -> Declaration {
    Declaration {
        facts: ToolSpec::reading(name),
        title: "",
        about: "",
        on_a_vm: false,
        harmless_twice: false,
        time_limit: ORDINARY,
        routes: [None; 2],
        asks: None,
    }
}

/// It changes something, and may do so only once.
#[must_use]
pub const fn write(name: &'static str) -> Declaration {
    let mut declaration = reading(name);
    declaration.facts.class = Class::Write;
    declaration.facts.risk = Risk::R2;
    declaration.facts.idempotent = false;
    declaration
}

/// It administers Forelog: hidden from MCP.
#[must_use]
pub const fn administration(name: &'static str) -> Declaration {
    let mut declaration = write(name);
    declaration.facts.class = Class::Control;
    declaration
}

impl Declaration {
    /// Its title for people.
    #[must_use]
    pub const fn title(mut self, title: &'static str) -> Self {
        self.title = title;
        self
    }

    /// What it does; instructs nobody.
    #[must_use]
    pub const fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// The right that it takes.
    #[must_use]
    pub const fn scope(mut self, scope: Scope) -> Self {
        self.facts.scope = Some(scope);
        self
    }

    /// Other rights that do as well: the staff's for staff, a wider one of a customer's.
    #[must_use]
    pub const fn or(mut self, or: &'static [Scope]) -> Self {
        self.facts.or = or;
        self
    }

    /// It takes no right, and this is why.
    #[must_use]
    pub const fn open(mut self, why: &'static str) -> Self {
        self.facts.open = Some(why);
        self
    }

    /// It runs commands in a guest, or lets them run.
    #[must_use]
    pub const fn executes(mut self) -> Self {
        self.facts.class = Class::Exec;
        self
    }

    /// It runs a command: it takes the one place for one of what it is about, and command execution has to be on there.
    #[must_use]
    pub const fn runs_a_command(mut self) -> Self {
        self.facts.needs_exec = true;
        self.leaves(EffectKind::Command).executes()
    }

    /// It reaches more outside than the providers of the resources that it names.
    #[must_use]
    pub const fn reaches(mut self, reaches: ProviderAccess) -> Self {
        self.facts.reaches = reaches;
        self
    }

    /// It changes something outside, and reconcile looks for this there.
    #[must_use]
    pub const fn leaves(mut self, effect: EffectKind) -> Self {
        self.facts.effect = Some(effect);
        self
    }

    /// What a call does, as a list says it: words, with public arguments in braces.
    #[must_use]
    pub const fn acts(mut self, act: &'static str) -> Self {
        self.facts.act = Some(act);
        self
    }

    /// Its caller does not wait: any worker runs it later.
    #[must_use]
    pub const fn queued(mut self) -> Self {
        self.facts.timing = Timing::Queued;
        self
    }

    /// It stops something, or lists what can be: switches and limits never apply.
    #[must_use]
    pub const fn stops(mut self) -> Self {
        self.facts.stops = true;
        self
    }

    /// It takes from others what is theirs, or gives back what was stopped.
    #[must_use]
    pub const fn administers(mut self) -> Self {
        self.facts.administers = true;
        self
    }

    /// It puts policies in force, and so does not wait for those that nobody can ask.
    #[must_use]
    pub const fn puts_policies(mut self) -> Self {
        self.facts.puts_policies = true;
        self
    }

    /// Doing it twice is doing it once, so it takes no `idempotency_key` although it changes something.
    #[must_use]
    pub const fn harmless_twice(mut self) -> Self {
        self.harmless_twice = true;
        self
    }

    /// It is about one VM, which `vm_id` names. The pipeline finds it and checks whose it is.
    #[must_use]
    pub const fn on_a_vm(mut self) -> Self {
        self.on_a_vm = true;
        self
    }

    /// After this long the worker stops waiting for it.
    #[must_use]
    pub const fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// A result whose `field` is this word was only asked for, and waits for another person: `202` over REST.
    #[must_use]
    pub const fn waits_for_a_person(mut self, field: &'static str, word: &'static str) -> Self {
        self.asks = Some((field, word));
        self
    }

    /// Where it is over REST, beside `POST /api/v1/tools/NAME`.
    #[must_use]
    pub const fn rest(mut self, route: Route) -> Self {
        let [first, second] = &mut self.routes;
        if first.is_none() {
            *first = Some(route);
        } else {
            *second = Some(route);
        }
        self
    }

    /// What does it.
    #[must_use]
    pub const fn run<A, O>(self, run: fn(Execution, A) -> BoxFuture<'static, Result<O, Outcome>>) -> Operation<A, O> {
        Operation {
            declaration: self,
            run,
            guard: Guard::None,
            refuses: |_| None,
            enables_exec: |_| false,
            asks_to_stop: |_, _, _, _| None,
        }
    }
}
