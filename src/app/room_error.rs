//! Rooms that are not opened: why, and what whoever runs them can do.
//!
//! INVARIANT: what is refused here was left as it was, so that what is away can be put back.

use std::io;
use std::path::{Path, PathBuf};

use crate::log::dialect::Room;
use crate::log::pair::PairError;
use crate::log::server_error::{is_denied, is_not_there};
use crate::log::sql::SqlError;
use crate::log::store::StoreError;
use crate::log::vault::VaultError;

/// A data directory or database that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    /// The file system refused.
    #[error("{what} {}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A database cannot be opened.
    #[error("opening the {} room", room.name())]
    Open {
        /// Which.
        room: Room,
        /// Why not.
        #[source]
        source: SqlError,
    },
    /// A room's schema is older than this program, which only looks.
    #[error("the schema {} is at version {found}, of an older forelog; this program reads {known}", room.name())]
    Old {
        /// Which.
        room: Room,
        /// Version in the database.
        found: i64,
        /// The one this program has.
        known: i64,
    },
    /// The log room cannot be brought up to date.
    #[error("preparing the log room")]
    Log(#[from] StoreError),
    /// The vault cannot be used with this key.
    #[error("opening the vault with the key-encryption key in {}", path.display())]
    Vault {
        /// Where the key is.
        path: PathBuf,
        /// Why not.
        #[source]
        source: VaultError,
    },
    /// The key-encryption key is another log's.
    #[error("the key-encryption key in {} is not this log's: it opens no key of the vault, and control state was not recorded with it", .0.display())]
    WrongKey(PathBuf),
    /// A file is away, and something of the data is there.
    #[error("{}{} is not there, and {} is: nothing is made in its place", lost(*room), missing.display(), beside.display())]
    Missing {
        /// Of which room.
        room: Room,
        /// What is away.
        missing: PathBuf,
        /// What is there.
        beside: PathBuf,
    },
    /// There is no log in the database, and the key file of one is there.
    #[error("the log was lost, or this is another database: there is none in it, and the key-encryption key {} is there", .0.display())]
    NoLog(PathBuf),
    /// There is nothing.
    #[error("there is no Forelog data in {}", .0.display())]
    Nothing(PathBuf),
    /// A copy lies beside what another file of that name has left.
    #[error("{} is a copy that was put beside {}-wal, which an earlier file of that name has left and which would be read into it", .0.display(), .0.display())]
    Leftover(PathBuf),
    /// Log and vault do not belong together.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// The vault has keys and the key that opens them is not there.
    #[error("the key-encryption key {} is missing, and the vault holds keys that only it opens; put it back from its copy", .0.display())]
    KeyMissing(PathBuf),
    /// The key file is there and empty, as a write that was cut leaves it.
    #[error("the key-encryption key {} is empty; put it back from its copy, or remove the file if no data was ever kept here", .0.display())]
    KeyEmpty(PathBuf),
    /// The key file holds something else.
    #[error("the key-encryption key {} is not 64 hexadecimal digits", .0.display())]
    KeyUnreadable(PathBuf),
}

impl RoomError {
    /// Whether the log's database may let us in a moment later: it is full, begins, or ends what is asked of it.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Open { source, .. } | Self::Log(StoreError::Sql(source)) => source.may_pass() && !is_not_there(source),
            _ => false,
        }
    }

    /// The log's database failed.
    #[must_use]
    pub fn of_log(source: SqlError) -> Self {
        Self::Open { room: Room::Log, source }
    }

    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Missing { room: Room::Log, .. } => Some(
                "put the log back where it was, and touch nothing else meanwhile: what ends in -wal or -shm belongs to it. If it is lost, \
                 put it back from its copy (docs/operations.md, Restoring); to begin anew, move what is there away first",
            ),
            Self::Missing { room: Room::Vault, .. } => Some(
                "put the vault back where it was, and touch nothing else meanwhile: what ends in -wal or -shm belongs to it. If it is \
                 lost, put it back from its copy (docs/operations.md, Restoring). Stopping goes on without it",
            ),
            Self::Missing { room: Room::Views, .. } => {
                Some("put the views back where they were, or make them again with `forelog view rebuild`: they may be lost")
            }
            Self::WrongKey(_) => Some(
                "put this log's own key back from its copy, or name it with key_file; the data is left as it is. If it is this log's, somebody \
                 has replaced both the vault's keys and control state: treat them as edited",
            ),
            Self::NoLog(_) => {
                Some("check database_url. If the log is lost, put it back from its copy (docs/operations.md, Restoring)")
            }
            Self::Nothing(_) => Some(
                "name the directory with --data DIR, or create one with `forelog demo`, `forelog account create` or `forelog serve --create`",
            ),
            Self::Old { .. } => Some(
                "a server that starts brings it up to date, and so does `forelog migrate`, on PostgreSQL as the role that owns it",
            ),
            Self::Log(_) => {
                Some("a role that may not change the schema needs `forelog migrate` to be run first, as the role that owns it")
            }
            Self::Leftover(_) => Some(
                "remove the files that end in .db-wal and .db-shm, which are of the data before (docs/operations.md, Restoring)",
            ),
            Self::Open { room: Room::Views, source } if is_denied(source) => Some(
                "the role that serves may not make the schema of the views: `forelog migrate --grant-to ROLE`, as the role that owns the \
                 others, makes it; then rebuild",
            ),
            Self::File { .. } | Self::Open { .. } => {
                Some("check that the path is right and that this user may read and write it")
            }
            Self::Pair(PairError::LogLost) => Some(
                "put the log back from its copy (docs/operations.md); to begin anew, move the vault and its key file away first",
            ),
            Self::Pair(PairError::VaultLost) => Some(
                "put the vault and its key file back from their copy (docs/operations.md): without them nothing in the log can be opened",
            ),
            _ => None,
        }
    }
}

fn lost(room: Room) -> &'static str {
    match room {
        Room::Log => "the log was lost, or moved away: ",
        Room::Vault => "the vault was lost, or moved away: ",
        Room::Views => "the views were lost, or moved away: ",
    }
}

/// What the file system refused.
pub(super) fn failed<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> RoomError + 'a {
    move |source| RoomError::File { what, path: path.to_owned(), source }
}
