//! The vault's rows of searches that the staff keep for each other. They name people and customers, so they are not in the
//! views, which anybody may delete; and staff follow them, so one that was not written with the vault's key is not there.

use super::signet::{InvalidSignet, SAVED_SEARCH, ours};
use super::sql::Row;
use super::users::parsed;
use super::vault::{Vault, VaultError};
use crate::core::id::UserId;
use crate::core::quota::{Quota, QuotaKind, QuotaUsage};
use crate::core::refusal::Refusal;
use crate::core::scrub::ScrubbedText;
use crate::core::time::Micros;

/// A line that somebody keeps.
#[derive(Clone, Debug)]
pub struct SavedSearch {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: ScrubbedText,
    /// The line.
    pub line: ScrubbedText,
    /// Who keeps it.
    pub owner: UserId,
    /// Since when.
    pub made: Micros,
}

impl Vault {
    /// Keeps a search, unless there are too many already. Two that are kept at the same moment may both be the last one.
    pub async fn save_search(&self, search: &SavedSearch, quota: Quota) -> Result<Result<(), Refusal>, VaultError> {
        let mut transaction = self.database().begin().await?;
        let rows = transaction.query(&format!("select {} from saved_search s", SAVED_SEARCH.of("s")), Vec::new()).await?;
        let kept = ours(&SAVED_SEARCH, &rows, |row| self.read_search(row));
        let used = QuotaUsage::of(kept.iter().map(|kept| kept.owner == search.owner));
        if let Err(refusal) = QuotaKind::Searches.check(quota, used) {
            return Ok(Err(refusal));
        }
        let SavedSearch { id, name, line, owner, made } = search;
        let texts = [id.as_str().into(), name.as_str().into(), line.as_str().into(), owner.as_str().into()];
        let columns = self.signed(&SAVED_SEARCH, texts.into_iter().chain([made.0.into()]).collect());
        transaction.execute(&SAVED_SEARCH.insert(), columns).await?;
        transaction.commit().await?;
        Ok(Ok(()))
    }

    /// All of them, by name.
    pub async fn saved_searches(&self) -> Result<Vec<SavedSearch>, VaultError> {
        let sql = format!("select {} from saved_search s order by s.name, s.id", SAVED_SEARCH.of("s"));
        let rows = self.database().query(&sql, Vec::new()).await?;
        Ok(ours(&SAVED_SEARCH, &rows, |row| self.read_search(row)))
    }

    fn read_search(&self, row: &Row) -> Result<SavedSearch, InvalidSignet> {
        self.check(&SAVED_SEARCH, row, 0)?;
        let (name, line) = (ScrubbedText::of(row.text(1)?), ScrubbedText::of(row.text(2)?));
        Ok(SavedSearch { id: row.text(0)?.to_owned(), name, line, owner: parsed(row, 3)?, made: Micros(row.int(4)?) })
    }

    /// Forgets one of a person's; of anybody's, if `owner` is none.
    pub async fn forget_search(&self, id: &str, owner: Option<&UserId>) -> Result<bool, VaultError> {
        let gone = match owner {
            Some(owner) => {
                let sql = "delete from saved_search where id = $1 and owner = $2";
                self.change(sql, vec![id.into(), owner.as_str().into()]).await?
            }
            None => self.change("delete from saved_search where id = $1", vec![id.into()]).await?,
        };
        Ok(gone == 1)
    }
}
