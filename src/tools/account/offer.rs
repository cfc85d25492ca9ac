//! `catalog_list`: what the providers offer, as far as they say. Where none has a list, the list is empty.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::core::redact::Sensitivity::Public;
use crate::core::scope::Scope;
use crate::core::tool::ToolFacts;
use crate::providers::compute::Machine;
use crate::tools::outcome::Answer;
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, any, choice};
use crate::tools::vm::fleet;
use crate::tools::{Execution, Tool, facts, register};

static FACTS: ToolFacts = facts::read("catalog_list", Some(Scope::AccountRead));

pub(super) fn tool() -> Tool {
    let about = "What to list: plans, regions, operating systems, installation images, or the providers themselves.";
    let input = Shape::new().must("kind", Public, choice(about, &["plan", "region", "os", "iso", "provider"]));
    let output = Shape::new().must("kind", Public, any("string", "What is listed.")).must(
        "items",
        Public,
        any("array", "What there is; empty where no provider has such a list."),
    );
    let face = Face {
        title: "Provider catalogue",
        description: "Lists what the providers offer. Regions and operating systems are those of the account's own VMs; plans \
                      and installation images are empty while no configured provider sells any.",
    };
    register::tool(&FACTS, face, input.read_as::<Args>(), output, handler!(list))
}

#[derive(Clone, Copy, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Plan,
    Region,
    Os,
    Iso,
    Provider,
}

#[derive(Deserialize)]
struct Args {
    kind: Kind,
}

async fn list(execution: Execution) -> Answer {
    let Args { kind } = execution.arguments()?;
    let items = match kind {
        // No port of any provider has these yet.
        Kind::Plan | Kind::Iso => Vec::new(),
        Kind::Provider => providers(&execution),
        Kind::Region => distinct(&execution, |machine| &machine.region).await,
        Kind::Os => distinct(&execution, |machine| &machine.os).await,
    };
    Ok(json!({ "kind": kind, "items": items }))
}

fn providers(execution: &Execution) -> Vec<Value> {
    let all = execution.ports.compute.iter();
    all.map(|(name, compute)| {
        let can = compute.capabilities();
        json!({ "name": name, "power": can.power, "guest": can.guest, "simulation": can.simulation })
    })
    .collect()
}

/// Of the caller's own VMs only: what others run is not for it to see (P9).
async fn distinct(execution: &Execution, field: fn(&Machine) -> &String) -> Vec<Value> {
    let own = fleet::look(execution, &fleet::visible(execution)).await;
    let names: BTreeSet<String> =
        own.into_iter().filter_map(|seen| seen.machine).map(|machine| field(&machine).clone()).collect();
    names.into_iter().map(|name| json!({ "name": name })).collect()
}
