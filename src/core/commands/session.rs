//! Sessions of the console: begun and ended, and passwords, which end them.
//!
//! INVARIANT: a session begins only in the role that its person has in that transaction, and with a credential of just the rights
//! of that role, which does not die of disuse before it.

use super::user::absent;
use super::vouching::Word;
use super::{Change, Command, Snapshot};
use crate::core::decide::INACTIVITY;
use crate::core::event::{CredentialCreated, EventKind};
use crate::core::grant::may_manage;
use crate::core::id::{AccountId, CredentialId, EventId, UserId};
use crate::core::principal::Principal;
use crate::core::refusal::Refusal;
use crate::core::role::Role;
use crate::core::state::{ControlState, Credential};
use crate::core::user::{MAX_SESSION, User};

/// What the console is to act with for a person, if there is nothing that fits.
#[derive(Clone, Debug)]
pub struct NewConsoleKey {
    /// Its id.
    pub credential: CredentialId,
    /// Digest of nothing that anybody has.
    pub hash: String,
    /// The id of its event, whose text has its label.
    pub event: EventId,
}

/// Begins a session.
pub struct SignIn {
    /// Who.
    pub user: UserId,
    /// Of which account.
    pub account: AccountId,
    /// In which role.
    pub role: Role,
    /// Digest of the session.
    pub session: String,
    /// The issuer that let them in, by its name in the configuration; none after a password.
    pub issuer: Option<String>,
    /// The sessions that end with it, by whose they are and their digests: who comes in may take another's place in a browser.
    pub ended: Vec<(UserId, String)>,
    /// Who vouches for them.
    pub word: Word,
    /// What the console acts with for them as far as is known, whose last use is looked at.
    pub known: Option<CredentialId>,
    /// What it acts with if that does not do.
    pub fresh: NewConsoleKey,
    /// The id of the event that they signed in, whose text says from where.
    pub event: EventId,
}

impl Command for SignIn {
    /// What the console acts with; none, if the person has another role by now.
    type Answer = Option<CredentialId>;

    fn uses(&self) -> Vec<CredentialId> {
        self.known.iter().cloned().collect()
    }

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change<Self::Answer>, Refusal> {
        let member = at.state.users.get(&self.user).filter(|row| row.account == self.account);
        if member.and_then(User::acting_role) != Some(self.role) {
            return Ok(Change::none().answering(None));
        }
        let usable = console_key(at.state, &self.user, &self.account, self.role).filter(|row| lives_on(row, at));
        let mut change = Change::none();
        if usable.is_none() {
            change = change.and_noted(&self.fresh.event, EventKind::CredentialCreated(self.created()));
        }
        let user = &self.user;
        let ended = self.ended.iter().map(|(whose, session)| signed_out(whose, Some(session), None));
        let (session, issuer) = (Some(self.session.as_str().into()), self.issuer.as_deref().map(Into::into));
        change = change.and_all(ended).and_noted(&self.event, EventKind::SignedIn { user: user.clone(), session, issuer });
        let credential = usable.map_or(&self.fresh.credential, |row| &row.created.credential);
        Ok(self.word.said(change, user, at).answering(Some(credential.clone())))
    }
}

impl SignIn {
    fn created(&self) -> CredentialCreated {
        CredentialCreated {
            credential: self.fresh.credential.clone(),
            account: self.account.clone(),
            user: self.user.clone(),
            side: self.role.side(),
            hash: self.fresh.hash.as_str().into(),
            prefix: "console".into(),
            scopes: self.role.scopes(),
            vms: None,
            read_only: false,
            expires_at: None,
            limit: None,
            rotates: None,
            role: Some(self.role),
            made_by: None,
        }
    }
}

/// The credential that the console acts with for a person, if there is a live one with just the rights of the role.
#[must_use]
pub fn console_key<'a>(state: &'a ControlState, user: &UserId, account: &AccountId, role: Role) -> Option<&'a Credential> {
    let fits = |made: &CredentialCreated| made.account == *account && made.role == Some(role) && made.scopes == role.scopes();
    state.keys_of_user(user).rfind(|row| row.revoked_at.is_none() && fits(&row.created))
}

/// Whether it will not die of disuse while the session lasts. One whose use cannot be read does: with that nobody could look at
/// anything, nor stop it.
fn lives_on(row: &Credential, at: &Snapshot<'_>) -> bool {
    let Some(used) = at.uses.get(&row.created.credential) else { return false };
    let used = used.map_or(row.created_at, |used| used.max(row.created_at));
    at.now.plus(MAX_SESSION).since(used) < INACTIVITY
}

/// Who ends a session.
#[derive(Clone, Debug)]
pub enum Ender {
    /// Whoever it is of, by signing out or in anew.
    Themselves,
    /// Whoever calls: a person their own, and those of whom they manage.
    Caller(Principal),
}

/// Ends a session of a person, or all of them.
pub struct EndSessions {
    /// Whose.
    pub user: UserId,
    /// Digest of the one that ends; all of them, if it is not said.
    pub session: Option<String>,
    /// Who ends it.
    pub by: Ender,
}

impl Command for EndSessions {
    type Answer = ();

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change, Refusal> {
        let by = match &self.by {
            Ender::Themselves => None,
            Ender::Caller(who) if may_end(at.state, who, &self.user) => Some(&who.user).filter(|by| **by != self.user),
            Ender::Caller(_) => return Err(absent()),
        };
        Ok(Change::of(signed_out(&self.user, self.session.as_ref(), by)))
    }
}

/// Whether the caller may end somebody's sessions. A key is no person: it does not sign its holder out.
#[must_use]
pub fn may_end(state: &ControlState, who: &Principal, user: &UserId) -> bool {
    let is_person = state.credentials.get(&who.credential).is_some_and(Credential::is_person);
    let manages = || state.users.get(user).is_some_and(|member| may_manage(state, who, &member.account));
    (is_person && *user == who.user) || manages()
}

fn signed_out(user: &UserId, session: Option<&String>, by: Option<&UserId>) -> EventKind {
    EventKind::SignedOut { user: user.clone(), session: session.map(|session| session.as_str().into()), by: by.cloned() }
}

/// Records that a person has another password, which ends their other sessions.
pub struct SetPassword {
    /// Whose.
    pub user: UserId,
    /// Digest of the session that goes on, in which they chose it.
    pub session: Option<String>,
    /// The id of its event, if it has a text.
    pub event: Option<EventId>,
}

impl Command for SetPassword {
    type Answer = ();

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change, Refusal> {
        if at.state.users.get(&self.user).is_none_or(|row| row.role.is_none()) {
            return Err(absent());
        }
        let session = self.session.as_deref().map(Into::into);
        Ok(Change::under(self.event.as_ref(), EventKind::PasswordSet { user: self.user.clone(), session }))
    }
}
