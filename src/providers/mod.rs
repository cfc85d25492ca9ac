//! Ports to the outside: narrow traits that tools use, and one adapter per provider behind them.
//!
//! INVARIANT: a mutating method takes a [`Permit`] and drops it only once the request has left this process. A
//! switch reports `fenced` when every permit that was given out before it has been dropped (P3).

mod child;
pub mod compute;
mod journal_nodes;
pub mod provider_text;

use std::sync::Arc;

/// Leave to send one mutating request to a provider, given by the fence check that precedes it.
///
/// Not `Clone`. Dropping it says "the request is out, or will never be sent".
#[must_use = "a permit that is dropped before the request is sent breaks the fence"]
pub struct Permit(#[expect(dead_code, reason = "held for its drop")] Option<Arc<dyn Send + Sync>>);

impl Permit {
    /// A permit that keeps `section` alive until the request is out.
    pub fn holding(section: Arc<dyn Send + Sync>) -> Self {
        Self(Some(section))
    }

    /// A permit for work that no switch covers: clean-up of our own, tests of an adapter.
    pub fn unfenced() -> Self {
        Self(None)
    }
}
