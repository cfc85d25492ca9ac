//! What is in force for every node, the policies and the limits: which version, who put it there, since when, and whether the
//! node that is asked was started with something else. For the staff.

use schemars::JsonSchema;
use serde::Serialize;

use super::Http;
use crate::control::in_force::{Author, LIMITS, Origin, POLICIES, origin};
use crate::core::code::Code;
use crate::core::earlier_terms::TermsInForce;
use crate::core::id::{CredentialId, Position, UserId};
use crate::core::principal::{Principal, Side};
use crate::core::refusal::Refusal;
use crate::core::state::PolicySet;
use crate::core::terms::{Difference, Terms};
use crate::core::time::Micros;
use crate::tools::{Instant, NodePolicies};

/// The policies in force, and this node's.
pub struct PoliciesInForce {
    /// The set; none if there is none.
    pub set: Option<PolicySet>,
    /// How it came into force.
    pub origin: Option<Origin>,
    /// What this node serves, and its own files.
    pub node: NodePolicies,
}

/// The limits in force, and this node's.
pub struct LimitsInForce {
    /// They; none if there are none.
    pub now: Option<TermsInForce>,
    /// From when `newcomer_ms` counts, if a longer one still does.
    pub newcomer_counts_from: Option<Micros>,
    /// How they came into force.
    pub origin: Option<Origin>,
    /// Where this node was started with something else.
    pub differences: Vec<Difference>,
}

impl PoliciesInForce {
    /// This node's files are the set in force.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.set.as_ref().is_some_and(|set| self.node.own.as_ref() == Ok(&set.sha256))
    }

    /// This node asks the set in force.
    #[must_use]
    pub fn is_served(&self) -> bool {
        self.set.as_ref().is_some_and(|set| self.node.version == Some(set.version))
    }

    /// As REST answers it.
    #[must_use]
    pub fn document(self) -> PoliciesDocument {
        let (serves, differs) = (self.is_served(), !self.is_own());
        let NodePolicies { version, trouble, own } = self.node;
        let (files_sha256, files_trouble) = own.map_or_else(|why| (None, Some(why)), |digest| (Some(digest), None));
        PoliciesDocument {
            version: self.set.as_ref().map(|set| set.version),
            sha256: self.set.map(|set| set.sha256),
            node: NodeFiles { version, serves, trouble, files_sha256, files_trouble, differs },
            origin: self.origin.into(),
        }
    }
}

impl LimitsInForce {
    /// As REST answers it.
    #[must_use]
    pub fn document(self) -> LimitsDocument {
        let differs = !self.differences.is_empty();
        LimitsDocument {
            version: self.now.as_ref().map(|now| now.version),
            terms: self.now.map(|now| now.terms),
            newcomer_counts_from: self.newcomer_counts_from.map(Instant),
            node: NodeLimits { differs, differences: self.differences },
            origin: self.origin.into(),
        }
    }
}

/// The policies in force, as they are shown.
#[derive(Serialize, JsonSchema)]
pub struct PoliciesDocument {
    /// Version of the set in force; null if there is none.
    version: Option<i64>,
    /// Digest of its text.
    sha256: Option<String>,
    /// The node that is asked.
    node: NodeFiles,
    #[serde(flatten)]
    origin: Came,
}

#[derive(Serialize, JsonSchema)]
struct NodeFiles {
    /// The version that it asks; null if it has none.
    version: Option<i64>,
    /// It asks the set in force.
    serves: bool,
    /// Why it does not.
    trouble: Option<String>,
    /// Digest of its own files.
    files_sha256: Option<String>,
    /// Why they could not be put in force.
    files_trouble: Option<String>,
    /// Its own files are not the set in force.
    differs: bool,
}

/// The limits in force, as they are shown.
#[derive(Serialize, JsonSchema)]
pub struct LimitsDocument {
    /// Version of the limits in force; null if there are none.
    version: Option<i64>,
    #[serde(flatten)]
    terms: Option<Terms>,
    /// From when newcomer_ms counts, while a longer one still does.
    newcomer_counts_from: Option<Instant>,
    /// The node that is asked.
    node: NodeLimits,
    #[serde(flatten)]
    origin: Came,
}

#[derive(Serialize, JsonSchema)]
struct NodeLimits {
    /// It was started with other limits.
    differs: bool,
    /// Which.
    differences: Vec<Difference>,
}

/// How something came into force; all null if nobody knows.
#[derive(Serialize, JsonSchema)]
struct Came {
    /// Who put it there, in words.
    by: Option<String>,
    /// Since when.
    since: Option<Instant>,
    /// The event that did.
    position: Option<Position>,
    /// The person, if it was one.
    user: Option<UserId>,
    /// What they did it with.
    credential: Option<CredentialId>,
}

impl From<Option<Origin>> for Came {
    fn from(origin: Option<Origin>) -> Self {
        let Some(Origin { position, at, author }) = origin else {
            return Self { by: None, since: None, position: None, user: None, credential: None };
        };
        let by = Some(author.text());
        let (user, credential) = match author {
            Author::Person { user, credential } => (Some(user), credential),
            Author::Operator(_) | Author::Start => (None, None),
        };
        Self { by, since: Some(at.into()), position: Some(position), user, credential }
    }
}

impl Http {
    /// Leave to see what is in force: the staff's.
    pub async fn check_rules(&self, who: &Principal) -> Result<(), Refusal> {
        if who.side != Side::Staff {
            return Err(Refusal::for_staff("What is in force is for the staff to see; account_get tells the limits."));
        }
        self.gateway.check_alive(who).await
    }

    /// The policies.
    pub async fn policies_in_force(&self) -> Result<PoliciesInForce, Refusal> {
        let ports = &self.gateway.control().ports;
        let (set, node) = (self.gateway.state().policy.clone(), ports.policies.node().await);
        Ok(PoliciesInForce { set, origin: origin(&ports.reader, POLICIES).await.map_err(|error| unread(&error))?, node })
    }

    /// The limits.
    pub async fn limits_in_force(&self) -> Result<LimitsInForce, Refusal> {
        let ports = &self.gateway.control().ports;
        let state = self.gateway.state();
        let now = state.terms.clone();
        let differences = now.as_ref().map(|now| now.terms.differences(&ports.configured)).unwrap_or_default();
        let newcomer_counts_from = now.as_ref().and_then(|now| now.newcomer_counts_from(ports.clock.now()));
        let origin = origin(&ports.reader, LIMITS).await.map_err(|error| unread(&error))?;
        Ok(LimitsInForce { now, newcomer_counts_from, origin, differences })
    }
}

fn unread(error: &(dyn std::error::Error + 'static)) -> Refusal {
    tracing::error!(error, "what is in force cannot be read");
    Refusal::new(Code::AuditUnavailable, "The log cannot be reached, so nothing is answered.")
}
