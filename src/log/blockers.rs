//! Who holds on PostgreSQL what an append takes, so that whoever waits for it says for whom, and how one is ended that is overdue.
//!
//! INVARIANT: only a session that is overdue is ended, and only one that this role may end: one that is idle within its
//! transaction for longer than any of ours may be, or one of this very role whose transaction lasts for longer than any of
//! ours does. A schema that is being changed is let be. What is found decides nothing.

use std::fmt;
use std::time::Duration;

use super::sql::{Database, DriverError, Row, SqlError, Transaction};

/// How long a session of ours may do nothing within a transaction before the server ends it. Our own transactions never wait
/// for anything but the database, so one that does is halted.
pub const IDLE: Duration = Duration::from_secs(5);

/// How long one may take at all; the server sees to it where it knows such a limit (from PostgreSQL 17 on), and who waits in vain
/// where it does not.
pub const TRANSACTION: Duration = Duration::from_secs(12);

/// How long an idle one of somebody else may hold the head: longer than the server lets ours.
const OTHERS: Duration = Duration::from_secs(8);

/// Between two looks at who holds something: an append that is just being made is over by the second.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The head, for which everybody waits first.
const HEAD: &str = "array['log.log_head'::pg_catalog.regclass::oid]";

/// Everything that an append writes.
const WHOLE: &str = "array['log.log_head'::pg_catalog.regclass::oid, 'log.event'::pg_catalog.regclass::oid,
    'log.payload'::pg_catalog.regclass::oid, 'log.state'::pg_catalog.regclass::oid]";

/// Open transactions with a lock on one of these tables that can keep others from a row, the oldest first. The lock of a row is in
/// no list; whoever has it has one of these on its table, and waits for no row, but for longer than any of ours would. Of another role's session the server may not say
/// since when, nor what it does.
fn holders(of: &str) -> String {
    format!(
        "\
select distinct s.pid::bigint, coalesce(s.usename::text, 'a role'), coalesce(s.application_name, ''),
       coalesce(to_char(s.xact_start at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), ''),
       coalesce(extract(epoch from clock_timestamp() - s.state_change)::bigint, 0),
       coalesce((s.state like 'idle in transaction%')::int, 0)::bigint,
       coalesce((s.wait_event = 'SyncRep')::int, 0)::bigint,
       coalesce((s.usename = session_user and s.xact_start < clock_timestamp() - interval '{0} s' and not exists (
           select 1 from pg_catalog.pg_locks t where t.pid = s.pid and t.granted and t.mode like '%ExclusiveLock'
           and t.mode <> 'RowExclusiveLock' and t.relation = 'log.schema_version'::pg_catalog.regclass))::int, 0)::bigint
  from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity s on s.pid = l.pid
 where l.relation = any({of}) and l.granted and l.mode not in ('AccessShareLock', 'ShareUpdateExclusiveLock')
   and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
   and s.pid <> pg_backend_pid()
   and (not exists (select 1 from pg_catalog.pg_locks w where w.pid = l.pid and not w.granted)
        or exists (select 1 from pg_catalog.pg_locks w where w.pid = l.pid and not w.granted and w.locktype not in ('transactionid', 'tuple'))
        or s.xact_start < clock_timestamp() - interval '{0} s')
 order by 4",
        TRANSACTION.as_secs()
    )
}

/// Whether anybody but this transaction, which has the head, has a lock by which it may have one on a row of the state.
const SUSPECTS: &str = "\
select distinct coalesce(pid, 0)::bigint from pg_catalog.pg_locks
 where relation = 'log.state'::pg_catalog.regclass and granted and pid is distinct from pg_backend_pid()
   and mode not in ('AccessShareLock', 'ShareUpdateExclusiveLock')
   and database = (select oid from pg_catalog.pg_database where datname = current_database())";

/// A row of control state that somebody else has a lock on.
const HELD: &str = "\
with free as (select name from log.state where control = 1 for update skip locked)
select name::text from log.state where control = 1 except select name::text from free limit 1";

/// Ends the session `$1`, if this role may.
const END: &str = "select pg_terminate_backend($1::int)::int::bigint";

/// Prepared transactions with a lock on the log's tables: they have no session, and outlive every restart. The oldest first, with
/// whether nobody needs to wait for it any more, and this role may end it.
fn holding() -> String {
    format!(
        "\
select distinct quote_literal(p.gid), p.owner::text, to_char(p.prepared at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
       (p.owner = session_user and p.prepared < clock_timestamp() - interval '{} s')::int::bigint
  from pg_catalog.pg_prepared_xacts p
  join pg_catalog.pg_locks own on own.locktype = 'transactionid' and own.transactionid = p.transaction and own.granted
  join pg_catalog.pg_locks l on l.virtualtransaction = own.virtualtransaction and l.pid is null
 where l.relation = any({WHOLE}) and p.database = current_database() order by 3",
        TRANSACTION.as_secs()
    )
}

/// A session that holds what an append takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// The process of the database server that serves it.
    pub pid: i64,
    role: String,
    application: String,
    since: String,
    idle: Option<Duration>,
    /// It commits, and a standby has not yet confirmed that.
    awaits_standby: bool,
    /// It is of this role and lasts for longer than any of ours does.
    outlasts: bool,
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
            awaits_standby: row.int(6)? == 1,
            outlasts: row.int(7)? == 1,
        })
    }

    /// Whether it has held the lock too long and may be ended. A commit that waits for a standby is not ended: that would not help.
    fn is_overdue(&self) -> bool {
        !self.awaits_standby && (self.outlasts || self.idle.is_some_and(|idle| idle >= OTHERS))
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
        if self.awaits_standby {
            write!(f, ", whose commit waits for a synchronous standby (synchronous_standby_names) that does not answer")?;
        }
        if self.idle.is_some() { write!(f, ", which does nothing") } else { Ok(()) }
    }
}

/// Who holds anything just now that an append takes.
pub(super) async fn held(database: &dyn Database) -> Result<Vec<String>, SqlError> {
    let sessions = find_blockers(database, WHOLE).await?.iter().map(ToString::to_string).collect::<Vec<_>>();
    let prepared = database.query(&holding(), Vec::new()).await?;
    let prepared = prepared.iter().map(prepared_by).collect::<Result<Vec<_>, _>>()?;
    Ok(sessions.into_iter().chain(prepared).collect())
}

fn prepared_by(row: &Row) -> Result<String, SqlError> {
    Ok(format!("the prepared transaction {} of {} since {} (`rollback prepared`)", row.text(0)?, row.text(1)?, row.text(2)?))
}

/// The prepared transactions that are in the way, after the overdue were rolled back.
async fn prepared(database: &dyn Database) -> Vec<String> {
    let found = database.query(&holding(), Vec::new()).await.unwrap_or_default();
    for row in found.iter().filter(|row| row.int(3).is_ok_and(|overdue| overdue == 1)) {
        let Ok(gid) = row.text(0) else { continue };
        match database.query(&format!("rollback prepared {gid}"), Vec::new()).await {
            Ok(_) => tracing::warn!(gid, "a prepared transaction that held the log for too long was rolled back"),
            Err(error) => tracing::warn!(gid, %error, "a prepared transaction holds the log, and this role may not end it"),
        }
    }
    found.iter().filter_map(|row| prepared_by(row).ok()).collect()
}

async fn find_blockers(database: &dyn Database, of: &str) -> Result<Vec<Blocker>, SqlError> {
    database.query(&holders(of), Vec::new()).await?.iter().map(Blocker::read).collect()
}

/// Whether something was not to be had in time. The limit of a lock counts anew for each that is waited for, so that of the
/// statement may come first; whoever waits for whom may be told by the server as well.
pub(super) fn are_there(error: &DriverError) -> bool {
    code_of(error).is_some_and(|code| ["55P03", "57014", "40P01"].contains(&code.as_str()))
}

/// The same of a statement that failed.
pub(super) fn is_a_wait(error: &SqlError) -> bool {
    matches!(error, SqlError::Statement(source) if are_there(source))
}

fn code_of(error: &DriverError) -> Option<String> {
    let error = error.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error)?;
    error.code().map(std::borrow::Cow::into_owned)
}

/// What whoever waited for the head in vain is told; whoever is overdue is ended by then, if this role may.
pub(super) async fn passed(database: &dyn Database, source: DriverError) -> SqlError {
    let found = past(database, HEAD).await;
    let by = named(database, &found).await;
    if found.iter().any(|blocker| blocker.awaits_standby) {
        return SqlError::Unconfirmed { by, source };
    }
    SqlError::Blocked { by, source }
}

/// The same of whoever had the head, and waited for something else. A statement that was merely too long waited for nobody.
pub(super) async fn row_held(database: &dyn Database, source: DriverError) -> SqlError {
    let found = past(database, WHOLE).await;
    if found.is_empty() && code_of(&source).is_some_and(|code| code == "57014") {
        return SqlError::Statement(source);
    }
    SqlError::RowHeld { by: named(database, &found).await, source }
}

/// Whoever is in the way, after the overdue were ended.
async fn past(database: &dyn Database, of: &str) -> Vec<Blocker> {
    let mut found = find_blockers(database, of).await.unwrap_or_default();
    if !found.is_empty() {
        // An append that is just being made is none of them.
        tokio::time::sleep(POLL_INTERVAL).await;
        let still = find_blockers(database, of).await.unwrap_or_default();
        let stays = |blocker: &Blocker| still.iter().any(|one| (one.pid, &one.since) == (blocker.pid, &blocker.since));
        if found.iter().any(stays) {
            found.retain(stays);
        }
    }
    for blocker in found.iter().filter(|blocker| blocker.is_overdue()) {
        match database.query(END, vec![blocker.pid.into()]).await {
            Ok(_) => tracing::warn!(%blocker, "a session that held the log for too long was ended"),
            Err(error) => tracing::warn!(%blocker, %error, "a session holds the log, and this role may not end it"),
        }
    }
    found
}

async fn named(database: &dyn Database, found: &[Blocker]) -> String {
    let names: Vec<String> = found.iter().map(ToString::to_string).chain(prepared(database).await).collect();
    if names.is_empty() { "another session".to_owned() } else { names.join(" and ") }
}

/// That nobody holds a row of control state, in a transaction that has the head: any of them may have to change to stop
/// something. The rows themselves are asked for only if there is somebody who may hold one.
pub(super) async fn check_control_rows(transaction: &mut dyn Transaction) -> Result<(), SqlError> {
    if transaction.query(SUSPECTS, Vec::new()).await?.is_empty() {
        return Ok(());
    }
    let held = transaction.query(HELD, Vec::new()).await?;
    let Some(row) = held.first() else { return Ok(()) };
    let source = format!("the row {} could not be changed", row.text(0)?).into();
    Err(SqlError::RowHeld { by: String::new(), source })
}

/// Who holds such a row, after the overdue were ended.
pub(super) async fn row_held_by(database: &dyn Database) -> String {
    let found = past(database, WHOLE).await;
    named(database, &found).await
}
