//! `/console/rules`: the policies and the limits in force, who put them there, and whether this node was started with others.

use askama::Template;
use axum::response::Response;

use super::format::{DisplayTime, escape_hidden, group_digits};
use super::frame::{Frame, page};
use super::page_error::PageError;
use super::policy_text::{escape_lines, files};
use super::request::SignedInRequest;
use super::rule_words::{Differing, Rule, differing, rules};
use super::who::person;
use crate::control::in_force::{Author, Origin, POLICIES, event};
use crate::core::time::Micros;

#[derive(Template)]
#[template(path = "in_force.html")]
struct InForcePage {
    frame: Frame,
    policies: Option<Put>,
    sha256: String,
    is_served: bool,
    trouble: Option<String>,
    is_own: bool,
    own_trouble: Option<String>,
    texts: Vec<(String, String)>,
    limits: Option<Put>,
    newcomer_counts_from: Option<DisplayTime>,
    rules: Vec<Rule>,
    differences: Vec<Differing>,
}

/// A version, and how it came into force.
struct Put {
    version: String,
    origin: Option<(DisplayTime, String)>,
}

/// How a version came into force, with the name of who put it there.
async fn put(request: &SignedInRequest, version: Option<i64>, origin: Option<Origin>, now: Micros) -> Option<Put> {
    let version = group_digits(version?);
    let Some(Origin { at, author, .. }) = origin else { return Some(Put { version, origin: None }) };
    let by = match author {
        Author::Person { user, .. } => person(request, Some(user.to_string())).await,
        other => escape_hidden(&other.text()),
    };
    Some(Put { version, origin: Some((DisplayTime::of(at, now), by)) })
}

/// The page.
pub async fn show(request: SignedInRequest) -> Result<Response, PageError> {
    if !request.is_staff() {
        return Err(PageError::NotFound);
    }
    let http = &request.http;
    http.check_rules(&request.principal).await?;
    let ports = &http.gateway.control().ports;
    let (policies, limits, now) = (http.policies_in_force().await?, http.limits_in_force().await?, ports.clock.now());
    let text = match event(&ports.reader, POLICIES).await {
        Ok(Some(event)) => files(&request, &event).await.unwrap_or_default(),
        _ => Vec::new(),
    };
    let (rules, differences) =
        limits.now.as_ref().map(|set| (rules(&set.terms), differing(&set.terms, &ports.configured))).unwrap_or_default();
    Ok(page(&InForcePage {
        frame: Frame::of("Rules", "/console/rules", &request).await,
        sha256: policies.set.as_ref().map(|set| escape_hidden(&set.sha256)).unwrap_or_default(),
        is_served: policies.is_served(),
        is_own: policies.is_own(),
        trouble: policies.node.trouble.as_deref().map(escape_hidden),
        own_trouble: policies.node.own.as_ref().err().map(|why| escape_lines(why)),
        policies: put(&request, policies.set.as_ref().map(|set| set.version), policies.origin.clone(), now).await,
        texts: text.iter().map(|(name, text)| (escape_hidden(name), escape_lines(text))).collect(),
        limits: put(&request, limits.now.as_ref().map(|set| set.version), limits.origin.clone(), now).await,
        newcomer_counts_from: limits.newcomer_counts_from.map(|from| DisplayTime::of(from, now)),
        rules,
        differences,
    }))
}
