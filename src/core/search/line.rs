//! Reading the typed line.
//!
//! ```text
//! line = item { space item }                       all of them hold
//! item = [ "-" ] field ":" value { "," value }     one of the values; with "-" none of them
//!      | "created:" ( ">=" | "<" ) time            RFC 3339, a date, or as the console shows it; in quotes if it has spaces
//!      | "created:" time ".." time                 from the first up to, not including, the second
//!      | "last:" number ( "m" | "h" | "d" )
//!      | [ "-" ] word                              a whole word; "web*" is the beginning of one; of a script
//!                                                without spaces any part
//! ```
//! What holds spaces or commas is put in double quotes. A bare id of a call is looked for as one.

use std::time::Duration;

use super::terms::{Fault, Field, Known, MAX_COUNT, MAX_PARTS, Search, Term, Word, nearest};
use super::words::{MAX_LENGTH, looked_for, words};
use crate::core::id::CallId;
use crate::core::time::Micros;

/// One item of the line, and where it begins.
struct Item {
    column: usize,
    text: String,
    /// As it was typed.
    typed: String,
    /// It begins with a quote, so nothing in it is a sign or a field.
    quoted: bool,
}

impl Item {
    fn at(column: usize, quoted: bool) -> Self {
        Self { column, text: String::new(), typed: String::new(), quoted }
    }

    fn fault(&self, why: impl Into<String>) -> Fault {
        Fault { column: self.column, why: why.into() }
    }
}

impl Search {
    /// Reads a line that was checked when it was recorded; `now` is what `last:` counts from.
    pub fn parse(line: &str, now: Micros) -> Result<Self, Fault> {
        Self::parse_of(line, now, None)
    }

    /// Reads a line as somebody typed it; a value that is none of what is known is refused, and what was meant is named.
    pub fn parse_of(line: &str, now: Micros, known: Option<Known<'_>>) -> Result<Self, Fault> {
        let mut search = Self::default();
        for item in items(line)? {
            search.read(&item, now, known)?;
            if search.terms.len() + search.words.len() > MAX_COUNT {
                return Err(item.fault("there are more than 20 conditions"));
            }
            if search.words.iter().map(|word| looked_for(&word.text).len()).sum::<usize>() > MAX_PARTS {
                return Err(item.fault("these are too many characters of scripts without spaces; look for a shorter part"));
            }
        }
        Ok(search)
    }

    /// A line that can be read, item by item as it was typed, but with the time that `last:` means. Words are not folded: a
    /// text that nobody may keep is known by its form, and folded it has none.
    pub fn written_out(line: &str, now: Micros) -> Result<String, Fault> {
        let written = |item: Item| -> Result<String, Fault> {
            if item.quoted || !item.text.starts_with("last:") {
                return Ok(item.typed);
            }
            let mut time = Self::default();
            time.read(&item, now, None)?;
            Ok(time.to_string())
        };
        Ok(items(line)?.into_iter().map(written).collect::<Result<Vec<_>, _>>()?.join(" "))
    }

    fn read(&mut self, item: &Item, now: Micros, known: Option<Known<'_>>) -> Result<(), Fault> {
        let (without, text) = match item.text.strip_prefix('-').filter(|rest| !item.quoted && !rest.is_empty()) {
            Some(rest) => (true, rest),
            None => (false, item.text.as_str()),
        };
        match text.split_once(':').filter(|_| !item.quoted) {
            None => self.read_word(item, text, without),
            Some(("created" | "last", _)) if without => Err(item.fault("a time cannot be excluded; give the other range")),
            Some(("created", range)) => self.read_range(item, range),
            Some(("last", span)) => {
                let back = span_of(span).ok_or_else(|| item.fault("last: takes a number with m, h or d, such as last:15m"))?;
                self.since(Micros(now.0.saturating_sub(i64::try_from(back.as_micros()).unwrap_or(i64::MAX)).max(0)));
                Ok(())
            }
            Some((name, values)) => self.read_term(item, (name, values), without, known),
        }
    }

    fn read_term(
        &mut self,
        item: &Item,
        (name, values): (&str, &str),
        without: bool,
        known: Option<Known<'_>>,
    ) -> Result<(), Fault> {
        let field = Field::named(name).ok_or_else(|| {
            let fields: Vec<&str> = Field::ALL.iter().map(|field| field.name()).chain(["created", "last"]).collect();
            item.fault(format!(
                "there is no field of this name{}; there are {}. Put text with a colon in quotes",
                nearest(name, fields.iter().copied()),
                fields.join(", ")
            ))
        })?;
        let values = split_values(values);
        if values.len() > MAX_COUNT {
            return Err(item.fault("there are more than 20 values"));
        }
        if let Some(why) = values.iter().find_map(|value| field.fault(value, known)) {
            return Err(item.fault(why));
        }
        self.terms.push(Term { field, values, without });
        Ok(())
    }

    fn read_range(&mut self, item: &Item, range: &str) -> Result<(), Fault> {
        let time = |text: &str| Micros::read(text).map_err(|error| item.fault(error.to_string()));
        let range = range.replace('"', "");
        if let Some(from) = range.strip_prefix(">=") {
            self.since(time(from)?);
        } else if let Some(to) = range.strip_prefix('<') {
            self.until(time(to)?);
        } else if let Some((from, to)) = range.split_once("..") {
            let (from, to) = (time(from)?, time(to)?);
            if to < from {
                return Err(item.fault("the second time is before the first"));
            }
            self.since(from);
            self.until(to);
        } else {
            return Err(item.fault("created: takes >=time, <time or time..time"));
        }
        Ok(())
    }

    fn read_word(&mut self, item: &Item, text: &str, without: bool) -> Result<(), Fault> {
        if text.len() > MAX_LENGTH {
            return Err(item.fault("a word may be at most 256 bytes"));
        }
        if text.parse::<CallId>().is_ok() {
            self.terms.push(Term { field: Field::Call, values: vec![text.to_owned()], without });
            return Ok(());
        }
        let mut found: Vec<Word> = words(text).into_iter().map(|text| Word { text, prefix: false, without }).collect();
        let Some(last) = found.last_mut() else { return Err(item.fault("there is no letter or digit to look for")) };
        last.prefix = text.ends_with('*');
        if without && found.len() > 1 {
            return Err(item.fault("only one word at a time can be excluded"));
        }
        self.words.append(&mut found);
        Ok(())
    }
}

/// Splits at spaces outside of quotes.
fn items(line: &str) -> Result<Vec<Item>, Fault> {
    let (mut found, mut open): (Vec<Item>, Option<Item>) = (Vec::new(), None);
    let mut quote = None;
    for (column, c) in line.chars().enumerate().map(|(index, c)| (index + 1, c)) {
        match c {
            '"' => {
                quote = if quote.is_some() { None } else { Some(column) };
                let item = open.get_or_insert_with(|| Item::at(column, true));
                item.typed.push(c);
                // Kept inside a value, where it keeps commas together.
                if !item.quoted {
                    item.text.push(c);
                }
            }
            c if c.is_whitespace() && quote.is_none() => found.extend(open.take()),
            c => {
                let item = open.get_or_insert_with(|| Item::at(column, false));
                item.text.push(c);
                item.typed.push(c);
            }
        }
    }
    if let Some(column) = quote {
        return Err(Fault { column, why: "this quote is never closed".into() });
    }
    found.extend(open);
    Ok(found)
}

/// Splits at commas outside of quotes, and takes the quotes away.
fn split_values(text: &str) -> Vec<String> {
    let (mut values, mut quoted) = (vec![String::new()], false);
    for c in text.chars() {
        match (c, values.last_mut()) {
            ('"', _) => quoted = !quoted,
            (',', _) if !quoted => values.push(String::new()),
            (c, Some(value)) => value.push(c),
            (_, None) => {}
        }
    }
    values
}

fn span_of(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(count.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = Micros(1_800_000_000_000_000);

    fn read(line: &str) -> Search {
        Search::parse(line, NOW).unwrap()
    }

    fn fault(line: &str) -> (usize, String) {
        let fault = Search::parse(line, NOW).unwrap_err();
        (fault.column, fault.why)
    }

    #[test]
    fn line_reads_fields_words_and_times() {
        let search = read(r#"tool:vm_power,vm_get -outcome:succeeded "a:b" Web-1* -shop policy:"no, thanks" last:15m"#);
        let term = |field, values: &[&str], without| {
            let values = values.iter().map(ToString::to_string).collect();
            Term { field, values, without }
        };
        let word = |text: &str, prefix, without| Word { text: text.into(), prefix, without };
        assert_eq!(
            search.terms,
            [
                term(Field::Tool, &["vm_power", "vm_get"], false),
                term(Field::Outcome, &["succeeded"], true),
                term(Field::Policy, &["no, thanks"], false),
            ]
        );
        let words = [("a", false, false), ("b", false, false), ("web", false, false), ("1", true, false), ("shop", false, true)];
        assert_eq!(search.words, words.map(|(text, prefix, without)| word(text, prefix, without)));
        assert_eq!(search.from, Some(Micros(NOW.0 - 15 * 60 * 1_000_000)));
        let day = read("created:2026-01-31..2026-02-01");
        assert_eq!(day.to.unwrap().since(day.from.unwrap()), Duration::from_hours(24));
        assert_eq!(read("call_01M7Z5CDFVRSEEXW1RWR7A122W").value(Field::Call), Some("call_01M7Z5CDFVRSEEXW1RWR7A122W"));
    }

    #[test]
    fn line_shown_and_read_again_is_the_same() {
        for line in [
            "",
            "-tool:vm_power web* -shop",
            r#"policy:"no, thanks",b outcome:failed created:>=2026-01-31T00:00:00Z created:<2026-02-01T12:30:00.25Z"#,
            "account:acc_01KDVDNA010000000000000000,acc_01KDVDNA020000000000000000 vm:vm_01KDVDNA010000000000000000 last:2d ünïcode 42 生产数据库-01 -数据",
        ] {
            let search = read(line);
            assert_eq!(read(&search.to_string()), search, "{line} as {search}");
        }
    }

    #[test]
    fn line_written_out_means_the_same_at_any_time_and_keeps_its_words() {
        let line = "last:2d  \"Web-1, and more\" dop_v1_abc -tool:\"a b\",c policy:x \"last:2d\" created:2026-01-31..2026-02-01 生产-01*";
        let written = Search::written_out(line, NOW).unwrap();
        for kept in
            ["\"Web-1, and more\"", "dop_v1_abc", "-tool:\"a b\",c", "\"last:2d\"", "created:2026-01-31..2026-02-01", "生产-01*"]
        {
            assert!(written.contains(kept), "{written}");
        }
        assert_eq!(Search::parse(&written, Micros(0)).unwrap(), read(line), "{written}");
        assert!(Search::written_out("last:never", NOW).is_err());
    }

    #[test]
    fn line_that_cannot_be_read_says_where() {
        for (line, column, why) in [
            ("web colour:red", 5, "no field"),
            ("tool:", 1, "no value"),
            ("a tool:x,,y", 3, "no value"),
            ("a outcome:fine", 3, "status"),
            ("code:fine", 1, "documented codes"),
            ("account:mine", 1, "its id"),
            ("a -last:5m", 3, "excluded"),
            ("last:5", 1, "last:15m"),
            ("last:m", 1, "last:15m"),
            ("created:yesterday", 1, ">=time"),
            ("created:>=soon", 1, "RFC 3339"),
            ("created:<1764300000", 1, "seconds"),
            ("created:2027..2026", 1, "before the first"),
            ("vm:web-1", 1, "its id"),
            ("ip:here", 1, "address"),
            ("via:pigeon", 1, "mcp, rest"),
            ("via:mpc", 1, "(near is mcp)"),
            ("outcome:refusd", 1, "(near is refused)"),
            ("toool:x", 1, "(near is tool)"),
            ("code:kil_switch_engaged", 1, "(near is kill_switch_engaged)"),
            ("a %%", 3, "no letter"),
            ("a \"b", 3, "never closed"),
            ("-a.b", 1, "one word"),
        ] {
            let (at, told) = fault(line);
            assert_eq!(at, column, "{line}: {told}");
            assert!(told.contains(why), "{line}: {told}");
        }
        let ids = |field: Field, label: &str| match (field.name(), label) {
            ("vm", "web-1") => vec!["vm_1".to_owned()],
            ("credential", "ci") => vec!["key_1".to_owned(), "key_2".to_owned()],
            _ => Vec::new(),
        };
        let typed =
            |line: &str| Search::parse_of(line, NOW, Some(Known { tools: &["vm_get", "vm_power", "unknown"], ids: &ids }));
        for (line, told) in [
            ("vm:web-1", "a VM is named by its id: write vm_1"),
            ("vm:web-2", "a VM is named by its id; a word finds its label"),
            (
                "key:ci",
                "a key is named by its id: key_1, key_2 have this label, so write one of these, or all with commas between",
            ),
            ("credential:laptop", "a key is named by its id"),
            ("user:ci", "a person is named by their id"),
        ] {
            assert_eq!(typed(line).unwrap_err().why, told, "{line}");
        }
        let key = "key_01KDVDNA010000000000000000";
        assert_eq!(read(&format!("key:{key}")), read(&format!("credential:{key}")));
        let why = typed("web tool:vm_get,vm_pwer").unwrap_err();
        assert_eq!(why.column, 5);
        assert!(why.why.starts_with("there is no tool of this name (near is vm_power); tool:unknown"), "{}", why.why);
        assert_eq!(typed("-tool:staff_only").unwrap_err().column, 1);
        assert_eq!(typed("tool:vm_power,unknown").unwrap(), read("tool:vm_power,unknown"), "what is recorded is read without");
        assert!(fault(&"a ".repeat(21)).1.contains("more than 20"));
        let run = "数".repeat(85);
        assert!(fault(&run).1.contains("too many characters"), "84 pairs");
        assert!(fault(&format!("-{} -{}", &run[..99], &run[..102])).1.contains("too many characters"), "32 pairs and 33");
        assert_eq!(read(&run[..3 * 65]).words.len(), 1, "64 pairs");
        assert!(fault(&format!("tool:{}", "x".repeat(257))).1.contains("256"));
    }
}
