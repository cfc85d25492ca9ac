//! Times as people read them.

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;

use crate::core::time::Micros;

/// RFC 3339, to the second.
pub fn format_time(at: Micros) -> String {
    let seconds = at.0.div_euclid(1_000_000);
    let date = OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|date| date.format(&Rfc3339).ok());
    date.unwrap_or_else(|| format!("{seconds} s"))
}
