//! The catalogue: every operation of Forelog, one file per noun. Administrative ones are in it too, hidden from MCP.
//!
//! INVARIANT: a tool runs only with an [`Admitted`], which the log hands out after the commit, and reaches a provider
//! only with a [`Permit`], which the fence hands out after checking the switches again.

mod account;
mod activity;
mod approval;
mod clock;
mod command;
mod exec;
pub mod export;
mod facts;
mod guard;
mod instant;
mod key;
mod legible;
mod limits;
mod operation;
mod outcome;
mod panic;
mod person;
mod places;
mod plain;
mod policy;
mod reading;
mod record;
mod register;
pub mod schema;
mod search;
mod shape;
mod switch;
mod typed;
mod vm;

pub use places::{Place, Places};
pub use policy::{NodePolicies, PolicyLoader, Reloaded};
pub use reading::{
    Activity, ActivityPage, ActivityQuery, AdministrationPage, AdministrationQuery, AdministrationRecord, Bucket, CallRecord,
    Change, Changes, Histogram,
};
pub use register::{catalogue, every_tool, halts, names};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::engagement::Names;
use crate::core::id::{CallId, EventId, NodeId};
use crate::core::principal::Principal;
use crate::core::redact::Classes;
use crate::core::refusal::Refusal;
use crate::core::scrub::scrub_text;
use crate::core::sight::Sight;
use crate::core::state::{ControlState, Vm};
use crate::core::switch::{Covered, Stop};
use crate::core::terms::Terms;
use crate::core::time::{Clock, Entropy};
use crate::core::tool::ToolFacts;
use crate::log::acting::Acting;
use crate::log::admission::Admitted;
use crate::log::fence::Fence;
use crate::log::reading::Reader;
use crate::log::writer::Writer;
use crate::providers::Permit;
use crate::providers::compute::Compute;

/// How long a stop may take to forget the sealed arguments of what it has ended.
const FORGETTING: Duration = Duration::from_millis(500);

/// Tries to read arguments as their handler does, and says which one it cannot take.
pub type Misfit = fn(&Value) -> Option<String>;

/// One operation.
pub struct Tool {
    /// What the decision needs to know.
    pub facts: &'static ToolFacts,
    /// Short title for people.
    pub title: &'static str,
    /// What it does; instructs nobody.
    pub description: &'static str,
    /// JSON Schema of the arguments, an object that allows nothing else.
    pub input: Value,
    /// Where arguments are that fit the schema, and that the handler cannot read all the same.
    pub misfit: Misfit,
    /// JSON Schema of every document that a call is answered with, an object: the result, the running operation, the error.
    pub output: Value,
    /// What a result has always, of the fields in `output`.
    pub answers: Vec<&'static str>,
    /// Classes of the arguments' paths; unlisted paths are secret.
    pub arguments: Classes,
    /// Classes of the result's paths; unlisted paths are secret.
    pub results: Classes,
    /// What is missing for the guard to be satisfied.
    pub guard: fn(&Value, Option<&Vm>) -> Option<Refusal>,
    /// Turns command execution on with these arguments.
    pub enables_exec: fn(&Value) -> bool,
    /// What it stops with these arguments, of a tool that does nothing else.
    pub asks_to_stop: fn(&Value, &Principal, &ControlState) -> Option<Stop>,
    /// After this long the worker stops waiting for it.
    pub time_limit: Duration,
    /// Does it.
    pub run: fn(Execution) -> BoxFuture<'static, Outcome>,
}

impl Tool {
    /// Whether MCP clients may see it at all.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.facts.class == crate::core::tool::Class::Control
    }

    /// Whether it only reads (`readOnlyHint`).
    #[must_use]
    pub fn reads(&self) -> bool {
        self.facts.class == crate::core::tool::Class::Read
    }
}

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
    /// Policies, for the tool that loads them.
    pub policies: Arc<dyn PolicyLoader>,
    /// What this node was started with, to be held beside what is in force. Nothing is decided by it.
    pub configured: Terms,
    /// What callers have under way on this node.
    pub places: Places,
    /// Asking people.
    pub approvals: Approvals,
}

/// How people are asked.
#[derive(Clone, Debug)]
pub struct Approvals {
    /// Where people reach this server, if that is known.
    pub url: Option<String>,
}

impl Approvals {
    /// Where a person answers for a call.
    #[must_use]
    pub fn link(&self, call: &CallId) -> Option<String> {
        self.url.as_ref().map(|url| format!("{}/console/approvals/{call}", url.trim_end_matches('/')))
    }
}

impl Ports {
    /// The fence of this node.
    #[must_use]
    pub fn fence(&self) -> &Arc<Fence> {
        self.writer.fence()
    }

    /// The limits in force, as this node knows them now: to show, and for what is counted on the node itself.
    #[must_use]
    pub fn terms(&self) -> Terms {
        self.fence().state().known_terms()
    }

    /// What may be stopped by name.
    #[must_use]
    pub fn names(&self) -> Names {
        Names { tools: register::names(), providers: self.compute.keys().map(ToString::to_string).collect() }
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

/// Makes calls, each the whole way from its intent to its end; implemented by `control`.
#[async_trait]
pub trait Calls: Send + Sync {
    /// The result document, or why there is none.
    async fn call(self: Arc<Self>, principal: Principal, tool: &str, args: Value) -> Result<Value, Refusal>;
}

/// How far a running call is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Grows.
    pub done: f64,
    /// Where it ends, if known.
    pub total: Option<f64>,
    /// What is going on, without secrets.
    pub message: String,
}

/// One admitted call on its way through a tool. Consumed by the run.
pub struct Execution {
    /// Proof that leave to execute is durable.
    pub admitted: Admitted,
    /// The tool's facts.
    pub tool: &'static ToolFacts,
    /// Who asked.
    pub principal: Principal,
    /// Arguments that fit the schema.
    pub args: Value,
    /// The VM as it was at admission.
    pub vm: Option<Vm>,
    /// The outside.
    pub ports: Arc<Ports>,
    /// Set when the caller, a switch or a shutdown wants it to stop.
    pub cancel: CancellationToken,
    /// Where progress goes, if anybody listens.
    pub progress: Option<mpsc::Sender<Progress>>,
    /// For a call that consists of calls.
    pub calls: Arc<dyn Calls>,
}

impl Execution {
    /// The call's id.
    #[must_use]
    pub fn call(&self) -> &CallId {
        self.admitted.call()
    }

    /// Control state as this node knows it now.
    #[must_use]
    pub fn state(&self) -> Arc<ControlState> {
        self.ports.fence().state()
    }

    /// What the caller may see.
    #[must_use]
    pub fn sight(&self) -> Sight {
        Sight::own(&self.principal, &self.state())
    }

    /// The provider of the call's VM.
    pub fn compute(&self) -> Result<&Arc<dyn Compute>, Refusal> {
        let name = self.vm.as_ref().map(|vm| vm.provider.as_str()).unwrap_or_default();
        let refusal =
            || Refusal::new(Code::UpstreamUnreachable, format!("The provider {name:?} is not configured on this node."));
        self.ports.compute.get(name).ok_or_else(refusal)
    }

    /// The second fence: leave to send one mutating request, unless a switch has been engaged meanwhile.
    pub fn permit(&self) -> Result<Permit, Refusal> {
        let call = Covered {
            tool: self.tool,
            account: &self.principal.account,
            credential: &self.principal.credential,
            vm: self.admitted.vm(),
            provider: self.vm.as_ref().map(|vm| vm.provider.as_str()),
        };
        let section = self.ports.fence().enter(&call, self.admitted.leave())?;
        Ok(Permit::holding(Arc::new(section)))
    }

    /// The call as it is held against the log in each transaction in which it writes.
    #[must_use]
    pub fn acting(&self) -> Acting {
        let (call, principal) = (self.call().clone(), self.principal.clone());
        Acting { call, principal, tool: self.tool, node: self.ports.node.clone() }
    }

    /// Calls another tool as whoever made this call; none if that did not succeed.
    pub async fn call_as_caller(&self, tool: &str, args: Value) -> Option<Value> {
        let called = Arc::clone(&self.calls).call(self.principal.clone(), tool, args).await;
        called.inspect_err(|refusal| tracing::warn!(tool, code = %refusal.code, "a call within a call did not succeed")).ok()
    }

    /// Tells whoever listens how far the call is.
    pub fn report(&self, done: f64, total: Option<f64>, message: impl Into<String>) {
        if let Some(listener) = &self.progress {
            // Nobody listens any more, or not fast enough: the call goes on all the same.
            let _ = listener.try_send(Progress { done, total, message: scrub_text(&message.into()) });
        }
    }
}

/// The whole catalogue, by name.
pub struct Catalogue {
    tools: BTreeMap<&'static str, Tool>,
    validators: BTreeMap<&'static str, jsonschema::Validator>,
}

/// A tool that is not well-formed; found at start.
#[derive(Debug, thiserror::Error)]
#[error("the schema of tool {0} cannot be compiled: {1}")]
pub struct CatalogueError(&'static str, String);

impl Catalogue {
    /// A catalogue of these tools.
    pub fn new(tools: Vec<Tool>) -> Result<Self, CatalogueError> {
        let mut validators = BTreeMap::new();
        for tool in &tools {
            let name = tool.facts.name;
            let validator = jsonschema::validator_for(&tool.input).map_err(|error| CatalogueError(name, error.to_string()))?;
            validators.insert(name, validator);
        }
        Ok(Self { tools: tools.into_iter().map(|tool| (tool.facts.name, tool)).collect(), validators })
    }

    /// A tool by name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tool> {
        self.tools.get(name)
    }

    /// Every tool, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Tool> {
        self.tools.values()
    }

    /// `args` in the one form that everything goes by from here on: whole numbers as such, and nothing that is null in place of
    /// being absent.
    #[must_use]
    pub fn plain(&self, tool: &str, mut args: Value) -> Value {
        if let Some(tool) = self.tools.get(tool) {
            plain::plain(&tool.input, &mut args);
        }
        args
    }

    /// What is wrong with `args`, as a refusal that names paths and rules but no values. What passes is what the handler reads:
    /// nothing is found wrong with their form after this.
    #[must_use]
    pub fn invalid(&self, tool: &Tool, args: &Value) -> Option<Refusal> {
        let faults = schema::invalid(self.validators.get(tool.facts.name)?, args).or_else(|| legible::nul_in(args));
        let mut refusal = faults.or_else(|| Some(schema::misfit(&tool.input, &(tool.misfit)(args)?)))?;
        let known: Vec<&String> = tool.input["properties"].as_object().map(|fields| fields.keys().collect()).unwrap_or_default();
        if let Some(details) = refusal.details.as_object_mut() {
            details.insert("arguments".to_owned(), serde_json::json!(known));
        }
        Some(refusal)
    }
}
