//! What is in force for every node, the policies and the limits: which version, who put it there, since when, and whether the
//! node that is asked was started with something else. For the staff.

use serde_json::{Value, json};

use super::Http;
use crate::control::in_force::{Author, LIMITS, Origin, POLICIES, origin, tell};
use crate::core::code::Code;
use crate::core::principal::{Principal, Side};
use crate::core::refusal::Refusal;
use crate::core::state::PolicySet;
use crate::core::terms::{Difference, TermsInForce};
use crate::core::time::Micros;
use crate::tools::NodePolicies;

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
    /// This node's files can be read, and are the set in force.
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
    pub fn document(&self) -> Value {
        let mut document = json!({
            "version": self.set.as_ref().map(|set| set.version),
            "sha256": self.set.as_ref().map(|set| &set.sha256),
            "node": {
                "version": self.node.version, "serves": self.is_served(), "trouble": self.node.trouble,
                "files_sha256": self.node.own.as_ref().ok(), "files_trouble": self.node.own.as_ref().err(),
                "differs": !self.is_own(),
            },
        });
        put(&mut document, self.origin.as_ref());
        document
    }
}

impl LimitsInForce {
    /// As REST answers it.
    #[must_use]
    pub fn document(&self) -> Value {
        let mut document = self.now.as_ref().map_or_else(|| json!({}), |now| json!(now.terms));
        document["version"] = json!(self.now.as_ref().map(|now| now.version));
        document["newcomer_counts_from"] = json!(self.newcomer_counts_from.map(Micros::rfc3339));
        document["node"] = json!({ "differs": !self.differences.is_empty(), "differences": self.differences });
        put(&mut document, self.origin.as_ref());
        document
    }
}

fn put(document: &mut Value, origin: Option<&Origin>) {
    let person = origin.and_then(|origin| match &origin.author {
        Author::Person { user, credential } => Some((user, credential)),
        Author::Operator(_) | Author::Start => None,
    });
    tell(document, origin);
    document["user"] = json!(person.map(|(user, _)| user));
    document["credential"] = json!(person.and_then(|(_, credential)| credential.as_ref()));
}

impl Http {
    /// Leave to see what is in force: the staff's.
    pub async fn check_rules(&self, who: &Principal) -> Result<(), Refusal> {
        if who.side != Side::Staff {
            return Err(Refusal::new(
                Code::ForbiddenScope,
                "What is in force is for the staff to see; account_get tells the limits.",
            ));
        }
        self.door.check_alive(who).await
    }

    /// The policies.
    pub async fn policies_in_force(&self) -> Result<PoliciesInForce, Refusal> {
        let ports = &self.door.control().ports;
        let (set, node) = (self.door.state().policy.clone(), ports.policies.node().await);
        Ok(PoliciesInForce { set, origin: origin(&ports.reader, POLICIES).await.map_err(|error| unread(&error))?, node })
    }

    /// The limits.
    pub async fn limits_in_force(&self) -> Result<LimitsInForce, Refusal> {
        let ports = &self.door.control().ports;
        let state = self.door.state();
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
