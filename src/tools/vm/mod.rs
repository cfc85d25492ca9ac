//! Virtual machines: which there are, how they are, their power; and, for staff, whose they are.

mod claim;
pub(super) mod fleet;
mod get;
mod import;
mod list;
mod power;
mod rename;
mod stats;

use super::Execution;
use super::declare::Declared;
use crate::core::state::Vm;

/// The operations of this noun.
pub(super) static OPERATIONS: &[&dyn Declared] =
    &[&list::LIST, &get::GET, &stats::STATS, &power::POWER, &rename::RENAME, &import::IMPORT, &claim::CLEAR];

impl Execution {
    /// The VM that the call is about, as this node knows it now; none if it is about none.
    pub(super) fn vm(&self) -> Option<Vm> {
        let state = self.state();
        self.resources.iter().find_map(|row| state.vm(&row.id)).cloned()
    }
}
