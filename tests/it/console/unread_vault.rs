//! What pages and the API say where the vault cannot be read: that it cannot, and nothing in the place of what is in it.

use reqwest::StatusCode;
use rusqlite::Connection;

use super::{ConsoleServer, staff_key};

fn vault(console: &ConsoleServer) -> Connection {
    Connection::open(console.dir.path().join("vault.db")).expect("the vault")
}

#[tokio::test(flavor = "multi_thread")]
async fn console_names_that_cannot_be_read_are_not_said_to_be_none() {
    let console = ConsoleServer::open().await;
    let (staff, key) = (console.investigator().await, staff_key(&console).await);
    vault(&console).execute_batch("alter table account_name rename to account_name_away").expect("no names");
    let account = &console.one.account;
    for path in ["/console/accounts?q=one".into(), "/console/search?q=account:one".into(), format!("/console/accounts/{account}")]
    {
        let answer = staff.get(&path).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}: {answer:?}");
    }
    for path in ["/api/v1/accounts?q=one".into(), format!("/api/v1/accounts/{account}")] {
        let answer = console.read(&key, &path).await;
        assert_eq!(answer.code(), "audit_unavailable", "{path}: {answer:?}");
    }
}

/// People of others are not read for a page that names none of them, and a page that would is not shown without their names.
#[tokio::test(flavor = "multi_thread")]
async fn console_events_are_shown_with_the_people_that_they_name() {
    let console = ConsoleServer::open().await;
    let (staff, owner) = (console.investigator().await, console.signed_in(&console.one.owner).await);
    let other = &console.other.owner.user;
    let unreadable = format!(
        "alter table person rename to person_away;
        create view person as select id, account, side, role, proved, password, signet,
            case id when '{other}' then json_extract('none' || id, '$') else email end as email from person_away"
    );
    vault(&console).execute_batch(&unreadable).expect("a person who cannot be read");
    let own = console.shows(&owner, "/console/events", "one@example.com joined").await;
    assert!(!own.contains("not here any more"), "{own}");
    let all = staff.get("/console/events").await;
    assert_eq!(all.status, StatusCode::SERVICE_UNAVAILABLE, "{all:?}");
}
