//! Whether the files of a room that is open are still those that were opened: the database, and the log of writes beside it,
//! which holds what the database does not hold yet.
//!
//! ```text
//! moved away ──▶ not used until it is back, with the log of writes as it was left
//! replaced, or the log of writes gone, replaced or emptied ──▶ never used again
//! ```
//!
//! INVARIANT: looking opens neither the database nor its index: closing either would free the locks that SQLite has on it. And
//! it costs two looks at names and one short read, so that nothing is read or written without it.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::sql::SqlError;

/// The head of a log of writes, which is another one each time that the log begins anew.
const HEAD: usize = 32;

/// How the files stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// They are those that were opened.
    Whole,
    /// The log of writes is shorter than it was: emptied in order, or by somebody who should not have.
    Shorter,
}

/// What tells a file from every other one on this machine.
type Identity = (u64, u64);

/// One room's files.
pub(super) struct Watch {
    file: PathBuf,
    wal: PathBuf,
    opened: Identity,
    /// The log of writes that was opened; none if there was none, as of what is in no such mode.
    writes: Option<(Identity, File)>,
    seen: Mutex<Seen>,
}

/// What was seen last of the log of writes.
struct Seen {
    length: u64,
    head: [u8; HEAD],
    /// The database was away.
    away: bool,
    /// Why it is not used any more.
    lost: Option<String>,
}

impl Watch {
    /// Of a database that was just opened.
    pub(super) fn of(file: &Path) -> io::Result<Self> {
        let opened = identity(&std::fs::metadata(file)?);
        let wal = beside(file, "-wal");
        let writes = match File::open(&wal) {
            Ok(open) => Some((identity(&open.metadata()?), open)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let seen = Mutex::new(Seen { length: 0, head: [0; HEAD], away: false, lost: None });
        Ok(Self { file: file.to_owned(), wal, opened, writes, seen })
    }

    /// How the files stand; an error if they are not ours.
    pub(super) fn check(&self) -> Result<Standing, SqlError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = &seen.lost {
            return Err(SqlError::NotOurs(why.clone()));
        }
        match std::fs::metadata(&self.file) {
            Ok(about) if identity(&about) == self.opened => {}
            Ok(_) => {
                seen.away = true;
                return Err(SqlError::NotOurs(format!("{} is another file than the one that was opened", self.file.display())));
            }
            Err(error) => {
                seen.away = true;
                return Err(SqlError::Open(format!("{}: {error}", self.file.display()).into()));
            }
        }
        let Some((opened, writes)) = &self.writes else { return Ok(Standing::Whole) };
        match std::fs::metadata(&self.wal) {
            Ok(about) if identity(&about) == *opened => {
                let mut head = [0; HEAD];
                // Shorter than that, it holds nothing.
                let read = writes.read_at(&mut head, 0).map_err(|error| SqlError::Open(error.into()))?;
                let head = if read == HEAD { head } else { [0; HEAD] };
                self.compare(&mut seen, about.len(), head)
            }
            Ok(_) => Err(SqlError::NotOurs(format!("{} is another file than the one that was opened", self.wal.display()))),
            Err(error) => Err(SqlError::NotOurs(format!("{}, which was open, cannot be found: {error}", self.wal.display()))),
        }
    }

    fn compare(&self, seen: &mut Seen, length: u64, head: [u8; HEAD]) -> Result<Standing, SqlError> {
        if seen.away && (head != seen.head || length < seen.length) {
            return Err(self.lose(seen, "somebody has written to it while the database was away"));
        }
        seen.away = false;
        if length < seen.length {
            return Ok(Standing::Shorter);
        }
        (seen.length, seen.head) = (length, head);
        Ok(Standing::Whole)
    }

    /// Judges a log of writes that is shorter than it was, by whether what it has to hold could be read.
    pub(super) fn judge(&self, read: Option<rusqlite::Result<()>>) -> Result<(), SqlError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            None => Err(SqlError::Open("the database was closed".into())),
            Some(Ok(())) => {
                seen.length = 0;
                Ok(())
            }
            // Another process holds it; the next look judges.
            Some(Err(error)) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => Ok(()),
            Some(Err(error)) => Err(self.lose(&mut seen, &format!("it is shorter than it was: {error}"))),
        }
    }

    fn lose(&self, seen: &mut Seen, why: &str) -> SqlError {
        let text = format!("{} holds no more what the database needs of it, and is not used again: {why}", self.wal.display());
        tracing::error!(file = %self.wal.display(), why, "what was recorded last may be lost");
        SqlError::NotOurs(seen.lost.insert(text).clone())
    }
}

/// The file that SQLite keeps beside a database.
#[must_use]
pub fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn identity(about: &Metadata) -> Identity {
    (about.dev(), about.ino())
}
