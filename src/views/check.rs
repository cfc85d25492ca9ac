//! Whether the rows of the views are what the log says, row by row, for whoever looks at both from outside.
//!
//! INVARIANT: only what the views have reached is compared, as it was there, so that a node which goes on pulling events makes no
//! difference; that a page of calls shows their own events, whatever a row says, is for [`super::call`] to see to.

use std::collections::{BTreeMap, BTreeSet};

use super::batch::Batch;
use super::call::{COLUMNS, Call};
use super::label::Labels;
use super::status::{CURSOR, ViewsStatus};
use super::{ViewError, activity};
use crate::core::about::About;
use crate::core::event::Event;
use crate::core::id::{CallId, Position};
use crate::log::reading::Reader;
use crate::log::sql::{Database, Row};

/// Events that are read together.
const TOGETHER: u32 = 500;

/// How many differences are named.
const MAX_NAMED: usize = 10;

/// Where the views' rows differ from the log, one line each, and how many more there are.
pub async fn differences(database: &dyn Database, reader: &Reader) -> Result<Vec<String>, ViewError> {
    let upto = ViewsStatus::read(&database.query(CURSOR, Vec::new()).await?)?.position;
    let (mut after, mut labels, mut found) = (Position(0), Labels::new(), Vec::new());
    while after < upto {
        let Some(batch) = Batch::read(reader, after, TOGETHER).await? else { break };
        let last = batch.last().min(upto);
        labels.extend(batch.imported());
        let logged = calls(reader, &batch, &labels, upto).await?;
        compare(&logged, &rows_of_calls(database, after, last).await?, upto, &mut found);
        subjects(&logged, database, (after, last), &mut found).await?;
        administration(&batch, database, (after, last), &mut found).await?;
        after = last;
    }
    let mut strange = Vec::new();
    for (table, column) in [("call", "intent"), ("subject", "of_intent"), ("administration", "position")] {
        let sql = format!("select count(*) from {table} where {column} > $1 or {column} < 1");
        let more = database.query(&sql, vec![after.0.into()]).await?.first().map_or(Ok(0), |row| row.int(0))?;
        strange.extend((more > 0).then(|| format!("{more} rows of {table} are of no event")));
    }
    // Of views that have moved meanwhile they may be the next ones.
    if ViewsStatus::read(&database.query(CURSOR, Vec::new()).await?)?.position == upto {
        found.extend(strange);
    }
    for row in database.query("select vm, label from vm order by vm", Vec::new()).await? {
        let (vm, label) = (row.text(0)?, row.text(1)?);
        // One that came since then is not known here.
        if labels.get(vm).is_some_and(|said| said != label) {
            found.push(format!("the label of {vm} is another one"));
        }
    }
    let more = found.len().saturating_sub(MAX_NAMED);
    found.truncate(MAX_NAMED);
    if more > 0 {
        found.push(format!("and {more} more"));
    }
    Ok(found)
}

/// The calls that begin in the batch, as all of their events make them.
async fn calls(reader: &Reader, batch: &Batch, labels: &Labels, upto: Position) -> Result<BTreeMap<Position, Call>, ViewError> {
    let begun = batch.begun(labels);
    let ids: Vec<CallId> = begun.iter().filter_map(|call| call.id().parse().ok()).collect();
    let events = activity::by_call(reader, &ids).await?;
    let logged = |call: Call| {
        let own = call.id().parse().ok().and_then(|id: CallId| events.get(&id));
        call.logged_by(own.map_or(&[][..], Vec::as_slice))
    };
    let logged = begun.into_iter().filter_map(logged).map(|call| call.until(upto));
    Ok(logged.filter(|call| call.intent() <= upto).map(|call| (call.intent(), call)).collect())
}

async fn rows_of_calls(database: &dyn Database, after: Position, last: Position) -> Result<Vec<Row>, ViewError> {
    let sql = format!("select {COLUMNS} from call where intent > $1 and intent <= $2 order by intent");
    Ok(database.query(&sql, vec![after.0.into(), last.0.into()]).await?)
}

fn compare(logged: &BTreeMap<Position, Call>, rows: &[Row], upto: Position, found: &mut Vec<String>) {
    let mut missing: BTreeSet<Position> = logged.keys().copied().collect();
    for row in rows {
        let Ok(call) = Call::read(row) else {
            found.push("a row of call cannot be read".to_owned());
            continue;
        };
        missing.remove(&call.intent());
        match logged.get(&call.intent()) {
            None => found.push(format!("the row of {} is of no call", call.id())),
            Some(logged) if logged.clone().without_subjects() != call.clone().until(upto) => {
                found.push(format!("the row of {} says something else than its events", logged.id()));
            }
            Some(_) => {}
        }
    }
    found.extend(missing.iter().filter_map(|at| logged.get(at)).map(|call| format!("there is no row of {}", call.id())));
}

/// The same of what calls are found by.
async fn subjects(
    logged: &BTreeMap<Position, Call>,
    database: &dyn Database,
    (after, last): (Position, Position),
    found: &mut Vec<String>,
) -> Result<(), ViewError> {
    let sql = "select subject, owned, of_intent from subject where of_intent > $1 and of_intent <= $2";
    let mut rows = BTreeSet::new();
    for row in database.query(sql, vec![after.0.into(), last.0.into()]).await? {
        rows.insert((row.text(0)?.to_owned(), row.text(1)?.to_owned(), Position(row.int(2)?)));
    }
    let said: BTreeSet<_> = logged.values().flat_map(Call::found_by).collect();
    found.extend(said.difference(&rows).map(|(subject, ..)| format!("a call is not found by {subject}")));
    found.extend(rows.difference(&said).map(|(subject, ..)| format!("a call is found by {subject}, and is not about it")));
    Ok(())
}

/// The same of what happened outside of calls.
async fn administration(
    batch: &Batch,
    database: &dyn Database,
    (after, last): (Position, Position),
    found: &mut Vec<String>,
) -> Result<(), ViewError> {
    let sql = "select position, at, type, account, person, subject from administration where position > $1 and position <= $2";
    let mut rows = BTreeMap::new();
    for row in database.query(sql, vec![after.0.into(), last.0.into()]).await? {
        rows.insert(Position(row.int(0)?), row);
    }
    for event in batch.events().iter().filter(|event| event.position <= last) {
        let row = rows.remove(&event.position);
        let said = About::of(&event.kind).map(|about| row.as_ref().map(|row| says(row, event, &about)));
        match (said, row) {
            (Some(Some(true)), _) | (None, None) => {}
            (Some(None), _) => found.push(format!("there is no row of the {} at {}", event.kind.name(), event.position.0)),
            (Some(Some(false)), _) | (None, Some(_)) => {
                found.push(format!("the row of {} at {} says something else", event.kind.name(), event.position.0));
            }
        }
    }
    Ok(())
}

fn says(row: &Row, event: &Event, about: &About) -> bool {
    let is = |column: usize, said: &Option<String>| row.maybe_text(column).is_ok_and(|text| text == said.as_deref());
    let is_at = row.int(1).is_ok_and(|at| at == event.at.0) && row.text(2).is_ok_and(|kind| kind == event.kind.name());
    // Whose it is may follow from other events; then the page holds it against those.
    is_at && (about.account.is_none() || is(3, &about.account)) && is(4, &about.person) && is(5, &about.subject)
}
