//! From what is searched for to SQL. Every condition holds for a call as it was at `as_of`.

use super::call::{COLUMNS, meaning};
use super::page::Cursor;
use crate::core::call::Status;
use crate::core::search::words::{is_run, looked_for};
use crate::core::search::{Field, Search, Term, Word};
use crate::core::sight::Sight;
use crate::core::time::Micros;
use crate::log::dialect::{Dialect, FullText};
use crate::log::sql::Value;
use crate::tools::ActivityQuery;

/// How a call stood at `$1`.
const STATUS: &str = "case when ended between 1 and $1 then status when started between 1 and $1 then 'running' \
                      when decided between 1 and $1 then decision when held between 1 and $1 then 'held' else 'recorded' end";

/// Conditions with their values; `$1` is `as_of`, `$2` the position that the page is before.
struct Filter {
    sql: String,
    args: Vec<Value>,
}

impl Filter {
    /// The place of one more value.
    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.args.push(value.into());
        format!("${}", self.args.len())
    }

    /// Adds a condition, in which `?` stands for `value`.
    fn and(&mut self, condition: &str, value: impl Into<Value>) {
        let place = self.bind(value);
        self.and_plain(&condition.replace('?', &place));
    }

    fn and_plain(&mut self, condition: &str) {
        self.sql.push_str(" and ");
        self.sql.push_str(condition);
    }
}

/// The statement for at most `limit` calls, newest first.
pub(super) fn select(query: &ActivityQuery, from: Cursor, limit: u32, dialect: &Dialect) -> (String, Vec<Value>) {
    statement(COLUMNS, query, from, limit, dialect)
}

/// The same for when they were asked for and how they stood, which is read faster than whole calls.
pub(super) fn select_standing(query: &ActivityQuery, from: Cursor, limit: u32, dialect: &Dialect) -> (String, Vec<Value>) {
    statement(&format!("at, {STATUS}"), query, from, limit, dialect)
}

fn statement(columns: &str, query: &ActivityQuery, from: Cursor, limit: u32, dialect: &Dialect) -> (String, Vec<Value>) {
    let (search, full_text) = (&query.search, &dialect.full_text);
    let wanted: Vec<&Word> = search.words.iter().filter(|word| !word.without).collect();
    let source = if wanted.is_empty() { "call" } else { full_text.from };
    let sql = format!("select {columns} from {source} where intent <= $1 and intent < $2");
    let mut filter = Filter { sql, args: vec![from.as_of.0.into(), from.before.0.into()] };
    if !wanted.is_empty() {
        filter.and(full_text.matches, expression(&wanted, full_text));
        filter.and_plain(&format!("{} < $2", full_text.intent));
    }
    for word in search.words.iter().filter(|word| word.without) {
        let end = if word.prefix { "" } else { " " };
        let parts = looked_for(&word.text).into_iter();
        let there = parts.map(|part| format!("' ' || call.words || ' ' like {}", filter.bind(format!("% {part}{end}%"))));
        let there: Vec<String> = there.collect();
        filter.and_plain(&format!("not ({})", there.join(" and ")));
    }
    see(&mut filter, &query.sight, dialect);
    for term in &search.terms {
        narrow(&mut filter, term);
    }
    range(&mut filter, search);
    let order = if wanted.is_empty() { "intent" } else { full_text.intent };
    let limit = filter.bind(i64::from(limit));
    (format!("{} order by {order} desc limit {limit}", filter.sql), filter.args)
}

/// What may be seen at all.
fn see(filter: &mut Filter, sight: &Sight, dialect: &Dialect) {
    if *sight == Sight::Nothing {
        filter.and_plain("1 = 0");
    }
    if let Some(account) = sight.account() {
        filter.and("account = ?", account.as_str());
    }
    let Some(key) = sight.credentials() else { return };
    if let (Some(only), 1) = (key.first(), key.len()) {
        // The usual case, which both databases plan best.
        return filter.and("credential = ?", only.as_str());
    }
    let list = Value::Texts(key.iter().map(ToString::to_string).collect());
    filter.and(&format!("credential {}", dialect.among.replace("$1", "?")), list);
}

/// The words as the database reads them. They are letters and digits, so nothing in them is a sign.
fn expression(words: &[&Word], full_text: &FullText) -> String {
    let FullText { and, prefix, quote, .. } = full_text;
    let one = |part: String, is_prefix: bool| format!("{quote}{part}{quote}{}", if is_prefix { prefix } else { "" });
    let all = words.iter().flat_map(|word| {
        // A part of a run is found wherever it is, so it has no end that could be left open.
        let is_prefix = word.prefix && !is_run(&word.text);
        looked_for(&word.text).into_iter().map(move |part| one(part, is_prefix))
    });
    all.collect::<Vec<_>>().join(and)
}

fn narrow(filter: &mut Filter, term: &Term) {
    let places: Vec<String> = term.values.iter().map(|value| filter.bind(value.as_str())).collect();
    let is_one = |column: &str| format!("{column} in ({})", places.join(", "));
    let holds = match term.field {
        Field::Account => is_one("account"),
        Field::User => is_one("person"),
        Field::Credential => is_one("credential"),
        Field::Vm => is_one("vm"),
        Field::Session => is_one("session"),
        Field::Tool => is_one("tool"),
        Field::Via => is_one("via"),
        Field::Ip => is_one("ip"),
        Field::Call => is_one("call"),
        Field::Outcome => is_one(STATUS),
        // Said by the end alone.
        Field::Code => format!("{} and ended between 1 and $1", is_one("code")),
        Field::Policy => format!("{} and ended between 1 and $1", is_one("policy")),
        Field::Switch => format!("{} and ended between 1 and $1", is_one("switch")),
    };
    if term.without {
        // What has no value has not this one either.
        return filter.and_plain(&format!("({holds}) is not true"));
    }
    filter.and_plain(&format!("({holds})"));
    if term.field == Field::Outcome {
        narrow_by_index(filter, term, &is_one("status"));
    }
}

/// Implied by how calls stood at `$1`, and what the indexes know.
fn narrow_by_index(filter: &mut Filter, term: &Term, has_status: &str) {
    let is_end = |outcome: &String| meaning::<Status>(outcome).is_some_and(Status::is_terminal);
    if term.values.iter().all(is_end) {
        filter.and_plain(has_status);
    } else if !term.values.iter().any(is_end) {
        filter.and_plain("(ended = 0 or ended > $1)");
    }
}

/// Time never runs backwards along positions, so a range of time is a range of intents.
fn range(filter: &mut Filter, search: &Search) {
    let first = "(select intent from call where at >= ? order by at, intent limit 1)";
    let mut bound = |condition: String, at: Option<Micros>| {
        if let Some(at) = at {
            filter.and(&condition, at.0);
        }
    };
    bound(format!("intent >= {first}"), search.from);
    bound(format!("intent < coalesce({first}, {})", i64::MAX), search.to);
}
