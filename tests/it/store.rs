//! The store's conformance suite: every case on SQLite and on PostgreSQL, through the same trait.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use forelog::core::id::{Epoch, Position};
use forelog::core::time::Micros;
use forelog::log::dialect::{POSTGRES, Room, SQLITE};
use forelog::log::migration::migrate;
use forelog::log::postgres::{many_rows, open_postgres};
use forelog::log::sql::{Database, Insert, SqlError};
use forelog::log::sql_store::SqlStore;
use forelog::log::sqlite::one_row;
use forelog::log::sqlite::open_sqlite;
use forelog::log::store::{Batch, EventRow, Found, Head, PayloadRow, StateRow, Store, StoreError, Want};
use forelog::log::tables::{EVENTS, PAYLOADS, STATE};
use forelog::views::call::CALLS;
use forelog::views::label::LABELS;
use sqlx::{AssertSqlSafe, Connection, Executor, SqlSafeStr};
use syn::visit::Visit;

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

on_both! {
    gapless, store_positions_have_no_gaps, postgres_store_positions_have_no_gaps;
    concurrent, store_two_instances_write_one_log, postgres_store_two_instances_write_one_log;
    locked, store_locks_the_head_while_deciding, postgres_store_locks_the_head_while_deciding;
    rolled_back, store_rolls_back_what_is_not_whole, postgres_store_rolls_back_what_is_not_whole;
    refusing, store_refuses_to_change_the_past, postgres_store_refuses_to_change_the_past;
    changed, store_tells_what_changed_since_an_epoch, postgres_store_tells_what_changed_since_an_epoch;
    named, store_finds_rows_by_name, postgres_store_finds_rows_by_name;
    large, store_takes_large_batches, postgres_store_takes_large_batches;
    by_kind, store_finds_rows_by_kind, postgres_store_finds_rows_by_kind;
    migrating, store_migrates_once, postgres_store_migrates_once;
    telling, store_tells_of_a_new_epoch_and_of_nothing_else, postgres_store_tells_of_a_new_epoch_and_of_nothing_else;
    headless, store_without_a_head_is_unreadable, postgres_store_without_a_head_is_unreadable;
    prepared, store_every_statement_can_be_prepared, postgres_store_every_statement_can_be_prepared;
}

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

async fn gapless(backend: Backend) {
    let store = backend.store().await;
    assert_eq!(store.head().await.expect("the head"), Head::default());
    for count in [1, 3, 4, 17, 64, 65] {
        let before = store.head().await.expect("the head");
        let head = append(&store, count).await;
        assert_eq!(
            head,
            Head { position: Position(before.position.0 + count), at: Micros(head.position.0 * 10), epoch: Epoch(0) }
        );
        assert_eq!(store.head().await.expect("the head"), head);
    }
    let expected: Vec<EventRow> = (1..=154).map(event).collect();
    assert_eq!(all(&store).await, expected);
    assert_eq!(store.events(Position(10), 3).await.expect("a page"), expected[10..13]);
    // Nothing to write moves nothing.
    let same = store.transact(&Want::default(), &mut |_, _| Ok(Batch { epoch: Epoch(9), ..Batch::default() })).await;
    assert_eq!(same.expect("the head"), store.head().await.expect("the head"));
}

async fn concurrent(backend: Backend) {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let mut writers = Vec::new();
    for _ in 0..2 {
        let (store, seen) = (Arc::new(backend.store().await), Arc::clone(&seen));
        for _ in 0..2 {
            let (store, seen) = (Arc::clone(&store), Arc::clone(&seen));
            writers.push(tokio::spawn(async move {
                for _ in 0..15 {
                    let head = store.transact(&Want::default(), &mut |head, _| Ok(next(head, 2))).await.expect("an append");
                    assert!(seen.lock().expect("the set").insert(head.position), "{head:?} was answered twice");
                }
            }));
        }
    }
    for writer in writers {
        writer.await.expect("a writer");
    }
    let expected: Vec<EventRow> = (1..=120).map(event).collect();
    assert_eq!(all(&backend.store().await).await, expected);
}

async fn locked(backend: Backend) {
    let (one, two) = (backend.store().await, backend.store().await);
    let (enter, entered) = mpsc::sync_channel(1);
    let (intrude, intruded) = mpsc::sync_channel(1);
    let first = tokio::spawn(async move {
        let decide = &mut move |head: &Head, _: Found| {
            enter.send(()).expect("the test listens");
            // The other one may not decide while this one does, however long that takes.
            assert!(intruded.recv_timeout(Duration::from_millis(300)).is_err(), "two decided at once");
            Ok(next(head, 1))
        };
        one.transact(&Want::default(), decide).await.expect("an append")
    });
    entered.recv_timeout(Duration::from_secs(10)).expect("the first decides");
    let decide = &mut |head: &Head, _: Found| {
        // Nobody listens any more, if all is well.
        let _ = intrude.send(());
        assert_eq!(head.position, Position(1));
        Ok(next(head, 1))
    };
    let head = two.transact(&Want::default(), decide).await.expect("an append");
    assert_eq!((first.await.expect("the first").position, head.position), (Position(1), Position(2)));
}

async fn rolled_back(backend: Backend) {
    let store = backend.store().await;
    let head = append(&store, 3).await;
    let refused = store.transact(&Want::default(), &mut |_, _| Err(StoreError::Unreadable("no".into()))).await;
    assert!(matches!(refused, Err(StoreError::Unreadable(_))), "{refused:?}");
    // The second event leaves a gap: the row, the first event and its payload go with it.
    let gap = store
        .transact(&Want::default(), &mut |head, _| {
            let events = vec![event(head.position.0 + 1), event(head.position.0 + 3)];
            let payloads = vec![payload(head.position.0 + 1, "note")];
            Ok(Batch { events, payloads, puts: vec![row("vm:a", true, 4, "1")], epoch: Epoch(1), ..Batch::default() })
        })
        .await;
    assert!(matches!(gap, Err(StoreError::Sql(SqlError::Statement(_)))), "{gap:?}");
    assert_eq!(store.head().await.expect("the head"), head);
    assert_eq!(all(&store).await.len(), 3);
    assert!(store.payloads(Position(0), Position(99)).await.expect("the payloads").is_empty());
    assert!(store.state(&["vm"]).await.expect("the rows").is_empty());
    assert_eq!(append(&store, 1).await.position, Position(4));
}

async fn refusing(backend: Backend) {
    let store = backend.store().await;
    let decide = &mut |head: &Head, _: Found| Ok(Batch { payloads: vec![payload(1, "note")], ..next(head, 2) });
    store.transact(&Want::default(), decide).await.expect("an append");
    let mut refused = vec![
        ("update event set at = 0", "events are never updated"),
        ("delete from event where position = 2", "events are never deleted"),
        (
            "insert into event (position, at, type, leaf) select 4, 99, type, leaf from event where position = 1",
            "positions have no gaps",
        ),
        ("update payload set body = body", "payloads are never updated"),
        ("delete from payload", "payloads are never deleted"),
        ("delete from log_head", "the head is never deleted"),
        ("update log_head set position = position - 1", "the head never goes back"),
        ("update log_head set at = at - 1", "the head never goes back"),
        ("update log_head set epoch = epoch - 1", "the head never goes back"),
    ];
    if let Backend::Postgres(_) = backend {
        refused.push(("truncate event", "events are never deleted"));
        refused.push(("truncate payload", "payloads are never deleted"));
        refused.push(("truncate log_head", "the head is never deleted"));
    }
    for (sql, why) in refused {
        let mut transaction = store.database().begin().await.expect("a transaction");
        let error = transaction.execute(sql, Vec::new()).await.expect_err(sql);
        let text = format!("{:?}", std::error::Error::source(&error));
        assert!(text.contains(why), "{sql}: {text}");
    }
    if let Backend::Postgres(_) = backend {
        // A session that plays a replica skips ordinary triggers.
        let mut transaction = store.database().begin().await.expect("a transaction");
        transaction.script("set local session_replication_role = replica").await.expect("the superuser may");
        let error = transaction.execute("delete from event", Vec::new()).await.expect_err("deleted");
        assert!(format!("{error:?}").contains("events are never deleted"), "{error:?}");
    }
    assert_eq!(all(&store).await, [event(1), event(2)]);
}

async fn changed(backend: Backend) {
    let (store, other) = (backend.store().await, backend.store().await);
    for (name, position, doc) in [("switch:a", 1, "{}"), ("vm:a", 2, "1"), ("switch:a", 3, "null")] {
        let decide = &mut |head: &Head, _: Found| {
            let puts = vec![row(name, true, position, doc), row("limit:x", false, position, "7")];
            Ok(Batch { puts, epoch: Epoch(head.epoch.0 + 1), ..next(head, 1) })
        };
        store.transact(&Want::default(), decide).await.expect("a change");
    }
    let look = |known_epoch: i64, known_position: i64| {
        let other = &other;
        async move {
            let want = Want { known_epoch: Epoch(known_epoch), known_position: Position(known_position), ..Want::default() };
            let mut found = Found::default();
            let decide = &mut |_: &Head, seen: Found| {
                found = seen;
                Ok(Batch::default())
            };
            assert_eq!(other.transact(&want, decide).await.expect("a look").epoch, Epoch(3));
            found.changed
        }
    };
    // A row that is gone is told of too, and what is no control state is not.
    assert_eq!(look(0, 0).await, [row("vm:a", true, 2, "1"), row("switch:a", true, 3, "null")]);
    assert_eq!(look(2, 2).await, [row("switch:a", true, 3, "null")]);
    assert_eq!(look(3, 0).await, []);
}

async fn named(backend: Backend) {
    let store = backend.store().await;
    put(&store, (0..300).map(|n| row(&format!("k:{n:03}"), false, 0, &n.to_string())).collect(), Vec::new()).await;
    for count in [1, 2, 4, 5, 16, 17, 64, 65, 256, 257, 300] {
        let mut names: Vec<String> = (0..count).map(|n| format!("k:{n:03}")).collect();
        names.push("k:absent".into());
        names.push("k:000".into());
        let mut found = BTreeSet::new();
        let decide = &mut |_: &Head, seen: Found| {
            found = seen.rows.into_iter().map(|row| row.name).collect();
            Ok(Batch::default())
        };
        store.transact(&Want { names: names.clone(), ..Want::default() }, decide).await.expect("a look");
        let expected: BTreeSet<String> = (0..count).map(|n| format!("k:{n:03}")).collect();
        assert_eq!(found, expected, "{count}");
        if names.len() <= 256 {
            let rows = store.state_rows(&names).await.expect("the rows");
            assert_eq!(rows.into_iter().map(|row| row.name).collect::<BTreeSet<_>>(), expected);
        }
    }
    put(&store, vec![row("k:000", true, 5, "new")], (1..299).map(|n| format!("k:{n:03}")).collect()).await;
    assert_eq!(store.state(&["k"]).await.expect("the rows"), [row("k:000", true, 5, "new"), row("k:299", false, 0, "299")]);
}

async fn large(backend: Backend) {
    let store = backend.store().await;
    put(&store, vec![row("job:0", false, 0, "0")], Vec::new()).await;
    let decide = &mut |head: &Head, _: Found| {
        let payloads = (1..=1000).flat_map(|n| [payload(n, "arguments"), payload(n, "result")]).collect();
        let puts = (1..=1000).map(|n| row(&format!("job:{n}"), false, n, "1")).collect();
        Ok(Batch { payloads, puts, deletes: vec!["job:0".into()], ..next(head, 1000) })
    };
    let head = store.transact(&Want::default(), decide).await.expect("a large batch");
    assert_eq!(head.position, Position(1000));
    assert_eq!(all(&store).await, (1..=1000).map(event).collect::<Vec<_>>());
    assert_eq!(store.state(&["job"]).await.expect("the rows").len(), 1000);
    let some = store.payloads(Position(999), Position(2000)).await.expect("the payloads");
    let expected = [payload(999, "arguments"), payload(999, "result"), payload(1000, "arguments"), payload(1000, "result")];
    assert_eq!(some, expected);
    assert_eq!(store.payloads(Position(1), Position(1000)).await.expect("the payloads").len(), 2000);
}

async fn by_kind(backend: Backend) {
    let store = backend.store().await;
    let names = ["vm:a", "vm:Z", "vm:ä", "vm", "vmx:a", "vm;a", "v:a", "wm:a", "vm:"];
    put(&store, names.iter().map(|name| row(name, false, 0, "1")).collect(), Vec::new()).await;
    // By bytes on both, whatever the database's language.
    let expected = ["vm:", "vm:Z", "vm:a", "vm:ä"];
    let rows = store.state(&["vm"]).await.expect("the rows");
    assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), expected);
    let mut found = Found::default();
    let decide = &mut |_: &Head, seen: Found| {
        found = seen;
        Ok(Batch::default())
    };
    store.transact(&Want { kinds: vec!["vm", "absent"], ..Want::default() }, decide).await.expect("a look");
    assert_eq!(found.rows, rows);
}

async fn migrating(backend: Backend) {
    let (one, two) = (SqlStore::new(backend.room(Room::Log).await), SqlStore::new(backend.room(Room::Log).await));
    let (first, second) = tokio::join!(one.migrate(), two.migrate());
    first.expect("the first");
    second.expect("the second");
    append(&one, 1).await;
    one.migrate().await.expect("once more");
    assert_eq!(two.head().await.expect("the head").position, Position(1));
    let mut transaction = one.database().begin().await.expect("a transaction");
    transaction.execute("insert into schema_version (version) values (99)", Vec::new()).await.expect("a newer version");
    transaction.commit().await.expect("a commit");
    let newer = two.migrate().await;
    assert!(matches!(newer, Err(StoreError::Sql(SqlError::TooNew { found: 99, .. }))), "{newer:?}");
}

async fn telling(backend: Backend) {
    let (store, other) = (backend.store().await, backend.store().await);
    if let Backend::Sqlite(_) = backend {
        assert!(tokio::time::timeout(Duration::from_millis(50), store.next_epoch()).await.is_err(), "there is nobody to tell");
        return;
    }
    assert_eq!(store.next_epoch().await.expect("it listens"), None, "whoever begins to listen looks");
    append(&other, 3).await;
    for epoch in [1, 2] {
        let decide = &mut |head: &Head, _: Found| Ok(Batch { epoch: Epoch(epoch), ..next(head, 1) });
        other.transact(&Want::default(), decide).await.expect("a change");
    }
    append(&other, 1).await;
    // Two that come one after the other may be told as one; the newest is.
    let mut told = Vec::new();
    while told.last() != Some(&Epoch(2)) {
        let next = tokio::time::timeout(Duration::from_secs(20), store.next_epoch()).await.expect("in time");
        told.extend(next.expect("it is told"));
    }
    assert!(told.is_sorted() && told.len() <= 2, "{told:?}");
    assert!(tokio::time::timeout(Duration::from_millis(100), store.next_epoch()).await.is_err(), "nothing else is told");
}

async fn headless(backend: Backend) {
    let store = backend.store().await;
    let on = if matches!(backend, Backend::Postgres(_)) { " on log_head" } else { "" };
    let mut transaction = store.database().begin().await.expect("a transaction");
    transaction.script(&format!("drop trigger head_is_never_deleted{on}; delete from log_head")).await.expect("no head");
    transaction.commit().await.expect("a commit");
    assert!(matches!(store.head().await, Err(StoreError::Unreadable(_))));
    let mut asked = false;
    let decide = &mut |head: &Head, _: Found| {
        asked = true;
        Ok(next(head, 1))
    };
    let refused = store.transact(&Want::default(), decide).await;
    assert!(matches!(refused, Err(StoreError::Unreadable(_))), "{refused:?}");
    assert!(!asked, "nothing is decided without a head");
}

/// String literals that are whole statements.
#[derive(Default)]
struct Statements(BTreeSet<String>);

impl<'ast> Visit<'ast> for Statements {
    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        let text = literal.value();
        let begins = ["select ", "insert into ", "update ", "delete from "].iter().any(|start| text.starts_with(start));
        // The rest of a `format!` is built at run time; the other cases run those.
        if begins && !text.contains('{') {
            self.0.insert(text);
        }
    }
}

fn statements() -> BTreeSet<String> {
    let mut found = Statements::default();
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![source.join("log"), source.join("views")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the source") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // What each database has for itself is prepared on that one.
            if ["dialect.rs", "migration.rs", "roles.rs", "powers.rs", "refusing.rs", "session.rs", "sqlite.rs"]
                .iter()
                .any(|own| path.ends_with(own))
            {
                continue;
            }
            let text = std::fs::read_to_string(path).expect("a text");
            found.visit_file(&syn::parse_file(&text).expect("Rust"));
        }
    }
    found.0
}

async fn prepared(backend: Backend) {
    let rooms = [Room::Log, Room::Views, Room::Vault];
    for room in rooms {
        migrate(&*backend.room(room).await, room).await.expect("migrate");
    }
    let inserts: [&Insert; 5] = [&EVENTS, &PAYLOADS, &STATE, &CALLS, &LABELS];
    let insert = if matches!(backend, Backend::Sqlite(_)) { one_row } else { many_rows };
    let own = if matches!(backend, Backend::Sqlite(_)) { &SQLITE } else { &POSTGRES };
    let own = [own.is_there, own.careless].map(str::to_owned);
    let statements: BTreeSet<String> = statements().into_iter().chain(inserts.map(insert)).chain(own).collect();
    assert!(statements.len() >= 15, "{statements:#?}");
    for sql in statements {
        let failed = match &backend {
            // The lock that only several programs on one server need.
            Backend::Sqlite(_) if sql.starts_with("select pg_") || sql.contains(" pg_catalog.") => continue,
            Backend::Postgres(url) => {
                prepare_postgres(url, &sql).await.err().into_iter().map(|error| error.to_string()).collect()
            }
            Backend::Sqlite(dir) => {
                let mut failed = Vec::new();
                for room in rooms {
                    let file = dir.path().join(format!("{}.db", room.name()));
                    let connection = rusqlite::Connection::open(file).expect("a connection");
                    failed.extend(connection.prepare(&sql.replace('$', "?")).err().map(|error| error.to_string()));
                }
                // It belongs to one room, and only that one has its tables.
                if failed.len() < rooms.len() { Vec::new() } else { failed }
            }
        };
        assert!(failed.is_empty(), "{sql}: {failed:?}");
    }
}

async fn prepare_postgres(url: &str, sql: &str) -> Result<(), sqlx::Error> {
    let mut connection = sqlx::PgConnection::connect(url).await?;
    connection.execute("set search_path to log, views, vault").await?;
    connection.prepare(AssertSqlSafe(sql.to_owned()).into_sql_str()).await.map(|_| ())
}
