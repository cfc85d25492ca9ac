//! A filtered range as lines of JSON: each leaf as the exact text that was hashed, its SHA-256, and its parts if wanted.

use std::path::Path;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::bundle::{ExportError, Hashed, LINES, check_free};
use super::filter::{Choice, Filter};
use super::line::Line;
use super::manifest::{Manifest, Written};
use crate::core::event::{Event, LeafError};
use crate::core::id::{AccountId, Position};
use crate::log::reading::{ReadError, Reader};
use crate::log::store::{EventRow, PayloadRow};
use crate::log::vault::VaultError;

/// Events that are read at once.
const STEP: u32 = 500;

/// Plaintexts of an event, and by which salts its leaf commits to them.
struct Opened {
    parts: Map<String, Value>,
    salts: Map<String, Value>,
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
