//! Commands in guests that go on without their caller: start, look, read, cancel. A command's id is its call's id.

mod cancel;
mod get;
mod logs;
pub(super) mod output;
pub(super) mod run;
mod start;
mod visibility;

use super::declare::Declared;

/// The operations of this noun.
pub(super) static OPERATIONS: &[&dyn Declared] = &[&start::START, &get::GET, &logs::LOGS, &cancel::CANCEL];
