//! Users whom an issuer vouched for before, and the end of its vouching.
//!
//! INVARIANT: an issuer never creates the same user twice. A removed user comes back only by a named invitation of the staff.

use super::callback::{Stop, refuse};
use super::decision::DenialReason;
use super::issuer::Claims;
use crate::auth::session::{SessionError, Sessions};
use crate::core::commands::issuer::WithdrawRole;
use crate::core::id::Position;
use crate::log::users::UserRecord;

impl Sessions {
    /// Refuses to make a person of somebody whom the issuer has known as one. Asked after it was found linked with nobody: who
    /// is erased by then was removed in the log before.
    ///
    /// Another tab may have made and linked them a moment ago: who is one of the people is looked for once more.
    pub(super) async fn check_unknown_before(&self, issuer: &str, claims: &Claims, is_again: bool) -> Result<(), Stop> {
        let digest = self.vault.known_as(issuer, &claims.subject).await?;
        let state = self.head().await?;
        let known = state.known_as(&digest).map(|row| (row.role.is_some(), row.id.clone()));
        let Some((is_here, user)) = known.max() else { return Ok(()) };
        if is_here && !is_again {
            return Err(Stop::Again);
        }
        let why = if is_here { DenialReason::LinkedOtherwise } else { DenialReason::Removed };
        Err(refuse(why, Some(user.to_string()), Some(claims.clone()), None))
    }

    /// No group gives a person a role any more: what they act with ends, their keys, and the invitations that they made, and no
    /// password lets them in. Their role is what they come back to with a group that gives one.
    ///
    /// False, and nothing ends, if somebody changed their role after `seen`, when the issuer was asked.
    pub(super) async fn end_what_they_act_with(
        &self,
        person: &UserRecord,
        issuer: &str,
        seen: Position,
    ) -> Result<bool, SessionError> {
        let (user, account, issuer) = (person.id.clone(), person.account.clone(), issuer.to_owned());
        let withdrawn = self.change(None, WithdrawRole { user, account, issuer, seen }).await?;
        Ok(withdrawn.is_ok_and(|withdrawn| withdrawn.answer))
    }
}
