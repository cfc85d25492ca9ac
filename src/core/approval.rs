//! A call that waits for a person: what the policies ask for, and who may answer it.
//!
//! INVARIANT: consent is to one call as it was put: its key, its arguments, what it is about and what the policies asked for. Whatever
//! of that moves before the call is released makes the consent void. Who has said yes is counted out of the call's events, each
//! person once, and by what the log says was asked for.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::code::Code;
use super::grant::acting;
use super::hold::{Approver, Hold};
use super::id::{AccountId, CallId, CredentialId, Position, UserId};
use super::principal::{Principal, Side};
use super::refusal::Refusal;
use super::resource::ResourceId;
use super::scope::Scope;
use super::second_person::InviteHistory;
use super::state::{ControlState, Credential};
use super::time::Micros;

/// A person who said yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// Who.
    pub by: UserId,
    /// With which key.
    pub credential: CredentialId,
    /// When.
    pub at: Micros,
}

/// A held call as it was put to people. The row goes when the call is released or refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The call, whose id is the approval's too.
    pub call: CallId,
    /// Whose call.
    pub account: AccountId,
    /// The person behind it.
    pub user: UserId,
    /// The key.
    pub credential: CredentialId,
    /// The tool.
    pub tool: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceId>,
    /// Versions of these when it was held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<Position>,
    /// It came in where only reads are allowed.
    pub read_only: bool,
    /// HMAC of the raw canonical arguments, hex.
    pub arguments: String,
    /// Version of the policies that hold it.
    pub policy: i64,
    /// What they ask for.
    pub hold: Hold,
    /// When it was held.
    pub held_at: Micros,
    /// When it ends `approval_expired`.
    pub expires_at: Micros,
    /// Who said yes so far.
    pub consents: Vec<Consent>,
}

/// What a person's consent does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The call may go on.
    Granted,
    /// A second person has to agree.
    Waits,
}

impl Approval {
    /// Everybody has said yes who has to.
    #[must_use]
    pub fn is_granted(&self) -> bool {
        self.consents.len() >= self.hold.persons()
    }

    /// Nobody may say yes any more.
    #[must_use]
    pub fn is_over(&self, now: Micros) -> bool {
        self.expires_at <= now
    }

    /// The same with those consents that still count: of who may still give one, with what is still alive, each person once.
    /// Everything that is done with a held call, and shown of it, is asked of this.
    #[must_use]
    pub fn standing(mut self, state: &ControlState, now: Micros) -> Self {
        let rights = [Scope::ApprovalsDecide, Scope::StaffApprove];
        // Who was a guest when they said it was told so then.
        let known = InviteHistory { state, now, newcomer: Duration::ZERO };
        let mut counted: Vec<Consent> = Vec::new();
        for consent in std::mem::take(&mut self.consents) {
            let own = state.credentials.get(&consent.credential).filter(|own| own.created.user == consent.by);
            let may = own.is_some_and(|own| self.check_own(own, known).is_ok())
                && state.still_says(&consent.credential, &rights, now)
                && counted.iter().all(|other| known.are_two(&other.by, &consent.by));
            if may {
                counted.push(consent);
            }
        }
        self.consents = counted;
        self
    }

    /// Takes somebody's consent, or says why not.
    pub fn consent(&mut self, who: &Principal, known: InviteHistory<'_>) -> Result<Step, Refusal> {
        self.check_open(known.now)?;
        self.check_person(who, known)?;
        self.consents.push(Consent { by: who.user.clone(), credential: who.credential.clone(), at: known.now });
        Ok(if self.is_granted() { Step::Granted } else { Step::Waits })
    }

    /// Whether an answer still counts.
    pub fn check_open(&self, now: Micros) -> Result<(), Refusal> {
        if self.is_granted() {
            return Err(decided());
        }
        if self.is_over(now) {
            return Err(Refusal::new(Code::ApprovalExpired, "Nobody approved it in time."));
        }
        Ok(())
    }

    fn check_person(&self, who: &Principal, known: InviteHistory<'_>) -> Result<(), Refusal> {
        self.check_own(acting(known.state, who)?, known)?;
        if self.consents.iter().any(|consent| !known.are_two(&consent.by, &who.user)) {
            let text = "A second person has to approve it; your consent is noted.";
            let guest = "The two do not count as two people yet, because one of them came by the other.";
            let again = self.consents.iter().any(|consent| consent.by == who.user);
            return Err(Refusal::new(Code::SecondPersonRequired, if again { text } else { guest }));
        }
        Ok(())
    }

    /// Whether what somebody acts with may say yes to this call at all.
    fn check_own(&self, own: &Credential, known: InviteHistory<'_>) -> Result<(), Refusal> {
        let forbidden = |text: &str| Err(Refusal::new(Code::ForbiddenRole, text));
        let (state, made) = (known.state, &own.created);
        if !is_consent(state, own) {
            let text = "A call that waits is approved by a person who is signed in, or by a key that they made in the console for that alone.";
            return forbidden(text);
        }
        match (self.hold.approver, made.side) {
            (Approver::Staff, Side::Customer) => return forbidden("The policies ask for staff to approve this."),
            (Approver::Owner, Side::Staff) => return forbidden("The policies ask for a person of the account to approve this."),
            _ => {}
        }
        if self.credential == made.credential || is_of_one_line(state, &self.credential, &made.credential) {
            return forbidden("A key does not approve its own calls, nor those of a key that comes from the same one.");
        }
        if self.hold.separate && !known.are_two(&self.user, &made.user) {
            return forbidden(
                "The policies ask for another person than the one whose key made the call, and not for a guest of theirs.",
            );
        }
        Ok(())
    }
}

/// Whether what somebody acts with speaks for a person: they are signed in, or made a key in the console that can do nothing
/// else. Whoever has any other key may be anybody.
fn is_consent(state: &ControlState, own: &Credential) -> bool {
    if own.is_person() {
        return true;
    }
    let made = &own.created;
    let alone =
        made.scopes.len() == 1 && made.scopes.iter().all(|scope| matches!(scope, Scope::ApprovalsDecide | Scope::StaffApprove));
    let maker = made.made_by.as_ref().and_then(|id| state.credentials.get(id));
    let by_hand =
        maker.is_some_and(|maker| maker.is_person() && maker.created.user == made.user && maker.created.account == made.account);
    alone && by_hand
}

/// What somebody is told who comes second.
#[must_use]
pub fn decided() -> Refusal {
    Refusal::new(Code::Conflict, "It was decided already.")
}

/// Whether two keys come from the same one, by being made with it or in its place: whoever has that one has had both. What a
/// person makes in the console has no parent key: a session's credential is not a key, so it may approve.
fn is_of_one_line(state: &ControlState, one: &CredentialId, other: &CredentialId) -> bool {
    !line(state, one).is_disjoint(&line(state, other))
}

/// A key, and every key of the same account that it comes from. One that the staff made for a customer is the customer's own.
fn line(state: &ControlState, key: &CredentialId) -> BTreeSet<CredentialId> {
    let (mut line, mut left) = (BTreeSet::new(), vec![key.clone()]);
    while let Some(id) = left.pop() {
        let Some(row) = state.credentials.get(&id) else { continue };
        let is_key_of_account = |from: &&CredentialId| {
            let from = state.credentials.get(*from).map(|row| &row.created);
            from.is_some_and(|from| from.role.is_none() && from.account == row.created.account)
        };
        let from = [row.created.rotates.as_ref(), row.created.made_by.as_ref()].into_iter().flatten().filter(is_key_of_account);
        // A fold of events cannot hold a circle; a row that somebody changed could.
        if line.insert(id.clone()) {
            left.extend(from.cloned());
        }
    }
    line
}

/// What a call is held to when it is released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// What was approved.
    pub hold: Hold,
    /// Versions of what it is about, then.
    pub versions: Vec<Position>,
    /// Until when.
    pub expires_at: Micros,
}

impl From<&Approval> for Bound {
    fn from(approval: &Approval) -> Self {
        Self { hold: approval.hold.clone(), versions: approval.versions.clone(), expires_at: approval.expires_at }
    }
}

/// What is said of a call that is not any more what was put to people.
pub fn superseded(what: &str) -> Refusal {
    Refusal::new(Code::ApprovalSuperseded, format!("{what} since a person was asked, so the approval counts no more."))
        .hint("Call again to ask anew.")
}
