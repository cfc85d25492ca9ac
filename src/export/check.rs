//! Whether a bundle is what its manifest says, without the log.

use std::io::{BufRead, BufReader};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::bundle::{ExportError, LINES, MANIFEST, others};
use super::lines::Lines;
use super::manifest::{FORMAT, FileEntry, Manifest};

impl Manifest {
    /// Reads a bundle's manifest and checks every file and line against it, without the log. The manifest and each line have to
    /// be written just as an export writes them, and nothing else may lie beside them: what nobody looks at could show another
    /// text than what was checked.
    pub fn check(dir: &Path) -> Result<Self, ExportError> {
        let unread = |error| ExportError::Unread(dir.join(MANIFEST), error);
        let text = std::fs::read(dir.join(MANIFEST)).map_err(unread)?;
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
        let unread = |error| ExportError::Unread(dir.join(LINES), error);
        let file = std::fs::File::open(dir.join(LINES)).map_err(unread)?;
        let mut reader = BufReader::with_capacity(1 << 18, file);
        let (mut digest, mut bytes, mut lines) = (Sha256::new(), 0, Lines::new(self));
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).map_err(unread)? > 0 {
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
