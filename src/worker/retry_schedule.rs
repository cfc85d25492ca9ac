//! Who may ask a provider about what now.
//!
//! INVARIANT: one question at a time is asked about a resource, so many about one account's and at one provider, so many in all.
//! One that was not answered, or late, is left alone for a while, for longer each time, and takes no place meanwhile: whoever has a
//! guest that is slow delays nobody but himself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::core::id::{AccountId, CallId};
use crate::core::resource::ResourceId;

const IN_ALL: usize = 64;
const OF_PROVIDER: usize = 32;
const OF_ACCOUNT: usize = 4;

/// How long a topic that was not answered for is left alone at first, and at last.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// What is asked about, by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    /// A resource.
    Resource(ResourceId),
    /// A call that is about none.
    Call(CallId),
}

/// How the questions about a topic went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// In good time.
    Yes,
    /// It took so long.
    Late(Duration),
    /// Not at all, or not in time.
    No,
    /// It is not for this node to ask, nor will be soon.
    Elsewhere,
}

/// The questions under way, and what became of earlier ones.
#[derive(Default)]
pub(super) struct RetrySchedule {
    standing: Mutex<Standing>,
    freed: Notify,
}

#[derive(Default)]
struct Standing {
    /// What is asked now, and what is left alone: that has given its place back.
    busy: BTreeMap<Topic, Option<Place>>,
    pauses: BTreeMap<Topic, Duration>,
    /// When each was asked last, by the number of the turn.
    last: BTreeMap<Topic, u64>,
    turns: u64,
}

struct Place {
    account: AccountId,
    provider: String,
}

/// One topic's turn, from when it is taken until it may be asked again.
pub(super) struct RetrySlot {
    turns: Arc<RetrySchedule>,
    topic: Topic,
}

impl RetrySchedule {
    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the topics that nothing is asked about any more, and puts the others in the order of their turn.
    pub(super) fn order(&self, topics: &mut [Topic]) {
        let mut standing = self.lock();
        standing.last.retain(|topic, _| topics.contains(topic));
        standing.pauses.retain(|topic, _| topics.contains(topic));
        topics.sort_by_key(|topic| standing.last.get(topic).copied().unwrap_or(0));
    }

    /// A turn for a topic; none if it has one or is left alone, `Err` if there is no place now.
    pub(super) fn take(self: &Arc<Self>, topic: &Topic, account: &AccountId, provider: &str) -> Result<Option<RetrySlot>, ()> {
        let mut standing = self.lock();
        if standing.busy.contains_key(topic) {
            return Ok(None);
        }
        let places = || standing.busy.values().flatten();
        let full = places().count() >= IN_ALL
            || places().filter(|place| place.provider == provider).count() >= OF_PROVIDER
            || places().filter(|place| place.account == *account).count() >= OF_ACCOUNT;
        if full {
            return Err(());
        }
        standing.turns += 1;
        let turn = standing.turns;
        standing.last.insert(topic.clone(), turn);
        standing.busy.insert(topic.clone(), Some(Place { account: account.clone(), provider: provider.to_owned() }));
        Ok(Some(RetrySlot { turns: Arc::clone(self), topic: topic.clone() }))
    }

    /// Returns when a place is free again.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }
}

impl RetrySlot {
    /// Gives the place back, and leaves it alone for as long as it has earned.
    pub(super) async fn end(self, answered: Answered) {
        let pause = self.give_back(answered);
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }

    /// Gives the place back; answers for how long it is to be left alone.
    fn give_back(&self, answered: Answered) -> Duration {
        let mut standing = self.turns.lock();
        standing.busy.insert(self.topic.clone(), None);
        let last = standing.pauses.remove(&self.topic).unwrap_or_default();
        let pause = match answered {
            Answered::Yes => Duration::ZERO,
            Answered::Late(took) => took.min(LONGEST_PAUSE),
            Answered::No => (last * 2).clamp(PAUSE, LONGEST_PAUSE),
            Answered::Elsewhere => 10 * PAUSE,
        };
        if answered == Answered::No {
            standing.pauses.insert(self.topic.clone(), pause);
        }
        drop(standing);
        self.turns.freed.notify_one();
        pause
    }
}

impl Drop for RetrySlot {
    fn drop(&mut self) {
        self.turns.lock().busy.remove(&self.topic);
        self.turns.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vm(number: u32) -> Topic {
        Topic::Resource(format!("vm_{number:026}").parse().unwrap())
    }

    fn account(number: u32) -> AccountId {
        format!("acc_{number:026}").parse().unwrap()
    }

    #[test]
    fn turns_of_one_account_and_provider_leave_places_for_others() {
        let turns = Arc::new(RetrySchedule::default());
        let mut held = Vec::new();
        for number in 0..100 {
            held.extend(turns.take(&vm(number), &account(1), "sim").unwrap_or_default());
        }
        assert_eq!(held.len(), OF_ACCOUNT);
        for number in 100..1000 {
            held.extend(turns.take(&vm(number), &account(number), "sim").unwrap_or_default());
        }
        assert_eq!(held.len(), OF_PROVIDER);
        assert!(turns.take(&vm(1000), &account(1000), "qemu").unwrap().is_some(), "another provider has places of its own");
        held.pop();
        assert!(turns.take(&vm(1000), &account(1000), "sim").unwrap().is_some(), "a place is free again");
    }

    #[test]
    fn turns_that_fail_are_left_alone_for_longer_and_longer_without_a_place() {
        let turns = Arc::new(RetrySchedule::default());
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            let turn = turns.take(&vm(1), &account(1), "sim").unwrap().expect("a turn");
            assert!(turns.take(&vm(1), &account(1), "sim").unwrap().is_none(), "it is asked");
            assert_eq!(turn.give_back(Answered::No), Duration::from_secs(pause));
            assert!(turns.take(&vm(1), &account(1), "sim").unwrap().is_none(), "it is left alone");
            let others: Vec<_> = (2..6).map(|n| turns.take(&vm(n), &account(1), "sim")).collect();
            assert!(others.iter().all(|turn| matches!(turn, Ok(Some(_)))), "and takes no place");
        }
        let turn = turns.take(&vm(1), &account(1), "sim").unwrap().expect("a turn");
        assert_eq!(turn.give_back(Answered::Yes), Duration::ZERO);
        drop(turn);
        let turn = turns.take(&vm(1), &account(1), "sim").unwrap().expect("it is asked again at once");
        assert_eq!(turn.give_back(Answered::No), PAUSE, "what was good is good");
        let mut order = vec![vm(1), vm(9)];
        turns.order(&mut order);
        assert_eq!(order, [vm(9), vm(1)], "who was not asked yet is first");
    }
}
