//! Connections to PostgreSQL: to whichever of the listed servers takes writes, and never for longer than it answers.
//!
//! INVARIANT: a connection that is waiting for an answer, that broke, or whose server only reads goes to nobody else; so
//! what is asked next is never answered by what was asked before.

use std::io;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};
use sqlx::postgres::{PgArguments, PgConnectOptions, PgDatabaseError, PgQueryResult, PgRow, PgSeverity};
use sqlx::query::Query;
use sqlx::{Connection, Executor, PgConnection, Postgres, SqlSafeStr};

use super::dialect::Room;
use super::session_setup::SessionSetup;
use super::sql::SqlError;

/// How long one server may take to let us in.
pub(super) const CONNECT: Duration = Duration::from_secs(3);

/// How much longer than the server's own limit we wait for its answer.
const MARGIN: Duration = Duration::from_secs(2);

/// Connections that are lent out and come back.
pub(super) type Sessions = Pool<Servers>;

/// The servers that may have the database, of which one takes writes.
pub(super) struct Servers {
    options: Vec<PgConnectOptions>,
    /// What is asked first on each connection: it also puts our settings in force.
    greeting: SessionSetup,
    /// Where the last connection was made.
    good: AtomicUsize,
    patience: Duration,
}

/// One connection.
pub(super) struct Session {
    connection: PgConnection,
    in_step: bool,
    patience: Duration,
}

/// How long a statement may take on the server. A decision holds the log's head, so everybody waits for it; a view may be
/// deleted whole.
fn statement_timeout(room: Room) -> Duration {
    if room == Room::Views { Duration::from_mins(2) } else { Duration::from_secs(5) }
}

impl Servers {
    /// Reads a URL, which may list several hosts as libpq does.
    pub fn read(url: &str, room: Room) -> Result<Self, sqlx::Error> {
        let limit = statement_timeout(room);
        // Whoever finds a session in the way learns whose it is.
        let name = format!("forelog {} {}", room.name(), std::process::id());
        let read = |url: String| {
            let options = PgConnectOptions::from_str(&url)?;
            Ok(options.application_name(&name).extra_float_digits(None))
        };
        let options = each_host(url)?.into_iter().map(read).collect::<Result<_, sqlx::Error>>()?;
        Ok(Self { options, greeting: SessionSetup::of(room, limit), good: AtomicUsize::new(0), patience: limit + MARGIN })
    }

    /// A pool of at most `size` connections.
    pub fn pool(self, size: usize) -> Result<Sessions, SqlError> {
        Pool::builder(self).max_size(size).build().map_err(|error| SqlError::Open(error.into()))
    }

    /// The server that took writes when somebody last looked.
    pub fn good(&self) -> Option<&PgConnectOptions> {
        self.options.get(self.good.load(Ordering::Relaxed))
    }
}

impl Manager for Servers {
    type Type = Session;
    type Error = sqlx::Error;

    /// Asks every server, beginning with the one that was right last time.
    async fn create(&self) -> Result<Session, sqlx::Error> {
        let (first, count) = (self.good.load(Ordering::Relaxed), self.options.len());
        let mut failed = sqlx::Error::Configuration("no host is named".into());
        for place in (first..first + count).map(|turn| turn % count) {
            let Some(options) = self.options.get(place) else { continue };
            match tokio::time::timeout(CONNECT, self.greeting.connect(options)).await.unwrap_or_else(|_| Err(too_late())) {
                Ok(connection) => {
                    self.good.store(place, Ordering::Relaxed);
                    return Ok(Session { connection, in_step: true, patience: self.patience });
                }
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<sqlx::Error> {
        if session.in_step { Ok(()) } else { Err(RecycleError::message("it broke")) }
    }
}

impl Session {
    /// Whether it can be used again.
    pub fn in_step(&self) -> bool {
        self.in_step
    }

    /// Asks for rows.
    pub async fn rows(&mut self, query: Query<'static, Postgres, PgArguments>) -> Result<Vec<PgRow>, sqlx::Error> {
        let Self { connection, in_step, patience } = self;
        answer(in_step, *patience, query.fetch_all(connection)).await
    }

    /// Changes rows.
    pub async fn execute(&mut self, query: Query<'static, Postgres, PgArguments>) -> Result<PgQueryResult, sqlx::Error> {
        let Self { connection, in_step, patience } = self;
        answer(in_step, *patience, query.execute(connection)).await
    }

    /// Begins or ends a transaction.
    pub async fn say(&mut self, word: &'static str) -> Result<(), sqlx::Error> {
        let Self { connection, in_step, patience } = self;
        answer(in_step, *patience, connection.execute(sqlx::raw_sql(word))).await.map(|_| ())
    }

    /// Runs several statements, however long they take.
    pub async fn script(&mut self, sql: impl SqlSafeStr) -> Result<(), sqlx::Error> {
        let Self { connection, in_step, .. } = self;
        answer(in_step, Duration::from_hours(24), connection.execute(sqlx::raw_sql(sql))).await.map(|_| ())
    }

    /// Takes leave of the server.
    pub async fn close(self) {
        // A server that is gone has closed it already.
        let _ = tokio::time::timeout(CONNECT, self.connection.close()).await;
    }
}

async fn answer<T>(
    in_step: &mut bool,
    patience: Duration,
    asked: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    *in_step = false;
    let answer = tokio::time::timeout(patience, asked).await.unwrap_or_else(|_| Err(too_late()));
    *in_step = answer.as_ref().map_or_else(is_about_the_statement, |_| true);
    answer
}

fn too_late() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the server did not answer in time"))
}

/// The connection is as good as before: not shut down (57P…), nor at a server that only reads by now (25006).
fn is_about_the_statement(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return matches!(error, sqlx::Error::RowNotFound) };
    error.code().is_some_and(|code| !code.starts_with("57P") && !code.starts_with("08") && code != "25006")
}

/// Whether the server said of a commit that it did not take place. An error that ends the session may follow a commit that did,
/// unless its reason is that the transaction was idle for too long (25P03): then the server had not begun to commit.
pub(super) fn refuses_commit(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    let Some(error) = error.try_downcast_ref::<PgDatabaseError>() else { return false };
    let is_unknown = error.code().starts_with("08") || error.code().starts_with("57P") || error.code() == "40003";
    match error.severity() {
        PgSeverity::Error => !is_unknown,
        PgSeverity::Fatal => error.code() == "25P03",
        _ => false,
    }
}

/// The idle connection that was lent had died meanwhile, and nothing was asked of it: another one may be tried.
pub(super) fn had_died(session: &Object<Servers>, error: &sqlx::Error) -> bool {
    let late = matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut);
    Object::metrics(session).recycle_count > 0 && !session.in_step() && !late
}

/// Why there is no connection.
pub(super) fn unopened(error: PoolError<sqlx::Error>) -> SqlError {
    match error {
        PoolError::Backend(error) => SqlError::Open(error.into()),
        other => SqlError::Open(other.into()),
    }
}

/// One URL for each host that is listed, as libpq lists them: `postgres://h1:5432,h2/db`, or `?host=/run/a,/run/b&port=5432,5433`.
/// Of them the one that takes writes is used, so `target_session_attrs` may say that, and nothing else.
pub fn each_host(url: &str) -> Result<Vec<String>, sqlx::Error> {
    let Some((scheme, rest)) = url.split_once("://") else { return Ok(vec![url.to_owned()]) };
    let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (user, hosts) =
        authority.rsplit_once('@').map_or((String::new(), authority), |(user, hosts)| (format!("{user}@"), hosts));
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    let (mut kept, mut sockets, mut ports) = (Vec::new(), vec![None], Vec::new());
    for part in query.split('&').filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some(("target_session_attrs", "any" | "read-write" | "primary" | "prefer-standby")) => {}
            Some(("target_session_attrs", other)) => {
                let text = format!(
                    "target_session_attrs={other}: Forelog uses the server that takes writes, so it has to be read-write"
                );
                return Err(sqlx::Error::Configuration(text.into()));
            }
            Some(("host", list)) => sockets = list.split(',').map(Some).collect(),
            Some(("port", list)) => ports = list.split(',').collect(),
            _ => kept.push(part.to_owned()),
        }
    }
    let mut urls = Vec::new();
    for (place, (host, socket)) in hosts.split(',').flat_map(|host| sockets.iter().map(move |socket| (host, socket))).enumerate()
    {
        let mut asked = Vec::new();
        asked.extend(socket.map(|socket| format!("host={socket}")));
        // One port is that of all of them.
        asked.extend(ports.get(place).or(ports.first().filter(|_| ports.len() == 1)).map(|port| format!("port={port}")));
        asked.extend(kept.iter().cloned());
        let query = if asked.is_empty() { String::new() } else { format!("?{}", asked.join("&")) };
        urls.push(format!("{scheme}://{user}{host}{path}{query}"));
    }
    Ok(urls)
}
