//! `vm_list`: the VMs that the caller's key may see, a page at a time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::call::Outcome;
use crate::core::id::VmId;
use crate::core::redact::Sensitivity::Public;
use crate::core::scope::Scope;
use crate::core::state::Vm;
use crate::core::tool::ProviderAccess;
use crate::tools::Execution;
use crate::tools::declare::{Operation, reading};
use crate::tools::page::cut;
use crate::tools::vm::fleet::{self, Shown};

pub(super) static LIST: Operation<Args, Output> = reading("vm_list")
    .scope(Scope::VmsRead)
    .title("List VMs")
    .about("Lists the VMs that the key may see, with their power state and whether command execution is on.")
    .reaches(ProviderAccess::Visible)
    .run(|execution, args| Box::pin(list(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// At most so many.
    #[serde(default = "page")]
    #[schemars(extend("x-class" = Public), range(min = 1, max = 200))]
    limit: usize,
    /// next_cursor of the page before.
    #[schemars(extend("x-class" = Public))]
    cursor: Option<VmId>,
}

fn page() -> usize {
    50
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The VMs, by id.
    items: Vec<Shown>,
    /// Where the next page begins, if there is one.
    #[schemars(extend("x-class" = Public))]
    next_cursor: Option<VmId>,
}

async fn list(execution: Execution, Args { limit, cursor }: Args) -> Result<Output, Outcome> {
    let is_left = |vm: &Vm| cursor.as_ref().is_none_or(|cursor| vm.id > *cursor);
    let (own, next_cursor) = cut(fleet::visible(&execution).into_iter().filter(is_left), |vm| &vm.id, limit);
    let items = fleet::look(&execution, &own).await?.into_iter().map(Shown::from).collect();
    Ok(Output { items, next_cursor })
}
