//! The calls that wait for a person, as every page counts them.
//!
//! INVARIANT: what a page costs does not grow with how many accounts there are: so many calls are read at most, and those of all
//! accounts once for each position of the log.

use std::sync::{Arc, Mutex, PoisonError};

use crate::core::approval::Approval;
use crate::core::id::{AccountId, Position};
use crate::log::hold::{APPROVALS, approvals_of};
use crate::log::store::{Store, StoreError};

/// Calls that are counted; of more it is said that there are.
const MAX_COUNTED: usize = 100;

/// The calls that wait, as far as they are counted. Whether one still does at a moment is to be judged then.
pub struct Listed {
    /// The calls.
    pub approvals: Vec<Approval>,
    /// There are more.
    pub is_cut: bool,
}

/// Those of all accounts, as they were at a position of the log.
#[derive(Default)]
pub struct OpenApprovals(Mutex<Option<(Position, Arc<Listed>)>>);

impl OpenApprovals {
    /// Those of all accounts.
    pub async fn of_all(&self, store: &dyn Store) -> Result<Arc<Listed>, StoreError> {
        let position = store.head().await?.position;
        if let Some(known) = self.at(position) {
            return Ok(known);
        }
        // They may be newer than the position, and are then read again at the next one.
        let listed = Arc::new(read(store, APPROVALS).await?);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((position, Arc::clone(&listed)));
        Ok(listed)
    }

    fn at(&self, position: Position) -> Option<Arc<Listed>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(of, _)| *of == position).map(|(_, listed)| Arc::clone(listed))
    }
}

/// Those of one account.
pub async fn of_account(store: &dyn Store, account: &AccountId) -> Result<Arc<Listed>, StoreError> {
    Ok(Arc::new(read(store, &approvals_of(account)).await?))
}

async fn read(store: &dyn Store, prefix: &str) -> Result<Listed, StoreError> {
    let rows = store.page_under(prefix, None, MAX_COUNTED + 1).await?;
    let is_cut = rows.len() > MAX_COUNTED;
    let approvals = rows.iter().take(MAX_COUNTED).filter_map(|row| serde_json::from_slice(&row.doc).ok()).collect();
    Ok(Listed { approvals, is_cut })
}
