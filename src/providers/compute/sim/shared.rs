//! What the simulation and its guests both hold.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::faults::Faults;
use super::world::World;
use crate::providers::journal_nodes::JournalNodes;

pub(super) struct Shared {
    pub(super) world: Mutex<World>,
    pub(super) faults: Faults,
    pub(super) journal_nodes: JournalNodes,
}

impl Shared {
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.follow();
        world
    }
}
