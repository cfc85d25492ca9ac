//! The read model of what happened outside of calls: switches, keys, VMs, policies, nodes, sign-ins, and who read the log.
//!
//! INVARIANT: a row names the account that it affects, if that is one; whom a switch, a key, a VM or a person belongs to is
//! itself folded from events (`owner`), and so is which of its keys and VMs it concerns. A row leads to an event, and what is shown
//! is what the event says: a row that says something else is left out, and an error names it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::ViewError;
use super::activity::Calls;
use super::page::Cursor;
use crate::core::about::About;
use crate::core::event::{Event, EventKind};
use crate::core::id::Position;
use crate::core::noun::vm::VM;
use crate::core::time::Micros;
use crate::core::visibility::{Visibility, concerned};
use crate::log::dialect::Dialect;
use crate::log::sql::{Database, Holds, Insert, Row, SqlError, Transaction, Value};
use crate::tools::{AdministrationPage, AdministrationQuery, AdministrationRecord};

/// Whose something is, by its id: its account, if it has one, and what it concerns (see [`concerned`]).
type Owners = BTreeMap<String, (Option<String>, Option<String>)>;

/// When the newest event of a type was recorded; none if there is none.
pub async fn newest(database: &dyn Database, kind: &str) -> Result<Option<Micros>, SqlError> {
    let sql = "select at from administration where type = $1 order by position desc limit 1";
    let rows = database.query(sql, vec![kind.into()]).await?;
    rows.first().map(|row| row.int(0).map(Micros)).transpose()
}

/// Inserts what the events say outside of calls. `about` of an event that belongs to a call is nothing.
pub(super) async fn save(transaction: &mut dyn Transaction, dialect: &Dialect, events: &[Event]) -> Result<(), ViewError> {
    let found: Vec<(&Event, About)> = events.iter().filter_map(|event| Some((event, About::of(&event.kind)?))).collect();
    if found.is_empty() {
        return Ok(());
    }
    let asked: BTreeSet<String> = found.iter().filter_map(|(_, about)| about.owned_like.clone()).collect();
    let (mut owners, mut fresh) = (load(transaction, dialect, asked).await?, Owners::new());
    let mut rows = Vec::new();
    for (event, about) in found {
        let inherited = about.owned_like.and_then(|like| owners.get(&like).cloned()).unwrap_or_default();
        let (account, concerns) = (about.account.or(inherited.0), concerned(&event.kind).or(inherited.1));
        if let Some(subject) = about.subject.as_ref().filter(|_| About::establishes_owner(&event.kind)) {
            owners.insert(subject.clone(), (account.clone(), concerns.clone()));
            fresh.insert(subject.clone(), (account.clone(), concerns.clone()));
        }
        rows.push(vec![
            event.position.0.into(),
            event.at.0.into(),
            event.kind.name().into(),
            account.into(),
            about.person.into(),
            about.subject.into(),
            concerns.into(),
        ]);
    }
    let owned = fresh.into_iter().map(|(subject, (account, concerns))| vec![subject.into(), account.into(), concerns.into()]);
    let owned = owned.collect();
    transaction.insert(&OWNERS, owned).await?;
    Ok(transaction.insert(&ADMINISTRATION, rows).await?)
}

async fn load(transaction: &mut dyn Transaction, dialect: &Dialect, subjects: BTreeSet<String>) -> Result<Owners, ViewError> {
    let sql = format!("select subject, account, concerns from owner where subject {}", dialect.among);
    let rows = transaction.query(&sql, vec![Value::Texts(subjects.into_iter().collect())]).await?;
    let read = |row: &Row| {
        let maybe = |column: usize| row.maybe_text(column).map(|value| value.map(str::to_owned));
        Ok((row.text(0)?.to_owned(), (maybe(1)?, maybe(2)?)))
    };
    rows.iter().map(read).collect()
}

/// What happened outside of calls.
pub static ADMINISTRATION: Insert = Insert {
    table: "administration",
    columns: &[
        ("position", Holds::Int),
        ("at", Holds::Int),
        ("type", Holds::Text),
        ("account", Holds::Text),
        ("person", Holds::Text),
        ("subject", Holds::Text),
        ("concerns", Holds::Text),
    ],
    on_conflict: "",
};

/// Whose something is.
pub static OWNERS: Insert = Insert {
    table: "owner",
    columns: &[("subject", Holds::Text), ("account", Holds::Text), ("concerns", Holds::Text)],
    on_conflict: "on conflict (subject) do update set account = excluded.account, concerns = excluded.concerns",
};

/// What every account is told of although it is about nobody in particular.
const FOR_ALL: &str = "account is null and type in ('log_read', 'switch_engaged', 'release_ramped', 'switch_released', \
                       'switch_expired')";

impl Calls {
    pub(super) async fn administration(
        &self,
        query: &AdministrationQuery,
        from: Cursor,
    ) -> Result<AdministrationPage, ViewError> {
        let (sql, args) = select(query, from);
        let turn = self.turn(&query.visibility).await?;
        let rows = self.query_rows(&turn, &sql, args).await?;
        drop(turn);
        let size = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let mut items = Vec::new();
        for row in rows.iter().take(size) {
            items.extend(self.record_of(row, query).await?);
        }
        let last = rows.iter().take(size).next_back().map(|row| row.int(0)).transpose()?;
        let before = last.filter(|_| rows.len() > size).map(Position);
        let next_cursor = self.go_on(from, before).await?;
        Ok(AdministrationPage { items, next_cursor, as_of: from.as_of })
    }

    /// What an event says: staff read all of it, an account the message that is meant for it, whatever row it was found by.
    async fn said(&self, event: &Event, query: &AdministrationQuery) -> Result<Option<Json>, ViewError> {
        let reader = &self.views().reader;
        Ok(match &event.kind {
            kind @ EventKind::RefusalsCounted { .. } => query.visibility.event(kind, &query.state).then(|| counted(kind)),
            _ if query.visibility.is_everything() => reader.part(event, "note", &query.visibility).await?,
            _ => reader.message(event, &query.visibility, &query.state).await?,
        })
    }

    /// The event that a row leads to, as it says itself; none if the row says something else.
    async fn record_of(&self, row: &Row, query: &AdministrationQuery) -> Result<Option<AdministrationRecord>, ViewError> {
        let position = Position(row.int(0)?);
        let Some(event) = self.views().reader.event(position).await? else { return Ok(strange(position)) };
        let Some(about) = About::of(&event.kind) else { return Ok(strange(position)) };
        let (whose, visibility) = (self.views().whose(&event.kind).await?, &query.visibility);
        let is = |column: usize, said: &Option<String>| row.maybe_text(column).is_ok_and(|text| text == said.as_deref());
        // Whose it is may be past telling: who sees everything sees it all the same.
        let is_theirs =
            whose.as_ref().map_or(visibility.is_everything(), |whose| is(3, &whose.account) && is(6, &whose.concerns));
        let is_said =
            row.int(1)? == event.at.0 && row.text(2)? == event.kind.name() && is(4, &about.person) && is(5, &about.subject);
        if !is_said || !is_theirs {
            return Ok(strange(position));
        }
        let note = self.said(&event, query).await?.unwrap_or(Json::Null);
        // That the staff read is all that an account is told of it.
        let user = about.person.filter(|_| visibility.is_everything() || !matches!(event.kind, EventKind::LogRead { .. }));
        let (account, kind) = (whose.and_then(|whose| whose.account), event.kind.name().to_owned());
        let (at, subject, event) = (event.at, about.subject, event.kind);
        Ok(Some(AdministrationRecord { position, at, kind, account, user, subject, note, event }))
    }
}

/// What is left out, and said so.
fn strange(position: Position) -> Option<AdministrationRecord> {
    tracing::error!(position = position.0, "a row of the views does not say what its event says, and is not shown: rebuild them");
    None
}

/// What an event says of the refusals that it counts. Nothing of it is for staff alone.
fn counted(kind: &EventKind) -> Json {
    match kind {
        EventKind::RefusalsCounted { tool, resources, code, count, first, last, mixed, .. } => json!({
            "count": count, "tool": tool, "vm": resources.iter().find(|id| *id.noun() == VM), "code": code, "mixed": mixed, "first": first.document(), "last": last.document(),
        }),
        _ => Json::Null,
    }
}

const ROW: &str = "position, at, type, account, person, subject, concerns";

/// Where the rows of one reader are: what is its own, and what everybody is told. Each part has an index of its own, in an order
/// that no other has, so what others do is not read for it, nor does it take time.
fn parts(query: &AdministrationQuery) -> Vec<(String, Vec<Value>)> {
    let places = if query.concerns.is_empty() { "null".to_owned() } else { vec!["?"; query.concerns.len()].join(", ") };
    let named = || query.concerns.iter().map(|name| Value::from(name.as_str())).collect::<Vec<_>>();
    match &query.visibility {
        Visibility::Everything => match &query.about {
            None => vec![("1 = 1".to_owned(), Vec::new())],
            Some(account) => vec![("account = ?".to_owned(), vec![account.as_str().into()])],
        },
        Visibility::Nothing => vec![("1 = 0".to_owned(), Vec::new())],
        Visibility::Account(account) => vec![
            ("account = ?".to_owned(), vec![account.as_str().into()]),
            (format!("{FOR_ALL} and (concerns is null or concerns in ({places})) is true"), named()),
        ],
        Visibility::Key { .. } => vec![
            (format!("concerns in ({places})"), named()),
            (format!("{FOR_ALL} and (concerns is null and type != 'log_read') is true"), Vec::new()),
        ],
    }
}

fn select(query: &AdministrationQuery, from: Cursor) -> (String, Vec<Value>) {
    // In the order of positions for whoever sees all of them: see `migrations/*/views-0001.sql`.
    let is_whole = query.visibility.is_everything() && query.about.is_none();
    let (before, order) = if is_whole { ("position < ?", "position desc") } else { ("-position > ?", "-position") };
    let before_position = from.before.0.min(from.as_of.0.saturating_add(1));
    let mut args: Vec<Value> = Vec::new();
    let mut limited = Vec::new();
    for (seen, values) in parts(query) {
        let mut conditions = vec![(seen, values)];
        let bound = if is_whole { before_position } else { before_position.saturating_neg() };
        conditions.push((before.to_owned(), vec![bound.into()]));
        if let Some(shown_until) = query.reads_until {
            conditions.push(("(type != 'log_read' or at <= ?)".to_owned(), vec![shown_until.0.into()]));
        }
        for (bound, at) in [("(at >= ?) is true", query.from), ("(at < ?) is true", query.to)] {
            conditions.extend(at.map(|at| (bound.to_owned(), vec![at.0.into()])));
        }
        let fields = [("account", &query.about), ("type", &query.kind), ("person", &query.user), ("subject", &query.subject)];
        for (column, value) in fields {
            if let Some(value) = value {
                let holds = if is_whole { format!("{column} = ?") } else { format!("({column} = ?) is true") };
                conditions.push((holds, vec![value.as_str().into()]));
            }
        }
        let text: Vec<String> = conditions.iter().map(|(text, _)| text.clone()).collect();
        let mut sql = format!("select {ROW} from administration where {}", text.join(" and "));
        for value in conditions.into_iter().flat_map(|(_, values)| values) {
            args.push(value);
            sql = sql.replacen('?', &format!("${}", args.len()), 1);
        }
        args.push((i64::from(query.limit) + 1).into());
        limited.push(format!("select {ROW} from ({sql} order by {order} limit ${}) as part{}", args.len(), limited.len()));
    }
    args.push((i64::from(query.limit) + 1).into());
    (format!("{} order by position desc limit ${}", limited.join(" union all "), args.len()), args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_is_listed_can_be_asked_for() {
        for leaf in include_str!("../../tests/it/golden/leaf-v1.jsonl").lines() {
            let kind = Event::decode(leaf.as_bytes()).unwrap().kind;
            assert_eq!(About::of(&kind).is_some(), AdministrationQuery::TYPES.contains(&kind.name()), "{}", kind.name());
        }
    }
}
