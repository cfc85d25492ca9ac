//! The pipeline in process: real store, vault, writer, fence, control and worker, around probe tools that count what
//! they do. What a test does not bring is permitted.
//!
//! Invariant: two of them on one directory are two nodes on one log. One that is dropped still works, until `stop` or the end of
//! its runtime, which is a crash of its node.

mod clock;
mod crash;
mod from_log;
mod policies;
mod probes;
mod site;
mod switches;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use forelog::control::{Control, Reply, Request};
use forelog::core::code::Code;
use forelog::core::event::{CredentialCreated, Event, EventKind};
use forelog::core::id::{AccountId, CredentialId, EventId, NodeId, Position, UserId};
use forelog::core::principal::{Principal, Side, Via};
use forelog::core::scope::{Scope, ScopeSet};
use forelog::core::scrub::Scrubbed;
use forelog::core::terms::Terms;
use forelog::core::time::{Clock, Entropy};
use forelog::log::dialect::Room;
use forelog::log::draft::NewEvent;
use forelog::log::fence::Fence;
use forelog::log::reading::Reader;
use forelog::log::sql_store::SqlStore;
use forelog::log::sqlite::open_sqlite;
use forelog::log::store::Want;
use forelog::log::vault::Vault;
use forelog::log::writer::Writer;
use forelog::tools::{Approvals, Catalogue, NodeSlots, Ports};
use forelog::worker::Worker;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

pub use self::clock::{Seeded, TestClock};
use self::from_log::FromLog;
pub use self::from_log::whole_log;
use self::policies::{NoPolicies, PermitAll};
use self::probes::probes;
pub use self::probes::{LIE, World, declared};
use self::site::beginning;
pub use self::site::{HOLD, SimFleet, Site};
use crate::forgetful::Forgetful;

/// A node and its log.
pub struct TestNode {
    pub control: Arc<Control>,
    pub writer: Writer,
    pub reader: Reader,
    pub clock: Arc<TestClock>,
    pub world: Arc<World>,
    pub account: AccountId,
    pub user: UserId,
    pub credential: CredentialId,
    worker: Arc<Worker>,
    entropy: Arc<dyn Entropy>,
    stop: CancellationToken,
    working: Option<tokio::task::JoinHandle<()>>,
}

/// A node that was idle takes its lease and works from now on.
pub async fn begin(worker: Arc<Worker>, assigned: tokio::sync::mpsc::UnboundedReceiver<forelog::control::Assignment>) {
    worker.beat(true).await.expect("a beat");
    tokio::spawn(worker.work(assigned, CancellationToken::new(), Duration::from_secs(5)));
}

impl TestNode {
    /// A node without a worker, whose account and key are made if the log is empty.
    pub async fn idle(site: &Site) -> (Self, Arc<Worker>, tokio::sync::mpsc::UnboundedReceiver<forelog::control::Assignment>) {
        let store = Forgetful::over(SqlStore::new(site.room().await), &site.forgets, &site.written, &site.asked);
        store.migrate().await.expect("migrate");
        if !site.log.is_empty() {
            crate::postgres::simulate(&site.log).await;
        }
        let entropy: Arc<dyn Entropy> = Seeded::new(site.seed + fresh());
        let clock: Arc<dyn Clock> = Arc::clone(&site.clock) as Arc<dyn Clock>;
        let room = open_sqlite(&crate::store::made(site.dir().join("vault.db")), Room::Vault).await.expect("the vault room");
        let vault = Arc::new(Vault::open(room, Zeroizing::new([7; 32]), Arc::clone(&entropy)).await.expect("the vault"));
        let fence = Fence::new(Arc::clone(&clock), vault.root_key());
        let (writer, _task) = Writer::start(Arc::clone(&store), fence, Arc::clone(&clock));
        let reader = Reader { store: Arc::clone(&store), vault };
        let node = NodeId::new(clock.now(), &*entropy);
        let world = Arc::clone(&site.world);
        let catalogue = Arc::new(
            Catalogue::new(probes(&world, site.fleet.is_some()).into_iter().chain((site.declared)()).collect())
                .expect("the probes"),
        );
        let ports = Arc::new(Ports {
            compute: site.fleet.iter().map(|fleet| ("sim", fleet.open(Arc::clone(&clock)))).collect(),
            activity: Arc::new(FromLog(reader.clone())),
            writer: writer.clone(),
            reader: reader.clone(),
            clock,
            entropy: Arc::clone(&entropy),
            node: node.clone(),
            facts: forelog::tools::spec_of,
            policies: Arc::new(NoPolicies),
            configured: site.terms(),
            places: NodeSlots::default(),
            approvals: Approvals { url: Some("https://forelog.example/".into()), listens: None },
        });
        let judge = PermitAll { writer: writer.clone(), world: Arc::clone(&world) };
        let (control, assigned) = Control::new(catalogue, ports, Arc::new(judge));
        let worker = Worker::new(Arc::clone(&control), site.lease);
        let (account, user, credential) = owner(&writer, &*entropy, site.terms()).await;
        let (clock, ours) = (Arc::clone(&site.clock), Arc::clone(&worker));
        let test_node = Self {
            control,
            writer,
            reader,
            clock,
            world,
            account,
            user,
            credential,
            worker: ours,
            entropy,
            stop: CancellationToken::new(),
            working: None,
        };
        (test_node, worker, assigned)
    }

    /// A node that works.
    pub async fn start(site: &Site) -> Self {
        let (mut test_node, worker, assigned) = Self::idle(site).await;
        worker.beat(true).await.expect("the first beat");
        test_node.working = Some(tokio::spawn(worker.work(assigned, test_node.stop.clone(), Duration::from_secs(5))));
        test_node
    }

    /// Returns once it does nothing more.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Some(working) = self.working {
            working.await.expect("the worker ends by itself");
        }
    }

    /// An event id.
    pub fn event_id(&self) -> EventId {
        EventId::new(self.clock.now(), &*self.entropy)
    }

    /// Who the node's own key is.
    pub fn principal(&self) -> Principal {
        Principal {
            side: Side::Customer,
            account: self.account.clone(),
            user: self.user.clone(),
            credential: self.credential.clone(),
            via: Via::Rest,
            ip: None,
            read_only: false,
        }
    }

    /// Calls a tool and waits for its end.
    pub async fn call(&self, tool: &str, args: Value) -> Reply {
        self.control.submit(self.request(tool, args)).await
    }

    /// A request by the node's own key.
    pub fn request(&self, tool: &str, args: Value) -> Request {
        Request { wait: Duration::from_secs(20), ..Request::new(self.principal(), tool, args) }
    }

    /// Appends control events.
    pub async fn change(&self, kind: EventKind, note: Value) {
        let event = NewEvent { id: self.event_id(), kind, parts: Vec::new(), note: Scrubbed::of(note) };
        self.writer.write(Want::default(), move |draft| draft.append(Position(0), event.clone())).await.expect("a control event");
    }

    /// The whole log.
    pub async fn log(&self) -> Vec<Event> {
        whole_log(&self.reader).await
    }

    /// A lease goes by in which this node beats, and sees that the others do not.
    pub async fn outlast_the_others(&self) {
        self.beat().await;
        for _ in 0..2 {
            self.clock.pass(Duration::from_secs(2));
            self.beat().await;
        }
    }

    /// The worker renews its lease, which a test that passes time has to ask for.
    pub async fn beat(&self) {
        self.worker.beat(false).await.expect("a beat");
    }
}

/// The code of a refusal.
pub fn code_of(reply: &Reply) -> Option<Code> {
    match reply {
        Reply::Failed { refusal, .. } => Some(refusal.code),
        _ => None,
    }
}

fn fresh() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::SeqCst)
}

async fn owner(writer: &Writer, entropy: &dyn Entropy, terms: Terms) -> (AccountId, UserId, CredentialId) {
    let known =
        writer.write(Want::default(), |draft| Ok(draft.state().credentials.values().next().cloned())).await.expect("the head");
    if let Some(row) = known {
        return (row.created.account, row.created.user, row.created.credential);
    }
    let at = beginning();
    let (account, user) = (AccountId::new(at, entropy), UserId::new(at, entropy));
    let credential = CredentialId::new(at, entropy);
    let scopes: ScopeSet = Scope::customer();
    let key = CredentialCreated {
        credential: credential.clone(),
        account: account.clone(),
        user: user.clone(),
        side: Side::Customer,
        hash: "00".repeat(32).into(),
        prefix: "flk_live_000000".into(),
        scopes,
        ..crate::fixtures::key_made(1)
    };
    let kinds = [
        EventKind::AccountCreated { account: account.clone(), side: Side::Customer },
        EventKind::CredentialCreated(key),
        EventKind::PolicyLoaded { version: 1, sha256: "00".repeat(32).into(), by: None, credential: None },
        EventKind::LimitsSet { version: 1, terms: Box::new(terms), by: None, credential: None },
    ];
    let events: Vec<NewEvent> = kinds.into_iter().map(|kind| NewEvent::plain(EventId::new(at, entropy), kind)).collect();
    let written = writer.write(Want::default(), move |draft| {
        for event in events.clone() {
            draft.append(Position(0), event)?;
        }
        Ok(())
    });
    written.await.expect("the owner");
    (account, user, credential)
}

/// What holds on a site holds on both databases: `case, name_on_sqlite, name_on_postgres;`.
macro_rules! on_both {
    ($($case:ident, $sqlite:ident, $postgres:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $sqlite() {
            $case($crate::test_node::Site::sqlite()).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $postgres() {
            $case($crate::test_node::Site::postgres().await).await;
        }
    )*};
}
pub(crate) use on_both;
