//! What an event that belongs to no call is about: whose it is, who did it, and which key, VM, switch, person or node it names.
//!
//! INVARIANT: every reader asks here, so an event that a customer sees in one list is in each list and export of theirs. A new
//! kind does not compile until it says whose it is.

use super::event::EventKind;
use super::id::UserId;
use super::switch::Target;

/// What an event is about, by ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The account, if the event says so itself.
    pub account: Option<String>,
    /// Who did it, or whom it happened to. Where two persons did, the one who made it so.
    pub person: Option<String>,
    /// Id of the switch, key, VM, node, or what was read.
    pub subject: Option<String>,
    /// Whose account it is, if the event does not say so.
    pub owned_like: Option<String>,
}

impl About {
    /// Nothing for an event of a call: it is its call's.
    #[must_use]
    pub fn of(kind: &EventKind) -> Option<Self> {
        let text = |id: &dyn ToString| Some(id.to_string());
        let about = |account, person, subject, owned_like| Some(Self { account, person, subject, owned_like });
        let by = |by: &Option<UserId>| by.as_ref().map(ToString::to_string);
        match kind {
            EventKind::SwitchEngaged { switch, target, by: who, .. } => {
                let (account, like) = match target {
                    Target::Account(account) => (text(account), None),
                    Target::Credential(credential) => (None, text(credential)),
                    Target::Resource { id, .. } => (None, text(id)),
                    Target::All | Target::Class(_) | Target::Tool(_) | Target::Provider(_) => (None, None),
                };
                about(account, by(who), text(switch), like)
            }
            EventKind::ReleaseRequested { switch, by: who, .. } => about(None, text(who), text(switch), text(switch)),
            // The first of two persons is named by what they asked for, an event of its own with a reason of its own.
            EventKind::SwitchReleased { switch, by: who, second, .. }
            | EventKind::ReleaseRamped { switch, by: who, second, .. } => {
                about(None, by(second).or_else(|| by(who)), text(switch), text(switch))
            }
            EventKind::SwitchExpired { switch } => about(None, None, text(switch), text(switch)),
            EventKind::AccountCreated { account, .. } | EventKind::AccountChanged { account, .. } => {
                about(text(account), None, text(account), None)
            }
            EventKind::UserCreated { user, account, invited_by, .. } => about(text(account), by(invited_by), text(user), None),
            EventKind::CredentialCreated(made) => about(text(&made.account), text(&made.user), text(&made.credential), None),
            EventKind::CredentialRevoked { credential, by: who } | EventKind::CredentialAdopted { credential, by: who, .. } => {
                about(None, by(who), text(credential), text(credential))
            }
            EventKind::VmImported { vm, account, .. } => about(text(account), None, text(vm), None),
            EventKind::VmExecSet { vm, .. } => about(None, None, text(vm), text(vm)),
            EventKind::ClaimCleared { resource, by: who, .. } => about(None, by(who), text(resource), text(resource)),
            EventKind::PolicyLoaded { sha256, by: who, .. } => about(None, by(who), Some(sha256.to_string()), None),
            EventKind::PolicyRejected { sha256 } => about(None, None, Some(sha256.to_string()), None),
            EventKind::NodeStarted { node, .. } | EventKind::NodeStopped { node } => about(None, None, text(node), None),
            EventKind::LogRead { user, account, what } => {
                about(account.as_ref().map(ToString::to_string), by(user), Some(what.to_string()), None)
            }
            EventKind::SignedIn { user, .. }
            | EventKind::PasswordSet { user, .. }
            | EventKind::IdentityLinked { user, .. }
            | EventKind::IdentityUnlinked { user, .. }
            | EventKind::VouchedFor { user, .. } => about(None, text(user), text(user), text(user)),
            EventKind::SignedOut { user, by: who, .. } => about(None, by(who).or_else(|| text(user)), text(user), text(user)),
            EventKind::PersonInvited { invitation, account, by: who, .. }
            | EventKind::InvitationRevoked { invitation, account, by: who } => {
                about(text(account), by(who), text(invitation), None)
            }
            EventKind::RoleChanged { user, account, by: who, .. } | EventKind::UserRemoved { user, account, by: who } => {
                about(text(account), by(who), text(user), None)
            }
            EventKind::RoleWithdrawn { user, account, .. } => about(text(account), None, text(user), None),
            EventKind::SignInRefused { user, .. } => about(None, by(user), by(user), by(user)),
            EventKind::AlarmAcknowledged { switch, by, .. } => about(None, text(by), text(switch), None),
            EventKind::DrillCompleted(drill) => about(None, text(&drill.by), text(&drill.drill), None),
            EventKind::ClockAccepted { by: who, .. } | EventKind::LimitsSet { by: who, .. } => about(None, by(who), None, None),
            EventKind::StateMended { .. } => about(None, None, None, None),
            EventKind::RefusalsCounted { account, credential, .. } => about(text(account), None, text(credential), None),
            EventKind::IntentRecorded(_)
            | EventKind::Refused(_)
            | EventKind::Admitted(_)
            | EventKind::Held { .. }
            | EventKind::Started { .. }
            | EventKind::Succeeded(_)
            | EventKind::Failed(_)
            | EventKind::Cancelled(_)
            | EventKind::TimedOut(_)
            | EventKind::Unknown(_)
            | EventKind::Reconciled { .. }
            | EventKind::LateResult { .. }
            | EventKind::ApprovalDecided { .. }
            | EventKind::CancelRequested { .. } => None,
        }
    }

    /// Whether the event is the first to tell whose its subject is.
    #[must_use]
    pub fn establishes_owner(kind: &EventKind) -> bool {
        matches!(
            kind,
            EventKind::SwitchEngaged { .. }
                | EventKind::UserCreated { .. }
                | EventKind::CredentialCreated(_)
                | EventKind::VmImported { .. }
        )
    }
}
