//! A room of views that opens by itself: when it is first needed, and again once what was open is not there any more.
//!
//! INVARIANT: views may be lost, so nothing that records, decides or stops depends on whether they can be opened. Who asks of them
//! while they cannot is answered with why.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;

use crate::log::dialect::Dialect;
use crate::log::sql::{Database, Row, SqlError, Transaction, Value};

/// Opens the room, with its schema up to date.
pub type Opener = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Box<dyn Database>, SqlError>> + Send>> + Send + Sync>;

/// The room.
pub struct Reopening {
    open: Opener,
    dialect: &'static Dialect,
    current: Mutex<State>,
}

enum State {
    Closed,
    Open(Arc<dyn Database>),
    /// Nobody opens it any more.
    Over,
}

impl Reopening {
    /// A room that `open` opens.
    #[must_use]
    pub fn new(dialect: &'static Dialect, open: Opener) -> Self {
        Self { open, dialect, current: Mutex::new(State::Closed) }
    }

    /// The room as it is open now.
    async fn current(&self) -> Result<Arc<dyn Database>, SqlError> {
        let mut current = self.current.lock().await;
        match &*current {
            State::Open(database) => Ok(Arc::clone(database)),
            State::Over => Err(SqlError::Open("the database was closed".into())),
            State::Closed => {
                let opened: Arc<dyn Database> = Arc::from((self.open)().await?);
                *current = State::Open(Arc::clone(&opened));
                Ok(opened)
            }
        }
    }

    /// Lets go of what cannot be used any more: whoever asks next opens what is there then.
    async fn settle<T>(&self, asked: &Arc<dyn Database>, answer: Result<T, SqlError>) -> Result<T, SqlError> {
        // What is only locked, or away, is open still.
        if matches!(answer, Err(SqlError::NotOurs(_))) {
            let mut current = self.current.lock().await;
            if matches!(&*current, State::Open(open) if Arc::ptr_eq(open, asked)) {
                *current = State::Closed;
            }
        }
        answer
    }
}

#[async_trait]
impl Database for Reopening {
    fn dialect(&self) -> &'static Dialect {
        self.dialect
    }

    async fn query(&self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        let database = self.current().await?;
        let answer = database.query(sql, args).await;
        self.settle(&database, answer).await
    }

    async fn query_within(&self, sql: &str, args: Vec<Value>, budget: Duration) -> Result<Vec<Row>, SqlError> {
        let database = self.current().await?;
        let answer = database.query_within(sql, args, budget).await;
        self.settle(&database, answer).await
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, SqlError> {
        let database = self.current().await?;
        let answer = database.begin().await;
        self.settle(&database, answer).await
    }

    async fn close(&self) {
        let open = std::mem::replace(&mut *self.current.lock().await, State::Over);
        if let State::Open(database) = open {
            database.close().await;
        }
    }
}
