//! `vm_list`: the VMs that the caller's key may see, a page at a time.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::scope::Scope;
use crate::core::tool::ToolFacts;
use crate::tools::outcome::Answer;
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, any, id, maybe, number_or};
use crate::tools::vm::fleet;
use crate::tools::{Execution, Tool, facts, register};

static FACTS: ToolFacts = facts::read("vm_list", Some(Scope::VmsRead));

pub(super) fn tool() -> Tool {
    let input = Shape::new().may("limit", Public, number_or("At most so many.", 1, 200, 50)).may(
        "cursor",
        Public,
        id("vm", "next_cursor of the page before."),
    );
    let output = Shape::new()
        .must("items", Content, any("array", "The VMs: vm_id, label, provider, power, exec_enabled, os, region, ipv4 and sizes."))
        .must("next_cursor", Public, maybe("string", "Where the next page begins, if there is one."));
    let face = Face {
        title: "List VMs",
        description: "Lists the VMs that the key may see, with their power state and whether command execution is on.",
    };
    register::tool(&FACTS, face, input.read_as::<Args>(), output, handler!(list))
}

#[derive(Deserialize)]
struct Args {
    #[serde(default = "page")]
    limit: usize,
    cursor: Option<String>,
}

fn page() -> usize {
    50
}

async fn list(execution: Execution) -> Answer {
    let Args { limit, cursor } = execution.arguments()?;
    let mut own = fleet::visible(&execution);
    own.retain(|vm| cursor.as_deref().is_none_or(|cursor| vm.id.as_str() > cursor));
    let more = own.len() > limit;
    own.truncate(limit);
    let items: Vec<Value> = fleet::look(&execution, &own).await.iter().map(fleet::Seen::document).collect();
    let next = own.last().filter(|_| more).map(|vm| &vm.id);
    Ok(json!({ "items": items, "next_cursor": next }))
}
