//! The vault's rows of whom other issuers know our people as, and of attempts to sign in with one.
//!
//! INVARIANT: an identity is one person's, a person has one with each issuer, and an attempt is used once. Each identity has its
//! signet ([`super::signet`]); whether it still counts is said by the log.

use super::signet::{IDENTITY, InvalidSignet, PERSON, ours};
use super::sql::Row;
use super::users::UserRecord;
use super::vault::{Vault, VaultError, decrypt};
use crate::core::id::UserId;
use crate::core::time::Micros;

/// Whom an issuer knows a person as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedIdentity {
    /// The issuer's address.
    pub issuer: String,
    /// What it calls the person, for ever.
    pub subject: String,
    /// The e-mail address that it named when they were linked.
    pub email: String,
    /// When that was.
    pub since: Micros,
}

/// The key that digests of what issuers call people are made with.
const SUBJECT: &str = "sign-in/subject";

impl Vault {
    /// What the log knows an issuer's subject by: a keyed digest, hex.
    pub async fn known_as(&self, issuer: &str, subject: &str) -> Result<String, VaultError> {
        let text = serde_json::json!([issuer, subject]).to_string();
        Ok(hex::encode(self.mac(SUBJECT, text.as_bytes()).await?))
    }

    /// The person whom an issuer calls `subject`.
    pub async fn user_of(&self, issuer: &str, subject: &str) -> Result<Option<UserRecord>, VaultError> {
        let (identity, person) = (IDENTITY.of("i"), PERSON.of("p"));
        let sql = format!(
            "select {identity}, {person} from identity i join person p on p.id = i.person where i.issuer = $1 and i.subject = $2"
        );
        let rows = self.database().query(&sql, vec![issuer.into(), subject.into()]).await?;
        let read = |row: &Row| {
            self.check(&IDENTITY, row, 0)?;
            self.read_person(row, IDENTITY.width())
        };
        Ok(ours(&IDENTITY, &rows, read).pop())
    }

    /// Whom issuers know a person as.
    pub async fn identities(&self, person: &UserId) -> Result<Vec<LinkedIdentity>, VaultError> {
        let sql = format!("select {} from identity i where i.person = $1 order by i.issuer", IDENTITY.of("i"));
        let rows = self.database().query(&sql, vec![person.as_str().into()]).await?;
        Ok(ours(&IDENTITY, &rows, |row| self.read_identity(row)))
    }

    fn read_identity(&self, row: &Row) -> Result<LinkedIdentity, InvalidSignet> {
        self.check(&IDENTITY, row, 0)?;
        let text = |column: usize| row.text(column).map(str::to_owned);
        Ok(LinkedIdentity { issuer: text(0)?, subject: text(1)?, email: text(3)?, since: Micros(row.int(4)?) })
    }

    /// Links a person with an identity; false if either is linked with another one already.
    pub async fn link(&self, person: &UserId, identity: &LinkedIdentity) -> Result<bool, VaultError> {
        let mut transaction = self.database().begin().await?;
        // Whoever is gone keeps nobody else from being known by that name.
        transaction.execute("delete from identity where person not in (select id from person)", Vec::new()).await?;
        let LinkedIdentity { issuer, subject, email, since } = identity;
        let texts = [issuer.as_str().into(), subject.as_str().into(), person.as_str().into(), email.as_str().into()];
        let columns = self.signed(&IDENTITY, texts.into_iter().chain([since.0.into()]).collect());
        let linked = transaction.execute(&format!("{} on conflict do nothing", IDENTITY.insert()), columns).await? == 1;
        transaction.commit().await?;
        Ok(linked)
    }

    /// Parts a person from what an issuer knows them as; false if they were not linked.
    pub async fn unlink(&self, person: &UserId, issuer: &str) -> Result<bool, VaultError> {
        let sql = "delete from identity where person = $1 and issuer = $2";
        Ok(self.change(sql, vec![person.as_str().into(), issuer.into()]).await? == 1)
    }

    /// Seals what a browser is to keep, for one purpose.
    pub async fn seal_cookie(&self, purpose: &str, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let (_, key) = self.named_key(purpose).await?;
        self.encrypt(&key, purpose.as_bytes(), plain)
    }

    /// What a browser kept; none if it is not of ours, or for something else.
    pub async fn open_cookie(&self, purpose: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>, VaultError> {
        let (_, key) = self.named_key(purpose).await?;
        Ok(decrypt(&key, purpose.as_bytes(), sealed).ok())
    }

    /// Uses an attempt up, by a digest of it, and forgets those whose time is over; false if it was used before.
    pub async fn spend_attempt(&self, digest: &str, ends: Micros, now: Micros) -> Result<bool, VaultError> {
        let mut transaction = self.database().begin().await?;
        transaction.execute("delete from spent_attempt where ends <= $1", vec![now.0.into()]).await?;
        let sql = "insert into spent_attempt (digest, ends) values ($1, $2) on conflict do nothing";
        let fresh = transaction.execute(sql, vec![digest.into(), ends.0.into()]).await? == 1;
        transaction.commit().await?;
        Ok(fresh)
    }
}
