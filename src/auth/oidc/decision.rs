//! Decides whether an issuer's user may sign in, and as whom. Pure.
//!
//! INVARIANT: the order of the checks does not depend on which users exist. So a refusal tells an attacker who chooses an e-mail
//! address at the issuer nothing about our users.

use super::fault::{Check, Place};
use super::issuer::Claims;
use super::settings::Settings;
use crate::core::email::EmailAddress;
use crate::core::principal::Side;
use crate::core::role::Role;
use crate::log::users::UserRecord;

/// Why somebody does not come in. The log has it; whoever is refused is told less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenialReason {
    /// The browser has no attempt: not begun here, or too long ago.
    NoAttempt,
    /// Not what this browser's attempt has to come back with.
    WrongState,
    /// It was used before.
    Replayed,
    /// It says another role than they have, and that was changed after the attempt began: an older word does not undo a newer one.
    Older,
    /// The issuer let nobody in.
    Denied,
    /// It cannot be reached, or did not answer in time.
    Unavailable,
    /// It answered what nobody can use.
    Misanswered(Place),
    /// It gave no token.
    NoToken,
    /// Its token is not to be believed.
    Untrue(Check),
    /// None of the groups has a role.
    NoRole,
    /// The e-mail address is not verified, or of a domain for which the issuer is not believed.
    Unbelieved,
    /// Nobody here has it.
    Unknown,
    /// They were removed: who would be made again by an issuer is invited by name, or not at all.
    Removed,
    /// The person is of the other side.
    OtherSide,
    /// The person, or the identity, is linked otherwise.
    LinkedOtherwise,
    /// They came with a password, and its groups say their role.
    IssuerDecides,
    /// Whoever asked to be linked is not signed in any more.
    NotSignedIn,
}

impl DenialReason {
    /// As the log has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoAttempt => "no_attempt",
            Self::WrongState => "wrong_state",
            Self::Replayed => "replayed",
            Self::Older => "older_word",
            Self::Denied => "denied_by_issuer",
            Self::Unavailable => "issuer_unavailable",
            Self::Misanswered(_) => "issuer_misanswered",
            Self::NoToken => "no_token",
            Self::Untrue(_) => "untrue_token",
            Self::NoRole => "no_role",
            Self::Unbelieved => "unbelieved_email",
            Self::Unknown => "unknown_person",
            Self::Removed => "removed_person",
            Self::OtherSide => "other_side",
            Self::LinkedOtherwise => "linked_otherwise",
            Self::IssuerDecides => "issuer_decides",
            Self::NotSignedIn => "not_signed_in",
        }
    }
}

impl DenialReason {
    /// Whether the issuer failed, and not whoever came back.
    #[must_use]
    pub fn is_the_issuers(self) -> bool {
        matches!(self, Self::Unavailable | Self::Misanswered(_) | Self::NoToken | Self::Untrue(_))
    }
}

/// What becomes of them.
#[derive(Debug)]
pub enum Verdict {
    /// They come in.
    Enter {
        /// As whom.
        person: UserRecord,
        /// The role that they have from now on; none: the one they have.
        role: Option<Role>,
        /// For the first time with this issuer.
        link: bool,
    },
    /// They come in as somebody who was not here before.
    Create {
        /// Their e-mail address.
        email: EmailAddress,
        /// Their role.
        role: Role,
    },
    /// They do not.
    Refuse(DenialReason),
}

/// Judges. `linked` is the person whom the issuer knows as this subject, `namesakes` are those with this e-mail address.
///
/// Of customers only somebody counts whose address was proved: whoever invites an address and uses the link themselves would
/// otherwise get its owner into their account. Of the staff everybody counts, for only staff invite them.
#[must_use]
pub fn decide(settings: &Settings, claims: &Claims, linked: Option<UserRecord>, namesakes: &[UserRecord]) -> Verdict {
    let Ok(role) = settings.role_of(&claims.groups) else { return Verdict::Refuse(DenialReason::NoRole) };
    if let Some(person) = linked {
        return enter(settings, person, role, false);
    }
    let email = claims.email.as_ref().filter(|email| claims.is_verified && settings.believes(email));
    let Some(email) = email else { return Verdict::Refuse(DenialReason::Unbelieved) };
    let counts = |person: &&UserRecord| person.proved || is_of(person, Side::Staff);
    let of_side = namesakes.iter().filter(counts).find(|person| is_of(person, settings.side));
    match (of_side.or_else(|| namesakes.iter().find(counts)), role) {
        (Some(person), role) => enter(settings, person.clone(), role, true),
        (None, Some(role)) if settings.create => Verdict::Create { email: email.clone(), role },
        _ => Verdict::Refuse(DenialReason::Unknown),
    }
}

fn enter(settings: &Settings, person: UserRecord, role: Option<Role>, link: bool) -> Verdict {
    if is_of(&person, settings.side) { Verdict::Enter { person, role, link } } else { Verdict::Refuse(DenialReason::OtherSide) }
}

/// Whether a person is of a side.
#[must_use]
pub fn is_of(person: &UserRecord, side: Side) -> bool {
    person.side == if side == Side::Staff { "staff" } else { "customer" }
}
