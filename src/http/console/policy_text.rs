//! The text of policies as it was in the version that decided. It lies, encrypted, beside the event that put the version in
//! force.

use serde_json::Value;

use super::format::escape_hidden;
use super::request::SignedInRequest;
use crate::control::policies;
use crate::core::bounded::Name;
use crate::core::event::{Event, EventKind};
use crate::core::visibility::Visibility;
use crate::policy::rules;
use crate::tools::{AdministrationQuery, AdministrationRecord};

/// Versions that are looked through for one, the newest first.
const MAX_COUNT: u32 = 200;

/// The policies that decided.
pub struct DecidingPolicies {
    /// Version of the set.
    pub version: i64,
    /// Each with its text, if that is kept.
    pub rules: Vec<(String, Option<String>)>,
}

/// The policies with these ids, of a version of the set.
pub async fn decided(request: &SignedInRequest, version: i64, ids: &[String]) -> DecidingPolicies {
    let text = text_of(request, version).await.map(|files| rules(&files)).unwrap_or_default();
    let rule = |id: &String| {
        let found = text.iter().find(|(known, _)| known == id);
        (escape_hidden(id), found.map(|(_, text)| escape_lines(text)))
    };
    DecidingPolicies { version, rules: ids.iter().map(rule).collect() }
}

/// The files of a version, by name; none if they are not kept.
async fn text_of(request: &SignedInRequest, version: i64) -> Option<Vec<(String, String)>> {
    // Whoever sees a call sees the text that decided it; nothing else of these events is shown.
    let query = AdministrationQuery {
        visibility: Visibility::Everything,
        kind: Some("policy_loaded".into()),
        limit: MAX_COUNT,
        ..AdministrationQuery::default()
    };
    let loaded = request.http.gateway.control().ports.activity.administration(query).await.ok()?.items;
    let is_it = |record: &&AdministrationRecord| matches!(record.event, EventKind::PolicyLoaded { version: found, .. } if found == version);
    files_of(request, loaded.iter().find(is_it)?).await
}

/// The files that the event of a record put in force.
pub async fn files_of(request: &SignedInRequest, record: &AdministrationRecord) -> Option<Vec<(String, String)>> {
    let event = request.http.gateway.control().ports.reader.event(record.position).await.ok()??;
    files(request, &event).await
}

/// The files that an event put in force.
pub async fn files(request: &SignedInRequest, event: &Event) -> Option<Vec<(String, String)>> {
    policies::files(&request.http.gateway.control().ports.reader, event).await.ok()?
}

/// A text over several lines, its tricks visible.
pub fn escape_lines(text: &str) -> String {
    text.trim().lines().map(escape_hidden).collect::<Vec<_>>().join("\n")
}

/// What an event of a call says of the policies that decided: the version and the ids.
pub fn said(kind: &EventKind, note: Option<&Value>) -> Option<(i64, Vec<String>)> {
    match kind {
        EventKind::Admitted(admitted) => Some((admitted.policy, owned(&admitted.policies))),
        EventKind::Refused(refused) => Some((refused.policy, owned(&refused.policies))),
        EventKind::Held { .. } => {
            let ids = note?["policies"].as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            Some((note?["policy"].as_i64()?, ids))
        }
        _ => None,
    }
    .filter(|(_, ids)| !ids.is_empty())
}

fn owned(ids: &[Name]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}
