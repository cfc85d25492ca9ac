//! Directories and files that only their owner may read: rooms, keys, machines and what guests have said, and whatever is
//! taken away from them.
//!
//! INVARIANT: what is made here is 0700 or 0600 whatever the umask says, from its first moment on. What others than this
//! program make beside it, a database's journals or QEMU's sockets, is kept by the process's own mask (`main.rs`).

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const DIRECTORY: u32 = 0o700;
const FILE: u32 = 0o600;

/// What others may do with a file, and with a directory: look in, or go through.
const OTHERS_READ: u32 = 0o066;
const OTHERS_ENTER: u32 = 0o055;

/// The bits of a mode that say what it is of.
const KIND: u32 = 0o170_000;
const DIRECTORY_KIND: u32 = 0o040_000;
const LINK_KIND: u32 = 0o120_000;

/// Makes a directory, and those above it that are missing. One that is there stays as it is.
pub fn make_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIRECTORY).create(path)
}

/// Opens a file as `options` say; if that makes it, it is private.
pub fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options.mode(FILE).open(path)
}

/// Makes a file, or empties one that is there, which is private from now on.
pub fn create(path: &Path) -> io::Result<File> {
    let file = open(path, OpenOptions::new().write(true).create(true).truncate(true))?;
    file.set_permissions(Permissions::from_mode(FILE))?;
    Ok(file)
}

/// Makes a file that holds `bytes`.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    create(path)?.write_all(bytes)
}

/// What others than its owner can read of these files and directories of `dir`, and of what is below them. A link is not
/// followed; what is behind a closed door is not open.
pub fn exposed(dir: &Path, names: &[String]) -> io::Result<Vec<PathBuf>> {
    if mode(dir)?.is_none_or(|mode| mode & OTHERS_ENTER == 0) {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let mut waiting: Vec<PathBuf> = names.iter().map(|name| dir.join(name)).collect();
    while let Some(path) = waiting.pop() {
        // It may have been a database's journal, or a draft, and be gone.
        let Some(mode) = mode(&path)? else { continue };
        let (is_dir, is_link) = (mode & KIND == DIRECTORY_KIND, mode & KIND == LINK_KIND);
        if is_link || mode & (if is_dir { OTHERS_ENTER } else { OTHERS_READ }) == 0 {
            continue;
        }
        if is_dir {
            for entry in std::fs::read_dir(&path)? {
                waiting.push(entry?.path());
            }
        }
        found.push(path);
    }
    found.sort();
    Ok(found)
}

/// Whether others than its owner may read or change a file. The group that root has given a file of its own to is the service's.
pub fn is_exposed(path: &Path) -> io::Result<bool> {
    let about = std::fs::metadata(path)?;
    let of_service = about.uid() == 0 && about.gid() != 0;
    let open = if of_service { OTHERS_READ & 0o007 } else { OTHERS_READ };
    Ok(about.permissions().mode() & open != 0)
}

/// None if there is nothing of that name.
fn mode(path: &Path) -> io::Result<Option<u32>> {
    match std::fs::symlink_metadata(path) {
        Ok(about) => Ok(Some(about.permissions().mode())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
