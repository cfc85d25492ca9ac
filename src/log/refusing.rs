//! Whether the log room refuses changes as the migrations say: its triggers, the functions behind them, and what could stand
//! between a statement and its table.
//!
//! INVARIANT: a name proves nothing. Everything is compared with the text of the migrations, and then forbidden changes are
//! tried ([`tried`]); whatever they do is rolled back.

use std::collections::BTreeMap;

use super::dialect::{POSTGRES, Room};
use super::sql::{Database, SqlError, Transaction, Value};
use super::{blockers, server_error, sqlite};

/// What is not as the migrations say; nothing, if all is well.
pub async fn altered(database: &dyn Database) -> Result<Vec<String>, SqlError> {
    let scripts = (database.dialect().migrations)(Room::Log);
    if database.dialect().name == POSTGRES.name {
        of_postgres(database, scripts).await
    } else {
        of_sqlite(database, scripts).await
    }
}

/// A function of the schema, or what stands for it in a migration.
#[derive(PartialEq, Eq)]
struct Function {
    language: String,
    body: String,
    settings: String,
}

/// The functions and triggers that the migrations leave behind.
#[derive(Default)]
struct Made {
    functions: BTreeMap<String, Function>,
    triggers: BTreeMap<String, String>,
}

impl Made {
    fn read(scripts: &[&str]) -> Self {
        let mut made = Self::default();
        for script in scripts {
            let code: String =
                script.lines().filter(|line| !line.starts_with("--")).fold(String::new(), |text, line| text + line + "\n");
            for part in code.split("create ").skip(1) {
                made.read_one(part);
            }
        }
        made
    }

    /// One `create`, without that word.
    fn read_one(&mut self, text: &str) {
        if let Some(rest) = text.strip_prefix("function ") {
            let Some((head, body)) = rest.split_once("$$").and_then(|(head, rest)| Some((head, rest.split_once("$$")?.0))) else {
                return;
            };
            let Some((name, head)) = head.split_once('(') else { return };
            let settings = head.split_once(" set ").map_or("", |(_, rest)| rest.trim_end().trim_end_matches(" as"));
            let language = head.split_once(" language ").and_then(|(_, rest)| rest.split_whitespace().next()).unwrap_or_default();
            let settings = settings.trim().replacen(" = ", "=", 1);
            let function = Function { language: language.to_owned(), body: body.to_owned(), settings };
            self.functions.insert(name.to_owned(), function);
        } else if let Some(rest) = text.strip_prefix("constraint trigger ").or_else(|| text.strip_prefix("trigger ")) {
            let (definition, name) = (text.split(';').next().unwrap_or(text), rest.split(' ').next().unwrap_or(rest));
            self.triggers.insert(name.to_owned(), plain(&format!("create {definition}")));
        }
    }
}

/// A trigger's definition in one form: PostgreSQL writes names and words its own way.
fn plain(definition: &str) -> String {
    let words: Vec<String> = definition.split_whitespace().map(str::to_lowercase).collect();
    let text = words.join(" ").replace(" on log.", " on ").replace("function log.", "function ");
    if text.contains(" for each ") { text } else { text.replacen(" execute function", " for each statement execute function", 1) }
}

const FUNCTIONS: &str = "select p.proname, p.prosrc, array_to_string(p.proconfig, ';'), l.lanname,
    case when p.prosecdef or p.pronargs <> 0 then 'other' end from pg_catalog.pg_proc p join pg_catalog.pg_language l on l.oid = p.prolang
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace where n.nspname = 'log'";

/// A definition does not tell a function of this schema from one in `pg_catalog`, so that is looked up.
const TRIGGERS: &str = "select t.tgname, t.tgenabled::text,
    case when p.pronamespace = c.relnamespace then pg_catalog.pg_get_triggerdef(t.oid, true) else 'another function' end, c.relname
    from pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid join pg_catalog.pg_proc p on p.oid = t.tgfoid
    where c.relnamespace = 'log'::regnamespace and not t.tgisinternal";

/// What else decides what a statement does to a table.
const BETWEEN: &str = "with kept as (select c.oid, c.relname, c.relkind, c.relpersistence, c.relrowsecurity from pg_catalog.pg_class c
    where c.relnamespace = 'log'::regnamespace and c.relname in ('event', 'payload', 'log_head'))
select 'the rule ' || r.rulename || ' stands before log.' || kept.relname from kept join pg_catalog.pg_rewrite r on r.ev_class = kept.oid
union all select 'log.' || relname || ' is no ordinary table' from kept where relkind <> 'r' or relpersistence <> 'p'
union all select 'row security is on for log.' || relname from kept where relrowsecurity
union all select 'log.' || relname || ' has lost its primary key' from kept where not exists
    (select 1 from pg_catalog.pg_index i where i.indrelid = kept.oid and i.indisprimary and i.indisvalid)
union all select i.inhrelid::regclass::text || ' counts as a part of log.' || relname from kept join pg_catalog.pg_inherits i on i.inhparent = kept.oid
union all select 'log.' || name || ' is not there' from unnest(array['event', 'payload', 'log_head']) as name
    where not exists (select 1 from kept where relname = name)";

async fn of_postgres(database: &dyn Database, scripts: &[&str]) -> Result<Vec<String>, SqlError> {
    let made = Made::read(scripts);
    let mut faults = Vec::new();
    let mut there = BTreeMap::new();
    for row in database.query(FUNCTIONS, Vec::new()).await? {
        let (settings, is_other) = (row.maybe_text(2)?.unwrap_or_default().to_owned(), row.maybe_text(4)?.is_some());
        let function = Function { language: row.text(3)?.to_owned(), body: row.text(1)?.to_owned(), settings };
        there.insert(row.text(0)?.to_owned(), (function, is_other));
    }
    for (name, function) in &made.functions {
        match there.get(name) {
            Some((found, false)) if found == function => {}
            Some(_) => faults.push(format!("the function log.{name}() is not what Forelog made")),
            None => faults.push(format!("the function log.{name}() is not there")),
        }
    }
    let mut found = BTreeMap::new();
    for row in database.query(TRIGGERS, Vec::new()).await? {
        let (name, table) = (row.text(0)?.to_owned(), row.text(3)?.to_owned());
        if made.triggers.contains_key(&name) {
            found.insert(name, (row.text(1)? == "A", plain(row.text(2)?)));
        } else {
            faults.push(format!("the trigger {name} on log.{table} is none of Forelog's"));
        }
    }
    for (name, definition) in &made.triggers {
        match found.get(name) {
            Some((true, same)) if same == definition => {}
            Some((true, _)) => faults.push(format!("the trigger {name} is not what Forelog made")),
            Some((false, _)) | None => faults.push(format!("the trigger {name} is not in force")),
        }
    }
    for row in database.query(BETWEEN, Vec::new()).await? {
        faults.push(row.text(0)?.to_owned());
    }
    Ok(faults)
}

async fn of_sqlite(database: &dyn Database, scripts: &[&str]) -> Result<Vec<String>, SqlError> {
    let made = sqlite::made_by(scripts)?;
    let sql =
        "select type, name, tbl_name, sql from sqlite_schema where type in ('table', 'trigger', 'view') and sql is not null";
    let mut there = BTreeMap::new();
    for row in database.query(sql, Vec::new()).await? {
        let what = (row.text(0)?.to_owned(), row.text(1)?.to_owned());
        there.insert(what, (row.text(2)?.to_owned(), bare(row.text(3)?)));
    }
    let mut faults = Vec::new();
    for (what, definition) in &made {
        let (kind, name) = what;
        match there.get(what) {
            Some((_, found)) if *found == bare(definition) => {}
            None if kind == "trigger" => faults.push(format!("the trigger {name} is not in force")),
            None => faults.push(format!("the {kind} {name} is not there")),
            Some(_) => faults.push(format!("the {kind} {name} is not what Forelog made")),
        }
    }
    let others = there.iter().filter(|(what, _)| what.0 == "trigger" && !made.contains_key(*what));
    faults.extend(others.map(|((_, name), (table, _))| format!("the trigger {name} on {table} is none of Forelog's")));
    Ok(faults)
}

/// A definition without comments, in one line.
fn bare(definition: &str) -> String {
    let code = definition.lines().map(|line| line.split("--").next().unwrap_or_default());
    code.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

/// Changes that have to be refused, on both databases.
const FORBIDDEN: [(&str, &str); 10] = [
    ("changes an event", "update event set at = at where position = (select max(position) from event)"),
    ("deletes an event", "delete from event where position = (select max(position) from event)"),
    ("changes a payload", "update payload set key = key where position = (select max(position) from payload)"),
    ("deletes a payload", "delete from payload where position = (select max(position) from payload)"),
    ("moves the head back", "update log_head set position = position - 1"),
    ("deletes the head", "delete from log_head"),
    ("makes a second head", "insert into log_head (log_id, position, at, epoch) select 2, position, at, epoch from log_head"),
    // So far away that no batch of a node that serves meanwhile is there.
    (
        "leaves a gap",
        "insert into event (position, at, type, leaf) select position + 1000000, at, 'gap', empty.it from log_head
         cross join (select cast('' as BYTES) as it) as empty",
    ),
    (
        "takes a payload without its event",
        "insert into payload (position, part, key, body) select position + 1000000, 'stray', '', empty.it from log_head
         cross join (select cast('' as BYTES) as it) as empty",
    ),
    ("takes a row of any size", "insert into state (name, control, position, doc) values ('big:', 0, 0, cast(LONG as BYTES))"),
];

/// Those that only PostgreSQL has a statement for.
const OF_POSTGRES: [(&str, &str); 3] = [
    ("empties the events", "truncate event"),
    ("empties the payloads", "truncate payload"),
    ("empties the head", "truncate log_head"),
];

/// Those of SQLite, where replacing a row is no deletion to a trigger.
const OF_SQLITE: [(&str, &str); 3] = [
    (
        "replaces an event",
        "insert or replace into event (position, at, type, call, leaf) select position, at, type, call, leaf from event
         where position = (select max(position) from event)",
    ),
    (
        "replaces a payload",
        "insert or replace into payload (position, part, key, body) select position, part, key, body from payload
         where position = (select max(position) from payload)",
    ),
    (
        "replaces the head",
        "insert or replace into log_head (log_id, position, at, epoch) select log_id, position, at, epoch from log_head",
    ),
];

/// Tries forbidden changes, as this session's role; answers those that were not refused. Everything is rolled back.
pub async fn tried(database: &dyn Database) -> Result<Vec<String>, SqlError> {
    let is_postgres = database.dialect().name == POSTGRES.name;
    let mut transaction = database.begin().await?;
    let mut faults = Vec::new();
    for (what, sql) in FORBIDDEN.iter().chain(if is_postgres { &OF_POSTGRES } else { &OF_SQLITE }) {
        // What would lock a whole table is given up soon, because those who serve wait behind it.
        if is_postgres {
            let wait = if sql.starts_with("truncate") { 200 } else { 2000 };
            transaction.script(&format!("set local lock_timeout = {wait}")).await?;
        }
        let (bytes, long) = if is_postgres { ("bytea", "repeat('x', 300000)") } else { ("blob", "zeroblob(300000)") };
        let sql = sql.replace("BYTES", bytes).replace("LONG", long);
        match attempt(&mut *transaction, &sql, is_postgres).await? {
            Attempt::Refused => {}
            Attempt::Allowed => faults.push(format!("it {what} without a word")),
            // Whoever holds the log is named elsewhere; that says nothing of the schema.
            Attempt::Failed(error) if blockers::is_a_wait(&error) => return Err(error),
            Attempt::Failed(error) => faults.push(format!("whether it {what} could not be tried: {error}")),
        }
    }
    Ok(faults)
}

enum Attempt {
    Refused,
    Allowed,
    Failed(SqlError),
}

async fn attempt(transaction: &mut dyn Transaction, sql: &str, is_postgres: bool) -> Result<Attempt, SqlError> {
    transaction.script("savepoint attempt").await?;
    let done = transaction.execute(sql, Vec::<Value>::new()).await;
    transaction.script("rollback to savepoint attempt").await?;
    Ok(match done {
        // A truncation touches no row, and takes all.
        Ok(rows) if rows > 0 || sql.starts_with("truncate") => Attempt::Allowed,
        Ok(_) => Attempt::Refused,
        Err(error) if is_postgres && server_error::is_forbidden(&error) || !is_postgres && sqlite::is_forbidden(&error) => {
            Attempt::Refused
        }
        Err(error) => Attempt::Failed(error),
    })
}
