//! Names of accounts, in the vault.
//!
//! INVARIANT: staff choose by a name whom they stop, so a row that was not written with the vault's key names nothing: its account is
//! shown by its id.

use std::collections::{BTreeMap, BTreeSet};

use super::signet::{ACCOUNT_NAME, InvalidSignet, ours};
use super::sql::{Row, Value};
use super::vault::{Vault, VaultError};
use crate::core::id::AccountId;
use crate::core::scrub::ScrubbedText;

impl Vault {
    /// Names an account.
    pub async fn name_account(&self, account: &AccountId, name: &ScrubbedText) -> Result<(), VaultError> {
        let mut transaction = self.database().begin().await?;
        let sql = format!(
            "{} on conflict (account) do update set name = excluded.name, signet = excluded.signet",
            ACCOUNT_NAME.insert()
        );
        let columns = self.signed(&ACCOUNT_NAME, vec![account.as_str().into(), name.as_str().into()]);
        transaction.execute(&sql, columns).await?;
        Ok(transaction.commit().await?)
    }

    /// An account's name.
    pub async fn account_name(&self, account: &AccountId) -> Result<Option<String>, VaultError> {
        Ok(self.account_names_of(&BTreeSet::from([account.clone()])).await?.remove(account.as_str()))
    }

    /// The names of all accounts, by account id.
    pub async fn account_names(&self) -> Result<BTreeMap<String, String>, VaultError> {
        self.names_where("1 = 1", Vec::new()).await
    }

    /// The names of these accounts, in one read; what has no name is not among them.
    pub async fn account_names_of(&self, ids: &BTreeSet<AccountId>) -> Result<BTreeMap<String, String>, VaultError> {
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let ids = Value::Texts(ids.iter().map(ToString::to_string).collect());
        self.names_where(&format!("n.account {}", self.database().dialect().among), vec![ids]).await
    }

    async fn names_where(&self, condition: &str, args: Vec<Value>) -> Result<BTreeMap<String, String>, VaultError> {
        let sql = format!("select {} from account_name n where {condition}", ACCOUNT_NAME.of("n"));
        let rows = self.database().query(&sql, args).await?;
        Ok(ours(&ACCOUNT_NAME, &rows, |row| self.read_name(row)).into_iter().collect())
    }

    fn read_name(&self, row: &Row) -> Result<(String, String), InvalidSignet> {
        self.check(&ACCOUNT_NAME, row, 0)?;
        Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned()))
    }
}
