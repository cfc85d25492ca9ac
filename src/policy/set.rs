//! One validated set of policies, and what it says of a call.
//!
//! Invariant: a policy that cannot be evaluated denies. A shadow policy never decides; it is only reported.

use std::collections::BTreeMap;
use std::sync::Arc;

use cedar_policy::{
    AuthorizationError, Authorizer, Decision, Effect, Entities, Policy, PolicyId, PolicySet, Request, ValidationMode, Validator,
};
use sha2::{Digest, Sha256};

use super::error::PolicyError;
use super::fault::{unfit, unparsed};
use super::literals::misspelt;
use super::place::Place;
use super::question::{Query, Vocabulary};
use crate::core::hold::{Approver, Hold};
use crate::core::proposal::Verdict;
use crate::core::visible::says_something;

/// A validated set of policies.
pub struct Set {
    pub(super) words: Arc<Vocabulary>,
    authorizer: Authorizer,
    enforced: PolicySet,
    /// What a policy's `@hold` asks for, by policy id.
    holds: BTreeMap<String, Hold>,
    shadows: Vec<Shadow>,
    sha256: String,
    files: Vec<(String, String)>,
    warnings: Vec<String>,
}

/// A policy that is evaluated and not enforced; alone in its set, so that what it says is seen.
struct Shadow {
    id: String,
    permits: bool,
    holds: bool,
    alone: PolicySet,
}

/// SHA-256 of the policies' text, files in order of name, hex.
pub(super) fn digest(files: &[(String, String)]) -> String {
    let hashed = files.iter().fold(Sha256::new(), |hash, (_, text)| hash.chain_update(text.as_bytes()));
    hex::encode(hashed.finalize())
}

impl Set {
    /// Reads policies from named texts and validates them against the catalogue. The texts in one that `is_new` are looked at, too:
    /// what is in force is served as it was taken.
    pub(super) fn parse(words: Arc<Vocabulary>, files: &[(String, String)], is_new: bool) -> Result<Self, PolicyError> {
        let mut set = Self {
            words,
            authorizer: Authorizer::new(),
            enforced: PolicySet::new(),
            holds: BTreeMap::new(),
            shadows: Vec::new(),
            sha256: String::new(),
            files: files.to_vec(),
            warnings: Vec::new(),
        };
        let mut all = PolicySet::new();
        let mut file_of: BTreeMap<String, &(String, String)> = BTreeMap::new();
        for named @ (file, text) in files {
            for policy in read_file(file, text)? {
                let id = policy.id().to_string();
                if let Some((other, _)) = file_of.insert(id.clone(), named) {
                    let again = if file == other {
                        Place::find_last(text, &format!("{id:?}"))
                    } else {
                        Place::find(text, &format!("{id:?}"))
                    };
                    return Err(PolicyError::at(file, again, format!("the id {id:?} is used twice, first in {other}")));
                }
                set.add(named, &id, &policy)?;
                if let Some(misspelt) = is_new.then(|| misspelt(&set.words, &policy)).flatten() {
                    let place = Place::find(text, &format!("{:?}", misspelt.literal));
                    return Err(PolicyError::at(file, place, format!("policy {id:?}: {}", misspelt.why)));
                }
                all.add(policy).map_err(|error| PolicyError::invalid(file, error.to_string()))?;
            }
        }
        if set.enforced.is_empty() {
            return Err(PolicyError::Empty("this directory".into()));
        }
        set.sha256 = digest(files);
        set.warnings = validate(&set.words, &all, &file_of)?;
        Ok(set)
    }

    fn add(&mut self, (file, text): &(String, String), id: &str, policy: &Policy) -> Result<(), PolicyError> {
        let failing = |message: String| PolicyError::at(file, place_of(text, policy), message);
        let hold = hold_of(policy).map_err(|fault| failing(format!("{id}: {fault}")))?;
        if policy.annotation("shadow").is_none() {
            self.holds.extend(hold.map(|hold| (id.to_owned(), hold)));
            return self.enforced.add(policy.clone()).map_err(|error| failing(error.to_string()));
        }
        let mut alone = PolicySet::new();
        alone.add(policy.clone()).map_err(|error| failing(error.to_string()))?;
        let permits = policy.effect() == Effect::Permit;
        self.shadows.push(Shadow { id: id.to_owned(), permits, holds: hold.is_some(), alone });
        Ok(())
    }

    /// SHA-256 of the policies' text, files in order of name, hex.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The policies' text, files in order of name.
    #[must_use]
    pub fn files(&self) -> &[(String, String)] {
        &self.files
    }

    /// The ids of all policies, shadows too.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        let enforced = self.enforced.policies().map(|policy| policy.id().as_ref());
        enforced.chain(self.shadows.iter().map(|shadow| shadow.id.as_str()))
    }

    /// What is odd about these policies without being wrong, such as one that can never apply.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What these policies say of a call. The verdict's version is left at 0.
    #[must_use]
    pub fn evaluate(&self, query: &Query<'_>) -> Verdict {
        match self.words.ask(query) {
            Ok((request, entities)) => self.answer(&request, &entities),
            Err(error) => {
                tracing::error!(tool = query.tool.name, %error, "a call could not be put to the policies, so it is denied");
                Verdict::default()
            }
        }
    }

    fn answer(&self, request: &Request, entities: &Entities) -> Verdict {
        let response = self.authorizer.is_authorized(request, &self.enforced, entities);
        let mut verdict = Verdict { permit: response.decision() == Decision::Allow, ..Verdict::default() };
        verdict.policies = response.diagnostics().reason().map(ToString::to_string).collect();
        let failed: Vec<String> = response.diagnostics().errors().map(failed_policy).collect();
        let undecided = verdict.policies.is_empty() && failed.is_empty();
        if !failed.is_empty() {
            verdict.permit = false;
            verdict.policies = failed;
        }
        verdict.policies.sort_unstable();
        if verdict.permit {
            self.hold(&mut verdict);
        }
        let stands = Standing { permit: verdict.permit, held: verdict.hold.is_some(), undecided };
        verdict.shadows = self
            .shadows
            .iter()
            .filter(|shadow| self.would_change(shadow, stands, request, entities))
            .map(|s| s.id.clone())
            .collect();
        verdict
    }

    /// One permit that holds is enough, so that an operator adds a hold without editing the permits.
    fn hold(&self, verdict: &mut Verdict) {
        verdict.hold = verdict.policies.iter().filter_map(|id| self.holds.get(id)).cloned().reduce(|one, other| one.and(&other));
        if verdict.hold.is_some() {
            verdict.policies.retain(|id| self.holds.contains_key(id));
        }
    }

    fn would_change(&self, shadow: &Shadow, stands: Standing, request: &Request, entities: &Entities) -> bool {
        let response = self.authorizer.is_authorized(request, &shadow.alone, entities);
        if response.diagnostics().errors().next().is_some() {
            return stands.permit;
        }
        if response.diagnostics().reason().next().is_none() {
            return false;
        }
        match (shadow.permits, stands.permit) {
            (false, permitted) => permitted,
            (true, true) => shadow.holds && !stands.held,
            (true, false) => stands.undecided,
        }
    }
}

fn failed_policy(error: &AuthorizationError) -> String {
    let AuthorizationError::PolicyEvaluationError(error) = error;
    error.policy_id().to_string()
}

/// What a policy asks for, by its annotations.
fn hold_of(policy: &Policy) -> Result<Option<Hold>, String> {
    let said = |name: &str| policy.annotation(name);
    let Some(why) = said("hold") else {
        let lonely = ["approver", "second_person", "separate"].into_iter().find(|name| said(name).is_some());
        return lonely.map_or(Ok(None), |name| Err(format!("@{name} says more of a @hold, and there is none")));
    };
    if !says_something(why) {
        return Err("@hold needs a text that says why".into());
    }
    if policy.effect() == Effect::Forbid {
        return Err("@hold belongs on a permit".into());
    }
    let approver = match said("approver") {
        None | Some("owner") => Approver::Owner,
        Some("staff") => Approver::Staff,
        Some("any") => Approver::Any,
        Some(other) => return Err(format!("@approver({other:?}) is none of \"owner\", \"staff\" and \"any\"")),
    };
    let (second_person, separate) = (said("second_person").is_some(), said("separate").is_some());
    Ok(Some(Hold { why: why.to_owned(), approver, second_person, separate }))
}

/// What the enforced policies said.
#[derive(Clone, Copy)]
struct Standing {
    permit: bool,
    held: bool,
    /// Denied because nothing permits it, not because something forbids it.
    undecided: bool,
}

const ANNOTATIONS: [&str; 6] = ["id", "hold", "approver", "second_person", "separate", "shadow"];

/// The policies of one file, each under its `@id`, in the file's order.
fn read_file(file: &str, text: &str) -> Result<Vec<Policy>, PolicyError> {
    let set: PolicySet = text.parse().map_err(|errors| unparsed(file, text, &errors))?;
    if let Some(template) = set.templates().next() {
        return Err(PolicyError::at(file, place_of(text, template), "templates are not supported".into()));
    }
    if set.is_empty() {
        return Err(PolicyError::Empty(file.to_owned()));
    }
    let mut policies: Vec<&Policy> = set.policies().collect();
    // Cedar numbers them policy0, policy1, … policy10.
    policies.sort_by_key(|policy| (policy.id().to_string().len(), policy.id().to_string()));
    policies.into_iter().map(|policy| named(file, text, policy)).collect()
}

/// The text of each policy of a set that was in force, by its id, in the files' order; none of a file that cannot be read.
#[must_use]
pub fn rules(files: &[(String, String)]) -> Vec<(String, String)> {
    let read = files.iter().flat_map(|(file, text)| read_file(file, text).unwrap_or_default());
    read.map(|policy| (policy.id().to_string(), policy.to_string())).collect()
}

fn named(file: &str, text: &str, policy: &Policy) -> Result<Policy, PolicyError> {
    if let Some((key, _)) = policy.annotations().find(|(key, _)| !ANNOTATIONS.contains(key)) {
        let known = ANNOTATIONS.join(", @");
        let place = Place::find(text, &format!("@{key}"));
        return Err(PolicyError::at(file, place, format!("unknown annotation @{key}: there are @{known}")));
    }
    match policy.annotation("id") {
        Some(id) if !id.trim().is_empty() => Ok(policy.new_id(PolicyId::new(id))),
        _ => Err(PolicyError::at(
            file,
            place_of(text, policy),
            "every policy needs an @id, such as @id(\"no-night-shift\")".into(),
        )),
    }
}

/// Where a policy begins: its text is as it was written.
fn place_of(text: &str, policy: &impl ToString) -> Option<Place> {
    Place::find(text, policy.to_string().lines().next()?)
}

fn validate(
    words: &Vocabulary,
    all: &PolicySet,
    file_of: &BTreeMap<String, &(String, String)>,
) -> Result<Vec<String>, PolicyError> {
    let result = Validator::new(words.schema.clone()).validate(all, ValidationMode::Strict);
    if let Some(error) = result.validation_errors().next() {
        let (file, text) = file_of.get(&error.policy_id().to_string()).map_or(("", ""), |(file, text)| (file, text));
        return Err(unfit(words, file, text, error));
    }
    Ok(result.validation_warnings().map(ToString::to_string).collect())
}
