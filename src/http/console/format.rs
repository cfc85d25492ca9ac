//! How things are shown to people: text whose tricks are visible, times, numbers, and how a call stands.
//!
//! INVARIANT: what came from outside passes [`escape_hidden`] on its way into a page; escaping for HTML is the templates' own.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::core::call::Status;
use crate::core::time::Micros;
pub use crate::core::visible::escape_hidden;

/// A text in quotation marks, which it cannot end: what stands in them is what somebody has called something.
pub fn quoted(text: &str) -> String {
    format!("\u{201c}{}\u{201d}", escape_hidden(text).replace(['\u{201c}', '\u{201d}'], "\""))
}

/// JSON over several lines, its tricks visible.
pub fn json(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.lines().map(escape_hidden).collect::<Vec<_>>().join("\n")
}

/// An instant: in UTC, and how long ago.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DisplayTime {
    /// For machines, RFC 3339.
    pub iso: String,
    /// For people, to the second.
    pub utc: String,
    /// How long ago, in one unit.
    pub ago: String,
}

impl DisplayTime {
    /// `at`, as seen at `now`.
    pub fn of(at: Micros, now: Micros) -> Self {
        let instant = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let iso = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
        let utc = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
        Self {
            iso: instant.format(&iso).unwrap_or_default(),
            utc: instant.format(&utc).unwrap_or_default(),
            ago: if at > now {
                format!("in {}", format_approximate(at.since(now)))
            } else {
                format!("{} ago", format_approximate(now.since(at)))
            },
        }
    }

    /// The day alone.
    pub fn day(&self) -> &str {
        self.utc.get(..10).unwrap_or_default()
    }
}

/// How a call came in, as it is spelled.
pub fn door(via: &str) -> String {
    match via {
        "mcp" => "MCP".to_owned(),
        "rest" => "REST".to_owned(),
        "cli" => "the command line".to_owned(),
        other => other.to_owned(),
    }
}

/// A length of time in its largest unit.
pub fn format_approximate(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// How long a step took.
pub fn format_duration(micros: i64) -> String {
    match micros {
        ..1000 => format!("{micros} µs"),
        1000..1_000_000 => format!("{}.{} ms", micros / 1000, micros % 1000 / 100),
        _ => format!("{}.{:02} s", micros / 1_000_000, micros % 1_000_000 / 10_000),
    }
}

/// A number in groups of three.
pub fn group_digits(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

/// A list that one press leads to.
pub struct FilterLink {
    /// Where it is.
    pub href: String,
    /// What it says.
    pub text: &'static str,
    /// It is what is shown.
    pub is_chosen: bool,
}

/// How a call stands: a word, a sign and a colour, each of which says it alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chip {
    /// Class of the style sheet.
    pub class: &'static str,
    /// Path of the sign, on a field of 16 by 16.
    pub sign: &'static str,
    /// The word.
    pub word: Cow<'static, str>,
}

impl Chip {
    /// The chip of a status.
    pub fn of(status: Status) -> Self {
        let (class, sign, word) = match status {
            Status::Succeeded => ("ok", sign::CHECK, "Succeeded"),
            Status::Refused => ("refused", sign::BARRED, "Refused"),
            Status::Failed => ("failed", sign::CROSS, "Failed"),
            Status::Cancelled => ("stopped", sign::SQUARE, "Cancelled"),
            Status::TimedOut => ("failed", sign::CLOCK, "Timed out"),
            Status::Unknown => ("unknown", sign::QUESTION, "Unknown"),
            Status::Running => ("open", sign::PLAY, "Running"),
            Status::Queued => ("open", sign::CLOCK, "Queued"),
            Status::Held => ("held", sign::PAUSE, "Held"),
            Status::Recorded => ("open", sign::DOT, "Recorded"),
        };
        Self { class, sign, word: word.into() }
    }

    /// The chip of a command that ran and did not end well: its call has done what was asked for, the command has not.
    pub fn ran(end: &str) -> Self {
        Self { class: "failed", sign: sign::CROSS, word: format!("Ran, {end}").into() }
    }
}

/// Signs, drawn as lines.
pub mod sign {
    /// Done.
    pub const CHECK: &str = "M3 8.4 6.4 12 13 4.6";
    /// Not done.
    pub const CROSS: &str = "m4 4 8 8m0-8-8 8";
    /// Not let through.
    pub const BARRED: &str = "M8 2.2a5.8 5.8 0 1 0 0 11.6A5.8 5.8 0 0 0 8 2.2ZM4 12l8-8";
    /// Stopped.
    pub const SQUARE: &str = "M4.2 4.2h7.6v7.6H4.2z";
    /// Time.
    pub const CLOCK: &str = "M8 2.2a5.8 5.8 0 1 0 0 11.6A5.8 5.8 0 0 0 8 2.2ZM8 5v3.2l2.2 1.5";
    /// Nobody knows.
    pub const QUESTION: &str = "M5.7 6a2.3 2.3 0 1 1 3.3 2c-.7.4-1 .8-1 1.6M8 12.2v.3";
    /// Under way.
    pub const PLAY: &str = "m5.2 3.6 7 4.4-7 4.4z";
    /// Waits for a person.
    pub const PAUSE: &str = "M5.6 3.8v8.4m4.8-8.4v8.4";
    /// Noted.
    pub const DOT: &str = "M8 6.4a1.6 1.6 0 1 0 0 3.2 1.6 1.6 0 0 0 0-3.2Z";
}
