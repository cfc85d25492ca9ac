//! The log room on either database.
//!
//! INVARIANT: [`SqlStore::transact`](Store::transact) locks the head first, so every append sees every earlier one, from whatever process.

use async_trait::async_trait;

use super::dialect::{POSTGRES, Room};
use super::migration::migrate;
use super::rows::{
    BY_KIND, HEAD_AND_NEWEST, NEWEST, by_name, event_row, head_of, names, of_calls, payload_row, range_after, range_of, state_row,
};
use super::sql::{Database, SqlError, Transaction, Value};
use super::store::{Decide, EventRow, Found, Head, PayloadRow, StateRow, Store, StoreError, Want};
use super::tables::write;
use super::{blockers, parts, transaction_reads};
use crate::core::id::{CallId, Epoch, Position};
use crate::core::time::Micros;

/// The one implementation, over either database.
pub struct SqlStore {
    database: Box<dyn Database>,
}

impl SqlStore {
    /// A store on a room that [`super::sqlite::open_sqlite`] or [`super::postgres::open_postgres`] opened.
    #[must_use]
    pub fn new(database: Box<dyn Database>) -> Self {
        Self { database }
    }

    /// Reads, decides and writes; none is written if nothing changes.
    async fn decided(
        &self,
        transaction: &mut dyn Transaction,
        want: &Want,
        decide: &mut Decide<'_>,
    ) -> Result<(Head, Option<Head>), StoreError> {
        let dialect = self.database.dialect();
        let (head, found) = transaction_reads::find(transaction, dialect, want).await?;
        let stored = found.stored;
        let batch = decide(&head, found)?;
        if batch.events.is_empty() && batch.puts.is_empty() && batch.deletes.is_empty() && !batch.repairs {
            return Ok((head, None));
        }
        let moved = write(transaction, dialect, (&head, stored), batch).await?;
        Ok((head, Some(moved)))
    }

    /// Lets go of the head, and only then looks at who was in the way.
    async fn undone(&self, transaction: Box<dyn Transaction>, error: StoreError) -> StoreError {
        transaction.rollback().await;
        match error {
            StoreError::Sql(error) => StoreError::Sql(self.database.explained(error).await),
            other => other,
        }
    }

    /// What the database's own clock says, if it has one.
    pub async fn clock(&self) -> Result<Option<Micros>, SqlError> {
        let rows = self.database.query(&format!("select {}", self.database.dialect().clock), Vec::new()).await?;
        Ok(rows.first().map_or(Ok(None), |row| row.maybe_int(0))?.map(Micros))
    }

    /// The SQL beneath, for what checks the store from outside.
    #[must_use]
    pub fn database(&self) -> &dyn Database {
        &*self.database
    }
}

#[async_trait]
impl Store for SqlStore {
    async fn migrate(&self) -> Result<(), StoreError> {
        Ok(migrate(&*self.database, Room::Log).await?)
    }

    async fn transact(&self, want: &Want, decide: &mut Decide<'_>) -> Result<Head, StoreError> {
        let mut transaction = self.database.begin_append().await?;
        let (head, moved) = match self.decided(&mut *transaction, want, decide).await {
            Ok(decided) => decided,
            Err(error) => return Err(self.undone(transaction, error).await),
        };
        let Some(moved) = moved else { return Ok(head) };
        let done = transaction.commit().await;
        if moved.epoch != head.epoch && matches!(done, Ok(()) | Err(SqlError::Commit(_))) {
            self.database.notify_epoch(moved.epoch.0);
        }
        Ok(done.map(|()| moved)?)
    }

    async fn rehearse(&self, want: &Want, decide: &mut Decide<'_>) -> Result<(), StoreError> {
        let mut transaction = self.database.begin_append().await?;
        let mut rehearsed = self.decided(&mut *transaction, want, decide).await;
        let changes = |(head, moved): &(Head, Option<Head>)| moved.is_some_and(|moved| moved.epoch != head.epoch);
        if self.database.dialect().name == POSTGRES.name && rehearsed.as_ref().is_ok_and(changes) {
            rehearsed = blockers::check_control_rows(&mut *transaction).await.map_err(StoreError::from).and(rehearsed);
        }
        match rehearsed {
            // Rolled back with everything that it has written.
            Ok(_) => {
                transaction.rollback().await;
                Ok(())
            }
            Err(error) => Err(self.undone(transaction, error).await),
        }
    }

    async fn read(&self, want: &Want) -> Result<(Head, Found), StoreError> {
        let mut snapshot = self.database.snapshot().await?;
        transaction_reads::find(&mut *snapshot, self.database.dialect(), want).await
    }

    async fn head(&self) -> Result<Head, StoreError> {
        let sql = format!("select h.epoch, {NEWEST} from {HEAD_AND_NEWEST} where h.log_id = 1");
        head_of(self.database.query(&sql, Vec::new()).await?.first())
    }

    async fn events(&self, after: Position, limit: u32) -> Result<Vec<EventRow>, StoreError> {
        let sql = "select position, at, type, call, leaf from event where position > $1 order by position limit $2";
        self.database.query(sql, vec![after.0.into(), i64::from(limit).into()]).await?.into_iter().map(event_row).collect()
    }

    async fn of_calls(&self, calls: &[CallId]) -> Result<Vec<EventRow>, StoreError> {
        let sql = of_calls(self.database.dialect());
        self.database.query(&sql, vec![names(calls)]).await?.into_iter().map(event_row).collect()
    }

    async fn payloads(&self, first: Position, last: Position) -> Result<Vec<PayloadRow>, StoreError> {
        let sql = "select position, part, key, body from payload where position between $1 and $2 order by position, part";
        self.database.query(sql, vec![first.0.into(), last.0.into()]).await?.into_iter().map(payload_row).collect()
    }

    async fn parts(&self, first: Position, last: Position) -> Result<Vec<(Position, String)>, StoreError> {
        parts::between(&*self.database, first, last).await
    }

    async fn strays(&self, after: Position) -> Result<Vec<(Position, String)>, StoreError> {
        parts::strays(&*self.database, after).await
    }

    async fn state(&self, kinds: &[&'static str]) -> Result<Vec<StateRow>, StoreError> {
        let mut all = Vec::new();
        for kind in kinds {
            for row in self.database.query(BY_KIND, range_of(kind)).await? {
                all.push(state_row(row)?);
            }
        }
        Ok(all)
    }

    async fn state_under(&self, prefix: &str) -> Result<Vec<StateRow>, StoreError> {
        self.page_under(prefix, None, usize::MAX).await
    }

    async fn page_under(&self, prefix: &str, after: Option<&str>, most: usize) -> Result<Vec<StateRow>, StoreError> {
        self.database.query(BY_KIND, range_after(prefix, after, most)).await?.into_iter().map(state_row).collect()
    }

    async fn next_epoch(&self) -> Result<Option<Epoch>, StoreError> {
        Ok(self.database.next_epoch().await?.map(Epoch))
    }

    async fn state_rows(&self, names: &[String]) -> Result<Vec<StateRow>, StoreError> {
        let args = vec![Value::Texts(names.to_vec())];
        self.database.query(&by_name(self.database.dialect()), args).await?.into_iter().map(state_row).collect()
    }
}
