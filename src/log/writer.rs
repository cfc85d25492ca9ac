//! The one writer of a node: entries queue up while a batch is being committed, and are the next batch.
//!
//! INVARIANT: an entry's answer is given only after the commit that holds it (P1). No store, no answer but an error. An entry
//! that fails fails alone (P13), and what renews a lease or stops something goes before everything else that waits.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{mpsc, oneshot};

pub use super::appender::STOPPING;
use super::appender::{Appender, Lane, Message};
use super::draft::Draft;
use super::fence::Fence;
use super::fresh::{self, Fresh, Question};
use super::seen::Seen;
use super::stats::Stats;
use super::store::{Store, StoreError, Want};
pub use super::write_error::WriteError;
use crate::core::time::Clock;

/// Entries that may wait for a batch in each lane; of more, the caller is told to come back.
const QUEUE: usize = 4096;

/// Hands entries to the writer's task. Cheap to clone.
#[derive(Clone)]
pub struct Writer {
    first: mpsc::Sender<Message>,
    ordinary: mpsc::Sender<Message>,
    questions: mpsc::Sender<Question>,
    pub(super) store: Arc<dyn Store>,
    fence: Arc<Fence>,
    stats: Arc<Stats>,
}

impl Writer {
    /// Starts the writer on `store`, on a thread of its own, and another one that reads: an embedded database works, and waits
    /// for the disk, on the thread that asks it. It ends when every `Writer` is dropped, after the last entry is written.
    #[must_use]
    pub fn start(store: Arc<dyn Store>, fence: Arc<Fence>, clock: Arc<dyn Clock>) -> (Self, tokio::task::JoinHandle<()>) {
        let ((first, urgent), (ordinary, entries)) = (mpsc::channel(QUEUE), mpsc::channel(QUEUE));
        let (questions, asked) = mpsc::channel(QUEUE);
        let stats = Arc::new(Stats::default());
        let seen = Arc::new(Seen::new(Arc::clone(&store), Arc::clone(&fence), clock, Arc::clone(&stats)));
        let (reading, runtime) = (Arc::clone(&seen), tokio::runtime::Handle::current());
        let read = move || runtime.block_on(fresh::answer(reading, asked));
        let (reader, runtime) = (tokio::task::spawn_blocking(read), tokio::runtime::Handle::current());
        let write = async move {
            Appender::new(seen).run(urgent, entries).await;
            if reader.await.is_err() {
                tracing::error!("whoever reads the log for others did not end by itself");
            }
        };
        let task = tokio::task::spawn_blocking(move || runtime.block_on(write));
        (Self { first, ordinary, questions, store, fence, stats }, task)
    }

    /// The fence that the writer publishes to.
    #[must_use]
    pub fn fence(&self) -> &Arc<Fence> {
        &self.fence
    }

    /// What this node has counted.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// How full the queue is, 0 to 1.
    #[must_use]
    pub fn fill(&self) -> f64 {
        let used = QUEUE - self.ordinary.capacity();
        f64::from(u32::try_from(used).unwrap_or(u32::MAX)) / f64::from(u32::try_from(QUEUE).unwrap_or(u32::MAX))
    }

    /// Runs `entry` inside the next transaction, after reading what it wants, and answers once that is durable.
    ///
    /// An `entry` that errs or panics leaves nothing in the batch and nobody else knows of it. It is run again if the
    /// transaction that it was first in did not hold, so it says each time the same.
    pub async fn write<R: Send + 'static>(
        &self,
        want: Want,
        entry: impl FnMut(&mut Draft) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, WriteError> {
        self.enqueue(Lane::Ordinary, want, entry).await
    }

    /// The same, before everything that is written by [`Writer::write`]: for leases.
    pub async fn write_first<R: Send + 'static>(
        &self,
        want: Want,
        entry: impl FnMut(&mut Draft) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, WriteError> {
        self.enqueue(Lane::First, want, entry).await
    }

    pub(super) async fn enqueue<R: Send + 'static>(
        &self,
        lane: Lane,
        want: Want,
        mut entry: impl FnMut(&mut Draft) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, WriteError> {
        let (answer, answered) = oneshot::channel();
        let slot = Arc::new(std::sync::Mutex::new(Some(answer)));
        let take = |slot: &std::sync::Mutex<Option<_>>| slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let failing = Arc::clone(&slot);
        let message = Message {
            want,
            tries_on: lane == Lane::Stopping,
            until: None,
            entry: Box::new(move |draft| {
                let (result, slot) = (entry(draft)?, Arc::clone(&slot));
                Ok(Box::new(move || drop(take(&slot).map(|answer: oneshot::Sender<_>| answer.send(Ok(result))))))
            }),
            fail: Box::new(move |error| drop(take(&failing).map(|answer| answer.send(Err(error))))),
        };
        self.put(if lane == Lane::Ordinary { &self.ordinary } else { &self.first }, message)?;
        answered.await.unwrap_or(Err(WriteError::Stopped))
    }

    /// What the log says now. Nothing is locked or written, and no append is waited for.
    pub async fn fresh(&self) -> Result<Fresh, WriteError> {
        self.ask(Vec::new(), false).await
    }

    /// The same for what stops something: it is asked again as long as the database may come back.
    pub async fn fresh_to_stop(&self) -> Result<Fresh, WriteError> {
        self.ask(Vec::new(), true).await
    }

    /// The same with state rows by their names.
    pub(super) async fn fresh_with(&self, names: Vec<String>) -> Result<Fresh, WriteError> {
        self.ask(names, false).await
    }

    async fn ask(&self, names: Vec<String>, tries_on: bool) -> Result<Fresh, WriteError> {
        let (answer, answered) = oneshot::channel();
        self.put(&self.questions, Question { names, tries_on, until: None, answer })?;
        answered.await.unwrap_or(Err(WriteError::Stopped))
    }

    fn put<T>(&self, queue: &mpsc::Sender<T>, waiting: T) -> Result<(), WriteError> {
        queue.try_send(waiting).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                self.stats.overloaded.fetch_add(1, Ordering::Relaxed);
                WriteError::Overloaded
            }
            mpsc::error::TrySendError::Closed(_) => WriteError::Stopped,
        })
    }
}
