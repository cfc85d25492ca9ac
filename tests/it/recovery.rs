//! What nodes that ended have left at a provider: one guest that does not answer keeps nobody else waiting, and nobody says of
//! a command what only another node's journal can tell. A gate holds the slow one, and the test opens it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use forelog::core::call::Status;
use forelog::core::event::{Event, EventKind};
use forelog::core::id::{CallId, VmId};
use forelog::core::job::Claim;
use forelog::providers::compute::MachineRef;
use forelog::providers::compute::sim::{Action, Faults, Gate, Kind as Fault};
use serde_json::json;

use crate::promises::{check, wait_for};
use crate::test_node::{SimFleet, Site, TestNode, on_both};

on_both! {
    goes_on_for_others, recovery_goes_on_for_others_while_a_guest_hangs, postgres_recovery_goes_on_for_others_while_a_guest_hangs;
    waits_for_the_journal, recovery_of_another_nodes_call_waits_for_its_journal, postgres_recovery_of_another_nodes_call_waits_for_its_journal;
}

const MACHINES: [&str; 3] = ["web-1", "db-1", "worker-1"];

fn fleet(site: &Site, name: &str) -> SimFleet {
    let machines = MACHINES.map(str::to_owned).to_vec();
    SimFleet { dir: site.dir().join(name), machines, faults: Faults::default() }
}

/// The VMs of the plant's account, one for each machine.
async fn import(test_node: &TestNode) -> Vec<VmId> {
    let mut vms = Vec::new();
    for (number, machine) in (1..).zip(MACHINES) {
        let vm: VmId = format!("vm_{number:026}").parse().expect("a VM");
        let account = test_node.account.clone();
        test_node
            .change(
                EventKind::VmImported { vm: vm.clone(), account, provider: "sim".into(), machine: machine.into() },
                json!({ "label": machine }),
            )
            .await;
        test_node.change(EventKind::VmExecSet { vm: vm.clone(), enabled: true }, json!({})).await;
        vms.push(vm);
    }
    vms
}

/// A node that starts a command on each of these VMs and is gone while they run. The commands end with it.
fn crash(site: &Site, vms: &[VmId]) {
    let running = |events: &[Event]| events.iter().filter(|event| matches!(event.kind, EventKind::Started { .. })).count();
    std::thread::scope(|scope| {
        let dying = scope.spawn(|| {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(async {
                let test_node = TestNode::start(site).await;
                let begun_before = begun_in(&site.fleet.as_ref().expect("a fleet").dir);
                let before = running(&test_node.log().await);
                for vm in vms {
                    let mut request = test_node.request("command_start", json!({ "vm_id": vm, "command": "sleep 600" }));
                    request.wait = Duration::ZERO;
                    let reply = test_node.control.submit(request).await;
                    assert!(matches!(reply, forelog::control::Reply::Running { .. }), "{reply:?}");
                }
                let dir = &site.fleet.as_ref().expect("a fleet").dir;
                let begun = || begun_in(dir) >= begun_before + vms.len();
                let started = async {
                    while running(&test_node.log().await) < before + vms.len() || !begun() {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                };
                tokio::time::timeout(Duration::from_secs(20), started).await.expect("the commands run");
            });
            runtime.shutdown_background();
        });
        dying.join().expect("it started what it should");
    });
}

/// How many commands the journals of a simulation say have begun.
fn begun_in(dir: &Path) -> usize {
    let journals = std::fs::read_dir(dir).expect("the journals").map(|entry| entry.expect("an entry").path());
    let texts = journals.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    texts.map(|path| std::fs::read_to_string(path).expect("a journal").matches("job_started").count()).sum()
}

fn cleared(log: &[Event]) -> BTreeSet<VmId> {
    let vms = log.iter().filter_map(|event| match &event.kind {
        EventKind::ClaimCleared { resource, .. } => resource.as_str().parse().ok(),
        _ => None,
    });
    vms.collect()
}

fn reconciled(log: &[Event]) -> Vec<(CallId, Option<bool>)> {
    let told = log.iter().filter_map(|event| match &event.kind {
        EventKind::Reconciled { call, happened } => Some((call.clone(), *happened)),
        _ => None,
    });
    told.collect()
}

/// Returns the log once it is so.
async fn until(test_node: &TestNode, what: &str, holds: impl Fn(&[Event]) -> bool) -> Vec<Event> {
    let watching = async {
        loop {
            let log = test_node.log().await;
            if holds(&log) {
                return log;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), watching).await.unwrap_or_else(|_| panic!("waited in vain until {what}"))
}

async fn goes_on_for_others(mut site: Site) {
    let fleet = fleet(&site, "sim");
    site.fleet = Some(fleet.clone());
    let vms = import(&TestNode::idle(&site).await.0).await;
    crash(&site, &vms);
    let gate = Gate::closed();
    fleet.faults.inject(Some(&MachineRef(MACHINES[0].into())), None, Fault::HoldBefore(gate.clone()));
    let test_node = TestNode::start(&site).await;
    test_node.outlast_the_others().await;
    let others: BTreeSet<VmId> = vms[1..].iter().cloned().collect();
    until(&test_node, "the places of the others are free", |log| cleared(log) == others && reconciled(log).len() == 2).await;
    tokio::time::timeout(Duration::from_secs(20), gate.arrived(1)).await.expect("the slow one was asked");

    // What another node leaves meanwhile is recovered too.
    let second: Vec<VmId> = vms[1..2].to_vec();
    crash(&site, &second);
    test_node.outlast_the_others().await;
    until(&test_node, "a later one is recovered", |log| reconciled(log).len() == 3).await;

    gate.open();
    let log = until(&test_node, "the slow one is free", |log| cleared(log).contains(&vms[0]) && reconciled(log).len() == 4).await;
    assert!(reconciled(&log).iter().all(|(_, happened)| *happened == Some(true)), "the provider knows of each");
    assert!(check(&log, false).values().all(|status| status.is_terminal()));
}

async fn waits_for_the_journal(mut site: Site) {
    let (own, strange) = (fleet(&site, "own"), fleet(&site, "strange"));
    site.fleet = Some(own);
    let vms = import(&TestNode::idle(&site).await.0).await;
    crash(&site, &vms[..1]);

    // Another node, whose simulation knows nothing of it.
    site.fleet = Some(strange.clone());
    let other = TestNode::start(&site).await;
    other.outlast_the_others().await;
    let log = wait_for(&other, |kind| matches!(kind, EventKind::Unknown(_))).await;
    let (call, _) = check(&log, false).into_iter().find(|(_, status)| *status == Status::Unknown).expect("the command");
    // What it lost itself it can tell of; when that is known it has asked about everything.
    strange.faults.inject_once(None, Some(Action::Power(forelog::providers::compute::PowerAction::Reset)), Fault::LoseAnswer);
    let lost = other.call("vm_power", json!({ "vm_id": vms[0], "action": "reset", "confirm": true })).await;
    assert!(matches!(&lost, forelog::control::Reply::Failed { status: Status::Unknown, .. }), "{lost:?}");
    until(&other, "its own is known", |log| !reconciled(log).is_empty()).await;
    other.outlast_the_others().await;
    let log = other.log().await;
    assert!(reconciled(&log).iter().all(|(told, _)| *told != call), "nobody here can tell: {:?}", reconciled(&log));
    assert!(cleared(&log).is_empty(), "its process may run");
    let claims = other.reader.store.state(&["claim"]).await.expect("the claims");
    let claim: Claim = serde_json::from_slice(&claims.first().expect("a claim").doc).expect("a claim");
    assert!(claim.unknown && claim.call == call, "{claim:?}");

    // The node with that journal comes back, as another process.
    site.fleet = Some(fleet(&site, "own"));
    let back = TestNode::start(&site).await;
    let told = |log: &[Event]| cleared(log).contains(&vms[0]) && reconciled(log).len() == 2;
    let log = until(&back, "who has the journal tells", told).await;
    assert!(reconciled(&log).contains(&(call, Some(true))));
}
