//! What reads: a key that only reads reads every list, and what a key is told of where people are signed in.

use forelog::app::registry::KeySpec;
use forelog::core::scope::Scope;
use reqwest::StatusCode;
use serde_json::json;

use crate::console::{ConsoleServer, between};

#[tokio::test(flavor = "multi_thread")]
async fn readings_of_every_list_are_for_keys_that_only_read() {
    let house = ConsoleServer::open().await;
    let scopes = [Scope::KeysRead, Scope::PeopleRead, Scope::PeopleWrite].into_iter().chain(Scope::customer()).collect();
    let spec = KeySpec { scopes, read_only: true, ..KeySpec::full(house.one.account.clone(), "reads") };
    let reading = house.key_of(spec).await;
    let lists: Vec<_> = forelog::tools::specs().into_iter().filter(|tool| tool.lists()).collect();
    assert!(lists.len() > 5, "{lists:?}");
    for list in lists {
        let answer = house.call(&reading, list.name, json!({})).await;
        assert!(!answer.text.contains("read_only_mode"), "{}: {answer:?}", list.name);
    }
    let of_staff = KeySpec { read_only: true, ..KeySpec::full(house.staff.account.clone(), "audits") };
    let of_staff = house.key_of(of_staff).await;
    for (key, list) in [(&reading, "approval_list"), (&of_staff, "approval_list"), (&of_staff, "search_list")] {
        let answer = house.call(key, list, json!({})).await;
        assert_eq!(answer.status, StatusCode::OK, "{list}: {answer:?}");
    }
    let kept = house.call(&of_staff, "search_keep", json!({ "name": "mine", "line": "outcome:failed" })).await;
    assert_eq!(kept.code(), "read_only_mode");
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_of_sessions_by_a_key_are_answered_or_refused_for_what_they_are() {
    let house = ConsoleServer::open().await;
    let owner = house.signed_in(&house.one.owner).await;
    let made = owner.submit("/console/keys", &[("label", "laptop"), ("scope", "vms:read")]).await;
    let of_person = between(&made.text, "class=\"key\" value=\"", "\"").to_owned();
    let own = &house.one.owner.user;
    for args in [json!({}), json!({ "user": own })] {
        let refused = house.call(&of_person, "session_list", args.clone()).await;
        assert_eq!(refused.code(), "forbidden_role", "{args}: {refused:?}");
    }
    let ended = house.call(&of_person, "session_end", json!({})).await;
    assert_eq!(ended.code(), "forbidden_role", "{ended:?}");
    let hidden = house.call(&of_person, "session_list", json!({ "user": house.other.owner.user })).await;
    assert_eq!(hidden.code(), "not_found", "of others nothing is said");
    // The right over people is looked at as ever.
    let scopes = [Scope::PeopleWrite].into();
    let manages = house.key_of(KeySpec { scopes, ..KeySpec::full(house.one.account.clone(), "manages") }).await;
    let listed = house.call(&manages, "session_list", json!({ "user": own })).await;
    assert_eq!(listed.json()["items"].as_array().map(Vec::len), Some(1), "{listed:?}");

    // A program's key is held by nobody who could sign in.
    let harness = crate::harness::TestApp::start().await;
    let program = harness.key(|_| {}).await;
    let none = harness.call(&program, "session_list", json!({})).await;
    assert_eq!((none.status, &none.json()["items"]), (StatusCode::OK, &json!([])), "{none:?}");
    let ended = harness.call(&program, "session_end", json!({})).await;
    assert_eq!(ended.code(), "forbidden_role", "{ended:?}");
}
