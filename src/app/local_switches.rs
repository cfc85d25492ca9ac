//! Switches as the command line engages and releases them: checked as over every other way, by what is there and by the time
//! of the log.

use std::time::Duration;

use serde_json::json;

use super::fleet;
use super::local_admin::{LocalAdmin, LocalAdminError};
use crate::config::Config;
use crate::core::commands::switch::{Again, Asked, Engage, Release, Released, Releaser};
use crate::core::engagement::{Names, Proposed};
use crate::core::id::SwitchId;
use crate::core::switch::Running;
use crate::core::time::Micros;
use crate::tools;

/// The names that may be stopped on a machine with this configuration.
#[must_use]
pub fn names(config: &Config) -> Names {
    Names { tools: tools::specs(), providers: fleet::names(config).map(str::to_owned).collect() }
}

impl LocalAdmin {
    /// Engages a switch, which ends by itself after `lasts`, if it says so. Asked for the same again it is the same switch, so
    /// that whoever is not sure whether it was done may repeat it.
    pub async fn engage(
        &self,
        mut proposed: Proposed,
        lasts: Option<Duration>,
        running: Running,
        names: Names,
    ) -> Result<SwitchId, LocalAdminError> {
        let switch = SwitchId::new(self.clock.now(), &*self.entropy);
        if let Some(lasts) = lasts {
            proposed.expires_at = Some(self.end_after(lasts).await?);
        }
        let note = self.note(&self.state().await?.operator_account(), proposed.note()).await?;
        let asked = Asked { switch: switch.clone(), proposed, running, again: Again::SameWords, event: note.id() };
        let engaged = self.change([note], Engage { asked: vec![asked], by: None, names }).await?;
        Ok(engaged.answer.into_iter().next().unwrap_or(switch))
    }

    /// Releases a switch without a second person, which the log calls break-glass. Answers until when, if step by step.
    pub async fn release(
        &self,
        switch: SwitchId,
        over: Option<Duration>,
        reason: &str,
    ) -> Result<Option<Micros>, LocalAdminError> {
        let note = self.note(&self.state().await?.operator_account(), json!({ "reason": reason })).await?;
        let (by, reason, event) = (Releaser::Operator, Some(reason.to_owned()), note.id());
        let released = self.change([note], Release { switch, by, over, reason, event }).await?;
        Ok(if let Released::Now { until, .. } = released.answer { until } else { None })
    }
}
