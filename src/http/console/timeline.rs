//! The events of a call as steps that a person reads: intent, checks, claim, outcome.

use super::format::{Chip, DisplayTime, escape_hidden, format_duration, sign};
use super::policy_text::DecidingPolicies;
use super::rule_words::length;
use super::target_words::stops;
use crate::core::bounded::Name;
use crate::core::call::Status;
use crate::core::code::Code;
use crate::core::event::{Admitted, Ended, Event, EventKind, IntentRecorded, Refused};
use crate::core::state::ControlState;
use crate::core::time::Micros;
use crate::tools::Moment;

/// One event.
pub struct Step {
    /// What happened.
    pub title: String,
    /// Class and sign.
    pub chip: Chip,
    /// When.
    pub at: DisplayTime,
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
    /// What only somebody needs who proves it: nodes, epochs, digests.
    pub evidence: Vec<(&'static str, String)>,
    /// The policies that decided, if they did.
    pub decided: Option<DecidingPolicies>,
}

/// Facts that are shown with the evidence.
const EVIDENCE: [&str; 5] = ["Node", "Epoch", "Claim", "Digest of the arguments", "Protocol"];

/// The steps of a call, in order. An event that cannot be read is shown as its bytes say.
pub fn steps(events: &[Moment], state: &ControlState, now: Micros) -> Vec<Step> {
    let read: Vec<(Option<Event>, &Moment)> =
        events.iter().map(|moment| (serde_json::from_value(moment.leaf.clone()).ok(), moment)).collect();
    let began = read.first().and_then(|(event, _)| event.as_ref()).map_or(Micros(0), |event| event.at);
    read.into_iter()
        .map(|(event, raw)| {
            let at = event.as_ref().map_or(raw.at, |event| event.at);
            let (title, chip, facts) = match &event {
                Some(event) => describe(&event.kind, state),
                None if raw.leaf.is_null() => (by_staff(&raw.kind), noted(), Vec::new()),
                None => (escape_hidden(&raw.kind), noted(), Vec::new()),
            };
            let (evidence, facts) = facts.into_iter().partition(|(name, _)| EVIDENCE.contains(name));
            Step {
                title,
                chip,
                at: DisplayTime::of(at, now),
                after: (at > began).then(|| format_duration(at.0 - began.0)),
                position: raw.position.0,
                before: raw.leaf["prev"].as_i64().unwrap_or(0),
                name: escape_hidden(&raw.kind),
                sha256: raw.sha256.clone(),
                facts,
                evidence,
                decided: None,
            }
        })
        .collect()
}

type StepText = (String, Chip, Vec<(&'static str, String)>);

/// What a leaf says that is left out because it names a person of the staff.
fn by_staff(kind: &str) -> String {
    match kind {
        "cancel_requested" => "Staff asked for its end".into(),
        "approval_decided" => "Staff answered for it".into(),
        other => escape_hidden(&other.replace('_', " ")),
    }
}

fn noted() -> Chip {
    Chip { class: "open", sign: sign::DOT, word: "".into() }
}

fn describe(kind: &EventKind, state: &ControlState) -> StepText {
    match kind {
        EventKind::IntentRecorded(intent) => describe_intent(intent),
        EventKind::Admitted(admitted) => describe_admitted(admitted),
        EventKind::Refused(refused) => describe_refused(refused, state),
        EventKind::Held { .. } => ("Held for a person".into(), Chip::of(Status::Held), Vec::new()),
        EventKind::Started { node, epoch, .. } => {
            let facts = vec![("Node", node.to_string()), ("Epoch", epoch.0.to_string())];
            ("Claimed by a worker".into(), Chip::of(Status::Running), facts)
        }
        EventKind::Succeeded(end) => describe_end("Succeeded", Status::Succeeded, end),
        EventKind::Failed(end) => describe_end("Failed", Status::Failed, end),
        EventKind::Cancelled(end) => describe_end("Cancelled", Status::Cancelled, end),
        EventKind::TimedOut(end) => describe_end("Timed out", Status::TimedOut, end),
        EventKind::Unknown(end) => describe_end("Outcome unknown", Status::Unknown, end),
        EventKind::Reconciled { happened, .. } => {
            let text = match happened {
                Some(true) => "The provider says that it happened",
                Some(false) => "The provider says that it did not happen",
                None => "The provider cannot say whether it happened",
            };
            (text.into(), noted(), Vec::new())
        }
        EventKind::CancelRequested { by, .. } => ("Staff asked for its end".into(), noted(), vec![("Person", by.to_string())]),
        EventKind::ApprovalDecided { approved: true, .. } => ("Approved".into(), noted(), Vec::new()),
        EventKind::ApprovalDecided { approved: false, .. } => ("Rejected".into(), noted(), Vec::new()),
        EventKind::LateResult { .. } => ("A result came after the end".into(), noted(), Vec::new()),
        other => (other.name().replace('_', " "), noted(), Vec::new()),
    }
}

fn describe_intent(intent: &IntentRecorded) -> StepText {
    let mut facts = vec![("Tool", format!("{} version {}", escape_hidden(&intent.tool), intent.tool_version))];
    facts.extend(intent.resources.iter().map(|id| (id.noun().title, id.to_string())));
    facts.push(("Key", intent.credential.to_string()));
    facts.push(("Person", intent.user.to_string()));
    facts.extend(intent.protocol.as_ref().map(|protocol| ("Protocol", protocol.as_str().to_owned())));
    facts.extend(intent.follows.as_ref().map(|call| ("Answers", call.to_string())));
    facts.push(("Digest of the arguments", intent.arguments.to_string()));
    ("Intent written down".into(), noted(), facts)
}

fn describe_admitted(admitted: &Admitted) -> StepText {
    let mut facts = vec![
        ("Switches", "none covers it".to_owned()),
        ("Epoch", admitted.epoch.0.to_string()),
        ("Limits", limits(&admitted.limits)),
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
    ("Checked and admitted".into(), Chip { word: "".into(), ..Chip::of(Status::Succeeded) }, facts)
}

fn describe_refused(refused: &Refused, state: &ControlState) -> StepText {
    let mut facts = vec![("Code", refused.code.to_string())];
    if let Some(switch) = &refused.switch {
        let stops = state.switches.get(switch).map_or_else(String::new, |row| format!(" · {}", stops(&row.target, state)));
        facts.push(("Switch", format!("{switch}{stops}")));
    }
    if refused.code == Code::PolicyDenied || !refused.policies.is_empty() {
        facts.push(("Policy", format!("version {}: {}", refused.policy, listed(&refused.policies, "none permits it"))));
    }
    facts.push(("Epoch", refused.epoch.0.to_string()));
    facts.extend(refused.retry_after_ms.map(|after| ("Fits again after", length(after))));
    ("Checked and refused".into(), Chip::of(Status::Refused), facts)
}

fn describe_end(title: &str, status: Status, end: &Ended) -> StepText {
    let mut facts = Vec::new();
    facts.extend(end.code.map(|code| ("Code", code.to_string())));
    facts.extend(end.replay_of.as_ref().map(|call| ("Repeats the outcome of", call.to_string())));
    facts.extend(end.switch.as_ref().map(|switch| ("Ended by the switch", switch.to_string())));
    facts.push(("Node", end.node.to_string()));
    (title.to_owned(), Chip::of(status), facts)
}

/// The limits that a call counts against, by what each of them counts.
fn limits(keys: &[Name]) -> String {
    let counts = |key: &Name| match key.as_str().split_once(':').map_or("", |(kind, _)| kind) {
        "credential" => "calls by the key".to_owned(),
        "exec" => "commands on the VM".to_owned(),
        "write" => "changes by the account".to_owned(),
        "list" => "lists of what can be stopped, by the key".to_owned(),
        _ => escape_hidden(key.as_str()),
    };
    let mut told: Vec<String> = keys.iter().map(counts).collect();
    // A key counts in the window of each key that it comes from.
    told.dedup();
    if told.is_empty() { "none applies".to_owned() } else { told.join(", ") }
}

fn listed(names: &[Name], none: &str) -> String {
    let names: Vec<&str> = names.iter().map(Name::as_str).collect();
    if names.is_empty() { none.to_owned() } else { escape_hidden(&names.join(", ")) }
}
