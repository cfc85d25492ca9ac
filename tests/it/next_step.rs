//! What a refused caller is told to do next is true for this caller, and does what it says.

use forelog::core::code::Code;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::console::{ConsoleServer, staff_key};
use crate::demo::Demo;
use crate::harness::{Answer, send};

fn hint(answer: &Answer) -> String {
    answer.json()["error"]["hint"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn next_step_of_every_code_is_one_short_sentence_or_two() {
    for code in Code::ALL {
        let hint = code.next_step();
        assert!((10..=120).contains(&hint.len()) && hint.ends_with('.'), "{code}: {hint}");
        assert!(
            hint.starts_with(|c: char| c.is_ascii_uppercase()) || hint.starts_with("tools/") || hint.starts_with("vm_"),
            "{hint}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn next_step_of_a_confirmation_is_to_add_what_is_named() {
    let house = ConsoleServer::open().await;
    let key = &house.one.key;
    for (tool, args, code) in [
        ("vm_power", json!({ "action": "reboot" }), "confirmation_required"),
        ("vm_rename", json!({ "hostname": "shop" }), "confirmation_required"),
        ("vm_rename", json!({ "hostname": "shop2", "confirmation": "yes" }), "phrase_mismatch"),
    ] {
        let mut args = args;
        args["vm_id"] = json!(house.one.vm);
        args["idempotency_key"] = json!(format!("{tool} {code}"));
        let refused = house.call(key, tool, args.clone()).await;
        assert_eq!(refused.code(), code, "{refused:?}");
        assert!(hint(&refused).contains("details.add"), "{refused:?}");
        let add = refused.json()["error"]["details"]["add"].as_object().expect("what to add").clone();
        assert!(!add.is_empty());
        args.as_object_mut().expect("arguments").extend(add);
        let done = house.call(key, tool, args).await;
        assert_eq!(done.status, StatusCode::OK, "with the same idempotency key: {done:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn next_step_where_commands_are_off_names_who_can_turn_them_on() {
    let house = ConsoleServer::open().await;
    let command = json!({ "vm_id": house.one.vm, "command": "id" });
    let off = house.call(&house.one.key, "vm_exec", command.clone()).await;
    assert_eq!(off.code(), "mcp_exec_disabled");
    assert!(hint(&off).starts_with("A person of the account") && !hint(&off).contains("vm_exec_set"), "{off:?}");
    let on = json!({ "vm_id": house.one.vm, "enabled": true, "confirmation": format!("ENABLE MCP EXEC {}", house.one.vm) });
    let refused = house.call(&house.one.key, "vm_exec_set", on).await;
    assert_eq!((refused.code(), hint(&refused)), ("forbidden_role".into(), hint(&off)), "both say the same, and it is so");

    let demo = Demo::start().await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let call = |tool: &str, args: Value| {
        let request = client.post(format!("{}/api/v1/tools/{tool}", demo.text("/base_url"))).bearer_auth(demo.customer_key());
        send(request.json(&args))
    };
    let vm = demo.text("/vms/0/id");
    let off = call("vm_exec", json!({ "vm_id": vm, "command": "id" })).await;
    assert_eq!(hint(&off), "Turn it on with vm_exec_set.");
    let on = json!({ "vm_id": vm, "enabled": true, "confirmation": format!("ENABLE MCP EXEC {vm}") });
    assert_eq!(call("vm_exec_set", on).await.json()["exec_enabled"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn next_step_after_a_first_release_is_accepted_and_no_error() {
    let house = ConsoleServer::open().await;
    let (staff, boss) = (staff_key(&house).await, house.hire(&house.staff.account.clone(), "admin").await);
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    for door in ["route", "name"] {
        let engaged = house.call(&staff, "switch_engage", json!({ "target": "all", "reason": "a fire" })).await.json();
        let id = engaged["id"].as_str().expect("an id").to_owned();
        let asked = match door {
            "route" => {
                let path = format!("{}/api/v1/switches/{id}/release", house.base);
                send(client.request(Method::POST, path).bearer_auth(&staff).json(&json!({ "reason": "out" }))).await
            }
            _ => house.call(&staff, "switch_release", json!({ "id": id, "reason": "out" })).await,
        };
        assert_eq!(
            (asked.status, &asked.json()["outcome"]),
            (StatusCode::ACCEPTED, &json!("release_requested")),
            "{door}: {asked:?}"
        );
        let status = house.read(&staff, &format!("/api/v1/calls/{}", asked.header("forelog-call-id"))).await.json();
        assert_eq!(status["status"], "succeeded", "the call did what can be done: {status}");
        assert_eq!(house.call(&house.one.key, "vm_list", json!({})).await.code(), "kill_switch_engaged");
        let second = house.signed_in(&boss).await;
        second.submit(&format!("/console/switches/{id}/release"), &[("reason", "I looked too"), ("typed", "all")]).await;
        let list = house.call(&house.one.key, "vm_list", json!({})).await;
        assert_eq!(list.status, StatusCode::OK, "{door}: {list:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn next_step_of_a_held_call_has_the_link_where_a_person_answers() {
    let house = ConsoleServer::open().await;
    let link = house.app.node().control.ports.approvals.link(&"call_01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().expect("an id"));
    assert_eq!(link, Some(format!("{}/console/approvals/call_01ARZ3NDEKTSV4RRFFQ69G5FAV", house.base)));
    let proxied = ConsoleServer::with("trusted_proxies = [\"127.0.0.1/32\"]").await;
    let link = proxied.app.node().control.ports.approvals.link(&"call_01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().expect("an id"));
    assert_eq!(link, None, "behind a proxy only the configuration knows where people come in");
}
