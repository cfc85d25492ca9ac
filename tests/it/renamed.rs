//! Renaming a VM: who may, what everybody sees afterwards, and what is known of it when an answer, a node or the time to do it is lost.

use std::time::Duration;

use forelog::control::Reply;
use forelog::core::call::Status;
use forelog::core::code::Code;
use forelog::core::event::{Event, EventKind};
use forelog::core::id::{CallId, VmId};
use forelog::core::switch::Running;
use forelog::providers::compute::sim::{Action, Faults, Gate, Kind as Fault};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::console::ConsoleServer;
use crate::harness::{Answer, send};
use crate::promises::{check, wait_for};
use crate::test_node::{SimFleet, Site, TestNode};

crate::console::on_both! {
    is_seen_by_its_new_name, renamed_vm_is_seen_by_its_new_name_and_found_by_its_label, postgres_renamed_vm_is_seen_by_its_new_name_and_found_by_its_label;
}

crate::test_node::on_both! {
    answers_are_lost, renamed_or_not_is_told_after_a_lost_answer, postgres_renamed_or_not_is_told_after_a_lost_answer;
    done_and_taken_over, renamed_by_a_node_that_is_gone_is_found_at_its_provider, postgres_renamed_by_a_node_that_is_gone_is_found_at_its_provider;
    not_done_and_taken_over, renamed_never_by_a_node_that_is_gone_is_found_out_too, postgres_renamed_never_by_a_node_that_is_gone_is_found_out_too;
    stopped_in_between, renamed_not_after_a_switch_between_decision_and_request, postgres_renamed_not_after_a_switch_between_decision_and_request;
}

fn to(vm: &impl ToString, hostname: &str) -> Value {
    let vm = vm.to_string();
    json!({ "vm_id": vm, "hostname": hostname, "confirmation": format!("RENAME {vm} TO {hostname}") })
}

async fn patch(house: &ConsoleServer, key: &str, vm: &str, body: &Value) -> Answer {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    send(client.request(Method::PATCH, format!("{}/api/v1/vms/{vm}", house.base)).bearer_auth(key).json(body)).await
}

async fn is_seen_by_its_new_name(house: ConsoleServer) {
    let (one, other) = (&house.one, &house.other);
    let vm = one.vm.to_string();
    let named = async || house.call(&one.key, "vm_get", json!({ "vm_id": "one-web-1" })).await.json()["hostname"].clone();
    assert_eq!(named().await, "web-1-sim");

    let phrase = format!("RENAME {vm} TO shop.example.com");
    let missing = patch(&house, &one.key, &vm, &json!({ "hostname": "shop.example.com" })).await;
    assert_eq!(
        (missing.code().as_str(), &missing.json()["error"]["details"]["required"]["confirmation_template"]),
        ("confirmation_required", &json!(phrase))
    );
    let wrong = patch(&house, &one.key, &vm, &json!({ "hostname": "shop", "confirmation": phrase })).await;
    assert_eq!(wrong.code(), "phrase_mismatch", "{wrong:?}");
    for text in ["Shop", "shop_1", "127.0.0.1", "-shop", "shop.", "a b"] {
        let unfit = house.call(&one.key, "vm_rename", to(&vm, text)).await;
        assert_eq!(unfit.code(), "validation_failed", "{text}: {unfit:?}");
        assert!(
            unfit.json()["error"]["hint"].as_str().is_some_and(|hint| hint.contains("such as web-1.example.com")),
            "{unfit:?}"
        );
    }
    let strange = house.call(&other.key, "vm_rename", to(&vm, "shop")).await;
    assert_eq!((strange.status, strange.code().as_str()), (StatusCode::NOT_FOUND, "vm_not_found"), "{strange:?}");
    assert_eq!(named().await, "web-1-sim", "nothing of that renamed it");

    let asked = json!({ "hostname": "shop.example.com", "confirmation": phrase, "idempotency_key": "once" });
    let renamed = patch(&house, &one.key, &vm, &asked).await;
    assert_eq!(
        (renamed.status, renamed.json()),
        (StatusCode::OK, json!({ "vm_id": vm, "hostname": "shop.example.com", "previous_hostname": "web-1-sim" }))
    );
    let again = patch(&house, &one.key, &vm, &asked).await;
    assert_eq!((again.status, again.json()), (StatusCode::OK, renamed.json()), "a repeat answers with the first one's result");
    assert_eq!(named().await, "shop.example.com");
    let listed = house.call(&one.key, "vm_list", json!({})).await.json()["items"][0].clone();
    assert_eq!((&listed["hostname"], &listed["label"]), (&json!("shop.example.com"), &json!("one-web-1")));

    let found = house.read(&one.key, "/api/v1/calls?q=shop.example.com").await;
    assert_eq!(found.json()["items"][0]["tool"], json!("vm_rename"), "a rename is found by the name that it gave: {found:?}");

    // To the name that it has is a change like another, and a switch stops it like another.
    assert_eq!(house.call(&one.key, "vm_rename", to(&vm, "shop.example.com")).await.status, StatusCode::OK);
    let staff = crate::console::staff_key(&house).await;
    let engaged = house.call(&staff, "switch_engage", json!({ "target": "class:write", "reason": "an incident" })).await;
    assert_eq!(engaged.status, StatusCode::OK, "{engaged:?}");
    assert_eq!(house.call(&one.key, "vm_rename", to(&vm, "other")).await.code(), "kill_switch_engaged");
    assert_eq!(named().await, "shop.example.com");
}

fn prepare(site: &mut Site) -> Faults {
    let faults = Faults::default();
    site.fleet = Some(SimFleet { dir: site.dir().join("sim"), machines: vec!["web-1".into()], faults: faults.clone() });
    faults
}

async fn import(test_node: &TestNode) -> VmId {
    let vm: VmId = format!("vm_{:026}", 1).parse().expect("a VM");
    let kind = EventKind::VmImported {
        vm: vm.clone(),
        account: test_node.account.clone(),
        provider: "sim".into(),
        machine: "web-1".into(),
    };
    test_node.change(kind, json!({ "label": "web-1" })).await;
    vm
}

/// What its provider calls the machine.
async fn hostname(test_node: &TestNode) -> String {
    let machines = test_node.control.ports.provider("sim").expect("the simulation").list().await.expect("its machines");
    machines[0].hostname.clone()
}

fn of<'a>(log: &'a [Event], call: &'a CallId) -> impl Iterator<Item = &'a EventKind> {
    log.iter().map(|event| &event.kind).filter(move |kind| kind.call() == Some(call))
}

async fn answers_are_lost(mut site: Site) {
    let faults = prepare(&mut site);
    let test_node = TestNode::start(&site).await;
    let vm = import(&test_node).await;
    for (name, fault, happened, expected) in [
        ("shop", Fault::LoseAnswer, true, "shop"),
        ("store", Fault::LoseRequest, false, "shop"),
        ("twice", Fault::Twice, true, "twice"),
    ] {
        let is_lost = !matches!(fault, Fault::Twice);
        faults.inject_once(None, Some(Action::Rename), fault);
        let reply = test_node.call("vm_rename", to(&vm, name)).await;
        let call = reply.call().expect("a call").clone();
        if is_lost {
            assert!(matches!(&reply, Reply::Failed { status: Status::Unknown, .. }), "{reply:?}");
            assert_eq!(test_node.reconciled(&call).await, Some(happened), "{name}");
        } else {
            assert!(matches!(&reply, Reply::Done { .. }), "{reply:?}");
        }
        assert_eq!(hostname(&test_node).await, expected);
    }
}

async fn after_a_crash(mut site: Site, fault: fn(Gate) -> Fault, happened: bool) {
    let (faults, gate) = (prepare(&mut site), Gate::closed());
    let vm = import(&TestNode::idle(&site).await.0).await;
    faults.inject_once(None, Some(Action::Rename), fault(gate.clone()));
    site.crash("vm_rename", &to(&vm, "shop"), &gate);
    let test_node = TestNode::start(&site).await;
    test_node.outlast_the_others().await;
    let log = wait_for(&test_node, |kind| matches!(kind, EventKind::Unknown(_))).await;
    let (call, _) = check(&log, false).into_iter().find(|(_, status)| *status == Status::Unknown).expect("the call");
    assert_eq!(test_node.reconciled(&call).await, Some(happened));
    assert_eq!(hostname(&test_node).await, if happened { "shop" } else { "web-1-sim" });
    assert!(test_node.reader.store.state(&["unknown"]).await.expect("the rows").is_empty(), "nothing is left to ask");
}

async fn done_and_taken_over(site: Site) {
    after_a_crash(site, Fault::HoldAfter, true).await;
}

async fn not_done_and_taken_over(site: Site) {
    after_a_crash(site, Fault::HoldBefore, false).await;
}

/// Decided on a node that has not begun it yet when the switch comes.
async fn stopped_in_between(mut site: Site) {
    prepare(&mut site);
    let (test_node, worker, assigned) = TestNode::idle(&site).await;
    worker.beat(true).await.expect("the first beat");
    let vm = import(&test_node).await;
    let mut request = test_node.request("vm_rename", to(&vm, "shop"));
    request.wait = Duration::ZERO;
    let call = test_node.control.submit(request).await.call().expect("a call").clone();
    assert!(of(&test_node.log().await, &call).any(|kind| matches!(kind, EventKind::Admitted(_))), "it was let through");
    test_node.engage("tool:vm_rename", Running::LetFinish).await;
    let stop = CancellationToken::new();
    let working = tokio::spawn(worker.work(assigned, stop.clone(), Duration::from_secs(5)));
    let log = wait_for(&test_node, |kind| matches!(kind, EventKind::Cancelled(_))).await;
    let ended = of(&log, &call).find_map(|kind| if let EventKind::Cancelled(end) = kind { end.code } else { None });
    assert_eq!(ended, Some(Code::KillSwitchEngaged));
    assert_eq!(hostname(&test_node).await, "web-1-sim");
    stop.cancel();
    working.await.expect("the worker ends by itself");
}
