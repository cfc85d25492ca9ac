//! Expected verdicts: a table beside the policies that a set has to agree with before it is put in force.
//!
//! Invariant: a table without a case, or with one that names what does not exist, is a failure, not a pass.

use std::net::IpAddr;

use serde::Deserialize;
use toml::Spanned;

use super::error::{CaseFailure, PolicyError};
use super::place::Place;
use super::question::Query;
use super::set::Set;
use crate::core::id::{AccountId, CredentialId, Position, UserId, VmId};
use crate::core::near::did_you_mean;
use crate::core::principal::{Principal, Side, Via};
use crate::core::proposal::Verdict;
use crate::core::scope::ScopeSet;
use crate::core::state::Vm;
use crate::core::time::{Entropy, Micros};

/// The cases of a directory.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    #[serde(default)]
    case: Vec<Case>,
    #[serde(skip)]
    file: String,
    /// Where each line begins.
    #[serde(skip)]
    lines: Vec<usize>,
}

/// A call and what the policies should say of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: Spanned<String>,
    side: Side,
    #[serde(default)]
    scopes: ScopeSet,
    #[serde(default = "rest")]
    via: Via,
    #[serde(default)]
    read_only: bool,
    ip: Option<IpAddr>,
    tool: String,
    vm: Option<CaseVm>,
    expect: Expected,
    /// A policy that has to be among those that decide.
    policy: Option<String>,
    /// Exactly the shadow policies that would decide otherwise; any if absent.
    shadows: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseVm {
    owner: Owner,
    #[serde(default = "simulated")]
    provider: String,
    #[serde(default)]
    label: String,
    #[serde(default)]
    exec_enabled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Owner {
    Caller,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Expected {
    Permit,
    Deny,
    Hold,
}

impl Expected {
    /// As it is written in the table.
    fn word(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Deny => "deny",
            Self::Hold => "hold",
        }
    }
}

fn rest() -> Via {
    Via::Rest
}

fn simulated() -> String {
    "sim".into()
}

impl Cases {
    /// Reads the table, which is in this file.
    pub fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let mut cases: Self = toml::from_str(text).map_err(|error| misread(file, text, &error))?;
        if cases.case.is_empty() {
            return Err(PolicyError::invalid(file, "there is no case in it".into()));
        }
        file.clone_into(&mut cases.file);
        cases.lines = text.match_indices('\n').map(|(at, _)| at + 1).collect();
        Ok(cases)
    }

    /// The line that a case's name is in.
    fn line(&self, case: &Case) -> usize {
        self.lines.partition_point(|begin| *begin <= case.name.span().start) + 1
    }

    /// How many there are; never none.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a table is never empty")]
    pub fn len(&self) -> usize {
        self.case.len()
    }
}

/// What is wrong with the table, where, and which of the words that there are was probably meant.
fn misread(file: &str, text: &str, error: &toml::de::Error) -> PolicyError {
    let message = error.message();
    let mut words = message.split('`').skip(1).step_by(2);
    let wanted = words.next().filter(|_| message.starts_with("unknown "));
    let meant = wanted.and_then(|wanted| did_you_mean(wanted, words, str::to_owned));
    let meant = meant.map_or_else(String::new, |meant| format!(". {meant}"));
    PolicyError::at(file, error.span().and_then(|span| Place::of(text, span)), format!("{message}{meant}"))
}

/// Puts every case to `set` and names those that do not hold.
#[must_use]
pub fn run_cases(set: &Set, cases: &Cases) -> Vec<CaseFailure> {
    cases
        .case
        .iter()
        .filter_map(|case| {
            let message = run(set, case).err()?;
            Some(CaseFailure { name: case.name.get_ref().clone(), file: cases.file.clone(), line: cases.line(case), message })
        })
        .collect()
}

fn run(set: &Set, case: &Case) -> Result<(), String> {
    let tool = set.words.tool(&case.tool).ok_or_else(|| absent("tool", &case.tool, set.words.tools()))?;
    if let Some(policy) = case.policy.as_ref().filter(|policy| set.ids().all(|id| id != policy.as_str())) {
        return Err(absent("policy", policy, set.ids()));
    }
    let principal = case.principal();
    let vm = case.vm.as_ref().map(|vm| vm.row(&principal).resource());
    let query = Query { principal: &principal, scopes: &case.scopes, read_only: case.read_only, tool, resource: vm.as_ref() };
    let verdict = set.evaluate(&query);
    let said = verdict_name(&verdict);
    if said != case.expect {
        let by = if verdict.policies.is_empty() { "no policy".to_owned() } else { verdict.policies.join(", ") };
        return Err(format!("it expects {}, but the policies say {} (by {by})", case.expect.word(), said.word()));
    }
    if let Some(policy) = case.policy.as_ref().filter(|policy| !verdict.policies.contains(policy)) {
        return Err(format!("it expects the policy {policy:?} to decide, but it is decided by {:?}", verdict.policies));
    }
    if let Some(shadows) = case.shadows.as_ref().filter(|shadows| **shadows != verdict.shadows) {
        return Err(format!("it expects the shadows {shadows:?}, but they are {:?}", verdict.shadows));
    }
    Ok(())
}

fn absent<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let meant = did_you_mean(name, known, str::to_owned).map_or_else(String::new, |meant| format!(". {meant}"));
    format!("there is no {what} {name:?}{meant}")
}

fn verdict_name(verdict: &Verdict) -> Expected {
    match (verdict.permit, &verdict.hold) {
        (false, _) => Expected::Deny,
        (true, Some(_)) => Expected::Hold,
        (true, None) => Expected::Permit,
    }
}

/// Ids of nobody: all bytes the same.
struct Same(u8);

impl Entropy for Same {
    fn fill(&self, into: &mut [u8]) {
        into.fill(self.0);
    }
}

impl Case {
    fn principal(&self) -> Principal {
        Principal {
            side: self.side,
            account: AccountId::new(Micros(0), &Same(1)),
            user: UserId::new(Micros(0), &Same(1)),
            credential: CredentialId::new(Micros(0), &Same(1)),
            via: self.via,
            ip: self.ip,
            read_only: false,
        }
    }
}

impl CaseVm {
    fn row(&self, caller: &Principal) -> Vm {
        let other = AccountId::new(Micros(0), &Same(2));
        Vm {
            id: VmId::new(Micros(0), &Same(1)),
            account: if self.owner == Owner::Caller { caller.account.clone() } else { other },
            provider: self.provider.clone(),
            machine: "m1".into(),
            label: self.label.clone(),
            exec_enabled: self.exec_enabled,
            version: Position(0),
        }
    }
}
