//! The files of a bundle, as they lie in their directory.
//!
//! INVARIANT: a file with its final name is whole: it is written under another one, synced, and then renamed.

use std::io::Write;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::core::visible::escape_hidden;
use crate::log::private;
use crate::log::reading::ReadError;

/// Name of the lines in a bundle.
pub const LINES: &str = "events.jsonl";

/// Name of the manifest in a bundle.
pub const MANIFEST: &str = "manifest.json";

/// An export that was not made. What there is of it has no final name.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The log could not be read.
    #[error("reading the log")]
    Read(#[from] ReadError),
    /// A file could not be written or read.
    #[error("writing or reading {0}")]
    File(String, #[source] std::io::Error),
    /// There is a bundle already.
    #[error("there is {} already, and an export is not written over", .0.display())]
    Taken(std::path::PathBuf),
    /// A file of the bundle that is to be checked is not there, or cannot be read.
    #[error("reading {}", .0.display())]
    Unread(std::path::PathBuf, #[source] std::io::Error),
    /// A file of a bundle is not what its manifest says.
    #[error("the bundle is not what its manifest says: {}", escape_hidden(.0))]
    Damaged(String),
}

/// Refuses a directory that a bundle is in, for evidence is not written over, or anything else: whoever looks into a bundle has
/// to be able to take all that is there for it.
pub fn check_free(dir: &Path) -> Result<(), ExportError> {
    let taken = others(dir, &[&unfinished(LINES), &unfinished(MANIFEST)])?;
    taken.map_or(Ok(()), |name| Err(ExportError::Taken(dir.join(name))))
}

/// The first of what is in a directory beside `known`; nothing, if there is no directory.
pub(super) fn others(dir: &Path, known: &[&str]) -> Result<Option<std::ffi::OsString>, ExportError> {
    let failed = |error| ExportError::File(dir.display().to_string(), error);
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        entries => entries.map_err(failed)?,
    };
    let mut names = entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    names.retain(|name| !known.iter().any(|known| name == *known));
    names.sort();
    Ok(names.into_iter().next())
}

/// A file in the making that is hashed as it is written.
pub(super) struct Hashed {
    dir: std::path::PathBuf,
    name: &'static str,
    file: std::io::BufWriter<std::fs::File>,
    digest: Sha256,
    bytes: u64,
}

impl Hashed {
    pub(super) fn create(dir: &Path, name: &'static str) -> Result<Self, ExportError> {
        let file = private::create(&dir.join(unfinished(name))).map_err(|error| failed(name, error))?;
        let file = std::io::BufWriter::with_capacity(1 << 18, file);
        Ok(Self { dir: dir.to_owned(), name, file, digest: Sha256::new(), bytes: 0 })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|error| failed(self.name, error))
    }

    /// Syncs it and gives it its name; answers size and SHA-256.
    pub(super) fn finish(self) -> Result<(u64, String), ExportError> {
        let name = self.name;
        let place = || -> std::io::Result<()> {
            let file = self.file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
            file.sync_all()?;
            std::fs::rename(self.dir.join(unfinished(name)), self.dir.join(name))?;
            std::fs::File::open(&self.dir)?.sync_all()
        };
        place().map_err(|error| failed(name, error))?;
        Ok((self.bytes, hex::encode(self.digest.finalize())))
    }
}

fn unfinished(name: &str) -> String {
    format!("{name}.unfinished")
}

pub(super) fn failed(name: &str, error: std::io::Error) -> ExportError {
    ExportError::File(name.to_owned(), error)
}
