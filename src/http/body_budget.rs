//! How much of requests' bodies may be in memory: what is being read, and what was read and is not handled yet.
//!
//! INVARIANT: a small body always fits; the limits on connections and streams bound their sum. A larger body counts against its
//! key and account, or against its address if there is no live key. One account's use never refuses another's: an account that
//! holds nothing may always hold one body. Stops have shares of their own (P15). Bytes are returned with the last holder.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::OriginalUri;
use axum::http::request::Parts;
use http_body_util::BodyExt;

use super::ingress::ClientAddress;
use super::throttle::{network, stops};
use crate::core::code::Code;
use crate::core::id::{AccountId, CredentialId};
use crate::core::principal::Principal;
use crate::core::refusal::Refusal;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// A body that counts for nobody. Forms of the console, and all calls but those that bring a text along, are smaller.
const SMALL: usize = 16 * KIB;

/// Of an address without a live key: sixteen of the largest forms. Of all such addresses: sixteen addresses' worth.
const ADDRESS: usize = MIB;
const STRANGERS: usize = 16 * MIB;

/// Of a live key: four of the largest bodies; of its account twice as much, and of all accounts sixteen times that.
const KEY: usize = 4 * MIB;
const ACCOUNT: usize = 8 * MIB;
const CALLERS: usize = 128 * MIB;

/// The same of what stops something; all accounts together have no bound there but their number.
const KEY_STOPS: usize = MIB;
const ACCOUNT_STOPS: usize = 4 * MIB;

/// When it is worth trying again: what is large is soon read, or ended by its timer.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Whose body it is.
#[derive(Clone, Debug)]
pub enum BodyOwner {
    /// Somebody's at this address, or in this network, who has shown no live key.
    Stranger(IpAddr),
    /// Somebody's who is known.
    Known {
        /// Whose key, or session.
        account: AccountId,
        /// Which.
        key: CredentialId,
        /// It stops something.
        stops: bool,
    },
}

impl BodyOwner {
    /// Of a request whose caller is known.
    pub fn known(who: &Principal, parts: &Parts) -> Self {
        // Within a nest the prefix is gone from the address.
        let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
        let stops = stops(&parts.method, uri, &parts.headers);
        Self::Known { account: who.account.clone(), key: who.credential.clone(), stops }
    }

    /// As it was noted with a request; a stranger's if it was not.
    pub fn of(parts: &Parts) -> Self {
        let address = || parts.extensions.get::<ClientAddress>().and_then(|address| address.0);
        let stranger = || Self::Stranger(address().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), network));
        parts.extensions.get::<Self>().cloned().unwrap_or_else(stranger)
    }

    /// What it takes of, and how much there is of each.
    fn shares(&self) -> Vec<(Share, usize)> {
        match self {
            Self::Stranger(address) => vec![(Share::Address(*address), ADDRESS), (Share::Strangers, STRANGERS)],
            Self::Known { account, key, stops: false } => {
                let (key, account) = (Share::Key(key.clone(), false), Share::Account(account.clone(), false));
                vec![(key, KEY), (account, ACCOUNT), (Share::Callers, CALLERS)]
            }
            Self::Known { account, key, stops: true } => {
                let (key, account) = (Share::Key(key.clone(), true), Share::Account(account.clone(), true));
                vec![(key, KEY_STOPS), (account, ACCOUNT_STOPS)]
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Share {
    Strangers,
    Address(IpAddr),
    Callers,
    Account(AccountId, bool),
    Key(CredentialId, bool),
}

/// The bytes that are held, and how many bodies were refused. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct BodyBudget(Arc<Ledger>);

#[derive(Debug, Default)]
struct Ledger {
    taken: Mutex<HashMap<Share, usize>>,
    refused: AtomicU64,
}

/// A body that was read, and what it holds as long as anybody needs it.
#[derive(Debug)]
pub struct BufferedBody {
    /// What it says.
    pub bytes: Bytes,
    /// Its share.
    pub held: Reservation,
}

/// A share that is given back with the last that has it.
#[derive(Clone, Debug, Default)]
#[expect(dead_code, reason = "it is there to be dropped")]
pub struct Reservation(Option<Arc<Hold>>);

/// Why a body was not read.
#[derive(Debug)]
pub enum Unread {
    /// It is larger than it may be.
    TooLarge,
    /// There is no room for it now.
    NoRoom,
    /// It broke off.
    BrokenOff,
}

/// That there is no room.
pub fn no_room() -> Refusal {
    let text = "Too much is being read at this moment from this address, with this key or for its account.";
    Refusal::new(Code::Overloaded, text).hint("Send less at a time, or try again.").retry_after(RETRY_AFTER)
}

impl BodyBudget {
    /// Bytes that are held beyond what is small.
    pub fn held(&self) -> usize {
        let taken = self.lock();
        let shares = taken.iter().filter(|(share, _)| matches!(share, Share::Address(_) | Share::Key(..)));
        shares.map(|(_, bytes)| bytes).sum()
    }

    /// How many were refused because there was no room.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// Reads a whole body. What says how long it is takes its room at once, everything else as it comes.
    pub async fn read(&self, mut body: Body, whose: &BodyOwner, limit: usize) -> Result<BufferedBody, Unread> {
        let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if declared > limit {
            return Err(Unread::TooLarge);
        }
        let mut hold = Hold { bodies: self.clone(), shares: whose.shares(), bytes: 0 };
        hold.grow(declared)?;
        let mut bytes = Vec::with_capacity(declared);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Unread::BrokenOff)?.into_data() else { continue };
            let size = bytes.len() + data.len();
            if size > limit {
                return Err(Unread::TooLarge);
            }
            hold.grow(size)?;
            bytes.extend_from_slice(&data);
        }
        Ok(BufferedBody { bytes: bytes.into(), held: hold.kept() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Share, usize>> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one body holds.
#[derive(Debug)]
struct Hold {
    bodies: BodyBudget,
    shares: Vec<(Share, usize)>,
    bytes: usize,
}

impl Hold {
    /// Takes room for a body of this size, in steps; all of its shares have it, or none gives any.
    fn grow(&mut self, size: usize) -> Result<(), Unread> {
        if size <= SMALL.max(self.bytes) {
            return Ok(());
        }
        let more = size.next_multiple_of(SMALL) - self.bytes;
        let mut taken = self.bodies.lock();
        let used = |share: &Share| taken.get(share).copied().unwrap_or(0);
        // An account that holds nothing else has room for one.
        let is_first = |(share, _): &(Share, usize)| matches!(share, Share::Account(..)) && used(share) == self.bytes;
        let is_first = self.shares.iter().any(is_first);
        let has_room = |(share, most): &(Share, usize)| (is_first && *share == Share::Callers) || used(share) + more <= *most;
        if !self.shares.iter().all(has_room) {
            drop(taken);
            self.bodies.0.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Unread::NoRoom);
        }
        for (share, _) in &self.shares {
            *taken.entry(share.clone()).or_default() += more;
        }
        self.bytes += more;
        Ok(())
    }

    fn kept(self) -> Reservation {
        // What is small holds nothing.
        Reservation((self.bytes > 0).then(|| Arc::new(self)))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut taken = self.bodies.lock();
        for (share, _) in &self.shares {
            let left = taken.get(share).map_or(0, |bytes| bytes.saturating_sub(self.bytes));
            // What nobody has any more is not kept: addresses and keys come and go.
            if left == 0 {
                taken.remove(share)
            } else {
                taken.insert(share.clone(), left)
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(bodies: &BodyBudget, whose: &BodyOwner) -> Hold {
        Hold { bodies: bodies.clone(), shares: whose.shares(), bytes: 0 }
    }

    fn known(account: u16, key: u16, stops: bool) -> BodyOwner {
        let (account, key) = (format!("acc_{account:026}"), format!("key_{key:026}"));
        BodyOwner::Known { account: account.parse().expect("an id"), key: key.parse().expect("an id"), stops }
    }

    /// As many bodies of this size as fit.
    fn fill(bodies: &BodyBudget, whose: &BodyOwner, size: usize) -> Vec<Hold> {
        let one = || {
            let mut hold = hold(bodies, whose);
            hold.grow(size).ok().map(|()| hold)
        };
        std::iter::from_fn(one).take(10_000).collect()
    }

    #[test]
    fn each_has_its_share_and_small_ones_always_fit() {
        let bodies = BodyBudget::default();
        let of = |n: u8| BodyOwner::Stranger(IpAddr::V4(Ipv4Addr::new(192, 0, 2, n)));
        let strangers: Vec<Vec<Hold>> = (0..20).map(|n| fill(&bodies, &of(n), 64 * KIB)).collect();
        assert_eq!(strangers.iter().map(Vec::len).sum::<usize>(), STRANGERS / (64 * KIB));
        assert_eq!(strangers[0].len(), ADDRESS / (64 * KIB));
        let own = fill(&bodies, &known(1, 1, false), MIB);
        let second = fill(&bodies, &known(1, 2, false), MIB);
        assert_eq!((own.len(), second.len(), fill(&bodies, &known(1, 3, false), MIB).len()), (4, 4, 0));
        assert_eq!(fill(&bodies, &known(1, 1, true), MIB).len(), 1, "what stops has room of its own");
        for whose in [of(0), of(30), known(1, 1, false)] {
            assert_eq!(fill(&bodies, &whose, SMALL).len(), 10_000);
        }
        assert_eq!(bodies.held(), STRANGERS + 8 * MIB);
        drop((strangers, own, second));
        assert!(bodies.lock().is_empty() && bodies.held() == 0);
    }

    #[test]
    fn nobody_is_refused_for_what_another_account_holds() {
        let bodies = BodyBudget::default();
        let crowd: Vec<Vec<Hold>> = (0..40).map(|n| fill(&bodies, &known(n, n, false), MIB)).collect();
        assert!(crowd.iter().all(|own| !own.is_empty()), "each has one at least");
        assert!(bodies.held() >= CALLERS && bodies.held() <= CALLERS + 40 * MIB);
        // In chunks, too: what is its own already is no reason to refuse the rest.
        let mut late = hold(&bodies, &known(99, 99, false));
        for step in 1..=16 {
            late.grow(step * 64 * KIB).expect("room for one");
        }
        assert!(hold(&bodies, &known(99, 99, false)).grow(64 * KIB).is_err());
        assert_eq!(fill(&bodies, &known(99, 99, true), 64 * KIB).len(), 16);
    }
}
