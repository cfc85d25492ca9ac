//! Parts of the time that are chosen by one press: today, yesterday, seven days. Days are UTC's, as every time of a page is.

use super::format::FilterLink;
use crate::core::time::Micros;

/// A part of the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    /// As a chip says it.
    pub text: &'static str,
    /// Its first day.
    pub from: String,
    /// The day after it; none if it has not ended.
    pub to: Option<String>,
}

impl Period {
    /// Whether these bounds are its own.
    fn is(&self, from: Option<&str>, to: Option<&str>) -> bool {
        from == Some(self.from.as_str()) && to == self.to.as_deref()
    }

    /// As an item of a search line.
    pub fn item(&self) -> String {
        match &self.to {
            Some(to) => format!("created:{}..{to}", self.from),
            None => format!("created:>={}", self.from),
        }
    }
}

/// The parts that may be chosen now.
pub fn periods(now: Micros) -> [Period; 3] {
    let day = |ago: i64| Micros(now.0.saturating_sub(ago * Micros::DAY)).rfc3339().chars().take(10).collect::<String>();
    [
        Period { text: "Today", from: day(0), to: None },
        Period { text: "Yesterday", from: day(1), to: Some(day(0)) },
        Period { text: "7 days", from: day(6), to: None },
    ]
}

/// Links to these parts, each chosen by one press and left by the next; `href` is told the bounds `from` and `to`, without a day
/// where there is to be none, and `shown` are those of now.
pub fn links(
    now: Micros,
    shown: (Option<&str>, Option<&str>),
    href: impl Fn(&[(&str, Option<&str>)]) -> String,
) -> Vec<FilterLink> {
    let link = |one: Period| {
        let is_chosen = one.is(shown.0, shown.1);
        let (from, to) = if is_chosen { (None, None) } else { (Some(one.from.as_str()), one.to.as_deref()) };
        FilterLink { href: href(&[("from", from), ("to", to)]), text: one.text, is_chosen }
    };
    periods(now).map(link).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_at_midnight_and_end_where_the_next_one_begins() {
        let now = Micros::read("2026-03-01T00:10:00Z").unwrap();
        let [today, yesterday, week] = periods(now);
        assert_eq!((today.from.as_str(), today.item().as_str()), ("2026-03-01", "created:>=2026-03-01"));
        assert_eq!(yesterday.item(), "created:2026-02-28..2026-03-01");
        assert_eq!(week.from, "2026-02-23");
        assert!(yesterday.is(Some("2026-02-28"), Some("2026-03-01")) && !yesterday.is(Some("2026-02-28"), None));
    }
}
