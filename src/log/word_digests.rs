//! By what the words of commands are found: digests under the data key that the command itself lies under.
//!
//! INVARIANT: without that key no digest can be made or recognized, so what erases the key of a month erases what is found of that
//! month too, wherever digests still lie. No digest is a word that somebody can type, nor begins like one ([ADR 0114](../../docs/adr/0114-commands-are-found-by-digests.md)).

use super::data_key::month_key;
use super::sql::Value;
use super::vault::{Vault, VaultError, hmac};
use crate::core::id::AccountId;
use crate::core::time::Micros;

/// Keeps digests of words apart from everything else that a data key is used for.
const PURPOSE: &[u8] = b"forelog words of commands 1";

/// How a digest begins where words lie. It is neither letter nor digit, so no word of a text or of a search has it
/// (`core::search::words`), and no beginning of a word runs into digests.
const MARK: char = '·';

/// So much of a digest, in bytes: two words of one account are never the same by chance.
const SIZE: usize = 12;

/// Months that are looked into, the newest of a search.
const MONTHS: usize = 24;

impl Vault {
    /// By what words are found that lie under a data key of `account`; nothing if the key is of somebody else, or was erased.
    pub async fn word_digests(&self, key: &str, account: &AccountId, words: &[String]) -> Result<Vec<String>, VaultError> {
        if key.split_once('/').is_none_or(|(owner, _)| owner != account.as_str()) {
            return Ok(Vec::new());
        }
        let Some(key) = self.key(key).await? else { return Ok(Vec::new()) };
        let own = hmac(&**key, PURPOSE);
        Ok(words.iter().map(|word| format!("{MARK}{}", hex::encode(&hmac(&own, word.as_bytes())[..SIZE]))).collect())
    }

    /// The data keys of an account that are there, of the months from `from` up to `to`: the newest ones, if they are many.
    pub async fn month_keys(&self, account: &AccountId, from: Option<Micros>, to: Micros) -> Result<Vec<String>, VaultError> {
        // What is sealed at the end of a month may be written in the next one.
        let (first, mut at) = (from.map_or(0, |from| from.0.saturating_sub(Micros::DAY)), to.0.saturating_add(Micros::DAY));
        let last = month_key(account, Micros(first));
        let mut names = Vec::new();
        while names.len() < MONTHS && at > first.saturating_sub(31 * Micros::DAY) {
            let name = month_key(account, Micros(at));
            if names.last() != Some(&name) {
                names.push(name);
            }
            if names.last() == Some(&last) {
                break;
            }
            at = at.saturating_sub(27 * Micros::DAY);
        }
        let sql = format!("select id from data_key where id {}", self.database().dialect().among);
        let rows = self.database().query(&sql, vec![Value::Texts(names)]).await?;
        Ok(rows.iter().map(|row| row.text(0).map(str::to_owned)).collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_month_between_is_named_by_steps_of_27_days() {
        let account: AccountId = "acc_01KDVDNA010000000000000000".parse().unwrap();
        let (mut names, mut at) = (Vec::new(), 1_798_761_600_000_000_i64);
        for _ in 0..30 {
            names.push(month_key(&account, Micros(at)));
            at -= 27 * Micros::DAY;
        }
        names.dedup();
        let months: Vec<(i32, i32)> = names
            .iter()
            .map(|name| name.rsplit_once('/').unwrap().1.split_once('-').unwrap())
            .map(|(year, month)| (year.parse().unwrap(), month.parse().unwrap()))
            .collect();
        assert!(months.windows(2).all(|two| two[0].0 * 12 + two[0].1 - two[1].0 * 12 - two[1].1 == 1), "{months:?}");
    }
}
