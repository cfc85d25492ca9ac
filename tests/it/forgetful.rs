//! A connection that breaks after the commit and before anybody heard of it, and a scale for what is written.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use forelog::core::id::{CallId, Epoch, Position};
use forelog::log::sql::SqlError;
use forelog::log::sql_store::SqlStore;
use forelog::log::store::{Batch, Decide, EventRow, Found, Head, PayloadRow, StateRow, Store, StoreError, Want};

/// A store whose next commit is reported lost if it is told so.
pub struct Forgetful {
    store: SqlStore,
    forgets: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    asked: Asked,
}

/// The names of each read of rows by name.
pub type Asked = Arc<Mutex<Vec<Vec<String>>>>;

impl Forgetful {
    /// Loses the next commit of events, and keeps it, whenever `forgets` is set; adds to `written` each byte of a batch,
    /// and to `asked` the names of rows that are read.
    pub fn over(store: SqlStore, forgets: &Arc<AtomicBool>, written: &Arc<AtomicU64>, asked: &Asked) -> Arc<dyn Store> {
        Arc::new(Self { store, forgets: Arc::clone(forgets), written: Arc::clone(written), asked: Arc::clone(asked) })
    }
}

fn weight(batch: &Batch) -> u64 {
    let events = batch.events.iter().map(|row| row.leaf.len() + row.kind.len() + row.call.as_ref().map_or(0, String::len));
    let payloads = batch.payloads.iter().map(|row| row.part.len() + row.key.len() + row.body.len());
    let puts = batch.puts.iter().map(|row| row.name.len() + row.doc.len());
    events.chain(payloads).chain(puts).map(|bytes| bytes as u64).sum()
}

#[async_trait]
impl Store for Forgetful {
    async fn migrate(&self) -> Result<(), StoreError> {
        self.store.migrate().await
    }

    async fn transact(&self, want: &Want, decide: &mut Decide<'_>) -> Result<Head, StoreError> {
        let before = self.store.head().await?;
        let mut weighed = |head: &Head, found| {
            let batch = decide(head, found)?;
            self.written.fetch_add(weight(&batch), Ordering::SeqCst);
            Ok(batch)
        };
        let head = self.store.transact(want, &mut weighed).await?;
        if head.position > before.position && self.forgets.swap(false, Ordering::SeqCst) {
            return Err(StoreError::Sql(SqlError::Commit("the connection broke".into())));
        }
        Ok(head)
    }

    async fn rehearse(&self, want: &Want, decide: &mut Decide<'_>) -> Result<(), StoreError> {
        self.store.rehearse(want, decide).await
    }

    async fn read(&self, want: &Want) -> Result<(Head, Found), StoreError> {
        self.store.read(want).await
    }

    async fn head(&self) -> Result<Head, StoreError> {
        self.store.head().await
    }

    async fn events(&self, after: Position, limit: u32) -> Result<Vec<EventRow>, StoreError> {
        self.store.events(after, limit).await
    }

    async fn of_calls(&self, calls: &[CallId]) -> Result<Vec<EventRow>, StoreError> {
        self.store.of_calls(calls).await
    }

    async fn payloads(&self, first: Position, last: Position) -> Result<Vec<PayloadRow>, StoreError> {
        self.store.payloads(first, last).await
    }

    async fn parts(&self, first: Position, last: Position) -> Result<Vec<(Position, String)>, StoreError> {
        self.store.parts(first, last).await
    }

    async fn strays(&self, after: Position) -> Result<Vec<(Position, String)>, StoreError> {
        self.store.strays(after).await
    }

    async fn state(&self, kinds: &[&'static str]) -> Result<Vec<StateRow>, StoreError> {
        self.store.state(kinds).await
    }

    async fn next_epoch(&self) -> Result<Option<Epoch>, StoreError> {
        self.store.next_epoch().await
    }

    async fn state_under(&self, prefix: &str) -> Result<Vec<StateRow>, StoreError> {
        self.store.state_under(prefix).await
    }

    async fn page_under(&self, prefix: &str, after: Option<&str>, most: usize) -> Result<Vec<StateRow>, StoreError> {
        self.store.page_under(prefix, after, most).await
    }

    async fn state_rows(&self, names: &[String]) -> Result<Vec<StateRow>, StoreError> {
        self.asked.lock().expect("what is asked").push(names.to_vec());
        self.store.state_rows(names).await
    }
}
