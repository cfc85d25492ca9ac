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
use crate::core::scrub::ScrubbedText;
use crate::core::state::ControlState;
use crate::core::switch::{Running, Switch};
use crate::tools;

/// The names that may be stopped on a machine with this configuration.
#[must_use]
pub fn names(config: &Config) -> Names {
    Names { tools: tools::names(), providers: fleet::names(config).map(str::to_owned).collect() }
}

impl Desk {
    /// Engages a switch, which ends by itself after `lasts`, if it says so. Asked for the same again it is the same switch, so
    /// that whoever is not sure whether it was done may repeat it.
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
        let state = self.state().await?;
        if let Some(standing) = standing(&state, &proposed, running) {
            return Ok(standing.id.clone());
        }
        let record = Record { account: house(&state)?, kind, note: signed(proposed.note()) };
        self.record_if(vec![record], move |state, now| Ok(proposed.check(state, &names, now)?)).await?;
        Ok(switch)
    }

    /// A reason to release, with who sat at the machine.
    pub fn released_for(&self, reason: &str) -> Result<Value, DeskError> {
        check_reason(reason)?;
        Ok(signed(serde_json::json!({ "reason": reason })))
    }
}

/// The switch that the command line has engaged in the same words, for as long.
fn standing<'a>(state: &'a ControlState, asked: &Proposed, running: Running) -> Option<&'a Switch> {
    let said = |text: &Option<String>| text.as_deref().map(|text| ScrubbedText::of(text).as_str().to_owned());
    let reason = said(&Some(asked.reason.clone()));
    let is_same = |row: &&Switch| {
        let by_us = row.by.is_none() && row.credential.is_none() && row.ramp.is_none();
        let for_ever = row.expires_at.is_none() && asked.expires_at.is_none();
        let as_wide = row.target == asked.target && row.running == running;
        let words = (row.message.clone(), row.incident.clone()) == (said(&asked.message), said(&asked.incident));
        // Of what was engaged without the vault no words are kept.
        let is_mute = row.reason.is_empty() && row.message.is_none() && row.incident.is_none();
        by_us && for_ever && as_wide && (is_mute || (words && Some(&row.reason) == reason.as_ref()))
    };
    state.switches.values().find(is_same)
}

fn signed(mut note: Value) -> Value {
    if let Some(fields) = note.as_object_mut() {
        fields.insert("operator".into(), operator());
    }
    note
}
