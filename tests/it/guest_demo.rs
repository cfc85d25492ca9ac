//! The whole way, from a key over the log to a real guest and back: `forelog demo --provider qemu`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::demo::Demo;
use crate::tools;

/// An agent with the example customer's key, and one VM.
struct Agent {
    demo: Demo,
    client: reqwest::Client,
    vm: String,
}

impl Agent {
    async fn start() -> Self {
        let demo = Demo::start_with_guests(&tools::find("FORELOG_GUEST_IMAGE")).await;
        let vm = demo.text("/vms/0/id").to_owned();
        Self { demo, client: reqwest::Client::new(), vm }
    }

    async fn call(&self, tool: &str, mut args: Value) -> Value {
        if tool.starts_with("vm_") && tool != "vm_list" || tool == "command_start" {
            args["vm_id"] = json!(self.vm);
        }
        let url = format!("{}/api/v1/tools/{tool}", self.demo.text("/base_url"));
        let sent = self.client.post(url).bearer_auth(self.demo.customer_key()).json(&args).send().await.expect("an answer");
        let answer: Value = sent.json().await.expect("a document");
        assert!(answer.get("error").is_none(), "{tool}: {answer}");
        answer
    }

    async fn allow_exec(&self) {
        let phrase = format!("ENABLE MCP EXEC {}", self.vm);
        self.call("vm_exec_set", json!({ "enabled": true, "confirmation": phrase })).await;
    }

    async fn sh(&self, command: &str) -> String {
        let answer = self.call("vm_exec", json!({ "command": command })).await;
        assert_eq!(answer["exit_code"], 0, "{answer}");
        answer["stdout"].as_str().expect("standard output").trim().to_owned()
    }

    /// Starts a command that prints a line each second, follows it by offset for `length`, cancels it, and sees it gone.
    async fn tail_and_cancel(&self, length: Duration) {
        let command = "n=0; while :; do n=$((n+1)); echo line $n; sleep 1; done";
        let started = self.call("command_start", json!({ "command": command, "timeout_seconds": 7200 })).await;
        let id = started["command_id"].as_str().expect("a command").to_owned();
        let (mut offset, mut text) = (0, String::new());
        let following = async {
            while text.lines().count() < usize::try_from(length.as_secs()).expect("a short test") {
                let more = self.call("command_logs", json!({ "command_id": id, "stdout_offset": offset })).await;
                text.push_str(more["stdout"].as_str().expect("a chunk"));
                offset = more["next_stdout_offset"].as_u64().expect("an offset");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        tokio::time::timeout(length * 3 + Duration::from_secs(30), following).await.expect("the lines come");
        for (line, n) in text.lines().zip(1..) {
            assert_eq!(line, format!("line {n}"), "nothing is lost or repeated between two offsets");
        }
        self.call("command_cancel", json!({ "command_id": id })).await;
        let ended = self.call("operation_wait", json!({ "operation_id": id })).await;
        assert_eq!(ended["status"], "cancelled", "{ended}");
        // The place is free again, and the process is gone.
        assert_eq!(self.sh("ps | grep -c '[s]leep 1' || true").await, "0");
    }
}

#[tokio::test]
async fn guest_demo_runs_commands_and_turns_machines_off_and_on() {
    let agent = Agent::start().await;
    let listed = agent.call("vm_list", json!({})).await;
    assert!(listed["items"].as_array().is_some_and(|items| items.iter().all(|vm| vm["simulation"] == json!(false))), "{listed}");
    agent.allow_exec().await;
    assert!(agent.sh("uname -a").await.starts_with("Linux"));
    let boot = agent.sh("cat /proc/sys/kernel/random/boot_id").await;
    agent.call("vm_power", json!({ "action": "reboot", "confirm": true })).await;
    assert_ne!(agent.sh("cat /proc/sys/kernel/random/boot_id").await, boot, "it has booted anew");
    agent.call("vm_power", json!({ "action": "shutdown", "confirm": true })).await;
    assert_eq!(agent.call("vm_get", json!({})).await["power"], "stopped");
    agent.call("vm_power", json!({ "action": "start" })).await;
    assert!(agent.sh("uname -a").await.starts_with("Linux"));
}

#[tokio::test]
async fn guest_demo_follows_a_long_command_and_cancels_it() {
    let agent = Agent::start().await;
    agent.allow_exec().await;
    agent.tail_and_cancel(Duration::from_secs(20)).await;
}

#[tokio::test]
#[ignore = "five minutes: `just soak`"]
async fn guest_demo_soak_follows_a_command_for_five_minutes() {
    let agent = Agent::start().await;
    agent.allow_exec().await;
    agent.tail_and_cancel(Duration::from_mins(5)).await;
}
