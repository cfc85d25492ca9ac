//! Control state for whoever only looks: read as a transaction reads it before it decides, and checked as it is there, without
//! holding up anybody and without being held up.
//!
//! INVARIANT: nothing is locked and nothing is written. What was read while somebody wrote is read again.

use std::sync::Arc;

use async_trait::async_trait;

use super::dialect::Dialect;
use super::draft::Draft;
use super::find::find;
use super::sql::{Database, Insert, Row, SqlError, Transaction, Value};
use super::sql_store::SqlStore;
use super::store::{Store, StoreError, Want};
use super::time::Reading;
use crate::core::id::Position;
use crate::core::state::ControlState;

/// So often it is read, while others write.
const TRIES: u32 = 20;

/// Control state as the log has it now. `known` is a state that nothing is in yet, and says how roots are made.
pub async fn peek(store: &SqlStore, known: &Arc<ControlState>) -> Result<ControlState, StoreError> {
    // Who knows nothing yet reads whatever rows there are.
    let want = Want { known_position: Position(i64::MIN), ..Want::default() };
    let known = Arc::new(known.anew());
    let dialect: &'static Dialect = store.database().dialect();
    let mut read = Err(StoreError::Unreadable("it is written all the time".into()));
    for _ in 0..TRIES {
        let (head, found) = find(&mut Loose(store.database()), dialect, &want).await?;
        read = Draft::new(head, found, &known, |_, _| Reading::of(head.at)).map(|draft| draft.state().clone());
        if store.head().await? == head {
            break;
        }
    }
    read
}

/// Questions that are asked one by one.
struct Loose<'d>(&'d dyn Database);

#[async_trait]
impl Transaction for Loose<'_> {
    async fn query(&mut self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        self.0.query(sql, args).await
    }

    async fn execute(&mut self, _: &str, _: Vec<Value>) -> Result<u64, SqlError> {
        Err(only_reads())
    }

    async fn insert(&mut self, _: &'static Insert, _: Vec<Vec<Value>>) -> Result<(), SqlError> {
        Err(only_reads())
    }

    async fn script(&mut self, _: &str) -> Result<(), SqlError> {
        Err(only_reads())
    }

    async fn rollback(self: Box<Self>) {}

    async fn commit(self: Box<Self>) -> Result<(), SqlError> {
        Err(only_reads())
    }
}

fn only_reads() -> SqlError {
    SqlError::Statement("whoever looks writes nothing".into())
}
