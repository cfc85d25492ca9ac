//! Whose look into the views comes next. A look may take as long as its budget and as much as a processor, so who asks for many
//! at once waits behind himself, not in front of the others.
//!
//! INVARIANT: one account has at most [`MAX_CONCURRENT`] looks under way and [`WAITING`] more that wait; all customers together leave
//! connections free for the staff and for what is short. The budget of a look begins with its statement, not with its wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ViewError;
use crate::core::visibility::Visibility;

/// Looks of one account that are under way at once.
const MAX_CONCURRENT: usize = 2;

/// Looks of one account that wait for these.
const WAITING: usize = 16;

/// Looks of all customers together. Readers of the room are more (`log::dialect::Room::readers`).
const CUSTOMERS: usize = 4;

/// Looks of the staff together.
const STAFF: usize = 3;

/// How long a look waits for its turn.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The turns of this node.
pub(super) struct QuerySlots {
    lanes: Lanes,
    customers: Arc<Semaphore>,
    staff: Arc<Semaphore>,
}

/// Accounts that have a look under way or waiting.
type Lanes = Arc<Mutex<BTreeMap<String, Lane>>>;

struct Lane {
    turns: Arc<Semaphore>,
    looks: usize,
}

/// A turn; given back when it is dropped.
pub(super) struct QuerySlot {
    _permits: Vec<OwnedSemaphorePermit>,
    _place: Option<Place>,
}

impl Default for QuerySlots {
    fn default() -> Self {
        let of = |count| Arc::new(Semaphore::new(count));
        Self { lanes: Lanes::default(), customers: of(CUSTOMERS), staff: of(STAFF) }
    }
}

impl QuerySlots {
    /// Waits for the turn of whoever sees this much.
    pub(super) async fn take(&self, visibility: &Visibility) -> Result<QuerySlot, ViewError> {
        let Some(account) = visibility.account() else {
            let permits = vec![wait(Arc::clone(&self.staff)).await?];
            return Ok(QuerySlot { _permits: permits, _place: None });
        };
        let place = Place::of(&self.lanes, account.as_str())?;
        // First among its own, so that no more than those stand before the others.
        let own = wait(Arc::clone(&place.turns)).await?;
        let all = wait(Arc::clone(&self.customers)).await?;
        Ok(QuerySlot { _permits: vec![own, all], _place: Some(place) })
    }
}

async fn wait(turns: Arc<Semaphore>) -> Result<OwnedSemaphorePermit, ViewError> {
    match tokio::time::timeout(TIMEOUT, turns.acquire_owned()).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) | Err(_) => Err(ViewError::Busy),
    }
}

/// A look's place in the lane of its account.
struct Place {
    lanes: Lanes,
    account: String,
    turns: Arc<Semaphore>,
}

impl Place {
    fn of(lanes: &Lanes, account: &str) -> Result<Self, ViewError> {
        let mut open = lock(lanes);
        let lane =
            open.entry(account.to_owned()).or_insert_with(|| Lane { turns: Arc::new(Semaphore::new(MAX_CONCURRENT)), looks: 0 });
        if lane.looks >= MAX_CONCURRENT + WAITING {
            return Err(ViewError::Busy);
        }
        lane.looks += 1;
        let turns = Arc::clone(&lane.turns);
        drop(open);
        Ok(Self { lanes: Arc::clone(lanes), account: account.to_owned(), turns })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = lock(&self.lanes);
        let Some(lane) = open.get_mut(&self.account) else { return };
        lane.looks -= 1;
        // Accounts come and go.
        if lane.looks == 0 {
            open.remove(&self.account);
        }
    }
}

fn lock(lanes: &Lanes) -> MutexGuard<'_, BTreeMap<String, Lane>> {
    lanes.lock().unwrap_or_else(PoisonError::into_inner)
}
