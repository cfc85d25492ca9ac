//! What finds rows of control state by something else than their ids: whose they are, what they are called, what came of them.
//!
//! INVARIANT: a finder holds ids and follows from the rows alone ([`super::table`]). Whatever is asked about one customer, one
//! person, one key or one machine is asked here, and looks at what is theirs: the rows of all others cost it nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::id::{AccountId, CredentialId, InvitationId, UserId};
use super::principal::Side;
use super::row::{Account, Credential};
use super::switch::Switch;
use super::table::{MultiIndex, Row, Tree};
use super::time::Micros;
use super::user::{Invitation, User};

/// A name, and what has it; nothing before all that have it.
pub(super) type Called<Id> = (Box<str>, Option<Id>);

/// Accounts of the staff.
#[derive(Clone, Debug, Default)]
pub struct AccountIndex {
    pub(super) staff: Tree<AccountId, ()>,
}

/// Keys by what they are, whose, and what they come from.
#[derive(Clone, Debug, Default)]
pub struct KeyIndex {
    pub(super) hashes: Tree<Box<str>, CredentialId>,
    /// In the order in which they were made.
    pub(super) accounts: MultiIndex<AccountId, (Micros, CredentialId)>,
    pub(super) users: MultiIndex<UserId, CredentialId>,
    /// The credentials that are one key, by the first of them; of keys that were never replaced, nothing.
    pub(super) rotations: Tree<CredentialId, Arc<BTreeSet<CredentialId>>>,
    /// The first of each key by the first of each that it comes from.
    pub(super) made_with: MultiIndex<CredentialId, CredentialId>,
}

/// People by account, by whom issuers know them as, and by who invited them.
#[derive(Clone, Debug, Default)]
pub struct UserIndex {
    pub(super) accounts: MultiIndex<AccountId, UserId>,
    pub(super) digests: MultiIndex<Box<str>, UserId>,
    pub(super) hosts: MultiIndex<UserId, UserId>,
}

/// Invitations by account and by who made them.
#[derive(Clone, Debug, Default)]
pub struct InvitationIndex {
    pub(super) accounts: MultiIndex<AccountId, InvitationId>,
    pub(super) makers: MultiIndex<UserId, InvitationId>,
}

impl Row for Account {
    type Id = AccountId;
    type Finder = AccountIndex;

    fn id(&self) -> &AccountId {
        &self.id
    }

    fn enter(&self, finder: &mut AccountIndex) {
        if self.side == Side::Staff {
            finder.staff.insert_mut(self.id.clone(), ());
        }
    }

    fn leave(&self, finder: &mut AccountIndex) {
        finder.staff.remove_mut(&self.id);
    }

    fn is_found_as(&self, was: &Self) -> bool {
        self.side == was.side
    }
}

impl Row for Credential {
    type Id = CredentialId;
    type Finder = KeyIndex;

    fn id(&self) -> &CredentialId {
        &self.created.credential
    }

    fn enter(&self, finder: &mut KeyIndex) {
        let (id, made) = (self.id(), &self.created);
        finder.hashes.insert_mut(made.hash.as_str().into(), id.clone());
        finder.accounts.add(made.account.clone(), (self.created_at, id.clone()));
        finder.users.add(made.user.clone(), id.clone());
        let Some(first) = &self.descent.first else {
            self.descent.makers.iter().for_each(|maker| finder.made_with.add(maker.clone(), id.clone()));
            return;
        };
        let mut same = finder.rotations.get(first).map(Arc::clone).unwrap_or_default();
        Arc::make_mut(&mut same).extend([first.clone(), id.clone()]);
        finder.rotations.insert_mut(first.clone(), same);
    }

    fn leave(&self, finder: &mut KeyIndex) {
        let (id, made) = (self.id(), &self.created);
        if finder.hashes.get(made.hash.as_str()) == Some(id) {
            finder.hashes.remove_mut(made.hash.as_str());
        }
        finder.accounts.drop(&made.account, &(self.created_at, id.clone()));
        finder.users.drop(&made.user, id);
        self.descent.makers.iter().for_each(|maker| finder.made_with.drop(maker, id));
        let Some((first, mut same)) =
            self.descent.first.as_ref().and_then(|first| finder.rotations.get(first).map(|same| (first, Arc::clone(same))))
        else {
            return;
        };
        Arc::make_mut(&mut same).remove(id);
        if same.iter().all(|other| other == first) {
            finder.rotations.remove_mut(first);
        } else {
            finder.rotations.insert_mut(first.clone(), same);
        }
    }

    fn is_found_as(&self, was: &Self) -> bool {
        let (made, before) = (&self.created, &was.created);
        (&made.hash, &made.account, &made.user, self.created_at) == (&before.hash, &before.account, &before.user, was.created_at)
            && (&self.descent.first, &self.descent.makers) == (&was.descent.first, &was.descent.makers)
    }
}

impl Row for User {
    type Id = UserId;
    type Finder = UserIndex;

    fn id(&self) -> &UserId {
        &self.id
    }

    fn enter(&self, finder: &mut UserIndex) {
        finder.accounts.add(self.account.clone(), self.id.clone());
        self.known_as.iter().for_each(|digest| finder.digests.add(digest.as_str().into(), self.id.clone()));
        self.invited.iter().for_each(|invited| finder.hosts.add(invited.by.clone(), self.id.clone()));
    }

    fn leave(&self, finder: &mut UserIndex) {
        finder.accounts.drop(&self.account, &self.id);
        self.known_as.iter().for_each(|digest| finder.digests.drop(&digest.as_str().into(), &self.id));
        self.invited.iter().for_each(|invited| finder.hosts.drop(&invited.by, &self.id));
    }

    fn is_found_as(&self, was: &Self) -> bool {
        (&self.account, &self.known_as, &self.invited) == (&was.account, &was.known_as, &was.invited)
    }
}

impl Row for Invitation {
    type Id = InvitationId;
    type Finder = InvitationIndex;

    fn id(&self) -> &InvitationId {
        &self.id
    }

    fn enter(&self, finder: &mut InvitationIndex) {
        finder.accounts.add(self.account.clone(), self.id.clone());
        self.by.iter().for_each(|by| finder.makers.add(by.clone(), self.id.clone()));
    }

    fn leave(&self, finder: &mut InvitationIndex) {
        finder.accounts.drop(&self.account, &self.id);
        self.by.iter().for_each(|by| finder.makers.drop(by, &self.id));
    }

    fn is_found_as(&self, was: &Self) -> bool {
        (&self.account, &self.by) == (&was.account, &was.by)
    }
}

/// There are few, and a call is held against all of them.
impl Row for Switch {
    type Id = super::id::SwitchId;
    type Finder = ();

    fn id(&self) -> &super::id::SwitchId {
        &self.id
    }

    fn enter(&self, (): &mut ()) {}

    fn leave(&self, (): &mut ()) {}

    fn is_found_as(&self, _: &Self) -> bool {
        true
    }
}

pub(super) fn called<Id: Clone>(name: &str, id: &Id) -> Called<Id> {
    (name.into(), Some(id.clone()))
}

/// Those under one that have this name.
pub(super) fn with_name<'a, A: Clone + Ord + std::borrow::Borrow<Q>, Q: Ord + ?Sized, Id: Clone + Ord>(
    names: &'a MultiIndex<A, Called<Id>>,
    under: &Q,
    name: &str,
) -> Vec<&'a Id> {
    let first = (Box::from(name), None);
    names.from(under, &first).take_while(|(other, _)| **other == *name).filter_map(|(_, id)| id.as_ref()).collect()
}
