//! The limits of a log: recorded once by the first node that starts on it, and from then on changed by a right alone.
//!
//! INVARIANT: a node that was started with other numbers says so and goes by the recorded ones, as every other does.

use crate::core::event::Kind;
use crate::core::id::{EventId, Position};
use crate::core::stood::TermsInForce;
use crate::core::terms::Terms;
use crate::log::draft::NewEvent;
use crate::log::store::Want;
use crate::log::writer::{WriteError, Writer};

/// Records what a node was started with if nothing is recorded, and says where it differs from what is. Run at start.
pub async fn start(writer: &Writer, id: EventId, configured: Terms) -> Result<(), WriteError> {
    let written = writer.write(Want::default(), move |draft| {
        if let Some(now) = draft.state().terms.clone() {
            return Ok(now);
        }
        let kind = draft.state().setting(configured, None, None);
        let version = if let Kind::LimitsSet { version, .. } = &kind { *version } else { 1 };
        draft.append(Position(0), NewEvent::plain(id.clone(), kind))?;
        Ok(TermsInForce::first(version, configured))
    });
    let TermsInForce { version, terms, .. } = written.await?;
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
