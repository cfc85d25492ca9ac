//! What a bundle says of itself, and whether that is so. Written last: a bundle without a manifest is not whole.

use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::filter::Filter;
use super::jsonl::{ExportError, Hashed, LINES, failed, others};
use super::lines::Lines;
use crate::core::id::Position;
use crate::log::store::Head;

/// Name of the manifest in a bundle.
pub const MANIFEST: &str = "manifest.json";

/// The format of the lines; a new one gets a new name.
const FORMAT: &str = "forelog-events-jsonl/1";

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
        let text = serde_json::to_vec_pretty(self).map_err(|error| failed(MANIFEST, error.into()))?;
        file.write(&text)?;
        file.finish().map(|_| ())
    }

    /// Reads a bundle's manifest and checks every file and line against it, without the log. The manifest and each line have to
    /// be written just as an export writes them, and nothing else may lie beside them: what nobody looks at could show another
    /// text than what was checked.
    pub fn check(dir: &Path) -> Result<Self, ExportError> {
        let text = std::fs::read(dir.join(MANIFEST)).map_err(|error| failed(MANIFEST, error))?;
        let manifest: Self = serde_json::from_slice(&text).map_err(|error| ExportError::Damaged(error.to_string()))?;
        if manifest.format != FORMAT {
            return Err(ExportError::Damaged(format!("its format {:?} is not {FORMAT:?}", manifest.format)));
        }
        if serde_json::to_vec_pretty(&manifest).ok().as_deref() != Some(&text) {
            return Err(ExportError::Damaged(format!("{MANIFEST} is not written as an export writes it")));
        }
        if let Some(name) = others(dir, &[LINES, MANIFEST])? {
            return Err(ExportError::Damaged(format!("{} lies beside it, and is no part of it", name.display())));
        }
        match manifest.files.as_slice() {
            [entry] if entry.name == LINES => manifest.check_file(dir, entry)?,
            _ => return Err(ExportError::Damaged(format!("it names other files than {LINES}, once"))),
        }
        Ok(manifest)
    }

    fn check_file(&self, dir: &Path, entry: &FileEntry) -> Result<(), ExportError> {
        let file = std::fs::File::open(dir.join(LINES)).map_err(|error| failed(LINES, error))?;
        let mut reader = BufReader::with_capacity(1 << 18, file);
        let (mut digest, mut bytes, mut lines) = (Sha256::new(), 0, Lines::new(self));
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).map_err(|error| failed(LINES, error))? > 0 {
            digest.update(&line);
            bytes += line.len() as u64;
            lines.check(&line)?;
            line.clear();
        }
        let sha256 = hex::encode(digest.finalize());
        if (bytes, &sha256) != (entry.bytes, &entry.sha256) {
            return Err(ExportError::Damaged(format!("{LINES} has {bytes} bytes and SHA-256 {sha256}")));
        }
        lines.end()
    }
}
