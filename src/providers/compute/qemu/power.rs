//! Power changes, and how it is told afterwards whether one happened that nobody saw end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::{sleep, timeout};

use super::agent::Agent;
use super::changes::Turn;
use super::journal::{Action, Before, Entry, Journal};
use super::machines::{Machines, unreadable};
use super::process;
use super::qmp::{self, Process};
use super::wire::Fault;
use crate::core::id::CallId;
use crate::providers::Permit;
use crate::providers::compute::{Effect, MachineRef, PowerAction, PowerState, ProviderError};

/// How long a guest may take to turn itself off, or to be back after a reboot.
const GUEST_TIME: Duration = Duration::from_secs(90);
/// How long a started machine's guest is waited for; it counts as started without.
const BOOT: Duration = Duration::from_mins(1);
/// After this long a request that was left in the air has either arrived or never will.
const SETTLED: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// One change of one machine, with what it needs at hand.
struct Change<'a> {
    machines: &'a Machines,
    machine: &'a MachineRef,
    home: PathBuf,
    agent: Arc<Agent>,
    running: Option<Process>,
}

/// Changes the power and returns when the change is complete.
pub(super) async fn change(
    machines: &Machines,
    machine: &MachineRef,
    action: PowerAction,
    call: &CallId,
    permit: Permit,
) -> Result<(), ProviderError> {
    let home = machines.find(machine)?;
    let turn = Turn::take(&home, call).await?;
    let change = Change { machines, machine, agent: machines.agent(machine)?, running: running_process(&home).await?, home };
    change.check(action)?;
    // Chosen before the journal is opened: it starts a process of its own and takes seconds.
    machines.accelerator().await?;
    let before = change.observe(action).await?;
    let entry = Entry {
        call: call.clone(),
        action: Action::Power(action),
        at: machines.clock.now(),
        before: before.clone(),
        ending: None,
    };
    turn.make(entry, change.carry_out(action, call, &before, permit)).await?;
    if matches!(action, PowerAction::Start | PowerAction::Reset) {
        await_boot(&change.agent, None, BOOT).await;
    }
    Ok(())
}

impl Change<'_> {
    /// What the machine's state does not allow.
    fn check(&self, action: PowerAction) -> Result<(), ProviderError> {
        let power = self.running.as_ref().map_or(PowerState::Stopped, |process| process.power);
        let refused = match (action, power) {
            (PowerAction::Start, PowerState::Stopped) | (PowerAction::Stop, PowerState::Paused | PowerState::Unknown) => None,
            (PowerAction::Start, _) => Some("it is not off"),
            (_, PowerState::Running) => None,
            (_, PowerState::Stopped) => Some("it is off"),
            (_, PowerState::Paused) => Some("it is paused"),
            (_, PowerState::Unknown) => Some("it does not answer"),
        };
        refused.map_or(Ok(()), |why| Err(ProviderError::State(why.into())))
    }

    /// What a later look is held against. A reboot is asked of the guest, so the guest must listen.
    async fn observe(&self, action: PowerAction) -> Result<Before, ProviderError> {
        let boot = match action {
            PowerAction::Reboot => Some(read_boot(&self.agent).await.map_err(|fault| fault.of_question().of_guest())?),
            PowerAction::Reset => read_boot(&self.agent).await.ok(),
            PowerAction::Start | PowerAction::Shutdown | PowerAction::Stop => None,
        };
        Ok(Before { process: self.running.as_ref().and_then(|process| process.name.clone()), boot })
    }

    async fn carry_out(&self, action: PowerAction, call: &CallId, before: &Before, permit: Permit) -> Result<(), ProviderError> {
        match action {
            PowerAction::Start => self.start(call, permit).await,
            PowerAction::Stop => process::end(&self.home, permit).await,
            PowerAction::Shutdown => self.shut_down(permit).await,
            PowerAction::Reboot => self.reboot(before.boot.as_deref(), permit).await,
            PowerAction::Reset => {
                qmp::execute(&self.home, "system_reset", json!({}), Some(permit)).await.map(|_| ()).map_err(Fault::of_machine)
            }
        }
    }

    async fn start(&self, call: &CallId, permit: Permit) -> Result<(), ProviderError> {
        match std::fs::remove_file(self.home.join(process::STARTED)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(unreadable(e)),
            _ => {}
        }
        process::start(self.machines, self.machine, call, permit).await
    }

    async fn shut_down(&self, permit: Permit) -> Result<(), ProviderError> {
        let pid = self.running.as_ref().and_then(|process| process.pid);
        qmp::execute(&self.home, "system_powerdown", json!({}), Some(permit)).await.map_err(Fault::of_machine)?;
        if process::await_end(pid.unwrap_or_default(), GUEST_TIME).await {
            return Ok(());
        }
        Err(ProviderError::AnswerLost("the guest was asked to turn off and is still on".into()))
    }

    async fn reboot(&self, old: Option<&str>, permit: Permit) -> Result<(), ProviderError> {
        self.agent.send_only("guest-shutdown", json!({"mode": "reboot"}), permit).await.map_err(Fault::of_guest)?;
        if await_boot(&self.agent, old, GUEST_TIME).await {
            return Ok(());
        }
        Err(ProviderError::AnswerLost("the guest was asked to reboot and did not come back".into()))
    }
}

/// What became of a change whose end nobody saw.
pub(super) async fn judge(
    machines: &Machines,
    machine: &MachineRef,
    journal: &Journal,
    entry: &Entry,
    action: PowerAction,
) -> Result<Effect, ProviderError> {
    let home = machines.find(machine)?;
    let Ok(running) = running_process(&home).await else {
        return Ok(Effect::CannotTell);
    };
    let age = machines.clock.now().since(entry.at);
    let superseded = journal.has_later(entry).map_err(unreadable)?;
    let effect = match action {
        // It may be the one that ran before, or another: it does not say.
        _ if running.as_ref().is_some_and(|process| process.name.is_none()) => Effect::CannotTell,
        PowerAction::Start => judge_start(&home, machine, entry, running.as_ref(), superseded),
        PowerAction::Stop => judge_stop(entry, running.as_ref(), superseded),
        PowerAction::Shutdown | PowerAction::Reboot | PowerAction::Reset => {
            judge_guest(entry, action, running.as_ref(), superseded, &*machines.agent(machine)?).await
        }
    };
    let patience = if matches!(action, PowerAction::Start | PowerAction::Stop) { SETTLED } else { GUEST_TIME + SETTLED };
    // Too early to say no: what was sent may still arrive.
    Ok(if effect != Effect::Happened && age < patience { Effect::Running } else { effect })
}

/// The process carries the call that started it in its name, and leaves a file behind.
fn judge_start(home: &Path, machine: &MachineRef, entry: &Entry, running: Option<&Process>, superseded: bool) -> Effect {
    match running {
        Some(process) if process.name.as_ref() == Some(&process::name_process(machine, &entry.call)) => Effect::Happened,
        _ if superseded => Effect::CannotTell,
        None if home.join(process::STARTED).exists() => Effect::Happened,
        None => Effect::DidNotHappen,
        Some(_) => Effect::CannotTell,
    }
}

fn judge_stop(entry: &Entry, running: Option<&Process>, superseded: bool) -> Effect {
    match running {
        _ if entry.before.process.is_none() => Effect::CannotTell,
        Some(process) if process.name == entry.before.process => Effect::DidNotHappen,
        _ if superseded => Effect::CannotTell,
        _ => Effect::Happened,
    }
}

/// Shutdown, reboot and reset show in whether the process is there and in the guest's boot id.
async fn judge_guest(entry: &Entry, action: PowerAction, running: Option<&Process>, superseded: bool, agent: &Agent) -> Effect {
    if superseded || entry.before.process.is_none() {
        return Effect::CannotTell;
    }
    let same = running.is_some_and(|process| process.name == entry.before.process);
    if action == PowerAction::Shutdown {
        // A guest that still listens long after it was asked is not turning itself off.
        let listens = same && agent.listens(Duration::from_secs(3)).await.is_ok();
        return match (same, listens) {
            (false, _) => Effect::Happened,
            (true, true) => Effect::DidNotHappen,
            (true, false) => Effect::CannotTell,
        };
    }
    match (read_boot(agent).await, &entry.before.boot) {
        (Ok(now), Some(then)) if same && now == *then => Effect::DidNotHappen,
        (Ok(_), Some(_)) if same => Effect::Happened,
        _ => Effect::CannotTell,
    }
}

/// The machine's process, if it has one; without a name if it does not answer, or does not listen yet.
pub(super) async fn running_process(home: &Path) -> Result<Option<Process>, ProviderError> {
    let fault = match qmp::inspect(home).await {
        Ok(process) => return Ok(Some(process)),
        Err(fault) => fault,
    };
    match (process::find(home), fault) {
        (Some(pid), _) => Ok(Some(Process { pid: Some(pid), name: None, power: PowerState::Unknown })),
        (None, Fault::Absent) => Ok(None),
        (None, fault) => Err(fault.of_machine()),
    }
}

async fn read_boot(agent: &Agent) -> Result<String, Fault> {
    Ok(agent.read_text(BOOT_ID).await?.trim().to_owned())
}

/// Waits until the guest listens and its boot id is not `old`.
async fn await_boot(agent: &Agent, old: Option<&str>, at_most: Duration) -> bool {
    timeout(at_most, async {
        loop {
            // Asked in short turns: what a booting guest does not hear is gone.
            let listens = agent.listens(Duration::from_millis(500)).await.is_ok();
            if listens && read_boot(agent).await.is_ok_and(|now| Some(now.as_str()) != old) {
                return;
            }
            sleep(POLL).await;
        }
    })
    .await
    .is_ok()
}
