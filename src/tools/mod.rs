//! The tools: every operation of Forelog, one file each below its noun. Administrative ones are among them, hidden from MCP.
//!
//! INVARIANT: a tool runs only with an [`Admitted`](crate::log::admission::Admitted), which the log hands out after the commit, and reaches a provider
//! only with a [`Permit`](crate::providers::Permit), which the fence hands out after checking the switches again.

mod account;
mod activity;
mod approval;
mod catalogue;
mod clock;
mod command;
mod command_text;
pub mod declare;
mod exec;
mod execution;
pub mod export;
mod instant;
mod key;
mod limits;
mod node_slots;
mod normalize;
mod operation;
mod outcome;
pub mod page;
mod panic;
mod person;
mod policy;
mod reading;
mod record;
mod register;
pub mod schema;
mod search;
mod switch;
mod text_check;
mod tool;
mod typed;
pub mod under_way;
mod vm;

pub use catalogue::Catalogue;
pub use command_text::{command_of, told_content};
pub use declare::Arguments;
pub use execution::{Calls, Execution, Progress};
pub use instant::Instant;
pub use node_slots::{NodeSlot, NodeSlots};
pub use policy::{NodePolicies, PolicyLoader, Reloaded};
pub use reading::{
    Activity, ActivityPage, ActivityQuery, AdministrationPage, AdministrationQuery, AdministrationRecord, Bucket, CallRecord,
    CallTimeline, Change, Changes, Durations, Histogram, Moment, public_argument,
};
pub use register::{catalogue, every_tool, halts, halts_at, spec_of, specs};
#[cfg(feature = "testing")]
pub use tool::Handler;
pub use tool::{CatalogueError, Tool};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::core::engagement::Names;
use crate::core::id::{CallId, EventId, NodeId};
use crate::core::job::Run;
use crate::core::terms::Terms;
use crate::core::time::{Clock, Entropy};
use crate::core::tool::ToolSpec;
use crate::log::fence::Fence;
use crate::log::reading::Reader;
use crate::log::writer::Writer;
use crate::providers::compute::Compute;

/// How long a stop may take to forget the sealed arguments of what it has ended.
const FORGETTING: Duration = Duration::from_millis(500);

/// Finds the facts of a tool by its name, for whoever meets the name in the log.
pub type FactsOf = fn(&str) -> Option<&'static ToolSpec>;

/// Everything a tool may reach, as narrow ports.
pub struct Ports {
    /// Providers of VMs by name.
    pub compute: BTreeMap<&'static str, Arc<dyn Compute>>,
    /// What happened, from the views.
    pub activity: Arc<dyn Activity>,
    /// Appends control events and ends calls.
    pub writer: Writer,
    /// Reads the log back.
    pub reader: Reader,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// This node.
    pub node: NodeId,
    /// What the tools are that the log names.
    pub facts: FactsOf,
    /// Policies, for the tool that loads them.
    pub policies: Arc<dyn PolicyLoader>,
    /// What this node was started with, to be held beside what is in force. Nothing is decided by it.
    pub configured: Terms,
    /// What callers have under way on this node.
    pub places: NodeSlots,
    /// Asking people.
    pub approvals: Approvals,
}

/// How people are asked.
#[derive(Clone, Debug)]
pub struct Approvals {
    /// Where people reach this server, if that is known.
    pub url: Option<String>,
    /// Where this node listens, if nothing stands in front of it.
    pub listens: Option<String>,
}

impl Approvals {
    /// Where a person answers for a call.
    #[must_use]
    pub fn link(&self, call: &CallId) -> Option<String> {
        self.url.as_ref().or(self.listens.as_ref()).map(|url| format!("{}/console/approvals/{call}", url.trim_end_matches('/')))
    }
}

impl Ports {
    /// The fence of this node.
    #[must_use]
    pub fn fence(&self) -> &Arc<Fence> {
        self.writer.fence()
    }

    /// A provider, if it is configured on this node.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<&Arc<dyn Compute>> {
        self.compute.get(name)
    }

    /// The limits in force, as this node knows them now: to show, and for what is counted on the node itself.
    #[must_use]
    pub fn terms(&self) -> Terms {
        self.fence().state().known_terms()
    }

    /// What may be stopped by name.
    #[must_use]
    pub fn names(&self) -> Names {
        Names { tools: register::specs(), providers: self.compute.keys().map(ToString::to_string).collect() }
    }

    /// The names that calls may have on record.
    #[must_use]
    pub fn names_on_record(&self) -> Vec<&'static str> {
        Run::names_on_record(register::specs().into_iter())
    }

    /// A new event id.
    #[must_use]
    pub fn event_id(&self) -> EventId {
        EventId::new(self.clock.now(), &*self.entropy)
    }

    /// Forgets the sealed arguments of a call that has ended. What cannot be forgotten now is swept later.
    pub async fn forget_seal(&self, call: &CallId) {
        if let Err(error) = self.reader.vault.drop_seal(call).await {
            tracing::error!(call_id = %call, %error, "sealed arguments could not be deleted yet");
        }
    }

    /// The same of calls that a stop has ended, which does not wait for the vault.
    pub async fn forget_seals(&self, calls: &[CallId]) {
        let forgetting = async {
            for call in calls {
                self.forget_seal(call).await;
            }
        };
        if !self.reader.vault.is_away() && tokio::time::timeout(FORGETTING, forgetting).await.is_err() {
            tracing::error!("sealed arguments of calls that were stopped could not be deleted yet");
        }
    }
}
