//! The typed line as a person edits it: its items stay as they were written, so that `last:1h` is not turned into a date.
//!
//! INVARIANT: what a link adds is written by [`Search`], so the line that it yields can be read.

use std::fmt;

use crate::core::search::{Field, Search};
use crate::http::console::address::encoded;
use crate::http::console::callers::{Callers, OF_LISTS};

/// The items of a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line(Vec<String>);

impl Line {
    /// The items of `text`: split at spaces outside of quotes.
    pub fn of(text: &str) -> Self {
        let mut quoted = false;
        let mut items = vec![String::new()];
        for c in text.chars() {
            quoted ^= c == '"';
            match items.last_mut() {
                Some(item) if quoted || !c.is_whitespace() => item.push(c),
                _ => items.push(String::new()),
            }
        }
        items.retain(|item| !item.is_empty());
        Self(items)
    }

    /// The only item, if there is one.
    pub fn single(&self) -> Option<&str> {
        if let [one] = self.0.as_slice() { Some(one) } else { None }
    }

    /// It says from when on.
    pub fn is_timed(&self) -> bool {
        self.0.iter().any(|item| is_time(item))
    }

    /// It has this very item.
    pub fn has(&self, item: &str) -> bool {
        self.0.iter().any(|own| own == item)
    }

    /// The same over another time, such as `last:1h`.
    pub fn over(&self, time: &str) -> Self {
        let rest = self.0.iter().filter(|item| !is_time(item)).cloned();
        Self(rest.chain([time.to_owned()]).collect())
    }

    /// The same for these callers alone.
    pub fn by(&self, callers: Callers) -> Self {
        let said = Callers::ALL.map(Callers::items).concat();
        let rest = self.0.iter().filter(|item| !said.contains(&item.as_str())).cloned();
        Self(rest.chain(callers.items().iter().map(|item| (*item).to_owned())).collect())
    }

    /// Whose calls it asks for, if it says so as [`Line::by`] does.
    pub fn callers(&self) -> Option<Callers> {
        let said = |one: &Callers| self.by(*one).items().all(|item| self.has(item));
        Callers::ALL.into_iter().filter(said).max_by_key(|one| one.items().len())
    }

    /// It asks for a time and [`OF_LISTS`] at most: for a list, and for nothing of one's own.
    pub fn is_plain(&self) -> bool {
        let of = |item: &str, field: &Field| item.strip_prefix(field.name()).is_some_and(|rest| rest.starts_with(':'));
        let plain = |item: &str| OF_LISTS.iter().any(|field| of(item.trim_start_matches('-'), field));
        self.0.iter().all(|item| is_time(item) || plain(item))
    }

    /// The same and another item.
    pub fn also(&self, item: &str) -> Self {
        Self(self.0.iter().cloned().chain([item.to_owned()]).collect())
    }

    /// Its items.
    pub fn items(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The same, and the field has the value; or has not.
    pub fn and(&self, field: Field, value: &str, without: bool) -> Self {
        let Some(item) = written(field, value, without) else { return self.clone() };
        let mut line = self.clone();
        if !line.has(&item) {
            line.0.push(item);
        }
        line
    }

    /// The same with this value of the field alone, or with any if there is none.
    pub fn only(&self, field: Field, value: &str) -> Self {
        let own = format!("{}:", field.name());
        let rest = Self(self.0.iter().filter(|item| !item.starts_with(&own)).cloned().collect());
        if value.is_empty() { rest } else { rest.and(field, value, false) }
    }

    /// Each item with the line that lacks it.
    pub fn lacking_one(&self) -> impl Iterator<Item = (&str, Self)> {
        self.0.iter().enumerate().map(|(at, item)| {
            let rest = self.0.iter().enumerate().filter(|(other, _)| *other != at);
            (item.as_str(), Self(rest.map(|(_, item)| item.clone()).collect()))
        })
    }

    /// Where the search page shows it.
    pub fn href(&self) -> String {
        format!("/console/search?q={}", encoded(&self.to_string()))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.join(" "))
    }
}

fn is_time(item: &str) -> bool {
    item.starts_with("last:") || item.starts_with("created:")
}

/// A condition as an item; none for a value that no call can have.
fn written(field: Field, value: &str, without: bool) -> Option<String> {
    let mut search = Search::default();
    search.only(field, value).ok()?;
    Some(format!("{}{search}", if without { "-" } else { "" }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::time::Micros;

    #[test]
    fn line_is_edited_item_by_item() {
        let line = Line::of("  tool:vm_exec  -policy:\"no, thanks\" web* last:1h ");
        assert_eq!(line.to_string(), "tool:vm_exec -policy:\"no, thanks\" web* last:1h");
        assert_eq!(line.over("last:7d").to_string(), "tool:vm_exec -policy:\"no, thanks\" web* last:7d");
        assert_eq!(line.only(Field::Tool, "vm_get").to_string(), "-policy:\"no, thanks\" web* last:1h tool:vm_get");
        assert_eq!(line.only(Field::Tool, "").to_string(), "-policy:\"no, thanks\" web* last:1h");
        assert_eq!(line.and(Field::Tool, "vm_exec", false), line, "what is there is not added again");
        let without = line.and(Field::Policy, "a b", true);
        assert!(without.has("-policy:\"a b\""), "{without}");
        assert!(Search::parse(&without.to_string(), Micros(1_800_000_000_000_000)).is_ok());
        let agents = line.by(Callers::Agents);
        assert_eq!((agents.callers(), line.callers(), line.is_plain()), (Some(Callers::Agents), None, false));
        for one in Callers::ALL {
            assert_eq!(agents.by(one).callers(), Some(one), "{}", agents.by(one));
        }
        assert!(Line::of("last:1h -outcome:succeeded").is_plain() && !Line::of("last:1h tool:vm_get").is_plain());
        assert_eq!(line.lacking_one().count(), 4);
        assert_eq!(line.lacking_one().next().unwrap().1.to_string(), "-policy:\"no, thanks\" web* last:1h");
        assert_eq!(Line::of("web").href(), "/console/search?q=web");
    }
}
