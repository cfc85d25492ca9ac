//! What control state costs at 10^3, 10^5 and 10^6 keys and as many VMs, over 10^4 accounts: `cargo bench --bench state`, or
//! with sizes of your own, `cargo bench --bench state -- 1000 20000`. Each size is a process of its own, on a SQLite log whose
//! rows are put there directly.
//!
//! The first hundred accounts have ten keys and ten VMs each at every size, and what is measured is done for them: what the
//! others have should cost them nothing.

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a benchmark measures time itself, and fails by panicking"
)]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use forelog::core::event::{CredentialCreated, Event, EventKind, LEAF_VERSION};
use forelog::core::id::{AccountId, CredentialId, EventId, NodeId, Position, UserId, VmId};
use forelog::core::principal::{Principal, Side, Via};
use forelog::core::root::RootKey;
use forelog::core::scope::Scope;
use forelog::core::state::{ControlState, Vm};
use forelog::core::time::{Clock, Entropy, Micros};
use forelog::core::visibility::Visibility;
use forelog::log::dialect::Room;
use forelog::log::fence::Fence;
use forelog::log::sql::Database;
use forelog::log::sql_store::SqlStore;
use forelog::log::sqlite::open_sqlite;
use forelog::log::store::{Store, Want};
use forelog::log::writer::Writer;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZES: [u64; 3] = [1_000, 100_000, 1_000_000];
const ACCOUNTS: u64 = 10_000;
/// Accounts that have the same at every size, and how much of it.
const MEASURED: u64 = 100;
const EACH: u64 = 10;
const NOW: Micros = Micros(1_767_225_600_000_000);

struct RealClock(Instant);

impl Clock for RealClock {
    fn now(&self) -> Micros {
        Micros(NOW.0 + i64::try_from(self.0.elapsed().as_micros()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The bytes of a number: the same ids at every size.
struct Numbered(u64);

impl Entropy for Numbered {
    fn fill(&self, into: &mut [u8]) {
        for (place, byte) in into.iter_mut().rev().zip(self.0.to_le_bytes()) {
            *place = byte;
        }
    }
}

fn account(n: u64) -> AccountId {
    AccountId::new(NOW, &Numbered(n))
}

fn key(n: u64) -> CredentialId {
    CredentialId::new(NOW, &Numbered(n))
}

fn vm(n: u64) -> VmId {
    VmId::new(NOW, &Numbered(n))
}

/// Whose the `n`th key and the `n`th VM are.
fn owner(n: u64) -> u64 {
    if n < MEASURED * EACH { n / EACH } else { MEASURED + n % (ACCOUNTS - MEASURED) }
}

fn label(n: u64) -> String {
    format!("web-{n}")
}

/// How the `n`th key, or VM, came to be.
fn made(n: u64) -> [(EventKind, String); 2] {
    let created = CredentialCreated {
        credential: key(n),
        account: account(owner(n)),
        user: UserId::new(NOW, &Numbered(owner(n))),
        side: Side::Customer,
        hash: format!("{n:064x}").into(),
        prefix: "flk_live_abcd".into(),
        scopes: Scope::customer(),
        vms: None,
        read_only: false,
        expires_at: None,
        limit: None,
        rotates: None,
        role: None,
        made_by: None,
    };
    let imported = EventKind::VmImported {
        vm: vm(n),
        account: account(owner(n)),
        provider: "sim".into(),
        machine: format!("machine-{n}").into(),
    };
    [(EventKind::CredentialCreated(created), format!("key {n}")), (imported, label(n))]
}

/// A log whose control state has so many keys and VMs.
async fn prepare(database: &dyn Database, size: u64) {
    let mut state = ControlState::under(RootKey::default());
    let mut transaction = database.begin_append().await.expect("a transaction");
    let accounts =
        (0..ACCOUNTS).map(|n| (EventKind::AccountCreated { account: account(n), side: Side::Customer }, String::new()));
    for (kind, label) in accounts.chain((0..size).flat_map(made)) {
        for name in state.apply(Position(1), NOW, &kind, &json!({ "label": label })) {
            let doc = state.row(&name).expect("a row");
            let name = format!("{}:{}", name.kind, name.key);
            let sql = "insert into state (name, control, position, doc) values ($1, 1, 1, $2)";
            transaction.execute(sql, vec![name.into(), doc.into()]).await.expect(sql);
        }
    }
    let leaf = Event {
        v: LEAF_VERSION,
        log: 1,
        position: Position(1),
        at: NOW,
        id: EventId::new(NOW, &Numbered(1)),
        prev: Position(0),
        kind: EventKind::NodeStopped { node: NodeId::new(NOW, &Numbered(1)) },
        parts: Vec::new(),
        control: Some(state.root(Position(1)).into()),
    };
    let columns = vec![1_i64.into(), NOW.0.into(), leaf.kind.name().into(), leaf.encode().expect("a leaf").into()];
    let sql = "insert into event (position, at, type, call, leaf) values ($1, $2, $3, null, $4)";
    transaction.execute(sql, columns).await.expect(sql);
    let sql = "update log_head set position = 1, at = $1, epoch = epoch + 1";
    transaction.execute(sql, vec![NOW.0.into()]).await.expect(sql);
    transaction.commit().await.expect("a commit");
}

/// Runs something often, and answers what the median of a hundred rounds took each time, in microseconds.
fn median(mut once: impl FnMut(u64)) -> f64 {
    const ROUND: u64 = 100;
    let mut rounds: Vec<Duration> = (0..100)
        .map(|round| {
            let since = Instant::now();
            (0..ROUND).for_each(|n| once(round * ROUND + n));
            since.elapsed()
        })
        .collect();
    rounds.sort_unstable();
    rounds[rounds.len() / 2].as_secs_f64() * 1e6 / ROUND as f64
}

/// What this process holds in memory, in MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or_default() / 1024
}

/// One change, as the writer makes it: a state of its own, the event, its row and its root, and all nodes' readers told.
fn change(fence: &Fence, known: &mut Arc<ControlState>, kind: &EventKind, note: &serde_json::Value) {
    let mut state = Arc::clone(known);
    let position = state.position.next();
    let changing = Arc::make_mut(&mut state);
    for name in changing.apply(position, NOW, kind, note) {
        black_box(changing.row(&name).expect("a row"));
    }
    black_box(state.root(position));
    fence.publish(&state);
    *known = state;
}

async fn measure(dir: &Path, size: u64) {
    let path = dir.join("log.db");
    let before = resident();
    let store = Arc::new(SqlStore::new(open_sqlite(&path, Room::Log).await.expect("a log")));
    let clock: Arc<dyn Clock> = Arc::new(RealClock(Instant::now()));
    let fence = Fence::new(Arc::clone(&clock), RootKey::default());
    let since = Instant::now();
    let (writer, _task) = Writer::start(store, Arc::clone(&fence), clock);
    writer.write(Want::default(), |_| Ok(())).await.expect("control state");
    let (start, held) = (since.elapsed(), resident() - before);
    let mut known = fence.state();
    assert_eq!((known.credentials.len(), known.vms.len()), (usize::try_from(size).expect("a size"), known.credentials.len()));

    let nothing = json!({});
    let switched = median(|n| {
        let kind = EventKind::VmExecSet { vm: vm(n % (MEASURED * EACH)), enabled: n % 2 == 0 };
        change(&fence, &mut known, &kind, &nothing);
    });
    let keyed = median(|n| {
        let [(EventKind::CredentialCreated(made), _), _] = made(n % (MEASURED * EACH)) else { return };
        let id = CredentialId::new(Micros(NOW.0 + 1_000_000), &Numbered(n));
        let made =
            CredentialCreated { credential: id, hash: format!("new {n}").into(), made_by: Some(made.credential.clone()), ..made };
        change(&fence, &mut known, &EventKind::CredentialCreated(made), &json!({ "label": "new" }));
    });
    let who = |n: u64| Principal {
        side: Side::Customer,
        account: account(n / EACH),
        user: UserId::new(NOW, &Numbered(n / EACH)),
        credential: key(n),
        via: Via::Mcp,
        ip: None,
        read_only: false,
    };
    let callers: Vec<(Principal, String)> = (0..MEASURED * EACH).map(|n| (who(n), label(n))).collect();
    let caller = |n: u64| &callers[usize::try_from(n).unwrap_or_default() % callers.len()];
    let named = median(|n| {
        let (who, label) = caller(n * 7);
        let visibility = Visibility::own(who, &known);
        let found = known.vms_labelled(&who.account, label).filter(|vm| visibility.vm(vm)).count();
        assert_eq!(found, 1);
    });
    let listed = median(|n| {
        let (who, _) = caller(n * 7);
        let found: Vec<Vm> = Visibility::own(who, &known).vms(&known).cloned().collect();
        assert_eq!(black_box(found).len() as u64, EACH);
    });
    println!(
        "{size:>9} | {switched:>7.1} µs | {keyed:>7.1} µs | {named:>6.2} µs | {listed:>6.2} µs | {:>7.3} s | {held:>6} MiB",
        start.as_secs_f64()
    );
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let asked: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    if let [step, dir, size] = &asked[..]
        && let (Ok(size), dir) = (size.parse(), Path::new(dir))
        && step.parse::<u64>().is_err()
    {
        return runtime.block_on(async {
            if step == "measure" {
                return measure(dir, size).await;
            }
            let store = SqlStore::new(open_sqlite(&dir.join("log.db"), Room::Log).await.expect("a log"));
            store.migrate().await.expect("a schema");
            prepare(&*open_sqlite(&dir.join("log.db"), Room::Log).await.expect("a log"), size).await;
        });
    }
    println!("     size | VM set on  | key made   | by label  | vm_list   | start     | memory");
    let sizes: Vec<u64> = asked.iter().filter_map(|size| size.parse().ok()).collect();
    for size in if sizes.is_empty() { SIZES.to_vec() } else { sizes } {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::File::create(dir.path().join("log.db")).expect("an empty file");
        for step in ["prepare", "measure"] {
            let mut process = std::process::Command::new(std::env::current_exe().expect("this file"));
            let ended = process.arg(step).arg(dir.path()).arg(size.to_string()).status().expect("a process");
            assert!(ended.success(), "{step} {size}");
        }
    }
}
