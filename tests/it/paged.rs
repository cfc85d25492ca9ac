//! Lists of control state over REST have pages like the others: `limit` and the cursor of the page before.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::console::{ConsoleServer, staff_key};
use crate::harness::Answer;

fn ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().expect("items");
    items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

/// The ids of a list, one a page.
async fn walked(house: &ConsoleServer, key: &str, path: &str) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = house.read(key, &format!("{path}?limit=1{cursor}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
        let page = answer.json();
        found.extend(ids(&page));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

fn said(answer: &Answer) -> String {
    answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_lists_of_keys_and_switches_have_pages() {
    let house = ConsoleServer::open().await;
    let staff = staff_key(&house).await;
    for target in ["tool:vm_power", "tool:vm_get", "class:destroy"] {
        let engaged = house.call(&staff, "switch_engage", json!({ "target": target, "reason": "a page" })).await;
        assert_eq!(engaged.status, StatusCode::OK, "{engaged:?}");
    }
    for path in ["/api/v1/switches", "/api/v1/keys"] {
        let whole = ids(&house.read(&staff, path).await.json());
        assert!(whole.len() >= 3, "{path}: {whole:?}");
        assert_eq!(walked(&house, &staff, path).await, whole, "{path}");
        for wrong in ["limit=0", "limit=201", "cursor=abc"] {
            let refused = house.read(&staff, &format!("{path}?{wrong}")).await;
            assert_eq!(refused.code(), "validation_failed", "{path}?{wrong}: {refused:?}");
        }
        let slip = house.read(&staff, &format!("{path}?limt=1")).await;
        assert!(said(&slip).contains("Did you mean limit?"), "{slip:?}");
    }
    let none = house.read(&staff, "/api/v1/searches?limit=1").await;
    assert!(said(&none).contains("none is known here"), "{none:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_a_key_that_could_do_nothing_is_not_made() {
    let house = ConsoleServer::open().await;
    let keeper = house.key_over_keys(&house.one.account).await;
    for wish in [json!({ "label": "x", "scopes": [] }), json!({ "label": "x", "scopes": ["vms:read"], "ips": [] })] {
        let refused = house.call(&keeper, "key_create", wish).await;
        assert_eq!(refused.code(), "validation_failed", "{refused:?}");
        assert!(said(&refused).contains("must have at least 1 item."), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_a_customer_is_not_sent_for_a_key_that_nobody_gives() {
    let house = ConsoleServer::open().await;
    let hint = |answer: &Answer| answer.json()["error"]["hint"].as_str().unwrap_or_default().to_owned();
    let stop = house.call(&house.one.key, "switch_engage", json!({ "target": "all", "reason": "x" })).await;
    for refused in [
        stop,
        house.read(&house.one.key, "/api/v1/policies").await,
        house.read(&house.one.key, "/api/v1/accounts").await,
        house.read(&house.one.key, "/api/v1/switches/reach?target=all").await,
    ] {
        assert_eq!(refused.code(), "forbidden_scope", "{refused:?}");
        assert!(hint(&refused).contains("no key of a customer"), "{refused:?}");
    }
    let own = house.call(&house.one.key, "key_list", json!({})).await;
    assert!(hint(&own).contains("ask whoever administers keys"), "{own:?}");
}
