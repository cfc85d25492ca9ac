//! Where passwords are hashed: off the threads that serve requests, a few at a time.
//!
//! INVARIANT: a hash takes 19 MiB and a core, so at most three are made at a time, and in each line at most [`WAITING`] wait,
//! [`FROM_ONE`] of one address or person. Browsers in which the person signed in before, and whoever is signed in, have a line
//! of their own, which a flood of strangers does not reach.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::password::HashError;

/// Strangers' passwords that are hashed at the same time; one more place is for those who are known.
const AT_ONCE: usize = 2;

/// Most who wait or are served in one line.
const WAITING: usize = 64;

/// The same of one address, or one who is known.
const FROM_ONE: usize = 8;

/// Who wants a password to be hashed.
#[derive(Clone, Copy, Debug)]
pub enum Line<'a> {
    /// Somebody from this address of whom nothing is known.
    Stranger(&'a str),
    /// Somebody who signed in in this browser before, or is signed in; the text tells them apart.
    Known(&'a str),
}

/// The places.
pub struct Hashing {
    strangers: Lane,
    known: Lane,
}

struct Lane {
    places: Arc<Semaphore>,
    waiting: Waiting,
}

/// How many wait or are served, by where they come from.
type Waiting = Arc<Mutex<HashMap<String, usize>>>;

/// Too many wait already.
#[derive(Debug)]
pub struct Busy;

/// A place in a line until it is dropped.
struct Place {
    waiting: Waiting,
    of: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = waiting.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.of);
            }
        }
    }
}

impl Default for Hashing {
    fn default() -> Self {
        Self { strangers: Lane::new(AT_ONCE), known: Lane::new(1) }
    }
}

impl Hashing {
    /// Does `work`, which hashes, when it is its turn.
    pub async fn turn<T: Send + 'static>(
        &self,
        whose: Line<'_>,
        work: impl FnOnce() -> Result<T, HashError> + Send + 'static,
    ) -> Result<Result<T, HashError>, Busy> {
        let (lane, of) = match whose {
            Line::Stranger(address) => (&self.strangers, address),
            Line::Known(who) => (&self.known, who),
        };
        let place = lane.queue(of)?;
        let turn = Arc::clone(&lane.places).acquire_owned().await.ok();
        // Both are kept until the work is done, though nobody waits for it any more.
        let done = tokio::task::spawn_blocking(move || held(work, (place, turn)));
        Ok(done.await.unwrap_or(Err(HashError)))
    }
}

impl Lane {
    fn new(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), waiting: Arc::default() }
    }

    fn queue(&self, of: &str) -> Result<Place, Busy> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, own) = (waiting.values().sum::<usize>(), waiting.get(of).copied().unwrap_or_default());
        if all >= WAITING || own >= FROM_ONE {
            return Err(Busy);
        }
        waiting.insert(of.to_owned(), own + 1);
        Ok(Place { waiting: Arc::clone(&self.waiting), of: of.to_owned() })
    }
}

fn held<T>(work: impl FnOnce() -> T, _while: (Place, Option<OwnedSemaphorePermit>)) -> T {
    work()
}
