//! One admitted call on its way through a tool, and what it may reach.
//!
//! INVARIANT: a handler gets at a provider through [`Execution::provider`] alone, which refuses one that the tool does not declare
//! to reach, and what a switch covers by now; a mutating request takes a [`Permit`] besides.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Arguments, Ports};
use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::covering::Covered;
use crate::core::id::CallId;
use crate::core::principal::Principal;
use crate::core::refusal::Refusal;
use crate::core::resource::Resource;
use crate::core::scrub::scrub_text;
use crate::core::search::Known;
use crate::core::state::ControlState;
use crate::core::tool::ToolSpec;
use crate::core::visibility::Visibility;
use crate::log::admission::Admitted;
use crate::log::call_write::CallWrite;
use crate::providers::Permit;
use crate::providers::compute::Compute;

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
    pub tool: &'static ToolSpec,
    /// Who asked.
    pub principal: Principal,
    /// The arguments, read as the tool takes them.
    pub args: Arguments,
    /// What it is about, as that was at admission.
    pub resources: Vec<Resource>,
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
    pub fn visibility(&self) -> Visibility {
        Visibility::own(&self.principal, &self.state())
    }

    /// Reads what the caller has typed, held against the tools that there are and the labels that they may see.
    pub fn read_typed<T>(&self, read: impl FnOnce(Known<'_>) -> T) -> T {
        let state = self.state();
        Visibility::own(&self.principal, &state).read_typed(&self.ports.names_on_record(), &state, read)
    }

    /// The provider of what the call is about.
    pub fn compute(&self) -> Result<&Arc<dyn Compute>, Outcome> {
        let name = self.resources.iter().find_map(|row| row.provider.as_deref()).unwrap_or_default();
        let refusal =
            || Refusal::new(Code::UpstreamUnreachable, format!("The provider {name:?} is not configured on this node."));
        Ok(self.provider(name)?.ok_or_else(refusal)?)
    }

    /// A provider that the call reaches; none if it is not configured on this node. It is the only way to one, and a fence: a switch
    /// that was engaged since the decision ends the call here, before anything is asked of the provider.
    pub fn provider(&self, name: &str) -> Result<Option<&Arc<dyn Compute>>, Outcome> {
        // What stops something has to get there.
        if !self.tool.stops {
            let (call, fence) = (self.covered(), self.ports.fence());
            if !name.is_empty() && !call.reaches(name, &fence.state()) {
                tracing::error!(tool = self.tool.name, provider = name, "a call would reach a provider that it does not declare");
                return Err(Outcome::Failed(Refusal::new(
                    Code::InternalError,
                    "The call would reach what it was not decided for.",
                )));
            }
            if let Some(refusal) = fence.stopped(&call, self.admitted.leave().at) {
                return Err(Outcome::Cancelled(refusal.code));
            }
        }
        Ok(self.ports.provider(name))
    }

    /// The properties of the call that a switch's target matches, read anew: a resource may have moved to another provider.
    fn covered(&self) -> Covered<'_> {
        let Principal { account, credential, .. } = &self.principal;
        let (resources, providers) = (self.admitted.resources(), self.admitted.providers());
        Covered { tool: self.tool, account, credential, resources, providers, visible: self.tool.reaches.is_visible() }
    }

    /// The second fence: leave to send one mutating request, unless a switch has been engaged meanwhile.
    pub fn permit(&self) -> Result<Permit, Refusal> {
        let section = self.ports.fence().enter(&self.covered(), self.admitted.leave())?;
        Ok(Permit::holding(Arc::new(section)))
    }

    /// The call as it is held against the log in each transaction in which it writes.
    #[must_use]
    pub fn acting(&self) -> CallWrite {
        let (call, principal) = (self.call().clone(), self.principal.clone());
        CallWrite { call, principal, tool: self.tool, node: self.ports.node.clone() }
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
