//! One node: rooms, writer, policies, views and worker put together, without a way in. `serve` puts HTTP before it,
//! `stdio` a pipe.
//!
//! Start: rooms → writer → policies and limits (an event if none are in force) → `node_started` → lease and recovery → worker, views.
//! Stop: worker (what runs may end) → views and policies → `node_stopped` → writer, after its last commit → rooms, each whole in its file.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::fleet;
use super::policies::{EngineError, engine};
use super::rooms::{self, RoomError, Rooms};
use crate::auth::Authenticator;
use crate::config::Config;
use crate::control::policies::PolicyHolder;
use crate::control::{self, Control};
use crate::core::event::EventKind;
use crate::core::id::NodeId;
use crate::core::refusal::Refusal;
use crate::core::time::{Clock, Entropy};
use crate::log::changing::Ids;
use crate::log::draft::NewEvent;
use crate::log::fence::Fence;
use crate::log::sql::SqlError;
use crate::log::vault::VaultError;
use crate::log::writer::{WriteError, Writer};
use crate::providers::compute::ProviderError;
use crate::tools::{self, Approvals, Catalogue, CatalogueError, NodeSlots, Ports};
use crate::views::Views;
use crate::views::activity::Calls;
use crate::worker::Worker;

/// How long calls that run may take to end when the node stops.
const GRACE: Duration = Duration::from_secs(10);

/// How often a vault that is slow is looked at before a start is given up.
const WARMINGS: u32 = 10;

/// How long the writer may take to end once nobody should use it any more.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A node that did not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Its data.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// A provider.
    #[error("opening a provider")]
    Provider(#[from] ProviderError),
    /// The catalogue is broken.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The catalogue makes no schema for policies.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The policies.
    #[error("putting the policies in force: {}", .0.message)]
    Policy(Box<Refusal>),
    /// The log cannot be written.
    #[error("writing to the log")]
    Write(#[from] WriteError),
    /// Keys cannot be had.
    #[error("bringing the keys that stopping takes into memory")]
    Keys(#[from] VaultError),
}

/// A node that works.
pub struct Node {
    /// The one way in.
    pub control: Arc<Control>,
    /// Finds keys.
    pub authenticator: Authenticator,
    /// Read models.
    pub views: Arc<Views>,
    rooms: Rooms,
    stop: CancellationToken,
    working: JoinHandle<()>,
    tasks: TaskTracker,
    writing: JoinHandle<()>,
}

impl Node {
    /// Starts a node on the data that `config` names, which listens at this address, if people reach it there.
    pub async fn start(
        config: &Config,
        listens: Option<String>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, NodeError> {
        let rooms = Rooms::make(config, Arc::clone(&entropy)).await?;
        rooms::check_views(config).await?;
        let compute = fleet::open(config, &clock)?;
        let fence = Fence::new(Arc::clone(&clock), rooms.vault.root_key());
        let (writer, writing) = Writer::start(rooms.store.clone(), fence, Arc::clone(&clock));
        let views = Views::over(rooms::views_that_reopen(config), rooms.reader()).await;
        let calls = Arc::new(Calls::within(Arc::clone(&views), Duration::from_millis(config.search_budget_ms)));
        let catalogue = Arc::new(catalogue()?);
        let (dir, ours) = (config.policies_dir.clone(), (Arc::clone(&clock), Arc::clone(&entropy)));
        let policies = Arc::new(PolicyHolder::new(engine(&catalogue)?, dir, writer.clone(), rooms.reader(), ours.0, ours.1));
        policies.start().await.map_err(|refusal| NodeError::Policy(Box::new(refusal)))?;
        control::limits::start(&writer, Ids::new(&clock, &entropy), config.terms()).await?;
        let node = NodeId::new(clock.now(), &*entropy);
        let ports = Arc::new(Ports {
            compute,
            activity: calls,
            writer: writer.clone(),
            reader: rooms.reader(),
            clock,
            entropy,
            node: node.clone(),
            facts: tools::spec_of,
            policies: policies.clone(),
            configured: config.terms(),
            places: NodeSlots::default(),
            approvals: Approvals { url: config.public_url.clone(), listens },
        });
        record(&ports, EventKind::NodeStarted { node, version: env!("CARGO_PKG_VERSION").into() }).await?;
        let (control, assigned) = Control::new(catalogue, ports, policies.clone());
        let worker = Worker::new(Arc::clone(&control), config.lease());
        worker.beat(true).await?;
        // What stopping takes of the vault is in memory before anybody is served.
        warm(&worker).await?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let working = tokio::spawn(worker.work(assigned, stop.clone(), GRACE));
        tasks.spawn(policies.follow(stop.clone()));
        let (runtime, viewing) = (tokio::runtime::Handle::current(), Arc::clone(&views).run(stop.clone()));
        // A thread of its own, for the same reason as the writer's.
        tasks.spawn_blocking(move || runtime.block_on(viewing));
        let authenticator = Authenticator::new(writer);
        Ok(Self { control, authenticator, views, rooms, stop, working, tasks, writing })
    }

    /// Stops it, in the order that the head of this file tells.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.working.await {
            tracing::error!(%error, "the worker did not end by itself");
        }
        self.tasks.close();
        self.tasks.wait().await;
        let ports = Arc::clone(&self.control.ports);
        if let Err(error) = ports.writer.end_node(ports.node.clone(), ports.event_id()).await {
            tracing::error!(%error, "the node's end was not recorded");
        }
        drop((ports, self.control, self.authenticator));
        // Everything is durable. Whoever still holds a writer only delays us.
        let _ = tokio::time::timeout(LAST_WORDS, self.writing).await;
        // Each file is whole by itself from then on.
        self.views.database().close().await;
        self.rooms.store.database().close().await;
        self.rooms.vault.database().close().await;
    }
}

async fn record(ports: &Ports, kind: EventKind) -> Result<(), WriteError> {
    ports.writer.append(NewEvent::plain(ports.event_id(), kind)).await.map(|_| ())
}

#[cfg(not(feature = "conformance"))]
fn catalogue() -> Result<Catalogue, CatalogueError> {
    tools::catalogue()
}

/// With the fixtures, because calling one goes through `submit` too.
#[cfg(feature = "conformance")]
fn catalogue() -> Result<Catalogue, CatalogueError> {
    Catalogue::new(tools::every_tool()?.into_iter().chain(crate::http::conformance::recorded::tools()).collect())
}

/// A vault that is slow just now is waited for; one that does not answer at all is no start.
async fn warm(worker: &Arc<Worker>) -> Result<(), VaultError> {
    for _ in 1..WARMINGS {
        match worker.check_stop().await {
            Err(VaultError::Sql(SqlError::TooLong(_))) => {}
            done => return done,
        }
    }
    worker.check_stop().await
}
