//! Opening: a room migrates once, and one without a head is unreadable.

use forelog::core::id::Position;
use forelog::log::dialect::Room;
use forelog::log::sql::SqlError;
use forelog::log::sql_store::SqlStore;
use forelog::log::store::{Found, Head, Store, StoreError, Want};

use super::{Backend, append, next, on_both};

on_both! {
    migrating, store_migrates_once, postgres_store_migrates_once;
    headless, store_without_a_head_is_unreadable, postgres_store_without_a_head_is_unreadable;
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
