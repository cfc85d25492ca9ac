//! What a call without a resource leaves at a provider: it is asked about as any other is, by whoever can tell, once the node that
//! ran the call is gone or the answer was lost. The tools are declared here, and the provider is a simulation.

use std::sync::Mutex;
use std::time::Duration;

use forelog::core::call::{Outcome, Status};
use forelog::core::code::Code;
use forelog::core::event::{Event, EventKind, IntentRecorded};
use forelog::core::hold::Hold;
use forelog::core::id::{CallId, VmId};
use forelog::core::noun::vm::VM;
use forelog::core::noun::{Noun, Subject};
use forelog::core::resource::ResourceId;
use forelog::core::switch::{Running, Target};
use forelog::core::tool::{Class, EffectKind, ProviderAccess, Timing, ToolSpec};
use forelog::providers::compute::sim::{Action, Faults, Gate, Kind as Fault};
use forelog::tools::{Execution, Tool};
use serde_json::{Value, json};

use crate::fixtures::writing;
use crate::promises::check;
use crate::test_node::{SimFleet, Site, TestNode, code_of, declared, on_both};

on_both! {
    made_and_taken_over, created_by_a_node_that_is_gone_is_found_at_its_provider, postgres_created_by_a_node_that_is_gone_is_found_at_its_provider;
    never_made_and_taken_over, created_never_by_a_node_that_is_gone_is_found_out_too, postgres_created_never_by_a_node_that_is_gone_is_found_out_too;
    answers_are_lost, created_or_not_is_told_after_a_lost_answer, postgres_created_or_not_is_told_after_a_lost_answer;
    every_door_stops, reached_provider_is_stopped_at_every_door_of_a_call_without_a_resource, postgres_reached_provider_is_stopped_at_every_door_of_a_call_without_a_resource;
    about_two, resources_of_a_call_about_two_are_recorded_and_stop_it_each, postgres_resources_of_a_call_about_two_are_recorded_and_stop_it_each;
}

/// A tool that reaches the provider that its argument names.
const fn reaching(name: &'static str) -> ToolSpec {
    ToolSpec { reaches: ProviderAccess::Named("provider"), ..writing(name) }
}

static CREATE: ToolSpec = ToolSpec { effect: Some(EffectKind::Creation), ..reaching("thing_create") };
static QUEUE: ToolSpec = ToolSpec { effect: Some(EffectKind::Creation), timing: Timing::Queued, ..reaching("thing_queue") };
static LOOK: ToolSpec = ToolSpec { class: Class::Read, idempotent: true, ..reaching("thing_look") };
static JOIN: ToolSpec = ToolSpec { also_about: &[Subject { noun: &VM, argument: "other_vm_id" }], ..writing("thing_join") };
static STRAY: ToolSpec = ToolSpec { class: Class::Read, ..writing("thing_stray") };

fn tools() -> Vec<Tool> {
    vec![
        declared(&CREATE, |execution| Box::pin(create(execution))),
        declared(&QUEUE, |execution| Box::pin(create(execution))),
        declared(&LOOK, |execution| Box::pin(look(execution))),
        declared(&JOIN, |_| Box::pin(async { Outcome::Succeeded(json!({ "ran": 1 }).into()) })),
        declared(&STRAY, |execution| Box::pin(look(execution))),
    ]
}

async fn create(execution: Execution) -> Outcome {
    let compute = match execution.provider("sim") {
        Ok(compute) => compute.expect("the simulation"),
        Err(outcome) => return outcome,
    };
    let permit = match execution.permit() {
        Ok(permit) => permit,
        Err(refusal) => return Outcome::Cancelled(refusal.code),
    };
    let made = compute.create("new", execution.call(), permit).await;
    made.map_or_else(Outcome::from, |_| Outcome::Succeeded(json!({ "ran": 1 }).into()))
}

/// A handler is a plain function, so it finds its gate here; nextest gives each test a process of its own.
static GATE: Mutex<Option<(tokio::sync::watch::Sender<usize>, tokio::sync::watch::Sender<bool>)>> = Mutex::new(None);

/// Says that it is there, waits until it may go on, and then looks at the provider.
async fn look(execution: Execution) -> Outcome {
    let gate = GATE.lock().expect("the gate").clone();
    if let Some((arrived, open)) = gate {
        arrived.send_modify(|count| *count += 1);
        open.subscribe().wait_for(|open| *open).await.expect("the gate");
    }
    match execution.provider("sim") {
        Ok(compute) => {
            let seen = compute.expect("the simulation").list().await;
            seen.map_or_else(Outcome::from, |_| Outcome::Succeeded(json!({ "ran": 1 }).into()))
        }
        Err(outcome) => outcome,
    }
}

fn prepare(site: &mut Site) -> Faults {
    let fleet =
        SimFleet { dir: site.dir().join("sim"), machines: vec!["web-1".into(), "db-1".into()], faults: Faults::default() };
    let faults = fleet.faults.clone();
    (site.fleet, site.declared) = (Some(fleet), tools);
    faults
}

fn of(log: &[Event], call: &CallId) -> Vec<EventKind> {
    log.iter().filter(|event| event.kind.call() == Some(call)).map(|event| event.kind.clone()).collect()
}

fn asked(log: &[Event], call: &CallId) -> IntentRecorded {
    match of(log, call).into_iter().next() {
        Some(EventKind::IntentRecorded(intent)) => intent,
        other => panic!("no intent but {other:?}"),
    }
}

async fn after_a_crash(mut site: Site, fault: fn(Gate) -> Fault, expected: bool) {
    let (faults, gate) = (prepare(&mut site), Gate::closed());
    faults.inject_once(None, Some(Action::Create), fault(gate.clone()));
    site.crash("thing_create", &json!({ "provider": "sim" }), &gate);
    let test_node = TestNode::start(&site).await;
    test_node.outlast_the_others().await;
    let log = crate::promises::wait_for(&test_node, |kind| matches!(kind, EventKind::Unknown(_))).await;
    let (call, _) = check(&log, false).into_iter().find(|(_, status)| *status == Status::Unknown).expect("the call");
    let intent = asked(&log, &call);
    assert!(intent.resources.is_empty(), "it names nothing that is there: {intent:?}");
    assert_eq!(intent.providers, ["sim"], "whom to ask is on record");
    assert_eq!(test_node.reconciled(&call).await, Some(expected));
    let rows = test_node.reader.store.state(&["unknown"]).await.expect("the rows");
    assert!(rows.is_empty(), "nothing is left to ask");
}

async fn made_and_taken_over(site: Site) {
    after_a_crash(site, Fault::HoldAfter, true).await;
}

async fn never_made_and_taken_over(site: Site) {
    after_a_crash(site, Fault::HoldBefore, false).await;
}

async fn answers_are_lost(mut site: Site) {
    let faults = prepare(&mut site);
    let test_node = TestNode::start(&site).await;
    for (tool, fault, expected) in [
        ("thing_create", Fault::LoseAnswer, true),
        ("thing_create", Fault::LoseRequest, false),
        ("thing_queue", Fault::LoseAnswer, true),
        ("thing_queue", Fault::LoseRequest, false),
    ] {
        faults.inject_once(None, Some(Action::Create), fault);
        let reply = test_node.call(tool, json!({ "provider": "sim" })).await;
        let call = reply.call().expect("a call").clone();
        assert_eq!(test_node.reconciled(&call).await, Some(expected), "{tool}");
    }
    // What reached nobody is asked of nobody.
    let reply = test_node.call("thing_create", json!({ "provider": "elsewhere" })).await;
    assert_eq!(code_of(&reply), Some(Code::InternalError), "it would reach what it was not decided for: {reply:?}");
    let call = reply.call().expect("a call").clone();
    assert!(asked(&test_node.log().await, &call).providers.is_empty(), "a word of the caller's is no provider");
}

/// Returns how the call ended, and why.
async fn ended(test_node: &TestNode, call: &CallId) -> (Status, Option<Code>) {
    let soon = async {
        loop {
            for kind in of(&test_node.log().await, call) {
                match kind {
                    EventKind::Refused(refused) => return (Status::Refused, Some(refused.code)),
                    EventKind::Cancelled(end) => return (Status::Cancelled, end.code),
                    EventKind::Succeeded(_) => return (Status::Succeeded, None),
                    _ => {}
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), soon).await.expect("an end")
}

const STOPPED: Option<Code> = Some(Code::KillSwitchEngaged);

async fn every_door_stops(mut site: Site) {
    prepare(&mut site);
    let named = || json!({ "provider": "sim" });
    let test_node = TestNode::start(&site).await;

    // Decided: what reaches it is refused, what reaches another one is not, nor what reaches none.
    let other = test_node.engage("provider:elsewhere", Running::LetFinish).await;
    assert_eq!(code_of(&test_node.call("thing_create", named()).await), None);
    let switch = test_node.engage("provider:sim", Running::LetFinish).await;
    for tool in ["thing_create", "thing_queue", "thing_look"] {
        assert_eq!(code_of(&test_node.call(tool, named()).await), STOPPED, "{tool}");
    }
    assert_eq!(code_of(&test_node.call("probe_write", json!({})).await), None, "it reaches nothing");
    test_node.release(switch).await;

    // A handler that would go where it did not say is kept from it.
    assert_eq!(code_of(&test_node.call("thing_stray", named()).await), Some(Code::InternalError));

    // The fence: let through, and stopped before anything is asked.
    let (arrived, open) = (tokio::sync::watch::Sender::new(0), tokio::sync::watch::Sender::new(false));
    *GATE.lock().expect("the gate") = Some((arrived.clone(), open.clone()));
    let mut request = test_node.request("thing_look", named());
    request.wait = Duration::ZERO;
    let looking = test_node.control.submit(request).await.call().expect("a call").clone();
    arrived.subscribe().wait_for(|count| *count == 1).await.expect("it runs");
    let switch = test_node.engage("provider:sim", Running::LetFinish).await;
    open.send_replace(true);
    assert_eq!(ended(&test_node, &looking).await, (Status::Cancelled, STOPPED));
    test_node.release(switch).await;
    *GATE.lock().expect("the gate") = None;

    // Held, and stopped before anybody answers.
    site.world.hold(Some(Hold::new("four eyes")));
    let mut request = test_node.request("thing_create", named());
    request.wait = Duration::ZERO;
    let held = test_node.control.submit(request).await.call().expect("a call").clone();
    site.world.hold(None);
    let switch = test_node.engage("provider:sim", Running::LetFinish).await;
    assert_eq!(ended(&test_node, &held).await, (Status::Refused, STOPPED));
    test_node.release(switch).await;
    test_node.release(other).await;
    waits_and_is_taken_over(&site, test_node).await;
}

/// Queued without a worker, and left by a node that is gone: both meet the switch when somebody would take them.
async fn waits_and_is_taken_over(site: &Site, test_node: TestNode) {
    let named = json!({ "provider": "sim" });
    test_node.stop().await;
    let (idle, _worker, _assigned) = TestNode::idle(site).await;
    let mut request = idle.request("thing_queue", named.clone());
    request.wait = Duration::ZERO;
    let queued = idle.control.submit(request).await.call().expect("a call").clone();
    let (arrived, open) = (tokio::sync::watch::Sender::new(0), tokio::sync::watch::Sender::new(false));
    let mut request = idle.request("thing_look", named);
    request.wait = Duration::ZERO;
    // It runs on a node that never does anything again.
    let left = idle.control.submit(request).await.call().expect("a call").clone();
    *GATE.lock().expect("the gate") = Some((arrived, open));
    idle.engage("provider:sim", Running::LetFinish).await;
    drop(idle);
    let next = TestNode::start(site).await;
    assert_eq!(ended(&next, &queued).await, (Status::Cancelled, STOPPED), "claimed");
    next.outlast_the_others().await;
    assert_eq!(ended(&next, &left).await, (Status::Cancelled, STOPPED), "taken over");
}

async fn about_two(mut site: Site) {
    prepare(&mut site);
    let test_node = TestNode::start(&site).await;
    let mut vms: Vec<VmId> = Vec::new();
    for (n, provider) in [(1, "sim"), (2, "elsewhere")] {
        let vm: VmId = format!("vm_{n:026}").parse().expect("a VM");
        let (account, machine) = (test_node.account.clone(), format!("m{n}").into());
        let kind = EventKind::VmImported { vm: vm.clone(), account, provider: provider.into(), machine };
        test_node.change(kind, json!({ "label": format!("label-{n}") })).await;
        vms.push(vm);
    }
    let both = json!({ "vm_id": vms[0], "other_vm_id": "label-2" });
    let reply = test_node.call("thing_join", both.clone()).await;
    let call = reply.call().expect("a call").clone();
    assert_eq!(code_of(&reply), None, "{reply:?}");
    let ids: Vec<ResourceId> = vms.iter().map(Into::into).collect();
    assert_eq!(asked(&test_node.log().await, &call).resources, ids, "in the order of its arguments");
    let leaf = serde_json::to_value(test_node.log().await.iter().find(|event| event.kind.call() == Some(&call))).expect("JSON");
    assert_eq!((&leaf["resources"], leaf.get("vm"), leaf.get("providers")), (&json!(vms), None, None));

    // Each of them stops it, by itself and with its provider; what names only one of them is not stopped by the other's.
    for target in [format!("vm:{}", vms[0]), format!("vm:{}", vms[1]), "provider:sim".into(), "provider:elsewhere".into()] {
        let switch = test_node.engage(&target, Running::LetFinish).await;
        assert_eq!(code_of(&test_node.call("thing_join", both.clone()).await), STOPPED, "{target}");
        let alone = test_node.call("thing_join", json!({ "vm_id": vms[0] })).await;
        let stops_alone = target.contains(vms[0].as_str()) || target.ends_with(":sim");
        assert_eq!(code_of(&alone), STOPPED.filter(|_| stops_alone), "{target}");
        test_node.release(switch).await;
    }
    // One that is not there is told as absent, whichever argument names it, and named twice it is one.
    for args in [json!({ "vm_id": "nowhere", "other_vm_id": vms[0] }), json!({ "vm_id": vms[0], "other_vm_id": "nowhere" })] {
        assert_eq!(code_of(&test_node.call("thing_join", args).await), Some(Code::VmNotFound));
    }
    let twice = test_node.call("thing_join", json!({ "vm_id": vms[0], "other_vm_id": vms[0] })).await;
    assert_eq!(asked(&test_node.log().await, twice.call().expect("a call")).resources, ids[..1]);
}

/// Every noun that there is. A new one is added here, and says everything that the rest asks of it.
#[test]
fn resource_nouns_are_these_and_each_is_told_by_its_prefix() {
    let nouns = forelog::core::resource::NOUNS;
    assert_eq!(nouns.map(|noun| noun.name), ["vm"]);
    let all = |of: fn(&Noun) -> &'static str| nouns.iter().map(|noun| of(noun)).collect::<std::collections::BTreeSet<_>>().len();
    for of in [
        |noun: &Noun| noun.name,
        |noun: &Noun| noun.argument,
        |noun: &Noun| noun.prefix,
        |noun: &Noun| noun.entity,
        |noun: &Noun| noun.field,
    ] {
        assert_eq!(all(of), nouns.len(), "no two nouns share it");
    }
    let schema = forelog::policy::schema(&[]);
    for noun in nouns {
        assert!(schema.contains(&format!("entity {} in [Account]", noun.entity)), "{schema}");
        assert!(forelog::core::search::Field::ALL.iter().any(|field| field.name() == noun.field), "calls are found by it");
        let id = format!("{}{:026}", noun.prefix, 7);
        let read: ResourceId = serde_json::from_value(json!(id)).expect("an id");
        assert_eq!((read.noun(), read.as_str()), (noun, id.as_str()));
        assert_eq!(serde_json::to_value(&read).expect("JSON"), json!(id), "plain text");
        let target = format!("{}:{id}", noun.name);
        assert_eq!(target.parse::<Target>().expect("a target").to_string(), target);
        assert_eq!(format!("{target}/exec").parse::<Target>().is_ok(), noun.runs_commands);
    }
}

#[test]
fn resource_id_of_no_noun_is_not_read() {
    let right = format!("vm_{:026}", 7);
    for wrong in ["", "vm_", "vm", "disk_00000000000000000000000007", "acc_00000000000000000000000007", "7", " ", "vm_7"] {
        assert!(wrong.parse::<ResourceId>().is_err(), "{wrong}");
        assert!(serde_json::from_value::<ResourceId>(json!(wrong)).is_err(), "{wrong}");
    }
    for wrong in [right.to_uppercase(), format!("{right}0"), right.replace('7', "I"), right.replace("vm_", "vm_vm_")] {
        assert!(wrong.parse::<ResourceId>().is_err(), "{wrong}");
    }
    for wrong in [Value::Null, json!(7), json!([right])] {
        assert!(serde_json::from_value::<ResourceId>(wrong).is_err());
    }
    for target in [format!("vm:disk_{:026}", 7), format!("disk:vm_{:026}", 7), "vm:".into(), format!("vm:{right}/write")] {
        assert!(target.parse::<Target>().is_err(), "{target}");
    }
}
