//! What the data keys of an account are called.

use crate::core::id::AccountId;
use crate::core::time::Micros;

pub(super) fn digest_key(account: &AccountId) -> String {
    format!("{account}/digest")
}

pub(super) fn month_key(account: &AccountId, at: Micros) -> String {
    format!("{account}/{}", month(at))
}

/// Months since 1970 in the proleptic Gregorian calendar, as `yyyy-mm`.
fn month(at: Micros) -> String {
    let days = at.0.div_euclid(Micros::DAY);
    let date = time::Date::from_julian_day(i32::try_from(days.saturating_add(2_440_588)).unwrap_or(0)).unwrap_or(time::Date::MIN);
    format!("{:04}-{:02}", date.year(), u8::from(date.month()))
}
