//! What has ended stays for ever, so lists of it have pages, the newest first.

use forelog::core::event::{CredentialCreated, EventKind};
use forelog::core::id::{CredentialId, Position};
use forelog::core::time::Clock;
use forelog::log::draft::NewEvent;
use forelog::log::store::Want;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{ConsoleServer, older};
use crate::harness::Answer;

/// Keys of the first customer that were made and revoked.
async fn dead_keys(console: &ConsoleServer, count: u64) {
    let (ports, one) = (&console.app.node().control.ports, &console.one);
    let mut events = Vec::new();
    for n in 0..count {
        let credential = CredentialId::new(console.clock.now(), &forelog::ambient::OsEntropy);
        let created = CredentialCreated {
            credential: credential.clone(),
            account: one.account.clone(),
            user: one.owner.user.clone(),
            hash: format!("{n:064x}").as_str().into(),
            ..crate::fixtures::key_made(1)
        };
        events.push(NewEvent::plain(ports.event_id(), EventKind::CredentialCreated(created)));
        let revoked = EventKind::CredentialRevoked { credential, by: Some(one.owner.user.clone()) };
        events.push(NewEvent::plain(ports.event_id(), revoked));
    }
    let written = ports.writer.write(Want::default(), move |draft| {
        for event in events.clone() {
            draft.append(Position(0), event)?;
        }
        Ok(())
    });
    written.await.expect("keys");
}

/// The answer to a reading, asked for again while it is only under way: these servers wait for no call.
async fn answered(console: &ConsoleServer, key: &str, path: &str) -> Answer {
    loop {
        let answer = console.rest(key, Method::GET, path, None).await;
        if answer.status != StatusCode::ACCEPTED {
            return answer;
        }
    }
}

/// The ids of a list, page by page.
async fn all(console: &ConsoleServer, key: &str, path: &str, limit: usize) -> Vec<String> {
    let (mut ids, mut next) = (Vec::new(), String::new());
    loop {
        let page = answered(console, key, &format!("{path}{next}")).await;
        assert_eq!(page.status, StatusCode::OK, "{page:?}");
        let page = page.json();
        let items = page["items"].as_array().expect("items");
        assert!(items.len() <= limit, "{} at once", items.len());
        ids.extend(items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()));
        match &page["next_cursor"] {
            Value::Null => return ids,
            cursor => {
                next = format!("{}cursor={}", if path.contains('?') { '&' } else { '?' }, cursor.as_str().expect("a cursor"));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn console_keys_that_ended_are_listed_in_pages_newest_first() {
    let console = ConsoleServer::open().await;
    let key = console.key_over_keys(&console.one.account).await;
    dead_keys(&console, 230).await;
    let listed = all(&console, &key, "/keys", 200).await;
    let few = all(&console, &key, "/keys?limit=7", 7).await;
    assert_eq!((listed.len(), &listed), (232, &few), "two that live and those that ended");
    let mut sorted = listed.clone();
    sorted.sort_unstable_by(|one, other| other.cmp(one));
    sorted.dedup();
    assert_eq!(listed, sorted);
    let strange = console.rest(&key, Method::GET, "/keys?limit=201", None).await;
    assert_eq!(strange.code(), "validation_failed", "{strange:?}");

    let owner = console.signed_in(&console.one.owner).await;
    let (mut page, mut seen) = (owner.page("/console/keys").await, 0);
    loop {
        let ended = page.split_once("id=\"ended\"").expect("ended keys").1.to_owned();
        let count = ended.matches("<li>").count();
        assert!(count <= 50 && ended.contains("Expired and revoked keys (230)"), "{count}: {ended}");
        seen += count;
        if !page.contains("rel=\"next\"") {
            break;
        }
        page = owner.page(older(&page).trim_end_matches("#ended")).await;
    }
    assert_eq!(seen, 230);
    let activity = owner.page("/console/activity").await;
    let choices = super::between(&activity, "name=\"credential\"", "</select>");
    assert!(choices.matches("<option").count() <= 202, "{choices}");
    let chosen = owner.page(&format!("/console/activity?credential={}", listed[231])).await;
    assert!(
        super::between(&chosen, "name=\"credential\"", "</select>").contains(" selected"),
        "what is chosen is shown as chosen"
    );
    let staff = console.investigator().await;
    let account = staff.page(&format!("/console/accounts/{}", console.one.account)).await;
    assert!(account.contains("180 more keys have ended."), "{account}");
    let keys = super::between(&account, "aria-label=\"List of keys\"", "</table>");
    assert_eq!(keys.matches("<th scope=\"row\">").count(), 52, "those that live, and 50 that ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_exports_are_listed_in_pages_newest_first() {
    let console = ConsoleServer::open().await;
    let mut made_at = Vec::new();
    for _ in 0..55 {
        let made = console.call(&console.one.key, "export_create", json!({ "form": "csv", "q": "tool:vm_get" })).await;
        assert_eq!(made.status, StatusCode::OK, "{made:?}");
        made_at.insert(0, made.header("forelog-call-id").to_owned());
    }
    let owner = console.signed_in(&console.one.owner).await;
    let made = console.shows(&owner, "/console/exports", "rel=\"next\"").await;
    let later = owner.page(&older(&made)).await;
    let (first, rest) = (made.matches("<td class=\"time wide\">").count(), later.matches("<td class=\"time wide\">").count());
    assert_eq!(first, 50);
    assert!((1..=5).contains(&rest) && !later.contains("rel=\"next\""), "{rest}: {later}");
    assert_eq!(all(&console, &console.one.key, "/exports", 50).await, made_at);
}
