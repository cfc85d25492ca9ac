//! The vault's rows of people beside their sessions: who they are, whom somebody has invited, and what is erased when a person
//! goes.
//!
//! An e-mail address is one person's in each account: whoever invites an address learns nothing of other accounts, and takes
//! nothing from anybody. It is one person's everywhere only once it was proved: by an operator at the command line, or by an
//! issuer that is believed for it.
//!
//! INVARIANT: who is one of an account's people, and in which role, is said by the log alone: somebody of whom it says nothing is
//! nobody. Who they are is said by a row with its signet ([`super::signet`]). Addresses are stored in their canonical form.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use super::signet::{INVITED, InvalidSignet, PERSON, ours};
use super::sql::{Row, SqlError, Transaction, Value};
use super::vault::{Vault, VaultError};
use crate::core::email::EmailAddress;
use crate::core::id::{AccountId, InvitationId, UserId};
use crate::core::role::Role;
use crate::core::state::ControlState;
use crate::core::time::Micros;
use crate::core::user::User;

/// Placeholder role of an invited user who is in the vault but not yet in the log.
pub const UNSAID: &str = "unsaid";

/// The same for a user without an invitation. Reserves the address within the account until the log decides.
pub const AWAITED: &str = "awaited";

/// How many may take one address's place in the vault after another while the log has said whose it is.
const MOST_AT_ONCE: usize = 16;

/// The key that the salts of passwords are made with.
const SALT: &str = "sign-in/salt";

/// The key that digests of addresses are made with.
const ADDRESS: &str = "sign-in/address";

/// A person who signs in, or holds keys.
#[derive(Clone, Debug)]
pub struct UserRecord {
    /// Id.
    pub id: UserId,
    /// Whose member; staff have an account of their own.
    pub account: AccountId,
    /// `customer` or `staff`.
    pub side: String,
    /// Role.
    pub role: String,
    /// E-mail address, one person's in each account.
    pub email: EmailAddress,
    /// An operator or an issuer said that the address is theirs.
    pub proved: bool,
    /// Argon2id, PHC string.
    pub password: String,
}

/// Whom an invitation is for.
#[derive(Clone, Debug)]
pub struct Invited {
    /// The invitation.
    pub id: InvitationId,
    /// SHA-256 of the link's token, hex.
    pub hash: String,
    /// Whose people they would be of.
    pub account: AccountId,
    /// E-mail address.
    pub email: EmailAddress,
    /// The link works until then.
    pub ends: Micros,
}

impl UserRecord {
    /// The role that they have, as the log says; none if they were removed, or never became one of an account's people.
    #[must_use]
    pub fn role_in(&self, state: &ControlState) -> Option<Role> {
        state.users.get(&self.id).filter(|member| member.account == self.account)?.role
    }

    /// As it is stored.
    fn columns(&self) -> Vec<Value> {
        let Self { id, account, side, role, email, proved, password } = self;
        let texts = [id.as_str(), account.as_str(), side, role, email.as_str()].map(Value::from);
        texts.into_iter().chain([i64::from(*proved).into(), password.as_str().into()]).collect()
    }
}

/// Whether somebody began to become one of an account's people, and got no further as far as the vault knows.
#[must_use]
pub fn is_begun(person: &UserRecord) -> bool {
    person.role == UNSAID || person.role == AWAITED
}

impl UserRecord {
    /// The role that they come in with: not one that their issuer has taken back.
    #[must_use]
    pub fn acting_role_in(&self, state: &ControlState) -> Option<Role> {
        state.users.get(&self.id).map_or_else(|| self.role.parse().ok(), User::acting_role)
    }
}

impl Vault {
    /// Keeps whom an invitation is for, and forgets those whose time was over before `now`.
    pub async fn keep_invited(&self, invited: &Invited, now: Micros) -> Result<(), VaultError> {
        let mut transaction = self.database().begin().await?;
        transaction.execute("delete from invited where ends <= $1", vec![now.0.into()]).await?;
        transaction.execute(&INVITED.insert(), self.signed(&INVITED, invited.columns())).await?;
        Ok(transaction.commit().await?)
    }

    /// Whom a link is for.
    pub async fn invited_by_link(&self, hash: &str) -> Result<Option<Invited>, VaultError> {
        Ok(self.invited_where("i.hash = $1", hash).await?.pop())
    }

    /// Everybody who is invited to be one of an account's people.
    pub async fn invited_to(&self, account: &AccountId) -> Result<Vec<Invited>, VaultError> {
        self.invited_where("i.account = $1 order by i.id", account.as_str()).await
    }

    async fn invited_where(&self, condition: &str, value: &str) -> Result<Vec<Invited>, VaultError> {
        let sql = format!("select {} from invited i where {condition}", INVITED.of("i"));
        let rows = self.database().query(&sql, vec![value.into()]).await?;
        Ok(ours(&INVITED, &rows, |row| self.read_invited(row)))
    }

    /// Forgets whom an invitation was for.
    pub async fn forget_invited(&self, id: &InvitationId) -> Result<(), VaultError> {
        let mut transaction = self.database().begin().await?;
        transaction.execute("delete from invited where id = $1", vec![id.as_str().into()]).await?;
        Ok(transaction.commit().await?)
    }

    /// Adds a person. Their address is stored as proved if they say so and it is nobody's else by that. An address that somebody of
    /// the account has is [`VaultError::Taken`].
    pub async fn add_user(&self, person: &UserRecord) -> Result<(), VaultError> {
        let mut transaction = self.database().begin().await?;
        let proved = person.proved && transaction.query(PROVED, vec![person.email.as_str().into()]).await?.is_empty();
        let columns = UserRecord { proved, ..person.clone() }.columns();
        let sql = format!("{} on conflict do nothing", PERSON.insert());
        if transaction.execute(&sql, self.signed(&PERSON, columns)).await? == 0 {
            return Err(VaultError::Taken);
        }
        Ok(transaction.commit().await?)
    }

    /// Adds somebody whom the log has to make one of an account's people, as [`UNSAID`] or [`AWAITED`], and erases those who
    /// once were to be that in the account and never got through. `is_member` says whom the log knows.
    pub async fn add_as(
        &self,
        unsaid: &'static str,
        person: &UserRecord,
        is_member: impl Fn(&UserId) -> bool,
    ) -> Result<(), VaultError> {
        let args = vec![person.account.as_str().into(), person.email.as_str().into(), UNSAID.into(), AWAITED.into()];
        for other in self.people_where("p.account = $1 and p.email = $2 and p.role in ($3, $4)", args).await? {
            // Somebody may be at the same thing at this moment; the log, or the vault, decides which of them gets through.
            let is_old = person.id.made_at().since(other.id.made_at()) > if other.role == UNSAID { ABANDONED } else { AT_IT };
            if is_old && !is_member(&other.id) {
                self.forget_begun(&other.id).await?;
            }
        }
        self.add_user(&UserRecord { role: unsaid.into(), proved: false, ..person.clone() }).await
    }

    /// Forgets somebody who began to become one of an account's people, if they got no further: whom [`Vault::say`] has said stays.
    pub async fn forget_begun(&self, person: &UserId) -> Result<(), VaultError> {
        let begun = vec![person.as_str().into(), UNSAID.into(), AWAITED.into()];
        self.change("delete from person where id = $1 and role in ($2, $3)", begun).await?;
        Ok(())
    }

    /// The log has made somebody one of an account's people: the vault has their role, too, and whether their address is
    /// proved. Somebody else who was at the same thing may have taken their row for one that was left behind; it is theirs.
    pub async fn say(&self, person: &UserRecord) -> Result<(), VaultError> {
        let mut transaction = self.database().begin().await?;
        for _ in 0..MOST_AT_ONCE {
            let proved = person.proved && transaction.query(PROVED, vec![person.email.as_str().into()]).await?.is_empty();
            let said = UserRecord { proved, ..person.clone() };
            if self.held(&mut *transaction, &person.id).await?.is_some() {
                self.rewrite(&mut *transaction, &said).await?;
                return Ok(transaction.commit().await?);
            }
            let whose = vec![person.account.as_str().into(), person.email.as_str().into()];
            transaction.execute("delete from person where account = $1 and email = $2", whose).await?;
            // Another one may take the place between these two statements; their row is seen by the next round.
            let sql = format!("{} on conflict do nothing", PERSON.insert());
            if transaction.execute(&sql, self.signed(&PERSON, said.columns())).await? == 1 {
                return Ok(transaction.commit().await?);
            }
        }
        Err(VaultError::Taken)
    }

    /// Everybody with this e-mail address: whose address was proved first, then by age.
    pub async fn users_with(&self, email: &EmailAddress) -> Result<Vec<UserRecord>, VaultError> {
        self.people_where("p.email = $1 order by p.proved desc, p.id", vec![email.as_str().into()]).await
    }

    /// Notes that a person's address was proved; nothing, if it is somebody else's by that.
    pub async fn prove(&self, person: &UserRecord) -> Result<(), VaultError> {
        let mut transaction = self.database().begin().await?;
        if transaction.query(PROVED, vec![person.email.as_str().into()]).await?.is_empty()
            && let Some(own) = self.held(&mut *transaction, &person.id).await?
        {
            self.rewrite(&mut *transaction, &UserRecord { proved: true, ..own }).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Everybody, by e-mail address.
    pub async fn users(&self) -> Result<Vec<UserRecord>, VaultError> {
        self.people_where("1 = 1 order by p.email, p.id", Vec::new()).await
    }

    async fn people_where(&self, condition: &str, args: Vec<Value>) -> Result<Vec<UserRecord>, VaultError> {
        let sql = format!("select {} from person p where {condition}", PERSON.of("p"));
        let rows = self.database().query(&sql, args).await?;
        Ok(ours(&PERSON, &rows, |row| self.read_person(row, 0)))
    }

    /// A person's row, which nobody else changes until the end of the transaction.
    pub(super) async fn held(&self, transaction: &mut dyn Transaction, id: &UserId) -> Result<Option<UserRecord>, VaultError> {
        let sql = format!("select {} from person p where p.id = $1{}", PERSON.of("p"), self.database().dialect().for_update);
        let rows = transaction.query(&sql, vec![id.as_str().into()]).await?;
        Ok(ours(&PERSON, &rows, |row| self.read_person(row, 0)).pop())
    }

    /// Writes a row that is held.
    pub(super) async fn rewrite(&self, transaction: &mut dyn Transaction, person: &UserRecord) -> Result<(), VaultError> {
        transaction.execute(&PERSON.update(), self.signed(&PERSON, person.columns())).await?;
        Ok(())
    }

    /// Gives a person another role, as the log has said; for those who look into the vault alone.
    pub async fn set_role(&self, person: &UserId, role: &str) -> Result<(), VaultError> {
        let mut transaction = self.database().begin().await?;
        if let Some(own) = self.held(&mut *transaction, person).await? {
            self.rewrite(&mut *transaction, &UserRecord { role: role.to_owned(), ..own }).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Everybody of one account, by e-mail address.
    pub async fn users_of(&self, account: &AccountId) -> Result<Vec<UserRecord>, VaultError> {
        self.people_where("p.account = $1 order by p.email, p.id", vec![account.as_str().into()]).await
    }

    /// Everybody whose e-mail address has `part` in it, of all accounts.
    pub async fn users_with_email(&self, part: &str) -> Result<Vec<UserRecord>, VaultError> {
        let literal: String = part
            .to_lowercase()
            .chars()
            .flat_map(|c| matches!(c, '%' | '_' | '!').then_some('!').into_iter().chain([c]))
            .collect();
        self.people_where("p.email like $1 escape '!' order by p.email, p.id", vec![format!("%{literal}%").as_str().into()]).await
    }

    /// Those people of these ids that there are, in one read.
    pub async fn users_by_id(&self, ids: &BTreeSet<UserId>) -> Result<Vec<UserRecord>, VaultError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids = Value::Texts(ids.iter().map(ToString::to_string).collect());
        self.people_where(&format!("p.id {}", self.database().dialect().among), vec![ids]).await
    }

    /// A person.
    pub async fn user(&self, id: &UserId) -> Result<Option<UserRecord>, VaultError> {
        Ok(self.people_where("p.id = $1", vec![id.as_str().into()]).await?.pop())
    }

    /// The salt of every password under an address. It is the same for all of them, so that a guess is hashed once, however
    /// many people have the address, and whether anybody has it.
    pub async fn salt(&self, email: &EmailAddress) -> Result<[u8; 16], VaultError> {
        let mac = self.mac(SALT, email.as_str().as_bytes()).await?;
        Ok(mac.first_chunk().copied().unwrap_or_default())
    }

    /// What the log knows an address of an account by: a keyed digest, hex. The same address has another one in each account,
    /// so that nobody who reads the log sees that two accounts have one person.
    pub async fn address_in(&self, account: &AccountId, email: &EmailAddress) -> Result<String, VaultError> {
        let text = serde_json::json!([account, email]).to_string();
        Ok(hex::encode(self.mac(ADDRESS, text.as_bytes()).await?))
    }

    /// Erases a person: their e-mail address, their password, whom issuers know them as, their sessions and their searches.
    pub async fn erase_user(&self, person: &UserId) -> Result<(), VaultError> {
        let mut transaction = self.database().begin().await?;
        // In the order in which a session begins.
        transaction.execute("delete from person where id = $1", vec![person.as_str().into()]).await?;
        transaction.execute("delete from session where person = $1", vec![person.as_str().into()]).await?;
        transaction.execute("delete from identity where person = $1", vec![person.as_str().into()]).await?;
        transaction.execute("delete from saved_search where owner = $1", vec![person.as_str().into()]).await?;
        Ok(transaction.commit().await?)
    }
}

/// Who has an address as one that was proved.
const PROVED: &str = "select id from person where email = $1 and proved = 1";

/// Whoever began to take an invitation that long ago will not get through any more.
const ABANDONED: Duration = Duration::from_hours(24);

/// The same of somebody whom nobody invited: the log takes seconds at most.
const AT_IT: Duration = Duration::from_mins(1);

impl Invited {
    fn columns(&self) -> Vec<Value> {
        let Self { id, hash, account, email, ends } = self;
        let texts = [id.as_str(), hash, account.as_str(), email.as_str()].map(Value::from);
        texts.into_iter().chain([ends.0.into()]).collect()
    }
}

impl Vault {
    /// A person, of the columns from `from` on.
    pub(super) fn read_person(&self, row: &Row, from: usize) -> Result<UserRecord, InvalidSignet> {
        self.check(&PERSON, row, from)?;
        let text = |column: usize| row.text(from + column).map(str::to_owned);
        let (proved, password) = (row.int(from + 5)? == 1, text(6)?);
        let (id, account, email) = (parsed(row, from)?, parsed(row, from + 1)?, parsed(row, from + 4)?);
        Ok(UserRecord { id, account, side: text(2)?, role: text(3)?, email, proved, password })
    }

    fn read_invited(&self, row: &Row) -> Result<Invited, InvalidSignet> {
        self.check(&INVITED, row, 0)?;
        let (hash, ends) = (row.text(1)?.to_owned(), Micros(row.int(4)?));
        Ok(Invited { id: parsed(row, 0)?, hash, account: parsed(row, 2)?, email: parsed(row, 3)?, ends })
    }
}

/// A text of a kind of its own.
pub(super) fn parsed<T: FromStr>(row: &Row, column: usize) -> Result<T, SqlError> {
    row.text(column)?.parse().map_err(|_| SqlError::Column(column))
}
