//! Command execution on a VM: whether it is on, and short commands whose caller waits.

mod run;
mod set;

use super::declare::Declared;

/// The operations of this noun.
pub(super) static OPERATIONS: &[&dyn Declared] = &[&run::EXEC, &set::SET];
