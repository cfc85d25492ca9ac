//! Who holds the log's head on PostgreSQL, so that whoever waits for it says for whom, and how one is ended that does nothing.
//!
//! INVARIANT: only a session that is idle within its transaction for longer than any of ours may be is ended, and only one that
//! this role may end: a statement that runs is let run to its own limit. What is found decides nothing.

use std::fmt;
use std::time::Duration;

use super::sql::{Database, DriverError, Row, SqlError};

/// How long a session of ours may do nothing within a transaction before the server ends it. Our own transactions never wait
/// for anything but the database, so one that does is halted.
pub const IDLE: Duration = Duration::from_secs(5);

/// How long one may take at all, where the server knows such a limit (from PostgreSQL 17 on).
pub const TRANSACTION: Duration = Duration::from_secs(12);

/// How long an idle one of somebody else may hold the head: longer than the server lets ours.
const OTHERS: Duration = Duration::from_secs(8);

/// Open transactions with a lock on the head that keeps others from it, the oldest first, and whether they do nothing. The lock
/// of a row is in no list; whoever has it has one of these on its table, and waits for none.
const HOLDERS: &str = "\
select distinct s.pid::bigint, coalesce(s.usename::text, 'a role'), coalesce(s.application_name, ''),
       coalesce(to_char(s.xact_start at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), ''),
       coalesce(extract(epoch from clock_timestamp() - s.state_change)::bigint, 0),
       coalesce((s.state like 'idle in transaction%')::int, 0)::bigint
  from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity s on s.pid = l.pid
 where l.relation = 'log.log_head'::pg_catalog.regclass and l.granted and l.mode <> 'AccessShareLock'
   and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
   and s.wait_event_type is distinct from 'Lock' and s.pid <> pg_backend_pid()
 order by 4";

/// Ends the session `$1`, if this role may.
const END: &str = "select pg_terminate_backend($1::int)::int::bigint";

/// A session that holds the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// The process of the database server that serves it.
    pub pid: i64,
    role: String,
    application: String,
    since: String,
    idle: Option<Duration>,
}

impl Blocker {
    fn read(row: &Row) -> Result<Self, SqlError> {
        let seconds = Duration::from_secs(u64::try_from(row.int(4)?).unwrap_or_default());
        Ok(Self {
            pid: row.int(0)?,
            role: row.text(1)?.to_owned(),
            application: row.text(2)?.to_owned(),
            since: row.text(3)?.to_owned(),
            idle: (row.int(5)? == 1).then_some(seconds),
        })
    }

    /// Whether nobody needs to wait for it any more.
    fn is_overdue(&self) -> bool {
        self.idle.is_some_and(|idle| idle >= OTHERS)
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a session of {} (pid {}", self.role.escape_debug(), self.pid)?;
        if !self.application.is_empty() {
            write!(f, ", {}", self.application.escape_debug())?;
        }
        write!(f, ")")?;
        if !self.since.is_empty() {
            write!(f, " since {}", self.since)?;
        }
        if self.idle.is_some() { write!(f, ", which does nothing") } else { Ok(()) }
    }
}

/// Who holds the head just now.
pub(super) async fn held(database: &dyn Database) -> Result<Vec<Blocker>, SqlError> {
    database.query(HOLDERS, Vec::new()).await?.iter().map(Blocker::read).collect()
}

/// Whether the head was not to be had in time.
pub(super) fn are_there(error: &DriverError) -> bool {
    let error = error.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
    error.is_some_and(|error| error.code().as_deref() == Some("55P03"))
}

/// What whoever waited in vain is told; whoever holds the head and does nothing is ended by then, if this role may.
pub(super) async fn passed(database: &dyn Database, source: DriverError) -> SqlError {
    let found = held(database).await.unwrap_or_default();
    for blocker in found.iter().filter(|blocker| blocker.is_overdue()) {
        match database.query(END, vec![blocker.pid.into()]).await {
            Ok(_) => tracing::warn!(%blocker, "a session that held the log's head and did nothing was ended"),
            Err(error) => tracing::warn!(%blocker, %error, "a session holds the log's head, and this role may not end it"),
        }
    }
    let names: Vec<String> = found.iter().map(ToString::to_string).collect();
    let by = if names.is_empty() { "another session".to_owned() } else { names.join(" and ") };
    SqlError::Blocked { by, source }
}
