//! The limits of a log: recorded once by the first node that starts on it, and from then on changed by a right alone.
//!
//! INVARIANT: a node that was started with other numbers says so and goes by the recorded ones, as every other does.

use crate::core::commands::limits::{SetLimits, Wanted};
use crate::core::earlier_terms::TermsInForce;
use crate::core::terms::Terms;
use crate::log::changing::{Author, Ids};
use crate::log::writer::{WriteError, Writer};

/// Records what a node was started with if nothing is recorded, and says where it differs from what is. Run at start.
pub async fn start(writer: &Writer, ids: Ids, configured: Terms) -> Result<(), WriteError> {
    let command = SetLimits { wanted: Wanted::Unless, configured, by: None, event: None };
    let in_force = match writer.change(Author::Node, ids, Vec::new(), command).await? {
        Ok(changed) => changed.state.terms.clone(),
        Err(refusal) => {
            tracing::error!(code = %refusal.code, reason = %refusal.message, "the configured limits were not recorded");
            None
        }
    };
    let Some(TermsInForce { version, terms, .. }) = in_force else { return Ok(()) };
    for difference in terms.differences(&configured) {
        let (key, in_force, configured) = (difference.key, difference.in_force, difference.configured);
        tracing::warn!(
            version,
            key,
            in_force,
            configured,
            "a limit in force is not the configured one, and holds; limits_set changes it"
        );
    }
    Ok(())
}
