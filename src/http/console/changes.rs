//! What an administrative event changed: how something was before it and after it, line by line.

use similar::{ChangeTag, TextDiff};

use super::format::escape_hidden;
use super::page_error::PageError;
use super::policy_text::{escape_lines, files_of};
use super::request::SignedInRequest;
use super::rule_words::{per, rules};
use crate::core::event::{CredentialCreated, EventKind};
use crate::core::id::CredentialId;
use crate::core::scope::Scope;
use crate::core::terms::Terms;
use crate::tools::{AdministrationQuery, AdministrationRecord};

/// Lines around a change that are shown with it.
const AROUND: usize = 2;

/// What was changed.
pub struct Change {
    /// What there is to see: how much came and went, or all that a new thing may do.
    pub summary: String,
    /// The lines, with what is around them.
    pub lines: Vec<Line>,
}

/// A line of it.
pub struct Line {
    /// Class of the style sheet.
    pub class: &'static str,
    /// What came, what went, or neither.
    pub sign: char,
    /// The line.
    pub text: String,
}

/// What an event changed, if it is one that changes something and that is known.
pub async fn change(record: &AdministrationRecord, request: &SignedInRequest) -> Result<Option<Change>, PageError> {
    let is_one =
        matches!(record.kind.as_str(), "policy_loaded" | "limits_set" | "vm_exec_set" | "account_changed" | "credential_created");
    if !is_one || !is_seen(record, request) {
        return Ok(None);
    }
    let before = earlier(record, request).await?;
    let change = match &record.event {
        EventKind::PolicyLoaded { .. } if request.is_staff() => policies(request, before.as_ref(), record).await,
        EventKind::LimitsSet { terms, .. } if request.is_staff() => {
            let was =
                before.map(
                    |before| if let EventKind::LimitsSet { terms, .. } = before.event { numbers(&terms) } else { String::new() },
                );
            Some(diff(&was.unwrap_or_default(), &numbers(terms)))
        }
        EventKind::VmExecSet { enabled, .. } => {
            let was = before.is_some_and(|before| matches!(before.event, EventKind::VmExecSet { enabled: true, .. }));
            Some(diff(&toggled("commands by agents", was), &toggled("commands by agents", *enabled)))
        }
        EventKind::AccountChanged { agents_may_enable_exec: now, .. } => {
            let was = before
                .is_some_and(|before| matches!(before.event, EventKind::AccountChanged { agents_may_enable_exec: true, .. }));
            Some(diff(&toggled("agents may turn commands on", was), &toggled("agents may turn commands on", *now)))
        }
        EventKind::CredentialCreated(made) => Some(key(request, made)),
        _ => None,
    };
    Ok(change.filter(|change| !change.lines.is_empty()))
}

/// Whether what an event changed may be seen, and not only that it happened.
fn is_seen(record: &AdministrationRecord, request: &SignedInRequest) -> bool {
    request.visibility().event(&record.event, &request.http.gateway.state())
}

/// The event of the same kind, about the same, before this one.
async fn earlier(record: &AdministrationRecord, request: &SignedInRequest) -> Result<Option<AdministrationRecord>, PageError> {
    let subject = record.subject.clone().filter(|_| record.kind != "policy_loaded");
    let visibility = request.visibility();
    let concerns = visibility.concerns(&request.http.gateway.state());
    let before = Some(record.position);
    let query = AdministrationQuery {
        visibility,
        concerns,
        kind: Some(record.kind.clone()),
        subject,
        before,
        limit: 1,
        ..AdministrationQuery::default()
    };
    let found = request.http.gateway.control().ports.activity.administration(query).await?;
    Ok(found.items.into_iter().next().filter(|before| is_seen(before, request)))
}

/// The texts of two versions; nothing if the newer one is not kept.
async fn policies(
    request: &SignedInRequest,
    before: Option<&AdministrationRecord>,
    after: &AdministrationRecord,
) -> Option<Change> {
    let whole = |files: Vec<(String, String)>| {
        lines(files.iter().flat_map(|(name, text)| [format!("// {}", escape_hidden(name)), escape_lines(text)]))
    };
    let after = files_of(request, after).await.map(whole)?;
    let before = match before {
        Some(before) => files_of(request, before).await.map(whole)?,
        None => String::new(),
    };
    Some(diff(&before, &after))
}

fn numbers(terms: &Terms) -> String {
    lines(rules(terms).into_iter().map(|rule| format!("{}: {}", rule.name, rule.value)))
}

/// What a new key may do, beside the one that it replaces.
fn key(request: &SignedInRequest, made: &CredentialCreated) -> Change {
    let state = request.http.gateway.state();
    let told = |id: &CredentialId| state.credentials.get(id).map(|row| rights(&row.created)).unwrap_or_default();
    match &made.rotates {
        Some(before) => diff(&told(before), &rights(made)),
        None => Change { summary: "What it may do".to_owned(), ..diff("", &rights(made)) },
    }
}

fn rights(made: &CredentialCreated) -> String {
    let scopes = if made.scopes == Scope::customer() {
        "scope everything of a customer\n".to_owned()
    } else {
        lines(made.scopes.iter().map(|scope| format!("scope {}", scope.as_str())))
    };
    let vms = made
        .vms
        .as_ref()
        .map_or_else(|| "on every VM of the account\n".to_owned(), |vms| lines(vms.iter().map(|vm| format!("on {vm}"))));
    let reads = if made.read_only { "reads only\n" } else { "" };
    let ends = made.expires_at.map_or_else(|| "no end\n".to_owned(), |end| format!("ends {}\n", end.rfc3339()));
    let limit = made.limit.map_or_else(String::new, |limit| format!("calls: {}\n", per(limit)));
    format!("{scopes}{vms}{reads}{ends}{limit}")
}

fn lines(each: impl Iterator<Item = String>) -> String {
    each.map(|line| line + "\n").collect()
}

fn toggled(what: &str, on: bool) -> String {
    format!("{what}: {}\n", if on { "on" } else { "off" })
}

fn diff(before: &str, after: &str) -> Change {
    let diff = TextDiff::from_lines(before, after);
    let (mut lines, mut came, mut went) = (Vec::new(), 0, 0);
    for group in diff.grouped_ops(AROUND) {
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let (class, sign) = match change.tag() {
                ChangeTag::Insert => ("came", '+'),
                ChangeTag::Delete => ("went", '−'),
                ChangeTag::Equal => ("", ' '),
            };
            came += usize::from(sign == '+');
            went += usize::from(sign == '−');
            lines.push(Line { class, sign, text: change.value().trim_end_matches('\n').to_owned() });
        }
    }
    Change { summary: format!("Changed +{came} −{went}"), lines }
}
