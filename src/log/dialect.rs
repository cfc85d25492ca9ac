//! What differs between SQLite and PostgreSQL beside their drivers: a few statements and the schema.

use std::pin::pin;
use std::time::Duration;

use super::session;
use super::sql::{Database, Row, SqlError, Transaction};

/// One of the three rooms of data (ARCHITECTURE.md, three rooms).
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
    /// All three.
    pub const ALL: [Self; 3] = [Self::Log, Self::Views, Self::Vault];

    /// File name without extension, and schema name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Views => "views",
            Self::Vault => "vault",
        }
    }

    /// Connections that read at once. Of the views more, since what is asked of them may take long: all looks that may be
    /// under way (`views::turns`) leave one free.
    #[must_use]
    pub fn readers(self) -> usize {
        if self == Self::Views { 8 } else { 4 }
    }
}

/// What differs between the two databases.
#[derive(Debug)]
pub struct Dialect {
    /// Shown in errors and by `doctor`.
    pub name: &'static str,
    /// Appended to the read of a row that is to be locked: SQLite has locked the whole file already.
    pub for_update: &'static str,
    /// The database's own clock in microseconds; null if it has none.
    pub clock: &'static str,
    /// Completes `where column …` to "is one of the list that is bound as `$1`".
    pub among: &'static str,
    /// How many tables `schema_version` a room's place (`$1`) has: a role that may not look into it sees it too.
    pub is_there: &'static str,
    /// Settings by which what is committed may not be on disk.
    pub careless: &'static str,
    /// Full text of the views.
    pub full_text: FullText,
    /// Schema scripts of a room, oldest first.
    pub(super) migrations: fn(Room) -> &'static [&'static str],
}

/// How calls are found by their words (`migrations/*/views-*.sql`).
#[derive(Debug)]
pub struct FullText {
    /// What to select from, so that matches come newest first and no more of them are read than are shown.
    pub from: &'static str,
    /// That a call has the words that are bound as `?`.
    pub matches: &'static str,
    /// The position of a match's intent.
    pub intent: &'static str,
    /// What is between words that must all be there, and what follows a word that only begins like this, in quotes of `quote`.
    pub and: &'static str,
    /// See `and`.
    pub prefix: &'static str,
    /// See `and`.
    pub quote: char,
    /// Empties the index; nothing where it is emptied with the table.
    pub clear: &'static str,
}

/// Embedded default.
pub static SQLITE: Dialect = Dialect {
    name: "sqlite",
    for_update: "",
    clock: "null",
    among: "in (select value from json_each($1))",
    is_there: "select count(*) from sqlite_schema where name = 'schema_version' and $1 = $1",
    careless: "select name from sqlite_schema where 0 = 1",
    full_text: FullText {
        // The index decides the order, or a common word would be collected whole first.
        from: "call_words cross join call on call.intent = call_words.rowid",
        matches: "call_words match ?",
        intent: "call_words.rowid",
        and: " AND ",
        prefix: "*",
        quote: '"',
        clear: "insert into call_words (call_words) values ('delete-all')",
    },
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
    clock: "log.wall_clock()",
    among: "= any($1)",
    is_there: "select count(*) from pg_tables where schemaname = $1 and tablename = 'schema_version'",
    careless: "select name from pg_settings where name in ('fsync', 'full_page_writes') and setting = 'off'",
    full_text: FullText {
        from: "call",
        matches: "found_by @@ (?)::text::tsquery",
        intent: "intent",
        and: " & ",
        prefix: ":*",
        quote: '\'',
        clear: "",
    },
    migrations: |room| match room {
        Room::Log => &[include_str!("../../migrations/postgres/log-0001.sql")],
        Room::Views => &[include_str!("../../migrations/postgres/views-0001.sql")],
        Room::Vault => &[include_str!("../../migrations/postgres/vault-0001.sql")],
    },
};

/// The version of a room's schema; 0 if there is none yet. A newer one than this program knows is an error.
pub async fn version(database: &dyn Database, room: Room) -> Result<i64, SqlError> {
    let there = database.query(database.dialect().is_there, vec![room.name().into()]).await?;
    if there.first().map_or(Ok(0), |row| row.int(0))? == 0 {
        return Ok(0);
    }
    database.dialect().read_version(room, &database.query(VERSION, Vec::new()).await?)
}

/// The version of a room's schema that this program has.
#[must_use]
pub fn known(database: &dyn Database, room: Room) -> i64 {
    database.dialect().known(room)
}

/// Takes the limit of a whole transaction away, on servers that have one.
const NO_LIMIT: &str =
    "select set_config('transaction_timeout', '0', true) where current_setting('transaction_timeout', true) is not null";

const VERSION: &str = "select coalesce(max(version), 0) from schema_version";

impl Dialect {
    fn known(&self, room: Room) -> i64 {
        i64::try_from((self.migrations)(room).len()).unwrap_or(i64::MAX)
    }

    fn read_version(&self, room: Room, rows: &[Row]) -> Result<i64, SqlError> {
        let (found, known) = (rows.first().map_or(Ok(0), |row| row.int(0))?, self.known(room));
        if found > known { Err(SqlError::TooNew { room, found, known }) } else { Ok(found) }
    }
}

/// How long a change of the schema waits for a lock that another session has.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often one that waits looks at whom it waits for.
const LOOK: Duration = Duration::from_millis(500);

/// So often programs that start at once may be in each other's way.
const RACES: u32 = 5;

/// Brings a room's schema up to date. Forward only; an older program refuses a newer schema. A schema that is up to date
/// is only read, so that a role which may not change it can serve.
pub async fn migrate(database: &dyn Database, room: Room) -> Result<(), SqlError> {
    let dialect = database.dialect();
    let mut races = 0;
    while version(database, room).await? != dialect.known(room) {
        let mut transaction = database.begin().await?;
        if dialect.name != POSTGRES.name {
            advance(&mut *transaction, dialect, room).await?;
            return transaction.commit().await;
        }
        match advance_in_turn(database, &mut *transaction, room).await {
            Ok(()) => return transaction.commit().await,
            // Another program has made the schema at the same time, and may have done everything.
            Err(error) if races < RACES && session::was_made_meanwhile(&error) => races += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn advance(transaction: &mut dyn Transaction, dialect: &'static Dialect, room: Room) -> Result<(), SqlError> {
    transaction.script("create table if not exists schema_version (version bigint not null)").await?;
    let found = dialect.read_version(room, &transaction.query(VERSION, Vec::new()).await?)?;
    for (script, version) in (dialect.migrations)(room).iter().zip(1i64..).filter(|(_, version)| *version > found) {
        transaction.script(script).await?;
        transaction.execute("insert into schema_version (version) values ($1)", vec![version.into()]).await?;
    }
    Ok(())
}

/// Takes its turn by a lock on the schema's own table, which only its owner can have: every role of the database can hold an
/// advisory lock. What holds it up is named.
async fn advance_in_turn(database: &dyn Database, transaction: &mut dyn Transaction, room: Room) -> Result<(), SqlError> {
    let own = transaction.query("select pg_catalog.pg_backend_pid()::bigint", Vec::new()).await?;
    let own = own.first().map_or(Ok(0), |row| row.int(0))?;
    let (name, wait) = (room.name(), PATIENCE.as_millis());
    let turn = format!(
        "set local lock_timeout = {wait}; set local statement_timeout = 0; create schema if not exists {name};
         create table if not exists {name}.schema_version (version bigint not null);
         lock table {name}.schema_version in exclusive mode"
    );
    let mut work = pin!(async {
        transaction.script(&turn).await?;
        transaction.script(NO_LIMIT).await?;
        advance(transaction, database.dialect(), room).await
    });
    let mut by = String::from("the server does not say which");
    loop {
        match tokio::time::timeout(LOOK, &mut work).await {
            Ok(Err(error)) if session::waited_in_vain(&error) => return Err(SqlError::Held { room, by }),
            Ok(done) => return done,
            Err(_) => {
                let rows = database.query(BLOCKERS, vec![own.into()]).await?;
                let names: Vec<&str> = rows.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?;
                let now = names.join("; ");
                if !names.is_empty() && now != by {
                    tracing::warn!(room = name, blocked_by = now, "the schema waits for a lock that another session holds");
                    by = now;
                }
            }
        }
    }
}

/// For whom a session waits. Everybody may see these columns of everybody.
const BLOCKERS: &str = "\
select 'pid ' || b.pid || coalesce(', application ' || nullif(a.application_name, ''), '') || coalesce(', role ' || a.usename, '')
from unnest(pg_catalog.pg_blocking_pids($1::bigint::int)) as b(pid) left join pg_catalog.pg_stat_activity a on a.pid = b.pid
order by b.pid";
