//! From what came in to what is decided: tool, resources, schema, guard, redaction. Nothing here waits for the log.
//!
//! INVARIANT: values of arguments that fit no schema are not kept. The name of an unknown tool is what a caller typed:
//! it is kept beside the leaf, never in it, and only if it has the form of a name (ADR 0113).

use serde_json::{Value, json};

use super::Request;
use super::reached::Reached;
use crate::core::canonical::canonical;
use crate::core::id::Position;
use crate::core::job::Run;
use crate::core::noun::Subject;
use crate::core::redact::{public_text, redact};
use crate::core::refusal::Refusal;
use crate::core::resource::{ProviderReach, Resource, ResourceId};
use crate::core::scrub::{Scrubbed, holds_token};
use crate::core::shorten_document::shorten_document_to;
use crate::core::state::ControlState;
use crate::core::visibility::Visibility;
use crate::tools::{Arguments, Catalogue, Tool};

/// What is kept of the arguments of a call that is refused, in bytes; an escape may double it.
pub(super) const BRIEF: usize = 4 * 1024;

/// Longest name of an unknown tool that is shown, in bytes.
const NAME: usize = 64;

/// Most digits of it: what has more is rather an id or a secret.
const DIGITS: usize = 4;

/// Longest word of it, in bytes.
const WORD: usize = 20;

/// A request after everything that can be said of it without the log.
pub(super) struct Intake<'a> {
    /// The tool, if there is one of that name.
    pub(super) tool: Option<&'a Tool>,
    /// Its name; [`Run::UNKNOWN`] for a name that is no tool's.
    pub(super) name: String,
    /// The resources that the call concerns, and those of them which the caller may see, as this node knows them.
    pub(super) about: About,
    /// The providers that it reaches beside those of its resources.
    pub(super) reach: ProviderReach,
    /// The arguments, if they can be read.
    pub(super) args: Option<Arguments>,
    /// Why the arguments cannot be taken.
    pub(super) invalid: Option<Refusal>,
    /// What is missing for the guard.
    pub(super) guard: Option<Refusal>,
    /// What is recorded of the arguments.
    pub(super) recorded: Scrubbed,
    /// RFC 8785 bytes of the raw arguments, for their HMAC.
    pub(super) canonical: Vec<u8>,
    /// The idempotency key.
    pub(super) key: Option<String>,
}

/// What a call is about.
#[derive(Default)]
pub(super) struct About {
    /// The ids that are named, known or not.
    pub(super) named: Vec<ResourceId>,
    /// What the caller may see of it.
    pub(super) found: Vec<Resource>,
    /// Arguments that name nothing which the caller may see: they could be anything.
    unknown: Vec<&'static str>,
    /// What is said of one that is no id and nothing's label.
    absent: Option<Refusal>,
}

impl About {
    /// Appends resources that the call concerns without naming them.
    fn reach(&mut self, resources: Vec<Resource>) {
        for row in resources {
            if !self.named.contains(&row.id) {
                self.named.push(row.id.clone());
                self.found.push(row);
            }
        }
    }

    /// Versions of what is named; 0 of what is not there.
    pub(super) fn versions(&self) -> Vec<Position> {
        let version = |id: &ResourceId| self.found.iter().find(|row| row.id == *id).map_or(Position(0), |row| row.version);
        self.named.iter().map(version).collect()
    }
}

/// Takes a request in against the catalogue and the control state that this node knows.
pub(super) fn take_in<'a>(request: &Request, catalogue: &'a Catalogue, state: &ControlState, reached: Reached) -> Intake<'a> {
    let tool = catalogue.get(&request.tool);
    let canonical = canonical(&request.args).unwrap_or_default();
    if let Some(refusal) = &request.rejected {
        return rejected(request, tool, canonical, refusal);
    }
    let Some(known) = tool else {
        let mut args = unknown(&request.tool);
        args["size"] = json!(canonical.len());
        let recorded = Scrubbed::of(json!({ "args": args, "text": "" }));
        return Intake {
            tool,
            name: Run::UNKNOWN.to_owned(),
            about: About::default(),
            reach: reached.providers,
            args: None,
            invalid: None,
            guard: None,
            recorded,
            canonical,
            key: None,
        };
    };
    let (args, schema_fault) = match catalogue.read(known, &request.args) {
        Ok(args) => (Some(args), None),
        Err(fault) => (None, Some(fault)),
    };
    let mut about = named(request, catalogue.subjects(known), state);
    about.reach(reached.resources);
    let recorded = match &schema_fault {
        Some(fault) => {
            Scrubbed::of(json!({ "args": { "size": canonical.len(), "faults": fault.details["faults"] }, "text": "" }))
        }
        None => recorded(&request.args, known, &about.unknown),
    };
    let guard = args.as_ref().and_then(|args| known.handler.guard(args, &about.found));
    let key = request.args["idempotency_key"].as_str().map(str::to_owned);
    let (name, invalid) = (known.facts.name.to_owned(), schema_fault.or(about.absent.take()));
    let reach = reached.providers;
    Intake { tool, name, about, reach, args, invalid, guard, recorded, canonical, key }
}

/// A call that its protocol has rejected: whatever it brought, digest, size and fault are kept of it.
fn rejected<'a>(request: &Request, tool: Option<&'a Tool>, canonical: Vec<u8>, refusal: &Refusal) -> Intake<'a> {
    let name = tool.map_or(Run::UNKNOWN, |tool| tool.facts.name).to_owned();
    let faults = refusal.details.get("faults").cloned().unwrap_or_else(|| json!([{ "path": "/", "rule": "request" }]));
    // Null stands for what never came: it has no size.
    let mut args = if tool.is_none() { unknown(&request.tool) } else { json!({}) };
    args["faults"] = faults;
    if !request.args.is_null() {
        args["size"] = json!(canonical.len());
    }
    let (recorded, invalid) = (Scrubbed::of(json!({ "args": args, "text": "" })), Some(refusal.clone()));
    let (about, reach) = (About::default(), ProviderReach::default());
    Intake { tool, name, about, reach, args: None, invalid, guard: None, recorded, canonical, key: None }
}

/// What is recorded of the name of a tool that there is not: content, like what commands say, and none of it public. A text that has not the form of a
/// name may be anything, a secret too, and only its size is kept.
fn unknown(name: &str) -> Value {
    let is_separator = |c: char| "_-./:".contains(c);
    let has_form = name.len() <= NAME
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().skip(1).all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || is_separator(c))
        && name.chars().filter(char::is_ascii_digit).count() <= DIGITS
        && name.split(is_separator).all(|word| word.len() <= WORD);
    if has_form && !holds_token(name) { json!({ "tool": name }) } else { json!({ "tool_bytes": name.len() }) }
}

/// What is kept of arguments that fit the schema, without those that name nothing of the caller's.
fn recorded(args: &Value, tool: &Tool, unknown: &[&str]) -> Scrubbed {
    let mut kept = args.clone();
    if let Some(fields) = kept.as_object_mut() {
        fields.retain(|name, _| !unknown.contains(&name.as_str()));
    }
    Scrubbed::of(json!({ "args": redact(&kept, &tool.arguments), "text": public_text(&kept, &tool.arguments) }))
}

/// What is kept of arguments that are long, if the call is refused: less of what somebody may send as often as he likes.
pub(super) fn brief(recorded: &Scrubbed) -> Scrubbed {
    let recorded = recorded.document();
    let text = recorded["text"].as_str().unwrap_or_default();
    let text = text.get(..text.floor_char_boundary(BRIEF / 2)).unwrap_or_default();
    Scrubbed::of(json!({ "args": shorten_document_to(recorded["args"].clone(), BRIEF / 8, BRIEF / 2), "text": text }))
}

/// What the arguments name: by id, or by the exact label, of what the caller may see. What it may not see is not even found, so
/// that nothing which is recorded or decided can differ from what is said of what does not exist (P9).
fn named(request: &Request, subjects: &[Subject], state: &ControlState) -> About {
    let (visibility, mut about) = (Visibility::own(&request.principal, state), About::default());
    for Subject { noun, argument } in subjects {
        let Some(text) = request.args[*argument].as_str() else { continue };
        let mut found = state.find(noun, visibility.account(), text).into_iter().filter(|row| visibility.resource(row));
        let id = text.parse::<ResourceId>().ok().filter(|id| id.noun() == *noun);
        let row = match (found.next(), found.next()) {
            (Some(row), None) => Some(row),
            _ => None,
        };
        match (id.or_else(|| row.as_ref().map(|row| row.id.clone())), row) {
            (Some(id), _) if about.named.contains(&id) => {}
            (Some(id), row) => {
                about.unknown.extend(row.is_none().then_some(*argument));
                about.named.push(id);
                about.found.extend(row);
            }
            (None, _) => {
                about.unknown.push(argument);
                about.absent.get_or_insert_with(noun.absent);
            }
        }
    }
    about
}
