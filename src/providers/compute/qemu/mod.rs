//! Real virtual machines on this host, by QEMU: one directory of machines, one process a machine.
//!
//! Reading order: `machines` (what lies in the directory), `process` (QEMU itself), `wire`, `qmp` and `agent`
//! (how it and its guest are spoken to), `changes` with `journal` (what is changed, and what became of it), `power` and `rename`, `jobs`.

mod accelerator;
mod agent;
mod changes;
mod effect;
mod jobs;
mod journal;
mod machines;
mod power;
mod process;
mod qmp;
mod rename;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{join_all, try_join_all};

use self::agent::Agent;
use self::jobs::Jobs;
use self::machines::Machines;
pub use self::machines::{ImageDir, MachineSpec};
use self::wire::Fault;
use super::{
    Capabilities, Compute, Effect, GuestJobs, Hostname, LiveStats, Machine, MachineRef, PowerAction, PowerState, ProviderError,
    Stats,
};
use crate::core::id::{CallId, NodeId};
use crate::core::time::Clock;
use crate::providers::Permit;
use crate::providers::journal_nodes::JournalNodes;

/// The provider of real virtual machines on this host.
pub struct Qemu {
    machines: Arc<Machines>,
    jobs: Arc<Jobs>,
}

impl Qemu {
    /// Opens the machines in `dir`, making it if it is not there. Machines that run already are found again.
    pub fn open(dir: PathBuf, image: ImageDir, clock: Arc<dyn Clock>) -> Result<Arc<Self>, ProviderError> {
        let machines = Arc::new(Machines::open(dir, image, clock)?);
        let jobs = Arc::new(Jobs { machines: Arc::clone(&machines) });
        Ok(Arc::new(Self { machines, jobs }))
    }

    /// Makes a machine with an empty overlay over the image. It is off.
    pub async fn create_machine(&self, machine: &MachineRef, spec: MachineSpec) -> Result<Machine, ProviderError> {
        self.machines.create(machine, spec).await?;
        self.get(machine).await
    }

    /// Cuts the power of every machine that runs; for the end of a demonstration. It is in no journal.
    pub async fn stop_all(&self) -> Result<(), ProviderError> {
        let stops = self.machines.list()?.into_iter().map(|machine| async move {
            match process::end(&self.machines.find(&machine)?, Permit::unfenced()).await {
                Err(ProviderError::State(_)) => Ok(()),
                other => other,
            }
        });
        try_join_all(stops).await.map(|_| ())
    }

    /// What the guest wrote to its console since this was last asked, at most the last 64 KiB: why a guest does not boot.
    #[cfg(feature = "testing")]
    pub async fn take_console(&self, machine: &MachineRef) -> Result<String, ProviderError> {
        let home = self.machines.find(machine)?;
        let arguments = serde_json::json!({"device": process::CONSOLE, "size": process::CONSOLE_SIZE});
        let text = qmp::execute(&home, "ringbuf-read", arguments, None).await.map_err(Fault::of_machine)?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    async fn power_state(&self, machine: &MachineRef) -> Result<PowerState, ProviderError> {
        Ok(match power::running_process(&self.machines.find(machine)?).await {
            Ok(Some(process)) => process.power,
            Ok(None) => PowerState::Stopped,
            Err(_) => PowerState::Unknown,
        })
    }
}

#[async_trait]
impl Compute for Qemu {
    fn capabilities(&self) -> Capabilities {
        let power = vec![PowerAction::Start, PowerAction::Shutdown, PowerAction::Reboot, PowerAction::Stop, PowerAction::Reset];
        Capabilities { power, guest: true, simulation: false }
    }

    async fn list(&self) -> Result<Vec<Machine>, ProviderError> {
        let names = self.machines.list()?;
        join_all(names.iter().map(|machine| self.get(machine))).await.into_iter().collect()
    }

    async fn get(&self, machine: &MachineRef) -> Result<Machine, ProviderError> {
        let record = self.machines.read(machine)?;
        let ipv4 = Some(record.address());
        let hostname = record.hostname(machine).to_owned();
        let power = self.power_state(machine).await?;
        let spec = record.spec;
        Ok(Machine {
            machine: machine.clone(),
            label: spec.label,
            hostname,
            os: spec.os,
            region: spec.region,
            ipv4,
            vcpu: spec.vcpu,
            memory_mib: spec.memory_mib,
            disk_gib: spec.disk_gib,
            power,
        })
    }

    async fn stats(&self, machine: &MachineRef) -> Result<Stats, ProviderError> {
        let power = self.power_state(machine).await?;
        if power != PowerState::Running {
            return Ok(Stats { power, live: None });
        }
        let agent = self.machines.agent(machine)?;
        let told = tokio::time::timeout(Duration::from_secs(5), ask_figures(&agent)).await;
        Ok(Stats { power, live: told.ok().and_then(Result::ok).flatten() })
    }

    async fn power(&self, machine: &MachineRef, action: PowerAction, call: &CallId, permit: Permit) -> Result<(), ProviderError> {
        power::change(&self.machines, machine, action, call, permit).await
    }

    async fn rename(
        &self,
        machine: &MachineRef,
        hostname: &Hostname,
        call: &CallId,
        permit: Permit,
    ) -> Result<(), ProviderError> {
        rename::change(&self.machines, machine, hostname, call, permit).await
    }

    async fn find_change(&self, machine: &MachineRef, call: &CallId) -> Result<Effect, ProviderError> {
        effect::find(&self.machines, machine, call).await
    }

    fn enter(&self, node: &NodeId) -> Result<(), ProviderError> {
        JournalNodes::of(&self.machines.dir).enter(node).map_err(machines::unreadable)
    }

    fn journal_covers(&self, node: &NodeId) -> Result<bool, ProviderError> {
        JournalNodes::of(&self.machines.dir).has(node).map_err(machines::unreadable)
    }

    fn guest(&self) -> Option<Arc<dyn GuestJobs>> {
        Some(Arc::<Jobs>::clone(&self.jobs))
    }
}

/// What the guest's kernel says of itself, read without starting a program there.
async fn ask_figures(agent: &Agent) -> Result<Option<LiveStats>, Fault> {
    let uptime = agent.read_text("/proc/uptime").await?;
    let load = agent.read_text("/proc/loadavg").await?;
    let memory = agent.read_text("/proc/meminfo").await?;
    Ok(read_figures(&uptime, &load, &memory))
}

fn read_figures(uptime: &str, load: &str, memory: &str) -> Option<LiveStats> {
    let mib = |name: &str| {
        let line = memory.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib / 1024)
    };
    let total = mib("MemTotal")?;
    Some(LiveStats {
        uptime_seconds: uptime.split('.').next()?.parse().ok()?,
        load1: load.split_whitespace().next()?.parse().ok()?,
        memory_used_mib: total.saturating_sub(mib("MemAvailable")?),
        memory_total_mib: total,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_the_kernels_own_files() {
        let memory = "MemTotal:         235020 kB\nMemFree:          150000 kB\nMemAvailable:     184320 kB\n";
        let figures = read_figures("350.73 349.10\n", "0.15 0.03 0.01 1/61 126\n", memory).unwrap();
        assert_eq!((figures.uptime_seconds, figures.memory_total_mib, figures.memory_used_mib), (350, 229, 49));
        assert!((figures.load1 - 0.15).abs() < f64::EPSILON);
        assert!(read_figures("", "", "").is_none());
    }
}
