//! The list of every operation.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::declare::Declared;
use super::{
    Catalogue, CatalogueError, Tool, account, activity, approval, clock, command, exec, export, key, limits, operation, panic,
    person, policy, search, switch, vm,
};
use crate::core::tool::ToolSpec;

/// The operations of every noun.
static NOUNS: [&[&dyn Declared]; 16] = [
    account::OPERATIONS,
    vm::OPERATIONS,
    exec::OPERATIONS,
    command::OPERATIONS,
    operation::OPERATIONS,
    activity::OPERATIONS,
    panic::OPERATIONS,
    switch::OPERATIONS,
    clock::OPERATIONS,
    approval::OPERATIONS,
    key::OPERATIONS,
    person::OPERATIONS,
    policy::OPERATIONS,
    limits::OPERATIONS,
    search::OPERATIONS,
    export::OPERATIONS,
];

fn every_operation() -> impl Iterator<Item = &'static dyn Declared> {
    NOUNS.iter().flat_map(|noun| noun.iter().copied())
}

/// Every operation of Forelog.
pub fn catalogue() -> Result<Catalogue, CatalogueError> {
    Catalogue::new(every_tool()?)
}

/// The same as a list.
pub fn every_tool() -> Result<Vec<Tool>, CatalogueError> {
    every_operation().map(Declared::tool).collect()
}

/// The facts of a tool by name, for whoever meets the name in the log.
#[must_use]
pub fn spec_of(name: &str) -> Option<&'static ToolSpec> {
    static KNOWN: LazyLock<BTreeMap<&'static str, &'static ToolSpec>> =
        LazyLock::new(|| every_operation().map(|operation| (operation.facts().name, operation.facts())).collect());
    KNOWN.get(name).copied()
}

/// Whether the tool of that name stops something ([`ToolSpec::halts`]).
#[must_use]
pub fn halts(name: &str) -> bool {
    spec_of(name).is_some_and(ToolSpec::halts)
}

/// Whether a route of the API, by its method and its path below `/api/v1`, is that of a tool that stops something.
#[must_use]
pub fn halts_at(method: &str, path: &str) -> bool {
    let halting = every_operation().filter(|operation| operation.facts().halts());
    halting.flat_map(Declared::routes).flatten().any(|route| route.method.as_str() == method && route.is_at(path))
}

/// What every tool is to the decision.
#[must_use]
pub fn specs() -> Vec<&'static ToolSpec> {
    every_operation().map(Declared::facts).collect()
}
