//! Sets up each PostgreSQL session before its first use, so that no setting of the role or of a pooler decides anything for us.
//!
//! INVARIANT: until the search path is ours nothing is named whose meaning it decides: no function and no table without its
//! schema, and no operator at all. That it is ours is seen before anything else is asked. What a role was set to by itself or by
//! others holds for none of our sessions: it could set it, so it could keep them from being opened, or lead them elsewhere.

use std::io::ErrorKind;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row as _};

use super::blockers::{IDLE, TRANSACTION};
use super::dialect::Room;

/// What a room's connections are greeted with.
pub(super) struct SessionSetup {
    sql: String,
    /// The search path that has to be in force afterwards.
    path: String,
    limit: Duration,
}

impl SessionSetup {
    /// For one room, whose statements may take so long.
    pub fn of(room: Room, limit: Duration) -> Self {
        // What is not named there comes first, which is the catalogue: a table that somebody has made stands behind ours. A
        // temporary one would stand in front of everything unless it is named, and so it is named last.
        let path = format!("{},pg_temp", room.name());
        let mut forced = vec![
            ("statement_timeout", quoted(limit.as_millis())),
            ("lock_timeout", quoted(3000)),
            // A node that is halted inside a transaction must not hold the log's head against all others.
            ("idle_in_transaction_session_timeout", quoted(IDLE.as_millis())),
            // One that waits for work is not in anybody's way.
            ("idle_session_timeout", quoted(0)),
            // Nor one that died while its statement waits or runs.
            ("client_connection_check_interval", quoted(1000)),
            // A transaction that has the head sees what others have written before.
            ("default_transaction_isolation", "'read committed'".to_owned()),
            ("default_transaction_deferrable", "'off'".to_owned()),
            ("row_security", "'on'".to_owned()),
            ("standard_conforming_strings", "'on'".to_owned()),
            ("transform_null_equals", "'off'".to_owned()),
            ("array_nulls", "'on'".to_owned()),
            ("quote_all_identifiers", "'off'".to_owned()),
            // Each commit is on disk, here and on a standby that has to confirm it, before anything is started because of it (P1).
            // What is stricter stays as it is.
            (
                "synchronous_commit",
                "case current_setting('synchronous_commit') when 'remote_apply' then 'remote_apply' else 'on' end".to_owned(),
            ),
        ];
        if room == Room::Log {
            // Servers before 17 have no such limit.
            forced.push(("transaction_timeout", quoted(TRANSACTION.as_millis())));
        }
        let forced: Vec<String> = forced.into_iter().map(|(name, value)| format!("('{name}', {value})")).collect();
        let (settings, itself) = (settings(&forced.join(", ")), itself(room));
        let sql = format!("select pg_catalog.set_config('search_path', '{path}', false); {settings}; {itself}; {SEEN}");
        Self { sql, path, limit }
    }

    /// Opens a connection to a server that takes writes, and puts our settings in force.
    pub async fn connect(&self, options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
        match self.open(options).await {
            // Some settings end a session before a word is said. One that is opened with its own heeds no other; a pooler need
            // not let those through, so they come second.
            Err(error) if is_about_a_setting(&error) => self.open(&self.armed(options)).await.map_err(|_| error),
            opened => opened,
        }
    }

    fn armed(&self, options: &PgConnectOptions) -> PgConnectOptions {
        let limit = self.limit.as_millis().to_string();
        options.clone().options([("local_preload_libraries", ""), ("idle_session_timeout", "0"), ("statement_timeout", &limit)])
    }

    async fn open(&self, options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
        let mut connection = PgConnection::connect_with(options).await?;
        let rows = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(self.sql.clone()))).await?;
        self.check(rows.last().ok_or(sqlx::Error::RowNotFound)?)?;
        Ok(connection)
    }

    fn check(&self, seen: &PgRow) -> Result<(), sqlx::Error> {
        let [path, standby, read_only]: [String; 3] = [seen.try_get(0)?, seen.try_get(1)?, seen.try_get(2)?];
        if path != self.path {
            let text = format!("the session looks for tables in {path} although it was told to look in {}", self.path);
            return Err(sqlx::Error::Configuration(text.into()));
        }
        if standby == "true" || read_only == "on" {
            let text = "the server only reads: a standby, or default_transaction_read_only is on";
            return Err(sqlx::Error::Configuration(text.into()));
        }
        Ok(())
    }
}

/// Puts in force what we need, and takes back whatever else the role was set to. It takes the search path to be ours.
fn settings(forced: &str) -> String {
    format!(
        "select count(set_config(s.name, coalesce(w.value, s.boot_val), false))
         from pg_settings s left join (values {forced}) as w (name, value) on w.name = s.name
         where w.name is not null or (s.source in ('user', 'database user') and s.context = 'user' and s.boot_val is not null
             and s.name not in ('search_path', 'transaction_isolation', 'transaction_read_only', 'transaction_deferrable'))"
    )
}

/// Goes on as the role that came in, where it was made another one that may not even see the room.
fn itself(room: Room) -> String {
    format!(
        "select set_config('role', 'none', false) from pg_namespace n where n.nspname = '{}' and current_user <> session_user
         and not has_schema_privilege(n.oid, 'USAGE') and has_schema_privilege(session_user, n.oid, 'USAGE')",
        room.name()
    )
}

/// What is in force now. A server that was told to read only, by others than the role, is let be.
const SEEN: &str = "\
select pg_catalog.current_setting('search_path'), pg_catalog.pg_is_in_recovery()::pg_catalog.text,
    pg_catalog.current_setting('default_transaction_read_only')";

fn quoted(value: impl std::fmt::Display) -> String {
    format!("'{value}'")
}

/// Whether a session did not come about that might with other settings: not refused by its name or password (28), its database
/// (3D), a server that is full (53), or one that begins or ends.
fn is_about_a_setting(error: &sqlx::Error) -> bool {
    // A session that a setting ends at once may be gone before its reason is read.
    if let sqlx::Error::Io(error) = error {
        return matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof);
    }
    let Some(code) = error.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned)) else {
        return false;
    };
    let is_another = ["28", "3D", "53", "57P01", "57P02", "57P03"].iter().any(|class| code.starts_with(class));
    !is_another
}
