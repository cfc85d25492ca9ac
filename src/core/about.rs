//! What an event that belongs to no call is about: whose it is, who did it, and which key, VM, switch, person or node it names.
//!
//! INVARIANT: every reader asks here, so an event that a customer sees in one list is in each list and export of theirs. A new
//! kind does not compile until it says whose it is.

use super::event::Kind;
use super::id::UserId;
use super::switch::Target;

/// What an event is about, by ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The account, if the event says so itself.
    pub account: Option<String>,
    /// Who did it, or whom it happened to.
    pub person: Option<String>,
    /// Id of the switch, key, VM, node, or what was read.
    pub subject: Option<String>,
    /// Whose account it is, if the event does not say so.
    pub owned_like: Option<String>,
}

impl About {
    /// Nothing for an event of a call: it is its call's.
    #[must_use]
    pub fn of(kind: &Kind) -> Option<Self> {
        let text = |id: &dyn ToString| Some(id.to_string());
        let about = |account, person, subject, owned_like| Some(Self { account, person, subject, owned_like });
        let by = |by: &Option<UserId>| by.as_ref().map(ToString::to_string);
        match kind {
            Kind::SwitchEngaged { switch, target, by: who, .. } => {
                let (account, like) = match target {
                    Target::Account(account) => (text(account), None),
                    Target::Credential(credential) => (None, text(credential)),
                    Target::Resource { id, .. } => (None, text(id)),
                    Target::All | Target::Class(_) | Target::Tool(_) | Target::Provider(_) => (None, None),
                };
                about(account, by(who), text(switch), like)
            }
            Kind::ReleaseRequested { switch, by: who, .. } => about(None, text(who), text(switch), text(switch)),
            Kind::SwitchReleased { switch, by: who, .. } | Kind::ReleaseRamped { switch, by: who, .. } => {
                about(None, by(who), text(switch), text(switch))
            }
            Kind::SwitchExpired { switch } => about(None, None, text(switch), text(switch)),
            Kind::AccountCreated { account, .. } | Kind::AccountChanged { account, .. } => {
                about(text(account), None, text(account), None)
            }
            Kind::UserCreated { user, account, invited_by, .. } => about(text(account), by(invited_by), text(user), None),
            Kind::CredentialCreated(made) => about(text(&made.account), text(&made.user), text(&made.credential), None),
            Kind::CredentialRevoked { credential, by: who } | Kind::CredentialAdopted { credential, by: who, .. } => {
                about(None, by(who), text(credential), text(credential))
            }
            Kind::VmImported { vm, account, .. } => about(text(account), None, text(vm), None),
            Kind::VmExecSet { vm, .. } => about(None, None, text(vm), text(vm)),
            Kind::ClaimCleared { resource, by: who, .. } => about(None, by(who), text(resource), text(resource)),
            Kind::PolicyLoaded { sha256, by: who, .. } => about(None, by(who), Some(sha256.to_string()), None),
            Kind::PolicyRejected { sha256 } => about(None, None, Some(sha256.to_string()), None),
            Kind::NodeStarted { node, .. } | Kind::NodeStopped { node } => about(None, None, text(node), None),
            Kind::LogRead { user, account, what } => {
                about(account.as_ref().map(ToString::to_string), by(user), Some(what.to_string()), None)
            }
            Kind::SignedIn { user, .. }
            | Kind::PasswordSet { user, .. }
            | Kind::IdentityLinked { user, .. }
            | Kind::IdentityUnlinked { user, .. }
            | Kind::VouchedFor { user, .. } => about(None, text(user), text(user), text(user)),
            Kind::SignedOut { user, by: who, .. } => about(None, by(who).or_else(|| text(user)), text(user), text(user)),
            Kind::PersonInvited { invitation, account, by: who, .. }
            | Kind::InvitationRevoked { invitation, account, by: who } => about(text(account), by(who), text(invitation), None),
            Kind::RoleChanged { user, account, by: who, .. } | Kind::UserRemoved { user, account, by: who } => {
                about(text(account), by(who), text(user), None)
            }
            Kind::RoleWithdrawn { user, account, .. } => about(text(account), None, text(user), None),
            Kind::SignInRefused { user, .. } => about(None, by(user), by(user), by(user)),
            Kind::DrillCompleted(drill) => about(None, text(&drill.by), text(&drill.drill), None),
            Kind::ClockAccepted { by: who, .. } | Kind::LimitsSet { by: who, .. } => about(None, by(who), None, None),
            Kind::StateMended { .. } => about(None, None, None, None),
            Kind::RefusalsCounted { account, credential, .. } => about(text(account), None, text(credential), None),
            Kind::IntentRecorded(_)
            | Kind::Refused(_)
            | Kind::Admitted(_)
            | Kind::Held { .. }
            | Kind::Started { .. }
            | Kind::Succeeded(_)
            | Kind::Failed(_)
            | Kind::Cancelled(_)
            | Kind::TimedOut(_)
            | Kind::Unknown(_)
            | Kind::Reconciled { .. }
            | Kind::LateResult { .. }
            | Kind::ApprovalDecided { .. }
            | Kind::CancelRequested { .. } => None,
        }
    }

    /// Whether the event is the first to tell whose its subject is.
    #[must_use]
    pub fn tells_whose(kind: &Kind) -> bool {
        matches!(
            kind,
            Kind::SwitchEngaged { .. } | Kind::UserCreated { .. } | Kind::CredentialCreated(_) | Kind::VmImported { .. }
        )
    }
}
