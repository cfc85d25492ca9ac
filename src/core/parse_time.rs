//! Reading a time that somebody wrote: in an address, in a line, in an argument, on the command line.
//!
//! INVARIANT: a text that could mean two times means neither. What no time of a log can be is refused with what was probably
//! meant, and never taken for another time.

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;

use super::time::Micros;

/// 2020-01-01: before there was any log of ours. Fewer microseconds than that were meant as something else.
const FIRST: i64 = 1_577_836_800_000_000;

/// The end of the year 9999.
const LAST: i64 = 253_402_300_799_999_999;

/// Why a text is no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseTimeError(String);

impl Micros {
    /// Reads RFC 3339, the same without an offset (UTC) and as the console shows it, a date, a month or a year, which is its
    /// first midnight in UTC, or microseconds since 1970 as digits.
    pub fn read(text: &str) -> Result<Self, ParseTimeError> {
        let text = text.trim();
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return match text.parse() {
                Ok(_) if text.len() == 4 => calendar(&format!("{text}-01-01T00:00:00Z")).ok_or_else(|| unreadable(text)),
                Ok(number) => Self::counted(number),
                Err(_) => Err(unreadable(text)),
            };
        }
        written(text).ok_or_else(|| unreadable(text))
    }

    /// Takes a number for microseconds since 1970, if they can be.
    pub fn counted(number: i64) -> Result<Self, ParseTimeError> {
        if (FIRST..=LAST).contains(&number) {
            return Ok(Self(number));
        }
        let units = [("seconds", number.checked_mul(1_000_000)), ("milliseconds", number.checked_mul(1000))];
        let units = units.into_iter().chain([("nanoseconds", Some(number / 1000))]);
        let mut meant = units.filter_map(|(unit, micros)| Some((unit, micros.filter(|micros| (FIRST..=LAST).contains(micros))?)));
        let hint = meant.next().map_or_else(
            || "a time is RFC 3339 or a date".to_owned(),
            |(unit, micros)| format!("if these are {unit}, write {}", Self(micros).rfc3339()),
        );
        Err(ParseTimeError(format!("a number is microseconds since 1970, which {number} cannot be; {hint}")))
    }
}

/// Any of the forms that are no mere digits.
fn written(text: &str) -> Option<Micros> {
    // The console says UTC beside the time, not in it; people copy both.
    let text = text.strip_suffix("UTC").map_or_else(|| text.to_owned(), |text| format!("{}Z", text.trim_end()));
    let (zoned, text) = match text.strip_suffix(['Z', 'z']) {
        Some(text) => (true, text.to_owned()),
        None => (false, text),
    };
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date.to_owned(), time.to_owned()),
        None if !zoned && text.matches('-').count() == 1 => (format!("{text}-01"), "00:00:00Z".to_owned()),
        None if !zoned => (text, "00:00:00Z".to_owned()),
        None => return None,
    };
    let is_short = |time: &str| time.len() == "hh:mm".len();
    let time = match time {
        time if zoned && is_short(&time) => format!("{time}:00Z"),
        time if zoned => format!("{time}Z"),
        time if is_short(&time) => format!("{time}:00Z"),
        time if time.contains(['+', '-', 'Z']) => time,
        time => format!("{time}Z"),
    };
    calendar(&format!("{date}T{time}"))
}

fn calendar(text: &str) -> Option<Micros> {
    let instant = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(instant.unix_timestamp_nanos() / 1000).ok().map(Micros)
}

fn unreadable(text: &str) -> ParseTimeError {
    let mut tail = text.rsplitn(2, ' ');
    let is_offset = tail.next().is_some_and(|end| end.len() == "hh:mm".len() && end.contains(':')) && text.contains('T');
    let hint = if is_offset { "; in an address, + is written %2B" } else { "" };
    ParseTimeError(format!("a time is RFC 3339 or a date, such as 2026-01-31T12:00:00Z or 2026-01-31{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_every_form_that_is_shown() {
        let noon = Micros(1_769_860_800_000_000);
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31t12:00:00z",
            "2026-01-31T12:00:00.000000Z",
            "2026-01-31T14:00:00+02:00",
            "2026-01-31 14:00:00+02:00",
            "2026-01-31T12:00:00",
            "2026-01-31T12:00",
            "2026-01-31T12:00Z",
            "2026-01-31 12:00",
            "2026-01-31 12:00:00",
            " 2026-01-31 12:00:00 UTC ",
            "2026-01-31 12:00:00.000 UTC",
            "1769860800000000",
        ] {
            assert_eq!(Micros::read(text), Ok(noon), "{text}");
        }
        let midnight = |text| Micros::read(text).unwrap().rfc3339();
        assert_eq!(midnight("2027"), "2027-01-01T00:00:00Z");
        assert_eq!(midnight("2027-02"), "2027-02-01T00:00:00Z");
        assert_eq!(midnight("2027-02-28"), "2027-02-28T00:00:00Z");
        assert_eq!(midnight("1970-01-01"), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn moments_that_were_meant_otherwise_are_refused_with_what_was_meant() {
        for (text, meant) in [
            ("1764300000", "seconds, write 2025-11-28T03:20:00Z"),
            ("1764300000000", "milliseconds, write 2025-11-28T03:20:00Z"),
            ("1764300000000000000", "nanoseconds, write 2025-11-28T03:20:00Z"),
            ("0", "RFC 3339"),
            ("20260131", "RFC 3339"),
            ("-1764300000000000", "RFC 3339"),
            ("99999999999999999999", "RFC 3339"),
            ("", "RFC 3339"),
            ("yesterday", "RFC 3339"),
            ("2026-13-01", "RFC 3339"),
            ("2026-02-30", "RFC 3339"),
            ("2026-01-31Z", "RFC 3339"),
            ("2026-01-31T25:00:00Z", "RFC 3339"),
            ("2026-01-02T03:04:05 02:00", "%2B"),
            ("-2026", "RFC 3339"),
        ] {
            let told = Micros::read(text).unwrap_err().to_string();
            assert!(told.contains(meant), "{text}: {told}");
        }
        assert!(Micros::counted(1_764_300_000).unwrap_err().to_string().contains("seconds"));
        assert_eq!(Micros::counted(1_764_300_000_000_000), Ok(Micros(1_764_300_000_000_000)));
    }
}
