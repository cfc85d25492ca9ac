//! Who works as a node in a data directory: servers, any number of them, or one pipe alone.
//!
//! INVARIANT: a pipe that is a node of its own holds the directory against every server for as long as it lives, and every
//! server against such a pipe; a process that dies, however it dies, holds nothing. The command line on the data takes no
//! seat: whatever is stopped is stopped beside whoever has one (P15).

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::log::holders::{self, Holder};
use crate::log::private;

/// A directory that cannot be worked in.
#[derive(Debug, thiserror::Error)]
pub enum SeatError {
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
    #[error("the data in {} is held by {}", path.display(), holders::named(by))]
    Taken {
        /// Which directory.
        path: PathBuf,
        /// By whom, as far as the kernel tells.
        by: Vec<Holder>,
    },
}

/// A place in a data directory, for as long as it is kept.
#[derive(Debug)]
pub struct Seat {
    _held: File,
}

impl Seat {
    /// A server's, beside other servers. The directory is made if it is not there.
    pub fn among_servers(dir: &Path) -> Result<Self, SeatError> {
        Self::take(dir, File::try_lock_shared)
    }

    /// The only one.
    pub fn alone(dir: &Path) -> Result<Self, SeatError> {
        Self::take(dir, File::try_lock)
    }

    fn take(dir: &Path, lock: impl Fn(&File) -> Result<(), TryLockError>) -> Result<Self, SeatError> {
        let failed = |source| SeatError::File { path: dir.to_owned(), source };
        private::make_dir(dir).map_err(failed)?;
        // The directory itself: there is no file that anybody could remove, or that would be left behind.
        let held = File::open(dir).map_err(failed)?;
        match lock(&held) {
            Ok(()) => Ok(Self { _held: held }),
            Err(TryLockError::WouldBlock) => Err(SeatError::Taken { path: dir.to_owned(), by: holders::of(dir) }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}
