//! `limits_set`: puts other limits in force, on every node from the next decision on.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::outcome::Answer;
use super::record::write;
use super::register::{Face, handler};
use super::shape::{Shape, any, maybe, number};
use super::{Execution, Tool, facts, instant, register};
use crate::core::id::Position;
use crate::core::limit::Limit;
use crate::core::quota::Quota;
use crate::core::redact::Sensitivity::Public;
use crate::core::scope::Scope;
use crate::core::terms::{APPROVAL_MS, TermsInForce, YEAR};
use crate::core::tool::ToolFacts;
use crate::log::draft::NewEvent;
use crate::log::store::Want;

static FACTS: ToolFacts = facts::control("limits_set", Some(Scope::StaffPolicy));

pub(super) fn tools() -> Vec<Tool> {
    let window = object(
        "A sliding window.",
        &["admit", "window_ms"],
        [
            ("admit", number("At most so many calls.", 1, Limit::MOST.into())),
            ("window_ms", number("In any window of this length.", 1, 86_400_000)),
        ],
    );
    let many = || number("How many there may be.", 1, 100_000);
    let quota = object("A quota.", &["account", "key"], [("account", many()), ("key", many())]);
    let windows = ["credential", "exec", "write"].map(|name| (name, window.clone()));
    let quotas = QUOTAS.map(|name| (name, quota.clone())).into_iter().chain([("people", many())]);
    let input = Shape::new()
        .may("limits", Public, object("Sliding windows; one that is not named stays.", &[], windows))
        .may("quotas", Public, object("How much there may be; what is not named stays.", &[], quotas))
        .may("approval_ms", Public, number("How long a held call waits for a person.", *APPROVAL_MS.start(), *APPROVAL_MS.end()))
        .may("newcomer_ms", Public, number("How long who was invited does not count beside who invited them.", 0, YEAR))
        .may("staff_reads_shown_after_ms", Public, number("When an account is told that staff read its log.", 0, YEAR))
        .keyed();
    let output = Shape::new()
        .must("version", Public, any("integer", "Version of the limits in force."))
        .must("before", Public, maybe("integer", "Version of those that were in force before."))
        .must("limits", Public, any("object", "The windows in force."))
        .must("quotas", Public, any("object", "The quotas in force."))
        .must("approval_ms", Public, any("integer", "How long a held call waits for a person."))
        .must("newcomer_ms", Public, any("integer", "How long who was invited does not count beside who invited them."))
        .must("newcomer_counts_from", Public, maybe("string", "From when newcomer_ms counts, while a longer one still does."))
        .must("staff_reads_shown_after_ms", Public, any("integer", "When an account is told that staff read its log."));
    let face = Face {
        title: "Set limits",
        description: "Puts other limits in force, for every node and from the next decision on. What is not named stays as it is.",
    };
    vec![register::tool(&FACTS, face, input.read_as::<Args>(), output, handler!(set))]
}

/// The quotas of an account and of one key of it.
const QUOTAS: [&str; 11] = [
    "keys",
    "keys_a_day",
    "switches",
    "staff_switches",
    "sessions",
    "streams",
    "waits",
    "open_calls",
    "exports",
    "searches",
    "invitations",
];

/// An object with these fields alone.
fn object<'a>(about: &str, required: &[&str], fields: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let fields: Map<String, Value> = fields.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    json!({ "type": "object", "additionalProperties": false, "required": required, "properties": fields, "description": about })
}

/// What is to change; what is absent stays.
#[derive(Deserialize, Serialize)]
struct Args {
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<Windows>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quotas: Option<Counts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    newcomer_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    staff_reads_shown_after_ms: Option<u64>,
}

#[derive(Deserialize, Serialize)]
struct Windows {
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<Limit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exec: Option<Limit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    write: Option<Limit>,
}

#[derive(Deserialize, Serialize)]
struct Counts {
    #[serde(skip_serializing_if = "Option::is_none")]
    people: Option<u32>,
    #[serde(flatten)]
    of: BTreeMap<String, Quota>,
}

async fn set(execution: Execution) -> Answer {
    let args: Args = execution.arguments()?;
    let (wanted, who, ports) = (json!(args), execution.principal.clone(), Arc::clone(&execution.ports));
    let (now, before, from) = write(&execution, Want::default(), move |draft| {
        let before = draft.state().terms.clone();
        let terms = match draft.state().known_terms().with(&wanted) {
            Ok(terms) => terms,
            Err(refusal) => return Ok(Err(refusal)),
        };
        // What holds already is no other version.
        if before.as_ref().is_none_or(|before| before.terms != terms) {
            let kind = draft.state().setting(terms, Some(who.user.clone()), Some(who.credential.clone()));
            draft.append(Position(0), NewEvent::plain(ports.event_id(), kind))?;
        }
        let now = draft.state().terms.clone().unwrap_or_else(|| TermsInForce::first(1, terms));
        let from = now.newcomer_counts_from(draft.now);
        Ok(Ok((now, before, from)))
    })
    .await?;
    let mut answer = json!(now.terms);
    answer["version"] = json!(now.version);
    answer["before"] = json!(before.map(|before| before.version));
    answer["newcomer_counts_from"] = json!(instant::render_maybe(from));
    Ok(answer)
}
