//! The vault's rows of people beside their sessions: whom somebody has invited, and what is erased when a person goes.
//!
//! INVARIANT: which role a person has is said by the log. What the vault has of it counts only for people of whom the log
//! says nothing yet.

use super::sql::{Row, SqlError, Value};
use super::vault::{Person, Vault, VaultError};
use crate::core::id::{AccountId, InvitationId, UserId};
use crate::core::role::Role;
use crate::core::state::ControlState;
use crate::core::time::Micros;

/// Stands for the role of a person whom the log has to make one of an account's people first.
pub const UNSAID: &str = "unsaid";

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
    pub email: String,
    /// The link works until then.
    pub ends: Micros,
}

impl Person {
    /// The role that they have, as the log says; none if they were removed, or never became one of an account's people.
    #[must_use]
    pub fn role_in(&self, state: &ControlState) -> Option<Role> {
        state.people.get(&self.id).map_or_else(|| self.role.parse().ok(), |member| member.role)
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

    /// Adds somebody who takes an invitation. Who once began to, under the same address, and never got through goes first.
    pub async fn add_invited(&self, person: &Person) -> Result<(), VaultError> {
        let mut transaction = self.database().begin().await?;
        let stale = "delete from person where email = $1 and role = $2";
        transaction.execute(stale, vec![person.email.as_str().into(), UNSAID.into()]).await?;
        let sql = "insert into person (id, account, side, role, email, password) values ($1, $2, $3, $4, $5, $6)";
        let texts = [person.id.as_str(), person.account.as_str(), &person.side, UNSAID, &person.email, &person.password];
        transaction.execute(sql, texts.into_iter().map(Into::into).collect()).await?;
        Ok(transaction.commit().await?)
    }

    /// Erases a person: their e-mail address, their password, whom issuers know them as, and their sessions.
    pub async fn erase_person(&self, person: &UserId) -> Result<(), VaultError> {
        let mut transaction = self.database().begin().await?;
        transaction.execute("delete from session where person = $1", vec![person.as_str().into()]).await?;
        transaction.execute("delete from identity where person = $1", vec![person.as_str().into()]).await?;
        transaction.execute("delete from person where id = $1", vec![person.as_str().into()]).await?;
        Ok(transaction.commit().await?)
    }
}

fn read_invited(row: &Row) -> Result<Invited, VaultError> {
    let text = |column: usize| row.text(column).map(str::to_owned);
    Ok(Invited {
        id: row.text(0)?.parse().map_err(|_| SqlError::Column(0))?,
        hash: text(1)?,
        account: row.text(2)?.parse().map_err(|_| SqlError::Column(2))?,
        email: text(3)?,
        ends: Micros(row.int(4)?),
    })
}
