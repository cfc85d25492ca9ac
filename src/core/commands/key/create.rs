//! A new key.
//!
//! INVARIANT: whoever makes it, its holder is one of the account's people, its VMs are the account's, and it ends within ten years
//! or not at all.

use super::{By, check_quota};
use crate::core::commands::vm::check_vms;
use crate::core::commands::{Change, Command, Snapshot};
use crate::core::event::{CredentialCreated, EventKind};
use crate::core::grant;
use crate::core::id::EventId;
use crate::core::refusal::Refusal;
use crate::core::time::{MAX_DURATION, Micros};

/// Makes a key.
pub struct CreateKey {
    /// What it is to be.
    pub created: CredentialCreated,
    /// Where it may be used from; anywhere, if it is not said.
    pub ips: Option<Vec<String>>,
    /// Who makes it.
    pub by: By,
    /// The id of its event, whose text has the label.
    pub event: EventId,
}

impl Command for CreateKey {
    type Answer = ();

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change, Refusal> {
        let (state, made) = (at.state, &self.created);
        match &self.by {
            By::Caller(who) => grant::check(state, who, made)?,
            By::Operator => grant::check_on_data(state, made)?,
        }
        check_networks(self.ips.iter().flatten())?;
        check_end(made.expires_at, at.now)?;
        check_vms(state, made)?;
        if let By::Caller(who) = &self.by {
            check_quota(state, &made.account, &who.credential, false, at.now)?;
        }
        Ok(Change::noted(&self.event, EventKind::CredentialCreated(made.clone())))
    }
}

fn check_networks<'a>(mut ips: impl Iterator<Item = &'a String>) -> Result<(), Refusal> {
    let is_network = |text: &String| text.parse::<ipnet::IpNet>().is_ok() || text.parse::<std::net::IpAddr>().is_ok();
    if ips.all(is_network) {
        Ok(())
    } else {
        Err(invalid("/ips", "an address or a network, such as 203.0.113.7 or 203.0.113.0/24"))
    }
}

fn check_end(end: Option<Micros>, now: Micros) -> Result<(), Refusal> {
    let is_fit = end.is_none_or(|end| end > now && end <= now.plus(MAX_DURATION));
    if is_fit { Ok(()) } else { Err(invalid("/expires_at", "in the future, within ten years")) }
}

/// A refusal of an argument that is not what it has to be.
pub fn invalid(path: &str, rule: &str) -> Refusal {
    Refusal::of_argument(path, rule, &format!("it has to be {rule}"))
}
