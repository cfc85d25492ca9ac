//! The writer's thread: takes what waits, lets each entry say what it writes, and commits all of it at once.
//!
//! INVARIANT: one entry's failure is nobody else's (P13). One that errs or panics is undone in the draft; one whose rows the
//! database refuses, or that somebody holds, is found by halving the batch, which the database has undone by then.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;

use super::draft::Draft;
use super::seen::Seen;
use super::sql::SqlError;
use super::store::{Found, Head, StoreError, Want};
use super::write_error::WriteError;
use crate::core::error_chain::error_chain;
use crate::core::state::ControlState;

/// Entries of one batch: what arrives while one is committed waits that long, a switch too.
const BATCH: usize = 256;

/// How long what stops something tries to get past whoever holds the log's head: longer than that may last on a server that
/// ends it (`blockers.rs`).
pub const STOPPING: Duration = Duration::from_secs(20);

/// Before what stops something is tried again.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// Which queue an entry waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// What stops something: the first of all, and again as long as that may help.
    Stopping,
    /// Leases, and what else goes before everything that waits.
    First,
    /// Everything else.
    Ordinary,
}

type Entry = Box<dyn FnMut(&mut Draft) -> Result<Answer, StoreError> + Send>;
type Answer = Box<dyn FnOnce() + Send>;
type Fail = Box<dyn FnOnce(WriteError) + Send>;

/// An entry that waits.
pub(super) struct Message {
    pub(super) want: Want,
    /// It is tried again while what keeps it from being written may pass, until then, by this node's measure of time.
    pub(super) tries_on: bool,
    pub(super) until: Option<Duration>,
    pub(super) entry: Entry,
    pub(super) fail: Fail,
}

/// What is behind the queues.
pub(super) struct Appender {
    seen: Arc<Seen>,
}

impl Appender {
    pub(super) fn new(seen: Arc<Seen>) -> Self {
        Self { seen }
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
            message.until.get_or_insert(self.seen.time.elapsed() + STOPPING);
        }
        let (since, size) = (self.seen.time.elapsed(), batch.len());
        match self.write(&mut batch).await {
            Ok(answers) => {
                self.seen.stats.committed(size, self.seen.time.elapsed().saturating_sub(since));
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
                self.seen.stats.store_errors.fetch_add(1, Ordering::Relaxed);
                // One entry that the database does not take is that entry's fault.
                if !matches!(&error, StoreError::Sql(error) if error.is_about_an_entry()) {
                    self.seen.stats.can_record.store(false, Ordering::Relaxed);
                }
                let (passes, now) = (matches!(&error, StoreError::Sql(error) if error.may_pass()), self.seen.time.elapsed());
                let tries_on = |message: &Message| passes && message.until.is_some_and(|until| now < until);
                let (again, over): (Vec<Message>, Vec<Message>) = batch.into_iter().partition(tries_on);
                if !again.is_empty() {
                    tracing::warn!(error = error_chain(&error), entries = again.len(), "what stops something is tried again");
                }
                refuse(over.into_iter().map(|message| message.fail).collect(), &error);
                again
            }
        }
    }

    /// One transaction; answers what each entry made of it.
    async fn write(&self, batch: &mut [Message]) -> Result<Vec<Result<Answer, StoreError>>, StoreError> {
        let known = self.seen.fence.state();
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
        let mut want = Want::default();
        for message in batch.iter() {
            want.extend(&message.want);
        }
        let look = self.seen.look(known, want);
        let mut done = None;
        let head = self
            .seen
            .store
            .transact(&look.want, &mut |head: &Head, found: Found| {
                let mut draft = self.seen.draft(&look, head, found)?;
                let answers: Vec<_> = batch.iter_mut().map(|message| draft.attempt(&mut message.entry)).collect();
                let (written, state) = draft.finish();
                done = Some((answers, state));
                Ok(written)
            })
            .await?;
        let Some((answers, state)) = done else { return Err(StoreError::Unreadable("nothing was decided".into())) };
        self.seen.take(head.position, &state);
        Ok(answers)
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
    let text = error_chain(error);
    let error = match error {
        StoreError::Differs(_) => WriteError::Differs(text),
        StoreError::Sql(SqlError::Unconfirmed { .. }) => WriteError::Unconfirmed(text),
        StoreError::Sql(error) if error.is_held() => WriteError::Blocked(text),
        _ => WriteError::Store { text, uncertain },
    };
    if fails.is_empty() {
        return;
    }
    let entries = fails.len();
    match &error {
        WriteError::Blocked(_) => {
            tracing::warn!(%error, entries, "entries were not written; what stops something goes on trying");
        }
        WriteError::Store { uncertain: true, .. } => tracing::error!(%error, entries, "the commit of entries was not answered"),
        _ => tracing::error!(%error, entries, "entries were not written"),
    }
    for fail in fails {
        fail(error.clone());
    }
}
