//! The events of a call as steps that a person reads: intent, checks, claim, outcome.

use serde_json::Value;

use super::frame::stops;
use super::rules::Decided;
use super::shown::{Chip, When, sign, took, visible};
use crate::core::bounded::Name;
use crate::core::call::Status;
use crate::core::code::Code;
use crate::core::event::{Admitted, Ended, Event, IntentRecorded, Kind, Refused};
use crate::core::state::ControlState;
use crate::core::time::Micros;

/// One event.
pub struct Step {
    /// What happened.
    pub title: String,
    /// Class and sign.
    pub chip: Chip,
    /// When.
    pub at: When,
    /// How long after the intent; none if it was written with it.
    pub after: Option<String>,
    /// Where it is written.
    pub position: i64,
    /// Where the event of the call before this one is written; 0 if there is none.
    pub before: i64,
    /// What it is called in the log.
    pub name: String,
    /// SHA-256 of the leaf.
    pub sha256: String,
    /// What it says besides.
    pub facts: Vec<(&'static str, String)>,
    /// The policies that decided, if they did.
    pub decided: Option<Decided>,
}

/// The steps of a call, in order. An event that cannot be read is shown as its bytes say.
pub fn steps(events: &[Value], state: &ControlState, now: Micros) -> Vec<Step> {
    let read: Vec<(Option<Event>, &Value)> =
        events.iter().map(|event| (serde_json::from_value(event["leaf"].clone()).ok(), event)).collect();
    let began = read.first().and_then(|(event, _)| event.as_ref()).map_or(Micros(0), |event| event.at);
    read.into_iter()
        .map(|(event, raw)| {
            let at = event.as_ref().map_or(Micros(raw["at"].as_i64().unwrap_or(0)), |event| event.at);
            let (title, chip, facts) = match &event {
                Some(event) => told(&event.kind, state),
                None if raw["leaf"].is_null() => (by_staff(raw["type"].as_str().unwrap_or_default()), noted(), Vec::new()),
                None => (visible(raw["type"].as_str().unwrap_or("unreadable")), noted(), Vec::new()),
            };
            Step {
                title,
                chip,
                at: When::of(at, now),
                after: (at > began).then(|| took(at.0 - began.0)),
                position: raw["position"].as_i64().unwrap_or(0),
                before: raw["leaf"]["prev"].as_i64().unwrap_or(0),
                name: visible(raw["type"].as_str().unwrap_or("unreadable")),
                sha256: raw["sha256"].as_str().unwrap_or_default().to_owned(),
                facts,
                decided: None,
            }
        })
        .collect()
}

type Told = (String, Chip, Vec<(&'static str, String)>);

/// What a leaf says that is left out because it names a person of the staff.
fn by_staff(kind: &str) -> String {
    match kind {
        "cancel_requested" => "Staff asked for its end".into(),
        "approval_decided" => "Staff answered for it".into(),
        other => visible(&other.replace('_', " ")),
    }
}

fn noted() -> Chip {
    Chip { class: "open", sign: sign::DOT, word: "" }
}

fn told(kind: &Kind, state: &ControlState) -> Told {
    match kind {
        Kind::IntentRecorded(intent) => intent_told(intent),
        Kind::Admitted(admitted) => admitted_told(admitted),
        Kind::Refused(refused) => refused_told(refused, state),
        Kind::Held { .. } => ("Held for a person".into(), Chip::of(Status::Held), Vec::new()),
        Kind::Started { node, epoch, .. } => {
            let facts = vec![("Node", node.to_string()), ("Epoch", epoch.0.to_string())];
            ("Claimed by a worker".into(), Chip::of(Status::Running), facts)
        }
        Kind::Succeeded(end) => ended_told("Succeeded", Status::Succeeded, end),
        Kind::Failed(end) => ended_told("Failed", Status::Failed, end),
        Kind::Cancelled(end) => ended_told("Cancelled", Status::Cancelled, end),
        Kind::TimedOut(end) => ended_told("Timed out", Status::TimedOut, end),
        Kind::Unknown(end) => ended_told("Outcome unknown", Status::Unknown, end),
        Kind::Reconciled { happened, .. } => {
            let text = match happened {
                Some(true) => "The provider says that it happened",
                Some(false) => "The provider says that it did not happen",
                None => "The provider cannot say whether it happened",
            };
            (text.into(), noted(), Vec::new())
        }
        Kind::CancelRequested { by, .. } => ("Staff asked for its end".into(), noted(), vec![("Person", by.to_string())]),
        Kind::LateResult { .. } => ("A result came after the end".into(), noted(), Vec::new()),
        other => (other.name().replace('_', " "), noted(), Vec::new()),
    }
}

fn intent_told(intent: &IntentRecorded) -> Told {
    let mut facts = vec![("Tool", format!("{} version {}", visible(&intent.tool), intent.tool_version))];
    facts.extend(intent.resources.iter().map(|id| (id.noun().title, id.to_string())));
    facts.push(("Key", intent.credential.to_string()));
    facts.push(("Person", intent.user.to_string()));
    facts.extend(intent.protocol.as_ref().map(|protocol| ("Protocol", protocol.as_str().to_owned())));
    facts.extend(intent.follows.as_ref().map(|call| ("Answers", call.to_string())));
    facts.push(("Digest of the arguments", intent.arguments.to_string()));
    ("Intent written down".into(), noted(), facts)
}

fn admitted_told(admitted: &Admitted) -> Told {
    let mut facts = vec![
        ("Switches", format!("none covers it, at epoch {}", admitted.epoch.0)),
        ("Limits", listed(&admitted.limits, "none applies")),
        ("Policy", format!("version {}: {}", admitted.policy, listed(&admitted.policies, "not asked"))),
    ];
    if !admitted.shadows.is_empty() {
        facts.push(("Would have decided otherwise", listed(&admitted.shadows, "")));
    }
    if let Some(call) = &admitted.joins {
        facts.push(("Ends as", call.to_string()));
    }
    let claim = admitted.node.as_ref().map_or_else(|| "queued for any worker".to_owned(), |node| format!("by {node} at once"));
    facts.push(("Claim", claim));
    ("Checked and admitted".into(), Chip { word: "", ..Chip::of(Status::Succeeded) }, facts)
}

fn refused_told(refused: &Refused, state: &ControlState) -> Told {
    let mut facts = vec![("Code", refused.code.to_string())];
    if let Some(switch) = &refused.switch {
        let stops = state.switches.get(switch).map_or_else(String::new, |row| format!(" · {}", stops(&row.target, state)));
        facts.push(("Switch", format!("{switch}{stops}")));
    }
    if refused.code == Code::PolicyDenied || !refused.policies.is_empty() {
        facts.push(("Policy", format!("version {}: {}", refused.policy, listed(&refused.policies, "none permits it"))));
    }
    facts.push(("Epoch", refused.epoch.0.to_string()));
    facts.extend(refused.retry_after_ms.map(|after| ("Fits again after", format!("{after} ms"))));
    ("Checked and refused".into(), Chip::of(Status::Refused), facts)
}

fn ended_told(title: &str, status: Status, end: &Ended) -> Told {
    let mut facts = Vec::new();
    facts.extend(end.code.map(|code| ("Code", code.to_string())));
    facts.extend(end.replay_of.as_ref().map(|call| ("Repeats the outcome of", call.to_string())));
    facts.extend(end.switch.as_ref().map(|switch| ("Ended by the switch", switch.to_string())));
    facts.push(("Node", end.node.to_string()));
    (title.to_owned(), Chip::of(status), facts)
}

fn listed(names: &[Name], none: &str) -> String {
    let names: Vec<&str> = names.iter().map(Name::as_str).collect();
    if names.is_empty() { none.to_owned() } else { visible(&names.join(", ")) }
}
