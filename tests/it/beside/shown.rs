//! Forged rows of the views: nothing of others is shown because of them.

use forelog::ambient::OsEntropy;
use forelog::core::call::Status;
use forelog::core::event::EventKind;
use forelog::core::id::{Position, SwitchId};
use forelog::core::switch::{Running, Target};
use forelog::core::time::Micros;
use forelog::core::visibility::Visibility;
use forelog::log::dialect::Room;
use forelog::log::sql::Value as Bound;
use forelog::tools::{Activity, ActivityQuery, AdministrationQuery};
use forelog::views::Views;
use forelog::views::activity::Calls;
use serde_json::{Value, json};

use crate::fixtures::{account, credential};
use crate::sample_log::{Ask, LIST, SampleLog};

/// The views of a book, in which somebody has edited something.
async fn edit_views(sample: &SampleLog, sql: &str, args: Vec<Bound>) {
    let room = sample.room("views.db", Room::Views).await;
    let mut transaction = room.begin().await.expect("a transaction");
    assert!(transaction.execute(sql, args).await.expect(sql) > 0, "{sql} changed nothing");
    transaction.commit().await.expect("a commit");
}

async fn a_row_of_the_views_shows_nothing_of_others(sample: SampleLog) {
    let views = Views::open(sample.room("views.db", Room::Views).await, sample.reader.clone()).await.expect("the views");
    let calls = Calls::new(views);
    let asked = |n| Ask { vm: Some(n), text: if n == 1 { "secret plan" } else { "own" }, ..Ask::by(n, &LIST) };
    let theirs = sample.finish(asked(1), Status::Succeeded, None).await;
    let own = sample.finish(asked(2), Status::Succeeded, None).await;
    let visibility = Visibility::Account(account(2));
    let query = || ActivityQuery { visibility: visibility.clone(), limit: 200, ..ActivityQuery::default() };
    assert_eq!(calls.list(query()).await.expect("a page").items.len(), 1);
    let (mine, key) = (account(2).to_string(), credential(2).to_string());
    let changes = |page: forelog::tools::Changes| page.items.into_iter().map(|change| change.call.call_id).collect::<Vec<_>>();
    let was = changes(calls.changes(query(), Position(0)).await.expect("changes"));
    // A whole row says that the call is one's own.
    let sql = "update call set account = $1, credential = $2 where call = $3";
    edit_views(&sample, sql, vec![mine.as_str().into(), key.as_str().into(), theirs.as_str().into()]).await;
    let page = calls.list(query()).await.expect("a page");
    assert!(page.items.iter().all(|item| item.call_id == own), "{page:?}");
    assert_eq!(calls.call(&visibility, &theirs).await, Ok(None));
    assert_eq!(calls.timeline(&visibility, &theirs).await, Ok(None));
    assert_eq!(changes(calls.changes(query(), Position(0)).await.expect("changes")), was);
    // A row of one's own says that its steps are another's.
    let steps = "select intent, ended from call where call = $1";
    let rows = calls.views().database().query(steps, vec![theirs.as_str().into()]).await.expect("the row");
    let ended = rows[0].int(1).expect("a position");
    edit_views(&sample, "update call set ended = $1 where call = $2", vec![ended.into(), own.as_str().into()]).await;
    let story = calls.timeline(&visibility, &own).await.expect("an answer").expect("a timeline");
    assert!(story.call.end.is_some_and(|end| end.0 != ended), "its own end");
    assert!(story.events.iter().all(|moment| moment.leaf["call"] == json!(own)), "{story:?}");
    // Whoever was led to an event opens nothing of it either.
    let event = sample.reader.event(Position(ended)).await.expect("the log").expect("an event");
    assert_eq!(sample.reader.part(&event, "result", &visibility).await.expect("an answer"), None);
    assert_eq!(sample.reader.result_of(&theirs, &visibility).await.expect("an answer"), None);
    assert!(sample.reader.result_of(&theirs, &Visibility::Account(account(1))).await.expect("an answer").is_some());
    assert!(sample.reader.result_of(&theirs, &Visibility::Everything).await.expect("an answer").is_some());
}

/// A switch's message is for whom the switch stops.
async fn a_row_of_administration_shows_nothing_of_others(sample: SampleLog) {
    let views = Views::open(sample.room("views.db", Room::Views).await, sample.reader.clone()).await.expect("the views");
    let calls = Calls::new(views);
    let engaged = |n| EventKind::SwitchEngaged {
        switch: SwitchId::new(Micros(n), &OsEntropy),
        target: Target::Credential(credential(n)),
        by: None,
        credential: None,
        running: Running::LetFinish,
        expires_at: None,
    };
    let theirs = sample.change(1, engaged(1), json!({ "reason": "a test", "message": "of one" })).await;
    let own = sample.change(2, engaged(2), json!({ "reason": "a test", "message": "of two" })).await;
    let query = || AdministrationQuery {
        visibility: Visibility::Account(account(2)),
        state: sample.writer.fence().state(),
        kind: Some("switch_engaged".into()),
        limit: 200,
        ..AdministrationQuery::default()
    };
    Activity::administration(&calls, query()).await.expect("a page");
    let sql = "update administration set account = $1 where position = $2";
    edit_views(&sample, sql, vec![account(2).as_str().into(), theirs.0.into()]).await;
    let page = Activity::administration(&calls, query()).await.expect("a page");
    let said: Vec<(Position, Value)> = page.items.into_iter().map(|item| (item.position, item.note)).collect();
    assert!(said.contains(&(own, json!("of two"))), "{said:?}");
    assert!(!said.iter().any(|(_, note)| *note == json!("of one")), "{said:?}");
}

#[tokio::test]
async fn beside_a_row_of_the_views_shows_nothing_of_others() {
    a_row_of_the_views_shows_nothing_of_others(SampleLog::sqlite().await).await;
}

#[tokio::test]
async fn postgres_beside_a_row_of_the_views_shows_nothing_of_others() {
    a_row_of_the_views_shows_nothing_of_others(SampleLog::postgres().await).await;
}

#[tokio::test]
async fn beside_a_row_of_administration_shows_nothing_of_others() {
    a_row_of_administration_shows_nothing_of_others(SampleLog::sqlite().await).await;
}

#[tokio::test]
async fn postgres_beside_a_row_of_administration_shows_nothing_of_others() {
    a_row_of_administration_shows_nothing_of_others(SampleLog::postgres().await).await;
}
