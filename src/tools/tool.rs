//! An entry of the catalogue: one operation, whatever its types.

use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::Value;

use super::Execution;
use super::declare::{Arguments, Route};
use crate::core::call::Outcome;
use crate::core::principal::Principal;
use crate::core::redact::{Classes, Sensitivity};
use crate::core::refusal::Refusal;
use crate::core::resource::Resource;
use crate::core::state::ControlState;
use crate::core::stop::Stop;
use crate::core::tool::{Class, ToolSpec};

/// One operation.
pub struct Tool {
    /// What the decision needs to know.
    pub facts: &'static ToolSpec,
    /// Short title for people.
    pub title: &'static str,
    /// What it does; instructs nobody.
    pub description: &'static str,
    /// JSON Schema of the arguments, an object that allows nothing else.
    pub input: Value,
    /// JSON Schema of the result as it is listed, which the running operation and the error fit as well: names, and what holds
    /// more.
    pub output: Value,
    /// JSON Schema of the result, exactly.
    pub result: Value,
    /// Classes of the arguments' paths; unlisted paths are secret.
    pub arguments: Classes,
    /// Classes of the result's paths; unlisted paths are secret.
    pub results: Classes,
    /// Where it is over REST, beside the route by its name.
    pub routes: Vec<Route>,
    /// The field of a result and its word that say that it was only asked for, and waits for another person.
    pub asks: Option<(&'static str, &'static str)>,
    /// After this long the worker stops waiting for it.
    pub time_limit: Duration,
    /// Reads the arguments, and does it.
    pub handler: Box<dyn Handler>,
}

impl Tool {
    /// Whether a result was only asked for.
    #[must_use]
    pub fn only_asks(&self, result: &Value) -> bool {
        self.asks.is_some_and(|(field, word)| result[field] == word)
    }

    /// Whether its answer has a secret, which is shown once.
    #[must_use]
    pub fn answers_a_secret(&self) -> bool {
        self.results.values().any(|class| *class == Sensitivity::Secret)
    }

    /// Whether MCP clients may see it at all.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.facts.class == Class::Control
    }

    /// Whether it only reads (`readOnlyHint`).
    #[must_use]
    pub fn reads(&self) -> bool {
        self.facts.class == Class::Read
    }
}

/// What an entry of the catalogue does; every operation is one.
pub trait Handler: Send + Sync {
    /// Reads arguments that fit the schema; else says at which one they cannot be read.
    fn read(&self, args: &Value) -> Result<Arguments, String>;

    /// Why they are refused before anything is decided: what the caller has to say on purpose, and has not.
    fn guard(&self, args: &Arguments, about: &[Resource]) -> Option<Refusal>;

    /// Whether they turn command execution on.
    fn enables_exec(&self, _: &Arguments) -> bool {
        false
    }

    /// What they stop, of an operation that does nothing else.
    fn asks_to_stop(&self, _: &Arguments, _: &Principal, _: &[Resource], _: &ControlState) -> Option<Stop> {
        None
    }

    /// Does it.
    fn run(&self, execution: Execution) -> BoxFuture<'static, Outcome>;
}

/// A tool that is not well-formed; found at start.
#[derive(Debug, thiserror::Error)]
#[error("tool {0} is not well-formed: {1}")]
pub struct CatalogueError(pub &'static str, pub String);
