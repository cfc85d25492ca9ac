//! SIGKILL of the real binary between every two steps of a call, and at random under load. What the log says afterwards is
//! held against what the provider's own journal says it did.
//!
//! ```text
//!    ①  intent + decision  ②  send … effect  ③  outcome  ④  answer
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use forelog::core::call::Status;
use forelog::core::event::{Event, EventKind};
use forelog::core::id::{CallId, Position};
use forelog::log::sql::Transaction;
use forelog::log::sql_store::SqlStore;
use forelog::log::store::Store;
use serde_json::{Value, json};

use crate::demo::{Demo, on_both};
use crate::promises::check;

const TIMEOUT: Duration = Duration::from_secs(40);

on_both! {
    before_the_intent, kill_before_the_intent_leaves_no_trace_and_no_effect, postgres_kill_before_the_intent_leaves_no_trace_and_no_effect;
    during_execution, kill_during_execution_ends_unknown_is_reconciled_and_frees_the_vm, postgres_kill_during_execution_ends_unknown_is_reconciled_and_frees_the_vm;
    before_the_outcome, kill_between_effect_and_outcome_never_runs_it_again, postgres_kill_between_effect_and_outcome_never_runs_it_again;
    at_random, kill_at_random_under_load_loses_no_answered_call, postgres_kill_at_random_under_load_loses_no_answered_call;
}

async fn post(url: &str, key: &str, body: &Value) -> Option<Value> {
    let sent = reqwest::Client::new().post(url).bearer_auth(key).json(body).send().await.ok()?;
    sent.json().await.ok()
}

struct Caller {
    base: String,
    key: String,
}

impl Caller {
    fn of(demo: &Demo) -> Self {
        Self { base: demo.text("/base_url").to_owned(), key: demo.customer_key().to_owned() }
    }

    /// The answer, if the connection lived long enough for one.
    async fn call(&self, tool: &str, args: Value) -> Option<Value> {
        post(&format!("{}/api/v1/tools/{tool}", self.base), &self.key, &args).await
    }
}

async fn read_log(demo: &Demo) -> Vec<Event> {
    let store = SqlStore::new(demo.log_room().await);
    let mut log: Vec<Event> = Vec::new();
    loop {
        let after = log.last().map_or(Position(0), |event| event.position);
        let page = store.events(after, 1000).await.expect("events");
        if page.is_empty() {
            store.database().close().await;
            return log;
        }
        log.extend(page.iter().map(|row| Event::decode(&row.leaf).expect("a leaf")));
    }
}

/// Nobody appends while this is held.
async fn lock(demo: &Demo) -> Box<dyn Transaction> {
    demo.log_room().await.begin_append().await.expect("the write lock")
}

async fn log_until(demo: &Demo, what: &str, wanted: impl Fn(&[Event]) -> bool) -> Vec<Event> {
    let watching = async {
        loop {
            let log = read_log(demo).await;
            if wanted(&log) {
                return log;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, watching).await.unwrap_or_else(|_| panic!("waited in vain until {what}"))
}

fn tool_calls<'a>(log: &'a [Event], tool: &'a str) -> impl Iterator<Item = &'a CallId> {
    log.iter().filter_map(move |event| match &event.kind {
        EventKind::IntentRecorded(intent) if intent.tool == tool => Some(&intent.call),
        _ => None,
    })
}

fn is_admitted(log: &[Event], tool: &str) -> bool {
    tool_calls(log, tool)
        .any(|call| log.iter().any(|event| matches!(&event.kind, EventKind::Admitted(admitted) if admitted.call == *call)))
}

fn all_ended(log: &[Event]) -> bool {
    let mut open: BTreeMap<&CallId, bool> = BTreeMap::new();
    for event in log {
        let Some(call) = event.kind.call() else { continue };
        let ended = matches!(event.kind, EventKind::Refused(_)) || event.kind.end().is_some();
        *open.entry(call).or_insert(true) &= !ended;
    }
    open.values().all(|open| !open)
}

/// How often the simulated provider began to act on each call, from its own journal.
fn acted(data: &Path) -> BTreeMap<String, u32> {
    let text = std::fs::read_to_string(data.join("sim/journal.jsonl")).expect("the provider's journal");
    let mut acted = BTreeMap::new();
    for line in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if matches!(line["record"].as_str(), Some("power_begun" | "job_started")) {
            *acted.entry(line["call"].as_str().expect("a call").to_owned()).or_default() += 1;
        }
    }
    acted
}

/// P1, P2, P4 and P6 after the dust has settled.
fn check_against_provider(log: &[Event], data: &Path) -> BTreeMap<CallId, Status> {
    let calls = check(log, false);
    let by_text: BTreeMap<String, (&CallId, &Status)> =
        calls.iter().map(|(call, status)| (call.to_string(), (call, status))).collect();
    for (call, times) in acted(data) {
        assert_eq!(times, 1, "{call} was executed {times} times");
        let (call, status) = by_text.get(&call).unwrap_or_else(|| panic!("{call} was executed and is not in the log"));
        let admitted = log.iter().any(|event| matches!(&event.kind, EventKind::Admitted(admitted) if admitted.call == **call));
        assert!(admitted, "{call} was executed without an admission");
        assert_ne!(**status, Status::Refused, "{call} was executed and refused");
    }
    calls
}

async fn allow_exec(caller: &Caller, vm: &str) {
    let args = json!({ "vm_id": vm, "enabled": true, "confirmation": format!("ENABLE MCP EXEC {vm}") });
    let answer = caller.call("vm_exec_set", args).await.expect("an answer");
    assert!(answer.get("error").is_none(), "{answer}");
}

async fn before_the_intent(mut demo: Demo) {
    let (caller, vm) = (Caller::of(&demo), demo.text("/vms/0/id").to_owned());
    let before = read_log(&demo).await.len();
    let held = lock(&demo).await;
    let calling =
        tokio::spawn(async move { caller.call("vm_power", json!({ "vm_id": vm, "action": "reset", "confirm": true })).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    demo.kill();
    drop(held);
    assert_eq!(calling.await.expect("the caller"), None, "nobody was answered");
    let log = read_log(&demo).await;
    assert!(log[before..].iter().all(|event| event.kind.call().is_none()), "nothing was recorded");
    demo.restart().await;
    check_against_provider(&log_until(&demo, "all has ended", all_ended).await, demo.data());
    assert!(acted(demo.data()).is_empty(), "nothing was done");
}

async fn during_execution(mut demo: Demo) {
    let (caller, vm) = (Caller::of(&demo), demo.text("/vms/0/id").to_owned());
    allow_exec(&caller, &vm).await;
    let args = json!({ "vm_id": vm, "command": "sleep 30" });
    let calling = tokio::spawn(async move { caller.call("vm_exec", args).await });
    log_until(&demo, "the command is admitted", |log| is_admitted(log, "vm_exec")).await;
    let started = async {
        while acted(demo.data()).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, started).await.expect("the command runs");
    demo.kill();
    assert_eq!(calling.await.expect("the caller"), None);
    demo.restart().await;
    let (log, call) = reconciled(&demo).await;
    assert!(
        log.iter()
            .any(|event| matches!(&event.kind, EventKind::Reconciled { call: told, happened: Some(true) } if *told == call))
    );
    log_until(&demo, "the VM is free", |log| log.iter().any(|event| matches!(event.kind, EventKind::ClaimCleared { .. }))).await;
    let again = Caller::of(&demo).call("vm_exec", json!({ "vm_id": vm, "command": "echo back" })).await.expect("an answer");
    assert_eq!(again["exit_code"], 0, "{again}");
}

/// The log once the next node has asked about the command, and the command, of which the log says no more than that.
async fn reconciled(demo: &Demo) -> (Vec<Event>, CallId) {
    let log =
        log_until(demo, "it is reconciled", |log| log.iter().any(|event| matches!(event.kind, EventKind::Reconciled { .. })))
            .await;
    let calls = check_against_provider(&log, demo.data());
    let call = tool_calls(&log, "vm_exec").next().expect("the command").clone();
    assert_eq!(calls.get(&call), Some(&Status::Unknown), "an outcome that was not written is never guessed");
    (log, call)
}

async fn before_the_outcome(mut demo: Demo) {
    let (caller, vm) = (Caller::of(&demo), demo.text("/vms/0/id").to_owned());
    allow_exec(&caller, &vm).await;
    let args = json!({ "vm_id": vm, "command": "sleep 1" });
    let calling = tokio::spawn(async move { caller.call("vm_exec", args).await });
    log_until(&demo, "the command is admitted", |log| is_admitted(log, "vm_exec")).await;
    // The outcome cannot be written while this is held, and the effect is over before the writer gives up waiting.
    let held = lock(&demo).await;
    let ended = async {
        let journal = demo.data().join("sim/journal.jsonl");
        while !std::fs::read_to_string(&journal).expect("the journal").contains("job_ended") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, ended).await.expect("the command ends");
    demo.kill();
    drop(held);
    assert_eq!(calling.await.expect("the caller"), None);
    demo.restart().await;
    reconciled(&demo).await;
}

async fn at_random(mut demo: Demo) {
    let mut answered: Vec<String> = Vec::new();
    for round in 0u64..5 {
        let vms: Vec<String> = (0..3).map(|n| demo.text(&format!("/vms/{n}/id")).to_owned()).collect();
        let callers: Vec<_> = (0..6u64)
            .map(|n| {
                let (caller, vm) = (Caller::of(&demo), vms[usize::try_from(n).expect("small") % vms.len()].clone());
                tokio::spawn(async move {
                    let mut answered = Vec::new();
                    for turn in 0u64.. {
                        let (tool, args) = match (n + turn) % 3 {
                            0 => ("vm_power", json!({ "vm_id": vm, "action": "reset", "confirm": true })),
                            1 => ("vm_get", json!({ "vm_id": vm })),
                            _ => ("vm_power", json!({ "vm_id": vm, "action": "reset" })),
                        };
                        match caller.call(tool, args).await {
                            Some(answer) => answered.extend(answer["error"]["call_id"].as_str().map(str::to_owned)),
                            None => break,
                        }
                    }
                    answered
                })
            })
            .collect();
        // Another moment each round.
        tokio::time::sleep(Duration::from_millis(150 + 137 * round)).await;
        demo.kill();
        for caller in callers {
            answered.extend(caller.await.expect("a caller"));
        }
        demo.restart().await;
    }
    let log = log_until(&demo, "all has ended", all_ended).await;
    let calls = check_against_provider(&log, demo.data());
    assert!(answered.len() > 10, "the load was real: {} refusals were answered", answered.len());
    for call in answered {
        let call: CallId = call.parse().expect("a call id");
        assert!(calls.contains_key(&call), "{call} was answered and is not in the log");
    }
}

#[tokio::test]
async fn kill_a_full_disk_refuses_and_loses_nothing() {
    let mut demo = Demo::start().await;
    demo.kill();
    // Room for the files as they are, and for a megabyte of log that is not yet checkpointed.
    demo.restart_on_a_full_disk(2048).await;
    let (caller, vm) = (Caller::of(&demo), demo.text("/vms/0/id").to_owned());
    let mut answered = 0;
    let refusal = loop {
        let answer =
            caller.call("vm_power", json!({ "vm_id": vm, "action": "reset", "confirm": true })).await.expect("an answer");
        match answer["error"]["code"].as_str() {
            None | Some("rate_limited") => answered += 1,
            Some(_) => break answer,
        }
        assert!(answered < 20_000, "the disk never filled up");
    };
    assert_eq!(refusal["error"]["code"], "audit_unavailable", "{refusal}");
    assert!(answered > 0, "it worked until the disk was full");
    let ready = reqwest::get(format!("{}/readyz", demo.text("/base_url"))).await.expect("an answer");
    assert_eq!(ready.status(), 503, "a node that cannot record is not ready");
    let metrics = reqwest::get(format!("{}/metrics", demo.text("/base_url"))).await.expect("an answer").text().await;
    let metrics = metrics.expect("a body");
    assert!(metrics.contains("forelog_store_errors_total ") && !metrics.contains("forelog_store_errors_total 0\n"), "{metrics}");
    demo.kill();
    demo.restart().await;
    let log = log_until(&demo, "all has ended", all_ended).await;
    check_against_provider(&log, demo.data());
    let again = Caller::of(&demo).call("vm_get", json!({ "vm_id": vm })).await.expect("an answer");
    assert_eq!(again["vm_id"], json!(vm), "{again}");
}
