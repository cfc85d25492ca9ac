//! What a customer asks of the record is answered out of its own rows alone, so that its time tells nothing of what others
//! have. Nothing here is timed: the databases say how many rows they looked at.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use forelog::core::call::Status;
use forelog::core::code::Code;
use forelog::core::noun::vm::VM;
use forelog::core::search::{Field, Search};
use forelog::core::time::Micros;
use forelog::core::visibility::Visibility;
use forelog::log::dialect::{Dialect, Room};
use forelog::log::sql::{Database, Row, SqlError, Transaction, Value};
use forelog::tools::{Activity, ActivityQuery, AdministrationQuery};
use forelog::views::Views;
use forelog::views::activity::Calls;
use rusqlite::StatementStatus;

use crate::fixtures::{account, call, credential, user, vm};
use crate::sample_log::{Ask, POWER, SampleLog};

type Asked = Arc<Mutex<Vec<(String, Vec<Value>)>>>;

/// A database that keeps what it was asked with a budget.
struct Overheard {
    inner: Box<dyn Database>,
    asked: Asked,
}

#[async_trait]
impl Database for Overheard {
    fn dialect(&self) -> &'static Dialect {
        self.inner.dialect()
    }

    async fn query(&self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        self.inner.query(sql, args).await
    }

    async fn query_within(&self, sql: &str, args: Vec<Value>, budget: Duration) -> Result<Vec<Row>, SqlError> {
        self.asked.lock().expect("what was asked").push((sql.to_owned(), args.clone()));
        self.inner.query_within(sql, args, budget).await
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, SqlError> {
        self.inner.begin().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

/// What others have, and what a stranger may guess of it.
const LINES: &[&str] = &[
    "",
    "reboot",
    "reb*",
    "web*",
    "reboot web 1",
    "-reboot",
    "数据",
    "tool:vm_power",
    "-tool:vm_power",
    "via:mcp",
    "outcome:failed",
    "outcome:succeeded,running",
    "-outcome:failed",
    "code:upstream_error",
    "ip:192.0.2.7",
    "session:abc",
    "policy:customers",
    "last:7d",
    "created:2025-01-01..2027-01-01 tool:vm_power",
];

/// The questions of the stranger, by how they are shown.
fn questions() -> Vec<Search> {
    let typed = LINES.iter().map(|line| Search::parse(line, Micros(1_800_000_000_000_000)).expect(line));
    let named = [
        (Field::Account, account(1).to_string()),
        (Field::User, user(1).to_string()),
        (Field::Credential, credential(1).to_string()),
        (Field::Resource(&VM), vm(1).to_string()),
        (Field::Switch, "swi_00000000000000000000000001".to_owned()),
        (Field::Call, call(1).to_string()),
    ];
    let named = named.into_iter().filter_map(|(field, value)| {
        let mut search = Search::default();
        search.only(field, value).ok()?;
        Some(search)
    });
    let about = [format!("-vm:{}", vm(1)), format!("vm:{},{}", vm(1), vm(2)), format!("vm:{} reboot", vm(1))];
    let about = about.iter().map(|line| Search::parse(line, Micros(1_800_000_000_000_000)).expect(line));
    let all: Vec<Search> = typed.chain(about).chain(named).collect();
    for field in Field::ALL {
        let is_asked = all.iter().any(|search| search.terms.iter().any(|term| term.field == field));
        assert!(is_asked || field == Field::Switch, "nobody asks for {}", field.name());
    }
    all
}

/// How many more rows of somebody else there are.
const OTHERS: i64 = 2000;

/// Copies a row of the first account, so often.
async fn inflate(views: &dyn Database, to: &str, columns: &str, place: &str, copied: &str) {
    let of = account(1);
    inflate_of(views, to, columns, place, copied, &format!("account = '{of}'")).await;
}

/// Copies such a row.
async fn inflate_of(views: &dyn Database, to: &str, columns: &str, place: &str, copied: &str, such: &str) {
    let count = format!("with recursive n (i) as (select 1 union all select i + 1 from n where i < {OTHERS})");
    let one = format!("(select * from {to} where {such} order by {place} limit 1) as one");
    let insert = format!("insert into {to} ({columns}) {count} select {copied} from n, {one}");
    let mut transaction = views.begin().await.expect("a transaction");
    transaction.execute(&insert, Vec::new()).await.expect("copies");
    transaction.commit().await.expect("a commit");
}

const CALL: &str = "intent, call, account, credential, person, resources, label, tool, via, session, ip, text, words, at, status, held, \
                    decided, decision, started, ended, ended_at, code, policy, switch";

async fn others(views: &dyn Database) {
    let copied = CALL.replacen("intent, call", "-i, 'copy ' || i", 1);
    inflate(views, "call", CALL, "intent", &copied).await;
    let whose = format!("owned = '{}{}'", account(1), vm(1));
    inflate_of(views, "subject", "subject, owned, of_intent", "of_intent", "subject, owned, -i", &whose).await;
    let columns = "position, at, type, account, person, subject, concerns";
    inflate(views, "administration", columns, "position", &columns.replacen("position", "-i", 1)).await;
}

/// How much work each question is, in the database's own count.
async fn work(sample: &SampleLog, views: &dyn Database, asked: &[(String, Vec<Value>)]) -> Vec<i64> {
    let mut counted = Vec::new();
    for (sql, args) in asked {
        counted.push(if sample.url.is_some() { rows_of_plan(views, sql, args).await } else { steps(sample, sql, args) });
    }
    counted
}

/// The steps that SQLite's machine takes; what the full text does inside is none of them.
fn steps(sample: &SampleLog, sql: &str, args: &[Value]) -> i64 {
    let connection = rusqlite::Connection::open(sample.dir.path().join("views.db")).expect("the views");
    let mut statement = connection.prepare(&sql.replace('$', "?")).expect("a statement");
    for (index, arg) in args.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, arg).expect("a value");
    }
    let mut rows = statement.raw_query();
    while rows.next().expect("a row").is_some() {}
    drop(rows);
    i64::from(statement.get_status(StatementStatus::VmStep))
}

/// The rows that PostgreSQL read, shown or not.
async fn rows_of_plan(views: &dyn Database, sql: &str, args: &[Value]) -> i64 {
    let explain = format!("explain (analyze, costs off, timing off, summary off, buffers off) {sql}");
    let plan = views.query(&explain, args.to_vec()).await.expect("a plan");
    let number = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse::<i64>().ok());
    let lines = plan.iter().map(|row| row.text(0).expect("a line"));
    let read = lines.flat_map(|line| {
        let after = ["actual rows=", "Removed by Filter: ", "Removed by Index Recheck: "];
        after.into_iter().filter_map(|sign| line.split_once(sign).and_then(|(_, rest)| number(rest))).collect::<Vec<_>>()
    });
    read.sum()
}

/// Asks everything that the stranger can, by each kind of sight.
async fn ask(calls: &Calls) {
    let stranger = account(2);
    for visibility in [
        Visibility::Account(stranger.clone()),
        Visibility::Key { account: stranger.clone(), key: Arc::new([credential(2)].into()), vms: Some(vec![vm(2)]) },
    ] {
        for search in questions() {
            let query = ActivityQuery { visibility: visibility.clone(), search, limit: 50, ..ActivityQuery::default() };
            calls.list(query.clone()).await.expect("a page");
            calls.histogram(query, 10).await.expect("a histogram");
        }
        let concerns = match visibility {
            Visibility::Key { .. } => vec![credential(2).to_string(), vm(2).to_string(), stranger.to_string()],
            _ => vec!["provider:sim".to_owned()],
        };
        let nothing = AdministrationQuery { visibility, concerns, limit: 50, ..AdministrationQuery::default() };
        for query in [
            nothing.clone(),
            AdministrationQuery { about: Some(account(1).to_string()), ..nothing.clone() },
            AdministrationQuery { kind: Some("account_created".into()), ..nothing.clone() },
            AdministrationQuery { user: Some(user(1).to_string()), ..nothing.clone() },
            AdministrationQuery { subject: Some(account(1).to_string()), ..nothing.clone() },
        ] {
            Activity::administration(calls, query).await.expect("events");
        }
    }
}

async fn a_stranger_reads_its_own(sample: SampleLog) {
    let power =
        Ask { vm: Some(1), text: "action=reboot 数据库", ip: Some("192.0.2.7"), session: Some("abc"), ..Ask::by(1, &POWER) };
    sample.finish(power.clone(), Status::Failed, Some(Code::UpstreamError)).await;
    sample.finish(Ask { vm: Some(2), text: "action=start", ..Ask::by(2, &POWER) }, Status::Succeeded, None).await;
    let asked = Asked::default();
    let database = Overheard { inner: sample.room("views.db", Room::Views).await, asked: Arc::clone(&asked) };
    let views = Views::open(Box::new(database), sample.reader.clone()).await.expect("the views");
    let calls = Calls::new(views);
    let of_anonymous = {
        let query = ActivityQuery { visibility: Visibility::Account(account(2)), limit: 50, ..ActivityQuery::default() };
        calls.list(query).await.expect("a page").items.len()
    };
    assert_eq!(of_anonymous, 1);
    asked.lock().expect("what was asked").clear();
    ask(&calls).await;
    let asked = std::mem::take(&mut *asked.lock().expect("what was asked"));
    assert!(asked.len() > 100, "{} questions", asked.len());
    let database = calls.views().database();
    let before = work(&sample, database, &asked).await;
    others(database).await;
    let mut grown = BTreeMap::new();
    let mut compare = |after: Vec<i64>| {
        for ((before, after), (sql, args)) in before.iter().zip(after).zip(&asked) {
            // Where a page ends among fewer rows may be found in another way, but never by reading what others have.
            if after > before + 10 {
                grown.insert(format!("{sql} {args:?}"), (*before, after));
            }
        }
    };
    compare(work(&sample, database, &asked).await);
    if sample.url.is_some() {
        let mut transaction = database.begin().await.expect("a transaction");
        transaction.script("analyze").await.expect("statistics");
        transaction.commit().await.expect("a commit");
        compare(work(&sample, database, &asked).await);
    }
    assert!(grown.is_empty(), "{} of {} questions grow with what others have: {grown:#?}", grown.len(), asked.len());
    only_own_words(&asked);
}

/// Within the full text the account is a part of each word.
fn only_own_words(asked: &[(String, Vec<Value>)]) {
    let (own, mut seen) = (format!("{}·", account(2)), 0);
    for (_, args) in asked.iter().filter(|(sql, _)| sql.contains("match") || sql.contains("tsquery")) {
        let words = args.iter().filter_map(|arg| if let Value::Text(text) = arg { Some(text) } else { None });
        let words = words.filter(|text| text.starts_with(['"', '\'']));
        for word in words.flat_map(|text| text.split([' ', '&'])).filter(|word| !word.is_empty() && *word != "AND") {
            assert!(word[1..].starts_with(&own), "{word}");
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen} words");
}

#[tokio::test]
async fn unseen_rows_are_not_read_for_a_stranger() {
    a_stranger_reads_its_own(SampleLog::sqlite().await).await;
}

#[tokio::test]
async fn unseen_postgres_rows_are_not_read_for_a_stranger() {
    a_stranger_reads_its_own(SampleLog::postgres().await).await;
}
