//! How often a password may be guessed.
//!
//! ```text
//! a browser that signed in before as this person     10, then 1 a minute: nobody else uses that up
//! any other   from one address, of one e-mail address  10, then 1 a minute
//!             from one address, of anybody             30, then 3 a minute
//!             from everywhere, of one e-mail address  100, then 100 an hour
//! from one address, sign-ins that succeed too       300, then 30 a minute; of somebody who is known, apart
//! ```
//!
//! Returns from an issuer with the attempt that this browser began are counted in the same way, by browser or address, and apart:
//! passwords do not count them.
//!
//! So whoever guesses locks out themselves, and from many addresses only browsers in which that person never signed in.
//!
//! The counts that hold are in the vault, for all nodes. What this node has counted itself is in memory, too, and may only
//! refuse early: a flood from one address costs the database nothing.
//!
//! What comes back from an issuer without an attempt of that browser guesses nothing: anybody's page can have a browser do it. It
//! counts for nobody, and only as much of it is written down as one address may guess.
//!
//! INVARIANT: an attempt is counted before the password is looked at, whether the person exists or not, and only one that
//! succeeds, and was a guess at nobody else's password, is given back; so is one that failed by our fault, or by an issuer's. One that cannot be counted is none. The counts slow
//! guessing down, and nothing is admitted by them that a password would not admit. About [`MAX_COUNT`] are kept in either place; those that
//! count least are forgotten first.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::core::email::EmailAddress;
use crate::core::id::UserId;
use crate::core::time::Micros;

/// How often something may be done: so many times at once, then one in each interval (GCRA).
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    burst: u32,
    pub(super) every: Duration,
}

const BY_BROWSER: Pace = Pace { burst: 10, every: Duration::from_mins(1) };
const OF_ONE: Pace = Pace { burst: 10, every: Duration::from_mins(1) };
const FROM_ADDRESS: Pace = Pace { burst: 30, every: Duration::from_secs(20) };
const OF_ONE_FROM_EVERYWHERE: Pace = Pace { burst: 100, every: Duration::from_secs(36) };
const WORK: Pace = Pace { burst: 300, every: Duration::from_secs(2) };

/// Most counts that are kept, 24 bytes each.
pub const MAX_COUNT: usize = 100_000;

/// The vault's rows are tidied by one attempt of so many.
const TIDY: u64 = 64;

/// What is counted, as a digest: names from outside take no room.
pub(super) type Name = [u8; 16];

/// Somebody who tries to sign in.
#[derive(Clone, Copy, Debug)]
pub struct GuessSource<'a> {
    /// The address that they come from; a network, for IPv6.
    pub address: &'a str,
    /// Whom they want to be; none, if that is no address, or for an issuer to say.
    pub email: Option<&'a EmailAddress>,
    /// Who is known here, if somebody is: they signed in in this browser before, or are signed in. The guess is at their
    /// passwords and at nobody else's.
    pub known: &'a [KnownIn<'a>],
}

/// Somebody who is known in a browser.
#[derive(Clone, Copy, Debug)]
pub struct KnownIn<'a> {
    /// Who.
    pub person: &'a UserId,
    /// What guesses at their password in this browser are counted by.
    pub browser: &'a str,
}

/// An attempt that was counted.
#[derive(Debug)]
pub struct Attempt {
    pub(super) names: Vec<(Name, Pace)>,
    /// What it costs, which is not given back.
    pub(super) work: (Name, Pace),
}

/// The attempts that still count: when each pace is free again.
#[derive(Debug, Default)]
pub struct Guesses {
    free_at: Mutex<HashMap<Name, i64>>,
    counted: AtomicU64,
}

impl Guesses {
    /// Counts an attempt, or says how long to wait until there may be one.
    pub fn attempt(&self, guesser: GuessSource, now: Micros) -> Result<Attempt, Duration> {
        let GuessSource { address, email, known } = guesser;
        let mut names: Vec<_> = known.iter().map(|known| (name(&["browser", known.browser]), BY_BROWSER)).collect();
        if known.is_empty() {
            names.push((name(&["address", address]), FROM_ADDRESS));
            if let Some(email) = email {
                names.push((name(&["one", address, email.as_str()]), OF_ONE));
                names.push((name(&["everywhere", email.as_str()]), OF_ONE_FROM_EVERYWHERE));
            }
        }
        self.take(names, work("work", address, known), now)
    }

    /// The same of somebody who comes back from an issuer with the attempt that this browser began. Whatever becomes of those,
    /// passwords do not count it.
    pub fn come_back(&self, address: &str, known: &[KnownIn<'_>], now: Micros) -> Result<Attempt, Duration> {
        let mut names: Vec<_> = known.iter().map(|known| (name(&["back", "browser", known.browser]), BY_BROWSER)).collect();
        if known.is_empty() {
            names.push((name(&["back", "address", address]), FROM_ADDRESS));
        }
        self.take(names, work("back work", address, known), now)
    }

    /// Whether what somebody brought back from nowhere is still to be written down.
    pub fn is_recorded(&self, address: &str, now: Micros) -> bool {
        self.take(vec![(name(&["astray", address]), FROM_ADDRESS)], work("astray work", address, &[]), now).is_ok()
    }

    fn take(&self, names: Vec<(Name, Pace)>, work: (Name, Pace), now: Micros) -> Result<Attempt, Duration> {
        let mut free_at = self.lock();
        let wait = names.iter().chain([&work]).filter_map(|(name, pace)| pace.wait(free_at.get(name).copied(), now)).max();
        if let Some(wait) = wait {
            return Err(wait);
        }
        make_room(&mut free_at, now);
        for (name, pace) in names.iter().chain([&work]) {
            let at = free_at.get(name).map_or(now.0, |at| (*at).max(now.0));
            free_at.insert(*name, at.saturating_add(micros(pace.every)));
        }
        Ok(Attempt { names, work })
    }

    /// Gives back an attempt that succeeded, or was not even looked at.
    pub fn give_back(&self, attempt: Attempt) {
        let mut free_at = self.lock();
        for (name, pace) in attempt.names {
            if let Some(at) = free_at.get_mut(&name) {
                *at = at.saturating_sub(micros(pace.every));
            }
        }
    }

    /// How many rows the vault may keep, if it is time to look.
    pub(super) fn tidy(&self) -> Option<usize> {
        self.counted.fetch_add(1, Ordering::Relaxed).is_multiple_of(TIDY).then_some(MAX_COUNT)
    }

    /// How many counts are kept.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn kept(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, i64>> {
        self.free_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// By person and not by browser, of which anybody has as many as they like.
fn work(gateway: &str, address: &str, known: &[KnownIn<'_>]) -> (Name, Pace) {
    (name(&[gateway, address, known.first().map_or("", |known| known.person.as_str())]), WORK)
}

impl Pace {
    /// What may be taken ahead of time, in microseconds.
    pub(super) fn ahead(self) -> i64 {
        micros(self.every).saturating_mul(i64::from(self.burst.saturating_sub(1)))
    }

    /// How long until one more fits; none if it does now.
    fn wait(self, free_at: Option<i64>, now: Micros) -> Option<Duration> {
        let fits_at = free_at?.saturating_sub(self.ahead());
        (fits_at > now.0).then(|| Micros(fits_at).since(now))
    }
}

pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn name(parts: &[&str]) -> Name {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().first_chunk().copied().unwrap_or_default()
}

/// Forgets what counts no more; if that is not enough, the half that counts least, so that no flood of names makes one
/// forgotten that is full.
fn make_room(free_at: &mut HashMap<Name, i64>, now: Micros) {
    if free_at.len() < MAX_COUNT {
        return;
    }
    free_at.retain(|_, at| *at > now.0);
    if free_at.len() < MAX_COUNT / 2 {
        return;
    }
    let mut times: Vec<i64> = free_at.values().copied().collect();
    let half = times.len() / 2;
    let (_, middle, _) = times.select_nth_unstable(half);
    let middle = *middle;
    free_at.retain(|_, at| *at > middle);
}
