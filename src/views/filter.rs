//! From what is asked for to SQL. Every condition holds for a call as it was at `as_of`.

use super::call::{COLUMNS, meaning};
use super::page::Cursor;
use crate::core::call::Status;
use crate::core::code::Code;
use crate::core::refusal::Refusal;
use crate::core::time::Micros;
use crate::log::sql::Value;
use crate::tools::ActivityQuery;

/// Longest text and most words that are searched for at once.
const LONGEST: usize = 256;
const MOST_WORDS: usize = 8;

/// How a call stood at `$1`.
const STATUS: &str = "case when ended between 1 and $1 then status when started between 1 and $1 then 'running' \
                      when decided between 1 and $1 then decision when held between 1 and $1 then 'held' else 'recorded' end";

/// Conditions with their values; `$1` is `as_of`.
struct Filter {
    sql: String,
    args: Vec<Value>,
}

impl Filter {
    /// Adds a condition, in which `?` stands for `value`.
    fn and(&mut self, condition: &str, value: impl Into<Value>) {
        self.args.push(value.into());
        let place = format!("${}", self.args.len());
        self.sql.push_str(" and ");
        self.sql.push_str(&condition.replace('?', &place));
    }

    fn and_equal(&mut self, column: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.and(&format!("{column} = ?"), value.as_str());
        }
    }
}

/// The statement for one page, which asks for one row more than the page has.
pub(super) fn select(query: &ActivityQuery, from: Cursor) -> (String, Vec<Value>) {
    let sql = format!("select {COLUMNS} from call where intent <= $1");
    let mut filter = Filter { sql, args: vec![from.as_of.0.into()] };
    filter.and("intent < ?", from.before.0);
    filter.and_equal("account", query.account.as_ref().map(ToString::to_string).as_ref());
    filter.and_equal("credential", query.credential.as_ref());
    filter.and_equal("vm", query.vm.as_ref());
    filter.and_equal("session", query.session.as_ref());
    filter.and_equal("tool", query.tool.as_ref());
    filter.and_equal("ip", query.ip.as_ref());
    if let Some(code) = &query.code {
        filter.and("(code = ? and ended between 1 and $1)", code.as_str());
    }
    if let Some(outcome) = &query.outcome {
        stand(&mut filter, outcome);
    }
    range(&mut filter, query.from, query.to);
    for word in query.q.iter().flat_map(|text| text.split_whitespace()) {
        let condition = r"(search like ? escape '\' or (code like ? escape '\' and ended between 1 and $1))";
        filter.and(condition, pattern(word));
    }
    filter.args.push((i64::from(query.limit) + 1).into());
    let sql = format!("{} order by intent desc limit ${}", filter.sql, filter.args.len());
    (sql, filter.args)
}

fn stand(filter: &mut Filter, outcome: &str) {
    filter.and(&format!("{STATUS} = ?"), outcome);
    // Implied by the condition above, and what the indexes know.
    match meaning::<Status>(outcome) {
        Some(status) if status.is_terminal() => filter.and("status = ?", outcome),
        _ => filter.sql.push_str(" and (ended = 0 or ended > $1)"),
    }
}

/// Time never runs backwards along positions, so a range of time is a range of intents.
fn range(filter: &mut Filter, from: Option<Micros>, to: Option<Micros>) {
    let first = "(select intent from call where at >= ? order by at, intent limit 1)";
    if let Some(from) = from {
        filter.and(&format!("intent >= {first}"), from.0);
    }
    if let Some(to) = to {
        filter.and(&format!("intent < coalesce({first}, {})", i64::MAX), to.0);
    }
}

/// A `like` pattern for `word` anywhere, in lower case.
fn pattern(word: &str) -> String {
    let mut pattern = String::from("%");
    for c in word.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// What of a query cannot be answered.
pub(super) fn check(query: &ActivityQuery) -> Result<(), Refusal> {
    let fault = |message: &str| Err(Refusal::new(Code::ValidationFailed, message));
    if !(1..=200).contains(&query.limit) {
        return fault("limit must be from 1 to 200.");
    }
    if query.outcome.as_deref().is_some_and(|text| meaning::<Status>(text).is_none()) {
        return fault("outcome must be a status, such as succeeded, refused or running.");
    }
    if query.code.as_deref().is_some_and(|text| meaning::<Code>(text).is_none()) {
        return fault("code is not one of the documented codes.");
    }
    let texts = [&query.credential, &query.vm, &query.session, &query.tool, &query.ip, &query.q];
    if texts.into_iter().flatten().any(|text| text.len() > LONGEST || text.contains('\0')) {
        return fault("A filter may be at most 256 bytes and hold no NUL.");
    }
    if query.q.as_deref().is_some_and(|text| text.split_whitespace().count() > MOST_WORDS) {
        return fault("q may be at most eight words.");
    }
    Ok(())
}
