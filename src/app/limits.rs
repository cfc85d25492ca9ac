//! The limits of a log, set by somebody who sits at the machine, and recorded with who that was.

use serde_json::json;

use super::desk::{Desk, DeskError, Record, operator};
use crate::core::id::Position;
use crate::core::refusal::Refusal;
use crate::core::stood::TermsInForce;
use crate::core::terms::Terms;
use crate::log::draft::NewEvent;
use crate::log::store::Want;

/// Limits that were put in force.
pub struct Set {
    /// What is in force now.
    pub now: TermsInForce,
    /// What was before; none if nothing was recorded yet.
    pub before: Option<TermsInForce>,
}

impl Desk {
    /// Puts limits in force that `change` makes of those in force; of `configured`, if none are recorded yet. What holds already
    /// is no other version.
    pub async fn set_limits(
        &self,
        configured: Terms,
        change: impl Fn(Terms) -> Result<Terms, Refusal> + Send + 'static,
    ) -> Result<Set, DeskError> {
        let state = self.state().await?;
        // What it says is decided in the transaction.
        let (kind, note) = (state.setting(configured, None, None), json!({ "operator": operator() }));
        let sealed = self.seal(Record { account: state.house(), kind, note }).await?;
        let written = self.writer.write(Want::default(), move |draft| {
            let before = draft.state().terms.clone();
            let terms = match change(before.as_ref().map_or(configured, |before| before.terms)) {
                Ok(terms) => terms,
                Err(refusal) => return Ok(Err(refusal)),
            };
            if let Some(now) = before.clone().filter(|before| before.terms == terms) {
                return Ok(Ok(Set { now, before }));
            }
            let kind = draft.state().setting(terms, None, None);
            draft.append(Position(0), NewEvent { kind, ..sealed.clone() })?;
            let now = draft.state().terms.clone().unwrap_or_else(|| TermsInForce::first(1, terms));
            Ok(Ok(Set { now, before }))
        });
        Ok(written.await??)
    }
}
