//! Stops: nobody's ends with somebody else's, one that changes nothing is a call like others, and what a target counts is what a
//! switch on it covers.

use std::collections::BTreeSet;

use forelog::app::registry::KeySpec;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::console::{ConsoleServer, staff_key};
use crate::harness::Answer;

/// A case for both databases, whose house has this configuration.
macro_rules! on_both {
    ($($case:ident, $config:literal, $sqlite:ident, $postgres:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $sqlite() {
            $case(ConsoleServer::with($config).await).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn $postgres() {
            let url = crate::postgres::fresh_database().await;
            $case(ConsoleServer::with(&format!("database_url = \"{url}\"\n{}", $config)).await).await;
        }
    )*};
}

on_both! {
    nobodys_stop_ends_with_anothers, "", stops_end_with_nobody_elses, postgres_stops_end_with_nobody_elses;
    what_changes_nothing_is_a_call_like_others,
        "[limits]\ncredential = { admit = 5, window_ms = 3600000 }\n[quotas]\nswitches = { account = 1, key = 1 }",
        stops_that_change_nothing_are_calls_like_others, postgres_stops_that_change_nothing_are_calls_like_others;
    a_preview_counts_what_a_switch_covers, "", stops_count_what_they_cover, postgres_stops_count_what_they_cover;
}

async fn stop(house: &ConsoleServer, key: &str, args: Value) -> String {
    let answer = house.call(key, "panic_engage", args).await;
    assert_eq!((answer.status, &answer.json()["fenced"]), (StatusCode::OK, &json!(true)), "{answer:?}");
    answer.json()["switches"][0]["id"].as_str().expect("a switch").to_owned()
}

async fn release(house: &ConsoleServer, staff: &str, switch: &str) {
    let released = house.call(staff, "switch_release", json!({ "id": switch, "reason": "paid" })).await;
    assert_eq!(released.status, StatusCode::OK, "{released:?}");
}

/// Whoever engaged a switch has reason to let it go, and lets go of no more.
async fn nobodys_stop_ends_with_anothers(house: ConsoleServer) {
    let (staff, first) = (staff_key(&house).await, &house.one.key);
    let second = house.key_of(KeySpec::full(house.one.account.clone(), "second")).await;
    let hold = json!({ "target": format!("account:{}", house.one.account), "reason": "not paid", "running": "cancel" });
    let of_staff = house.call(&staff, "switch_engage", hold).await.json()["id"].as_str().expect("a switch").to_owned();
    let all = || json!({ "reason": "it is lost", "target": "account" });
    let (own, others) = (stop(&house, first, all()).await, stop(&house, &second, all()).await);
    assert_eq!(BTreeSet::from([&of_staff, &own, &others]).len(), 3, "a stop of one's own");
    for _ in 0..3 {
        assert_eq!(stop(&house, first, all()).await, own, "the same key has stopped it already");
    }
    assert_eq!(house.events("switch_engaged").await.len(), 3);
    for switch in [&of_staff, &others] {
        release(&house, &staff, switch).await;
        assert_eq!(house.call(first, "vm_list", json!({})).await.code(), "kill_switch_engaged", "{switch} was not its own");
    }
    release(&house, &staff, &own).await;
    assert_eq!(house.call(first, "vm_list", json!({})).await.status, StatusCode::OK);

    // A person is the same one when they sign in again, and no key of the account.
    stop(&house, first, json!({ "reason": "this one", "vm_id": house.one.vm })).await;
    for _ in 0..2 {
        let owner = house.signed_in(&house.one.owner).await;
        let path = format!("/console/vms/{}/stop", house.one.vm);
        let stopped = owner.submit(&path, &[("reason", "it runs wild"), ("running", "cancel")]).await;
        assert_eq!(stopped.status, StatusCode::SEE_OTHER, "{stopped:?}");
        assert_eq!(house.events("switch_engaged").await.len(), 5);
    }
}

/// Whatever form it has: a stop by label, one that there is nothing to stop of, and one that there is no room for.
async fn what_changes_nothing_is_a_call_like_others(house: ConsoleServer) {
    let wild = json!({ "reason": "again", "vm_id": "one-web-1" });
    let forms = [
        (wild.clone(), 6, "ok"),
        (wild, 7, "quota_exceeded"),
        (json!({ "reason": "again", "target": "vms" }), 7, "validation_failed"),
        (json!({ "reason": " " }), 7, "validation_failed"),
    ];
    for (args, limited, expected) in forms {
        let key = house.key_of(KeySpec::full(house.one.account.clone(), "agent")).await;
        let mut told = Vec::new();
        for _ in 0..12 {
            let answer = house.call(&key, "panic_engage", args.clone()).await;
            told.push(if answer.status == StatusCode::OK { "ok".to_owned() } else { answer.code() });
        }
        let (passed, refused) = told.split_at(12 - limited);
        assert!(passed.iter().all(|code| code == expected), "{args}: {told:?}");
        assert!(refused.iter().all(|code| code == "rate_limited"), "{args}: {told:?}");
        stop(&house, &key, json!({ "reason": "what would change something passes" })).await;
    }
}

/// A switch on a key covers what it has made, and what replaces those.
async fn a_preview_counts_what_a_switch_covers(house: ConsoleServer) {
    let (staff, maker) = (staff_key(&house).await, house.key_over_keys(&house.one.account).await);
    let id = house.call(&maker, "account_get", json!({})).await.json()["credential"]["id"].as_str().expect("an id").to_owned();
    let made = |answer: Answer| {
        assert!(answer.status.is_success(), "{answer:?}");
        let text = |name: &str| answer.json()[name].as_str().expect("a text").to_owned();
        (text("id"), text("api_key"))
    };
    let (child_id, child) = made(house.call(&maker, "key_create", json!({ "label": "child", "scopes": ["vms:read"] })).await);
    for _ in 0..2 {
        assert_eq!(house.call(&child, "vm_list", json!({})).await.status, StatusCode::OK);
    }
    let (_, rotated) = made(house.call(&maker, "key_rotate", json!({ "id": child_id })).await);
    for _ in 0..2 {
        assert_eq!(house.call(&rotated, "vm_list", json!({})).await.status, StatusCode::OK);
    }
    let per_minute = async |target: &str| {
        let reach = house.read(&staff, &format!("/api/v1/switches/reach?target={target}&reason=look")).await;
        reach.json()["calls_per_minute"].as_str().unwrap_or_else(|| panic!("{reach:?}")).to_owned()
    };
    assert_eq!(per_minute(&format!("credential:{child_id}")).await, "0.8", "four of it by both its secrets");
    assert_eq!(per_minute(&format!("credential:{id}")).await, "1.4", "these, and three of its own");
}

/// A switch that would stop nothing must not pass for one.
#[tokio::test(flavor = "multi_thread")]
async fn stops_of_what_is_never_stopped_are_refused_at_every_door() {
    let house = ConsoleServer::open().await;
    let (staff, browser) = (staff_key(&house).await, house.investigator().await);
    let never: Vec<_> = forelog::tools::specs().into_iter().filter(|tool| tool.stops).collect();
    assert!(never.len() > 10, "{never:?}");
    for tool in never {
        let target = format!("tool:{}", tool.name);
        let refused = house.call(&staff, "switch_engage", json!({ "target": target, "reason": "an incident" })).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, "validation_failed"),
            "{target}"
        );
        assert!(refused.text.contains("is never stopped"), "{refused:?}");
        let reach = house.read(&staff, &format!("/api/v1/switches/reach?target={target}&reason=look")).await;
        assert_eq!(reach.code(), "validation_failed", "{target}");
        let page = browser.get(&format!("/console/switches/new?target={target}")).await;
        assert!(page.status.is_client_error() && page.text.contains("is never stopped"), "{target}: {page:?}");
    }
    assert!(house.events("switch_engaged").await.is_empty());
    let works = house.call(&staff, "switch_engage", json!({ "target": "tool:key_create", "reason": "an incident" })).await;
    assert_eq!(works.status, StatusCode::OK, "{works:?}");
}
