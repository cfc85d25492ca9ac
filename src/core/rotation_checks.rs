//! Rotating and revoking, as one who has a key in his hands sees it: what a new secret would be good for, and what goes on
//! when an old one ends.
//!
//! INVARIANT: no secret is handed out that was dead before it was shown, and nobody is told that a key has ended while another
//! secret of it goes on.

use super::code::Code;
use super::id::CredentialId;
use super::lineage::alive;
use super::refusal::Refusal;
use super::state::ControlState;
use super::time::Micros;

/// Refuses to rotate a key whose new secret would be as dead as the old one. `taken_over` says that the new one is somebody
/// else's, whom it does not concern that the holder of the old one has left.
pub fn check_rotation(state: &ControlState, old: &CredentialId, taken_over: bool, now: Micros) -> Result<(), Refusal> {
    let checked = state.lineage(old).and_then(|lineage| {
        lineage.check_alive(now)?;
        if !(taken_over && state.has_left(lineage.own())) {
            return alive(state, old, now).map(drop);
        }
        let makers = state.makers(old).into_iter();
        makers.map(|maker| alive(state, &maker.created.credential, now)).try_for_each(|maker| maker.map(drop))
    });
    checked.map_err(|why| {
        let text = format!("{} A new secret of it would never work.", why.message);
        Refusal::new(Code::Conflict, text).hint(why.hint.unwrap_or_else(|| "Make a new key instead.".into()))
    })
}

impl ControlState {
    /// The other secret of a key that goes on although this one was revoked: the first revocation after a rotation ends one of
    /// two (`core::lineage`).
    #[must_use]
    pub fn goes_on_in<'a>(&'a self, revoked: &'a CredentialId) -> Option<&'a CredentialId> {
        if self.has_ended(revoked) {
            return None;
        }
        let first = self.first_of(revoked);
        let newest = self.credentials.get(first)?.descent.newest.as_ref().unwrap_or(first);
        let goes_on = |id: &&CredentialId| *id != revoked && self.credentials.get(id).is_some_and(|row| row.revoked_at.is_none());
        Some(newest).filter(goes_on)
    }
}

/// What is said of a key that was revoked while another secret of it goes on.
#[must_use]
pub fn said_of(revoked: &CredentialId, goes_on: Option<&CredentialId>) -> String {
    goes_on.map_or_else(
        || format!("{revoked} is revoked"),
        |other| {
            let which = if other > revoked { "which replaces it" } else { "which it replaces" };
            format!("{revoked} is revoked; {other}, {which}, goes on: revoke {revoked} once more to end both")
        },
    )
}
