//! The pipeline in process: real store, vault, writer, fence, control and worker, around probe tools that count what
//! they do. What a test does not bring is permitted.
//!
//! Invariant: two plants on one directory are two nodes on one log. One that is dropped still works, until `stop` or the end of
//! its runtime, which is a crash of its node.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use forelog::control::{Control, PolicyEvaluator, Reply, Request};
use forelog::core::call::{Outcome, Status};
use forelog::core::decide::Limits;
use forelog::core::event::{CredentialCreated, Event, EventKind};
use forelog::core::hold::Hold;
use forelog::core::id::{AccountId, CallId, CredentialId, EventId, NodeId, Position, UserId};
use forelog::core::limit::Limit;
use forelog::core::principal::{Principal, Side, Via};
use forelog::core::proposal::Verdict;
use forelog::core::quota::Quotas;
use forelog::core::redact::Sensitivity;
use forelog::core::refusal::Refusal;
use forelog::core::resource::Resource;
use forelog::core::scope::{Scope, ScopeSet};
use forelog::core::scrub::Scrubbed;
use forelog::core::search::Field;
use forelog::core::terms::Terms;
use forelog::core::time::{Boot, Clock, Entropy, Micros};
use forelog::core::tool::{Class, ProviderAccess, Risk, Timing, ToolSpec};
use forelog::core::visibility::Visibility;
use forelog::log::dialect::Room;
use forelog::log::draft::NewEvent;
use forelog::log::fence::Fence;
use forelog::log::postgres::open_postgres;
use forelog::log::reading::Reader;
use forelog::log::sql::Database;
use forelog::log::sql_store::SqlStore;
use forelog::log::sqlite::open_sqlite;
use forelog::log::store::Want;
use forelog::log::vault::Vault;
use forelog::log::writer::Writer;
use forelog::providers::compute::Compute;
use forelog::providers::compute::sim::{Faults, Sim};
use forelog::tools::{
    Activity, ActivityPage, ActivityQuery, Approvals, Arguments, CallRecord, Catalogue, Execution, Handler, NodePolicies,
    NodeSlots, PolicyLoader, Ports, Reloaded, Tool, every_tool,
};
use forelog::worker::Worker;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::forgetful::{Asked, Forgetful};

/// A clock that a test turns.
#[derive(Default)]
pub struct TestClock {
    now: AtomicU64,
    elapsed: AtomicU64,
    /// Which start of its machine it is on, if it says that, and how long that had run when this clock began.
    boot: Option<(&'static str, Duration)>,
}

impl TestClock {
    /// A clock that stands at `now`.
    pub fn at(now: Micros) -> Arc<Self> {
        Arc::new(Self::new(now, None))
    }

    /// The same on a machine that says for how long it runs since which start.
    pub fn on(boot: &'static str, up: Duration, now: Micros) -> Arc<Self> {
        Arc::new(Self::new(now, Some((boot, up))))
    }

    fn new(now: Micros, boot: Option<(&'static str, Duration)>) -> Self {
        Self { now: AtomicU64::new(u64::try_from(now.0).expect("a time after 1970")), elapsed: AtomicU64::new(1), boot }
    }

    /// Time goes by.
    pub fn pass(&self, by: Duration) {
        let by = u64::try_from(by.as_micros()).expect("a short time");
        self.now.fetch_add(by, Ordering::SeqCst);
        self.elapsed.fetch_add(by, Ordering::SeqCst);
    }

    /// The wall clock's time in a while.
    pub fn after(&self, by: Duration) -> Micros {
        self.now().plus(by)
    }

    /// The wall clock jumps; no time goes by.
    pub fn jump(&self, by: i64) {
        // Wraps, which is how two's complement subtracts.
        self.now.fetch_add(by.cast_unsigned(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Micros {
        Micros(i64::try_from(self.now.load(Ordering::SeqCst)).expect("a time"))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(self.elapsed.load(Ordering::SeqCst))
    }

    fn boot(&self) -> Option<Boot> {
        self.boot.map(|(id, up)| Boot { id: id.into(), up: up + self.elapsed() })
    }
}

/// Randomness that repeats with its seed, and never gives the same bytes twice.
pub struct Seeded(AtomicU64);

impl Seeded {
    /// Starts at `seed`.
    pub fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(seed << 32)))
    }
}

impl Entropy for Seeded {
    fn fill(&self, into: &mut [u8]) {
        for chunk in into.chunks_mut(8) {
            let mut z = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::SeqCst);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

/// What the probes did, and what they wait for. Outlives the nodes that it is shared by, as a provider does.
#[derive(Default)]
pub struct World {
    runs: Mutex<HashMap<CallId, u64>>,
    /// Probes stop here while it is shut.
    gate: tokio::sync::watch::Sender<bool>,
    /// Told when a probe has run.
    pub ran: Notify,
    /// What the policies ask for before a probe may run.
    hold: Mutex<Option<Hold>>,
}

impl World {
    /// How often this call was executed.
    pub fn runs_of(&self, call: &CallId) -> u64 {
        self.runs.lock().expect("the world").get(call).copied().unwrap_or(0)
    }

    /// How many calls were executed in all.
    pub fn executed(&self) -> Vec<CallId> {
        self.runs.lock().expect("the world").keys().cloned().collect()
    }

    /// From now on the policies ask for this.
    pub fn hold(&self, hold: Option<Hold>) {
        *self.hold.lock().expect("the world") = hold;
    }

    /// Probes stop before they answer.
    pub fn shut(&self) {
        self.gate.send_replace(true);
    }

    /// Probes go on.
    pub fn open(&self) {
        self.gate.send_replace(false);
    }

    fn execute(&self, call: &CallId) {
        *self.runs.lock().expect("the world").entry(call.clone()).or_default() += 1;
        self.ran.notify_waiters();
    }

    /// Returns once `count` calls were executed.
    pub async fn executed_at_least(&self, count: usize) {
        self.until(|| self.executed().len() >= count).await;
    }

    /// Returns once this call was executed `times`.
    pub async fn ran(&self, call: &CallId, times: u64) {
        self.until(|| self.runs_of(call) >= times).await;
    }

    async fn until(&self, holds: impl Fn() -> bool) {
        loop {
            let ran = self.ran.notified();
            if holds() {
                return;
            }
            tokio::time::timeout(Duration::from_secs(20), ran).await.expect("a probe should have run");
        }
    }
}

macro_rules! facts {
    ($($name:ident = $text:literal, $class:ident, $timing:ident, $idempotent:literal;)*) => {$(
        static $name: ToolSpec = ToolSpec {
            name: $text, version: 1, scope: Some(Scope::VmsWrite), or: &[], open: None, class: Class::$class, risk: Risk::R2,
            timing: Timing::$timing, idempotent: $idempotent, stops: false, administers: false, puts_policies: false,
            needs_exec: false, also_about: &[], reaches: ProviderAccess::Resources, effect: None,
        };
    )*};
}

facts! {
    WRITE = "probe_write", Write, Instant, false;
    READ = "probe_read", Read, Instant, true;
    QUEUED = "probe_queued", Write, Queued, false;
}

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

/// How long a held call waits.
pub const HOLD: Duration = Duration::from_hours(1);

/// What a plant is built from.
pub struct Site {
    pub log: String,
    pub clock: Arc<TestClock>,
    pub world: Arc<World>,
    pub limits: Limits,
    pub quotas: Quotas,
    /// Who was invited counts for themselves after this long.
    pub newcomer_ms: u64,
    pub seed: u64,
    pub lease: Duration,
    /// The next commit is reported lost, and is kept.
    pub forgets: Arc<AtomicBool>,
    /// Bytes that were written to the log room.
    pub written: Arc<AtomicU64>,
    /// The names of each read of rows by name.
    pub asked: Asked,
    pub vault: tempfile::TempDir,
    /// Nodes that start from now on have a simulated fleet, and the tools that act on it.
    pub fleet: Option<SimFleet>,
    /// And these tools, which a test declares.
    pub declared: fn() -> Vec<Tool>,
}

/// A simulated fleet: where its journal is, and what goes wrong.
#[derive(Clone)]
pub struct SimFleet {
    pub dir: std::path::PathBuf,
    pub machines: Vec<String>,
    pub faults: Faults,
}

impl SimFleet {
    fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn Compute> {
        let machines =
            forelog::app::fleet::simulated(&forelog::config::SimConfig { machines: self.machines.clone(), faults: Vec::new() });
        Sim::open(self.dir.clone(), machines, self.faults.clone(), clock).expect("the simulation")
    }
}

impl Site {
    /// A site on a fresh SQLite directory.
    pub fn sqlite() -> Self {
        Self::on(String::new())
    }

    /// A site on a fresh PostgreSQL database.
    pub async fn postgres() -> Self {
        Self::on(crate::postgres::fresh_database().await)
    }

    /// A site on a log that a URL names; on SQLite in the site's own directory if it is empty.
    pub fn on(log: String) -> Self {
        let ample = Limit { admit: 10_000, window_ms: 60_000 };
        let now = beginning();
        Self {
            log,
            clock: TestClock::at(now),
            world: Arc::default(),
            limits: Limits { credential: ample, exec: ample, write: ample },
            quotas: Quotas::default(),
            newcomer_ms: 168 * 3_600_000,
            seed: 7,
            lease: Duration::from_secs(3),
            forgets: Arc::default(),
            written: Arc::default(),
            asked: Arc::default(),
            vault: tempfile::tempdir().expect("a directory"),
            fleet: None,
            declared: Vec::new,
        }
    }

    /// What the log's first node records.
    pub fn terms(&self) -> Terms {
        let approval_ms = u64::try_from(HOLD.as_millis()).expect("a while");
        Terms { limits: self.limits, quotas: self.quotas, approval_ms, newcomer_ms: self.newcomer_ms, ..Terms::default() }
    }

    /// Where the files are.
    pub fn dir(&self) -> &Path {
        self.vault.path()
    }

    /// How often rows were read by name that begin so.
    pub fn reads(&self, start: &str) -> usize {
        let asked = self.asked.lock().expect("what is asked");
        asked.iter().filter(|names| names.iter().any(|name| name.starts_with(start))).count()
    }

    /// Opens the log room once more, as another process would.
    pub async fn room(&self) -> Box<dyn Database> {
        let opened = if self.log.is_empty() {
            open_sqlite(&crate::store::made(self.dir().join("log.db")), Room::Log).await
        } else {
            open_postgres(&self.log, Room::Log).await
        };
        opened.expect("the log room")
    }
}

fn beginning() -> Micros {
    Micros(1_800_000_000_000_000)
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
            approvals: Approvals { url: Some("https://forelog.example/".into()) },
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

    /// Who the plant's key is.
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

    /// A request by the plant's key.
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

/// Every event.
pub async fn whole_log(reader: &Reader) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    loop {
        let after = all.last().map_or(Position(0), |event| event.position);
        let page = reader.events(after, 1000).await.expect("the log");
        if page.is_empty() {
            return all;
        }
        all.extend(page);
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

fn probes(world: &Arc<World>, acts: bool) -> Vec<Tool> {
    let probes = [&WRITE, &READ, &QUEUED].into_iter().map(|facts| probe(facts, world));
    // Whatever administers, stops, or has a route; the VMs of a plant are probes, unless it has a fleet.
    let people = |tool: &Tool| {
        let name = tool.facts.name;
        tool.is_hidden() || name == "operation_get" || !tool.routes.is_empty() || (acts && tool.facts.effect.is_some())
    };
    probes.chain(every_tool().expect("well-formed tools").into_iter().filter(people)).collect()
}

/// A handler is a plain function, so it finds its world here; nextest gives each test a process of its own.
static THE_WORLD: Mutex<Option<Arc<World>>> = Mutex::new(None);

fn probe(facts: &'static ToolSpec, world: &Arc<World>) -> Tool {
    *THE_WORLD.lock().expect("the world") = Some(Arc::clone(world));
    declared(facts, |execution| Box::pin(run_probe(execution)))
}

/// A tool that takes what probes take, and does this.
pub fn declared(facts: &'static ToolSpec, run: fn(Execution) -> BoxFuture<'static, Outcome>) -> Tool {
    let schema = json!({ "type": "object", "additionalProperties": false, "properties": {
        "text": { "type": "string" }, "secret": { "type": "string" }, "vm_id": { "type": "string" },
        "other_vm_id": { "type": "string" }, "provider": { "type": "string" }, "idempotency_key": { "type": "string", "maxLength": 64 },
    } });
    let listed = [
        ("text", Sensitivity::Content),
        ("secret", Sensitivity::Secret),
        ("vm_id", Sensitivity::Public),
        ("other_vm_id", Sensitivity::Public),
        ("provider", Sensitivity::Public),
        ("idempotency_key", Sensitivity::Content),
    ];
    Tool {
        facts,
        title: facts.name,
        description: "Counts that it ran.",
        input: schema,
        output: output(),
        result: json!({
            "type": "object", "properties": { "ran": { "type": "integer" } }, "required": ["ran"], "additionalProperties": false,
        }),
        arguments: listed.into_iter().map(|(name, class)| (name.to_owned(), class)).collect(),
        results: [("ran".to_owned(), Sensitivity::Public)].into_iter().collect(),
        routes: Vec::new(),
        time_limit: Duration::from_secs(30),
        handler: Box::new(Probe(run)),
    }
}

/// The text with which a probe answers what it does not declare.
pub const LIE: &str = "lie";

/// Takes anything, and does this.
struct Probe(fn(Execution) -> BoxFuture<'static, Outcome>);

impl Handler for Probe {
    fn read(&self, args: &Value) -> Result<Arguments, String> {
        Ok(Arguments::any(args))
    }

    fn guard(&self, _: &Arguments, _: &[Resource]) -> Option<Refusal> {
        None
    }

    fn run(&self, execution: Execution) -> BoxFuture<'static, Outcome> {
        (self.0)(execution)
    }
}

/// What a probe declares, as tools of the product do.
fn output() -> Value {
    let list =
        every_tool().expect("well-formed tools").into_iter().find(|tool| tool.facts.name == "approval_list").expect("a tool");
    let mut output = list.output;
    let fields = output["properties"].as_object_mut().expect("properties");
    fields.remove("items");
    fields.insert("ran".into(), json!({ "type": "integer", "description": "How often." }));
    output
}

async fn run_probe(execution: Execution) -> Outcome {
    let world = THE_WORLD.lock().expect("the world").clone().expect("a plant was built");
    let permit = match execution.permit() {
        Ok(permit) => permit,
        Err(refusal) => return Outcome::Cancelled(refusal.code),
    };
    world.execute(execution.call());
    drop(permit);
    let mut gate = world.gate.subscribe();
    tokio::select! {
        _ = gate.wait_for(|shut| !shut) => {}
        () = execution.cancel.cancelled() => return Outcome::Cancelled(forelog::core::code::Code::Cancelled),
    }
    let lies = execution.args.of::<Value>().is_some_and(|args| args["text"] == LIE);
    let ran = if lies { json!("often") } else { json!(world.runs_of(execution.call())) };
    Outcome::Succeeded(json!({ "ran": ran }).into())
}

struct PermitAll {
    writer: Writer,
    world: Arc<World>,
}

impl PolicyEvaluator for PermitAll {
    fn evaluate(&self, _: &Principal, _: &ScopeSet, tool: &'static ToolSpec, _: &[Resource]) -> Verdict {
        let version = self.writer.fence().state().policy.as_ref().map_or(0, |set| set.version);
        let hold = self.world.hold.lock().expect("the world").clone().filter(|_| tool.class != Class::Control);
        Verdict { version, permit: true, hold, ..Verdict::default() }
    }

    fn version(&self) -> Option<i64> {
        self.writer.fence().state().policy.as_ref().map(|set| set.version)
    }
}

struct NoPolicies;

#[async_trait]
impl PolicyLoader for NoPolicies {
    async fn reload(&self, _: Option<forelog::log::call_write::CallWrite>) -> Result<Reloaded, Refusal> {
        Err(Refusal::new(forelog::core::code::Code::NotImplemented, "There are no policies to load."))
    }

    async fn node(&self) -> NodePolicies {
        NodePolicies { version: Some(1), trouble: None, own: Err("there are no files".into()) }
    }
}

/// Reads calls from the log itself: slow, and right.
struct FromLog(Reader);

#[async_trait]
impl Activity for FromLog {
    async fn position(&self) -> Result<Position, Refusal> {
        Ok(Position(0))
    }

    /// Each call that was recorded since then, once.
    async fn changes(&self, query: ActivityQuery, after: Position) -> Result<forelog::tools::Changes, Refusal> {
        let (mut items, log) = (Vec::new(), whole_log(&self.0).await);
        for event in log.iter().filter(|event| event.position > after) {
            let EventKind::IntentRecorded(intent) = &event.kind else { continue };
            let call = self.call(&query.visibility, &intent.call).await?;
            items.extend(call.map(|call| forelog::tools::Change { position: event.position, call }));
        }
        Ok(forelog::tools::Changes { items, position: log.last().map_or(after, |event| event.position), is_behind: false })
    }

    async fn administration(
        &self,
        _: forelog::tools::AdministrationQuery,
    ) -> Result<forelog::tools::AdministrationPage, Refusal> {
        Err(Refusal::new(forelog::core::code::Code::NotImplemented, "There are no views here."))
    }

    async fn histogram(&self, _: ActivityQuery, _: u32) -> Result<forelog::tools::Histogram, Refusal> {
        Err(Refusal::new(forelog::core::code::Code::NotImplemented, "There are no views here."))
    }

    /// Filters by sight and tool only.
    async fn list(&self, query: ActivityQuery) -> Result<ActivityPage, Refusal> {
        let (mut items, log) = (Vec::new(), whole_log(&self.0).await);
        for event in log.iter().rev() {
            let EventKind::IntentRecorded(intent) = &event.kind else { continue };
            if query.search.value(Field::Tool).is_none_or(|tool| *tool == *intent.tool) {
                items.extend(self.call(&query.visibility, &intent.call).await?);
            }
        }
        Ok(ActivityPage { items, next_cursor: None, as_of: log.last().map_or(Position(0), |event| event.position) })
    }

    async fn call(&self, visibility: &Visibility, call: &CallId) -> Result<Option<CallRecord>, Refusal> {
        let mut record: Option<CallRecord> = None;
        for event in whole_log(&self.0).await {
            if event.kind.call() != Some(call) {
                continue;
            }
            if let EventKind::IntentRecorded(intent) = &event.kind {
                record = Some(CallRecord {
                    policy: None,
                    switch: None,
                    user: intent.user.to_string(),
                    call_id: call.clone(),
                    account: intent.account.clone(),
                    credential: intent.credential.to_string(),
                    resources: intent.resources.clone(),
                    tool: intent.tool.to_string(),
                    via: String::new(),
                    status: Status::Recorded,
                    code: None,
                    at: event.at,
                    ended_at: None,
                    session: None,
                    ip: None,
                    text: String::new(),
                    intent: event.position,
                    end: None,
                });
            }
            let Some(record) = record.as_mut() else { continue };
            let before = (record.status != Status::Recorded || !matches!(event.kind, EventKind::IntentRecorded(_)))
                .then_some(record.status);
            record.status = forelog::core::call::next(before, &event.kind).expect("a legal log");
            if record.status.is_terminal() && record.end.is_none() {
                record.end = Some(event.position);
            }
        }
        Ok(record.filter(|record| visibility.call(&record.account, &record.credential)))
    }

    async fn timeline(&self, visibility: &Visibility, call: &CallId) -> Result<Option<Value>, Refusal> {
        let Some(record) = self.call(visibility, call).await? else { return Ok(None) };
        let log = whole_log(&self.0).await;
        let events: Vec<Value> = log
            .iter()
            .filter(|event| event.kind.call() == Some(call))
            .map(|event| {
                let sha256 = hex::encode(Sha256::digest(json!(event).to_string()));
                json!({ "position": event.position, "at": event.at, "type": event.kind.name(), "leaf": event, "sha256": sha256 })
            })
            .collect();
        let durations = json!({ "decided": null, "queued": null, "ran": null, "total": null });
        Ok(Some(json!({ "call": record, "arguments": null, "result": null, "durations": durations, "events": events })))
    }
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
