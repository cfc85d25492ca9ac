//! What is made and stays: keys, invitations, people, kept searches.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{on_both, told};
use crate::console::{ConsoleServer, staff_key};
use crate::harness::Answer;

on_both! {
    keys_are_as_many_as_an_account_may_have, "keys = { account = 6, key = 3 }",
        quota_keys_are_as_many_as_an_account_may_have, postgres_quota_keys_are_as_many_as_an_account_may_have;
    keys_made_in_a_day_have_a_bound, "keys_a_day = { account = 8, key = 5 }",
        quota_keys_made_in_a_day_have_a_bound, postgres_quota_keys_made_in_a_day_have_a_bound;
    invitations_have_a_bound, "invitations = { account = 3, key = 2 }",
        quota_invitations_have_a_bound, postgres_quota_invitations_have_a_bound;
    people_have_a_bound, "people = 2", quota_people_have_a_bound, postgres_quota_people_have_a_bound;
    kept_searches_have_a_bound_for_each_person, "searches = { account = 3, key = 2 }",
        quota_kept_searches_have_a_bound_for_each_person, postgres_quota_kept_searches_have_a_bound_for_each_person;
}

async fn make_key(house: &ConsoleServer, key: &str) -> Answer {
    house.call(key, "key_create", json!({ "label": "another", "scopes": ["vms:read"] })).await
}

/// Makes as many at once as it is told to, and answers those that were made.
async fn race(house: &ConsoleServer, key: &str, count: usize) -> Vec<Answer> {
    let answers = futures::future::join_all((0..count).map(|_| make_key(house, key))).await;
    answers.into_iter().filter(|answer| answer.status.is_success()).collect()
}

async fn keys_are_as_many_as_an_account_may_have(house: ConsoleServer) {
    let (one, other) = (house.key_over_keys(&house.one.account).await, house.key_over_keys(&house.other.account).await);
    let mut made = race(&house, &one, 12).await;
    assert_eq!(made.len(), 3, "of a race as many are made as may be");
    let full = told(&make_key(&house, &one).await);
    assert_eq!(full, json!({ "quota": "keys", "of": "key", "used": 3, "most": 3 }));
    assert_eq!(house.call(&other, "vm_list", json!({})).await.status, StatusCode::OK);
    assert_eq!(race(&house, &other, 1).await.len(), 1, "it is not another's");
    let id = made.pop().expect("a key").json()["id"].clone();
    assert!(house.call(&one, "key_rotate", json!({ "id": id })).await.status.is_success(), "rotating adds none");
    let list = house.call(&one, "key_list", json!({})).await.json();
    let live = list["items"].as_array().expect("keys").iter().filter(|key| key["revoked_at"].is_null() && key["role"].is_null());
    let ids: Vec<Value> = live.filter(|key| key["label"] == "another").map(|key| key["id"].clone()).collect();
    assert!(house.call(&one, "key_revoke", json!({ "id": ids[0] })).await.status.is_success());
    assert_eq!(race(&house, &one, 4).await.len(), 1, "what is revoked makes room");
}

async fn keys_made_in_a_day_have_a_bound(house: ConsoleServer) {
    let key = house.key_over_keys(&house.one.account).await;
    let mut made = 0;
    let full = loop {
        let answer = make_key(&house, &key).await;
        if !answer.status.is_success() {
            break told(&answer);
        }
        made += 1;
        let id = answer.json()["id"].clone();
        assert!(house.call(&key, "key_revoke", json!({ "id": id })).await.status.is_success());
    };
    assert_eq!((made, &full["quota"], &full["of"]), (5, &json!("keys_a_day"), &json!("key")), "dead ones count too");
    house.clock.pass(std::time::Duration::from_hours(24));
    // The node has to renew its lease after such a leap.
    let again = async {
        while !make_key(&house, &key).await.status.is_success() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), again).await.expect("on the next day there may be more");
}

/// Invites three persons in the console; answers what the page says of the last one.
async fn invite_three(house: &ConsoleServer) -> String {
    let owner = house.signed_in(&house.one.owner).await;
    let mut text = String::new();
    for n in 0..3 {
        let email = format!("p{n}@example.com");
        let fields = [("account", house.one.account.as_str()), ("email", &email), ("role", "member")];
        text = owner.submit("/console/people", &fields).await.text;
    }
    text
}

async fn invitations_have_a_bound(house: ConsoleServer) {
    let text = invite_three(&house).await;
    assert!(text.contains("2 invitations that wait, and may have at most 2"), "{text}");
    assert_eq!(house.events("person_invited").await.len(), 2);
}

async fn people_have_a_bound(house: ConsoleServer) {
    let text = invite_three(&house).await;
    assert!(text.contains("2 people, and may have at most 2"), "{text}");
    assert_eq!(house.events("person_invited").await.len(), 1, "the owner is one of them");
}

async fn kept_searches_have_a_bound_for_each_person(house: ConsoleServer) {
    let key = staff_key(&house).await;
    let keep = |n: usize| house.call(&key, "search_keep", json!({ "name": format!("search {n}"), "line": "outcome:failed" }));
    for n in 0..2 {
        assert_eq!(keep(n).await.status, StatusCode::OK);
    }
    assert_eq!(told(&keep(2).await), json!({ "quota": "searches", "of": "person", "used": 2, "most": 2 }));
}
