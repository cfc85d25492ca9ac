//! The vault's rows of people who are signed in, and of the invitation to the first of them.
//!
//! INVARIANT: only digests of what a browser or a link holds are stored; whoever reads the vault cannot sign in with it.

use super::people::{PERSON, PERSON_COLUMNS, Person, read_person};
use super::sql::{Row, SqlError, Value};
use super::vault::{Vault, VaultError};
use crate::core::id::{CredentialId, UserId};
use crate::core::scrub::ScrubbedText;
use crate::core::time::Micros;

/// One browser in which a person is signed in.
#[derive(Clone, Debug)]
pub struct Session {
    /// SHA-256 of the cookie, hex.
    pub hash: String,
    /// Who.
    pub person: UserId,
    /// What the console acts with for them.
    pub credential: CredentialId,
    /// When they signed in.
    pub began: Micros,
    /// When it was last used, to a minute.
    pub seen: Micros,
    /// When it ends, however much it is used.
    pub ends: Micros,
    /// The address or network that it was begun from.
    pub address: Option<String>,
    /// What the browser says it is.
    pub user_agent: Option<ScrubbedText>,
}

/// What somebody came in by.
#[derive(Clone, Copy, Debug)]
pub enum Proof<'a> {
    /// Their password, as it was stored when it was looked at.
    Password(&'a str),
    /// What an issuer knows them as.
    Identity {
        /// Its address.
        issuer: &'a str,
        /// What it calls the person.
        subject: &'a str,
    },
}

impl Vault {
    /// Begins a session in the place of others, and forgets those that ended before `now` or were idle since `idle`. False,
    /// and nothing is done, if what the person came in by is not theirs any more: whoever takes it away afterwards finds the
    /// session, and ends it.
    pub async fn begin_session(
        &self,
        session: &Session,
        proof: Proof<'_>,
        before: &[&str],
        (now, idle): (Micros, Micros),
    ) -> Result<bool, VaultError> {
        let mut transaction = self.database().begin().await?;
        let who = Value::from(session.person.as_str());
        // Changes nothing, and holds the row until the end of the transaction.
        let held = match proof {
            Proof::Password(password) => {
                let sql = "update person set password = password where id = $1 and password = $2";
                transaction.execute(sql, vec![who, password.into()]).await?
            }
            Proof::Identity { issuer, subject } => {
                let sql = "update identity set email = email where person = $1 and issuer = $2 and subject = $3";
                transaction.execute(sql, vec![who, issuer.into(), subject.into()]).await?
            }
        };
        if held != 1 {
            return Ok(false);
        }
        for before in before {
            transaction.execute("delete from session where hash = $1", vec![(*before).into()]).await?;
        }
        let stale = "delete from session where ends <= $1 or seen <= $2";
        transaction.execute(stale, vec![now.0.into(), idle.0.into()]).await?;
        let sql = "insert into session (hash, person, credential, began, seen, ends, address, user_agent) \
                   values ($1, $2, $3, $4, $5, $6, $7, $8)";
        let who = [session.hash.as_str().into(), session.person.as_str().into(), session.credential.as_str().into()];
        let when = [session.began.0.into(), session.seen.0.into(), session.ends.0.into()];
        let whence = [session.address.clone().into(), session.user_agent.as_ref().map(ScrubbedText::as_str).into()];
        transaction.execute(sql, who.into_iter().chain(when).chain(whence).collect()).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// A session and whose it is, by the digest of its cookie.
    pub async fn session(&self, hash: &str) -> Result<Option<(Session, Person)>, VaultError> {
        let sql = format!(
            "select {PERSON}, {SESSION} \
             from session s join person p on p.id = s.person where s.hash = $1"
        );
        let rows = self.database().query(&sql, vec![hash.into()]).await?;
        rows.first().map(|row| Ok((read_session(row)?, read_person(row)?))).transpose()
    }

    /// Every session of a person that has not ended, the newest first.
    pub async fn sessions_of(&self, person: &UserId, now: Micros, idle: Micros) -> Result<Vec<Session>, VaultError> {
        let sql = format!(
            "select {PERSON}, {SESSION} from session s join person p on p.id = s.person \
             where s.person = $1 and s.ends > $2 and s.seen > $3 order by s.began desc, s.hash"
        );
        let args = vec![person.as_str().into(), now.0.into(), idle.0.into()];
        self.database().query(&sql, args).await?.iter().map(read_session).collect()
    }

    /// Notes that a session is used.
    pub async fn touch_session(&self, hash: &str, now: Micros) -> Result<(), VaultError> {
        self.change("update session set seen = $2 where hash = $1", vec![hash.into(), now.0.into()]).await.map(|_| ())
    }

    /// Ends one session.
    pub async fn end_session(&self, hash: &str) -> Result<(), VaultError> {
        self.change("delete from session where hash = $1", vec![hash.into()]).await.map(|_| ())
    }

    /// Ends every session of a person, but the one whose cookie has the digest `but`.
    pub async fn end_sessions(&self, person: &UserId, but: &str) -> Result<(), VaultError> {
        let sql = "delete from session where person = $1 and hash <> $2";
        self.change(sql, vec![person.as_str().into(), but.into()]).await.map(|_| ())
    }

    /// The e-mail address of a person; none if they are gone.
    pub async fn email(&self, person: &UserId) -> Result<Option<String>, VaultError> {
        let rows = self.database().query("select email from person where id = $1", vec![person.as_str().into()]).await?;
        Ok(rows.first().map(|row| row.text(0)).transpose()?.map(str::to_owned))
    }

    /// Gives a person another password in the place of the one that they had, and ends their sessions, but the one whose cookie
    /// has the digest `but`. False, and nothing is done, if they have another one by now.
    pub async fn change_password(&self, person: &Person, password: &str, but: &str) -> Result<bool, VaultError> {
        let mut transaction = self.database().begin().await?;
        let sql = "update person set password = $2 where id = $1 and password = $3";
        let args = vec![person.id.as_str().into(), password.into(), person.password.as_str().into()];
        if transaction.execute(sql, args).await? != 1 {
            return Ok(false);
        }
        let sql = "delete from session where person = $1 and hash <> $2";
        transaction.execute(sql, vec![person.id.as_str().into(), but.into()]).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Keeps an invitation in the place of any other.
    pub async fn invite(&self, hash: &str, role: &str, ends: Micros) -> Result<(), VaultError> {
        let mut transaction = self.database().begin().await?;
        transaction.execute("delete from invitation", Vec::new()).await?;
        let sql = "insert into invitation (hash, role, ends) values ($1, $2, $3)";
        transaction.execute(sql, vec![hash.into(), role.into(), ends.0.into()]).await?;
        Ok(transaction.commit().await?)
    }

    /// The role that an invitation is for, while it holds.
    pub async fn invitation(&self, hash: &str, now: Micros) -> Result<Option<String>, VaultError> {
        let sql = "select role from invitation where hash = $1 and ends > $2";
        let rows = self.database().query(sql, vec![hash.into(), now.0.into()]).await?;
        Ok(rows.first().map(|row| row.text(0)).transpose()?.map(str::to_owned))
    }

    /// Uses an invitation up; false if somebody else did, or its time is over.
    pub async fn take_invitation(&self, hash: &str, now: Micros) -> Result<bool, VaultError> {
        let sql = "delete from invitation where hash = $1 and ends > $2";
        Ok(self.change(sql, vec![hash.into(), now.0.into()]).await? == 1)
    }

    pub(super) async fn change(&self, sql: &str, args: Vec<super::sql::Value>) -> Result<u64, VaultError> {
        let mut transaction = self.database().begin().await?;
        let touched = transaction.execute(sql, args).await?;
        transaction.commit().await?;
        Ok(touched)
    }
}

/// The columns of a session, in the order of [`read_session`], after those of its person.
const SESSION: &str = "s.hash, s.credential, s.began, s.seen, s.ends, s.address, s.user_agent";

fn read_session(row: &Row) -> Result<Session, VaultError> {
    Ok(Session {
        hash: row.text(PERSON_COLUMNS)?.to_owned(),
        person: row.text(0)?.parse().map_err(|_| SqlError::Column(0))?,
        credential: row.text(PERSON_COLUMNS + 1)?.parse().map_err(|_| SqlError::Column(PERSON_COLUMNS + 1))?,
        began: Micros(row.int(PERSON_COLUMNS + 2)?),
        seen: Micros(row.int(PERSON_COLUMNS + 3)?),
        ends: Micros(row.int(PERSON_COLUMNS + 4)?),
        address: row.maybe_text(PERSON_COLUMNS + 5)?.map(str::to_owned),
        user_agent: row.maybe_text(PERSON_COLUMNS + 6)?.map(ScrubbedText::of),
    })
}
