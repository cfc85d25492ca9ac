//! The incident page: what is stopped, stopping it, watching it stop, and releasing it, each a recorded call.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;

use super::{House, between, nothing};

/// Where a form led to.
fn led_to(answer: &crate::harness::Answer) -> String {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
    answer.header("location").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn console_everything_is_stopped_watched_and_released_by_two_persons() {
    let house = House::open().await;
    let (staff, second) = (house.signed_in(&house.staff).await, house.hire(&house.staff.account, "responder").await);
    let key = &house.one.key;
    for _ in 0..3 {
        assert_eq!(house.call(key, "vm_list", nothing()).await.status, StatusCode::OK);
    }
    let preview = staff.page("/console/switches/new?target=all").await;
    assert!(preview.contains("Stop every call?"), "{preview}");
    assert!(between(&preview, "<dt>customers</dt><dd class=\"count\">", "<") == "2", "{preview}");
    assert!(between(&preview, "last five</dt><dd class=\"count\">", "<") != "0.0", "{preview}");
    let nameless = staff.submit("/console/switches", &[("target", "all")]).await;
    assert!(nameless.status.is_client_error(), "a reason is needed: {nameless:?}");

    let engaged = staff.submit("/console/switches", &[("target", "all"), ("reason", "they run <b>wild</b>")]).await;
    let path = led_to(&engaged);
    assert_eq!(house.call(key, "vm_list", nothing()).await.code(), "kill_switch_engaged");
    let page = staff.page(&path).await;
    assert!(page.contains("In force") && page.contains("they run &#60;b&#62;wild"), "{page}");
    assert!(page.contains("<dd class=\"count good\">0</dd>"), "something was let through: {page}");
    let live = staff.page(&format!("{path}/live")).await;
    assert!(live.starts_with("<section") && live.contains("confirmed"), "{live}");
    assert!(staff.page("/console/switches").await.contains(&path), "it is not listed");

    let untyped = staff.submit(&format!("{path}/release"), &[("reason", "over"), ("typed", "al")]).await;
    assert_eq!(untyped.status, StatusCode::BAD_REQUEST);
    led_to(&staff.submit(&format!("{path}/release"), &[("reason", "over"), ("typed", "all")]).await);
    assert!(staff.page(&path).await.contains("asks for the release"), "one person is not enough");
    assert_eq!(house.call(key, "vm_list", nothing()).await.code(), "kill_switch_engaged");
    let other = house.signed_in(&second).await;
    led_to(&other.submit(&format!("{path}/release"), &[("reason", "I looked too"), ("typed", "all")]).await);
    assert_eq!(house.call(key, "vm_list", nothing()).await.status, StatusCode::OK);
    let over = other.page(&path).await;
    for told in ["Over", "Engaged", "Release asked for", "Released", "I looked too", "staff@example.com"] {
        assert!(over.contains(told), "{told} is not told: {over}");
    }
    assert!(!over.contains("hx-get"), "nothing is left to watch");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_switch_reaches_what_it_says_and_nothing_else() {
    let house = House::open().await;
    let staff = house.signed_in(&house.staff).await;
    let (vm, other) = (&house.one.vm, &house.other.vm);
    let preview = staff.page(&format!("/console/switches/new?kind=exec&name={vm}")).await;
    assert!(preview.contains("Stop commands on one-web-1?") && preview.contains(&format!("vm:{vm}/exec")), "{preview}");
    for wrong in ["kind=tool&name=", "target=everything", "kind=vm&name=nonsense"] {
        assert_eq!(staff.get(&format!("/console/switches/new?{wrong}")).await.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    let fields = [
        ("target", &*format!("account:{}", house.one.account)),
        ("reason", "billing"),
        ("message", "Call us."),
        ("minutes", "15"),
    ];
    let path = led_to(&staff.submit("/console/switches", &fields).await);
    let refused = house.call(&house.one.key, "vm_get", json!({ "vm_id": vm })).await;
    assert!(refused.text.contains("Call us."), "{refused:?}");
    assert_eq!(house.call(&house.other.key, "vm_get", json!({ "vm_id": other })).await.status, StatusCode::OK);
    assert!(staff.page(&path).await.contains("Every call of the account is stopped"));
    led_to(&staff.submit(&format!("{path}/release"), &[("reason", "paid")]).await);
    assert_eq!(house.call(&house.one.key, "vm_get", json!({ "vm_id": vm })).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn console_switches_are_for_those_who_may() {
    let house = House::open().await;
    let customer = house.signed_in(&house.one.owner).await;
    let reader = house.hire(&house.staff.account, "reader").await;
    let reader = house.signed_in(&reader).await;
    for path in ["/console/switches", "/console/switches/new?target=all", "/console/switches/swi_01KDVDNA010000000000000000"] {
        assert_eq!(customer.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert!(!reader.page("/console/switches").await.contains("Stop all agent calls"), "a reader is offered it");
    let tried = reader.submit("/console/switches", &[("target", "all"), ("reason", "why not")]).await;
    assert_eq!(tried.status, StatusCode::FORBIDDEN, "{tried:?}");
    let tried = customer.submit("/console/switches", &[("target", "all"), ("reason", "why not")]).await;
    assert!(tried.status.is_client_error(), "{tried:?}");
    assert_eq!(house.call(&house.other.key, "vm_list", nothing()).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_switch_lets_go_step_by_step_and_stops_again() {
    let house = House::open().await;
    let (staff, second) = (house.signed_in(&house.staff).await, house.hire(&house.staff.account, "responder").await);
    let other = house.signed_in(&second).await;
    let path = led_to(&staff.submit("/console/switches", &[("target", "all"), ("reason", "wild"), ("message", "Soon.")]).await);
    let wish = [("reason", "gently"), ("typed", "all"), ("ramp", "30")];
    led_to(&staff.submit(&format!("{path}/release"), &wish).await);
    assert!(house.events("release_ramped").await.is_empty(), "one person is not enough for a ramp either");
    let odd = other.submit(&format!("{path}/release"), &[("reason", "gently"), ("typed", "all"), ("ramp", "121")]).await;
    assert!(odd.status.is_client_error(), "{odd:?}");
    led_to(&other.submit(&format!("{path}/release"), &wish).await);
    let page = other.page(&path).await;
    for told in ["In force", "It lets go step by step", "Release begun, step by step", "<dd class=\"count\">0 %</dd>"] {
        assert!(page.contains(told), "{told} is not told: {page}");
    }
    let key = &house.one.key;
    let refused = house.call(key, "vm_list", nothing()).await;
    let error = refused.json()["error"].clone();
    assert_eq!((error["code"].as_str(), error["message"].as_str()), (Some("kill_switch_engaged"), Some("Soon.")), "{error}");
    let after = error["retry_after_ms"].as_u64().expect("when its turn comes");
    assert!(after <= 1_800_000, "{error}");
    let twice = other.submit(&format!("{path}/release"), &wish).await;
    assert_eq!(twice.status, StatusCode::CONFLICT, "whom it has let through it would stop again");

    house.clock.pass(Duration::from_millis(after));
    assert_eq!(house.call(key, "vm_list", nothing()).await.status, StatusCode::OK, "its turn has come");
    let again = led_to(&other.submit(&format!("{path}/again"), &[("reason", "it begins again")]).await);
    assert_ne!(again, path);
    assert_eq!(house.call(key, "vm_list", nothing()).await.code(), "kill_switch_engaged");
    assert!(other.page(&again).await.contains("it begins again"));
    led_to(&staff.submit(&format!("{again}/release"), &[("reason", "over"), ("typed", "all")]).await);

    house.clock.pass(Duration::from_mins(30));
    assert_eq!(house.call(key, "vm_list", nothing()).await.status, StatusCode::OK);
    // The node's next beat announces it.
    let announced = async {
        while house.events("switch_expired").await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), announced).await.expect("the end of a ramp is announced as an expiry is");
    assert!(other.page(&path).await.contains("Ended by itself"));
}
