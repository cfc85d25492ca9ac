//! Canonical JSON (RFC 8785): one text for one value, so that its hash means something.
//!
//! INVARIANT: the bytes are those of `serde_json_canonicalizer`, which sorts every object through buffers of its own; the
//! tests hold both against each other. A leaf is encoded while the log's head is locked, so this one sorts in place and
//! leaves to the library what leaves do not have: numbers that are not integers.

use serde::Serialize;
use serde_json::{Map, Value};

/// The canonical text of a value.
pub fn canonical(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut out = Vec::with_capacity(1024);
    write(&serde_json::to_value(value)?, &mut out)?;
    Ok(out)
}

/// The same of a value that is to be read back: an integer that is not written exactly, as it is beyond a double's, would be
/// another one then, or none at all.
pub fn canonical_exact(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let value = serde_json::to_value(value)?;
    if let Some(number) = inexact(&value) {
        return Err(serde::ser::Error::custom(format!("{number} cannot be written exactly")));
    }
    let mut out = Vec::with_capacity(1024);
    write(&value, &mut out)?;
    Ok(out)
}

/// An integer that no double holds.
fn inexact(value: &Value) -> Option<&serde_json::Number> {
    match value {
        Value::Object(fields) => fields.values().find_map(inexact),
        Value::Array(items) => items.iter().find_map(inexact),
        Value::Number(number) if !number.is_f64() && !is_exact(number) => {
            let text = serde_json_canonicalizer::to_string(number).ok();
            let same = text.is_some_and(|text| text == number.to_string());
            (!same).then_some(number)
        }
        _ => None,
    }
}

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    match value {
        Value::Object(fields) => write_object(fields, out),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                out.push(if index == 0 { b'[' } else { b',' });
                write(item, out)?;
            }
            out.extend_from_slice(if items.is_empty() { b"[]" } else { b"]" });
            Ok(())
        }
        Value::Number(number) if !is_exact(number) => {
            out.extend(serde_json_canonicalizer::to_vec(number)?);
            Ok(())
        }
        scalar => serde_json::to_writer(out, scalar),
    }
}

/// An integer that a double holds exactly, so that both ways of writing it are one.
fn is_exact(number: &serde_json::Number) -> bool {
    const EXACT: u64 = 1 << 53;
    number.as_i64().is_some_and(|number| number.unsigned_abs() < EXACT)
}

fn write_object(fields: &Map<String, Value>, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let mut sorted: Vec<(&String, &Value)> = fields.iter().collect();
    // Keys are ordered by their UTF-16 code units, which for all but the rarest characters is the order of the bytes.
    if sorted.iter().all(|(key, _)| key.is_ascii()) {
        sorted.sort_unstable_by_key(|(key, _)| *key);
    } else {
        sorted.sort_by_cached_key(|(key, _)| key.encode_utf16().collect::<Vec<u16>>());
    }
    for (index, (key, value)) in sorted.into_iter().enumerate() {
        out.push(if index == 0 { b'{' } else { b',' });
        serde_json::to_writer(&mut *out, key)?;
        out.push(b':');
        write(value, out)?;
    }
    out.extend_from_slice(if fields.is_empty() { b"{}" } else { b"}" });
    Ok(())
}
