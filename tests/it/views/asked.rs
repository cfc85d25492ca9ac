//! Pages and filters: what is found, and that pages stay as they were while calls come in.

use forelog::core::call::Status;
use forelog::core::code::Code;
use forelog::core::id::Position;
use forelog::core::noun::vm::VM;
use forelog::core::search::Field;
use forelog::core::time::Micros;
use forelog::core::visibility::Visibility;
use forelog::tools::{Activity, ActivityQuery};
use forelog::views::page::Cursor;

use super::{ids, list, only, open, query, typed};
use crate::fixtures::{account, call, credential, vm};
use crate::sample_log::{Ask, LIST, POWER, SampleLog};

async fn sealed(sample: &SampleLog, cursor: Cursor) -> String {
    cursor.seal(&sample.reader.vault).await.expect("a cursor")
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
