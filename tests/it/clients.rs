//! Real MCP clients of other makers against the real binary: each connects with the customer's key, lists the tools, calls
//! `vm_list` and must come back with the machines of the demo.

use crate::demo::Demo;
use crate::tools;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;

const TIMEOUT: Duration = Duration::from_mins(1);
const TOOL: &str = "vm_list";

/// What a client saw.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Seen {
    protocol: Option<String>,
    tools: Vec<String>,
    structured_content: Value,
    is_error: bool,
}

#[tokio::test]
async fn client_typescript_by_default_speaks_2025_11_25() {
    assert_serves("typescript.mjs", &[], "2025-11-25").await;
}

#[tokio::test]
async fn client_typescript_pinned_speaks_2026_07_28() {
    assert_serves("typescript.mjs", &["2026-07-28"], "2026-07-28").await;
}

#[tokio::test]
async fn client_typescript_v1_speaks_2025_11_25() {
    assert_serves("typescript-v1.mjs", &[], "2025-11-25").await;
}

#[tokio::test]
async fn client_python_speaks_2026_07_28() {
    assert_serves("python.py", &[], "2026-07-28").await;
}

#[tokio::test]
async fn client_inspector_serves_both_eras() {
    let demo = Demo::start().await;
    let key = format!("Authorization: Bearer {}", demo.customer_key());
    assert_inspected(&demo, &[demo.mcp_url(), "--transport", "http", "--header", &key]).await;
}

/// The same client starts a pipe: to the URL, and to the server of the data directory.
#[tokio::test]
async fn client_inspector_serves_both_eras_by_a_pipe() {
    let demo = Demo::start().await;
    let (key, data) = (format!("FORELOG_API_KEY={}", demo.customer_key()), demo.data().to_str().expect("a path"));
    for to in [["--url", demo.mcp_url()], ["--data", data]] {
        assert_inspected(&demo, &[env!("CARGO_BIN_EXE_forelog"), "stdio", to[0], to[1], "-e", &key]).await;
    }
}

async fn assert_inspected(demo: &Demo, connect: &[&str]) {
    for era in ["legacy", "modern"] {
        let connect = [connect, &["--protocol-era", era]].concat();
        let listed = inspect(demo, &connect, &["--method", "tools/list"]).await;
        let called = inspect(demo, &connect, &["--method", "tools/call", "--tool-name", TOOL]).await;
        let tools = listed.pointer("/result/tools").and_then(Value::as_array).expect("tools");
        let result = called.get("result").expect("a result");
        let seen = Seen {
            protocol: None,
            tools: tools.iter().filter_map(|tool| Some(tool.get("name")?.as_str()?.to_owned())).collect(),
            structured_content: result.get("structuredContent").cloned().unwrap_or_default(),
            is_error: result.get("isError") == Some(&Value::Bool(true)),
        };
        assert_saw_the_fleet(demo, &seen, era);
    }
}

#[tokio::test]
async fn client_inspector_finds_no_fault_in_the_schemas() {
    let demo = Demo::start().await;
    let key = format!("Authorization: Bearer {}", demo.customer_key());
    let connect = [demo.mcp_url(), "--transport", "http", "--header", &key, "--protocol-era", "modern"];
    inspect(&demo, &connect, &["--method", "tools/list", "--strict"]).await;
}

#[tokio::test]
async fn client_with_a_wrong_key_is_turned_away() {
    let demo = Demo::start().await;
    let script = here("typescript.mjs");
    let wrong = format!("{}x", demo.customer_key());
    let output = run(tools::find("FORELOG_NODE"), &[&script, demo.mcp_url(), &wrong, TOOL]).await;
    assert!(output.is_err_and(|error| error.contains("401") || error.contains("Unauthorized")));
}

async fn assert_serves(script: &str, more: &[&str], protocol: &str) {
    let demo = Demo::start().await;
    let is_python = Path::new(script).extension().is_some_and(|extension| extension == "py");
    let program = tools::find(if is_python { "FORELOG_PYTHON" } else { "FORELOG_NODE" });
    let script = here(script);
    let arguments = [&[script.as_str(), demo.mcp_url(), demo.customer_key(), TOOL], more].concat();
    let output = run(program, &arguments).await.unwrap_or_else(|error| panic!("{error}\n{}", demo.log()));
    let seen: Seen = serde_json::from_str(&output).expect("one JSON document");
    assert_eq!(seen.protocol.as_deref(), Some(protocol));
    assert_saw_the_fleet(&demo, &seen, &script);
}

fn assert_saw_the_fleet(demo: &Demo, seen: &Seen, client: &str) {
    assert!(!seen.is_error, "{client}: {}", seen.structured_content);
    assert!(seen.tools.iter().any(|tool| tool == TOOL), "{client}: {:?}", seen.tools);
    let fleet: Vec<_> = ids(demo.document().get("vms").expect("demo.json names its VMs"));
    assert!(!fleet.is_empty(), "the demo has no VMs");
    let told = seen.structured_content.to_string();
    for vm in fleet {
        assert!(told.contains(&vm), "{client}: no {vm} in {told}");
    }
}

/// VMs are named by id, alone or in an object.
fn ids(vms: &Value) -> Vec<String> {
    let id = |vm: &Value| vm.get("id").unwrap_or(vm).as_str().map(str::to_owned);
    vms.as_array().into_iter().flatten().filter_map(id).collect()
}

async fn inspect(demo: &Demo, connect: &[&str], arguments: &[&str]) -> Value {
    let inspector = tools::find("FORELOG_NODE_MODULES").join(".bin/mcp-inspector");
    let inspector = inspector.to_str().expect("a readable path");
    let words = [&[inspector, "--cli"], connect, arguments, &["--format", "json"]].concat();
    let output = run(tools::find("FORELOG_NODE"), &words).await;
    let output = output.unwrap_or_else(|error| panic!("{connect:?}: {error}\n{}", demo.log()));
    serde_json::from_str(&output).expect("one JSON document")
}

/// Standard output of a command that succeeds, else what it complained of.
pub async fn run(program: PathBuf, arguments: &[&str]) -> Result<String, String> {
    let home = tempfile::tempdir().expect("a home");
    let command = Command::new(program)
        .args(arguments)
        .env("HOME", home.path())
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(TIMEOUT, command).await.expect("the client ends in time").expect("run the client");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// The path of a script of ours.
pub fn here(script: &str) -> String {
    format!("{}/tests/clients/{script}", env!("CARGO_MANIFEST_DIR"))
}
