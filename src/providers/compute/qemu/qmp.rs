//! Client of QEMU's machine protocol: one connection per request, because QEMU serves one client at a time and another
//! process of ours may want to ask too.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::wire::{Allowance, Fault, Line, read_answer, read_document};
use crate::providers::Permit;
use crate::providers::compute::PowerState;

const ANSWER: Duration = Duration::from_secs(5);
/// For one connection: more than the console's text with each letter written out, and some events in between.
const ALLOWANCE: Allowance = Allowance { bytes: 1 << 20, lines: 256 };

/// A QEMU process as it says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    /// Its process id, told by the kernel and not by a file.
    pub(super) pid: Option<i32>,
    /// Its name: the machine and the call that started it. None if it does not say.
    pub(super) name: Option<String>,
    /// Whether its processors run.
    pub(super) power: PowerState,
}

/// Sends one command to the QEMU of the machine in `dir`.
pub(super) async fn execute(dir: &Path, command: &str, arguments: Value, permit: Option<Permit>) -> Result<Value, Fault> {
    let sent = AtomicBool::new(false);
    let work = async {
        let mut line = greet(dir).await?;
        sent.store(true, Ordering::Relaxed);
        ask(&mut line, command, arguments, permit).await
    };
    let Ok(result) = timeout(ANSWER, work).await else {
        let why = format!("{command} was not answered");
        return Err(if sent.load(Ordering::Relaxed) { Fault::Lost(why) } else { Fault::Unsent(why) });
    };
    result
}

/// Who runs the machine in `dir`, and whether it runs.
pub(super) async fn inspect(dir: &Path) -> Result<Process, Fault> {
    let work = async {
        let mut line = greet(dir).await?;
        let name = ask(&mut line, "query-name", json!({}), None).await?;
        let status = ask(&mut line, "query-status", json!({}), None).await?;
        let name = name.get("name").and_then(Value::as_str).map(str::to_owned);
        Ok(Process { pid: line.peer, name, power: read_power(&status) })
    };
    let result = timeout(ANSWER, work).await.unwrap_or_else(|_| Err(Fault::Unsent("QEMU does not answer".into())));
    result.map_err(Fault::of_question)
}

async fn greet(dir: &Path) -> Result<Line, Fault> {
    let mut line = Line::connect(dir, super::wire::QMP_SOCKET).await?;
    line.allow(ALLOWANCE);
    line.receive().await.map_err(|e| Fault::Unsent(format!("greeting QEMU: {e}")))?;
    ask(&mut line, "qmp_capabilities", json!({}), None).await.map_err(Fault::of_question)?;
    Ok(line)
}

async fn ask(line: &mut Line, command: &str, arguments: Value, permit: Option<Permit>) -> Result<Value, Fault> {
    let lost = |e: std::io::Error| Fault::Lost(format!("talking to QEMU: {e}"));
    // An answer carries what it is the answer to; each command is sent once on a connection.
    line.send(&[], &json!({"execute": command, "arguments": arguments, "id": command}), permit).await.map_err(lost)?;
    loop {
        let document = read_document(&line.receive().await.map_err(lost)?).unwrap_or(Value::Null);
        // Events come in between and are nobody's answer.
        let answers = document.get("id").and_then(Value::as_str) == Some(command);
        if let Some(answer) = read_answer(&document).filter(|_| answers) {
            return answer;
        }
    }
}

fn read_power(status: &Value) -> PowerState {
    match status.get("status").and_then(Value::as_str) {
        Some("running") => PowerState::Running,
        Some(
            "paused" | "suspended" | "prelaunch" | "inmigrate" | "postmigrate" | "finish-migrate" | "save-vm" | "restore-vm",
        ) => PowerState::Paused,
        Some("shutdown") => PowerState::Stopped,
        _ => PowerState::Unknown,
    }
}
