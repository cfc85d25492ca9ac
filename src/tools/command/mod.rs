//! Commands in guests that go on without their caller: start, look, read, cancel. A command's id is its call's id.

mod cancel;
mod get;
mod logs;
pub(super) mod output;
pub(super) mod run;
mod sight;
mod start;

use super::Tool;

/// The tools of this noun.
pub(super) fn tools() -> Vec<Tool> {
    vec![start::tool(), get::tool(), logs::tool(), cancel::tool()]
}
