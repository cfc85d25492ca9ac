//! Several nodes as processes of their own behind one address or another: any of them answers for every other, a switch is
//! fenced on all, and one that stops is not missed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use forelog::ambient::SystemClock;
use forelog::core::time::Clock;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::faults::cluster::{Cluster, LEASE, Setting};
use crate::postgres;

const TIMEOUT: Duration = Duration::from_secs(30);

fn client() -> Client {
    Client::builder().no_proxy().timeout(TIMEOUT).build().expect("a client")
}

/// The answer of a tool at one node.
async fn ask(cluster: &Cluster, node: usize, tool: &str, args: Value) -> (u16, Value) {
    let load = &cluster.load;
    let answer = load.call_at(&cluster.address(node), &load.customer, tool, args).await.expect("an answer");
    (answer.status, answer.document)
}

async fn get(cluster: &Cluster, node: usize, path: &str) -> (StatusCode, Value) {
    let url = format!("{}{path}", cluster.address(node));
    let answer = client().get(url).bearer_auth(&cluster.load.customer).send().await.expect("an answer");
    (answer.status(), answer.json().await.expect("JSON"))
}

async fn engage(cluster: &Cluster, node: usize, target: &str) -> Value {
    let (load, args) = (&cluster.load, json!({ "target": target, "reason": "a drill" }));
    let answer = load.call_at(&cluster.address(node), &load.staff, "switch_engage", args).await.expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.document
}

fn states(engaged: &Value) -> Vec<&str> {
    let nodes = engaged["nodes"].as_array().unwrap_or_else(|| panic!("no nodes: {engaged}"));
    nodes.iter().map(|node| node["state"].as_str().expect("a state")).collect()
}

async fn any_node_answers(cluster: Cluster) {
    let vm = cluster.load.vms[0].clone();
    let (status, started) = ask(&cluster, 0, "command_start", json!({ "vm_id": vm, "command": "sleep 60" })).await;
    assert_eq!(status, 202, "{started}");
    let id = &started["command_id"];
    let running = async {
        while ask(&cluster, 1, "command_get", json!({ "command_id": id })).await.1["status"] != "running" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, running).await.expect("the other node knows that it runs");
    let (_, operation) = ask(&cluster, 1, "operation_get", json!({ "operation_id": id })).await;
    assert_eq!(operation["status"], "running", "{operation}");
    let (_, timeline) = get(&cluster, 1, &format!("/api/v1/calls/{}", id.as_str().expect("an id"))).await;
    assert!(timeline["events"].as_array().is_some_and(|events| events.len() >= 2), "{timeline}");
    let (_, cancelled) = ask(&cluster, 1, "command_cancel", json!({ "command_id": id })).await;
    assert_eq!((&cancelled["status"], &cancelled["changed"]), (&json!("cancelled"), &json!(true)), "{cancelled}");
    let (_, ended) = ask(&cluster, 0, "command_get", json!({ "command_id": id })).await;
    assert_eq!(ended["status"], "cancelled", "{ended}");

    let reset = json!({ "vm_id": vm, "action": "reset", "confirm": true, "idempotency_key": "once" });
    let (first, second) = (ask(&cluster, 0, "vm_power", reset.clone()).await, ask(&cluster, 1, "vm_power", reset).await);
    assert_eq!((first.0, &first.1), (200, &second.1), "the other node repeats the outcome");
    let other = json!({ "vm_id": vm, "action": "reboot", "confirm": true, "idempotency_key": "once" });
    assert_eq!(ask(&cluster, 1, "vm_power", other).await.1["error"]["code"], "idempotency_conflict");
    let history = cluster.check().await;
    assert_eq!(history.effects.len(), 2, "a command and a reset");
}

/// What a drill calls was sent by nobody, so the history is not held against what was.
async fn a_drill_asks_every_node(cluster: Cluster) {
    let drill = cluster.load.call_at(&cluster.address(1), &cluster.load.staff, "switch_drill", json!({})).await;
    let drill = drill.expect("an answer").document;
    println!("a drill on three nodes: {drill}");
    assert_eq!((&drill["passed"], &drill["nodes"], &drill["admitted_after"]), (&json!(true), &json!(3), &json!(0)), "{drill}");
}

async fn engage_tells_of_each_node(mut cluster: Cluster) {
    let begun = SystemClock::start();
    let engaged = engage(&cluster, 0, "tool:vm_exec").await;
    let took = begun.elapsed();
    println!("fenced on three nodes after {took:?}");
    assert_eq!((&engaged["fenced"], states(&engaged)), (&json!(true), vec!["confirmed"; 3]), "{engaged}");
    assert!(engaged["nodes"].as_array().expect("nodes").iter().all(|node| node["confirmed_at"].is_string()), "{engaged}");
    assert!(took < LEASE, "nobody waited for a lease to run out");
    for node in 0..3 {
        let (_, refused) = ask(&cluster, node, "vm_exec", json!({ "vm_id": cluster.load.vms[0], "command": "echo" })).await;
        assert_eq!(refused["error"]["code"], "kill_switch_engaged", "{refused}");
    }
    // One freezes, one dies: neither can say anything, and both leases run out.
    cluster.signal(1, "STOP");
    cluster.kill(2);
    let engaged = engage(&cluster, 0, "tool:vm_power").await;
    let mut found = states(&engaged);
    found.sort_unstable();
    assert_eq!((&engaged["fenced"], found), (&json!(true), vec!["confirmed", "expired", "expired"]), "{engaged}");
    let expired = engaged["nodes"].as_array().expect("nodes").iter().filter(|node| node["state"] == "expired");
    assert!(expired.into_iter().all(|node| node["confirmed_at"].is_null()), "{engaged}");
    cluster.signal(1, "CONT");
    let reset = json!({ "vm_id": cluster.load.vms[0], "action": "reset", "confirm": true });
    assert_eq!(ask(&cluster, 1, "vm_power", reset).await.1["error"]["code"], "kill_switch_engaged");
    cluster.launch(2).await;
    let history = cluster.check().await;
    assert!(history.effects.is_empty(), "nothing was done");
}

async fn mcp(address: &str, key: &str, method: Method, session: Option<&str>, body: &Value) -> reqwest::Response {
    let request = client().request(method, format!("{address}/mcp")).bearer_auth(key);
    let request = request.header("accept", "application/json, text/event-stream").header("mcp-protocol-version", "2025-06-18");
    let request = session.into_iter().fold(request, |request, id| request.header("mcp-session-id", id));
    let request = if body.is_null() { request } else { request.json(body) };
    request.send().await.expect("an answer")
}

async fn begin(address: &str, key: &str) -> String {
    let initialize = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" },
    } });
    let begun = mcp(address, key, Method::POST, None, &initialize).await;
    assert_eq!(begun.status(), StatusCode::OK);
    begun.headers()["mcp-session-id"].to_str().expect("an id").to_owned()
}

/// 404 is what tells a client of those versions to begin a new session; anything else leaves it with a dead one.
#[tokio::test]
async fn fleet_a_session_is_of_its_node_and_of_its_key() {
    let mut cluster = sqlite(2).await;
    let key = cluster.load.customer.clone();
    let (home, other) = (cluster.address(0), cluster.address(1));
    let args = json!({ "label": "another", "scopes": ["vms:read"] });
    let (_, made) = ask(&cluster, 0, "key_create", args).await;
    let second = made["api_key"].as_str().unwrap_or_else(|| panic!("no key: {made}")).to_owned();
    let session = begin(&home, &key).await;
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let null = Value::Null;
    assert_eq!(mcp(&home, &key, Method::POST, Some(&session), &list).await.status(), StatusCode::OK, "at home");
    for (address, key, why) in [(&other, &key, "another node"), (&home, &second, "another key"), (&other, &second, "both")] {
        for (method, body) in [(Method::POST, &list), (Method::GET, &null), (Method::DELETE, &null)] {
            let answer = mcp(address, key, method.clone(), Some(&session), body).await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{method}, {why}");
            let document: Value = answer.json().await.expect("JSON");
            assert_eq!(document["error"]["code"], "not_found", "{method}, {why}: {document}");
        }
    }
    assert_eq!(mcp(&home, &key, Method::POST, Some(&session), &list).await.status(), StatusCode::OK, "nobody has ended it");
    cluster.kill(0);
    cluster.launch(0).await;
    let answer = mcp(&cluster.address(0), &key, Method::POST, Some(&session), &list).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND, "after the death of its node");
    let anew = begin(&other, &key).await;
    assert_eq!(mcp(&other, &key, Method::POST, Some(&anew), &list).await.status(), StatusCode::OK, "and so it goes on");
    cluster.check().await;
}

/// Serves on for so long after it was told to stop.
const DRAINING: &str = "FORELOG_DRAIN_MS=2500 exec \"$0\" \"$@\"";

/// What a load balancer believes: who answered 200 when it last asked. If nobody did, whoever did before: somewhere it has to send.
async fn balance(addresses: Arc<Mutex<Vec<Option<String>>>>, ready: Arc<Mutex<Vec<String>>>, stop: CancellationToken) {
    let client = client();
    while !stop.is_cancelled() {
        let up: Vec<String> = addresses.lock().expect("the addresses").iter().flatten().cloned().collect();
        let mut found = Vec::new();
        for address in up {
            let answer = client.get(format!("{address}/readyz")).send().await;
            if answer.is_ok_and(|answer| answer.status() == StatusCode::OK) {
                found.push(address);
            }
        }
        if !found.is_empty() {
            *ready.lock().expect("the ready ones") = found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn a_rolling_restart(mut cluster: Cluster) {
    for node in 0..2 {
        cluster.stop(node).await;
        cluster.launch_under(node, DRAINING).await;
    }
    let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
    let ready = Arc::new(Mutex::new(vec![cluster.address(0), cluster.address(1)]));
    tracker.spawn(balance(cluster.addresses(), Arc::clone(&ready), stop.clone()));
    let unanswered = Arc::new(Mutex::new(Vec::new()));
    let times = Arc::new(Mutex::new(Vec::new()));
    for n in 0..4u64 {
        let (load, ready, stop) = (Arc::clone(&cluster.load), Arc::clone(&ready), stop.clone());
        let (unanswered, times) = (Arc::clone(&unanswered), Arc::clone(&times));
        tracker.spawn(async move {
            for turn in n.. {
                if stop.is_cancelled() {
                    return;
                }
                let [web, db, worker] = [0, 1, 2].map(|n: usize| load.vms[n].as_str());
                // A reset would end a command on the same VM.
                let (tool, args) = match turn % 4 {
                    0 => ("vm_power", json!({ "vm_id": web, "action": "reset", "confirm": true })),
                    1 => ("vm_exec", json!({ "vm_id": worker, "command": "sleep 0.2" })),
                    _ => ("vm_get", json!({ "vm_id": db })),
                };
                let address = load.dice.one_of::<String>(&ready.lock().expect("the ready ones")).clone();
                let begun = SystemClock::start();
                let answer = load.call_at(&address, &load.customer, tool, args).await;
                match answer {
                    // A node that came too late with its beat says so, and that it may be asked again.
                    Some(answer) if answer.status < 500 || answer.document["error"]["retryable"] == true => {
                        times.lock().expect("the times").push(begun.elapsed());
                    }
                    other => unanswered.lock().expect("the failures").push(format!("{tool} at {address}: {other:?}")),
                }
            }
        });
    }
    tracker.close();
    for node in [0, 1, 0, 1] {
        cluster.stop(node).await;
        cluster.launch_under(node, DRAINING).await;
        let address = cluster.address(node);
        let back = async {
            while !ready.lock().expect("the ready ones").contains(&address) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, back).await.expect("it is ready again");
    }
    stop.cancel();
    tracker.wait().await;
    let mut times = std::mem::take(&mut *times.lock().expect("the times"));
    times.sort_unstable();
    println!("{} calls; median {:?}, longest {:?}", times.len(), times[times.len() / 2], times[times.len() - 1]);
    let unanswered = std::mem::take(&mut *unanswered.lock().expect("the failures"));
    assert!(unanswered.is_empty(), "{} of {}: {unanswered:#?}", unanswered.len(), times.len());
    assert!(times.len() > 100, "the load was real: {} calls", times.len());
    cluster.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fleet_who_waits_at_a_node_that_stops_is_answered() {
    let mut cluster = sqlite(2).await;
    cluster.kill(0);
    cluster.launch_under(0, "FORELOG_INSTANT_WAIT_MS=60000 exec \"$0\" \"$@\"").await;
    let load = Arc::clone(&cluster.load);
    let (home, vm) = (cluster.address(0), load.vms[0].clone());
    let waiting = tokio::spawn(async move {
        load.call_at(&home, &load.customer, "vm_exec", json!({ "vm_id": vm, "command": "sleep 50" })).await
    });
    let admitted = async {
        while cluster.evidence.open().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, admitted).await.expect("it runs");
    let begun = SystemClock::start();
    cluster.stop(0).await;
    println!("stopped after {:?}", begun.elapsed());
    let answer = waiting.await.expect("the caller").expect("an answer, not a broken connection");
    assert_eq!(answer.status, 202, "{answer:?}");
    let id = answer.document["command_id"].clone();
    let known = async {
        loop {
            let (_, found) = ask(&cluster, 1, "operation_get", json!({ "operation_id": id })).await;
            if found["status"] == "unknown" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let begun = SystemClock::start();
    tokio::time::timeout(TIMEOUT, known).await.expect("the other node ends it");
    println!("ended by the other node after {:?}", begun.elapsed());
    cluster.launch(0).await;
    cluster.check().await;
}

async fn sqlite(count: usize) -> Cluster {
    Cluster::start(Setting::files(count)).await
}

#[tokio::test]
async fn fleet_any_node_answers_for_every_other() {
    any_node_answers(sqlite(2).await).await;
}

#[tokio::test]
async fn fleet_engage_says_when_each_node_confirmed_or_that_it_expired() {
    engage_tells_of_each_node(sqlite(3).await).await;
}

#[tokio::test]
async fn fleet_a_drill_asks_every_node() {
    a_drill_asks_every_node(sqlite(3).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fleet_a_rolling_restart_is_not_noticed() {
    a_rolling_restart(sqlite(2).await).await;
}

/// Nodes on a PostgreSQL that was set up as an operator does, and the server.
async fn on_postgres(count: usize) -> (Cluster, postgres::Cluster) {
    let server = postgres::Cluster::start().await;
    (Cluster::start(Setting { count, ..Setting::postgres(&server).await }).await, server)
}

#[tokio::test]
async fn postgres_any_node_answers_for_every_other() {
    let (cluster, _server) = on_postgres(2).await;
    any_node_answers(cluster).await;
}

#[tokio::test]
async fn postgres_engage_says_when_each_node_confirmed_or_that_it_expired() {
    let (cluster, _server) = on_postgres(3).await;
    engage_tells_of_each_node(cluster).await;
}

#[tokio::test]
async fn postgres_a_drill_asks_every_node() {
    let (cluster, _server) = on_postgres(3).await;
    a_drill_asks_every_node(cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_a_rolling_restart_is_not_noticed() {
    let (cluster, _server) = on_postgres(2).await;
    a_rolling_restart(cluster).await;
}
