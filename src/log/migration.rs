//! Bringing the schema of a room up to date.
//!
//! INVARIANT: forward only; of programs that start at once one makes each change, and an older one refuses a newer schema.

use std::pin::pin;
use std::time::Duration;

use super::dialect::{Dialect, POSTGRES, Room};
use super::server_error::{waited_in_vain, was_made_meanwhile};
use super::sql::{Database, Row, SqlError, Transaction};

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
const TIMEOUT: Duration = Duration::from_secs(10);

/// How often one that waits looks at whom it waits for.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

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
            Err(error) if races < RACES && was_made_meanwhile(&error) => races += 1,
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
    let (name, wait) = (room.name(), TIMEOUT.as_millis());
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
        match tokio::time::timeout(POLL_INTERVAL, &mut work).await {
            Ok(Err(error)) if waited_in_vain(&error) => return Err(SqlError::Held { room, by }),
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
