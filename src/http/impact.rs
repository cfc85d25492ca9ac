//! What a switch's target reaches: who and what it stops, what of it is under way, and what was let through since.

use std::collections::{BTreeMap, BTreeSet};

use super::Gateway;
use crate::core::call::Status;
use crate::core::code::Code;
use crate::core::covering::Covered;
use crate::core::id::{AccountId, VmId};
use crate::core::job::Job;
use crate::core::noun::vm::VM;
use crate::core::refusal::Refusal;
use crate::core::search::{Field, Search, Term};
use crate::core::state::{ControlState, Credential, Vm};
use crate::core::switch::Target;
use crate::core::time::Micros;
use crate::core::tool::{Class, ToolSpec};
use crate::core::visibility::Visibility;
use crate::tools::under_way::open_calls;
use crate::tools::{ActivityQuery, Histogram};

/// The time that calls per minute are counted over.
const MINUTES: i64 = 5;

/// What is under way of what a target reaches.
pub struct UnderWay {
    /// Calls that wait for a worker or a person.
    pub waiting: usize,
    /// Calls that run, oldest first.
    pub running: Vec<Job>,
}

/// The open calls that something covers.
pub async fn under_way(gateway: &Gateway, covers: impl Fn(&Covered<'_>, &ControlState) -> bool) -> Result<UnderWay, Refusal> {
    let control = gateway.control();
    let facts = |tool: &str| control.catalogue.get(tool).map(|tool| tool.facts);
    let jobs = open_calls(&control.ports, facts, covers).await.map_err(|error| unreadable(&error))?;
    let (mut running, waiting): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(|job| job.status == Status::Running);
    running.sort_unstable_by_key(|job| job.intent);
    Ok(UnderWay { waiting: waiting.len(), running })
}

/// Customers and VMs that a target touches.
pub fn touched(target: &Target, state: &ControlState) -> (usize, usize) {
    let vms: BTreeMap<&VmId, &AccountId> = match target {
        Target::All | Target::Class(_) | Target::Tool(_) => return (state.owners().len(), state.vms.len()),
        Target::Account(id) => state.vms_of(id).map(|vm| (&vm.id, &vm.account)).collect(),
        Target::Provider(name) => state.vms_at(name).map(|vm| (&vm.id, &vm.account)).collect(),
        Target::Resource { id, .. } => state.vm(id).map(|vm| (&vm.id, &vm.account)).into_iter().collect(),
        Target::Credential(id) => reached(&state.descendants(id), state),
    };
    let owners: BTreeSet<&AccountId> = vms.values().copied().collect();
    (owners.len(), vms.len())
}

/// The VMs that any of some keys may touch, and whose they are.
fn reached<'a>(keys: &[&'a Credential], state: &'a ControlState) -> BTreeMap<&'a VmId, &'a AccountId> {
    let mut vms = BTreeMap::new();
    for key in keys.iter().map(|key| &key.created) {
        let may = |vm: &&Vm| key.vms.as_ref().is_none_or(|listed| listed.contains(&vm.id));
        vms.extend(state.vms_of(&key.account).filter(may).map(|vm| (&vm.id, &vm.account)));
    }
    vms
}

/// Calls a minute that the target would have stopped lately.
pub async fn per_minute(gateway: &Gateway, target: &Target) -> Result<String, Refusal> {
    let now = gateway.control().ports.clock.now();
    let mut search = search(gateway, target);
    search.from = Some(Micros(now.0 - MINUTES * 60 * 1_000_000));
    let counted = count(gateway, search).await?;
    let tenths = counted.counted * 10 / MINUTES.unsigned_abs();
    Ok(format!("{}{}.{}", if counted.capped { "over " } else { "" }, tenths / 10, tenths % 10))
}

/// Calls that were let through after `since`, and before `until`, although the target covers them; it must stay none.
pub async fn admitted_since(gateway: &Gateway, target: &Target, since: Micros, until: Option<Micros>) -> Result<u64, Refusal> {
    let mut search = search(gateway, target);
    (search.from, search.to) = (Some(Micros(since.0 + 1)), until);
    let not = [Status::Refused, Status::Recorded, Status::Held].map(|status| status.as_str().to_owned());
    search.terms.push(Term { field: Field::Outcome, values: not.into(), without: true });
    Ok(count(gateway, search).await?.counted)
}

async fn count(gateway: &Gateway, search: Search) -> Result<Histogram, Refusal> {
    let query = ActivityQuery { visibility: Visibility::Everything, search, limit: 1, ..ActivityQuery::default() };
    gateway.control().ports.activity.histogram(query, 1).await
}

/// The calls that a target covers, as a search.
fn search(gateway: &Gateway, target: &Target) -> Search {
    let (catalogue, state) = (&gateway.control().catalogue, gateway.state());
    let tools = |wanted: &dyn Fn(&ToolSpec) -> bool| -> Vec<String> {
        catalogue.iter().filter(|tool| wanted(tool.facts)).map(|tool| tool.facts.name.to_owned()).collect()
    };
    let term = |field, values| Term { field, values, without: false };
    let mut terms = match target {
        Target::All => Vec::new(),
        Target::Class(class) => vec![term(Field::Tool, tools(&|tool| tool.class == *class))],
        Target::Tool(name) => vec![term(Field::Tool, vec![name.clone()])],
        // What is there, and the calls that were written down to reach it without naming any of that.
        Target::Provider(name) => {
            let there = state.resources(None).filter(|row| row.provider.as_deref() == Some(name));
            let ids = there.map(|row| row.id.to_string());
            vec![term(Field::Resource(&VM), ids.chain([format!("provider:{name}")]).collect())]
        }
        Target::Account(id) => vec![term(Field::Account, vec![id.to_string()])],
        Target::Credential(id) => {
            let covered = state.descendants(id).into_iter().map(|row| row.created.credential.to_string());
            vec![term(Field::Credential, covered.collect())]
        }
        Target::Resource { id, exec_only: false } => vec![term(Field::Resource(id.noun()), vec![id.to_string()])],
        Target::Resource { id, exec_only: true } => {
            vec![
                term(Field::Resource(id.noun()), vec![id.to_string()]),
                term(Field::Tool, tools(&|tool| tool.class == Class::Exec)),
            ]
        }
    };
    // Stopping is never switched off.
    terms.push(Term { field: Field::Tool, values: tools(&|tool| tool.stops), without: true });
    Search { terms, ..Search::default() }
}

fn unreadable(error: &dyn std::error::Error) -> Refusal {
    tracing::error!(%error, "open calls cannot be read");
    Refusal::new(Code::AuditUnavailable, "The calls that are under way cannot be read now.")
}
