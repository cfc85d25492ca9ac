//! The limits of a log, set by somebody who sits at the machine, and recorded with who that was.

use super::desk::{Desk, DeskError};
use crate::core::commands::limits::{SetLimits, Wanted};
use crate::core::stood::TermsInForce;
use crate::core::terms::Terms;

/// Limits that were put in force.
pub struct Set {
    /// What is in force now.
    pub now: TermsInForce,
    /// What was before; none if nothing was recorded yet.
    pub before: Option<TermsInForce>,
}

impl Desk {
    /// Puts limits in force; numbers are put into those in force, or into `configured` if none are recorded yet.
    pub async fn set_limits(&self, configured: Terms, wanted: Wanted) -> Result<Set, DeskError> {
        let note = self.signed(&self.state().await?.house()).await?;
        let command = SetLimits { wanted, configured, by: None, event: Some(note.id()) };
        let changed = self.change([note], command).await?;
        let now = changed.state.terms.clone().unwrap_or_else(|| TermsInForce::first(1, configured));
        Ok(Set { now, before: changed.answer })
    }
}
