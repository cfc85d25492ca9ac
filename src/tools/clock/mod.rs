//! The clock: staff say which one is right.

mod accept;

use super::declare::Declared;

/// The operations of this noun.
pub(super) static OPERATIONS: &[&dyn Declared] = &[&accept::ACCEPT];
