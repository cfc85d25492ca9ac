//! The clock: staff say which one is right.

mod accept;

use super::Tool;

/// The tools of this noun.
pub(super) fn tools() -> Vec<Tool> {
    vec![accept::tool()]
}
