//! Whether a switch may be engaged as it is asked for: that it would stop something, for some time, and for a reason.
//!
//! INVARIANT: every way to engage one asks here, in the transaction that would write it. A slip of the keyboard must not pass
//! for a stop that stops nothing; what is there can always be stopped.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::code::Code;
use super::near::did_you_mean;
use super::refusal::Refusal;
use super::state::ControlState;
use super::switch::Target;
use super::time::{MAX_DURATION, Micros};
use super::tool::ToolSpec;
use super::visible::says_something;

/// Most characters of a reason.
pub const REASON: usize = 500;

/// What the reason of a reading is, where it is nothing more.
pub const WHY_STAFF_ASK: &str = "Why the staff asks. Written down with the reading, and of no effect.";

/// Most characters of what a refused caller is told.
pub const MESSAGE: usize = 500;

/// Most characters of the reference of an incident.
pub const INCIDENT: usize = 100;

/// A switch as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// What it is to stop.
    pub target: Target,
    /// Why, for staff.
    pub reason: String,
    /// What a refused caller is told.
    pub message: Option<String>,
    /// The incident it belongs to.
    pub incident: Option<String>,
    /// When it ends by itself.
    pub expires_at: Option<Micros>,
}

/// The names that control state does not hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Every tool.
    pub tools: Vec<&'static ToolSpec>,
    /// The providers that are configured here. Those that VMs are with are known besides.
    pub providers: BTreeSet<String>,
}

impl Proposed {
    /// Its free text, as it is recorded.
    #[must_use]
    pub fn note(&self) -> Value {
        json!({ "reason": self.reason, "message": self.message, "incident": self.incident })
    }

    /// Refuses what would stop nothing, or ends before it begins, or does not say why.
    pub fn check(&self, state: &ControlState, names: &Names, now: Micros) -> Result<(), Refusal> {
        check_target(&self.target, state, names)?;
        check_reason(&self.reason)?;
        let texts = [("message", self.message.as_ref(), MESSAGE), ("incident", self.incident.as_ref(), INCIDENT)];
        for (name, text, most) in texts {
            text.map_or(Ok(()), |text| check_text(name, text, most))?;
        }
        if self.expires_at.is_some_and(|end| end <= now) {
            let refusal = Refusal::new(Code::ValidationFailed, "The switch would be over as soon as it is engaged.");
            return Err(refusal.hint("Give a time that is yet to come, or none: then it stops until it is released."));
        }
        if self.expires_at.is_some_and(|end| end > now.plus(MAX_DURATION)) {
            let refusal = Refusal::new(Code::ValidationFailed, "The switch would end more than ten years from now.");
            return Err(refusal.hint("Give a time within ten years, or none: then it stops until it is released."));
        }
        Ok(())
    }
}

/// Refuses a reason that says nothing, or too much.
pub fn check_reason(reason: &str) -> Result<(), Refusal> {
    check_text("reason", reason, REASON)
}

/// The same where one may be left out.
pub fn check_reason_if_any(reason: Option<&str>) -> Result<(), Refusal> {
    reason.map_or(Ok(()), check_reason)
}

fn check_text(name: &str, text: &str, most: usize) -> Result<(), Refusal> {
    if !says_something(text) {
        return Err(Refusal::new(Code::ValidationFailed, format!("The {name} is empty.")));
    }
    let length = text.chars().count();
    if length > most {
        let text = format!("The {name} has {length} characters; it may have at most {most}.");
        return Err(Refusal::new(Code::ValidationFailed, text));
    }
    Ok(())
}

/// Refuses tools that are never stopped, as stopping is never switched off.
fn check_stoppable(target: &Target, names: &Names) -> Result<(), Refusal> {
    let is_named = |tool: &&&ToolSpec| match target {
        Target::Tool(name) => tool.name == name,
        Target::Class(class) => tool.class == *class,
        _ => false,
    };
    let mut tools = names.tools.iter().filter(is_named).peekable();
    if tools.peek().is_none() || tools.any(|tool| !tool.stops) {
        return Ok(());
    }
    let refusal =
        Refusal::new(Code::ValidationFailed, format!("{target} is never stopped, so a switch on it would stop nothing."));
    Err(refusal.hint("Stopping is never switched off, nor what lists what can be stopped. Revoke the key that calls it."))
}

/// Refuses a target that nothing is there of, and says what was probably meant.
pub fn check_target(target: &Target, state: &ControlState, names: &Names) -> Result<(), Refusal> {
    check_stoppable(target, names)?;
    let (wanted, known) = match target {
        Target::All | Target::Class(_) => return Ok(()),
        Target::Tool(name) => (name.as_str(), stoppable(names)),
        Target::Provider(name) => (name.as_str(), providers(state, names)),
        Target::Account(id) => (id.as_str(), state.accounts.around(id)),
        Target::Credential(id) => (id.as_str(), state.credentials.around(id)),
        Target::Resource { id, .. } => (id.as_str(), state.resources_around(id)),
    };
    if known.contains(wanted) {
        return Ok(());
    }
    let refusal = Refusal::new(Code::NotFound, format!("There is nothing that {target} would stop."));
    let text = target.to_string();
    let meant = did_you_mean(wanted, known.iter().map(String::as_str), |name| text.replacen(wanted, name, 1));
    Err(match (meant, target) {
        (Some(meant), _) => refusal.hint(meant),
        (None, Target::Provider(_)) if known.is_empty() => refusal.hint("There are no providers here."),
        (None, Target::Provider(_)) => refusal.hint(format!("There is {}.", listed("provider", &known))),
        (None, Target::Tool(_)) => refusal.hint("Give the name of a tool, such as vm_power, or stop a class of them."),
        (None, _) => refusal.hint("Give the id as the lists show it, or stop all."),
    })
}

fn stoppable(names: &Names) -> BTreeSet<String> {
    names.tools.iter().filter(|tool| !tool.stops).map(|tool| tool.name.to_owned()).collect()
}

/// A provider whose VMs are in control state is there, whatever this machine's configuration says.
fn providers(state: &ControlState, names: &Names) -> BTreeSet<String> {
    names.providers.iter().cloned().chain(state.providers().map(str::to_owned)).collect()
}

fn listed(kind: &str, known: &BTreeSet<String>) -> String {
    known.iter().map(|name| format!("{kind}:{name}")).collect::<Vec<_>>().join(" and ")
}
