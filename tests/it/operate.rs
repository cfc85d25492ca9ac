//! The tools as an agent meets them: the real binary with its simulated fleet, over REST, on both databases.
//!
//! Invariant: every test has a demo of its own, and says by code what it expects of a refusal.

use serde_json::{Value, json};

use crate::demo::{Demo, on_both};

on_both! {
    commands_run_are_read_and_are_cancelled, operate_commands_run_are_read_and_are_cancelled, postgres_operate_commands_run_are_read_and_are_cancelled;
    what_is_not_the_callers_looks_absent, operate_what_is_not_the_callers_looks_absent, postgres_operate_what_is_not_the_callers_looks_absent;
    a_drill_tries_the_switches_and_touches_nobody, operate_a_drill_tries_the_switches_and_touches_nobody, postgres_operate_a_drill_tries_the_switches_and_touches_nobody;
    stops_reach_as_far_as_they_may_and_no_further, operate_stops_reach_as_far_as_they_may_and_no_further, postgres_operate_stops_reach_as_far_as_they_may_and_no_further;
}

struct Agent<'a> {
    demo: &'a Demo,
    key: String,
}

impl<'a> Agent<'a> {
    fn of(demo: &'a Demo, who: &str) -> Self {
        Self { demo, key: demo.text(&format!("/{who}/api_key")).to_owned() }
    }

    /// Another key, made by this one.
    async fn with_key(&self, args: Value) -> Self {
        let made = self.call("key_create", args).await;
        Self { demo: self.demo, key: made["api_key"].as_str().expect("a key").to_owned() }
    }

    async fn call(&self, tool: &str, args: Value) -> Value {
        let url = format!("{}/api/v1/tools/{tool}", self.demo.text("/base_url"));
        let sent = reqwest::Client::new().post(url).bearer_auth(&self.key).json(&args).send().await.expect("an answer");
        sent.json().await.expect("a document")
    }

    async fn code(&self, tool: &str, args: Value) -> String {
        let answer = self.call(tool, args).await;
        answer["error"]["code"].as_str().unwrap_or_else(|| panic!("not refused: {answer}")).to_owned()
    }
}

async fn enable(agent: &Agent<'_>, vm: &str) {
    let args = json!({ "vm_id": vm, "enabled": true, "confirmation": format!("ENABLE MCP EXEC {vm}") });
    assert_eq!(agent.call("vm_exec_set", args).await["exec_enabled"], true);
}

async fn commands_run_are_read_and_are_cancelled(demo: Demo) {
    let (agent, vm) = (Agent::of(&demo, "customer"), demo.text("/vms/0/id"));
    assert_eq!(agent.code("vm_exec", json!({ "vm_id": vm, "command": "echo no" })).await, "mcp_exec_disabled");
    enable(&agent, vm).await;

    let failed = agent.call("vm_exec", json!({ "vm_id": "web-1", "command": "echo out && false" })).await;
    assert_eq!((failed["exit_code"].as_i64(), failed["stdout"].as_str()), (Some(1), Some("out\n")), "{failed}");
    let late = agent.call("vm_exec", json!({ "vm_id": vm, "command": "sleep 60", "timeout_seconds": 1 })).await;
    assert_eq!(late["error"]["details"]["result"]["timed_out"], true, "{late}");

    let long = agent.call("command_start", json!({ "vm_id": vm, "command": "sleep 1 && seq 1 2000" })).await;
    assert_eq!(agent.code("vm_exec", json!({ "vm_id": vm, "command": "echo no" })).await, "vm_command_in_progress");
    let ended = agent.call("operation_wait", json!({ "operation_id": long["operation_id"] })).await;
    assert_eq!(ended["status"], "succeeded", "{ended}");
    let (mut read, mut offset) = (String::new(), json!(0));
    loop {
        let args = json!({ "command_id": long["command_id"], "stdout_offset": offset, "max_bytes": 1000 });
        let piece = agent.call("command_logs", args).await;
        read.push_str(piece["stdout"].as_str().expect("text"));
        offset = piece["next_stdout_offset"].clone();
        if piece["complete"] == true {
            break;
        }
    }
    let whole: Vec<String> = (1..=2000).map(|n| format!("{n}\n")).collect();
    assert_eq!(read, whole.concat());

    let endless = agent.call("command_start", json!({ "vm_id": vm, "command": "sleep 3600" })).await;
    let cancel = json!({ "command_id": endless["command_id"] });
    let first = agent.call("command_cancel", cancel.clone()).await;
    assert_eq!((&first["status"], &first["changed"]), (&json!("cancelled"), &json!(true)), "{first}");
    let again = agent.call("command_cancel", cancel).await;
    assert_eq!((&again["status"], &again["changed"]), (&json!("cancelled"), &json!(false)), "{again}");
}

async fn what_is_not_the_callers_looks_absent(demo: Demo) {
    let (agent, vm, other) = (Agent::of(&demo, "customer"), demo.text("/vms/0/id"), demo.text("/vms/1/id"));
    enable(&agent, vm).await;
    let ran = agent.call("vm_exec", json!({ "vm_id": vm, "command": "echo secret" })).await;
    let confined =
        agent.with_key(json!({ "label": "confined", "scopes": ["vms:read", "vms:exec", "audit:read"], "vms": [other] })).await;
    for (tool, field, code) in [
        ("command_get", "command_id", "command_not_found"),
        ("command_logs", "command_id", "command_not_found"),
        ("command_cancel", "command_id", "command_not_found"),
        ("operation_get", "operation_id", "operation_not_found"),
        ("operation_wait", "operation_id", "operation_not_found"),
    ] {
        let mut hidden = confined.call(tool, json!({ field: ran["command_id"] })).await;
        let mut absent = confined.call(tool, json!({ field: "call_01ARZ3NDEKTSV4RRFFQ69G5FAV" })).await;
        assert_eq!(hidden["error"]["code"], code, "{tool}: {hidden}");
        for answer in [&mut hidden, &mut absent] {
            answer["error"]["call_id"] = Value::Null;
        }
        assert_eq!(hidden, absent, "{tool}");
    }
    let seen = confined.call("vm_list", json!({})).await;
    assert_eq!(seen["items"].as_array().map(Vec::len), Some(1), "{seen}");
    let own = confined.call("activity_list", json!({})).await;
    assert!(own["items"].as_array().expect("calls").iter().all(|call| call["tool"] != "vm_exec"), "{own}");
}

async fn stops_reach_as_far_as_they_may_and_no_further(demo: Demo) {
    let (agent, vm) = (Agent::of(&demo, "customer"), demo.text("/vms/0/id"));
    let (first, second) = (Agent::of(&demo, "staff"), Agent::of(&demo, "staff2"));
    enable(&agent, vm).await;
    let echo = json!({ "vm_id": vm, "command": "echo yes" });

    let switch = first.call("switch_engage", json!({ "target": "class:exec", "reason": "an incident" })).await;
    assert_eq!(switch["fenced"], true, "{switch}");
    assert_eq!(agent.code("vm_exec", echo.clone()).await, "kill_switch_engaged");
    let release = json!({ "id": switch["id"] });
    for _ in 0..2 {
        let asked = first.call("switch_release", release.clone()).await;
        assert_eq!((&asked["outcome"], &asked["released"]), (&json!("release_requested"), &json!(false)), "{asked}");
        assert!(asked["needs"].as_str().is_some_and(|who| who.starts_with("Another person of the staff")), "{asked}");
    }
    assert_eq!(agent.code("vm_exec", echo.clone()).await, "kill_switch_engaged");
    let released = second.call("switch_release", release).await;
    assert_eq!((&released["outcome"], &released["released"]), (&json!("released"), &json!(true)), "{released}");
    assert_eq!(agent.call("vm_exec", echo.clone()).await["exit_code"], 0);
    let typo = json!({ "target": "vm:vm_01ARZ3NDEKTSV4RRFFQ69G5FAV", "reason": "a slip" });
    assert_eq!(first.code("switch_engage", typo).await, "not_found");

    let confined = agent.with_key(json!({ "label": "confined", "scopes": ["vms:read"], "vms": [vm] })).await;
    let account = json!({ "reason": "help", "target": "account" });
    assert_eq!(confined.code("panic_engage", account).await, "forbidden_resource");
    let stopped = confined.call("panic_engage", json!({ "reason": "help", "target": "vms" })).await;
    assert_eq!(stopped["switches"][0]["target"], format!("vm:{vm}"), "{stopped}");
    assert_eq!(agent.code("vm_exec", echo).await, "kill_switch_engaged");
    assert_eq!(agent.code("switch_release", json!({ "id": stopped["switches"][0]["id"] })).await, "forbidden_scope");
}

async fn a_drill_tries_the_switches_and_touches_nobody(demo: Demo) {
    let (agent, staff, second) = (Agent::of(&demo, "customer"), Agent::of(&demo, "staff"), Agent::of(&demo, "staff2"));
    assert_eq!(agent.code("switch_drill", json!({})).await, "forbidden_scope");
    let drill = staff.call("switch_drill", json!({})).await;
    assert_eq!((&drill["passed"], &drill["failed"]), (&json!(true), &Value::Null), "{drill}");
    assert_eq!((&drill["admitted_after"], &drill["nodes"]), (&json!(0), &json!(1)), "{drill}");
    let time = |name: &str| drill[name].as_u64().unwrap_or_else(|| panic!("no {name}: {drill}"));
    assert!(time("refused_after_us") > 0 && time("fenced_after_us") > 0, "{drill}");
    println!("first refusal after {} us, fenced after {} us", time("refused_after_us"), time("fenced_after_us"));

    let get = async |who: &Agent<'_>, path: &str| -> Value {
        let url = format!("{}/api/v1/{path}", demo.text("/base_url"));
        let sent = reqwest::Client::new().get(url).bearer_auth(&who.key).send().await.expect("an answer");
        sent.json().await.expect("a document")
    };
    let seen = async |who: &Agent<'_>| get(who, "events?limit=200&reason=the+drill").await["items"].clone();
    let completed = async {
        loop {
            let events = seen(&staff).await;
            let found = events.as_array().into_iter().flatten().find(|event| event["type"] == "drill_completed").cloned();
            if found.is_some() {
                return events;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let events = tokio::time::timeout(std::time::Duration::from_secs(20), completed).await.expect("the drill is an event");
    let key = events.as_array().expect("events").iter().find(|event| event["note"]["label"] == "canary of a drill");
    let key = key.unwrap_or_else(|| panic!("its key is not called what it is: {events}"))["subject"].clone();
    let revoked = events.as_array().expect("events").iter();
    assert!(revoked.into_iter().any(|event| event["type"] == "credential_revoked" && event["subject"] == key), "it lives on");
    assert_eq!(staff.call("switch_list", json!({})).await["items"], json!([]), "its switch is left");
    let customers = seen(&agent).await.to_string();
    assert!(!customers.contains("drill") && !customers.contains(key.as_str().expect("an id")), "a customer sees it: {customers}");
    let calls = get(&staff, &format!("calls?credential={}&reason=the+drill&limit=200", key.as_str().expect("an id"))).await;
    let tools: std::collections::BTreeSet<_> =
        calls["items"].as_array().expect("calls").iter().map(|call| call["tool"].to_string()).collect();
    assert_eq!(tools.len(), 1, "the key did anything but look: {tools:?}");
    assert_eq!(agent.call("vm_list", json!({})).await["error"], Value::Null);

    // Where nothing passes a drill proves nothing, and says so.
    let all = staff.call("switch_engage", json!({ "target": "all", "reason": "an incident" })).await;
    let failed = second.call("switch_drill", json!({})).await;
    assert_eq!(failed["error"]["code"], "kill_switch_engaged", "{failed}");
    second.call("switch_release", json!({ "id": all["id"] })).await;
    let tool = staff.call("switch_engage", json!({ "target": "tool:vm_list", "reason": "an incident" })).await;
    let failed = second.call("switch_drill", json!({})).await;
    assert_eq!((&failed["passed"], &failed["failed"]), (&json!(false), &json!("nothing_passed")), "{failed}");
    second.call("switch_release", json!({ "id": tool["id"] })).await;
}
