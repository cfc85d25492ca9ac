//! A server's socket in its data directory, by which `forelog stdio` on the same machine comes in.
//!
//! INVARIANT: only the user whom the server runs as can reach it: it is 0600 in a folder of its own that is 0700 before the
//! socket is in it. Who listens holds the folder, so the socket of a server that died is replaced, and that of one that
//! lives never, frozen or not. A clean stop leaves nothing behind.

use std::fs::{File, Permissions, TryLockError};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use crate::log::lock_holders::{self, Holder};
use crate::log::private;

/// The folder in the data directory, and the socket in it.
const FOLDER: &str = "run";
const NAME: &str = "mcp.sock";

/// Beside it: where the same server listens for everybody.
const ADDRESS: &str = "address";

/// Longest path that a socket's address holds.
const MAX_LENGTH: usize = 107;

/// Tries to take a folder that whoever stops is removing.
const MAX_ATTEMPTS: usize = 10;

/// A socket that cannot be listened at.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The file system refused.
    #[error("listening at {}", path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Another server listens there.
    #[error("{} is the socket of {}", path.display(), lock_holders::named(by))]
    Taken {
        /// Where.
        path: PathBuf,
        /// Who.
        by: Vec<Holder>,
    },
}

/// Where the socket of a data directory is.
#[must_use]
pub fn path(data: &Path) -> PathBuf {
    data.join(FOLDER).join(NAME)
}

/// Where the server of a data directory has said that it listens. It may be gone: whoever asks it dials the socket first.
#[must_use]
pub fn address_of(data: &Path) -> Option<SocketAddr> {
    std::fs::read_to_string(data.join(FOLDER).join(ADDRESS)).ok()?.trim().parse().ok()
}

/// A path to a socket that fits into an address. While this is kept, it leads there.
#[derive(Debug)]
pub struct Reachable {
    path: PathBuf,
    _folder: Option<File>,
}

impl Reachable {
    /// The way to the socket of a data directory. A path that is too long for an address goes by way of the open folder.
    pub fn new(data: &Path) -> io::Result<Self> {
        let path = path(data);
        if path.as_os_str().as_bytes().len() <= MAX_LENGTH {
            return Ok(Self { path, _folder: None });
        }
        let folder = File::open(data.join(FOLDER))?;
        let short = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
        if !short.is_dir() {
            let text = format!(
                "its path is longer than {MAX_LENGTH} bytes, and /proc is not there to shorten it: use a shorter data_dir"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(Self { path: short.join(NAME), _folder: Some(folder) })
    }

    /// The path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.path
    }
}

/// The socket of this process. It is removed when this is dropped.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    /// Held while it is listened at.
    _folder: File,
}

impl Socket {
    /// Listens in the data directory, in place of a server that has died.
    pub fn listen(data: &Path) -> Result<(Self, UnixListener), SocketError> {
        let path = path(data);
        let failed = |source| SocketError::File { path: path.clone(), source };
        let folder = hold(&data.join(FOLDER), &path)?;
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let reachable = Reachable::new(data).map_err(failed)?;
        let listener = UnixListener::bind(reachable.as_path()).map_err(failed)?;
        let socket = Self { path: path.clone(), _folder: folder };
        std::fs::set_permissions(&socket.path, Permissions::from_mode(0o600)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok((socket, listener))
    }

    /// Says where the server listens, for the command line on the same data.
    pub fn say_address(&self, address: SocketAddr) -> io::Result<()> {
        let mut file = private::create(&self.path.with_file_name(ADDRESS))?;
        writeln!(file, "{address}")
    }
}

/// Makes the folder private, and takes it.
fn hold(folder: &Path, socket: &Path) -> Result<File, SocketError> {
    let failed = |source| SocketError::File { path: socket.to_owned(), source };
    for _ in 0..MAX_ATTEMPTS {
        private::make_dir(folder).map_err(failed)?;
        let held = match File::open(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened.map_err(failed)?,
        };
        match held.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(SocketError::Taken { path: socket.to_owned(), by: lock_holders::of(folder) });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        held.set_permissions(Permissions::from_mode(0o700)).map_err(failed)?;
        // Whoever stopped meanwhile has removed what we hold: then another folder has its name, or none.
        let (ours, named) = (held.metadata().map_err(failed)?, std::fs::symlink_metadata(folder));
        if named.is_ok_and(|named| named.is_dir() && (named.dev(), named.ino()) == (ours.dev(), ours.ino())) {
            return Ok(held);
        }
    }
    Err(failed(io::Error::other("its folder is being removed again and again, or is no folder")))
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Whoever finds it is told that nobody listens; the next server replaces it.
        let _ = std::fs::remove_file(self.path.with_file_name(ADDRESS));
        let _ = std::fs::remove_file(&self.path);
        if let Some(folder) = self.path.parent() {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    fn mode(path: &Path) -> u32 {
        std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_socket_is_private_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let (socket, listener) = Socket::listen(dir.path()).unwrap();
        assert_eq!((mode(&path(dir.path())), mode(&dir.path().join(FOLDER))), (0o600, 0o700));
        UnixStream::connect(Reachable::new(dir.path()).unwrap().as_path()).unwrap();
        drop((socket, listener));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_dead_servers_socket_is_replaced_and_a_live_ones_is_not() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(FOLDER)).unwrap();
        drop(UnixListener::bind(path(dir.path())).unwrap());
        let (socket, _listener) = Socket::listen(dir.path()).unwrap();
        let before = std::fs::symlink_metadata(path(dir.path())).unwrap().ino();
        let refused = Socket::listen(dir.path()).unwrap_err();
        assert!(refused.to_string().contains("(pid "), "{refused}");
        assert_eq!(std::fs::symlink_metadata(path(dir.path())).unwrap().ino(), before);
        drop(socket);
        Socket::listen(dir.path()).unwrap();
    }

    #[test]
    fn a_path_that_is_too_long_for_an_address_is_shortened() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(120));
        let (_socket, _listener) = Socket::listen(&deep).unwrap();
        UnixStream::connect(Reachable::new(&deep).unwrap().as_path()).unwrap();
        assert_eq!(mode(&path(&deep)), 0o600);
    }
}
