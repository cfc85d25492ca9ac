//! Command execution on a VM: whether it is on, and short commands whose caller waits.

mod run;
mod set;

use super::Tool;

/// The tools of this noun.
pub(super) fn tools() -> Vec<Tool> {
    vec![run::tool(), set::tool()]
}
