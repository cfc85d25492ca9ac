//! What differs between SQLite and PostgreSQL: three constants and the schema. The only file that knows both.

use super::sql::{Database, SqlError};

/// One of the three rooms of data (DESIGN §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Events, payloads, and the state written in the same transaction.
    Log,
    /// Read models; may be deleted and rebuilt.
    Views,
    /// Wrapped keys, people, sealed secrets.
    Vault,
}

impl Room {
    /// File name without extension, and schema name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Views => "views",
            Self::Vault => "vault",
        }
    }
}

/// What differs between the two databases.
#[derive(Debug)]
pub struct Dialect {
    /// Shown in errors and by `doctor`.
    pub name: &'static str,
    /// Appended to the read of the head: SQLite has locked the whole file already.
    pub for_update: &'static str,
    /// Completes `where column …` to "is one of the list that is bound as `$1`".
    pub among: &'static str,
    /// Schema scripts of a room, oldest first.
    migrations: fn(Room) -> &'static [&'static str],
}

/// Embedded default.
pub static SQLITE: Dialect = Dialect {
    name: "sqlite",
    for_update: "",
    among: "in (select value from json_each($1))",
    migrations: |room| match room {
        Room::Log => &[include_str!("../../migrations/sqlite/log-0001.sql")],
        Room::Views => &[include_str!("../../migrations/sqlite/views-0001.sql")],
        Room::Vault => &[include_str!("../../migrations/sqlite/vault-0001.sql")],
    },
};

/// Several nodes.
pub static POSTGRES: Dialect = Dialect {
    name: "postgres",
    for_update: " for update",
    among: "= any($1)",
    migrations: |room| match room {
        Room::Log => &[include_str!("../../migrations/postgres/log-0001.sql")],
        Room::Views => &[include_str!("../../migrations/postgres/views-0001.sql")],
        Room::Vault => &[include_str!("../../migrations/postgres/vault-0001.sql")],
    },
};

/// Brings a room's schema up to date. Forward only; an older program refuses a newer schema.
pub async fn migrate(database: &dyn Database, room: Room) -> Result<(), SqlError> {
    let scripts = (database.dialect().migrations)(room);
    let known = i64::try_from(scripts.len()).unwrap_or(i64::MAX);
    let mut transaction = database.begin().await?;
    if database.dialect().name == POSTGRES.name {
        // Two programs that start at once would both create the schema; the second one waits here instead.
        transaction.script("select pg_advisory_xact_lock(4602678819172646912)").await?;
        transaction.script(&format!("create schema if not exists {}", room.name())).await?;
    }
    transaction.script("create table if not exists schema_version (version bigint not null)").await?;
    let rows = transaction.query("select coalesce(max(version), 0) from schema_version", Vec::new()).await?;
    let found = rows.first().map_or(Ok(0), |row| row.int(0))?;
    if found > known {
        return Err(SqlError::TooNew { room, found, known });
    }
    for (script, version) in scripts.iter().zip(1i64..).filter(|(_, version)| *version > found) {
        transaction.script(script).await?;
        transaction.execute("insert into schema_version (version) values ($1)", vec![version.into()]).await?;
    }
    transaction.commit().await
}
