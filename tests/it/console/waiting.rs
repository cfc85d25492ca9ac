//! How many calls wait for a person, as every page says it: counted once for each position of the log, up to a bound, and honestly.

use rusqlite::Connection;

use super::approvals::{ask, holding};
use super::{Browser, ConsoleServer, between};

fn log(console: &ConsoleServer) -> Connection {
    Connection::open(console.dir.path().join("log.db")).expect("the log")
}

/// What the overview says of them, and the navigation.
async fn told(browser: &Browser) -> (String, String) {
    let page = browser.page("/console/").await;
    let nav = between(&page, "/console/approvals\">Approvals", "</a>").to_owned();
    (page, nav)
}

#[tokio::test(flavor = "multi_thread")]
async fn console_what_waits_is_counted_once_for_a_position_and_up_to_a_bound() {
    let (console, _policies) = holding().await;
    let (staff, owner) = (console.signed_in(&console.staff).await, console.signed_in(&console.one.owner).await);
    let call = ask(&console).await;
    let (page, nav) = told(&staff).await;
    assert!(page.contains("1 call waits for approval") && nav.contains(">1<"), "{nav}");
    // Rows of as many other calls, which the log says nothing of: who reads them again counts them.
    let copied = format!(
        "insert into state (name, control, position, doc)
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 150)
        select 'approval:' || '{}' || '/x' || i, control, position, doc from state, n where name like 'approval:%{call}'",
        console.one.account
    );
    assert_eq!(log(&console).execute(&copied, []).expect("copies"), 150);
    let (page, _) = told(&staff).await;
    assert!(page.contains("1 call waits for approval"), "what waits is read again though nothing happened: {page}");
    console.signed_in(&console.other.owner).await;
    for browser in [&staff, &owner] {
        let (page, nav) = told(browser).await;
        assert!(page.contains("100 or more calls wait for approval") && nav.contains(">100+<"), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn console_what_could_not_be_counted_is_said_to_be_so() {
    let (console, _policies) = holding().await;
    let (staff, owner) = (console.signed_in(&console.staff).await, console.signed_in(&console.one.owner).await);
    ask(&console).await;
    let unreadable = "alter table state rename to state_away;
        create view state as select name, control, position,
            case when name like 'approval:%' then json_extract('none' || name, '$') else doc end as doc from state_away";
    log(&console).execute_batch(unreadable).expect("approvals that cannot be read");
    for browser in [&staff, &owner] {
        let (page, nav) = told(browser).await;
        assert!(page.contains("The calls that wait for approval could not be counted") && nav.contains(">?<"), "{page}");
    }
}
