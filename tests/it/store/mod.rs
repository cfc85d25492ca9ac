//! The store's conformance suite: every case on SQLite and on PostgreSQL, through the same trait.

mod appended;
mod opened;
mod prepared;
mod rows;

use std::path::PathBuf;

use forelog::core::id::Position;
use forelog::core::time::Micros;
use forelog::log::dialect::Room;
use forelog::log::postgres::open_postgres;
use forelog::log::sql::Database;
use forelog::log::sql_store::SqlStore;
use forelog::log::sqlite::open_sqlite;
use forelog::log::store::{Batch, EventRow, Found, Head, PayloadRow, StateRow, Store, Want};

/// A database that several stores can be opened on, as several processes would.
enum Backend {
    Sqlite(tempfile::TempDir),
    Postgres(String),
}

impl Backend {
    fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().expect("a directory"))
    }

    async fn postgres() -> Self {
        Self::Postgres(crate::postgres::fresh_database().await)
    }

    async fn room(&self, room: Room) -> Box<dyn Database> {
        let opened = match self {
            Self::Sqlite(dir) => open_sqlite(&made(dir.path().join(format!("{}.db", room.name()))), room).await,
            Self::Postgres(url) => open_postgres(url, room).await,
        };
        opened.expect("a room")
    }

    async fn store(&self) -> SqlStore {
        let store = SqlStore::new(self.room(Room::Log).await);
        store.migrate().await.expect("migrate");
        store
    }
}

/// With an empty file, if there is none: opening makes nothing.
pub fn made(file: PathBuf) -> PathBuf {
    if !file.exists() {
        std::fs::File::create(&file).expect("an empty file");
    }
    file
}

macro_rules! on_both {
    ($($case:ident, $sqlite:ident, $postgres:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $sqlite() {
            $case(Backend::sqlite()).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $postgres() {
            $case(Backend::postgres().await).await;
        }
    )*};
}
pub(super) use on_both;

fn event(position: i64) -> EventRow {
    let call = (position % 2 == 0).then(|| format!("call {position}"));
    let leaf = vec![0, 255, u8::try_from(position % 256).unwrap_or(0)];
    EventRow { position: Position(position), at: Micros(position * 10), kind: "happened".into(), call, leaf }
}

fn payload(position: i64, part: &str) -> PayloadRow {
    PayloadRow { position: Position(position), part: part.into(), key: "key".into(), body: vec![0, 1, 2] }
}

fn row(name: &str, control: bool, position: i64, doc: &str) -> StateRow {
    StateRow { name: name.into(), control, position: Position(position), doc: doc.into() }
}

/// A batch of the next `count` events.
fn next(head: &Head, count: i64) -> Batch {
    let events = (1..=count).map(|n| event(head.position.0 + n)).collect();
    Batch { events, epoch: head.epoch, ..Batch::default() }
}

async fn append(store: &SqlStore, count: i64) -> Head {
    store.transact(&Want::default(), &mut |head, _| Ok(next(head, count))).await.expect("an append")
}

async fn put(store: &SqlStore, puts: Vec<StateRow>, deletes: Vec<String>) {
    let decide = &mut |head: &Head, _: Found| {
        Ok(Batch { puts: puts.clone(), deletes: deletes.clone(), epoch: head.epoch, ..Batch::default() })
    };
    store.transact(&Want::default(), decide).await.expect("rows");
}

async fn all(store: &SqlStore) -> Vec<EventRow> {
    store.events(Position(0), 100_000).await.expect("the log")
}
