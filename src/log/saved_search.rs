//! The vault's rows of searches that the staff keep for each other. They name people and customers, so they are not in the
//! views, which anybody may delete.

use super::sql::SqlError;
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
        let kept = transaction.query("select owner from saved_search", Vec::new()).await?;
        let used = QuotaUsage::of(kept.iter().map(|row| row.text(0).is_ok_and(|owner| owner == search.owner.as_str())));
        if let Err(refusal) = QuotaKind::Searches.check(quota, used) {
            return Ok(Err(refusal));
        }
        let sql = "insert into saved_search (id, name, line, owner, made) values ($1, $2, $3, $4, $5)";
        let SavedSearch { id, name, line, owner, made } = search;
        let texts = [id.as_str().into(), name.as_str().into(), line.as_str().into(), owner.as_str().into()];
        transaction.execute(sql, texts.into_iter().chain([made.0.into()]).collect()).await?;
        transaction.commit().await?;
        Ok(Ok(()))
    }

    /// All of them, by name.
    pub async fn saved_searches(&self) -> Result<Vec<SavedSearch>, VaultError> {
        let sql = "select id, name, line, owner, made from saved_search order by name, id";
        let rows = self.database().query(sql, Vec::new()).await?;
        let read = |row: &super::sql::Row| {
            let owner = row.text(3)?.parse().map_err(|_| SqlError::Column(3))?;
            let (name, line) = (ScrubbedText::of(row.text(1)?), ScrubbedText::of(row.text(2)?));
            Ok(SavedSearch { id: row.text(0)?.to_owned(), name, line, owner, made: Micros(row.int(4)?) })
        };
        let kept = rows.iter().map(|row| read(row).inspect_err(|error: &VaultError| unread(row, error)));
        Ok(kept.filter_map(Result::ok).collect())
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

/// The others are read all the same.
fn unread(row: &super::sql::Row, error: &VaultError) {
    tracing::error!(id = row.text(0).unwrap_or_default(), %error, "a saved search cannot be read");
}
