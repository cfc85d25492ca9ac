//! Checks which data files exist before anything is opened, and creates them where there are none.
//!
//! ```text
//! log.db · vault.db · views.db, each with what SQLite keeps beside it · the key file
//!     nothing of them ──▶ made, all together      one away, anything else there ──▶ refused (the views alone may be made again)
//! ```
//!
//! INVARIANT: the check changes nothing. No room's file is created where any other data file exists: SQLite would take the
//! write-ahead log of a moved database for a leftover and empty it, and the database would come back without its last commits.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::key_file::read_key;
use super::room_error::{RoomError, failed};
use crate::config::Config;
use crate::log::dialect::Room;
use crate::log::file_watch::beside;
use crate::log::private;

/// What SQLite keeps beside a database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Where a room's file is.
pub(super) fn file_of(config: &Config, room: Room) -> PathBuf {
    config.data_dir.join(format!("{}.db", room.name()))
}

/// The rooms that are files.
fn in_files(config: &Config) -> impl Iterator<Item = Room> {
    let (all, vault) = (config.database_url.is_none(), config.vault_database_url.is_none());
    Room::ALL.into_iter().filter(move |room| all && (*room != Room::Vault || vault))
}

/// Whether a room's file is there; an error if it is away and something of the data is there.
pub(super) fn is_there(config: &Config, room: Room) -> Result<bool, RoomError> {
    let file = file_of(config, room);
    let left = match length(&file)? {
        // It was made and nothing was written yet, unless what was written lies beside it.
        Some(0) => length(&beside(&file, "-wal"))?.filter(|length| *length > 0).map(|_| beside(&file, "-wal")),
        Some(_) => None,
        None if room == Room::Views => beside_it(&file)?,
        None => match left_of(config)? {
            None => return Ok(false),
            left => left,
        },
    };
    match left {
        Some(beside) => Err(RoomError::Missing { room, missing: file, beside }),
        None => length(&file).map(|length| length.is_some()),
    }
}

/// Refuses data of which a room that may not be lost is away.
pub(super) fn check(config: &Config) -> Result<(), RoomError> {
    for room in in_files(config).filter(|room| *room != Room::Views) {
        if !is_there(config, room)? {
            return Err(RoomError::Nothing(config.data_dir.clone()));
        }
    }
    Ok(())
}

/// Makes every room's file, if nothing of the data is there.
pub(super) fn make(config: &Config) -> Result<(), RoomError> {
    private::make_dir(&config.data_dir).map_err(failed("making the data directory", &config.data_dir))?;
    let mut away = false;
    for room in in_files(config).filter(|room| *room != Room::Views) {
        away |= !is_there(config, room)?;
    }
    if !away {
        return Ok(());
    }
    for room in in_files(config) {
        make_file(&file_of(config, room))?;
    }
    // All names are on disk before anything is written to one of them: what was cut here is begun again.
    File::open(&config.data_dir).and_then(|dir| dir.sync_all()).map_err(failed("making the data directory", &config.data_dir))
}

/// Refuses a key file in a directory that is not there. The key is made last: where it cannot be, nothing is.
pub(super) fn check_key_place(config: &Config) -> Result<(), RoomError> {
    let key = config.key_file();
    let whole = |path: &Path| std::path::absolute(path).map_err(failed("looking for", path));
    let (key, data) = (whole(&key)?, whole(&config.data_dir)?);
    match key.parent().filter(|dir| *dir != data) {
        Some(dir) => std::fs::metadata(dir).map(drop).map_err(failed("looking for the directory of the key file,", dir)),
        None => Ok(()),
    }
}

/// Makes the views' file, if nothing of them is there.
pub(super) fn make_views(config: &Config) -> Result<(), RoomError> {
    if in_files(config).all(|room| room != Room::Views) || is_there(config, Room::Views)? {
        return Ok(());
    }
    make_file(&file_of(config, Room::Views))
}

/// Removes the views' file and what SQLite keeps beside it; the file first, so that nobody reads one into the other.
pub(super) fn remove_views(config: &Config) -> Result<(), RoomError> {
    let file = file_of(config, Room::Views);
    for name in std::iter::once(file.clone()).chain(BESIDE.map(|end| beside(&file, end))) {
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("removing", &name)(error)),
            _ => {}
        }
    }
    Ok(())
}

/// Private from its first moment on: SQLite gives its journals the mode of the file they belong to.
fn make_file(file: &Path) -> Result<(), RoomError> {
    private::open(file, OpenOptions::new().write(true).create(true)).map(drop).map_err(failed("making", file))
}

/// Something of the data that is there. A file that was made and never written to is nothing.
fn left_of(config: &Config) -> Result<Option<PathBuf>, RoomError> {
    for room in in_files(config) {
        let file = file_of(config, room);
        if length(&file)?.is_some_and(|length| length > 0) {
            return Ok(Some(file));
        }
        if let Some(left) = beside_it(&file)? {
            return Ok(Some(left));
        }
    }
    let key = config.key_file();
    // One that is empty, or no key, is named for that.
    Ok(read_key(&key)?.map(|_| key))
}

fn beside_it(file: &Path) -> Result<Option<PathBuf>, RoomError> {
    for end in BESIDE {
        let name = beside(file, end);
        if length(&name)?.is_some() {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// How long a file is; none if there is none.
fn length(file: &Path) -> Result<Option<u64>, RoomError> {
    match std::fs::metadata(file) {
        Ok(about) => Ok(Some(about.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("looking for", file)(error)),
    }
}
