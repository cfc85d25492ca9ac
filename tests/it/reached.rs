//! A switch on a provider stops every call that reaches it, also one that names nothing there: lists, and commands by their id.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::console::{ConsoleServer, on_both, staff_key};
use crate::harness::Answer;
use crate::rotated::Account;

on_both! {
    reads_are_stopped, reached_provider_is_stopped_for_every_call_that_would_ask_it, postgres_reached_provider_is_stopped_for_every_call_that_would_ask_it;
    commands_are_of_their_vm, reached_vm_of_a_command_is_stopped_by_its_switch_too, postgres_reached_vm_of_a_command_is_stopped_by_its_switch_too;
    views_find_by_either, reached_calls_are_found_by_what_they_are_about, postgres_reached_calls_are_found_by_what_they_are_about;
}

async fn engage(house: &ConsoleServer, staff: &str, target: &str) -> String {
    let engaged = house.call(staff, "switch_engage", json!({ "target": target, "reason": "an incident" })).await;
    assert_eq!(engaged.status, StatusCode::OK, "{engaged:?}");
    engaged.json()["id"].as_str().expect("an id").to_owned()
}

async fn release(house: &ConsoleServer, staff: &str, id: &str) {
    let released = house.call(staff, "switch_release", json!({ "id": id, "reason": "over" })).await;
    assert_eq!(released.status, StatusCode::OK, "{released:?}");
}

fn code(answer: &Answer) -> Value {
    answer.json()["error"]["code"].clone()
}

async fn reads_are_stopped(house: ConsoleServer) {
    let account = Account::of(house).await;
    let (house, staff) = (&account.house, staff_key(&account.house).await);
    let key = account.make(false).await;
    let ran = house.call(&house.one.key, "vm_exec", json!({ "vm_id": account.vm, "command": "echo hello" })).await;
    assert_eq!(ran.status, StatusCode::OK, "{ran:?}");
    let command = ran.json()["command_id"].clone();
    let nowhere = account.by_admin("key_create", json!({ "label": "none", "scopes": ["vms:read"], "vms": [] })).await;

    let (vm, label) = (json!({ "vm_id": account.vm }), json!({ "vm_id": "one-web-1" }));
    let reaching = [
        ("vm_list", json!({})),
        ("vm_list", json!({ "limit": 1 })),
        ("vm_get", vm.clone()),
        ("vm_get", label),
        ("vm_stats_get", vm.clone()),
        ("catalog_list", json!({ "kind": "region" })),
        ("catalog_list", json!({ "kind": "os" })),
        ("command_get", json!({ "command_id": command })),
        ("command_get", json!({ "command_id": command, "vm_id": account.vm })),
        ("command_logs", json!({ "command_id": command })),
        ("command_start", json!({ "vm_id": account.vm, "command": "true" })),
        ("vm_power", json!({ "vm_id": account.vm, "action": "reboot", "confirm": true })),
    ];
    let not_reaching = [
        ("catalog_list", json!({ "kind": "plan" })),
        ("catalog_list", json!({ "kind": "provider" })),
        ("account_get", json!({})),
        ("operation_get", json!({ "operation_id": command })),
        ("activity_list", json!({})),
    ];
    let switch = engage(house, &staff, "provider:sim").await;
    for (tool, args) in &reaching {
        let answer = house.call(&house.one.key, tool, args.clone()).await;
        assert_eq!(code(&answer), "kill_switch_engaged", "{tool} {args}: {answer:?}");
        assert_eq!(answer.json()["error"]["details"]["target"], "provider:sim");
    }
    for (tool, args) in &not_reaching {
        let answer = house.call(&house.one.key, tool, args.clone()).await;
        assert_eq!(answer.status, StatusCode::OK, "{tool} {args}: {answer:?}");
    }
    // Who has nothing there asks nobody there.
    let listed = house.call(&nowhere.text, "vm_list", json!({})).await;
    assert_eq!((listed.status, &listed.json()["items"]), (StatusCode::OK, &json!([])), "{listed:?}");
    // A command that the caller may not see reaches nothing, and is not there as ever.
    let strange = house.call(&house.other.key, "command_get", json!({ "command_id": command })).await;
    assert_eq!(code(&strange), "command_not_found", "{strange:?}");
    // Staff are stopped too; stopping is not.
    let import = json!({ "account": house.one.account, "provider": "sim", "machine": "db-2", "label": "new" });
    assert_eq!(code(&house.call(&staff, "vm_import", import.clone()).await), "kill_switch_engaged");
    let unknown = json!({ "account": house.one.account, "provider": "nowhere", "machine": "db-2", "label": "new" });
    assert_eq!(code(&house.call(&staff, "vm_import", unknown).await), "not_found");
    let cancelled = house.call(&house.one.key, "command_cancel", json!({ "command_id": command })).await;
    assert_eq!(cancelled.status, StatusCode::OK, "{cancelled:?}");
    // A page that shows the VMs is not one of the provider's.
    let owner = house.signed_in(&house.one.owner).await;
    assert!(owner.page("/console/").await.contains("one-web-1"));
    release(house, &staff, &switch).await;
    for (tool, args) in &reaching[..9] {
        let answer = house.call(&key.text, tool, args.clone()).await;
        assert!(answer.status == StatusCode::OK || code(&answer) != "kill_switch_engaged", "{tool}: {answer:?}");
    }
    assert_eq!(house.call(&staff, "vm_import", import).await.status, StatusCode::OK);
}

/// Who asks for a command asks its VM's guest, named or not.
async fn commands_are_of_their_vm(house: ConsoleServer) {
    let account = Account::of(house).await;
    let (house, one, staff) = (&account.house, &account.house.one, staff_key(&account.house).await);
    let ran = house.call(&one.key, "vm_exec", json!({ "vm_id": one.vm, "command": "echo hello" })).await;
    let command = ran.json()["command_id"].clone();
    let asked = [json!({ "command_id": command }), json!({ "command_id": command, "vm_id": one.vm })];
    let switch = engage(house, &staff, &format!("vm:{}", one.vm)).await;
    for tool in ["command_get", "command_logs"] {
        for args in &asked {
            let answer = house.call(&one.key, tool, args.clone()).await;
            assert_eq!(code(&answer), "kill_switch_engaged", "{tool} {args}: {answer:?}");
        }
    }
    let record = house.call(&one.key, "operation_get", json!({ "operation_id": command })).await;
    assert_eq!(record.status, StatusCode::OK, "what was recorded is no business of the VM's: {record:?}");
    release(house, &staff, &switch).await;
    for tool in ["command_get", "command_logs"] {
        let answer = house.call(&one.key, tool, asked[0].clone()).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let call = answer.header("forelog-call-id").to_owned();
        let found = house.read(&one.key, &format!("/api/v1/calls?vm={}&tool={tool}", one.vm)).await;
        let ids = found.json()["items"].as_array().cloned().unwrap_or_default();
        assert!(ids.iter().any(|row| row["call_id"] == json!(call)), "it is found by the VM: {found:?}");
    }
}

async fn views_find_by_either(house: ConsoleServer) {
    let (one, staff) = (&house.one, staff_key(&house).await);
    let made = async |tool: &str, args: Value| {
        let answer = house.call(&one.key, tool, args).await;
        answer.header("forelog-call-id").to_owned()
    };
    let listed = made("vm_list", json!({})).await;
    let shown = made("vm_get", json!({ "vm_id": one.vm })).await;
    let ids = |answer: &Answer| -> Vec<String> {
        let items = answer.json()["items"].as_array().cloned().unwrap_or_default();
        items.iter().filter_map(|item| item["call_id"].as_str().map(str::to_owned)).collect()
    };
    let of_vm = house.read(&one.key, &format!("/api/v1/calls?vm={}", one.vm)).await;
    assert_eq!(ids(&of_vm), std::slice::from_ref(&shown), "{of_vm:?}");
    assert_eq!(of_vm.json()["items"][0]["vm"], json!(one.vm), "as it was on the wire");
    let not_of_vm = house.read(&one.key, &format!("/api/v1/calls?q=-vm:{}", one.vm)).await;
    assert!(ids(&not_of_vm).contains(&listed) && !ids(&not_of_vm).contains(&shown), "{not_of_vm:?}");
    assert_eq!(not_of_vm.json()["items"][0]["vm"], Value::Null);
    // What a switch on the provider would have stopped has the list in it.
    let reach = house.read(&staff, "/api/v1/switches/reach?target=provider:sim&reason=look").await;
    assert_eq!(reach.json()["calls_per_minute"], "0.4", "{reach:?}");
}
