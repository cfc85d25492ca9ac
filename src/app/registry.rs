//! Accounts, people, keys and VMs as the command line makes them: checked against control state, recorded as events.

use serde_json::{Value, json};

use super::local_admin::{LocalAdmin, LocalAdminError};
use crate::auth::key::ApiKey;
use crate::auth::password;
use crate::core::code::Code;
use crate::core::commands::account::{OpenAccount, SetAccount, Setter};
use crate::core::commands::key::By;
use crate::core::commands::key::create::CreateKey;
use crate::core::commands::key::revoke::RevokeKey;
use crate::core::commands::key::rotate::RotateKey;
use crate::core::commands::session::SetPassword;
use crate::core::commands::user::{AddUser, NewUser};
use crate::core::commands::vm::{Import, ImportVm};
use crate::core::email::{EmailAddress, EmailAddressError};
use crate::core::event::CredentialCreated;
use crate::core::id::{AccountId, CredentialId, UserId, VmId};
use crate::core::label;
use crate::core::limit::Limit;
use crate::core::principal::Side;
use crate::core::refusal::Refusal;
use crate::core::role::Role;
use crate::core::scope::{Scope, ScopeSet};
use crate::core::scrub::ScrubbedText;
use crate::core::state::ControlState;
use crate::core::time::Micros;
use crate::core::user::User;
use crate::log::users::UserRecord;
use crate::log::users::{AWAITED, is_begun};
use crate::log::vault::VaultError;
use crate::log::writer::WriteError;

/// How often an address is tried that somebody else is adding at the same moment.
const MAX_ATTEMPTS: u32 = 8;

/// A person who was added, with the password that is shown once.
#[derive(Clone, Debug)]
pub struct IssuedPassword {
    /// The account.
    pub account: AccountId,
    /// The person.
    pub user: UserId,
    /// To sign in with.
    pub email: String,
    /// Shown once.
    pub password: String,
}

/// What a key is to be able to do.
#[derive(Clone, Debug)]
pub struct KeySpec {
    /// Whose.
    pub account: AccountId,
    /// The person who holds it; the account's first one if absent.
    pub user: Option<UserId>,
    /// A name for people.
    pub label: String,
    /// Scopes; if empty, those of `usual`.
    pub scopes: ScopeSet,
    /// What it gets if nobody chooses, as far as its holder's role has it.
    pub usual: ScopeSet,
    /// Only these VMs.
    pub vms: Option<Vec<VmId>>,
    /// Only from these networks.
    pub ips: Option<Vec<String>>,
    /// Reads only.
    pub read_only: bool,
    /// When it ends.
    pub expires_at: Option<Micros>,
    /// A limit of its own.
    pub limit: Option<Limit>,
}

impl KeySpec {
    /// A key with everything that its holder may have without being given it by name.
    #[must_use]
    pub fn full(account: AccountId, label: &str) -> Self {
        Self {
            account,
            user: None,
            label: label.to_owned(),
            scopes: ScopeSet::new(),
            usual: Scope::customer().into_iter().chain(Scope::staff()).collect(),
            vms: None,
            ips: None,
            read_only: false,
            expires_at: None,
            limit: None,
        }
    }
}

/// A key that was made; `key` is shown once.
pub struct NewKey {
    /// Its id.
    pub credential: CredentialId,
    /// The key.
    pub key: ApiKey,
    /// What it may do.
    pub scopes: ScopeSet,
}

/// What became of a key's other secret when one was revoked.
pub struct RevokedKey {
    /// It goes on.
    pub goes_on: Option<CredentialId>,
    /// It has ended too.
    pub ended: Option<CredentialId>,
}

impl LocalAdmin {
    /// Makes an account and its owner.
    pub async fn create_account(&self, name: &str, email: &str, side: Side) -> Result<IssuedPassword, LocalAdminError> {
        check_new(name, email)?;
        let (account, name) = (AccountId::new(self.clock.now(), &*self.entropy), named(name)?);
        self.rooms.vault.name_account(&account, &ScrubbedText::of(&name)).await?;
        self.add_person(account, email, side, true).await
    }

    /// Adds a person to an account that is there.
    pub async fn join_account(&self, account: &AccountId, email: &str) -> Result<IssuedPassword, LocalAdminError> {
        let side = side_of(&self.state().await?, account)?;
        self.add_person(account.clone(), email, side, false).await
    }

    async fn add_person(
        &self,
        account: AccountId,
        email: &str,
        side: Side,
        opens: bool,
    ) -> Result<IssuedPassword, LocalAdminError> {
        let email = address(email)?;
        let password = password::generate(&*self.entropy);
        let (side_name, role) = if side == Side::Staff { ("staff", Role::Admin) } else { ("customer", Role::Owner) };
        let person = UserRecord {
            id: UserId::new(self.clock.now(), &*self.entropy),
            account: account.clone(),
            side: side_name.into(),
            role: role.as_str().into(),
            email: email.clone(),
            proved: true,
            password: password::hash_under(&password, self.rooms.vault.salt(&email).await?)?,
        };
        self.await_log(&person).await?;
        let address = self.rooms.vault.address_in(&account, &email).await?;
        let note = self.signed(&account).await?;
        let (user, event) = (person.id.clone(), Some(note.id()));
        let new = NewUser { user: user.clone(), account: account.clone(), role, address, event };
        let recorded = if opens {
            let opened = self.signed(&account).await?;
            let event = Some(opened.id());
            self.change([opened, note], OpenAccount { first: new, event, only_first_staff: false }).await
        } else {
            self.change([note], AddUser(new)).await
        };
        if let Err(error) = recorded {
            if !matches!(error, LocalAdminError::Write(WriteError::Store { uncertain: true, .. })) {
                self.rooms.vault.erase_user(&person.id).await?;
            }
            let is_taken = matches!(&error, LocalAdminError::Against(refusal) if refusal.code == Code::Conflict);
            return Err(if is_taken { LocalAdminError::Refused(already(&email)) } else { error });
        }
        self.rooms.vault.say(&person).await?;
        Ok(IssuedPassword { account, user, email: email.to_string(), password })
    }

    /// Puts somebody into the vault who is nobody before the log says so; an event must not name a person who is not there. Whom no
    /// event names under that address was cut between vault and log, or is at the same thing at this moment: then the log decides
    /// who of them it is, and [`Vault::say`](crate::log::vault::Vault::say) whose the row is.
    async fn await_log(&self, person: &UserRecord) -> Result<(), LocalAdminError> {
        for _ in 0..MAX_ATTEMPTS {
            let others = self.rooms.vault.users_with(&person.email).await?;
            let state = self.state().await?;
            // Whom somebody has invited under that address, in an account of theirs, takes it from nobody.
            for other in others.into_iter().filter(|other| other.proved || other.account == person.account) {
                if state.users.contains_key(&other.id) {
                    return Err(LocalAdminError::Refused(already(&person.email)));
                }
                if is_begun(&other) {
                    self.rooms.vault.forget_begun(&other.id).await?;
                } else {
                    self.rooms.vault.erase_user(&other.id).await?;
                }
            }
            match self.rooms.vault.add_as(AWAITED, person, |other| state.users.contains_key(other)).await {
                Err(VaultError::Taken) => {}
                added => return Ok(added?),
            }
        }
        let text = format!("Somebody is adding a person with the e-mail address {} at this moment.", person.email);
        Err(Refusal::new(Code::Conflict, text).hint("Nothing was done. Look at the account's people, and say it again.").into())
    }

    /// Gives a person another password, and ends their sessions: whoever sits before the data lets in again who has none.
    pub async fn reset_password(&self, account: &AccountId, email: &str) -> Result<IssuedPassword, LocalAdminError> {
        let email = address(email)?;
        let state = self.state().await?;
        side_of(&state, account)?;
        let found = self.rooms.vault.users_of(account).await?;
        let found = found.into_iter().find(|person| person.email == email && person.role_in(&state).is_some());
        let no_one = || LocalAdminError::Refused(format!("nobody of the account {account} has the e-mail address {email}"));
        let person = found.ok_or_else(no_one)?;
        let password = password::generate(&*self.entropy);
        let hash = password::hash_under(&password, self.rooms.vault.salt(&email).await?)?;
        let note = self.signed(account).await?;
        let (user, event) = (person.id.clone(), Some(note.id()));
        self.change([note], SetPassword { user, session: None, event }).await?;
        if !self.rooms.vault.change_password(&person, &hash, "").await? {
            return Err(LocalAdminError::Refused(format!("{email} has chosen another password at this moment")));
        }
        Ok(IssuedPassword { account: account.clone(), user: person.id, email: email.to_string(), password })
    }

    /// Says whether keys of an account may turn command execution on.
    pub async fn set_account(&self, account: &AccountId, agents_may_enable_exec: bool) -> Result<(), LocalAdminError> {
        side_of(&self.state().await?, account)?;
        let note = self.signed(account).await?;
        let (account, by, event) = (account.clone(), Setter::Operator, Some(note.id()));
        self.change([note], SetAccount { account, agents_may_enable_exec, by, event }).await.map(drop)
    }

    /// Makes a key.
    pub async fn create_key(&self, spec: KeySpec) -> Result<NewKey, LocalAdminError> {
        let state = self.state().await?;
        let side = side_of(&state, &spec.account)?;
        let user = self.person_of(&spec.account, spec.user).await?;
        let role = state.users.get(&user).and_then(User::acting_role).map(Role::scopes).unwrap_or_default();
        let scopes = if spec.scopes.is_empty() { spec.usual.intersection(&role).copied().collect() } else { spec.scopes };
        let key = ApiKey::generate(&*self.entropy);
        let credential = CredentialId::new(self.clock.now(), &*self.entropy);
        let created = CredentialCreated {
            credential: credential.clone(),
            account: spec.account.clone(),
            user,
            side,
            hash: key.hash().into(),
            prefix: key.prefix().into(),
            scopes: scopes.clone(),
            vms: spec.vms,
            read_only: spec.read_only,
            expires_at: spec.expires_at,
            limit: spec.limit,
            rotates: None,
            role: None,
            made_by: None,
        };
        let note = self.note(&spec.account, labelled(&spec.label, spec.ips.as_ref())).await?;
        let event = note.id();
        self.change([note], CreateKey { created, ips: spec.ips, by: By::Operator, event }).await?;
        Ok(NewKey { credential, key, scopes })
    }

    /// Makes a key with the same rights as another one, which goes on until it is revoked.
    pub async fn rotate_key(&self, old: &CredentialId) -> Result<NewKey, LocalAdminError> {
        let state = self.state().await?;
        let row = state.credentials.get(old).ok_or_else(|| no_key(old))?;
        let (key, credential) = (ApiKey::generate(&*self.entropy), CredentialId::new(self.clock.now(), &*self.entropy));
        let note = self.note(&row.created.account, labelled(&row.label, row.ips.as_ref())).await?;
        let (new, hash, prefix, event) = (credential.clone(), key.hash(), key.prefix(), note.id());
        self.change([note], RotateKey { old: old.clone(), new, hash, prefix, by: By::Operator, event }).await?;
        Ok(NewKey { credential, key, scopes: row.created.scopes.clone() })
    }

    /// Revokes a key; it fails on its next request, with what came of it. A key that goes on in another one has to be revoked once
    /// more for that one to end, too: it is answered.
    pub async fn revoke_key(&self, credential: &CredentialId) -> Result<RevokedKey, LocalAdminError> {
        let before = self.state().await?;
        let (note, was_on) = (self.signed(&before.operator_account()).await?, before.goes_on_in(credential).cloned());
        let (key, event) = (credential.clone(), Some(note.id()));
        let changed = self.change([note], RevokeKey { key, by: By::Operator, event }).await?;
        let goes_on = changed.state.goes_on_in(credential).cloned();
        // Of one that was live the other secret goes on, of one that was revoked before it ends too.
        let ended = was_on.filter(|_| goes_on.is_none());
        Ok(RevokedKey { goes_on, ended })
    }

    /// Gives a provider's machine to an account.
    pub async fn import_vm(
        &self,
        account: &AccountId,
        provider: &str,
        machine: &str,
        label: &str,
    ) -> Result<VmId, LocalAdminError> {
        let import = Import::of(account.clone(), provider.to_owned(), machine.to_owned(), label)?;
        let vm = VmId::new(self.clock.now(), &*self.entropy);
        let note = self.note(account, json!({ "label": import.label })).await?;
        let event = note.id();
        self.change([note], ImportVm { vm: vm.clone(), import, event }).await?;
        Ok(vm)
    }

    /// The named user of the account, or its first one: each key belongs to an existing user.
    async fn person_of(&self, account: &AccountId, named: Option<UserId>) -> Result<UserId, LocalAdminError> {
        let (people, state) = (self.rooms.vault.users_of(account).await?, self.state().await?);
        let is_here = |person: &UserRecord| person.role_in(&state).is_some() && person.acting_role_in(&state).is_some();
        let mut members: Vec<UserId> = people.into_iter().filter(is_here).map(|person| person.id).collect();
        members.sort();
        let found = match &named {
            Some(user) => members.into_iter().find(|member| member == user),
            None => members.into_iter().next(),
        };
        let text = named.map_or_else(|| "nobody belongs".to_owned(), |user| format!("{user} does not belong"));
        found.ok_or_else(|| LocalAdminError::Refused(format!("{text} to the account {account}")))
    }
}

fn side_of(state: &ControlState, account: &AccountId) -> Result<Side, LocalAdminError> {
    state.accounts.get(account).map(|row| row.side).ok_or_else(|| LocalAdminError::Refused(no_account(account)))
}

fn labelled(label: &str, ips: Option<&Vec<String>>) -> Value {
    match ips {
        Some(ips) => json!({ "label": label, "ips": ips }),
        None => json!({ "label": label }),
    }
}

/// Refuses a name or an address that no account can have, before any data is made for it.
pub fn check_new(name: &str, email: &str) -> Result<(), LocalAdminError> {
    named(name)?;
    address(email).map(|_| ())
}

fn named(text: &str) -> Result<String, LocalAdminError> {
    label::canonical(text).map_err(|error| LocalAdminError::Refused(format!("{text:?} cannot be taken: {error}")))
}

fn address(text: &str) -> Result<EmailAddress, LocalAdminError> {
    text.parse()
        .map_err(|error: EmailAddressError| LocalAdminError::Refused(format!("{text:?} is not an e-mail address: {error}")))
}

fn already(email: &EmailAddress) -> String {
    format!("there is a person with the e-mail address {email} already; `forelog account reset` gives them another password")
}

fn no_key(key: &CredentialId) -> LocalAdminError {
    LocalAdminError::Refused(format!("there is no key {key}"))
}

fn no_account(account: &AccountId) -> String {
    format!("there is no account {account}")
}
