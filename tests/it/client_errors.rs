//! What real MCP clients make of every way in which a call does not simply succeed. Each lists the tools first, so that it
//! knows what results were promised, and must then hand its agent the code, not a complaint of its own.

use std::path::Path;
use std::time::Duration;

use forelog::core::hold::Hold;
use forelog::core::limit::Limit;
use forelog::core::scope::Scope;
use forelog::http::Settings;
use serde_json::{Value, json};

use crate::clients::{here, run};
use crate::demo::Demo;
use crate::harness::{TestApp, generous};
use crate::tools;

/// The clients, and the version that each is to speak.
const CLIENTS: [(&str, &str); 4] =
    [("calls-v1.mjs", "2025-11-25"), ("calls.mjs", "2025-11-25"), ("calls.mjs", "2026-07-28"), ("calls.py", "2026-07-28")];

/// Calls, and the code that each ends with; none if it is answered with a document.
type Expected = Vec<(&'static str, Value, Option<&'static str>)>;

/// What a client saw of each call.
async fn answers(script: &str, version: &str, url: &str, key: &str, calls: &Expected) -> Vec<Value> {
    let is_python = Path::new(script).extension().is_some_and(|extension| extension == "py");
    let program = tools::find(if is_python { "FORELOG_PYTHON" } else { "FORELOG_NODE" });
    let asked: Vec<Value> = calls.iter().map(|(name, args, _)| json!({ "name": name, "arguments": args })).collect();
    let (path, asked) = (here(script), json!(asked).to_string());
    let mut arguments = vec![path.as_str(), url, key, asked.as_str()];
    if script == "calls.mjs" && version == "2026-07-28" {
        arguments.push(version);
    }
    let output = run(program, &arguments).await.unwrap_or_else(|error| panic!("{script}: {error}"));
    let seen: Value = serde_json::from_str(&output).expect("one JSON document");
    assert_eq!(seen["protocol"], version, "{script}");
    seen["answers"].as_array().expect("answers").clone()
}

fn check(script: &str, version: &str, calls: &Expected, answers: &[Value]) {
    assert_eq!(answers.len(), calls.len(), "{script} {version}");
    for ((name, args, code), answer) in calls.iter().zip(answers) {
        let about = format!("{script} {version}: {name} {args}: {answer}");
        assert_eq!(answer["thrown"], Value::Null, "the client put its own words in place of the answer: {about}");
        assert_eq!(answer["isError"], json!(code.is_some()), "{about}");
        let text: Value = serde_json::from_str(answer["text"].as_str().expect("text")).expect("the text is the document");
        assert_eq!(text["error"]["code"], json!(code), "{about}");
        assert_eq!(text, answer["structuredContent"], "text and structure say the same: {about}");
    }
}

#[tokio::test]
async fn client_every_code_of_the_demo_reaches_every_client() {
    let mut tasks = Vec::new();
    for (script, version) in CLIENTS {
        tasks.push(async move {
            let demo = Demo::start().await;
            let vm = demo.document()["vms"][0]["id"].as_str().expect("a VM").to_owned();
            let stop = json!({ "vm_id": vm, "action": "stop", "confirm": true, "idempotency_key": "k" });
            let other = json!({ "vm_id": vm, "action": "reboot", "confirm": true, "idempotency_key": "k" });
            let calls: Expected = vec![
                ("vm_list", json!({}), None),
                ("vm_list", json!({ "limit": 10.0, "cursor": null }), None),
                ("vm_power", json!({ "vm_id": vm, "action": "reboot" }), Some("confirmation_required")),
                (
                    "vm_power",
                    json!({ "vm_id": vm, "action": "reboot", "confirm": true, "current_label": "no" }),
                    Some("validation_failed"),
                ),
                ("vm_exec_set", json!({ "vm_id": vm, "enabled": true }), Some("confirmation_required")),
                ("vm_exec_set", json!({ "vm_id": vm, "enabled": true, "confirmation": "yes" }), Some("phrase_mismatch")),
                ("vm_exec", json!({ "vm_id": vm, "command": "true" }), Some("mcp_exec_disabled")),
                ("command_start", json!({ "vm_id": vm, "command": "true" }), Some("mcp_exec_disabled")),
                ("vm_get", json!({ "vm_id": "nobody" }), Some("vm_not_found")),
                ("vm_list", json!({ "limit": "x" }), Some("validation_failed")),
                ("vm_list", json!({ "sudo": true }), Some("validation_failed")),
                ("activity_list", json!({ "q": "created:<" }), Some("validation_failed")),
                ("operation_get", json!({ "operation_id": "call_none" }), Some("operation_not_found")),
                ("command_get", json!({ "command_id": "call_none" }), Some("command_not_found")),
                ("vm_power", json!({ "vm_id": vm, "action": "start" }), Some("vm_state_blocked")),
                ("vm_power", stop.clone(), None),
                ("vm_power", stop.clone(), None),
                ("vm_power", other, Some("idempotency_conflict")),
                ("panic_engage", json!({ "reason": "over" }), None),
                ("vm_list", json!({}), Some("kill_switch_engaged")),
            ];
            let seen = answers(script, version, demo.mcp_url(), demo.customer_key(), &calls).await;
            check(script, version, &calls, &seen);
        });
    }
    futures::future::join_all(tasks).await;
}

#[tokio::test]
async fn client_every_code_of_the_pipeline_reaches_every_client() {
    let app = TestApp::with(Settings { wait: Duration::from_secs(1), ..generous() }).await;
    let url = format!("http://{}/mcp", app.address);
    let one = Limit { admit: 1, window_ms: 3_600_000 };
    for (script, version) in CLIENTS {
        let see = async |key: &str, calls: Expected| {
            let seen = answers(script, version, &url, key, &calls).await;
            check(script, version, &calls, &seen);
        };
        let limited = app.key(|key| key.limit = Some(one)).await;
        see(&limited.text, vec![("probe_read", json!({}), None), ("probe_read", json!({}), Some("rate_limited"))]).await;
        let poor = app.key(|key| key.scopes.retain(|scope| *scope != Scope::VmsWrite)).await;
        see(&poor.text, vec![("probe_write", json!({}), Some("forbidden_scope"))]).await;
        let reader = app.key(|key| key.read_only = true).await;
        see(&reader.text, vec![("probe_write", json!({}), Some("read_only_mode"))]).await;
        // Shut, calls go on for longer than their callers wait, and are answered with the running operation.
        let key = app.key(|_| {}).await;
        app.test_node.world.shut();
        let keyed = json!({ "idempotency_key": format!("{script}{version}").replace('.', "-") });
        see(
            &key.text,
            vec![("probe_write", keyed.clone(), None), ("probe_write", keyed.clone(), None), ("probe_queued", json!({}), None)],
        )
        .await;
        app.test_node.world.open();
        app.test_node.world.hold(Some(Hold::new("it interrupts service")));
        see(&key.text, vec![("probe_write", json!({ "text": "held" }), Some("approval_required"))]).await;
        app.test_node.world.hold(None);
    }
}
