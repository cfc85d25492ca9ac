//! The writer's thread: takes what waits, lets each entry say what it writes, and commits all of it at once.
//!
//! INVARIANT: one entry's failure is nobody else's (P13). One that errs or panics is undone in the draft; one whose rows the
//! database refuses, or that somebody holds, is found by halving the batch, which the database has undone by then.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use super::draft::Draft;
use super::fence::Fence;
use super::sql::SqlError;
use super::stats::Stats;
use super::store::{Found, Head, Store, StoreError, Want};
use super::time::{LogTime, Reading, Voices};
use super::writer::{Answer, Fail, Message, QUEUE, STOPPING, WriteError, Writer};
use crate::core::caused::with_sources;
use crate::core::clock::Accepted;
use crate::core::id::Position;
use crate::core::state::ControlState;
use crate::core::time::{Clock, Micros};

/// Entries of one batch: what arrives while one is committed waits that long, a switch too.
const BATCH: usize = 256;

/// Before what stops something is tried again.
const PAUSE: Duration = Duration::from_millis(50);

impl Writer {
    /// Starts the writer on `store`, on a thread of its own: an embedded database works, and waits for the disk, on the
    /// thread that asks it. It ends when every `Writer` is dropped, after the last entry is written.
    #[must_use]
    pub fn start(store: Arc<dyn Store>, fence: Arc<Fence>, clock: Arc<dyn Clock>) -> (Self, tokio::task::JoinHandle<()>) {
        let ((first, urgent), (ordinary, entries)) = (mpsc::channel(QUEUE), mpsc::channel(QUEUE));
        let stats = Arc::new(Stats::default());
        let appender = Appender::new(store, Arc::clone(&fence), clock, Arc::clone(&stats));
        let runtime = tokio::runtime::Handle::current();
        let task = tokio::task::spawn_blocking(move || runtime.block_on(appender.run(urgent, entries)));
        (Self { first, ordinary, fence, stats }, task)
    }
}

/// What is behind the queues.
pub(super) struct Appender {
    store: Arc<dyn Store>,
    fence: Arc<Fence>,
    time: LogTime,
    stats: Arc<Stats>,
    /// The newest position that this node has seen.
    seen: AtomicI64,
}

impl Appender {
    pub(super) fn new(store: Arc<dyn Store>, fence: Arc<Fence>, clock: Arc<dyn Clock>, stats: Arc<Stats>) -> Self {
        Self { store, fence, time: LogTime::start(clock), stats, seen: AtomicI64::new(0) }
    }

    /// Writes until nobody can hand it anything any more and nothing waits.
    pub(super) async fn run(self, mut first: mpsc::Receiver<Message>, mut ordinary: mpsc::Receiver<Message>) {
        let mut again = Vec::new();
        loop {
            // One of each in turn: what stops waits for no more than the batch that is being committed, and a flood of it
            // leaves every other batch to the rest.
            again = self.commit(waiting(&mut first, again)).await;
            // Of these nothing is tried again.
            self.commit(waiting(&mut ordinary, Vec::new())).await;
            if !again.is_empty() {
                // Not all of it waits: one that is refused at once would be asked for without end.
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            let (queue, message) = tokio::select! {
                biased;
                Some(message) = first.recv() => (&mut first, message),
                Some(message) = ordinary.recv() => (&mut ordinary, message),
                else => return,
            };
            again = self.commit(waiting(queue, vec![message])).await;
        }
    }

    /// Commits what does not fail, and answers each. Gives back what is to be tried again, because somebody is in its way or the
    /// database is not there just now.
    async fn commit(&self, mut batch: Vec<Message>) -> Vec<Message> {
        if batch.is_empty() {
            return batch;
        }
        for message in batch.iter_mut().filter(|message| message.tries_on) {
            message.until.get_or_insert(self.time.elapsed() + STOPPING);
        }
        let (since, size) = (self.time.elapsed(), batch.len());
        match self.write(&mut batch).await {
            Ok(answers) => {
                self.stats.committed(size, self.time.elapsed().saturating_sub(since));
                for (message, answer) in batch.into_iter().zip(answers) {
                    match answer {
                        Ok(answer) => answer(),
                        Err(error) => refuse(vec![message.fail], &error),
                    }
                }
                Vec::new()
            }
            Err(StoreError::Sql(error)) if error.is_about_an_entry() && size > 1 => {
                tracing::warn!(%error, entries = size, "a row of a batch was not written, which is tried in halves");
                let rest = batch.split_off(size / 2);
                let mut again = Box::pin(self.commit(batch)).await;
                again.extend(Box::pin(self.commit(rest)).await);
                again
            }
            Err(error) => {
                self.stats.store_errors.fetch_add(1, Ordering::Relaxed);
                // One entry that the database does not take is that entry's fault.
                if !matches!(&error, StoreError::Sql(error) if error.is_about_an_entry()) {
                    self.stats.can_record.store(false, Ordering::Relaxed);
                }
                let (passes, now) = (matches!(&error, StoreError::Sql(error) if error.may_pass()), self.time.elapsed());
                let tries_on = |message: &Message| passes && message.until.is_some_and(|until| now < until);
                let (again, over): (Vec<Message>, Vec<Message>) = batch.into_iter().partition(tries_on);
                if !again.is_empty() {
                    tracing::warn!(error = with_sources(&error), entries = again.len(), "what stops something is tried again");
                }
                refuse(over.into_iter().map(|message| message.fail).collect(), &error);
                again
            }
        }
    }

    /// One transaction; answers what each entry made of it.
    async fn write(&self, batch: &mut [Message]) -> Result<Vec<Result<Answer, StoreError>>, StoreError> {
        let known = self.fence.state();
        match self.write_knowing(batch, &known).await {
            // Rows may say that they changed at another time than they did: all of them are read before that is a fault.
            Err(StoreError::Differs(_)) => self.write_knowing(batch, &Arc::new(known.anew())).await,
            done => done,
        }
    }

    async fn write_knowing(
        &self,
        batch: &mut [Message],
        known: &Arc<ControlState>,
    ) -> Result<Vec<Result<Answer, StoreError>>, StoreError> {
        // Who knows nothing yet reads whatever rows there are.
        let known_position = if known.position == Position(0) { Position(i64::MIN) } else { known.position };
        let mut want = Want { known_epoch: known.epoch, known_position, ..Want::default() };
        for message in batch.iter() {
            want.names.extend_from_slice(&message.want.names);
            want.kinds.extend_from_slice(&message.want.kinds);
            want.under.extend_from_slice(&message.want.under);
            want.calls.extend_from_slice(&message.want.calls);
        }
        let (asks, asked) = (self.time.asks_others(), self.time.elapsed());
        if asks {
            want.kinds.push("node");
        }
        want.names.sort_unstable();
        want.names.dedup();
        want.kinds.sort_unstable();
        want.kinds.dedup();
        want.under.sort_unstable();
        want.under.dedup();
        want.calls.sort_unstable();
        want.calls.dedup();
        let mut done = None;
        let head = self
            .store
            .transact(&want, &mut |head: &Head, found: Found| {
                self.refuse_a_shorter_log(head)?;
                self.stats.pushed.store(found.stored != (head.position, head.at) || head.epoch.is_spent(), Ordering::Relaxed);
                let read = |found: &Found, accepted: Option<Accepted>| {
                    let others = if asks { self.fence.peers().others(asked, &found.rows).ok() } else { None };
                    let database = self.time.beside(found.clock);
                    let time = self.time.read(&Voices { head: head.at, database, others: others.as_deref(), accepted });
                    self.tell(&time, database);
                    time
                };
                let mut draft = Draft::new(*head, found, known, read)?;
                let answers: Vec<_> = batch.iter_mut().map(|message| draft.attempt(&mut message.entry)).collect();
                let (written, state) = draft.finish();
                done = Some((answers, state));
                Ok(written)
            })
            .await?;
        let Some((answers, state)) = done else { return Err(StoreError::Unreadable("nothing was decided".into())) };
        self.seen.store(head.position.0, Ordering::Relaxed);
        self.fence.publish(&state);
        Ok(answers)
    }

    fn tell(&self, &Reading { at, skewed, .. }: &Reading, database: Option<Micros>) {
        let before = self.stats.skewed.swap(skewed, Ordering::Relaxed);
        if skewed && !before {
            let database = database.map(Micros::rfc3339);
            tracing::warn!(log = %at.rfc3339(), database, "this machine's clock does not agree with the log's time and the others: calls are refused");
        } else if before && !skewed {
            tracing::info!("this machine's clock agrees with the log's time again");
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

/// What waits in a queue behind these, as one batch.
fn waiting(queue: &mut mpsc::Receiver<Message>, mut batch: Vec<Message>) -> Vec<Message> {
    while batch.len() < BATCH {
        let Ok(next) = queue.try_recv() else { break };
        batch.push(next);
    }
    batch
}

fn refuse(fails: Vec<Fail>, error: &StoreError) {
    let uncertain = matches!(error, StoreError::Sql(SqlError::Commit(_)));
    let text = with_sources(error);
    let error = match error {
        StoreError::Differs(_) => WriteError::Differs(text),
        StoreError::Sql(SqlError::Unconfirmed { .. }) => WriteError::Unconfirmed(text),
        StoreError::Sql(error) if error.is_held() => WriteError::Blocked(text),
        _ => WriteError::Store { text, uncertain },
    };
    if fails.is_empty() {
        return;
    }
    if matches!(error, WriteError::Blocked(_)) {
        tracing::warn!(%error, entries = fails.len(), "entries were not written; what stops something goes on trying");
    } else {
        tracing::error!(%error, entries = fails.len(), "entries were not written");
    }
    for fail in fails {
        fail(error.clone());
    }
}
