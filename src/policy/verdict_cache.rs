//! Verdicts that were given before. Agents ask the same few questions thousands of times, and Cedar takes longer over one
//! than the rest of the decision does.
//!
//! INVARIANT: a question is everything that the policies can look at, with the version of the set that answers; so an
//! answer from here is the answer that Cedar would give. Nothing else may become part of a request to Cedar
//! (`question.rs`) without becoming part of a [`Question`].

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};

use super::question::Query;
use crate::core::id::{AccountId, CredentialId, UserId};
use crate::core::principal::{Side, Via};
use crate::core::proposal::Verdict;
use crate::core::resource::{Attribute, ResourceId};
use crate::core::scope::ScopeSet;

/// Questions that are remembered; then all are forgotten.
const REMEMBERED: usize = 16_384;

/// All that a verdict depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    version: i64,
    side: Side,
    account: AccountId,
    user: UserId,
    credential: CredentialId,
    via: Via,
    ip: Option<IpAddr>,
    scopes: ScopeSet,
    read_only: bool,
    tool: &'static str,
    resource: Option<About>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct About {
    id: ResourceId,
    account: AccountId,
    attributes: Vec<(&'static str, Attribute)>,
}

impl Question {
    fn of(query: &Query<'_>, version: i64) -> Self {
        let who = query.principal;
        let about = |row: &crate::core::resource::Resource| About {
            id: row.id.clone(),
            account: row.account.clone(),
            attributes: row.attributes.clone(),
        };
        Self {
            version,
            side: who.side,
            account: who.account.clone(),
            user: who.user.clone(),
            credential: who.credential.clone(),
            via: who.via,
            ip: who.ip,
            scopes: query.scopes.clone(),
            read_only: query.read_only || who.read_only,
            tool: query.tool.name,
            resource: query.resource.map(about),
        }
    }
}

/// Answers by question.
#[derive(Default)]
pub(super) struct VerdictCache(RwLock<HashMap<Question, Verdict>>);

impl VerdictCache {
    /// The verdict of this version on a question: remembered, or given by `judge`.
    pub(super) fn verdict(&self, query: &Query<'_>, version: i64, judge: impl FnOnce() -> Verdict) -> Verdict {
        let question = Question::of(query, version);
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&question).cloned();
        known.unwrap_or_else(|| {
            let verdict = judge();
            let mut answers = self.0.write().unwrap_or_else(PoisonError::into_inner);
            if answers.len() >= REMEMBERED {
                answers.clear();
            }
            answers.insert(question, verdict.clone());
            verdict
        })
    }
}
