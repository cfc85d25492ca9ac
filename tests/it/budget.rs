//! A search that takes too long is ended by the database itself, on both of them, and the page says how to narrow it.

use std::time::Duration;

use forelog::log::dialect::Room;
use forelog::log::postgres::open_postgres;
use forelog::log::sql::{Database, SqlError};
use forelog::log::sqlite::open_sqlite;
use reqwest::StatusCode;

use crate::console::ConsoleServer;
use crate::postgres::fresh_database;

const SHORT: Duration = Duration::from_millis(100);

/// Never ends by itself.
const ENDLESS: &str = "with recursive n (x) as (select 1 union all select x + 1 - x from n) select x from n where x < 0";

/// More endless reads than there are connections, and then others: whoever gets an answer has a connection that is free.
async fn check(database: &dyn Database) {
    for round in 0..10 {
        let ended = database.query_within(ENDLESS, Vec::new(), SHORT).await;
        assert!(matches!(ended, Err(SqlError::TooLong(SHORT))), "round {round}: {ended:?}");
        // Nobody waits for this one any more.
        drop(tokio::time::timeout(SHORT, database.query_within(ENDLESS, Vec::new(), Duration::from_mins(2))).await);
    }
    // Who waits for a connection has used none of the budget.
    let busy = (0..Room::Views.readers()).map(|_| database.query_within(ENDLESS, Vec::new(), Duration::from_secs(1)));
    let waited = async { database.query_within("select cast($1 as bigint)", vec![9.into()], SHORT * 5).await };
    let (ended, waited) = tokio::join!(futures::future::join_all(busy), waited);
    assert!(ended.iter().all(|ended| matches!(ended, Err(SqlError::TooLong(_)))), "{ended:?}");
    assert_eq!(waited.expect("rows")[0].int(0).expect("a number"), 9);
    for _ in 0..6 {
        let rows =
            database.query_within("select cast($1 as bigint)", vec![7.into()], Duration::from_mins(1)).await.expect("rows");
        assert_eq!(rows[0].int(0).expect("a number"), 7);
        assert_eq!(database.query("select cast(8 as bigint)", Vec::new()).await.expect("rows")[0].int(0).expect("a number"), 8);
    }
}

#[tokio::test]
async fn budget_sqlite_ends_a_read_that_takes_too_long_and_one_that_nobody_waits_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("views.db");
    std::fs::File::create(&file).expect("an empty file");
    check(&*open_sqlite(&file, Room::Views).await.expect("a database")).await;
}

#[tokio::test]
async fn budget_postgres_ends_a_read_that_takes_too_long_and_one_that_nobody_waits_for() {
    check(&*open_postgres(&fresh_database().await, Room::Views).await.expect("a database")).await;
}

/// Puts a view that never ends in the place of the calls.
fn make_endless(house: &ConsoleServer) {
    let views = std::fs::read_dir(house.dir.path()).expect("the data").map(|entry| entry.expect("an entry").path());
    let views = views.into_iter().find(|path| path.file_name().is_some_and(|name| name == "views.db")).expect("the views");
    let connection = rusqlite::Connection::open(views).expect("the views");
    connection.busy_timeout(Duration::from_secs(10)).expect("patience");
    let script = format!("alter table call rename to kept; create view call as select kept.* from kept, ({ENDLESS})");
    connection.execute_batch(&script).expect("an endless view");
}

#[tokio::test(flavor = "multi_thread")]
async fn budget_a_search_that_takes_too_long_says_so_and_how_to_narrow_it() {
    let house = ConsoleServer::with("search_budget_ms = 150").await;
    let (staff, customer) = (house.investigator().await, house.signed_in(&house.one.owner).await);
    assert!(customer.page("/console/activity").await.contains("Nothing has been called yet"));
    house.call(&house.one.key, "vm_get", serde_json::json!({ "vm_id": house.one.vm })).await;
    assert!(customer.page("/console/activity").await.contains("/console/calls/"), "the views are behind");
    make_endless(&house);
    let page = staff.page("/console/search?q=tool:vm_get%20last:7d").await;
    assert!(page.contains("took longer than 150 ms") && page.contains("Narrow it"), "{page}");
    assert!(page.contains("value=\"tool:vm_get last:7d\"") && !page.contains("No call fits"), "{page}");
    let page = customer.page("/console/activity").await;
    assert!(page.contains("role=\"alert\"") && page.contains("took longer") && page.contains("Narrow it"), "{page}");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    for path in ["calls", "calls/histogram"] {
        let asked = client.get(format!("{}/api/v1/{path}", house.base)).bearer_auth(&house.one.key);
        let answer = crate::harness::send(asked).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &"search_timed_out".into())
        );
        assert_eq!(answer.json()["error"]["retryable"], false, "{answer:?}");
    }
}
