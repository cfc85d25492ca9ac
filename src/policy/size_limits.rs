//! How large a set of policies may be, and how deep one may nest: what is parsed, validated and asked recursively must end
//! before the stack does, and before anybody waits for it.
//!
//! INVARIANT: nothing is parsed that was not measured here. The measure may be more than the true depth, never less.

use super::error::PolicyError;

/// Bytes of all files of a set, its cases too.
pub(super) const BYTES: u64 = 1 << 20;

/// Brackets, operators, accesses and `if`s that lie within each other.
const DEPTH: usize = 256;

/// Enough to parse [`DEPTH`] levels without optimisation, with room to spare.
pub(super) const STACK: usize = 64 << 20;

/// Refuses a text that nests deeper than a stack bears.
pub(super) fn check(file: &str, text: &str) -> Result<(), PolicyError> {
    // How deep each open bracket's present part is: what stands between commas does not lie within its neighbours.
    let mut parts = vec![0usize];
    let mut depth = 0usize;
    let mut rest = text;
    while let Some(token) = next(&mut rest) {
        let top = parts.len() - 1;
        match token {
            "(" | "[" | "{" => {
                parts.push(1);
                depth += 1;
            }
            ")" | "]" | "}" => {
                depth -= if top > 0 { parts.pop().unwrap_or_default() } else { 0 };
                // Of a chain of calls each lies within the next.
                depth += 1;
                parts[top.saturating_sub(1)] += 1;
            }
            "," | ";" => {
                let bracket = usize::from(top > 0);
                depth -= std::mem::replace(&mut parts[top], bracket).saturating_sub(bracket);
            }
            token if nests(token) => {
                parts[top] += 1;
                depth += 1;
            }
            _ => {}
        }
        if depth > DEPTH {
            let message = format!("it nests more than {DEPTH} deep; a set with `in` or `contains` says the same in one step");
            return Err(PolicyError::invalid(file, message));
        }
    }
    Ok(())
}

/// Whether what follows a token lies within it, or it within what follows.
fn nests(token: &str) -> bool {
    matches!(token, "if" | "then" | "else" | "has" | "like" | "in" | "is" | "when" | "unless")
        || token.starts_with(|first: char| first.is_ascii_punctuation() && first != '"' && first != '_')
}

/// The next token: a word, a text, a comment's nothing, or one sign.
fn next<'a>(rest: &mut &'a str) -> Option<&'a str> {
    loop {
        *rest = rest.trim_start();
        let Some(after) = rest.strip_prefix("//") else { break };
        *rest = after.split_once('\n').map_or("", |(_, next)| next);
    }
    let first = rest.chars().next()?;
    let length = match first {
        '"' => text_length(rest),
        word if word.is_alphanumeric() || word == '_' => {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
        }
        other => other.len_utf8(),
    };
    let (token, after) = rest.split_at(length);
    *rest = after;
    Some(token)
}

/// How long the text in quotes is that stands at the beginning.
fn text_length(rest: &str) -> usize {
    let mut escaped = true;
    for (at, c) in rest.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}
