//! The vault's rows of people who are signed in, and of the invitation to the first of them.
//!
//! INVARIANT: only digests of what a browser or a link holds are stored; whoever reads the vault cannot sign in with it. Each row
//! has its signet ([`super::signet`]); whoever writes to the vault without its key signs nobody in.

use std::collections::BTreeMap;

use super::signet::{INVITATION, InvalidSignet, PERSON, SESSION, ours};
use super::sql::{Row, Value};
use super::users::{UserRecord, parsed};
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
pub enum SignInProof<'a> {
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
        proof: SignInProof<'_>,
        before: &[&str],
        (now, idle): (Micros, Micros),
    ) -> Result<bool, VaultError> {
        let mut transaction = self.database().begin().await?;
        let who = Value::from(session.person.as_str());
        // Changes nothing, and holds the row until the end of the transaction.
        let held = match proof {
            SignInProof::Password(password) => {
                let sql = "update person set password = password where id = $1 and password = $2";
                transaction.execute(sql, vec![who, password.into()]).await?
            }
            SignInProof::Identity { issuer, subject } => {
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
        transaction.execute(&SESSION.insert(), self.signed(&SESSION, session.columns())).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// A session and whose it is, by the digest of its cookie.
    pub async fn session(&self, hash: &str) -> Result<Option<(Session, UserRecord)>, VaultError> {
        let (session, person) = (SESSION.of("s"), PERSON.of("p"));
        let sql = format!("select {session}, {person} from session s join person p on p.id = s.person where s.hash = $1");
        let rows = self.database().query(&sql, vec![hash.into()]).await?;
        let read = |row: &Row| Ok((self.read_session(row)?, self.read_person(row, SESSION.width())?));
        Ok(ours(&SESSION, &rows, read).pop())
    }

    /// Every session of a person that has not ended, the newest first.
    pub async fn sessions_of(&self, person: &UserId, now: Micros, idle: Micros) -> Result<Vec<Session>, VaultError> {
        let session = SESSION.of("s");
        let sql = format!(
            "select {session} from session s where s.person = $1 and s.ends > $2 and s.seen > $3 order by s.began desc, s.hash"
        );
        let args = vec![person.as_str().into(), now.0.into(), idle.0.into()];
        let rows = self.database().query(&sql, args).await?;
        Ok(ours(&SESSION, &rows, |row| self.read_session(row)))
    }

    /// How many sessions each of these people has that have not ended, in one read.
    pub async fn count_sessions(
        &self,
        people: &[UserId],
        now: Micros,
        idle: Micros,
    ) -> Result<BTreeMap<UserId, usize>, VaultError> {
        let (session, among) = (SESSION.of("s"), self.database().dialect().among);
        let sql = format!("select {session} from session s where s.person {among} and s.ends > $2 and s.seen > $3");
        let people = Value::Texts(people.iter().map(ToString::to_string).collect());
        let rows = self.database().query(&sql, vec![people, now.0.into(), idle.0.into()]).await?;
        let mut counts = BTreeMap::new();
        for session in ours(&SESSION, &rows, |row| self.read_session(row)) {
            *counts.entry(session.person).or_default() += 1;
        }
        Ok(counts)
    }

    /// Notes that a session is used.
    pub async fn touch_session(&self, hash: &str, now: Micros) -> Result<(), VaultError> {
        let mut transaction = self.database().begin().await?;
        let sql = format!("select {} from session s where s.hash = $1{}", SESSION.of("s"), self.database().dialect().for_update);
        let rows = transaction.query(&sql, vec![hash.into()]).await?;
        // As it is stored: reading it for people blanks what must not be shown.
        let stored = |row: &Row| Ok((self.read_session(row)?, row.0.get(..SESSION.width() - 1).unwrap_or_default().to_vec()));
        let Some((session, mut columns)) = ours(&SESSION, &rows, stored).pop() else { return Ok(()) };
        if let Some(seen) = columns.get_mut(SEEN).filter(|_| session.seen < now) {
            *seen = now.0.into();
            transaction.execute(&SESSION.update(), self.signed(&SESSION, columns)).await?;
        }
        Ok(transaction.commit().await?)
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
        let sql = format!("select {} from person p where p.id = $1", PERSON.of("p"));
        let rows = self.database().query(&sql, vec![person.as_str().into()]).await?;
        Ok(ours(&PERSON, &rows, |row| self.read_person(row, 0)).pop().map(|person| person.email.to_string()))
    }

    /// Gives a person another password in the place of the one that they had, and ends their sessions, but the one whose cookie
    /// has the digest `but`. False, and nothing is done, if they have another one by now.
    pub async fn change_password(&self, person: &UserRecord, password: &str, but: &str) -> Result<bool, VaultError> {
        let mut transaction = self.database().begin().await?;
        let own = self.held(&mut *transaction, &person.id).await?.filter(|own| own.password == person.password);
        let Some(own) = own else { return Ok(false) };
        self.rewrite(&mut *transaction, &UserRecord { password: password.to_owned(), ..own }).await?;
        let sql = "delete from session where person = $1 and hash <> $2";
        transaction.execute(sql, vec![person.id.as_str().into(), but.into()]).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Keeps an invitation in the place of any other.
    pub async fn invite(&self, hash: &str, role: &str, ends: Micros) -> Result<(), VaultError> {
        let mut transaction = self.database().begin().await?;
        transaction.execute("delete from invitation", Vec::new()).await?;
        let columns = vec![hash.into(), role.into(), ends.0.into()];
        transaction.execute(&INVITATION.insert(), self.signed(&INVITATION, columns)).await?;
        Ok(transaction.commit().await?)
    }

    /// The role that an invitation is for, while it holds.
    pub async fn invitation(&self, hash: &str, now: Micros) -> Result<Option<String>, VaultError> {
        let sql = format!("select {} from invitation i where i.hash = $1 and i.ends > $2", INVITATION.of("i"));
        let rows = self.database().query(&sql, vec![hash.into(), now.0.into()]).await?;
        let read = |row: &Row| {
            self.check(&INVITATION, row, 0)?;
            Ok(row.text(1)?.to_owned())
        };
        Ok(ours(&INVITATION, &rows, read).pop())
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

/// The column of [`Session::seen`].
const SEEN: usize = 4;

impl Session {
    fn columns(&self) -> Vec<Value> {
        let Self { hash, person, credential, began, seen, ends, address, user_agent } = self;
        let who = [hash.as_str().into(), person.as_str().into(), credential.as_str().into()];
        let when = [began.0.into(), seen.0.into(), ends.0.into()];
        let whence = [address.clone().into(), user_agent.as_ref().map(ScrubbedText::as_str).into()];
        who.into_iter().chain(when).chain(whence).collect()
    }
}

impl Vault {
    fn read_session(&self, row: &Row) -> Result<Session, InvalidSignet> {
        self.check(&SESSION, row, 0)?;
        Ok(Session {
            hash: row.text(0)?.to_owned(),
            person: parsed(row, 1)?,
            credential: parsed(row, 2)?,
            began: Micros(row.int(3)?),
            seen: Micros(row.int(SEEN)?),
            ends: Micros(row.int(5)?),
            address: row.maybe_text(6)?.map(str::to_owned),
            user_agent: row.maybe_text(7)?.map(ScrubbedText::of),
        })
    }
}
