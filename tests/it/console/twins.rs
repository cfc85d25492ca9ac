//! An address has one invitation that works in an account, and becomes one person there, however many are made or taken at
//! once; and what was made by a right that is stopped waits until that is over.

use forelog::core::event::EventKind;
use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Browser, ConsoleServer, staff_key};

const CHOSEN: [(&str, &str); 2] = [("password", "a long enough phrase"), ("again", "a long enough phrase")];
const EMAIL: &str = "twin@example.com";

on_both! {
    at_once, console_an_address_that_is_invited_at_once_is_one_link_and_one_person, postgres_console_an_address_that_is_invited_at_once_is_one_link_and_one_person;
    stopped, console_a_link_waits_while_the_account_or_everything_is_stopped, postgres_console_a_link_waits_while_the_account_or_everything_is_stopped;
    twins_from_before, console_the_role_of_one_of_two_twins_is_changed_and_said_to_be, postgres_console_the_role_of_one_of_two_twins_is_changed_and_said_to_be;
}

impl ConsoleServer {
    /// A key that says who the first customer's people are.
    async fn inviting(&self) -> String {
        self.signed_in(&self.one.owner).await.key_with(&["people:write", "people:read"]).await
    }

    async fn link_for(&self, key: &str, email: &str) -> Option<String> {
        let made = self.rest(key, Method::POST, "/invitations", Some(json!({ "email": email, "role": "owner" }))).await;
        match made.status {
            StatusCode::CREATED => Some(made.json()["link"].as_str().expect("a link").to_owned()),
            StatusCode::CONFLICT => None,
            _ => panic!("{made:?}"),
        }
    }

    /// The people of the first customer who have an address.
    async fn named(&self, key: &str, email: &str) -> Vec<Value> {
        let people = self.rest(key, Method::GET, "/people", None).await.json();
        people["items"].as_array().expect("people").iter().filter(|item| item["email"] == email).cloned().collect()
    }

    async fn looks_at(&self, link: &str) -> StatusCode {
        self.browser().get(link).await.status
    }
}

async fn at_once(console: ConsoleServer) {
    let key = console.inviting().await;
    let made = join_all((0..5).map(|_| console.link_for(&key, EMAIL))).await;
    let links: Vec<String> = made.into_iter().flatten().collect();
    assert_eq!(links.len(), 5, "each was made, and took the place of the one before");
    let seen = join_all(links.iter().map(|link| console.looks_at(link))).await;
    assert_eq!(seen.iter().filter(|status| **status == StatusCode::OK).count(), 1, "{seen:?}");
    let listed = console.rest(&key, Method::GET, "/invitations", None).await.json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{listed}");
    // Each link by two browsers, and another invitation meanwhile.
    let browsers: Vec<(&String, Browser)> = links.iter().chain(&links).map(|link| (link, console.browser())).collect();
    let taking = join_all(browsers.iter().map(|(link, browser)| browser.post(link, &CHOSEN)));
    let (taken, late) = tokio::join!(taking, console.link_for(&key, EMAIL));
    let mut joined = taken.iter().filter(|answer| answer.status == StatusCode::SEE_OTHER).count();
    if let Some(late) = late {
        joined += usize::from(console.browser().post(&late, &CHOSEN).await.status == StatusCode::SEE_OTHER);
    }
    assert_eq!(joined, 1, "{taken:?}");
    let people = console.named(&key, EMAIL).await;
    assert_eq!(people.len(), 1, "{people:?}");
    let created = console.events("user_created").await;
    let by_link = created.iter().filter(|event| matches!(&event.kind, EventKind::UserCreated { invitation: Some(_), .. }));
    assert_eq!(by_link.count(), 1);
    assert_eq!(console.link_for(&key, EMAIL).await, None, "they are one of the account's people already");
    let path = format!("/people/{}", people[0]["id"].as_str().expect("an id"));
    let changed = console.rest(&key, Method::PATCH, &path, Some(json!({ "role": "member" }))).await;
    assert_eq!((changed.status, &changed.json()["role"]), (StatusCode::OK, &json!("member")), "{changed:?}");
    assert_eq!(console.rest(&key, Method::DELETE, &path, None).await.status, StatusCode::OK);
    let again = console.browser().sign_in(EMAIL, CHOSEN[0].1).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED, "who was removed came back by a twin");
    let fresh = console.link_for(&key, EMAIL).await.expect("who was removed is nobody, and can be invited");
    assert_eq!(console.browser().post(&fresh, &CHOSEN).await.status, StatusCode::SEE_OTHER);
}

async fn stopped(console: ConsoleServer) {
    let (key, staff) = (console.inviting().await, staff_key(&console).await);
    let link = console.link_for(&key, EMAIL).await.expect("a link");
    let engage = async |target: String| {
        let args = json!({ "target": target, "reason": "an incident", "message": "Call us first." });
        let engaged = console.call(&staff, "switch_engage", args).await;
        assert_eq!(engaged.status, StatusCode::OK, "{engaged:?}");
        engaged.json()["id"].as_str().expect("a switch").to_owned()
    };
    let switch = engage(format!("account:{}", console.one.account)).await;
    for answer in [console.browser().get(&link).await, console.browser().post(&link, &CHOSEN).await] {
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{answer:?}");
        assert!(answer.text.contains("Call us first.") && answer.text.contains("kill_switch_engaged"), "{answer:?}");
    }
    assert!(console.named(&key, EMAIL).await.is_empty());
    let released = console.call(&staff, "switch_release", json!({ "id": switch, "reason": "over" })).await;
    assert_eq!(released.status, StatusCode::OK, "{released:?}");
    assert_eq!(console.looks_at(&link).await, StatusCode::OK, "the link is kept for after");
    engage("all".to_owned()).await;
    assert_eq!(console.looks_at(&link).await, StatusCode::FORBIDDEN);
    assert_eq!(console.browser().post(&link, &CHOSEN).await.status, StatusCode::FORBIDDEN);
    assert!(console.nobody_took_a_link().await);
}

/// Two of one address, whom a log from before digests has made.
async fn twins_from_before(console: ConsoleServer) {
    let key = console.inviting().await;
    let link = console.link_for(&key, EMAIL).await.expect("a link");
    assert_eq!(console.browser().post(&link, &CHOSEN).await.status, StatusCode::SEE_OTHER);
    let vault = &console.app.node().control.ports.reader.vault;
    let first = vault.users_with(&EMAIL.parse().expect("an address")).await.expect("the vault").remove(0);
    let twin = forelog::log::users::UserRecord {
        id: forelog::core::id::UserId::new(forelog::core::time::Clock::now(&*console.clock), &forelog::ambient::OsEntropy),
        role: forelog::log::users::UNSAID.into(),
        ..first.clone()
    };
    vault.add_as(forelog::log::users::UNSAID, &twin, |_| true).await.expect("a row");
    let made = EventKind::UserCreated {
        user: twin.id.clone(),
        account: twin.account.clone(),
        side: forelog::core::principal::Side::Customer,
        role: Some(forelog::core::role::Role::Owner),
        invitation: None,
        invited_by: None,
        address: None,
    };
    let ports = &console.app.node().control.ports;
    let event = forelog::log::draft::NewEvent::plain(ports.event_id(), made);
    let written = ports
        .writer
        .write(forelog::log::store::Want::default(), move |draft| draft.append(forelog::core::id::Position(0), event.clone()));
    written.await.expect("an event");
    let path = format!("/people/{}", twin.id);
    let changed = console.rest(&key, Method::PATCH, &path, Some(json!({ "role": "member" }))).await;
    assert_eq!((changed.status, &changed.json()["role"]), (StatusCode::OK, &json!("member")), "{changed:?}");
    let roles: Vec<Value> = console.named(&key, EMAIL).await.into_iter().map(|item| item["role"].clone()).collect();
    assert!(roles.contains(&json!("member")) && roles.contains(&json!("owner")), "{roles:?}");
}
