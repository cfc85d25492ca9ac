//! A log as the real writer writes it, in a room of its own: two accounts with a key and a VM each, and calls by hand.
//!
//! Invariant: everything in it went through `log::Writer`, so what the verifier and the views see is what they will meet.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use forelog::core::call::Status;
use forelog::core::code::Code;
use forelog::core::decide::Limits;
use forelog::core::event::{CredentialCreated, Ended, EventKind, IntentRecorded};
use forelog::core::id::{CallId, EventId, Position, RunId};
use forelog::core::job::Job;
use forelog::core::limit::Limit;
use forelog::core::lineage::LineageRows;
use forelog::core::principal::{Principal, Side, Via};
use forelog::core::proposal::{Proposal, Verdict};
use forelog::core::resource::ProviderReach;
use forelog::core::scope::Scope;
use forelog::core::scrub::Scrubbed;
use forelog::core::terms::Terms;
use forelog::core::time::{Clock, Entropy, Micros};
use forelog::core::tool::{Class, Risk, Timing, ToolSpec};
use forelog::log::admission::{Submission, Submitted, Waits, job_row};
use forelog::log::binding::Binding;
use forelog::log::claim::Claimed;
use forelog::log::closing::{Closed, Closing};
use forelog::log::dialect::Room;
use forelog::log::draft::NewEvent;
use forelog::log::fence::Fence;
use forelog::log::postgres::open_postgres;
use forelog::log::reading::Reader;
use forelog::log::sql::Database;
use forelog::log::sql_store::SqlStore;
use forelog::log::sqlite::open_sqlite;
use forelog::log::store::{Store, Want};
use forelog::log::vault::{SealedPart, Vault};
use forelog::log::writer::Writer;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::fixtures::{NEW_YEAR, account, call, credential, key_made, node, user, vm};

/// Time goes by a millisecond whenever somebody looks.
#[derive(Default)]
pub struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Micros {
        Micros(NEW_YEAR.0 + self.0.fetch_add(1000, Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::SeqCst).unsigned_abs())
    }
}

/// Never the same bytes twice.
#[derive(Default)]
pub struct Counting(AtomicI64);

impl Entropy for Counting {
    fn fill(&self, into: &mut [u8]) {
        for chunk in into.chunks_mut(8) {
            let next = self.0.fetch_add(1, Ordering::SeqCst).to_be_bytes();
            chunk.copy_from_slice(&next[8 - chunk.len()..]);
        }
    }
}

const fn facts(name: &'static str, class: Class, timing: Timing) -> ToolSpec {
    ToolSpec { scope: Some(Scope::VmsRead), class, risk: Risk::R2, timing, ..ToolSpec::reading(name) }
}

/// Answered at once.
pub static LIST: ToolSpec = facts("vm_list", Class::Read, Timing::Instant);

/// Waits for a worker.
pub static POWER: ToolSpec = facts("vm_power", Class::Write, Timing::Queued);

/// What one call is like.
#[derive(Clone)]
pub struct Ask {
    pub owner: i64,
    pub tool: &'static ToolSpec,
    pub vm: Option<i64>,
    pub text: &'static str,
    pub ip: Option<&'static str>,
    pub session: Option<&'static str>,
    /// Stopped by its guard.
    pub refused: Option<Code>,
}

impl Ask {
    /// A call by the key of that account.
    pub fn by(owner: i64, tool: &'static ToolSpec) -> Self {
        Self { owner, tool, vm: None, text: "", ip: None, session: None, refused: None }
    }
}

/// The log and what it was written with.
pub struct SampleLog {
    pub store: Arc<SqlStore>,
    pub reader: Reader,
    pub writer: Writer,
    pub dir: tempfile::TempDir,
    pub url: Option<String>,
    clock: Arc<Ticking>,
    entropy: Arc<Counting>,
    calls: AtomicI64,
}

impl SampleLog {
    /// On SQLite files.
    pub async fn sqlite() -> Self {
        Self::on(None).await
    }

    /// On a PostgreSQL database.
    pub async fn postgres() -> Self {
        Self::on(Some(crate::postgres::fresh_database().await)).await
    }

    async fn on(url: Option<String>) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Arc::new(SqlStore::new(room(url.as_deref(), dir.path().join("log.db"), Room::Log).await));
        store.migrate().await.expect("migrate");
        if let Some(url) = &url {
            crate::postgres::simulate(url).await;
        }
        let (clock, entropy) = (Arc::new(Ticking::default()), Arc::new(Counting::default()));
        let database = room(url.as_deref(), dir.path().join("vault.db"), Room::Vault).await;
        let vault = Vault::open(database, Zeroizing::new([7; 32]), Arc::clone(&entropy) as _).await.expect("a vault");
        let reader = Reader { store: Arc::clone(&store) as _, vault: Arc::new(vault) };
        let fence = Fence::new(Arc::clone(&clock) as _, reader.vault.root_key());
        let (writer, _task) = Writer::start(Arc::clone(&store) as _, fence, Arc::clone(&clock) as _);
        let sample = Self { store, reader, writer, dir, url, clock, entropy, calls: AtomicI64::new(1) };
        sample.found().await;
        sample
    }

    /// Opens another room beside the log.
    pub async fn room(&self, name: &str, room_is: Room) -> Box<dyn Database> {
        room(self.url.as_deref(), self.dir.path().join(name), room_is).await
    }

    /// Two accounts with a key and a VM each, and a policy.
    async fn found(&self) {
        for n in [1, 2] {
            self.change(n, EventKind::AccountCreated { account: account(n), side: Side::Customer }, Value::Null).await;
            self.change(n, EventKind::CredentialCreated(key(n)), json!({ "label": format!("agent {n}") })).await;
            let (vm, account, provider, machine) = (vm(n), account(n), "sim".into(), format!("machine-{n}"));
            self.change(
                n,
                EventKind::VmImported { vm, account, provider, machine: machine.into() },
                json!({ "label": format!("Web-{n}") }),
            )
            .await;
        }
        let sha256 = "00".repeat(32).into();
        self.change(1, EventKind::PolicyLoaded { version: 1, sha256, by: None, credential: None }, Value::Null).await;
        let ample = Limit { admit: 10_000, window_ms: 60_000 };
        let limits = Limits { credential: ample, exec: ample, write: ample };
        let terms = Box::new(Terms { limits, approval_ms: 3_600_000, ..Terms::default() });
        self.change(1, EventKind::LimitsSet { version: 1, terms, by: None, credential: None }, Value::Null).await;
    }

    pub fn event_id(&self) -> EventId {
        EventId::new(self.clock.now(), &*self.entropy)
    }

    /// Appends a control event, its note in an encrypted part of that account.
    pub async fn change(&self, owner: i64, kind: EventKind, note: Value) -> Position {
        let id = self.event_id();
        let parts = if note.is_null() { Vec::new() } else { vec![self.seal(owner, &id, "note", &note).await] };
        let event = NewEvent { id, kind, parts, note: Scrubbed::of(note) };
        self.writer.write(Want::default(), move |draft| draft.append(Position(0), event.clone())).await.expect("a control event")
    }

    async fn seal(&self, owner: i64, of: impl Into<Binding>, part: &str, value: &Value) -> SealedPart {
        self.reader.vault.seal(&account(owner), NEW_YEAR, of, part, &Scrubbed::of(value.clone())).await.expect("a sealed part")
    }

    /// Submits a call; answers its id.
    pub async fn submit(&self, ask: Ask) -> CallId {
        let (call, submitted) = self.ask(ask.clone()).await;
        let refused = matches!(submitted, Submitted::Refused { .. });
        assert_eq!(refused, ask.refused.is_some(), "{submitted:?}");
        call
    }

    async fn ask(&self, ask: Ask) -> (CallId, Submitted) {
        let id = call(self.calls.fetch_add(1, Ordering::SeqCst));
        let events = [self.event_id(), self.event_id(), self.event_id()];
        let said = json!({ "args": { "action": ask.text }, "text": ask.text });
        let proposal = proposal(&id, &ask, ask.vm.iter().map(|n| self.version_of(Some(*n))).collect());
        let intent = intent(&proposal, &ask);
        let of = Binding::intent(&events[0], &intent);
        let mut parts = vec![self.seal(ask.owner, of.clone(), "arguments", &said).await];
        if let Some(ip) = ask.ip {
            parts.push(self.seal(ask.owner, of, "subject", &json!({ "ip": ip, "user_agent": "test" })).await);
        }
        let run = RunId::new(self.clock.now(), &*self.entropy);
        let waits = Waits { sealed: false, hidden: false, note: Vec::new() };
        let submission =
            Submission { proposal, intent, events, run, others: 0, parts, brief: None, node: node(1), repeats: None, waits };
        (id, self.writer.submit(submission).await.expect("a submission"))
    }

    fn version_of(&self, n: Option<i64>) -> Position {
        let state = self.writer.fence().state();
        n.and_then(|n| state.vms.get(&vm(n))).map_or(Position(0), |vm| vm.version)
    }

    /// The row of an open call.
    pub async fn job(&self, call: &CallId) -> Job {
        let rows = self.store.state_rows(&[job_row(call)]).await.expect("the row");
        serde_json::from_slice(&rows.first().expect("an open call").doc).expect("a job")
    }

    /// A worker takes a queued call.
    pub async fn start(&self, call: &CallId) {
        let job = self.job(call).await;
        let claimed = self.writer.claim(&job, &POWER, node(2), self.event_id()).await.expect("a claim");
        assert!(matches!(claimed, Claimed::Admitted(..)), "{claimed:?}");
    }

    /// Ends a call, with a result.
    pub async fn end(&self, owner: i64, call: &CallId, status: Status, code: Option<Code>) {
        let id = self.event_id();
        let of = Binding::step(&id, call, status.as_str());
        let parts = vec![self.seal(owner, of, "result", &json!({ "done": status.as_str() })).await];
        let ended = Ended::of(call.clone(), node(2), code);
        let closing = Closing { id, status, ended, parts, depends: Vec::new(), notes_late: true, run_by: None };
        let closed = self.writer.close(closing).await.expect("an end");
        assert!(matches!(closed, Closed::Now(_)), "{closed:?}");
    }

    /// Ends a call again, which is noted as a late result.
    pub async fn end_late(&self, owner: i64, call: &CallId, status: Status) {
        let id = self.event_id();
        let of = Binding::step(&id, call, status.as_str());
        let parts = vec![self.seal(owner, of, "result", &json!({ "done": status.as_str() })).await];
        let ended = Ended::of(call.clone(), node(2), None);
        let closing = Closing { id, status, ended, parts, depends: Vec::new(), notes_late: true, run_by: None };
        assert_eq!(self.writer.close(closing).await.expect("a late end"), Closed::Late);
    }

    /// A call from intent to end.
    pub async fn finish(&self, ask: Ask, status: Status, code: Option<Code>) -> CallId {
        let call = self.submit(ask.clone()).await;
        if ask.tool.timing == Timing::Queued {
            self.start(&call).await;
        }
        self.end(ask.owner, &call, status, code).await;
        call
    }

    /// What the provider said later of an unknown call.
    pub async fn reconcile(&self, call: &CallId) {
        let event = NewEvent::plain(self.event_id(), EventKind::Reconciled { call: call.clone(), happened: Some(true) });
        self.writer
            .write(Want::default(), move |draft| draft.append(Position(0), event.clone()))
            .await
            .expect("a reconciliation");
    }
}

async fn room(url: Option<&str>, file: PathBuf, room: Room) -> Box<dyn Database> {
    match url {
        Some(url) => open_postgres(url, room).await,
        None => open_sqlite(&crate::store::made(file), room).await,
    }
    .expect("a room")
}

fn key(n: i64) -> CredentialCreated {
    CredentialCreated { account: account(n), user: user(n), hash: format!("{n:02}").repeat(32).into(), ..key_made(n) }
}

fn proposal(id: &CallId, ask: &Ask, versions: Vec<Position>) -> Proposal {
    Proposal {
        call: id.clone(),
        principal: Principal {
            side: Side::Customer,
            account: account(ask.owner),
            user: user(ask.owner),
            credential: credential(ask.owner),
            via: Via::Mcp,
            ip: None,
            read_only: false,
        },
        lineage_rows: LineageRows { uses: vec![credential(ask.owner)], windows: vec![credential(ask.owner)] },
        tool: Some(ask.tool),
        resources: ask.vm.map(|n| vm(n).into()).into_iter().collect(),
        versions,
        reach: ProviderReach::default(),
        invalid: None,
        guard: ask.refused.map(|code| forelog::core::refusal::Refusal::new(code, "Refused.")),
        enables_exec: false,
        stop: None,
        idempotency: None,
        follows: None,
        verdict: Verdict { version: 1, permit: true, policies: vec!["customers".into()], ..Verdict::default() },
        approved: None,
    }
}

fn intent(proposal: &Proposal, ask: &Ask) -> IntentRecorded {
    IntentRecorded {
        call: proposal.call.clone(),
        account: account(ask.owner),
        side: Side::Customer,
        user: user(ask.owner),
        credential: credential(ask.owner),
        via: Via::Mcp,
        tool: ask.tool.name.to_owned().into(),
        tool_version: 1,
        resources: ask.vm.map(|n| vm(n).into()).into_iter().collect(),
        providers: Vec::new(),
        session: ask.session.map(Into::into),
        protocol: None,
        follows: None,
        arguments: "ab".repeat(32).into(),
        keyed: false,
    }
}

/// Each case on both databases.
macro_rules! on_books {
    ($($case:ident, $sqlite:ident, $postgres:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $sqlite() {
            $case($crate::sample_log::SampleLog::sqlite().await).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $postgres() {
            $case($crate::sample_log::SampleLog::postgres().await).await;
        }
    )*};
}
pub(crate) use on_books;
