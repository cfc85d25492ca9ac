//! The vault's rows of guesses at passwords: what is counted on one node holds on all, and after a restart.
//!
//! INVARIANT: an attempt is counted under all of its names or under none, whoever counts at the same time. A row says nothing
//! about its name to who reads the rows alone, and there are only so many.

use super::sql::{SqlError, Transaction, Value};
use super::vault::{Vault, VaultError};
use crate::core::time::Micros;

/// The key that names are kept under.
const NAMES: &str = "sign-in/guesses";

/// Bytes of a name that are kept.
const NAME: usize = 16;

/// What an attempt is counted by: one pace of one name.
#[derive(Clone, Copy, Debug)]
pub struct Counted<'a> {
    /// Whose, as a digest.
    pub name: &'a [u8],
    /// Microseconds that one attempt takes of the pace.
    pub every: i64,
    /// Microseconds that may be taken ahead of time.
    pub ahead: i64,
}

const COUNT: &str = "insert into guess (name, free_at) values ($1, $2) on conflict (name) do update \
                     set free_at = case when guess.free_at > $3 then guess.free_at else $3 end + $4 where guess.free_at <= $5";
const FREE_AT: &str = "select free_at from guess where name = $1";
const GIVE_BACK: &str = "update guess set free_at = free_at - $2 where name = $1";

impl Vault {
    /// Counts an attempt, or answers when there may be one. Of rows that count no more, and of more than `most`, those that count
    /// least are forgotten first, if it is time to `tidy`.
    pub async fn count_guess(
        &self,
        by: &[Counted<'_>],
        now: Micros,
        tidy: Option<usize>,
    ) -> Result<Result<(), Micros>, VaultError> {
        let mut named = Vec::with_capacity(by.len());
        for counted in by {
            named.push((self.guess_name(counted.name).await?, counted));
        }
        // Always in one order, so that no two wait for each other.
        named.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut transaction = self.database().begin().await?;
        if let Some(most) = tidy {
            forget(&mut *transaction, now, most).await?;
        }
        for (name, Counted { every, ahead, .. }) in named {
            let at = |by: i64| Value::from(now.0.saturating_add(by));
            let values = vec![name.clone().into(), at(*every), now.0.into(), (*every).into(), at(*ahead)];
            if transaction.execute(COUNT, values).await? == 0 {
                let rows = transaction.query(FREE_AT, vec![name.into()]).await?;
                let free_at = rows.first().map_or(Ok(now.0), |row| row.int(0))?;
                // Whatever was counted before is undone with the transaction.
                return Ok(Err(Micros(free_at.saturating_sub(*ahead))));
            }
        }
        transaction.commit().await?;
        Ok(Ok(()))
    }

    /// Gives an attempt back.
    pub async fn give_guess_back(&self, by: &[Counted<'_>]) -> Result<(), VaultError> {
        let mut names = Vec::with_capacity(by.len());
        for counted in by {
            names.push((self.guess_name(counted.name).await?, counted.every));
        }
        names.sort();
        let mut transaction = self.database().begin().await?;
        for (name, every) in names {
            transaction.execute(GIVE_BACK, vec![name.into(), every.into()]).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn guess_name(&self, name: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mac = self.mac(NAMES, name).await?;
        Ok(mac.first_chunk::<NAME>().map(|name| name.to_vec()).unwrap_or_default())
    }
}

async fn forget(transaction: &mut dyn Transaction, now: Micros, most: usize) -> Result<(), SqlError> {
    transaction.execute("delete from guess where free_at <= $1", vec![now.0.into()]).await?;
    let kept = transaction.query("select count(*) from guess", Vec::new()).await?;
    let kept = kept.first().map_or(Ok(0), |row| row.int(0))?;
    if kept > i64::try_from(most).unwrap_or(i64::MAX) {
        let half = "delete from guess where free_at <= (select free_at from guess order by free_at limit 1 offset $1)";
        transaction.execute(half, vec![(kept / 2).into()]).await?;
    }
    Ok(())
}
