//! Stops have a bound of their own, and nobody else's fills it.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{on_both, told};
use crate::console::{ConsoleServer, staff_key};

on_both! {
    a_stop_is_engaged_once, "switches = { account = 3, key = 3 }",
        quota_a_stop_is_engaged_once, postgres_quota_a_stop_is_engaged_once;
    a_stop_that_stands_is_a_call_like_others, "[limits]\ncredential = { admit = 5, window_ms = 3600000 }",
        quota_a_stop_that_stands_is_a_call_like_others, postgres_quota_a_stop_that_stands_is_a_call_like_others;
    a_stop_of_a_vm_is_of_that_vm, "", quota_a_stop_of_a_vm_is_of_that_vm, postgres_quota_a_stop_of_a_vm_is_of_that_vm;
    staff_stop_whatever_customers_have_stopped, "switches = { account = 1, key = 1 }\nstaff_switches = { account = 2, key = 2 }",
        quota_staff_stop_whatever_customers_have_stopped, postgres_quota_staff_stop_whatever_customers_have_stopped;
}

async fn a_stop_is_engaged_once(house: ConsoleServer) {
    let stop = |args: Value| house.call(&house.one.key, "panic_engage", args);
    let vm = json!({ "reason": "again", "target": "vms", "vm_id": house.one.vm });
    let mut ids = BTreeSet::new();
    let answers = futures::future::join_all((0..20).map(|_| stop(vm.clone()))).await;
    for answer in answers {
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let document = answer.json();
        assert_eq!(document["fenced"], true, "{document}");
        ids.insert(document["switches"][0]["id"].to_string());
    }
    assert_eq!((ids.len(), house.events("switch_engaged").await.len()), (1, 1), "one switch, and one event");
    let stopped = house.call(&house.one.key, "vm_get", json!({ "vm_id": house.one.vm })).await;
    assert_eq!(stopped.code(), "kill_switch_engaged");
    for target in ["account", "credential"] {
        for _ in 0..3 {
            assert_eq!(stop(json!({ "reason": "all of it", "target": target })).await.status, StatusCode::OK);
        }
    }
    assert_eq!(house.events("switch_engaged").await.len(), 3);
    let weaker = json!({ "reason": "softly", "target": "account", "running": "let_finish" });
    assert_eq!(stop(weaker).await.status, StatusCode::OK);
    assert_eq!(house.events("switch_engaged").await.len(), 3, "what is stopped harder is stopped");
    assert_eq!(house.call(&house.other.key, "vm_list", json!({})).await.status, StatusCode::OK);
}

/// Who stops again and again what is stopped is limited, and his record has a bound; who stops more is not.
async fn a_stop_that_stands_is_a_call_like_others(house: ConsoleServer) {
    let stop = |args: Value| house.call(&house.one.key, "panic_engage", args);
    let again = || stop(json!({ "reason": "again" }));
    assert_eq!(again().await.status, StatusCode::OK);
    let mut limited = 0;
    for _ in 0..60 {
        let answer = again().await;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::TOO_MANY_REQUESTS => {
                assert_eq!(answer.code(), "rate_limited", "{answer:?}");
                limited += 1;
            }
            other => panic!("{other}: {answer:?}"),
        }
    }
    assert_eq!(limited, 55, "five stand within the window");
    assert_eq!(house.events("refused").await.len(), 20, "what only repeats is counted");
    assert_eq!(house.events("switch_engaged").await.len(), 1);
    // What would change something passes: a VM, harder, the account.
    let vm = json!({ "reason": "it too", "target": "vms", "vm_id": house.one.vm, "running": "let_finish" });
    let harder = json!({ "reason": "at once", "target": "vms", "vm_id": house.one.vm });
    let account = json!({ "reason": "all of it", "target": "account" });
    for (count, args) in [vm, harder, account].into_iter().enumerate() {
        let answer = stop(args).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert_eq!(house.events("switch_engaged").await.len(), count + 2);
    }
    // And again once a person has let go.
    let staff = staff_key(&house).await;
    let engaged = house.events("switch_engaged").await;
    let forelog::core::event::EventKind::SwitchEngaged { switch, .. } = &engaged[0].kind else { panic!("a switch") };
    let released = house.call(&staff, "switch_release", json!({ "id": switch, "reason": "done" })).await;
    assert_eq!(released.status, StatusCode::OK, "{released:?}");
    assert_eq!(again().await.status, StatusCode::OK, "it would change something");
}

/// Whoever names a VM means it.
async fn a_stop_of_a_vm_is_of_that_vm(house: ConsoleServer) {
    let answer = house.call(&house.one.key, "panic_engage", json!({ "reason": "this one", "vm_id": house.one.vm })).await;
    assert_eq!(answer.json()["switches"][0]["target"], format!("vm:{}", house.one.vm), "{answer:?}");
    assert_eq!(answer.json()["switches"].as_array().map(Vec::len), Some(1));
    for target in ["credential", "account"] {
        let args = json!({ "reason": "which?", "target": target, "vm_id": house.one.vm });
        assert_eq!(house.call(&house.one.key, "panic_engage", args).await.code(), "validation_failed", "{target}");
    }
    assert_eq!(house.events("switch_engaged").await.len(), 1);
    assert_eq!(house.call(&house.one.key, "vm_list", json!({})).await.status, StatusCode::OK, "the key goes on");
}

async fn staff_stop_whatever_customers_have_stopped(house: ConsoleServer) {
    let desk_key = staff_key(&house).await;
    let vm = json!({ "reason": "mine", "target": "vms", "vm_id": house.one.vm });
    assert_eq!(house.call(&house.one.key, "panic_engage", vm).await.status, StatusCode::OK);
    let engage = |target: String| house.call(&desk_key, "switch_engage", json!({ "target": target, "reason": "an incident" }));
    for tool in ["vm_list", "vm_get"] {
        assert_eq!(engage(format!("tool:{tool}")).await.status, StatusCode::OK);
    }
    let full = told(&engage("tool:vm_power".into()).await);
    assert_eq!(full, json!({ "quota": "staff_switches", "of": "key", "used": 2, "most": 2 }));
    for target in ["all".to_owned(), "class:exec".to_owned(), format!("account:{}", house.other.account)] {
        assert_eq!(engage(target.clone()).await.status, StatusCode::OK, "{target}");
        assert_eq!(told(&engage(target.clone()).await)["quota"], "staff_switches", "once is enough");
    }
    for _ in 0..2 {
        let stop = json!({ "reason": "me too", "target": "credential" });
        assert_eq!(
            house.call(&house.other.key, "panic_engage", stop).await.status,
            StatusCode::OK,
            "one's own stop always works"
        );
    }
}
