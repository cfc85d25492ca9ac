//! What a new key may do, as the form offers it: three sets that fit most agents, or scopes one by one, each with a sentence.
//!
//! INVARIANT: a scope that no tool takes is not offered; whoever sends it gets what the maker may give.

use super::form::Fields;
use super::page_error::PageError;
use super::request::SignedInRequest;
use crate::core::scope::{Scope, ScopeSet};
use crate::tools::Catalogue;

/// What an agent needs to look and change nothing.
const READING: [Scope; 3] = [Scope::AccountRead, Scope::VmsRead, Scope::AuditRead];

/// A set of scopes to choose.
pub struct Preset {
    /// As the form sends it.
    pub value: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub hint: &'static str,
}

/// The sets, the usual one first.
pub const PRESETS: [Preset; 4] = [
    Preset {
        value: "operate",
        name: "Operate",
        hint: "See VMs and calls, start, stop and reboot VMs, and run commands where command execution is on. Fits most agents.",
    },
    Preset { value: "read", name: "Read", hint: "See VMs and calls. Changes nothing and runs no command." },
    Preset {
        value: "everything",
        name: "Everything",
        hint: "All that an agent can do with VMs and commands. No access to people, keys or approvals.",
    },
    Preset { value: "choose", name: "Choose scopes", hint: "One by one, with the scopes that administer the account." },
];

/// A scope to choose.
pub struct Choosable {
    /// As it is written.
    pub scope: &'static str,
    /// What it lets a key do.
    pub sentence: &'static str,
    usual: bool,
    /// It reaches people, keys or approvals.
    pub administers: bool,
}

impl Choosable {
    /// It is in the usual set.
    pub fn is_usual(&self) -> bool {
        self.usual
    }
}

/// The scopes that the visitor may give and that some tool takes.
pub fn choosable(request: &SignedInRequest) -> Vec<Choosable> {
    let has_use = used_scopes(&request.http.gateway.control().catalogue);
    let given = request.role().scopes().into_iter().filter(|scope| has_use.contains(scope));
    let shown = |scope: Scope| Choosable {
        scope: scope.as_str(),
        sentence: scope.about(),
        usual: Scope::AGENT.contains(&scope),
        administers: scope.is_by_name(),
    };
    given.map(shown).collect()
}

/// Every scope that a tool takes, and that of reading the record, which is no tool.
fn used_scopes(catalogue: &Catalogue) -> ScopeSet {
    let tools = catalogue.iter().flat_map(|tool| tool.facts.scope.into_iter().chain(tool.facts.or.iter().copied()));
    tools.chain([Scope::AuditRead]).collect()
}

/// The scopes that a form asks for, and whether the key only reads.
pub fn wanted(request: &SignedInRequest, fields: &Fields) -> Result<(Vec<String>, bool), PageError> {
    let names = |scopes: &[Scope]| scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
    let all = || choosable(request).into_iter().filter(|one| !one.administers).map(|one| one.scope.to_owned()).collect();
    let read_only = fields.choice("read_only", &["no", "yes"])? == "yes";
    Ok(match fields.choice("preset", &["choose", "operate", "read", "everything"])? {
        "operate" => (names(&Scope::AGENT), read_only),
        "read" => (names(&READING), true),
        "everything" => (all(), read_only),
        _ => (fields.all("scope").into_iter().map(str::to_owned).collect(), read_only),
    })
}
