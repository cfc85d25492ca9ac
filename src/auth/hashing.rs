//! Where passwords are hashed: off the threads that serve requests, a few at a time.
//!
//! INVARIANT: a hash takes 19 MiB and a core, so at most three are made at a time. In each queue at most [`WAITING`] wait:
//! [`FROM_ONE`] from one address, [`FROM_ONE`] of one user, and [`OF_ACCOUNT`] of one account. Known browsers and signed-in
//! users have a queue of their own, which unknown browsers cannot fill. The bounds go by user and address, because one client
//! can pretend to be any number of browsers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::password::HashError;
use crate::log::users::UserRecord;

/// Strangers' passwords that are hashed at the same time; one more place is for those who are known.
const MAX_CONCURRENT: usize = 2;

/// Most who wait or are served in one line.
const WAITING: usize = 64;

/// The same from one address, and of one person who is known.
const FROM_ONE: usize = 8;

/// The same of the people of one account.
const OF_ACCOUNT: usize = 16;

/// Who wants a password to be hashed.
#[derive(Clone, Copy, Debug)]
pub enum Line<'a> {
    /// Somebody from this address of whom nothing is known.
    Stranger(&'a str),
    /// Somebody who signed in in this browser before, or is signed in.
    Known {
        /// Who.
        person: &'a str,
        /// Whose people they are one of.
        account: &'a str,
        /// Where they come from.
        address: &'a str,
    },
}

impl<'a> Line<'a> {
    /// The line of somebody who is known.
    #[must_use]
    pub fn of(person: &'a UserRecord, address: &'a str) -> Self {
        Self::Known { person: person.id.as_str(), account: person.account.as_str(), address }
    }

    /// What those who wait are counted by, and how many of each there may be.
    fn counted(self) -> Vec<(String, usize)> {
        match self {
            Self::Stranger(address) => vec![(address.to_owned(), FROM_ONE)],
            Self::Known { person, account, address } => vec![
                (format!("person {person}"), FROM_ONE),
                (format!("address {address}"), FROM_ONE),
                (format!("account {account}"), OF_ACCOUNT),
            ],
        }
    }
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

/// How many wait or are served: all of them, and by what they are counted by.
type Waiting = Arc<Mutex<(usize, HashMap<String, usize>)>>;

/// Too many wait already.
#[derive(Debug)]
pub struct Busy;

/// A place in a line until it is dropped.
struct Place {
    waiting: Waiting,
    of: Vec<String>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.0 -= 1;
        for of in &self.of {
            if let Some(count) = waiting.1.get_mut(of) {
                *count -= 1;
                if *count == 0 {
                    waiting.1.remove(of);
                }
            }
        }
    }
}

impl Default for Hashing {
    fn default() -> Self {
        Self { strangers: Lane::new(MAX_CONCURRENT), known: Lane::new(1) }
    }
}

impl Hashing {
    /// Does `work`, which hashes, when it is its turn.
    pub async fn turn<T: Send + 'static>(
        &self,
        whose: Line<'_>,
        work: impl FnOnce() -> Result<T, HashError> + Send + 'static,
    ) -> Result<Result<T, HashError>, Busy> {
        let lane = if matches!(whose, Line::Stranger(_)) { &self.strangers } else { &self.known };
        let place = lane.queue(whose.counted())?;
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

    fn queue(&self, of: Vec<(String, usize)>) -> Result<Place, Busy> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |(name, most): &(String, usize)| waiting.1.get(name).is_some_and(|own| own >= most);
        if waiting.0 >= WAITING || of.iter().any(is_full) {
            return Err(Busy);
        }
        waiting.0 += 1;
        let of: Vec<String> = of.into_iter().map(|(name, _)| name).collect();
        for name in &of {
            *waiting.1.entry(name.clone()).or_default() += 1;
        }
        Ok(Place { waiting: Arc::clone(&self.waiting), of })
    }
}

fn held<T>(work: impl FnOnce() -> T, _while: (Place, Option<OwnedSemaphorePermit>)) -> T {
    work()
}
