//! Signets: what says that a row of the vault was written by who has the vault's key. Whoever has the database's password writes
//! rows, too, and who may come in as whom, and what an account is called that staff choose by its name, must not be theirs to say.
//!
//! ```text
//! signet = HMAC-SHA-256(key, [table, column, column, …])      key = HMAC-SHA-256(key-encryption key, purpose)
//! ```
//!
//! INVARIANT: a row without its signet, or that cannot be read, is as good as not there: it keeps nobody in, nobody out, and
//! nothing from starting. What a signet does not say, that the row is the newest one, is asked of the log.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::sql::{Row, SqlError, Value};
use super::vault::{Vault, VaultError};

/// What the key is made for.
const PURPOSE: &[u8] = b"forelog vault rows v1";

/// Strange rows that are looked at together; the rest when these are gone.
const TOGETHER: usize = 10_000;

/// A table whose rows have signets.
#[derive(Debug)]
pub(super) struct Signed {
    name: &'static str,
    columns: &'static [&'static str],
    /// The column that a row is named by; none if that is a secret's digest.
    named_by: Option<usize>,
    /// So many of the first columns are its key.
    keys: usize,
}

/// People.
pub(super) static PERSON: Signed = Signed {
    name: "person",
    columns: &["id", "account", "side", "role", "email", "proved", "password"],
    named_by: Some(0),
    keys: 1,
};

/// Their sessions.
pub(super) static SESSION: Signed = Signed {
    name: "session",
    columns: &["hash", "person", "credential", "began", "seen", "ends", "address", "user_agent"],
    named_by: Some(1),
    keys: 1,
};

/// The link for the first person of the staff.
pub(super) static INVITATION: Signed = Signed { name: "invitation", columns: &["hash", "role", "ends"], named_by: None, keys: 1 };

/// Whom somebody has invited.
pub(super) static INVITED: Signed =
    Signed { name: "invited", columns: &["id", "hash", "account", "email", "ends"], named_by: Some(0), keys: 1 };

/// Whom issuers know people as.
pub(super) static IDENTITY: Signed =
    Signed { name: "identity", columns: &["issuer", "subject", "person", "email", "since"], named_by: Some(2), keys: 2 };

/// What accounts are called.
pub(super) static ACCOUNT_NAME: Signed =
    Signed { name: "account_name", columns: &["account", "name"], named_by: Some(0), keys: 1 };

/// Searches that the staff keep for each other.
pub(super) static SAVED_SEARCH: Signed =
    Signed { name: "saved_search", columns: &["id", "name", "line", "owner", "made"], named_by: Some(0), keys: 1 };

/// All of them.
static SIGNED: [&Signed; 7] = [&PERSON, &SESSION, &INVITATION, &INVITED, &IDENTITY, &ACCOUNT_NAME, &SAVED_SEARCH];

/// A row that is not ours.
#[derive(Debug)]
pub struct ForgedRow {
    table: &'static Signed,
    keys: Vec<Value>,
    said: String,
}

impl ForgedRow {
    /// Of which table.
    #[must_use]
    pub fn table(&self) -> &'static str {
        self.table.name
    }
}

impl fmt::Display for ForgedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

/// Why a row is as good as not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidSignet {
    /// Somebody without the key has made or changed it.
    #[error("it was not written with the key of this vault")]
    Unsigned,
    /// A column is not what it should be.
    #[error("it cannot be read")]
    Unreadable(#[from] SqlError),
}

impl Signed {
    /// How many columns are read of a row, its signet included.
    pub(super) fn width(&self) -> usize {
        self.columns.len() + 1
    }

    /// What to select of the table that is called `alias`.
    pub(super) fn of(&self, alias: &str) -> String {
        let columns: Vec<String> = self.columns.iter().chain(&["signet"]).map(|column| format!("{alias}.{column}")).collect();
        columns.join(", ")
    }

    /// Inserts a row of [`Vault::signed`].
    pub(super) fn insert(&self) -> String {
        let places: Vec<String> = (1..=self.width()).map(|place| format!("${place}")).collect();
        format!("insert into {} ({}, signet) values ({})", self.name, self.columns.join(", "), places.join(", "))
    }

    /// Writes a row of [`Vault::signed`] anew, found by its first column.
    pub(super) fn update(&self) -> String {
        let columns = self.columns.iter().chain(&["signet"]).zip(1..).skip(1);
        let set: Vec<String> = columns.map(|(column, place)| format!("{column} = ${place}")).collect();
        format!("update {} set {} where {} = $1", self.name, set.join(", "), self.columns.first().unwrap_or(&"id"))
    }

    fn name_of(&self, row: &Row) -> String {
        let name = self.named_by.and_then(|column| row.text(column).ok()).unwrap_or("…");
        format!("{} {name}", self.name)
    }
}

impl Vault {
    /// A row as it is to be stored: its columns in order, and its signet.
    pub(super) fn signed(&self, table: &Signed, mut columns: Vec<Value>) -> Vec<Value> {
        columns.push(self.signet(table, &columns).into());
        columns
    }

    /// Refuses a row that was not written with our key; its columns begin at `from`.
    pub(super) fn check(&self, table: &Signed, row: &Row, from: usize) -> Result<(), InvalidSignet> {
        let end = from + table.columns.len();
        let columns = row.0.get(from..end).ok_or(SqlError::Column(end))?;
        let signet = row.maybe_text(end)?.ok_or(InvalidSignet::Unsigned)?;
        let is_ours: bool = signet.as_bytes().ct_eq(self.signet(table, columns).as_bytes()).into();
        if is_ours { Ok(()) } else { Err(InvalidSignet::Unsigned) }
    }

    /// The rows that are not ours, of very many not all.
    pub async fn forged_rows(&self) -> Result<Vec<ForgedRow>, VaultError> {
        let mut strange = Vec::new();
        for table in SIGNED {
            let sql = format!("select {} from {} t", table.of("t"), table.name);
            for row in self.database().query(&sql, Vec::new()).await? {
                let (why, keys) = (self.check(table, &row, 0).err(), row.0.get(..table.keys).unwrap_or_default().to_vec());
                let named = why.map(|why| format!("{}: {why}", table.name_of(&row)));
                strange.extend(named.filter(|_| strange.len() < TOGETHER).map(|said| ForgedRow { table, keys, said }));
            }
        }
        Ok(strange)
    }

    /// Removes rows that are not ours, as far as they are still not.
    pub async fn remove(&self, strange: &[ForgedRow]) -> Result<(), VaultError> {
        for ForgedRow { table, keys, .. } in strange {
            let mut transaction = self.database().begin().await?;
            let of: Vec<String> =
                table.columns.iter().zip(1..=keys.len()).map(|(name, place)| format!("t.{name} = ${place}")).collect();
            let of = of.join(" and ");
            let sql =
                format!("select {} from {} t where {of}{}", table.of("t"), table.name, self.database().dialect().for_update);
            let rows = transaction.query(&sql, keys.clone()).await?;
            if rows.iter().any(|row| self.check(table, row, 0).is_err()) {
                let sql = format!("delete from {} where {}", table.name, of.replace("t.", ""));
                transaction.execute(&sql, keys.clone()).await?;
                transaction.commit().await?;
            }
        }
        Ok(())
    }

    fn signet(&self, table: &Signed, columns: &[Value]) -> String {
        let of = |value: &Value| match value {
            Value::Null => serde_json::Value::Null,
            Value::Int(number) => (*number).into(),
            Value::Text(text) => text.as_str().into(),
            Value::Bytes(bytes) => hex::encode(bytes).into(),
            Value::Texts(list) => list.clone().into(),
        };
        let said: Vec<serde_json::Value> = std::iter::once(table.name.into()).chain(columns.iter().map(of)).collect();
        hex::encode(keyed(&keyed(self.wrapping(), PURPOSE), serde_json::Value::from(said).to_string().as_bytes()))
    }
}

fn keyed(key: &[u8; 32], bytes: &[u8]) -> [u8; 32] {
    // A key of any length is one.
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.chain_update(bytes).finalize().into_bytes().into()
}

/// Those rows that are ours; of the others one is named.
pub(super) fn ours<T>(table: &Signed, rows: &[Row], read: impl Fn(&Row) -> Result<T, InvalidSignet>) -> Vec<T> {
    let (mut ours, mut strange) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in rows {
        match read(row) {
            Ok(read) => ours.push(read),
            Err(why) => strange.push((table.name_of(row), why)),
        }
    }
    if let Some((row, why)) = strange.first() {
        let others = strange.len() - 1;
        tracing::error!(row, %why, others, "a row of the vault is not ours and counts as not there: see `forelog doctor`");
    }
    ours
}
