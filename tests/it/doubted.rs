//! A commit that was kept although its answer was lost: nobody is told that a call was not made which is made, and a call that
//! ended in order has no second end.

use std::sync::atomic::Ordering;

use forelog::control::Reply;
use forelog::core::call::Status;
use forelog::core::event::EventKind;
use forelog::core::id::VmId;
use forelog::providers::compute::sim::Faults;
use serde_json::json;

use crate::promises::{check, wait_for};
use crate::test_node::{SimFleet, Site, TestNode, begin, on_both};

on_both! {
    queued_goes_on, doubted_queued_call_is_said_to_be_queued_and_runs_once, postgres_doubted_queued_call_is_said_to_be_queued_and_runs_once;
    ends_once, doubted_end_is_no_late_result, postgres_doubted_end_is_no_late_result;
    off_is_off, queued_command_does_not_start_where_commands_were_turned_off, postgres_queued_command_does_not_start_where_commands_were_turned_off;
}

async fn queued_goes_on(site: Site) {
    let (test_node, worker, assigned) = TestNode::idle(&site).await;
    site.forgets.store(true, Ordering::SeqCst);
    let reply = test_node.call("probe_queued", json!({})).await;
    assert!(!site.forgets.load(Ordering::SeqCst), "a commit was reported lost");
    let Reply::Running { call, status: Status::Queued, .. } = &reply else {
        panic!("whoever is told that it was not made makes it again: {reply:?}")
    };
    begin(worker, assigned).await;
    let log = wait_for(&test_node, |kind| matches!(kind, EventKind::Succeeded(_))).await;
    assert_eq!(check(&log, false).into_iter().collect::<Vec<_>>(), [(call.clone(), Status::Succeeded)]);
    assert_eq!(test_node.world.runs_of(call), 1);
}

async fn ends_once(site: Site) {
    let test_node = std::sync::Arc::new(TestNode::start(&site).await);
    test_node.world.shut();
    let caller = tokio::spawn({
        let test_node = std::sync::Arc::clone(&test_node);
        async move { test_node.call("probe_write", json!({})).await }
    });
    test_node.world.executed_at_least(1).await;
    site.forgets.store(true, Ordering::SeqCst);
    test_node.world.open();
    let reply = caller.await.expect("the caller");
    assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
    assert!(!site.forgets.load(Ordering::SeqCst), "a commit was reported lost");
    let log = test_node.log().await;
    assert!(check(&log, false).values().all(|status| *status == Status::Succeeded));
    let late = log.iter().filter(|event| matches!(event.kind, EventKind::LateResult { .. })).count();
    assert_eq!(late, 0, "nothing came late");
}

async fn off_is_off(mut site: Site) {
    let machines = vec!["web-1".to_owned()];
    site.fleet = Some(SimFleet { dir: site.dir().join("sim"), machines, faults: Faults::default() });
    let (test_node, worker, assigned) = TestNode::idle(&site).await;
    let vm: VmId = format!("vm_{:026}", 1).parse().expect("a VM");
    let account = test_node.account.clone();
    let imported = EventKind::VmImported { vm: vm.clone(), account, provider: "sim".into(), machine: "web-1".into() };
    test_node.change(imported, json!({ "label": "web-1" })).await;
    test_node.change(EventKind::VmExecSet { vm: vm.clone(), enabled: true }, json!({})).await;
    let reply = test_node.call("command_start", json!({ "vm_id": vm, "command": "true" })).await;
    let Reply::Running { call, status: Status::Queued, .. } = &reply else { panic!("not queued: {reply:?}") };
    test_node.change(EventKind::VmExecSet { vm, enabled: false }, json!({})).await;
    begin(worker, assigned).await;
    let log = wait_for(&test_node, |kind| matches!(kind, EventKind::Cancelled(_) | EventKind::Started { .. })).await;
    assert_eq!(check(&log, false).get(call), Some(&Status::Cancelled));
    let code = log.iter().find_map(|event| match &event.kind {
        EventKind::Cancelled(ended) => ended.code,
        _ => None,
    });
    assert_eq!(code, Some(forelog::core::code::Code::McpExecDisabled));
}
