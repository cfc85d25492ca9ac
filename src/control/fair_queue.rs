//! Turns: what is large is read and checked off the threads that serve everybody, a few at a time.
//!
//! INVARIANT: of one account at most one waits in the line of all, so accounts take turns whatever each of them sends; what
//! stops something waits for nothing but its own account's other stops and the stop of another (P15). A turn lasts until its
//! work is done, though nobody waits for it any more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;

use crate::core::id::AccountId;

/// How much is worked on at the same time; one more place is for what stops something.
const MAX_CONCURRENT: usize = 2;

/// Whose line, and whether it is the one of what stops.
type Name = (AccountId, bool);

/// The lines of the accounts that wait.
type Lines = Mutex<HashMap<Name, Arc<Semaphore>>>;

/// The places.
pub struct FairQueue {
    stops: Semaphore,
    others: Semaphore,
    lines: Lines,
}

impl Default for FairQueue {
    fn default() -> Self {
        Self { stops: Semaphore::new(1), others: Semaphore::new(MAX_CONCURRENT), lines: Lines::default() }
    }
}

impl FairQueue {
    /// Does `work` for an account when it is its turn, off the threads that serve everybody.
    pub async fn take<T>(&self, account: &AccountId, stops: bool, work: impl FnOnce() -> T) -> T {
        let line = Line::of(&self.lines, (account.clone(), stops));
        // Neither is ever closed.
        let _own = line.own.acquire().await.ok();
        let all = if stops { &self.stops } else { &self.others };
        let _turn = all.acquire().await.ok();
        aside(work)
    }
}

/// Does `work` on this thread, once whatever else it serves is served by another.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        // There is no other thread.
        _ => work(),
    }
}

/// A place in the line of an account; the line goes with the last of them.
struct Line<'a> {
    lines: &'a Lines,
    name: Name,
    own: Arc<Semaphore>,
}

impl<'a> Line<'a> {
    fn of(lines: &'a Lines, name: Name) -> Self {
        let own = Arc::clone(locked(lines).entry(name.clone()).or_insert_with(|| Arc::new(Semaphore::new(1))));
        Self { lines, name, own }
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let mut lines = locked(self.lines);
        // Only the map and this one have it; both are counted under the lock.
        if Arc::strong_count(&self.own) <= 2 {
            lines.remove(&self.name);
        }
    }
}

fn locked(lines: &Lines) -> MutexGuard<'_, HashMap<Name, Arc<Semaphore>>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn account(n: u8) -> AccountId {
        format!("acc_{n:026}").parse().expect("an id")
    }

    /// Work that lasts until it is let go; begun once this returns.
    async fn busy(turns: &Arc<FairQueue>, of: u8, stops: bool) -> (mpsc::SyncSender<()>, tokio::task::JoinHandle<()>) {
        let (go, wait) = mpsc::sync_channel::<()>(1);
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let turns = Arc::clone(turns);
        let task = tokio::spawn(async move {
            let work = move || {
                let _ = begun.send(());
                let _ = wait.recv();
            };
            turns.take(&account(of), stops, work).await;
        });
        has_begun.await.expect("begun");
        (go, task)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_account_takes_one_place_and_what_stops_takes_none_of_them() {
        let turns = Arc::new(FairQueue::default());
        let (first, a) = busy(&turns, 1, false).await;
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                let turns = Arc::clone(&turns);
                tokio::spawn(async move { turns.take(&account(1), false, || ()).await })
            })
            .collect();
        // Another account has the second place at once, and a third one waits for nobody of the first.
        turns.take(&account(2), false, || ()).await;
        turns.take(&account(3), false, || ()).await;
        let (second, b) = busy(&turns, 2, false).await;
        turns.take(&account(1), true, || ()).await;
        turns.take(&account(4), true, || ()).await;
        assert!(waiting.iter().all(|task| !task.is_finished()));
        // Many at work occupy nobody who serves: there are two threads, and three are at work.
        let (third, c) = busy(&turns, 5, true).await;
        tokio::spawn(async {}).await.expect("served");
        for go in [first, second, third] {
            go.send(()).expect("it waits");
        }
        for task in waiting {
            task.await.expect("its turn");
        }
        for task in [a, b, c] {
            task.await.expect("done");
        }
        assert!(locked(&turns.lines).is_empty(), "nothing is kept of who has none");
    }

    #[tokio::test]
    async fn whoever_leaves_gives_his_place_back() {
        let turns = FairQueue::default();
        let held = [turns.others.acquire().await, turns.others.acquire().await];
        let left = tokio::time::timeout(std::time::Duration::ZERO, turns.take(&account(1), false, || ())).await;
        assert!(left.is_err() && locked(&turns.lines).is_empty());
        drop(held);
        turns.take(&account(1), false, || ()).await;
    }
}
