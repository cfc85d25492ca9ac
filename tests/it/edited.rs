//! Rows of the views that somebody edited: a page shows what the events of its calls say, and whoever looks from outside is told of
//! every row that says something else, is missing, or is of nothing.

use forelog::core::id::Position;
use forelog::core::visibility::Visibility;
use forelog::log::dialect::Room;
use forelog::tools::{Activity, ActivityQuery, CallRecord};
use forelog::views::Views;
use forelog::views::activity::Calls;
use forelog::views::check::differences;

use crate::sample_log::{SampleLog, on_books};
use crate::views::lively;

async fn open(sample: &SampleLog) -> Calls {
    let views = Views::open(sample.room("views.db", Room::Views).await, sample.reader.clone()).await.expect("the views");
    views.catch_up(sample.reader.store.head().await.expect("the head").position).await.expect("the views");
    Calls::new(views)
}

async fn shown(calls: &Calls) -> Vec<CallRecord> {
    let query = ActivityQuery { visibility: Visibility::Everything, limit: 200, ..ActivityQuery::default() };
    calls.list(query).await.expect("a page").items
}

async fn edit(calls: &Calls, sql: &str) {
    let mut transaction = calls.views().database().begin().await.expect("a transaction");
    assert!(transaction.execute(sql, Vec::new()).await.expect(sql) > 0, "{sql} changed nothing");
    transaction.commit().await.expect("a commit");
}

async fn pages_show_what_events_say(sample: SampleLog) {
    lively(&sample).await;
    let calls = open(&sample).await;
    let before = shown(&calls).await;
    for sql in [
        "update call set status = 'succeeded', code = null, policy = null, switch = null where status = 'refused'",
        "update call set status = 'failed', code = 'kill_switch_engaged', switch = 'swi_01J00000000000000000000000'
         where status = 'succeeded'",
        "update call set at = at - 86400000000, via = 'console', session = 'made up', ended_at = 0",
        "update call set decided = 0, started = 0, ended = 0, decision = ''",
    ] {
        edit(&calls, sql).await;
        assert_eq!(shown(&calls).await, before, "{sql}");
    }
    let call = &before[0].call_id;
    assert_eq!(calls.call(&Visibility::Everything, call).await.expect("an answer").as_ref(), Some(&before[0]));
    let told = calls
        .changes(ActivityQuery { visibility: Visibility::Everything, limit: 200, ..ActivityQuery::default() }, Position(0))
        .await;
    let told = told.expect("changes").items;
    for record in before.iter().filter(|record| record.end.is_some()) {
        let last = told.iter().rev().find(|change| change.call.call_id == record.call_id);
        assert!(last.is_none_or(|change| change.call == *record), "{record:?} {last:?}");
    }
}

async fn every_edit_is_found(sample: SampleLog) {
    lively(&sample).await;
    for sql in [
        "update call set text = 'rm -rf /' where intent = (select min(intent) from call)",
        "update call set ip = '198.51.100.66' where intent = (select max(intent) from call)",
        "update call set words = 'nothing' where intent = (select max(intent) from call)",
        "update call set status = 'succeeded', code = null where status = 'refused'",
        "update call set at = at - 1 where intent = (select max(intent) from call)",
        "update call set intent = intent - 1000000 where intent = (select max(intent) from call)",
        "delete from call where intent = (select max(intent) from call)",
        "delete from administration where position = (select max(position) from administration)",
        "update administration set subject = 'acc_0' where position = (select min(position) from administration)",
        "update administration set type = 'vm_imported' where position = (select max(position) from administration)",
        "update administration set position = position + 1000000 where position = (select max(position) from administration)",
        "update vm set label = 'another'",
    ] {
        let calls = open(&sample).await;
        let look = async || differences(calls.views().database(), &sample.reader).await.expect("a look");
        assert_eq!(look().await, Vec::<String>::new(), "before {sql}");
        edit(&calls, sql).await;
        let found = look().await;
        assert!((1..=11).contains(&found.len()), "{sql}: {found:?}");
        calls.views().rebuild(|_, _| ()).await.expect("made again");
        assert_eq!(look().await, Vec::<String>::new(), "after {sql}");
        calls.views().database().close().await;
    }
}

/// A node goes on, and the views are behind: that is no difference.
async fn what_is_not_there_yet_is_no_difference(sample: SampleLog) {
    lively(&sample).await;
    let calls = open(&sample).await;
    lively(&sample).await;
    let look = async || differences(calls.views().database(), &sample.reader).await.expect("a look");
    assert_eq!(look().await, Vec::<String>::new());
    let (at, head) = (calls.views().position().await.expect("a position"), sample.reader.store.head().await.expect("the head"));
    assert!(at < head.position);
    for step in (at.0..head.position.0).step_by(97) {
        calls.views().catch_up(Position(step)).await.expect("a step");
        assert_eq!(look().await, Vec::<String>::new(), "at {step}");
    }
}

on_books! {
    pages_show_what_events_say, edited_views_show_what_events_say, postgres_edited_views_show_what_events_say;
    every_edit_is_found, edited_views_are_found, postgres_edited_views_are_found;
    what_is_not_there_yet_is_no_difference, edited_views_are_none_that_are_behind, postgres_edited_views_are_none_that_are_behind;
}
