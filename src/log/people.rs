//! The vault's rows of people beside their sessions: who they are, whom somebody has invited, and what is erased when a person
//! goes.
//!
//! An e-mail address is one person's in each account: whoever invites an address learns nothing of other accounts, and takes
//! nothing from anybody. It is one person's everywhere only once it was proved: by an operator at the command line, or by an
//! issuer that is believed for it.
//!
//! INVARIANT: which role a person has is said by the log. What the vault has of it counts only for people of whom the log
//! says nothing yet. Addresses are stored in their canonical form.

use std::time::Duration;

use super::sql::{Row, SqlError, Value};
use super::vault::{Vault, VaultError};
use crate::core::email::{EmailAddress, NoEmailAddress};
use crate::core::id::{AccountId, InvitationId, UserId};
use crate::core::member::Member;
use crate::core::role::Role;
use crate::core::state::ControlState;
use crate::core::time::Micros;

/// Stands for the role of a person whom the log has to make one of an account's people first.
pub const UNSAID: &str = "unsaid";

/// The same of a person whom nobody invited. Nobody else of the account is made under their address meanwhile.
pub const AWAITED: &str = "awaited";

/// The key that the salts of passwords are made with.
const SALT: &str = "sign-in/salt";

/// A person who signs in, or holds keys.
#[derive(Clone, Debug)]
pub struct Person {
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

impl Person {
    /// Whether the vault has somebody of them who counts as far as it knows: else the log has to have made them one of an
    /// account's people, or they are nobody.
    #[must_use]
    pub fn is_said(&self) -> bool {
        self.role != UNSAID && self.role != AWAITED
    }

    /// The role that they have, as the log says; none if they were removed, or never became one of an account's people.
    #[must_use]
    pub fn role_in(&self, state: &ControlState) -> Option<Role> {
        state.people.get(&self.id).map_or_else(|| self.role.parse().ok(), |member| member.role)
    }
}

impl Person {
    /// The role that they come in with: not one that their issuer has taken back.
    #[must_use]
    pub fn acting_role_in(&self, state: &ControlState) -> Option<Role> {
        state.people.get(&self.id).map_or_else(|| self.role.parse().ok(), Member::acting_role)
    }
}

impl Vault {
    /// Keeps whom an invitation is for, and forgets those whose time was over before `now`.
    pub async fn keep_invited(&self, invited: &Invited, now: Micros) -> Result<(), VaultError> {
        let mut transaction = self.database().begin().await?;
        transaction.execute("delete from invited where ends <= $1", vec![now.0.into()]).await?;
        let Invited { id, hash, account, email, ends } = invited;
        let texts: [Value; 4] = [id.as_str().into(), hash.as_str().into(), account.as_str().into(), email.as_str().into()];
        let sql = "insert into invited (id, hash, account, email, ends) values ($1, $2, $3, $4, $5)";
        transaction.execute(sql, texts.into_iter().chain([ends.0.into()]).collect()).await?;
        Ok(transaction.commit().await?)
    }

    /// Whom a link is for.
    pub async fn invited_by_link(&self, hash: &str) -> Result<Option<Invited>, VaultError> {
        let sql = "select id, hash, account, email, ends from invited where hash = $1";
        self.database().query(sql, vec![hash.into()]).await?.first().map(read_invited).transpose()
    }

    /// Everybody who is invited to be one of an account's people.
    pub async fn invited_to(&self, account: &AccountId) -> Result<Vec<Invited>, VaultError> {
        let sql = "select id, hash, account, email, ends from invited where account = $1 order by id";
        self.database().query(sql, vec![account.as_str().into()]).await?.iter().map(read_invited).collect()
    }

    /// Forgets whom an invitation was for.
    pub async fn forget_invited(&self, id: &InvitationId) -> Result<(), VaultError> {
        let mut transaction = self.database().begin().await?;
        transaction.execute("delete from invited where id = $1", vec![id.as_str().into()]).await?;
        Ok(transaction.commit().await?)
    }

    /// Adds a person. Their address is stored as proved if they say so and it is nobody's else by that.
    pub async fn add_person(&self, person: &Person) -> Result<(), VaultError> {
        let mut transaction = self.database().begin().await?;
        let sql = "insert into person (id, account, side, role, email, proved, password) values ($1, $2, $3, $4, $5, $6, $7)";
        let proved = person.proved && transaction.query(PROVED, vec![person.email.as_str().into()]).await?.is_empty();
        let Person { id, account, side, role, email, password, .. } = person;
        let texts = [id.as_str(), account.as_str(), side, role, email.as_str()].map(Value::from);
        let rest = [i64::from(proved).into(), password.as_str().into()];
        transaction.execute(sql, texts.into_iter().chain(rest).collect()).await?;
        Ok(transaction.commit().await?)
    }

    /// Adds somebody whom the log has to make one of an account's people, as [`UNSAID`] or [`AWAITED`], and erases those who
    /// once were to be that in the account and never got through. `is_member` says whom the log knows.
    pub async fn add_as(
        &self,
        unsaid: &'static str,
        person: &Person,
        is_member: impl Fn(&UserId) -> bool,
    ) -> Result<(), VaultError> {
        let sql = format!("select {PERSON} from person p where p.account = $1 and p.email = $2 and p.role in ($3, $4)");
        let args = vec![person.account.as_str().into(), person.email.as_str().into(), UNSAID.into(), AWAITED.into()];
        for row in self.database().query(&sql, args).await? {
            let other = read_person(&row)?;
            // Somebody may be at the same thing at this moment; the log, or the vault, decides which of them gets through.
            let is_old = person.id.made_at().since(other.id.made_at()) > if other.role == UNSAID { ABANDONED } else { AT_IT };
            if is_old && !is_member(&other.id) {
                self.erase_person(&other.id).await?;
            }
        }
        self.add_person(&Person { role: unsaid.into(), proved: false, ..person.clone() }).await
    }

    /// The log has made somebody one of an account's people: the vault has their role, too, and whether their address is
    /// proved.
    pub async fn say(&self, person: &Person) -> Result<(), VaultError> {
        self.set_role(&person.id, &person.role).await?;
        if person.proved { self.prove(person).await } else { Ok(()) }
    }

    /// Everybody with this e-mail address: whose address was proved first, then by age.
    pub async fn people_with(&self, email: &EmailAddress) -> Result<Vec<Person>, VaultError> {
        let sql = format!("select {PERSON} from person p where p.email = $1 order by p.proved desc, p.id");
        self.database().query(&sql, vec![email.as_str().into()]).await?.iter().map(read_person).collect()
    }

    /// Notes that a person's address was proved; nothing, if it is somebody else's by that.
    pub async fn prove(&self, person: &Person) -> Result<(), VaultError> {
        let mut transaction = self.database().begin().await?;
        if transaction.query(PROVED, vec![person.email.as_str().into()]).await?.is_empty() {
            transaction.execute("update person set proved = 1 where id = $1", vec![person.id.as_str().into()]).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Everybody, by e-mail address.
    pub async fn people(&self) -> Result<Vec<Person>, VaultError> {
        let sql = format!("select {PERSON} from person p order by p.email, p.id");
        self.database().query(&sql, Vec::new()).await?.iter().map(read_person).collect()
    }

    /// The salt of every password under an address. It is the same for all of them, so that a guess is hashed once, however
    /// many people have the address, and whether anybody has it.
    pub async fn salt(&self, email: &EmailAddress) -> Result<[u8; 16], VaultError> {
        let mac = self.mac(SALT, email.as_str().as_bytes()).await?;
        Ok(mac.first_chunk().copied().unwrap_or_default())
    }

    /// Brings addresses that an earlier version kept into their canonical form. One that is none, or becomes somebody else's,
    /// is an error that names whose it is.
    pub(super) async fn fold_addresses(&self) -> Result<(), VaultError> {
        for table in ["person", "invited"] {
            for row in self.database().query(&format!("select id, email from {table}"), Vec::new()).await? {
                let (id, text) = (row.text(0)?.to_owned(), row.text(1)?);
                let refused = |why: String| VaultError::Address { id: id.clone(), why };
                let parsed = text.parse().map_err(|error: NoEmailAddress| refused(format!("{text:?}: {error}")));
                let email: EmailAddress = parsed?;
                if email.as_str() != text {
                    let args = vec![email.as_str().into(), id.as_str().into()];
                    let folded = self.change(&format!("update {table} set email = $1 where id = $2"), args).await;
                    folded.map_err(|_| refused(format!("{text:?} is {email}, which is somebody else's already")))?;
                }
            }
        }
        Ok(())
    }

    /// Erases a person: their e-mail address, their password, whom issuers know them as, their sessions and their searches.
    pub async fn erase_person(&self, person: &UserId) -> Result<(), VaultError> {
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

/// The columns of a person, in the order of [`read_person`].
pub(super) const PERSON: &str = "p.id, p.account, p.side, p.role, p.email, p.proved, p.password";

/// How many they are.
pub(super) const PERSON_COLUMNS: usize = 7;

pub(super) fn read_person(row: &Row) -> Result<Person, VaultError> {
    let id = row.text(0)?.parse().map_err(|_| SqlError::Column(0))?;
    let account = row.text(1)?.parse().map_err(|_| SqlError::Column(1))?;
    let text = |column: usize| row.text(column).map(str::to_owned);
    let (email, proved) = (address(row, 4)?, row.int(5)? == 1);
    Ok(Person { id, account, side: text(2)?, role: text(3)?, email, proved, password: text(6)? })
}

fn address(row: &Row, column: usize) -> Result<EmailAddress, VaultError> {
    let refused = |why: String| VaultError::Address { id: row.text(0).unwrap_or_default().to_owned(), why };
    row.text(column)?.parse().map_err(|error: NoEmailAddress| refused(error.to_string()))
}

fn read_invited(row: &Row) -> Result<Invited, VaultError> {
    let text = |column: usize| row.text(column).map(str::to_owned);
    Ok(Invited {
        id: row.text(0)?.parse().map_err(|_| SqlError::Column(0))?,
        hash: text(1)?,
        account: row.text(2)?.parse().map_err(|_| SqlError::Column(2))?,
        email: address(row, 3)?,
        ends: Micros(row.int(4)?),
    })
}
