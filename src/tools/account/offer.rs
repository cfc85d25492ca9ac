//! `catalog_list`: what the providers offer, as far as they say. Where none has a list, the list is empty.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::call::Outcome;
use crate::core::redact::Sensitivity::Public;
use crate::core::scope::Scope;
use crate::core::tool::ProviderAccess;
use crate::providers::compute::{Machine, PowerAction};
use crate::tools::Execution;
use crate::tools::declare::{Operation, reading};
use crate::tools::vm::fleet;

/// The kinds that are read off the caller's own VMs.
const LOOKED_AT: ProviderAccess = ProviderAccess::VisibleFor("kind", &["region", "os"]);

pub(super) static LIST: Operation<Args, Output> = reading("catalog_list")
    .scope(Scope::AccountRead)
    .title("Provider catalogue")
    .about(
        "Lists what the providers offer. Regions and systems are those of the account's own VMs; plans and images may be \
         none.",
    )
    .reaches(LOOKED_AT)
    .run(|execution, args| Box::pin(list(execution, args)));

#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Plan,
    Region,
    Os,
    Iso,
    Provider,
}

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// What to list. os: operating systems; iso: installation images.
    #[schemars(extend("x-class" = Public))]
    kind: Kind,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// What is listed.
    #[schemars(extend("x-class" = Public))]
    kind: Kind,
    /// What there is; empty where no provider has such a list.
    #[schemars(extend("x-class" = Public))]
    items: Vec<Item>,
}

#[derive(Serialize, JsonSchema)]
struct Item {
    /// Its name.
    name: String,
    /// Of a provider: what it can do to a VM's power.
    #[serde(skip_serializing_if = "Option::is_none")]
    power: Option<Vec<PowerAction>>,
    /// Of a provider: it can run commands in its VMs.
    #[serde(skip_serializing_if = "Option::is_none")]
    guest: Option<bool>,
    /// Of a provider: it is a simulation, without real machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    simulation: Option<bool>,
}

async fn list(execution: Execution, Args { kind }: Args) -> Result<Output, Outcome> {
    let items = match kind {
        // No port of any provider has these yet.
        Kind::Plan | Kind::Iso => Vec::new(),
        Kind::Provider => providers(&execution),
        Kind::Region => distinct(&execution, |machine| &machine.region).await?,
        Kind::Os => distinct(&execution, |machine| &machine.os).await?,
    };
    Ok(Output { kind, items })
}

fn providers(execution: &Execution) -> Vec<Item> {
    let all = execution.ports.compute.iter();
    all.map(|(name, compute)| {
        let can = compute.capabilities();
        let (power, guest, simulation) = (Some(can.power), Some(can.guest), Some(can.simulation));
        Item { name: (*name).to_owned(), power, guest, simulation }
    })
    .collect()
}

/// Of the caller's own VMs only: what others run is not for it to see (P9).
async fn distinct(execution: &Execution, field: fn(&Machine) -> &String) -> Result<Vec<Item>, Outcome> {
    let own = fleet::look(execution, &fleet::visible(execution)).await?;
    let names: BTreeSet<String> =
        own.into_iter().filter_map(|seen| seen.machine).map(|machine| field(&machine).clone()).collect();
    Ok(names.into_iter().map(|name| Item { name, power: None, guest: None, simulation: None }).collect())
}
