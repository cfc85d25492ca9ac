//! Single flight: concurrent unauthenticated requests share one answer, so that a flood of them reads the log once.
//!
//! INVARIANT: no request gets an answer that was begun before the request came, and answers are made one at a time.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

/// The last answer, and for how many of those who ever asked it was made.
pub struct SingleFlight<T> {
    asked: AtomicU64,
    last: Mutex<(u64, Option<T>)>,
}

impl<T> Default for SingleFlight<T> {
    fn default() -> Self {
        Self { asked: AtomicU64::new(0), last: Mutex::new((0, None)) }
    }
}

impl<T: Clone> SingleFlight<T> {
    /// The answer of `make`, or of another who began it since this one asked.
    pub async fn get(&self, make: impl Future<Output = T>) -> T {
        let mine = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut last = self.last.lock().await;
        if let (of, Some(answer)) = &*last
            && *of >= mine
        {
            return answer.clone();
        }
        let all = self.asked.load(Ordering::SeqCst);
        let answer = make.await;
        *last = (all, Some(answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn those_who_ask_while_one_is_made_share_the_next() {
        let (shared, begun, gate) = (SingleFlight::default(), AtomicU64::new(0), Arc::new(Semaphore::new(0)));
        let make = || async {
            let number = begun.fetch_add(1, Ordering::SeqCst) + 1;
            let _ = gate.acquire().await.map(tokio::sync::SemaphorePermit::forget);
            number
        };
        let all = join_all((0..50).map(|_| shared.get(make())));
        let (answers, ()) = tokio::join!(all, async { gate.add_permits(10) });
        // All had asked before the first was begun, or while it was made.
        assert!(begun.load(Ordering::SeqCst) <= 2 && answers.iter().all(|answer| *answer <= 2), "{answers:?}");
        assert_eq!(shared.get(make()).await, begun.load(Ordering::SeqCst), "who asks later is given a later one");
    }
}
