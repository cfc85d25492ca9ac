//! Switches as the command line engages and releases them: checked as over every other way, by what is there and by the time
//! of the log.

use std::time::Duration;

use serde_json::Value;

use super::desk::{Desk, DeskError, Record, house, operator};
use super::fleet;
use crate::config::Config;
use crate::core::engagement::{Names, Proposed, check_reason};
use crate::core::event::Kind;
use crate::core::id::SwitchId;
use crate::core::switch::Running;
use crate::tools;

/// The names that may be stopped on a machine with this configuration.
#[must_use]
pub fn names(config: &Config) -> Names {
    Names { tools: tools::names(), providers: fleet::names(config).map(str::to_owned).collect() }
}

impl Desk {
    /// Engages a switch, which ends by itself after `lasts`, if it says so.
    pub async fn engage(
        &self,
        mut proposed: Proposed,
        lasts: Option<Duration>,
        running: Running,
        names: Names,
    ) -> Result<SwitchId, DeskError> {
        let switch = SwitchId::new(self.clock.now(), &*self.entropy);
        if let Some(lasts) = lasts {
            proposed.expires_at = Some(self.end_after(lasts).await?);
        }
        let kind = Kind::SwitchEngaged {
            switch: switch.clone(),
            target: proposed.target.clone(),
            by: None,
            credential: None,
            running,
            expires_at: proposed.expires_at,
        };
        let record = Record { account: house(&self.state().await?)?, kind, note: signed(proposed.note()) };
        self.record_if(vec![record], move |state, now| Ok(proposed.check(state, &names, now)?)).await?;
        Ok(switch)
    }

    /// A reason to release, with who sat at the machine.
    pub fn released_for(&self, reason: &str) -> Result<Value, DeskError> {
        check_reason(reason)?;
        Ok(signed(serde_json::json!({ "reason": reason })))
    }
}

fn signed(mut note: Value) -> Value {
    if let Some(fields) = note.as_object_mut() {
        fields.insert("operator".into(), operator());
    }
    note
}
