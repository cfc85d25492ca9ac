//! The lock on a data directory: exclusive for a server on files and for a pipe (`forelog stdio` without a server), shared among
//! servers whose data is in PostgreSQL.
//!
//! INVARIANT: files have one server or one pipe at a time. The kernel releases the lock of a process that dies. The command line
//! takes no lock, so it can stop calls beside any server or pipe (P15).

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::log::lock_holders::{self, Holder};
use crate::log::private;

/// A directory that cannot be worked in.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryLockError {
    /// The file system refused.
    #[error("using the data directory {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Somebody is there with whom it cannot be shared.
    #[error("the data in {} is held by {}", path.display(), lock_holders::named(by))]
    Taken {
        /// Which directory.
        path: PathBuf,
        /// By whom, as far as the kernel tells.
        by: Vec<Holder>,
    },
}

/// A place in a data directory, for as long as it is kept.
#[derive(Debug)]
pub struct DirectoryLock {
    _held: File,
}

impl DirectoryLock {
    /// A server's: alone on files, beside other servers on PostgreSQL. The directory is made if it is not there.
    pub fn of_server(config: &Config) -> Result<Self, DirectoryLockError> {
        if config.database_url.is_none() { Self::alone(&config.data_dir) } else { Self::among_servers(&config.data_dir) }
    }

    /// A server's, beside other servers.
    pub fn among_servers(dir: &Path) -> Result<Self, DirectoryLockError> {
        Self::take(dir, File::try_lock_shared)
    }

    /// The only one.
    pub fn alone(dir: &Path) -> Result<Self, DirectoryLockError> {
        Self::take(dir, File::try_lock)
    }

    fn take(dir: &Path, lock: impl Fn(&File) -> Result<(), TryLockError>) -> Result<Self, DirectoryLockError> {
        let failed = |source| DirectoryLockError::File { path: dir.to_owned(), source };
        private::make_dir(dir).map_err(failed)?;
        // The directory itself: there is no file that anybody could remove, or that would be left behind.
        let held = File::open(dir).map_err(failed)?;
        match lock(&held) {
            Ok(()) => Ok(Self { _held: held }),
            Err(TryLockError::WouldBlock) => Err(DirectoryLockError::Taken { path: dir.to_owned(), by: lock_holders::of(dir) }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}
