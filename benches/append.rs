//! Appending to the log on SQLite through the writer: alone, and as many at once as make a batch. The batch is the point:
//! compare the time per event.

#![expect(clippy::expect_used, clippy::disallowed_methods, reason = "a benchmark measures time itself, and fails by panicking")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use forelog::core::event::{Ended, EventKind};
use forelog::core::id::{CallId, EventId, NodeId, Position};
use forelog::core::root::RootKey;
use forelog::core::time::{Clock, Entropy, Micros};
use forelog::log::dialect::Room;
use forelog::log::draft::NewEvent;
use forelog::log::fence::Fence;
use forelog::log::sql_store::SqlStore;
use forelog::log::sqlite::open_sqlite;
use forelog::log::store::{Store, Want};
use forelog::log::writer::Writer;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct RealClock(Instant);

impl Clock for RealClock {
    fn now(&self) -> Micros {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

struct RealEntropy;

impl Entropy for RealEntropy {
    fn fill(&self, into: &mut [u8]) {
        rand::Rng::fill_bytes(&mut rand::rng(), into);
    }
}

async fn append(writer: &Writer, clock: &RealClock) -> Position {
    let (now, entropy) = (clock.now(), RealEntropy);
    let ended = Ended::of(CallId::new(now, &entropy), NodeId::new(now, &entropy), None);
    let event = NewEvent::plain(EventId::new(now, &entropy), EventKind::Succeeded(ended));
    writer.write(Want::default(), move |draft| draft.append(Position(0), event.clone())).await.expect("an append")
}

fn appends(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let dir = tempfile::tempdir().expect("a directory");
    let writer = runtime.block_on(async {
        let file = dir.path().join("log.db");
        std::fs::File::create(&file).expect("an empty file");
        let database = open_sqlite(&file, Room::Log).await.expect("a log");
        let store = Arc::new(SqlStore::new(database));
        store.migrate().await.expect("a schema");
        let clock: Arc<dyn Clock> = Arc::new(RealClock(Instant::now()));
        Writer::start(store, Fence::new(Arc::clone(&clock), RootKey::default()), clock).0
    });
    let clock = RealClock(Instant::now());
    let mut group = criterion.benchmark_group("append");
    for at_once in [1usize, 8, 64, 256] {
        group.throughput(Throughput::Elements(at_once as u64));
        group.bench_function(format!("{at_once} at once"), |bench| {
            bench.to_async(&runtime).iter(|| async {
                let appended = (0..at_once).map(|_| append(&writer, &clock));
                black_box(futures::future::join_all(appended).await)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, appends);
criterion_main!(benches);
