//! From what is searched for to SQL. Every condition holds for a call as it was at `as_of`.
//!
//! INVARIANT: a question that ends at one account is answered out of that account's rows alone, so its time says nothing of what
//! others have (P9). Its order (`-intent`), its fields and its words are in indexes that the account leads, and in no other; what
//! has no such index is `is true`, which none can be used for. What holds without an account is for whoever sees everything.

use super::call::{COLUMNS, meaning};
use super::hidden::HiddenWords;
use super::page::Cursor;
use crate::core::call::Status;
use crate::core::id::AccountId;
use crate::core::search::words::{is_run, looked_for};
use crate::core::search::{Field, Search, Term, Word};
use crate::core::time::Micros;
use crate::core::visibility::Visibility;
use crate::log::dialect::{Dialect, FullText};
use crate::log::sql::Value;
use crate::tools::ActivityQuery;

/// How a call stood at `$1`.
const STATUS: &str = "case when ended between 1 and $1 then status when started between 1 and $1 then 'running' \
                      when decided between 1 and $1 then decision when held between 1 and $1 then 'held' else 'recorded' end";

/// Between an account and its word in the full text (`migrations/*/views-0001.sql`). No word of a text has it.
const OF: char = '·';

/// How the words of accounts begin there. Who asks for no account is not to find them by their beginning.
const ACCOUNT: &str = "acc_";

/// Conditions with their values; `$1` is `as_of`.
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
pub(super) fn select(
    (query, hidden): (&ActivityQuery, &HiddenWords),
    from: Cursor,
    limit: u32,
    dialect: &Dialect,
) -> (String, Vec<Value>) {
    statement(COLUMNS, (query, hidden), from, limit, dialect)
}

/// The same for when they were asked for and how they stood, which is read faster than whole calls.
pub(super) fn select_standing(
    (query, hidden): (&ActivityQuery, &HiddenWords),
    from: Cursor,
    limit: u32,
    dialect: &Dialect,
) -> (String, Vec<Value>) {
    statement(&format!("at, {STATUS}"), (query, hidden), from, limit, dialect)
}

fn statement(
    columns: &str,
    (query, hidden): (&ActivityQuery, &HiddenWords),
    from: Cursor,
    limit: u32,
    dialect: &Dialect,
) -> (String, Vec<Value>) {
    let (search, full_text) = (&query.search, &dialect.full_text);
    let owner = query.visibility.account().map(AccountId::as_str).or_else(|| search.value(Field::Account));
    let wanted: Vec<&Word> = search.words.iter().filter(|word| !word.without).collect();
    // The calls about one thing are walked newest first by themselves, however many others their account has.
    let led = leading(search).filter(|_| wanted.is_empty());
    let (source, place) = match (led, wanted.is_empty()) {
        (Some(_), _) => ("subject cross join call", Place::of("of_intent", owner)),
        (None, true) => ("call", Place::of("intent", owner)),
        (None, false) => (full_text.from, Place::of(full_text.intent, owner)),
    };
    let sql = format!("select {columns} from {source} where 1 = 1");
    let mut filter = Filter { sql, args: vec![from.as_of.0.into()] };
    if let Some(one) = led {
        let (column, value) = subject(one, owner);
        filter.and(&format!("{column} = ? and intent = of_intent"), value);
    }
    let before = from.before.0.min(from.as_of.0.saturating_add(1));
    filter.and(&place.is_before("?"), place.bound(before));
    if !wanted.is_empty() {
        filter.and(full_text.matches, expression(&wanted, hidden, owner, full_text));
    }
    for word in wanted.iter().filter(|word| owner.is_none() && word.prefix && ACCOUNT.starts_with(&word.text)) {
        filter.and("' ' || call.words like ?", format!("% {}%", word.text));
    }
    for word in search.words.iter().filter(|word| word.without) {
        let end = if word.prefix { "" } else { " " };
        let mut has = |pattern: String| format!("' ' || call.words || ' ' like {}", filter.bind(pattern));
        let there = looked_for(&word.text).into_iter().map(|part| {
            let digests = hidden.of(&part).iter().map(|digest| format!("% {digest} %"));
            let any: Vec<String> = std::iter::once(format!("% {part}{end}%")).chain(digests).map(&mut has).collect();
            format!("({})", any.join(" or "))
        });
        let there: Vec<String> = there.collect();
        filter.and_plain(&format!("not ({})", there.join(" and ")));
    }
    see(&mut filter, &query.visibility, owner, dialect);
    for term in search.terms.iter().filter(|term| led.is_none_or(|one| !leads(term, one))) {
        narrow(&mut filter, term, owner);
    }
    range(&mut filter, search, place);
    let limit = filter.bind(i64::from(limit));
    (format!("{} order by {} limit {limit}", filter.sql, place.newest_first()), filter.args)
}

/// What tells the newest call from the next one, and how it is ordered.
#[derive(Clone, Copy)]
struct Place {
    column: &'static str,
    /// By the order of an account's indexes, which counts backwards.
    backwards: bool,
}

impl Place {
    fn of(column: &'static str, owner: Option<&str>) -> Self {
        Self { column, backwards: owner.is_some() && column == "intent" }
    }

    /// A position as it is bound.
    fn bound(self, position: i64) -> i64 {
        if self.backwards { position.saturating_neg() } else { position }
    }

    /// That a call is before a bound one.
    fn is_before(self, bound: &str) -> String {
        if self.backwards { format!("-intent > {bound}") } else { format!("{} < {bound}", self.column) }
    }

    /// That it is before the one that SQL finds.
    fn is_before_found(self, found: &str) -> String {
        if self.backwards { format!("-intent > -({found})") } else { format!("{} < {found}", self.column) }
    }

    /// That it is this one that SQL finds, or after it.
    fn is_from_found(self, found: &str) -> String {
        if self.backwards { format!("-intent <= -({found})") } else { format!("{} >= {found}", self.column) }
    }

    fn newest_first(self) -> String {
        if self.backwards { "-intent".to_owned() } else { format!("{} desc", self.column) }
    }
}

/// What may be seen at all, and whose it is.
fn see(filter: &mut Filter, visibility: &Visibility, owner: Option<&str>, dialect: &Dialect) {
    if *visibility == Visibility::Nothing {
        filter.and_plain("1 = 0");
    }
    let Some(owner) = owner else { return };
    filter.and("account = ?", owner);
    let Some(keys) = visibility.credentials() else { return };
    let led: Vec<String> = keys.iter().map(|key| format!("{owner}{key}")).collect();
    if let [only] = led.as_slice() {
        // The usual case, which both databases plan best.
        return filter.and("account || credential = ?", only.as_str());
    }
    filter.and(&format!("account || credential {}", dialect.among.replace("$1", "?")), Value::Texts(led));
}

/// The words as the database reads them. They are letters and digits, so nothing in them is a sign.
fn expression(words: &[&Word], hidden: &HiddenWords, owner: Option<&str>, full_text: &FullText) -> String {
    let FullText { and, or, prefix, quote, .. } = full_text;
    let whose = owner.map_or_else(String::new, |owner| format!("{owner}{OF}"));
    let one = &|part: String, is_prefix: bool| format!("{quote}{whose}{part}{quote}{}", if is_prefix { prefix } else { "" });
    let all = words.iter().flat_map(|word| {
        // A part of a run is found wherever it is, so it has no end that could be left open.
        let is_prefix = word.prefix && !is_run(&word.text);
        looked_for(&word.text).into_iter().map(move |part| {
            let digests = hidden.of(&part).iter().map(|digest| one(digest.clone(), false));
            let any: Vec<String> = std::iter::once(one(part.clone(), is_prefix)).chain(digests).collect();
            if any.len() == 1 { any.concat() } else { format!("({})", any.join(or)) }
        })
    });
    all.collect::<Vec<_>>().join(and)
}

/// The one thing that every call which is looked for is about, if the search says so.
fn leading(search: &Search) -> Option<&str> {
    search.terms.iter().find_map(|term| match (term.field, term.values.as_slice()) {
        (Field::Resource(_), [one]) if !term.without => Some(one.as_str()),
        _ => None,
    })
}

/// Whether it is this condition that says so.
fn leads(term: &Term, one: &str) -> bool {
    matches!(term.field, Field::Resource(_)) && !term.without && term.values == [one]
}

/// Where a subject is found: of an account by what that owns alone.
fn subject(one: &str, owner: Option<&str>) -> (&'static str, String) {
    owner.map_or_else(|| ("subject", one.to_owned()), |owner| ("owned", format!("{owner}{one}")))
}

/// That a call is about one of these, or about none of them.
fn narrow_by_subject(filter: &mut Filter, term: &Term, owner: Option<&str>) {
    let column = if owner.is_some() { "owned" } else { "subject" };
    let places: Vec<String> = term.values.iter().map(|value| filter.bind(subject(value, owner).1)).collect();
    let not = if term.without { "not " } else { "" };
    filter.and_plain(&format!("intent {not}in (select of_intent from subject where {column} in ({}))", places.join(", ")));
}

fn narrow(filter: &mut Filter, term: &Term, owner: Option<&str>) {
    if matches!(term.field, Field::Resource(_)) {
        return narrow_by_subject(filter, term, owner);
    }
    if let Some(owner) = owner.filter(|_| term.field == Field::Account) {
        // Whose they are is said already; another account's index is not even looked into.
        if term.values.iter().any(|value| value == owner) == term.without {
            filter.and_plain("1 = 0");
        }
        return;
    }
    let column = column(term.field);
    let (key, values): (String, Vec<String>) = match owner {
        Some(owner) if is_led_by_account(term.field) => {
            (led(term.field), term.values.iter().map(|value| format!("{owner}{value}")).collect())
        }
        _ => (column.to_owned(), term.values.clone()),
    };
    let places: Vec<String> = values.into_iter().map(|value| filter.bind(value)).collect();
    let has = |key: &str| format!("{key} in ({})", places.join(", "));
    let holds = match term.field {
        // Said by the end alone.
        Field::Code | Field::Policy | Field::Switch => format!("{} and (ended between 1 and $1) is true", has(&key)),
        _ => has(&key),
    };
    if term.without {
        // What has no value has not this one either.
        return filter.and_plain(&format!("({holds}) is not true"));
    }
    match owner {
        None => filter.and_plain(&format!("({holds})")),
        // At most one row, whose account is looked at before anything is said of it.
        Some(_) if term.field == Field::Call => filter.and_plain(&holds),
        Some(_) if term.field == Field::Credential => filter.and_plain(&holds),
        // What the index is limited to, said as the index says it.
        Some(_) if is_led_by_account(term.field) => filter.and_plain(&format!("{key} <> '' and {holds}")),
        Some(_) => filter.and_plain(&format!("({holds}) is true")),
    }
    if term.field == Field::Outcome && owner.is_none() {
        narrow_by_index(filter, term, &has("status"));
    }
}

/// How an account's index has a field. A field that may be absent is not to be seen through what is made of it: an index of what
/// everybody has, of which only rows with a value are in it, would be found to fit.
fn led(field: Field) -> String {
    let whole = format!("account || {}", column(field));
    if field == Field::Credential { whole } else { format!("coalesce({whole}, '')") }
}

/// Where a field is, or how it follows from what is there.
fn column(field: Field) -> &'static str {
    match field {
        Field::Account => "account",
        Field::User => "person",
        Field::Credential => "credential",
        Field::Resource(_) => "resources",
        Field::Session => "session",
        Field::Tool => "tool",
        Field::Via => "via",
        Field::Ip => "ip",
        Field::Call => "call",
        Field::Outcome => STATUS,
        Field::Code => "code",
        Field::Policy => "policy",
        Field::Switch => "switch",
    }
}

/// Fields with an index for each account. The others are looked for among all of its calls, newest first, because each index
/// costs as much with every call as it saves with some searches.
fn is_led_by_account(field: Field) -> bool {
    matches!(field, Field::Credential | Field::Code | Field::Policy | Field::Switch)
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
fn range(filter: &mut Filter, search: &Search, place: Place) {
    let first = "(select intent from call where at >= ? order by at, intent limit 1)";
    let mut bound = |condition: String, at: Option<Micros>| {
        if let Some(at) = at {
            filter.and(&condition, at.0);
        }
    };
    bound(place.is_from_found(first), search.from);
    bound(place.is_before_found(&format!("coalesce({first}, {})", i64::MAX)), search.to);
}
