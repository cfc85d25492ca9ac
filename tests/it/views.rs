//! What the views say of a log that the real writer wrote, on both databases.

use std::collections::BTreeSet;
use std::sync::Arc;

use forelog::core::call::Status;
use forelog::core::code::Code;
use forelog::core::id::Position;
use forelog::core::noun::vm::VM;
use forelog::core::search::{Field, Search};
use forelog::core::time::Micros;
use forelog::core::visibility::Visibility;
use forelog::log::dialect::Room;
use forelog::tools::{Activity, ActivityPage, ActivityQuery, CallRecord};
use forelog::views::Views;
use forelog::views::activity::Calls;
use forelog::views::call::COLUMNS;
use forelog::views::page::Cursor;
use forelog::views::status::invalid_row_of;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::fixtures::{account, call, credential, vm};
use crate::sample_log::{Ask, LIST, POWER, SampleLog};

async fn open(sample: &SampleLog) -> Calls {
    let views = Views::open(sample.room("views.db", Room::Views).await, sample.reader.clone()).await.expect("the views");
    Calls::new(views)
}

async fn sealed(sample: &SampleLog, cursor: Cursor) -> String {
    cursor.seal(&sample.reader.vault).await.expect("a cursor")
}

fn query() -> ActivityQuery {
    ActivityQuery { visibility: Visibility::Everything, limit: 200, ..ActivityQuery::default() }
}

/// A query for one field's value.
fn only(field: Field, value: impl Into<String>) -> ActivityQuery {
    let mut asked = query();
    asked.search.only(field, value).expect("a value");
    asked
}

/// A query as it is typed.
fn typed(line: &str) -> ActivityQuery {
    ActivityQuery { search: Search::parse(line, Micros(0)).expect("a line"), ..query() }
}

async fn list(calls: &Calls, query: ActivityQuery) -> ActivityPage {
    calls.list(query).await.expect("a page")
}

fn ids(page: &ActivityPage) -> Vec<String> {
    page.items.iter().map(|item| item.call_id.to_string()).collect()
}

async fn dump(calls: &Calls) -> String {
    let database = calls.views().database();
    let mut all = Vec::new();
    let calls = format!("select {COLUMNS} from call order by intent");
    for sql in [
        calls.as_str(),
        "select * from administration order by position",
        "select * from subject order by subject, of_intent",
        "select * from vm order by vm",
        "select * from cursor order by view",
    ] {
        let rows = database.query(sql, Vec::new()).await.expect("the rows");
        assert!(!rows.is_empty(), "{sql} is empty");
        all.push(format!("{sql}\n{rows:#?}"));
    }
    all.join("\n")
}

/// One of everything: every status, both accounts, more than one batch.
pub async fn lively(sample: &SampleLog) {
    let power = Ask { vm: Some(1), text: "action=reboot", ip: Some("192.0.2.7"), session: Some("abc"), ..Ask::by(1, &POWER) };
    for (status, code) in [
        (Status::Succeeded, None),
        (Status::Failed, Some(Code::UpstreamError)),
        (Status::Cancelled, Some(Code::Cancelled)),
        (Status::TimedOut, Some(Code::Timeout)),
    ] {
        sample.finish(power.clone(), status, code).await;
    }
    let unknown = sample.finish(power.clone(), Status::Unknown, Some(Code::OutcomeUnknown)).await;
    sample.submit(Ask { refused: Some(Code::ConfirmationRequired), ..power.clone() }).await;
    sample.submit(power.clone()).await;
    let running = sample.submit(power).await;
    sample.start(&running).await;
    for _ in 0..200 {
        sample.finish(Ask { vm: Some(2), ..Ask::by(2, &LIST) }, Status::Succeeded, None).await;
    }
    sample.reconcile(&unknown).await;
}

async fn rebuild_is_equal(sample: SampleLog) {
    let calls = open(&sample).await;
    let stop = CancellationToken::new();
    let runner = tokio::spawn(Arc::clone(calls.views()).run(stop.clone()));
    lively(&sample).await;
    let head = sample.reader.store.head().await.expect("the head").position;
    assert!(head.0 > 600, "{head:?}");
    assert_eq!(list(&calls, query()).await.as_of, head);
    let live = dump(&calls).await;
    let mut steps = Vec::new();
    let reached = calls.views().rebuild(|at, of| steps.push((at, of))).await.expect("a rebuild");
    assert_eq!(reached, head);
    assert_eq!(steps.last(), Some(&(head, head)));
    assert_eq!(dump(&calls).await, live);
    stop.cancel();
    runner.await.expect("the runner ends");
}

#[tokio::test]
async fn views_are_rebuilt_equal() {
    rebuild_is_equal(SampleLog::sqlite().await).await;
}

#[tokio::test]
async fn postgres_views_are_rebuilt_equal() {
    rebuild_is_equal(SampleLog::postgres().await).await;
}

/// Two processes pull at once and come to what one comes to.
async fn pulled_twice(sample: SampleLog) {
    lively(&sample).await;
    let head = sample.reader.store.head().await.expect("the head").position;
    let (one, two) = (open(&sample).await, open(&sample).await);
    let (first, second) = tokio::join!(one.views().catch_up(head), two.views().catch_up(head));
    assert_eq!((first.expect("one"), second.expect("two")), (head, head));
    let both = dump(&one).await;
    one.views().rebuild(|_, _| ()).await.expect("a rebuild");
    assert_eq!(dump(&one).await, both);
}

#[tokio::test]
async fn views_may_be_pulled_by_two_processes() {
    pulled_twice(SampleLog::sqlite().await).await;
}

#[tokio::test]
async fn postgres_views_may_be_pulled_by_two_processes() {
    pulled_twice(SampleLog::postgres().await).await;
}

/// Pages do not shift while calls come in, and show each call as it was when the first page was read.
async fn pages_stay(sample: SampleLog) {
    let calls = open(&sample).await;
    let mut open_calls = Vec::new();
    for _ in 0..7 {
        open_calls.push(sample.submit(Ask { vm: Some(1), ..Ask::by(1, &POWER) }).await);
    }
    let first = list(&calls, ActivityQuery { limit: 3, ..query() }).await;
    let mut seen = ids(&first);
    let mut cursor = first.next_cursor.clone();
    while let Some(text) = cursor {
        for call in open_calls.drain(..open_calls.len().min(3)) {
            sample.start(&call).await;
            sample.end(1, &call, Status::Succeeded, None).await;
        }
        sample.submit(Ask::by(2, &POWER)).await;
        let page = list(&calls, ActivityQuery { limit: 3, cursor: Some(text), ..query() }).await;
        assert_eq!(page.as_of, first.as_of);
        for item in &page.items {
            assert_eq!((item.status, item.end, item.ended_at), (Status::Queued, None, None));
        }
        seen.extend(ids(&page));
        cursor = page.next_cursor;
    }
    let expected: Vec<String> = (1..=7).rev().map(|n| call(n).to_string()).collect();
    assert_eq!(seen, expected);
    let now = list(&calls, ActivityQuery { visibility: Visibility::Account(account(1)), ..query() }).await;
    assert_eq!(now.items.iter().filter(|item| item.status == Status::Succeeded).count(), 6);
    let pinned = |outcome: &str| ActivityQuery {
        cursor: first.next_cursor.clone(),
        search: only(Field::Outcome, outcome).search,
        ..query()
    };
    assert_eq!(list(&calls, pinned("queued")).await.items.len(), 4);
    assert_eq!(list(&calls, pinned("succeeded")).await.items, []);
    assert_eq!(list(&calls, only(Field::Outcome, "succeeded")).await.items.len(), 6);
}

#[tokio::test]
async fn views_pages_stay_as_they_were() {
    pages_stay(SampleLog::sqlite().await).await;
}

#[tokio::test]
async fn postgres_views_pages_stay_as_they_were() {
    pages_stay(SampleLog::postgres().await).await;
}

/// Every step of a queued call, each shown at its own position.
#[tokio::test]
async fn views_show_a_call_as_it_was_at_each_position() {
    let sample = SampleLog::sqlite().await;
    let calls = open(&sample).await;
    let before = sample.reader.store.head().await.expect("the head").position.0;
    let id = sample.finish(Ask { vm: Some(1), ..Ask::by(1, &POWER) }, Status::Failed, Some(Code::UpstreamError)).await;
    let now = calls.call(&Visibility::Everything, &id).await.expect("a call").expect("it is there");
    assert_eq!((now.status, now.code.as_deref(), now.end), (Status::Failed, Some("upstream_error"), Some(Position(before + 4))));
    let steps = [(1, Status::Recorded), (2, Status::Queued), (3, Status::Running), (4, Status::Failed)];
    for (step, status) in steps {
        let as_of = Position(before + step);
        let cursor = sealed(&sample, Cursor { as_of, before: as_of }).await;
        let all = list(&calls, ActivityQuery { cursor: Some(cursor.clone()), ..query() }).await;
        // At its own position the intent is not before it.
        let Some(shown) = all.items.first() else {
            assert_eq!(status, Status::Recorded);
            continue;
        };
        assert_eq!(shown.status, status);
        assert_eq!(shown.code.is_some(), status == Status::Failed);
        for outcome in ["recorded", "held", "queued", "running", "failed", "succeeded"] {
            let asked = ActivityQuery { cursor: Some(cursor.clone()), search: only(Field::Outcome, outcome).search, ..query() };
            let found = list(&calls, asked).await.items.len();
            assert_eq!(found, usize::from(outcome == status.as_str()), "{outcome} at {step}");
        }
    }
}

/// Each filter finds what it names and nothing else.
async fn filters_hold(sample: SampleLog) {
    let calls = open(&sample).await;
    let wanted = Ask { vm: Some(1), text: r"Note=50%_Off\now", ip: Some("192.0.2.7"), session: Some("s1"), ..Ask::by(1, &POWER) };
    let id = sample.finish(wanted, Status::Failed, Some(Code::UpstreamError)).await;
    let other = Ask { vm: Some(2), text: "note=5000", ip: Some("192.0.2.8"), session: Some("s2"), ..Ask::by(2, &LIST) };
    sample.finish(other, Status::Succeeded, None).await;
    let at = calls.call(&Visibility::Everything, &id).await.expect("a call").expect("it is there").at;
    let found = [
        ("account", ActivityQuery { visibility: Visibility::Account(account(1)), ..query() }),
        ("key", ActivityQuery { visibility: Visibility::bounded(Some(account(1)), Some(credential(1))), ..query() }),
        ("account as a field", only(Field::Account, account(1).to_string())),
        ("credential", only(Field::Credential, credential(1).to_string())),
        ("vm", only(Field::Resource(&VM), vm(1).to_string())),
        ("session", only(Field::Session, "s1")),
        ("tool", only(Field::Tool, "vm_power")),
        ("outcome", only(Field::Outcome, "failed")),
        ("code", only(Field::Code, "upstream_error")),
        ("ip", only(Field::Ip, "192.0.2.7")),
        ("call", only(Field::Call, id.to_string())),
        ("call by itself", typed(id.as_str())),
        ("to", typed(&format!("created:<{}", at.0 + 1))),
        ("from and to", typed(&format!("created:{}..{}", at.0, at.0 + 1))),
        ("text", typed("NOTE off")),
        ("signs", typed("50%_")),
        ("backslash", typed(r"off\now")),
        ("label", typed("web-1")),
        ("vm in words", typed(vm(1).as_str())),
        ("tool in words", typed("power")),
        ("beginning of a word", typed("of*")),
        ("field and word", typed("code:upstream_error note")),
        ("one of several", typed("tool:vm_power,vm_get")),
        ("without a tool", typed("-tool:vm_list note")),
        ("without an outcome", typed("-outcome:succeeded")),
        ("without a code", typed("tool:vm_power -code:timeout")),
        ("without a word", typed("note -5000")),
        ("without a beginning", typed("note -500*")),
    ];
    for (name, asked) in found {
        assert_eq!(ids(&list(&calls, asked).await), [id.to_string()], "{name}");
    }
    let missed = [
        ("from", typed(&format!("created:>={}", at.0 + 3_600_000_000))),
        ("to", typed(&format!("created:<{}", at.0))),
        ("all words", typed("note absent")),
        ("a part of a word", typed("oteb ote")),
        ("both", ActivityQuery { visibility: Visibility::Account(account(2)), ..only(Field::Tool, "vm_power") }),
        (
            "its own field and another's",
            ActivityQuery { visibility: Visibility::Account(account(2)), ..only(Field::Account, account(1).to_string()) },
        ),
        ("without all", typed("-tool:vm_power,vm_list")),
        ("policy", only(Field::Policy, "none")),
        ("switch", only(Field::Switch, forelog::core::id::SwitchId::new(Micros(0), &crate::fixtures::Zeros).to_string())),
    ];
    for (name, asked) in missed {
        assert_eq!(ids(&list(&calls, asked).await), [""; 0], "{name}");
    }
    let histogram = calls.histogram(query(), 4).await.expect("a histogram");
    let all: u64 = histogram.buckets.iter().flat_map(|bucket| bucket.counts.values()).sum();
    assert_eq!((histogram.buckets.len(), histogram.counted, histogram.capped, all), (4, 2, false, 2));
    assert_eq!(calls.histogram(only(Field::Outcome, "failed"), 1).await.expect("one").counted, 1);
}

#[tokio::test]
async fn views_filters_hold() {
    filters_hold(SampleLog::sqlite().await).await;
}

#[tokio::test]
async fn postgres_views_filters_hold() {
    filters_hold(SampleLog::postgres().await).await;
}

#[tokio::test]
async fn views_refuse_what_they_cannot_answer() {
    let sample = SampleLog::sqlite().await;
    let calls = open(&sample).await;
    let head = sample.reader.store.head().await.expect("the head").position;
    let ahead = sealed(&sample, Cursor { as_of: head.next(), before: head }).await;
    let asked = [
        ActivityQuery { limit: 0, ..query() },
        ActivityQuery { limit: 201, ..query() },
        ActivityQuery { cursor: Some("nonsense".into()), ..query() },
        ActivityQuery { cursor: Some(ahead), ..query() },
    ];
    for query in asked {
        let refusal = calls.list(query.clone()).await.expect_err("a refusal");
        assert_eq!(refusal.code, Code::ValidationFailed, "{query:?}");
    }
}

/// P9: no filter, cursor or id shows one account what is another's.
async fn accounts_are_apart(sample: SampleLog) {
    let calls = open(&sample).await;
    for n in [1, 2, 1, 2, 1] {
        let ip = Some(if n == 1 { "192.0.2.1" } else { "192.0.2.2" });
        sample
            .finish(
                Ask { vm: Some(n), text: "secret plan", ip, session: Some("same"), ..Ask::by(n, &LIST) },
                Status::Succeeded,
                None,
            )
            .await;
    }
    let staff = list(&calls, ActivityQuery { limit: 1, ..query() }).await;
    let theirs = ActivityQuery { visibility: Visibility::Account(account(2)), ..query() };
    let narrowed: Vec<ActivityQuery> = vec![
        theirs.clone(),
        ActivityQuery { cursor: staff.next_cursor, ..theirs.clone() },
        ActivityQuery { search: typed("secret").search, ..theirs.clone() },
        ActivityQuery { search: typed("session:same").search, ..theirs.clone() },
    ];
    for query in narrowed {
        let page = list(&calls, query).await;
        assert_eq!(page.items.len(), 2);
        assert!(page.items.iter().all(|item| item.account == account(2)), "{page:?}");
    }
    for query in [
        ActivityQuery { search: only(Field::Resource(&VM), vm(1).to_string()).search, ..theirs.clone() },
        ActivityQuery { search: only(Field::Credential, credential(1).to_string()).search, ..theirs.clone() },
        ActivityQuery { search: typed("ip:192.0.2.1").search, ..theirs.clone() },
        ActivityQuery { search: typed("web-1").search, ..theirs.clone() },
    ] {
        assert_eq!(list(&calls, query).await.items, []);
    }
    assert!(calls.call(&Visibility::Account(account(1)), &call(1)).await.expect("an answer").is_some());
    // Another's call looks like one that is not there.
    assert_eq!(
        calls.call(&Visibility::Account(account(2)), &call(1)).await,
        calls.call(&Visibility::Account(account(2)), &call(99)).await
    );
    assert_eq!(calls.timeline(&Visibility::Account(account(2)), &call(1)).await, Ok(None));
}

#[tokio::test]
async fn views_keep_accounts_apart() {
    accounts_are_apart(SampleLog::sqlite().await).await;
}

#[tokio::test]
async fn postgres_views_keep_accounts_apart() {
    accounts_are_apart(SampleLog::postgres().await).await;
}

#[tokio::test]
async fn views_tell_a_calls_whole_story() {
    let sample = SampleLog::sqlite().await;
    let calls = open(&sample).await;
    let ask = Ask { vm: Some(1), text: "action=reboot", ip: Some("192.0.2.7"), ..Ask::by(1, &POWER) };
    let id = sample.finish(ask, Status::Unknown, Some(Code::OutcomeUnknown)).await;
    sample.finish(Ask::by(2, &LIST), Status::Succeeded, None).await;
    sample.reconcile(&id).await;
    let story = calls.timeline(&Visibility::Account(account(1)), &id).await.expect("an answer").expect("a timeline");
    let kinds: Vec<&str> = story.events.iter().map(|moment| moment.kind.as_str()).collect();
    assert_eq!(kinds, ["intent_recorded", "admitted", "started", "unknown", "reconciled"]);
    assert_eq!(story.arguments, Some(json!({ "action": "action=reboot" })));
    assert_eq!(story.result, Some(json!({ "done": "unknown" })));
    assert_eq!(story.events[2].leaf["type"], "started");
    let CallRecord { status, text, ip, via, .. } = story.call;
    assert_eq!(
        (status, text.as_str(), ip.as_deref(), via.as_str()),
        (Status::Unknown, "action=reboot", Some("192.0.2.7"), "mcp")
    );
    let times: Vec<i64> = story.events.iter().map(|moment| moment.at.0).collect();
    assert_eq!(story.durations.queued, Some(times[2] - times[1]));
    assert_eq!(story.durations.ran, Some(times[3] - times[2]));
    assert_eq!(story.durations.total, Some(times[3] - times[0]));
}

/// Text without spaces is found by its parts, and what is only written differently is the same.
async fn parts_are_found(sample: SampleLog) {
    let calls = open(&sample).await;
    let wanted = Ask {
        vm: Some(1), text: "name=生产数据库-01 ﾃﾞｰﾀ Straße ฐานข้อมูล 데이터베이스를", ..Ask::by(1, &POWER)
    };
    let id = sample.finish(wanted, Status::Succeeded, None).await;
    sample.finish(Ask { vm: Some(2), text: "name=测试数据-02 库", ..Ask::by(2, &LIST) }, Status::Succeeded, None).await;
    for line in [
        "数据库",
        "生产数据库",
        "生产数据库-01",
        "产数",
        "产",
        "生*",
        "数据库*",
        "データ",
        "STRASSE",
        "ｎａｍｅ 据库",
        "ข้อมูล",
        "데이터베이스",
        "数据 -测试",
        "数据库 -测试数据",
        "\"数据库\"",
    ] {
        assert_eq!(ids(&list(&calls, typed(line)).await), [id.to_string()], "{line}");
    }
    for line in ["数库", "数据库 测试", "-数据", "-数", "测试 -数据", "东"] {
        assert_eq!(ids(&list(&calls, typed(line)).await), [""; 0], "{line}");
    }
    assert_eq!(list(&calls, typed("数据")).await.items.len(), 2);
    assert_eq!(ids(&list(&calls, typed("数据 -数据库")).await).len(), 1);
}

#[tokio::test]
async fn views_find_parts_of_text_without_spaces() {
    parts_are_found(SampleLog::sqlite().await).await;
}

#[tokio::test]
async fn postgres_views_find_parts_of_text_without_spaces() {
    parts_are_found(SampleLog::postgres().await).await;
}

async fn words(calls: &Calls) -> BTreeSet<String> {
    list(calls, query()).await.items.into_iter().map(|item| item.text).collect()
}

/// The views of a log that had more are beside one that has less, or something else; what only the other one had is never shown.
async fn other_logs_views_are_made_again(lost: SampleLog, kept: SampleLog) {
    for (number, text) in (0..40).zip(["action=lost", "action=gone"].into_iter().cycle()) {
        lost.finish(Ask { text, ..Ask::by(1 + number % 2, &POWER) }, Status::Succeeded, None).await;
    }
    let calls = open(&lost).await;
    let head = lost.reader.store.head().await.expect("the head").position;
    calls.views().catch_up(head).await.expect("the views");
    assert!(words(&calls).await.contains("action=lost"));
    calls.views().database().close().await;
    drop(calls);

    // First the log ends before the cursor; then it has another event there.
    for (most, text) in [(1, "action=kept"), (120, "action=later")] {
        for _ in 0..most {
            kept.finish(Ask { text, ..Ask::by(1, &POWER) }, Status::Succeeded, None).await;
        }
        let own = kept.reader.store.head().await.expect("the head").position;
        assert_eq!(own > head, most > 1, "{own:?} {head:?}");
        let told = invalid_row_of(&*lost.room("views.db", Room::Views).await, &*kept.reader.store).await.expect("a look");
        assert!(told.is_some(), "doctor names it");
        let views = Views::open(lost.room("views.db", Room::Views).await, kept.reader.clone()).await.expect("the views");
        assert!(views.position().await.expect("a position") <= own, "it stands where this log is");
        let calls = Calls::new(Arc::clone(&views));
        let are_kept = |words: BTreeSet<String>| words.iter().all(|word| word == "action=kept" || word == "action=later");
        assert!(are_kept(words(&calls).await), "nothing of the other log is shown");
        views.catch_up(own).await.expect("the views");
        assert!(are_kept(words(&calls).await));
        let told = invalid_row_of(calls.views().database(), &*kept.reader.store).await.expect("a look");
        assert_eq!(told, None);
        calls.views().database().close().await;
        drop(calls);

        // The views of the lost one again.
        let calls = open(&lost).await;
        calls.views().catch_up(head).await.expect("the views");
        assert!(words(&calls).await.contains("action=lost"), "its own log makes them as they were");
        calls.views().database().close().await;
    }
}

#[tokio::test]
async fn views_of_another_log_are_made_again() {
    other_logs_views_are_made_again(SampleLog::sqlite().await, SampleLog::sqlite().await).await;
}

#[tokio::test]
async fn postgres_views_of_another_log_are_made_again() {
    other_logs_views_are_made_again(SampleLog::postgres().await, SampleLog::postgres().await).await;
}

/// The log is put back under a node that runs.
async fn what_a_log_has_lost_goes_while_a_node_runs(sample: SampleLog) {
    let calls = open(&sample).await;
    lively(&sample).await;
    let head = sample.reader.store.head().await.expect("the head").position;
    calls.views().catch_up(head).await.expect("the views");
    let before = dump(&calls).await;
    // As if there had been more.
    let mut transaction = calls.views().database().begin().await.expect("a transaction");
    for sql in [
        "update cursor set position = position + 7 where view = 'calls'",
        "update call set call = 'call_phantom' where intent = (select max(intent) from call)",
    ] {
        transaction.execute(sql, Vec::new()).await.expect("a phantom");
    }
    transaction.commit().await.expect("a phantom");
    let stop = CancellationToken::new();
    let runner = tokio::spawn(Arc::clone(calls.views()).run(stop.clone()));
    let mended = async {
        while calls.views().position().await.expect("a position") != head {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), mended).await.expect("they are made again");
    assert_eq!(dump(&calls).await, before);
    stop.cancel();
    runner.await.expect("the runner ends");
}

#[tokio::test]
async fn views_of_what_a_log_has_lost_go_while_a_node_runs() {
    what_a_log_has_lost_goes_while_a_node_runs(SampleLog::sqlite().await).await;
}

#[tokio::test]
async fn postgres_views_of_what_a_log_has_lost_go_while_a_node_runs() {
    what_a_log_has_lost_goes_while_a_node_runs(SampleLog::postgres().await).await;
}
