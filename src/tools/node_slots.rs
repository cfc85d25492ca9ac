//! Places on this node: what a caller has under way at a time, counted by account and by key.
//!
//! INVARIANT: a place is taken and given back under one lock, and lasts as long as who took it holds on to it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::core::principal::Principal;
use crate::core::quota::{Quota, QuotaKind, QuotaUsage};
use crate::core::refusal::Refusal;

/// Whose places, and of what.
type Name = (QuotaKind, String);

/// The places that are taken. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct NodeSlots(Arc<Mutex<BTreeMap<Name, u32>>>);

/// A place; given back when it is dropped.
#[derive(Debug)]
pub struct NodeSlot {
    places: NodeSlots,
    names: [Name; 2],
}

impl NodeSlots {
    /// Takes a place, if the account and the key have one left.
    pub fn take(&self, counted: QuotaKind, quota: Quota, who: &Principal) -> Result<NodeSlot, Refusal> {
        let names = [(counted, who.account.to_string()), (counted, who.credential.to_string())];
        let mut taken = self.lock();
        let used = |name: &Name| taken.get(name).copied().unwrap_or(0);
        counted.check(quota, QuotaUsage { account: used(&names[0]), key: used(&names[1]) })?;
        for name in &names {
            *taken.entry(name.clone()).or_default() += 1;
        }
        drop(taken);
        Ok(NodeSlot { places: self.clone(), names })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Name, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for NodeSlot {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        for name in &self.names {
            // What nobody has any more is not kept: names of keys come and go.
            let left = taken.get(name).map_or(0, |count| count - 1);
            if left == 0 {
                taken.remove(name)
            } else {
                taken.insert(name.clone(), left)
            };
        }
    }
}
