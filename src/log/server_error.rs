//! What the answer of a PostgreSQL server says of it, beyond that it failed.

use std::borrow::Cow;
use std::io;

use deadpool::managed::PoolError;

use super::sql::SqlError;

impl SqlError {
    /// Whether the same may be stored a moment later, and nothing was now: what stops something is tried again.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        self.is_held() || may_pass(self)
    }
}

/// Whether statements of one session were answered in different ones, as by a pooler that lends a server for each transaction: a
/// statement that was prepared is not there (26000), or is there already (42P05).
#[must_use]
pub fn is_shared(error: &SqlError) -> bool {
    state_of(error).is_some_and(|code| code == "26000" || code == "42P05")
}

/// The code of what the server answered.
fn state_of(error: &SqlError) -> Option<String> {
    let (SqlError::Open(driver) | SqlError::Statement(driver) | SqlError::Refused(driver) | SqlError::Commit(driver)) = error
    else {
        return None;
    };
    let error = driver.downcast_ref::<sqlx::Error>()?.as_database_error()?;
    error.code().map(Cow::into_owned)
}

/// Whether a change was refused by a right that is lacking (42501), by a trigger (P0001), or by the size of a column (23514).
pub(super) fn is_forbidden(error: &SqlError) -> bool {
    state_of(error).is_some_and(|code| ["42501", "P0001", "23514"].contains(&code.as_str()))
}

/// What the server answers that it need not answer a moment later: it ends, begins or is full (53, 57, 08, 58), somebody else is
/// in the way (55, 40), or the transaction is not what it was (25).
const PASSING: [&str; 7] = ["08", "25", "40", "53", "55", "57", "58"];

/// Whether a server that did not do it, and did not say that it never will, may do it a moment later.
fn may_pass(error: &SqlError) -> bool {
    if let Some(code) = state_of(error) {
        return !matches!(error, SqlError::Commit(_)) && PASSING.iter().any(|class| code.starts_with(class));
    }
    let (SqlError::Open(driver) | SqlError::Statement(driver)) = error else { return matches!(error, SqlError::TooLong(_)) };
    // A server that only reads may be one that has just been replaced.
    let of_session =
        |error: &sqlx::Error| matches!(error, sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Configuration(_));
    driver.downcast_ref().is_some_and(of_session)
}

/// Whether the role may not do that.
#[must_use]
pub fn is_denied(error: &SqlError) -> bool {
    state_of(error).is_some_and(|code| code == "42501")
}

/// Whether it waited for a lock for as long as it may.
pub(super) fn waited_in_vain(error: &SqlError) -> bool {
    state_of(error).is_some_and(|code| code == "55P03")
}

/// Whether nothing answers where the server is said to be.
#[must_use]
pub fn is_not_there(error: &SqlError) -> bool {
    let (SqlError::Open(driver) | SqlError::Statement(driver)) = error else { return false };
    let Some(sqlx::Error::Io(error)) = driver.downcast_ref() else { return false };
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound)
}

/// Whether the server lets nobody in who comes now: all of its sessions are taken, or ours are ended.
#[must_use]
pub fn is_shut_out(error: &SqlError) -> bool {
    state_of(error).is_some_and(|code| code == "53300" || code.starts_with("57P"))
}

/// Whether the server does not let this role in (class 28).
#[must_use]
pub fn is_denied_to(error: &SqlError) -> bool {
    state_of(error).is_some_and(|code| code.starts_with("28"))
}

/// Whether somebody else has made the same schema or table meanwhile.
pub(super) fn was_made_meanwhile(error: &SqlError) -> bool {
    state_of(error).is_some_and(|code| ["23505", "42P06", "42P07"].contains(&code.as_str()))
}

/// Whether a database server was not there, or let nobody in; files have no server.
#[must_use]
pub fn is_no_server(error: &SqlError) -> bool {
    let SqlError::Open(driver) = error else { return false };
    driver.is::<sqlx::Error>() || driver.is::<PoolError<sqlx::Error>>()
}
