//! How an operation is declared: once, in its own file, as a `static` of its arguments and its answer.
//!
//! ```text
//! static POWER: Operation<Args, Output> = write("vm_power").scope(Scope::VmsPower)   what it is
//!     .title(…).about(…).on_a_vm().rest(…)                                           how it is shown and reached
//!     .run(|execution, args| Box::pin(change(execution, args)))                      what it does
//!     .confirm(…);                                                                   what a caller says on purpose
//! ```
//!
//! From the types come the JSON Schemas, the redaction classes, defaults and bounds (`document.rs`), and the value that guard and
//! handler are given. From the class comes what every such operation has: a write takes `idempotency_key`, what has a guard takes
//! what the guard asks for (`guard.rs`).
//!
//! INVARIANT: a field without a class cannot ship: [`Operation::tool`] refuses it when the catalogue is built (P10).

mod arguments;
mod common_args;
mod document;
mod guard;
mod route;
mod spec;

pub use arguments::Arguments;
pub use document::{Document, Kept, Nothing, asked_schema, plain_schema};
pub use guard::Phrase;
pub use route::{Method, Route};
pub use spec::{administration, reading, write};

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::tool::{CatalogueError, Handler, Tool};
use super::{Execution, typed};
use crate::core::call::Outcome;
use crate::core::principal::Principal;
use crate::core::refusal::Refusal;
use crate::core::resource::Resource;
use crate::core::state::ControlState;
use crate::core::stop::Stop;
use crate::core::tool::{Class, Risk, ToolSpec};
use common_args::CommonArg;
use guard::Guard;

/// How long an operation may take that says nothing else.
const ORDINARY: Duration = Duration::from_secs(30);

/// Does it, with the arguments that were checked.
type Run<A, O> = fn(Execution, A) -> BoxFuture<'static, Result<O, Outcome>>;

/// What is known of an operation without its types.
#[derive(Clone, Copy)]
pub struct Declaration {
    facts: ToolSpec,
    title: &'static str,
    about: &'static str,
    on_a_vm: bool,
    harmless_twice: bool,
    time_limit: Duration,
    routes: [Option<Route>; 2],
    asks: Option<(&'static str, &'static str)>,
}

/// Says what the arguments ask to be stopped, of what was found of what they name.
type AsksToStop<A> = fn(&A, &Principal, &[Resource], &ControlState) -> Option<Stop>;

/// One operation, by the type of its arguments and of its answer.
pub struct Operation<A, O> {
    declaration: Declaration,
    run: Run<A, O>,
    guard: Guard<A>,
    refuses: fn(&A) -> Option<Refusal>,
    enables_exec: fn(&A) -> bool,
    asks_to_stop: AsksToStop<A>,
}

impl<A, O> Operation<A, O> {
    /// `confirm: true`, where `effect` says what is interrupted. `about` describes the argument.
    #[must_use]
    pub const fn confirm(mut self, about: &'static str, effect: fn(&A) -> Option<&'static str>) -> Self {
        self.declaration.facts.risk = Risk::R3;
        self.guard = Guard::Confirm { about, effect };
        self
    }

    /// The exact phrase in `confirmation`. `about` describes the argument.
    #[must_use]
    pub const fn phrase(mut self, about: &'static str, phrase: fn(&A, &Resource) -> Phrase) -> Self {
        self.declaration.facts.risk = Risk::R3p;
        self.guard = Guard::Phrase { about, phrase };
        self
    }

    /// `confirm`, `acknowledge_data_loss` and the label of what is lost in `expected_label`: it destroys data.
    #[cfg_attr(not(feature = "testing"), expect(dead_code, reason = "no operation destroys data yet"))]
    #[must_use]
    pub const fn acknowledge(mut self, effect: fn(&A) -> &'static str) -> Self {
        self.declaration.facts.risk = Risk::R4;
        self.declaration.facts.class = Class::Destroy;
        self.guard = Guard::Acknowledge { effect };
        self
    }

    /// What is refused of arguments that fit their schema, before anything is decided.
    #[must_use]
    pub const fn refuse(mut self, refuses: fn(&A) -> Option<Refusal>) -> Self {
        self.refuses = refuses;
        self
    }

    /// Turns command execution on with these arguments.
    #[must_use]
    pub const fn enables_exec(mut self, enables: fn(&A) -> bool) -> Self {
        self.enables_exec = enables;
        self
    }

    /// What it stops with these arguments, of an operation that does nothing else.
    #[must_use]
    pub const fn asks_to_stop(mut self, asks: AsksToStop<A>) -> Self {
        self.asks_to_stop = asks;
        self
    }
}

/// An operation, whatever its types.
pub trait Declared: Sync {
    /// What the decision needs to know.
    fn facts(&'static self) -> &'static ToolSpec;

    /// Where it is over REST.
    fn routes(&'static self) -> &'static [Option<Route>];

    /// The same as an entry of the catalogue.
    fn tool(&'static self) -> Result<Tool, CatalogueError>;
}

impl<A, O> Declared for Operation<A, O>
where
    A: DeserializeOwned + JsonSchema + Clone + Send + Sync + 'static,
    O: Document + 'static,
{
    fn facts(&'static self) -> &'static ToolSpec {
        &self.declaration.facts
    }

    fn routes(&'static self) -> &'static [Option<Route>] {
        &self.declaration.routes
    }

    fn tool(&'static self) -> Result<Tool, CatalogueError> {
        let Declaration { facts, title, about, time_limit, asks, .. } = &self.declaration;
        let fault = |why: String| CatalogueError(facts.name, why);
        if title.is_empty() || about.is_empty() {
            return Err(fault("it has no title, or does not say what it does".into()));
        }
        let asked = asked(&self.declaration, &self.guard);
        let input = document::input::<A>(asked).map_err(fault)?;
        let output = document::output::<O>().map_err(fault)?;
        Ok(Tool {
            facts,
            title,
            description: about,
            input: input.schema,
            arguments: input.classes,
            output: output.listed,
            result: output.exact,
            results: output.classes,
            routes: self.routes().iter().flatten().copied().collect(),
            time_limit: *time_limit,
            asks: *asks,
            handler: Box::new(self),
        })
    }
}

impl<A, O> Handler for &'static Operation<A, O>
where
    A: DeserializeOwned + JsonSchema + Clone + Send + Sync + 'static,
    O: Document + 'static,
{
    fn read(&self, args: &Value) -> Result<Arguments, String> {
        Ok(Arguments { own: Arc::new(typed::read::<A>(args)?), said: typed::read(args)? })
    }

    fn guard(&self, args: &Arguments, about: &[Resource]) -> Option<Refusal> {
        let own = args.of::<A>()?;
        (self.refuses)(own).or_else(|| self.guard.missing(own, &args.said, about))
    }

    fn enables_exec(&self, args: &Arguments) -> bool {
        args.of::<A>().is_some_and(self.enables_exec)
    }

    fn asks_to_stop(&self, args: &Arguments, who: &Principal, about: &[Resource], state: &ControlState) -> Option<Stop> {
        (self.asks_to_stop)(args.of::<A>()?, who, about, state)
    }

    fn run(&self, execution: Execution) -> BoxFuture<'static, Outcome> {
        // What was read for another operation is none of this one's.
        let Ok(own) = Arc::clone(&execution.args.own).downcast::<A>() else {
            return Box::pin(async { super::outcome::misread() });
        };
        let running = (self.run)(execution, Arc::unwrap_or_clone(own));
        Box::pin(async { running.await.map_or_else(|ended| ended, |document| Outcome::Succeeded(document.into_result())) })
    }
}

/// The arguments that an operation takes beside its own.
fn asked<A>(declaration: &Declaration, guard: &Guard<A>) -> Vec<CommonArg> {
    let asked = |name| CommonArg { name, about: None, required: false };
    let mut all = Vec::new();
    if declaration.on_a_vm {
        all.push(CommonArg { required: true, ..asked("vm_id") });
    }
    match guard {
        Guard::None => {}
        Guard::Confirm { about, .. } => all.push(CommonArg { about: Some(about), ..asked("confirm") }),
        Guard::Phrase { about, .. } => all.push(CommonArg { about: Some(about), ..asked("confirmation") }),
        Guard::Acknowledge { .. } => all.extend(["confirm", "acknowledge_data_loss", "expected_label"].map(asked)),
    }
    let facts = &declaration.facts;
    if facts.class != Class::Read && !facts.lists() && !declaration.harmless_twice {
        all.push(asked("idempotency_key"));
    }
    all
}
