//! A filtered range as lines of JSON: each leaf as the exact text that was hashed, its SHA-256, and its parts if wanted.
//!
//! INVARIANT: a file with its final name is whole: it is written under another one, synced, and then renamed.

use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::filter::{Choice, Filter};
use super::manifest::{MANIFEST, Manifest, Written};
use crate::core::event::{Event, LeafError};
use crate::core::id::{AccountId, Position};
use crate::core::visible::visible;
use crate::log::private;
use crate::log::reading::{ReadError, Reader};
use crate::log::store::{EventRow, PayloadRow};
use crate::log::vault::VaultError;

/// Name of the lines in a bundle.
pub const LINES: &str = "events.jsonl";

/// Events that are read at once.
const STEP: u32 = 500;

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
    /// A file of a bundle is not what its manifest says.
    #[error("the bundle is not what its manifest says: {}", visible(.0))]
    Damaged(String),
}

/// One line. A line has one form, and what is checked is held against it: there is nothing in a line that is not looked at.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    pub(super) position: Position,
    pub(super) sha256: String,
    pub(super) leaf: String,
    /// Plaintexts of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parts: Option<Map<String, Value>>,
    /// By which salts the leaf commits to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) salts: Option<Map<String, Value>>,
}

impl Line {
    /// The line as it is written, with its end.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// Plaintexts of an event, and by which salts its leaf commits to them.
struct Opened {
    parts: Map<String, Value>,
    salts: Map<String, Value>,
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

/// Writes a bundle into `dir`, which exists: the lines and then their manifest. Plaintexts are written if `with_parts`.
pub async fn export(
    reader: &Reader,
    filter: Filter,
    with_parts: bool,
    dir: &Path,
    mut progress: impl FnMut(Position, Position) + Send,
) -> Result<Manifest, ExportError> {
    check_free(dir)?;
    let head = reader.store.head().await.map_err(ReadError::from)?;
    let last = filter.to_position.map_or(head.position, |to| to.min(head.position));
    let mut choice = Choice::new(&filter);
    let mut file = Hashed::create(dir, LINES)?;
    let mut written = Written::default();
    let first = filter.from_position.filter(|_| !filter.chooses()).unwrap_or(Position(1));
    let mut after = Position(first.0.max(1) - 1);
    while after < last {
        let rows = reader.store.events(after, STEP).await.map_err(ReadError::from)?;
        let Some(newest) = rows.last().map(|row| row.position) else { break };
        let mut taken = Vec::new();
        let mut over = false;
        for row in rows.into_iter().filter(|row| row.position <= last) {
            let event = Event::decode(&row.leaf).map_err(ReadError::from)?;
            over = over || filter.is_over(&event);
            if choice.take(&event) {
                taken.push((row, event));
            }
        }
        write_lines(reader, &taken, with_parts, filter.account.as_ref(), &mut file, &mut written).await?;
        after = newest;
        progress(after.min(last), last);
        if over {
            break;
        }
    }
    let (bytes, sha256) = file.finish()?;
    let manifest = Manifest::of(filter, with_parts, head, &written, bytes, sha256);
    manifest.write(dir)?;
    Ok(manifest)
}

async fn write_lines(
    reader: &Reader,
    taken: &[(EventRow, Event)],
    with_parts: bool,
    whose: Option<&AccountId>,
    file: &mut Hashed,
    written: &mut Written,
) -> Result<(), ExportError> {
    let (Some((first, _)), Some((last, _))) = (taken.first(), taken.last()) else { return Ok(()) };
    let rows = if with_parts {
        reader.store.payloads(first.position, last.position).await.map_err(ReadError::from)?
    } else {
        Vec::new()
    };
    for (row, event) in taken {
        let leaf = String::from_utf8(row.leaf.clone())
            .map_err(|error| ReadError::Leaf(LeafError::Json(serde::de::Error::custom(error))))?;
        let opened = if with_parts {
            Some(open_parts(reader, event, &rows, whose.filter(|_| event.kind.call().is_some())).await?)
        } else {
            None
        };
        let (parts, salts) = opened.map(|opened| (opened.parts, opened.salts)).unzip();
        let line = Line { position: row.position, sha256: hex::encode(Sha256::digest(&row.leaf)), leaf, parts, salts };
        file.write(&line.bytes().map_err(ReadError::from)?)?;
        written.add(row.position);
    }
    Ok(())
}

/// The parts of an event; those of a call are opened for the account that is asked for, if one is.
async fn open_parts(reader: &Reader, event: &Event, rows: &[PayloadRow], whose: Option<&AccountId>) -> Result<Opened, ReadError> {
    let mut opened = Opened { parts: Map::new(), salts: Map::new() };
    for named in &event.parts {
        let row = rows.iter().find(|row| row.position == event.position && row.part == named.part);
        let value = match row {
            None if named.left_out.is_some() => json!({ "$left_out": named.left_out }),
            None => json!({ "$missing": true }),
            Some(row) => match reader.vault.open_salted(event, named, row, whose).await {
                Ok((salt, text)) => {
                    opened.salts.insert(named.part.to_string(), hex::encode(salt).into());
                    if named.truncated { head(named.size, &text) } else { serde_json::from_slice(&text)? }
                }
                Err(VaultError::Erased(_)) => json!({ "$erased": true }),
                Err(error) => return Err(error.into()),
            },
        };
        opened.parts.insert(named.part.to_string(), value);
    }
    Ok(opened)
}

/// Of a part that was too large what was kept: a text, and the bytes at its end that are none, in hex.
fn head(size: u64, kept: &[u8]) -> Value {
    let whole = std::str::from_utf8(kept).map_or_else(|fault| fault.valid_up_to(), str::len);
    let (text, rest) = kept.split_at(whole);
    let text = String::from_utf8_lossy(text);
    if rest.is_empty() {
        json!({ "$size": size, "$head": text })
    } else {
        json!({ "$size": size, "$head": text, "$rest": hex::encode(rest) })
    }
}

/// The plaintext that a value of a bundle stands for; none if it stands for none.
pub(super) fn plaintext(value: &Value, truncated: bool) -> Option<Vec<u8>> {
    if !truncated {
        return serde_json::to_vec(value).ok();
    }
    let rest = value.get("$rest").map_or(Some(Vec::new()), |rest| hex::decode(rest.as_str()?).ok())?;
    Some([value.get("$head")?.as_str()?.as_bytes(), &rest].concat())
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
