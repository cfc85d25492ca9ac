//! The list of every tool, and how one is put together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use futures::future::BoxFuture;

use super::shape::{Input, Output, Shape};
use super::{
    Catalogue, CatalogueError, Execution, Tool, account, activity, approval, clock, command, exec, export, guard, key, limits,
    operation, panic, person, policy, search, switch, vm,
};
use crate::core::call::Outcome;
use crate::core::tool::ToolFacts;

/// How long a tool may take that says nothing else.
const ORDINARY: Duration = Duration::from_secs(30);

/// Every operation of Forelog.
pub fn catalogue() -> Result<Catalogue, CatalogueError> {
    Catalogue::new(every_tool())
}

/// The tools of every noun.
#[must_use]
pub fn every_tool() -> Vec<Tool> {
    let nouns = [
        account::tools(),
        vm::tools(),
        exec::tools(),
        command::tools(),
        operation::tools(),
        activity::tools(),
        panic::tools(),
        switch::tools(),
        clock::tools(),
        approval::tools(),
        key::tools(),
        person::tools(),
        policy::tools(),
        limits::tools(),
        search::tools(),
        export::tools(),
    ];
    nouns.into_iter().flatten().collect()
}

/// The facts of a tool by name, for whoever meets the name in the log.
pub(super) fn facts_of(name: &str) -> Option<&'static ToolFacts> {
    static KNOWN: LazyLock<BTreeMap<&'static str, &'static ToolFacts>> =
        LazyLock::new(|| every_tool().iter().map(|tool| (tool.facts.name, tool.facts)).collect());
    KNOWN.get(name).copied()
}

/// Whether the tool of that name stops something ([`ToolFacts::halts`]).
#[must_use]
pub fn halts(name: &str) -> bool {
    facts_of(name).is_some_and(ToolFacts::halts)
}

/// The name of every tool.
#[must_use]
pub fn names() -> BTreeSet<String> {
    every_tool().iter().map(|tool| tool.facts.name.to_owned()).collect()
}

/// What a tool is called and says of itself.
#[derive(Clone, Copy)]
pub(super) struct Face {
    pub(super) title: &'static str,
    pub(super) description: &'static str,
}

/// A tool without a guard that takes no longer than usual.
pub(super) fn tool(
    facts: &'static ToolFacts,
    face: Face,
    input: Shape,
    output: Shape,
    run: fn(Execution) -> BoxFuture<'static, Outcome>,
) -> Tool {
    let Input { schema: input, classes: arguments, misfit } = input.input();
    let Output { schema: output, classes: results, answers } = output.output();
    let Face { title, description } = face;
    Tool {
        facts,
        title,
        description,
        input,
        misfit,
        output,
        answers,
        arguments,
        results,
        guard: guard::none,
        enables_exec: |_| false,
        asks_to_stop: |_, _, _| None,
        time_limit: ORDINARY,
        run,
    }
}

/// A handler that answers a result document, as the catalogue wants it.
macro_rules! handler {
    ($handler:path) => {
        |execution| Box::pin(async move { $crate::tools::outcome::settle($handler(execution).await) })
    };
}
pub(super) use handler;
