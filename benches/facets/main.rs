//! What the staff's search costs on a long and varied history: `cargo bench --bench facets -- 10000000`. Fills the log of
//! each database with calls of many accounts, lets the views project it, and asks by each facet, by words, and for the
//! histogram.
//!
//! The events go through the real writer, vault and projection; only the deciding is left out, which would not change what
//! the views hold and would take hours. Everything is drawn from a fixed seed, so two runs ask the same of the same history.
//! Some values are common and some are rare, because what an index cannot narrow is what is slow.

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    dead_code,
    reason = "a benchmark measures time itself, and fails by panicking; it shares its database with others"
)]

mod asking;
#[path = "../compare/load.rs"]
mod load;
mod past;
#[path = "../compare/postgres.rs"]
mod postgres;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use forelog::core::id::Position;
use forelog::log::dialect::Room;
use forelog::log::fence::Fence;
use forelog::log::postgres::open_postgres;
use forelog::log::reading::Reader;
use forelog::log::sql::Database;
use forelog::log::sql_store::SqlStore;
use forelog::log::sqlite::open_sqlite;
use forelog::log::store::Store;
use forelog::log::vault::Vault;
use forelog::log::writer::Writer;
use forelog::views::Views;
use forelog::views::activity::Calls;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use past::{Past, Seed, Sped};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let events = asked.iter().find_map(|arg| arg.parse().ok()).unwrap_or(100_000);
    let only = |name: &str| !asked.iter().any(|arg| arg == "sqlite" || arg == "postgres") || asked.iter().any(|arg| arg == name);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        if only("sqlite") {
            measure("SQLite", None, events).await;
        }
        let cluster = only("postgres").then(postgres::Cluster::start).flatten();
        match &cluster {
            Some(cluster) => measure("PostgreSQL", Some(&cluster.url()), events).await,
            None => println!("\nPostgreSQL is not asked for or not installed"),
        }
    });
}

async fn measure(name: &str, url: Option<&str>, events: i64) {
    let dir = tempfile::tempdir().expect("a directory");
    let room = async |room: Room| open(url, dir.path(), room).await;
    let store = Arc::new(SqlStore::new(room(Room::Log).await));
    store.migrate().await.expect("a schema");
    let (clock, entropy) = (Arc::new(Sped::default()), Arc::new(Seed::default()));
    let vault = Vault::open(room(Room::Vault).await, Zeroizing::new([7; 32]), Arc::clone(&entropy) as _).await.expect("a vault");
    let reader = Reader { store: Arc::clone(&store) as _, vault: Arc::new(vault) };
    let fence = Fence::new(Arc::clone(&clock) as _, reader.vault.root_key());
    let (writer, _) = Writer::start(Arc::clone(&store) as _, fence, Arc::clone(&clock) as _);
    let views = Views::open(room(Room::Views).await, reader.clone()).await.expect("views");
    let stop = CancellationToken::new();
    let projecting = tokio::spawn(Arc::clone(&views).run(stop.clone()));

    let started = Instant::now();
    let mut past = Past::new(writer, reader, clock, entropy);
    let head = past.fill(events).await;
    let filled = started.elapsed();
    wait_for(&views, head).await;
    stop.cancel();
    projecting.await.expect("the projection ends");
    println!(
        "\n{name}: {} events of {} calls, written in {:.0} s, projected after {:.0} s",
        head.0,
        past.calls(),
        filled.as_secs_f64(),
        started.elapsed().as_secs_f64()
    );
    asking::measure(&Calls::new(views), &past).await;
}

async fn wait_for(views: &Views, head: Position) {
    while views.position().await.expect("the cursor") < head {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// With an empty file, if there is none: opening makes nothing.
fn made(file: PathBuf) -> PathBuf {
    if !file.exists() {
        std::fs::File::create(&file).expect("an empty file");
    }
    file
}

async fn open(url: Option<&str>, dir: &Path, room: Room) -> Box<dyn Database> {
    match url {
        Some(url) => open_postgres(url, room).await,
        None => open_sqlite(&made(dir.join(format!("{}.db", room.name()))), room).await,
    }
    .expect("a room")
}
