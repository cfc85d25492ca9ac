//! The limits of a log, set by somebody who sits at the machine, and recorded with who that was.

use super::local_admin::{LocalAdmin, LocalAdminError};
use crate::core::commands::limits::{SetLimits, Wanted};
use crate::core::earlier_terms::TermsInForce;
use crate::core::terms::Terms;

/// Limits that were put in force.
pub struct Set {
    /// What is in force now.
    pub now: TermsInForce,
    /// What was before; none if nothing was recorded yet.
    pub before: Option<TermsInForce>,
}

impl LocalAdmin {
    /// Puts limits in force; numbers are put into those in force, or into `configured` if none are recorded yet.
    pub async fn set_limits(&self, configured: Terms, wanted: Wanted) -> Result<Set, LocalAdminError> {
        let note = self.signed(&self.state().await?.operator_account()).await?;
        let command = SetLimits { wanted, configured, by: None, event: Some(note.id()) };
        let changed = self.change([note], command).await?;
        let now = changed.state.terms.clone().unwrap_or_else(|| TermsInForce::first(1, configured));
        Ok(Set { now, before: changed.answer })
    }
}
