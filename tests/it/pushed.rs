//! The head moves by what its transaction's events justify: the role that serves cannot push it out of reach, and where somebody
//! above has, everything names it, what stops goes on, and the owner puts it right on the record (P7, P15).

use std::time::Duration;

use forelog::control::Reply;
use forelog::core::code::Code;
use forelog::core::id::Epoch;
use forelog::core::switch::Running;
use forelog::log::draft::Draft;
use forelog::log::sql::{Database, Value as Bound};
use forelog::log::store::Want;
use serde_json::{Value, json};

use crate::mend::{Place, id, places};
use crate::test_node::{Site, TestNode, on_both};

/// Ten years in microseconds.
const YEARS: i64 = 315_360_000_000_000;

/// Every way to push a column of the head, with what is said of it.
const PUSHES: [(&str, &str); 4] = [
    ("position = 9223372036854775807", "head_position"),
    ("at = at + 315360000000000", "head_time"),
    ("epoch = 9223372036854775807", "head_epoch"),
    ("epoch = epoch + 1000", "head_epoch"),
];

async fn run(room: &dyn Database, sql: &str) -> Result<(), String> {
    let mut transaction = room.begin().await.map_err(|error| format!("{error:?}"))?;
    transaction.execute(sql, Vec::new()).await.map_err(|error| format!("{error:?}"))?;
    transaction.commit().await.map_err(|error| format!("{error:?}"))
}

/// What somebody does who owns the database, and leaves no trace but the head.
async fn push(room: &dyn Database, column: &str) {
    let update = format!("update log_head set {column} where log_id = 1");
    let mut transaction = room.begin().await.expect("a transaction");
    if room.dialect().name == "postgres" {
        let names = "select tgname from pg_trigger where tgrelid = 'log.log_head'::regclass and not tgisinternal";
        let rows = transaction.query(names, Vec::new()).await.expect("the triggers");
        transaction.script("alter table log.log_head disable trigger user").await.expect("without triggers");
        transaction.execute(&update, Vec::new()).await.expect("pushed");
        for row in rows {
            let name = row.text(0).expect("a name");
            transaction.script(&format!("alter table log.log_head enable always trigger {name}")).await.expect("a trigger");
        }
    } else {
        let kept = "select name, sql from sqlite_schema where type = 'trigger' and tbl_name = 'log_head'";
        let rows = transaction.query(kept, Vec::new()).await.expect("the triggers");
        for row in &rows {
            transaction.script(&format!("drop trigger {}", row.text(0).expect("a name"))).await.expect("dropped");
        }
        transaction.execute(&update, Vec::new()).await.expect("pushed");
        for row in &rows {
            transaction.script(row.text(1).expect("its text")).await.expect("made again");
        }
    }
    transaction.commit().await.expect("a commit");
}

fn begin(place: &Place) -> String {
    id(&place.answer(&["account", "create", "--name", "Example Ltd", "--email", "ops@example.com"]))
}

fn engage(place: &Place) -> Value {
    place.answer(&["switch", "engage", "class:exec", "--reason", "a test"])
}

async fn nobody_who_serves_pushes_it(place: Place) {
    begin(&place);
    let room = place.room(false).await;
    let head = async || room.query("select position, at, epoch from log_head", Vec::new()).await.expect("the head")[0].clone();
    let before = format!("{:?}", head().await);
    let back = ["position = position - 1", "at = at - 1", "epoch = epoch - 1"];
    let near = ["position = position + 1", "at = at + 1", "epoch = epoch + 1", "at = at + 60000000"];
    for column in PUSHES.iter().map(|(column, _)| *column).chain(back).chain(near) {
        let done = run(&*room, &format!("update log_head set {column} where log_id = 1")).await;
        assert!(done.is_err(), "{column} was changed");
    }
    if place.roles.is_some() {
        for column in ["ahead = 1", "mended = mended + 1", "mended = mended + 1, epoch = 1"] {
            let done = run(&*room, &format!("update log_head set {column} where log_id = 1")).await;
            assert!(done.is_err_and(|error| error.contains("permission denied")), "{column}");
        }
        let event = "insert into event (position, at, type, call, leaf) \
                     select max(position) + 1, max(at) + 315360000000000, 'node_started', null, 'x' from event";
        let moved = "update log_head set position = position + 1, at = at + 315360000000000";
        let both = format!("with event_of_ten_years_on as ({event}) {moved}");
        let done = run(&*room, &both).await;
        assert!(done.is_err_and(|error| error.contains("ahead of the server")), "with a head that fits");
    }
    assert_eq!(format!("{:?}", head().await), before);
    engage(&place);
    assert_eq!(place.answer(&["doctor"])["ok"], json!(true));
}

async fn what_was_pushed_is_named_and_mended(open: impl AsyncFn() -> Place) {
    for (column, fault) in PUSHES {
        let place = open().await;
        begin(&place);
        push(&*place.room(true).await, column).await;
        let named = place.complaint(&["doctor"]);
        assert!(named.contains(fault), "{column}: {named}");
        assert!(place.complaint(&["log", "verify"]).contains(fault), "{column}");
        let before = id(&engage(&place));
        assert!(place.complaint(&["log", "verify"]).contains(fault), "{column}: it is still to be found");
        if place.roles.is_some() {
            assert!(place.complaint(&["doctor", "--mend"]).contains("owns the schema"), "{column}");
        }
        let mended = place.answer(&place.mending());
        assert!(mended["position"].is_i64(), "{column}: {mended}");
        let after = id(&engage(&place));
        assert_eq!(place.answer(&["doctor"])["ok"], json!(true), "{column}");
        assert_eq!(place.answer(&place.mending())["mended"], json!([]), "once");
        let listed = place.answer(&["switch", "list"]);
        let listed: Vec<String> = listed["items"].as_array().expect("a list").iter().map(id).collect();
        // The same stop asked for once more is the one that stands.
        assert_eq!((listed, &after), (vec![before.clone()], &before), "{column}");
    }
}

/// A head ahead of the events may be all that is left of them.
async fn a_cut_log_is_not_mended(place: Place) {
    begin(&place);
    engage(&place);
    let room = place.room(true).await;
    let mut transaction = room.begin().await.expect("a transaction");
    let unlock = if place.roles.is_some() {
        "alter table log.event disable trigger event_is_never_deleted"
    } else {
        "drop trigger event_is_never_deleted"
    };
    transaction.script(unlock).await.expect(unlock);
    transaction.execute("delete from event where position = (select max(position) from event)", Vec::new()).await.expect("cut");
    transaction.commit().await.expect("a commit");
    let refused = place.complaint(&place.mending());
    assert!(refused.contains("takes a backup"), "{refused}");
}

/// What says when a row changed, and what a node says of itself, is the role's that serves.
async fn rows_that_lie_stop_no_stop(place: Place) {
    begin(&place);
    let first = id(&engage(&place));
    place.edit("update state set position = 9223372036854775807 where name = $1", vec![format!("switch:{first}").into()]).await;
    engage(&place);
    assert!(place.complaint(&["doctor"]).contains("control_differs"));
    place.answer(&place.mending());
    place.edit("update state set position = 0 where name = $1", vec![format!("switch:{first}").into()]).await;
    engage(&place);
    place.answer(&place.mending());
    assert_eq!(place.answer(&["doctor"])["ok"], json!(true));

    let node = "node_01KDVDNA010000000000000000";
    let row = json!({
        "id": node, "beat": 1, "at": 8_000_000_000_000_000_i64, "lease_ms": u64::MAX, "stopped": false,
        "confirmed": i64::MAX, "confirmed_at": 0,
    });
    let args: Vec<Bound> = vec![format!("node:{node}").into(), row.to_string().into_bytes().into()];
    place.edit("insert into state (name, control, position, doc) values ($1, 0, 1, $2)", args).await;
    let engaged = engage(&place);
    let told = engaged["nodes"].as_array().expect("nodes").iter().find(|told| told["node"] == node).expect("the node");
    assert_eq!(told["state"], "waiting", "nobody confirms what has not been engaged: {engaged}");
}

places! {
    nobody_who_serves_pushes_it, pushed_a_head_moves_with_its_events_alone, postgres_pushed_a_head_moves_with_its_events_alone;
    a_cut_log_is_not_mended, pushed_a_cut_log_is_not_mended, postgres_pushed_a_cut_log_is_not_mended;
    rows_that_lie_stop_no_stop, pushed_rows_that_lie_stop_no_stop, postgres_pushed_rows_that_lie_stop_no_stop;
}

#[tokio::test(flavor = "multi_thread")]
async fn pushed_heads_are_named_and_mended() {
    what_was_pushed_is_named_and_mended(async || Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_pushed_heads_are_named_and_mended() {
    what_was_pushed_is_named_and_mended(Place::postgres).await;
}

async fn call(test_node: &TestNode) -> Result<(), Code> {
    match test_node.call("probe_write", json!({})).await {
        Reply::Done { .. } => Ok(()),
        Reply::Failed { refusal, .. } => Err(refusal.code),
        Reply::Running { .. } => panic!("it runs on"),
    }
}

/// A node that runs meanwhile admits nothing, stops what it is told to, and goes on once the head is repaired.
async fn node_under_a_pushed_head(site: Site) {
    let test_node = TestNode::start(&site).await;
    call(&test_node).await.expect("a call");
    let at = test_node.reader.store.head().await.expect("the head").at;
    for column in ["epoch = 9223372036854775807", "position = 9223372036854775807", "at = at + 315360000000000"] {
        push(&*site.room().await, column).await;
    }
    assert_eq!(call(&test_node).await, Err(Code::ControlStateUnreadable));
    let switch = test_node.engage("class:write", Running::LetFinish).await;
    let fence = test_node.control.ports.fence();
    assert!(fence.state().switches.contains_key(&switch), "the node knows it at once");
    assert!(!fence.has_drained(fence.state().epoch), "nothing says what was entered before");
    let head = test_node.reader.store.head().await.expect("the head");
    assert!(head.at.since(at) < Duration::from_mins(1) && head.at.0 < at.0 + YEARS, "time goes on where the events are");

    let changes = test_node.log().await.iter().filter(|event| event.control.is_some()).count();
    let epoch = Epoch(i64::try_from(changes).expect("few"));
    let repair = move |draft: &mut Draft| {
        draft.repair(epoch);
        Ok(())
    };
    test_node.writer.write(Want::default(), repair).await.expect("a repair");
    assert_eq!(call(&test_node).await, Err(Code::KillSwitchEngaged));
    assert!(fence.has_drained(fence.state().epoch));
}

on_both! {
    node_under_a_pushed_head, pushed_under_a_node_stopping_goes_on, postgres_pushed_under_a_node_stopping_goes_on;
}
