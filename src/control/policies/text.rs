//! The text of a set as it is recorded: encrypted parts beside the event that puts it in force, from which any node serves it.
//!
//! INVARIANT: what is read back is, byte for byte, what was recorded, or nothing is: a set is served by its hash.

use serde_json::{Value, json};

use crate::core::event::Event;
use crate::core::visibility::Visibility;
use crate::log::reading::{ReadError, Reader};

/// The first part of the event that holds the policies' text; more have a number behind it.
const TEXT: &str = "policies";

/// Bytes of JSON in one part; of more than a part holds only the head would be kept.
const PART: usize = 40 * 1024;

/// A file of a set: its name and its text.
pub type File = (String, String);

/// The parts that a set is recorded in, by name: pieces of files, in order.
pub(super) fn parts(files: &[File]) -> Vec<(String, Value)> {
    let (mut parts, mut part, mut left) = (Vec::new(), Vec::new(), PART);
    for (name, text) in files {
        let mut rest = text.as_str();
        loop {
            let room = left.saturating_sub(cost(name));
            let piece = piece(rest, room);
            if piece.is_empty() && !rest.is_empty() && !part.is_empty() {
                parts.push(std::mem::take(&mut part));
                left = PART;
                continue;
            }
            rest = rest.get(piece.len()..).unwrap_or_default();
            left = room.saturating_sub(cost(piece));
            part.push(json!([name, piece]));
            if rest.is_empty() || piece.is_empty() {
                break;
            }
        }
    }
    parts.push(part);
    parts.into_iter().enumerate().map(|(at, part)| (named(at), Value::Array(part))).collect()
}

fn named(at: usize) -> String {
    if at == 0 { TEXT.to_owned() } else { format!("{TEXT}-{}", at + 1) }
}

/// Bytes that a text takes in JSON, at most.
fn cost(text: &str) -> usize {
    text.chars().map(cost_of).sum::<usize>() + 8
}

fn cost_of(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' => 2,
        c if c.is_ascii_control() => 6,
        c => c.len_utf8(),
    }
}

/// As much of a text as there is room for; whole lines of it, if one fits.
fn piece(text: &str, room: usize) -> &str {
    let (mut taken, mut end, mut line) = (8, 0, 0);
    for (at, c) in text.char_indices() {
        taken += cost_of(c);
        if taken > room {
            return text.get(..if line > 0 { line } else { end }).unwrap_or_default();
        }
        end = at + c.len_utf8();
        if c == '\n' {
            line = end;
        }
    }
    text
}

/// The files that an event put in force; none if they are not kept.
pub async fn files(reader: &Reader, event: &Event) -> Result<Option<Vec<File>>, ReadError> {
    let mut files: Vec<File> = Vec::new();
    for at in 0..event.parts.iter().filter(|part| part.part.starts_with(TEXT)).count().max(1) {
        let Some(part) = reader.part(event, &named(at), &Visibility::Everything).await? else { return Ok(None) };
        let Ok(pieces) = serde_json::from_value::<Vec<File>>(part) else { return Ok(None) };
        for (name, piece) in pieces {
            match files.last_mut().filter(|(last, _)| *last == name) {
                Some((_, text)) => text.push_str(&piece),
                None => files.push((name, piece)),
            }
        }
    }
    Ok(Some(files))
}
