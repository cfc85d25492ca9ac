//! What the control plane of a node holds: the operations, the outside, and the calls that are on their way through it.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::endings::{Endings, Finished};
use super::fair_queue::FairQueue;
use super::in_flight::InFlight;
use super::joins::Joins;
use super::waiting::Waiting;
use crate::core::principal::Principal;
use crate::core::proposal::Verdict;
use crate::core::resource::Resource;
use crate::core::scope::ScopeSet;
use crate::core::tool::ToolSpec;
use crate::tools::{Catalogue, Execution, Ports};

/// Says what the policies say of a call.
pub trait PolicyEvaluator: Send + Sync {
    /// The verdict, with the version of the set that gave it. Never fails: what cannot be evaluated is not permitted.
    fn evaluate(&self, principal: &Principal, scopes: &ScopeSet, tool: &'static ToolSpec, about: &[Resource]) -> Verdict;

    /// The version of the set that is asked here; none if there is none.
    fn version(&self) -> Option<i64>;
}

/// An execution on its way to the worker, and who waits for its end.
pub struct Assignment {
    /// The call, with the proof of its admission.
    pub execution: Execution,
    /// Told when it is closed; the caller may have left.
    pub done: Option<oneshot::Sender<Finished>>,
}

/// The pipeline's front half. Cheap to share.
pub struct Control {
    /// Every operation.
    pub catalogue: Arc<Catalogue>,
    /// The outside.
    pub ports: Arc<Ports>,
    /// Told of every call that ends on this node.
    pub endings: Endings,
    /// What this node runs, or is about to.
    pub in_flight: InFlight,
    /// Who waits on this node for a held call.
    pub waiting: Waiting,
    /// What ends as another call does.
    pub joins: Joins,
    /// Woken when a call was queued.
    pub queued: Notify,
    /// Cancelled when this node is about to end: whoever waits is answered with the running operation.
    pub leaving: CancellationToken,
    /// Where what is large is read and checked.
    pub turns: FairQueue,
    pub(super) evaluator: Arc<dyn PolicyEvaluator>,
    pub(super) assignments: mpsc::UnboundedSender<Assignment>,
}

impl Control {
    /// A control plane over these ports. The receiver is the worker's.
    #[must_use]
    pub fn new(
        catalogue: Arc<Catalogue>,
        ports: Arc<Ports>,
        evaluator: Arc<dyn PolicyEvaluator>,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Assignment>) {
        #[expect(
            clippy::disallowed_methods,
            reason = "what is in it was admitted and has to start: the writer's queue, limits and quotas bound it"
        )]
        let (assignments, assigned) = mpsc::unbounded_channel();
        let control = Self {
            catalogue,
            ports,
            endings: Endings::default(),
            in_flight: InFlight::default(),
            waiting: Waiting::default(),
            joins: Joins::default(),
            queued: Notify::new(),
            leaving: CancellationToken::new(),
            turns: FairQueue::default(),
            evaluator,
            assignments,
        };
        (Arc::new(control), assigned)
    }
}
