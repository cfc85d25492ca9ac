//! JSON from outside, within bounds: how many values a text holds and how deep they go is counted before any of them is made,
//! because what a parser makes of a text may be a hundred times as large as it, and take as long.
//!
//! INVARIANT: one pass that keeps nothing and goes down with nothing; it never counts fewer values than a parser would make.

use serde_json::Value;

/// Most values of a document. The largest call, a key that names a thousand VMs, has an eighth of them.
pub const VALUES: usize = 10_000;

/// How deep a document may be nested. No schema here goes down to ten.
pub const DEPTH: usize = 64;

/// What is no larger than this in bytes, or in what its values take, is handled where it comes in.
pub const LIGHT: usize = 16 * 1024;

/// What a value takes beside its text, as far as [`is_heavy`] goes.
const EACH: usize = 16;

/// Why a text is not read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It has too many values.
    #[error("The body is JSON of more than {VALUES} values.")]
    Vast,
    /// It is nested too deep.
    #[error("The body is JSON that is nested more than {DEPTH} deep.")]
    Deep,
    /// It is no JSON. Where it stops being JSON is said without quoting it: it may hold a secret.
    #[error("The body is not JSON: line {}, column {}.", .0.line(), .0.column())]
    NotJson(#[from] serde_json::Error),
}

/// Reads a text, if it is within bounds.
pub fn read(text: &[u8]) -> Result<Value, Unreadable> {
    check(text)?;
    Ok(serde_json::from_slice(text)?)
}

/// Whether a text is within bounds, were it JSON.
fn check(text: &[u8]) -> Result<(), Unreadable> {
    let (mut values, mut depth) = (1_usize, 0_usize);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for byte in text {
        if is_quoted {
            is_quoted = is_escaped || *byte != b'"';
            is_escaped = !is_escaped && *byte == b'\\';
            continue;
        }
        match byte {
            b'"' => is_quoted = true,
            b'[' | b'{' => {
                values += 1;
                depth += 1;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => values += 1,
            _ => continue,
        }
        if depth > DEPTH {
            return Err(Unreadable::Deep);
        }
        if values > VALUES {
            return Err(Unreadable::Vast);
        }
    }
    Ok(())
}

/// Whether a document is so large that nobody else should wait while it is worked on. Looks no further than it has to.
#[must_use]
pub fn is_heavy(document: &Value) -> bool {
    left(document, LIGHT).is_none()
}

fn left(value: &Value, room: usize) -> Option<usize> {
    let room = room.checked_sub(EACH)?;
    match value {
        Value::String(text) => room.checked_sub(text.len()),
        Value::Array(items) => items.iter().try_fold(room, |room, item| left(item, room)),
        Value::Object(fields) => fields.iter().try_fold(room, |room, (name, value)| left(value, room.checked_sub(name.len())?)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(room),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(value: &Value) -> usize {
        1 + match value {
            Value::Array(items) => items.iter().map(count).sum(),
            Value::Object(fields) => fields.values().map(count).sum(),
            _ => 0,
        }
    }

    #[test]
    fn as_many_values_as_there_may_be_are_read_and_no_more() {
        for (open, part, close) in [("[", "0", "]"), ("[", "\"a,[{\\\"\\\\\"", "]"), ("{\"x\":[", "\"\\\\\"", "]}")] {
            let of = |parts: usize| format!("{open}{}{close}", vec![part; parts].join(","));
            let fits = VALUES - open.matches(['[', '{']).count() - usize::from(open.len() > 1);
            let read_back = read(of(fits).as_bytes()).expect("within bounds");
            assert!(count(&read_back) <= VALUES && count(&read_back) > VALUES - 3);
            assert!(matches!(read(of(fits + 2).as_bytes()), Err(Unreadable::Vast)), "{part}");
        }
        let pairs = |count: usize| format!("[{}]", vec!["{\"a\":{}}"; count].join(","));
        assert!(read(pairs(VALUES / 4).as_bytes()).is_ok() && read(pairs(VALUES).as_bytes()).is_err());
    }

    #[test]
    fn what_is_in_a_text_counts_for_nothing() {
        let text = format!("[\"{}\"]", "[{,\\\"".repeat(50_000));
        assert!(read(text.as_bytes()).is_ok());
        let open = format!("\"{}", "\\\"[".repeat(50_000));
        assert!(matches!(read(open.as_bytes()), Err(Unreadable::NotJson(_))));
    }

    #[test]
    fn depth_has_an_end() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(deep(DEPTH).as_bytes()).is_ok());
        assert!(matches!(read(deep(DEPTH + 1).as_bytes()), Err(Unreadable::Deep)));
        assert!(matches!(read(deep(500_000).as_bytes()), Err(Unreadable::Deep)));
        assert!(matches!(read(b"]]]]"), Err(Unreadable::NotJson(_))));
    }

    #[test]
    fn what_is_long_or_has_many_parts_is_heavy() {
        let many = Value::Array(vec![Value::Null; LIGHT / EACH]);
        let long = Value::String("x".repeat(LIGHT));
        assert!(is_heavy(&many) && is_heavy(&long) && is_heavy(&serde_json::json!({ "x".repeat(LIGHT): 1 })));
        assert!(!is_heavy(&Value::Array(vec![Value::Null; 500])) && !is_heavy(&serde_json::json!({ "text": "x".repeat(4000) })));
    }
}
