//! The one writer of a node: entries queue up while a batch is being committed, and are the next batch.
//!
//! INVARIANT: an entry's answer is given only after the commit that holds it (P1). No store, no answer but an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::draft::Draft;
use super::fence::Fence;
use super::stats::Stats;
use super::store::{Found, Head, Store, StoreError, Want};
use crate::core::id::Position;
use crate::core::time::{Clock, Micros};

/// Entries that may wait for a batch; of more, the caller is told to come back.
const QUEUE: usize = 4096;

/// Entries of one batch.
const BATCH: usize = 1024;

/// How far a node's clock may be from where the log's time should be.
const SKEW: Duration = Duration::from_secs(5);

/// An entry that was not written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    /// The queue is full; nothing was written.
    #[error("the writer's queue is full")]
    Overloaded,
    /// The store failed. Unless `uncertain`, nothing was written.
    #[error("the log cannot be written: {text}")]
    Store {
        /// What failed, for operators.
        text: String,
        /// It may have been written all the same.
        uncertain: bool,
    },
    /// The writer has stopped.
    #[error("the writer has stopped")]
    Stopped,
}

type Entry = Box<dyn FnOnce(&mut Draft) -> Result<Answer, StoreError> + Send>;
type Answer = Box<dyn FnOnce() + Send>;
type Fail = Box<dyn FnOnce(WriteError) + Send>;

struct Message {
    want: Want,
    entry: Entry,
    fail: Fail,
}

/// Hands entries to the writer's task. Cheap to clone.
#[derive(Clone)]
pub struct Writer {
    queue: mpsc::Sender<Message>,
    fence: Arc<Fence>,
    stats: Arc<Stats>,
}

impl Writer {
    /// Starts the writer on `store`, on a thread of its own: an embedded database works, and waits for the disk, on the
    /// thread that asks it. It ends when every `Writer` is dropped, after the last entry is written.
    #[must_use]
    pub fn start(store: Arc<dyn Store>, fence: Arc<Fence>, clock: Arc<dyn Clock>) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, entries) = mpsc::channel(QUEUE);
        let stats = Arc::new(Stats::default());
        let (time, ours) = (LogTime::start(clock), Arc::clone(&stats));
        let appender = Appender { store, fence: Arc::clone(&fence), time, stats: ours, seen: AtomicI64::new(0) };
        let runtime = tokio::runtime::Handle::current();
        let task = tokio::task::spawn_blocking(move || runtime.block_on(appender.run(entries)));
        (Self { queue, fence, stats }, task)
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
        let used = QUEUE - self.queue.capacity();
        f64::from(u32::try_from(used).unwrap_or(u32::MAX)) / f64::from(u32::try_from(QUEUE).unwrap_or(u32::MAX))
    }

    /// Runs `entry` inside the next transaction, after reading what it wants, and answers once that is durable.
    ///
    /// An `entry` that fails takes the whole batch with it, so it fails only when nothing may go on (P12).
    pub async fn write<R: Send + 'static>(
        &self,
        want: Want,
        entry: impl FnOnce(&mut Draft) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, WriteError> {
        let (answer, answered) = oneshot::channel();
        let slot = Arc::new(std::sync::Mutex::new(Some(answer)));
        let take = |slot: &std::sync::Mutex<Option<_>>| slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let failing = Arc::clone(&slot);
        let message = Message {
            want,
            entry: Box::new(move |draft| {
                let result = entry(draft)?;
                Ok(Box::new(move || drop(take(&slot).map(|answer: oneshot::Sender<_>| answer.send(Ok(result))))))
            }),
            fail: Box::new(move |error| drop(take(&failing).map(|answer| answer.send(Err(error))))),
        };
        self.queue.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                self.stats.overloaded.fetch_add(1, Ordering::Relaxed);
                WriteError::Overloaded
            }
            mpsc::error::TrySendError::Closed(_) => WriteError::Stopped,
        })?;
        answered.await.unwrap_or(Err(WriteError::Stopped))
    }
}

struct Appender {
    store: Arc<dyn Store>,
    fence: Arc<Fence>,
    time: LogTime,
    stats: Arc<Stats>,
    /// The newest position that this node has seen.
    seen: AtomicI64,
}

impl Appender {
    async fn run(self, mut entries: mpsc::Receiver<Message>) {
        let mut batch = Vec::with_capacity(BATCH);
        while entries.recv_many(&mut batch, BATCH).await > 0 {
            self.commit(std::mem::take(&mut batch)).await;
        }
    }

    async fn commit(&self, messages: Vec<Message>) {
        let (since, size) = (self.time.clock.elapsed(), messages.len());
        let known = self.fence.state();
        let mut want = Want { known_epoch: known.epoch, known_position: known.position, ..Want::default() };
        let (mut entries, mut fails) = (Vec::new(), Vec::new());
        for message in messages {
            want.names.extend(message.want.names);
            want.kinds.extend(message.want.kinds);
            entries.push(message.entry);
            fails.push(message.fail);
        }
        want.names.sort_unstable();
        want.names.dedup();
        want.kinds.sort_unstable();
        want.kinds.dedup();
        let mut done = None;
        let result = self
            .store
            .transact(&want, &mut |head: &Head, found: Found| {
                self.refuse_a_shorter_log(head)?;
                let (time, skewed) = self.time.read(head.at);
                self.stats.skewed.store(skewed, Ordering::Relaxed);
                let mut draft = Draft::new(*head, found, &known, time, skewed)?;
                let answers =
                    std::mem::take(&mut entries).into_iter().map(|entry| entry(&mut draft)).collect::<Result<Vec<_>, _>>()?;
                let (batch, state) = draft.finish();
                done = Some((answers, state));
                Ok(batch)
            })
            .await;
        match (result, done) {
            (Ok(head), Some((answers, state))) => {
                self.stats.committed(size, self.time.clock.elapsed().saturating_sub(since));
                self.seen.store(head.position.0, Ordering::Relaxed);
                self.fence.publish(&state);
                for answer in answers {
                    answer();
                }
            }
            (Err(error), _) => {
                self.stats.store_errors.fetch_add(1, Ordering::Relaxed);
                refuse_all(fails, &error);
            }
            (Ok(_), None) => drop(fails),
        }
    }

    /// A backup was restored, or another server answers: to go on there would be to forget what was recorded.
    fn refuse_a_shorter_log(&self, head: &Head) -> Result<(), StoreError> {
        let seen = Position(self.seen.load(Ordering::Relaxed));
        if head.position >= seen {
            return Ok(());
        }
        Err(StoreError::Unreadable(format!("it ends at {} and this node has seen {}", head.position.0, seen.0)))
    }
}

fn refuse_all(fails: Vec<Fail>, error: &StoreError) {
    let uncertain = matches!(error, StoreError::Sql(super::sql::SqlError::Commit(_)));
    let sources = std::iter::successors(std::error::Error::source(error), |error| (*error).source());
    let text = sources.fold(error.to_string(), |text, source| format!("{text}: {source}"));
    let error = WriteError::Store { text, uncertain };
    tracing::error!(%error, entries = fails.len(), "a batch was not written");
    for fail in fails {
        fail(error.clone());
    }
}

/// The log's time on this node: the wall clock while it agrees with the time that has passed, else the latter.
struct LogTime {
    clock: Arc<dyn Clock>,
    anchor: Micros,
    since: Duration,
}

impl LogTime {
    fn start(clock: Arc<dyn Clock>) -> Self {
        let (anchor, since) = (clock.now(), clock.elapsed());
        Self { clock, anchor, since }
    }

    /// The time for a batch, and whether the clock cannot be trusted.
    fn read(&self, head: Micros) -> (Micros, bool) {
        let now = self.clock.now();
        let expected = self.anchor.plus(self.clock.elapsed().saturating_sub(self.since));
        let jumped = now.since(expected).max(expected.since(now)) > SKEW;
        let behind = head.since(now) > SKEW;
        (if jumped { expected } else { now }, jumped || behind)
    }
}
