//! What a bundle says of itself. Written last: a bundle without a manifest is not whole.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::bundle::{ExportError, Hashed, LINES, MANIFEST, failed};
use super::filter::Filter;
use crate::core::id::Position;
use crate::log::store::Head;

/// The format of the lines; a new one gets a new name.
pub(super) const FORMAT: &str = "forelog-events-jsonl/1";

/// Where the log stood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadAt {
    /// Position of the newest event.
    pub position: i64,
    /// Its time, microseconds since 1970 UTC.
    pub at: i64,
}

/// A file of the bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of it, hex.
    pub sha256: String,
}

/// The manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What the lines are.
    pub format: String,
    /// Version of the program that wrote it.
    pub forelog: String,
    /// What was asked for.
    pub filter: Filter,
    /// Whether the lines hold plaintexts.
    pub parts: bool,
    /// How many events there are.
    pub count: u64,
    /// Position of the first one.
    pub first: Option<Position>,
    /// Position of the last one.
    pub last: Option<Position>,
    /// Where the log stood when the export began.
    pub head: HeadAt,
    /// The files.
    pub files: Vec<FileEntry>,
}

/// What has been written so far.
#[derive(Default)]
pub(super) struct Written {
    count: u64,
    first: Option<Position>,
    last: Option<Position>,
}

impl Written {
    pub(super) fn add(&mut self, position: Position) {
        self.count += 1;
        self.first.get_or_insert(position);
        self.last = Some(position);
    }
}

impl Manifest {
    pub(super) fn of(filter: Filter, parts: bool, head: Head, written: &Written, bytes: u64, sha256: String) -> Self {
        let Written { count, first, last } = *written;
        Self {
            format: FORMAT.to_owned(),
            forelog: env!("CARGO_PKG_VERSION").to_owned(),
            filter,
            parts,
            count,
            first,
            last,
            head: HeadAt { position: head.position.0, at: head.at.0 },
            files: vec![FileEntry { name: LINES.to_owned(), bytes, sha256 }],
        }
    }

    pub(super) fn write(&self, dir: &Path) -> Result<(), ExportError> {
        let mut file = Hashed::create(dir, MANIFEST)?;
        file.write(&self.text()?)?;
        file.finish().map(|_| ())
    }

    /// SHA-256 of its file, hex. Whoever keeps it apart from the bundle knows the bundle again: whoever edits the lines can edit
    /// the manifest with them.
    pub fn digest(&self) -> Result<String, ExportError> {
        Ok(hex::encode(Sha256::digest(self.text()?)))
    }

    fn text(&self) -> Result<Vec<u8>, ExportError> {
        serde_json::to_vec_pretty(self).map_err(|error| failed(MANIFEST, error.into()))
    }
}
