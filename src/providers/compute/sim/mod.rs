//! A fleet that is simulated in this process, for trying Forelog out and for tests that need a provider to misbehave.
//!
//! It says that it is a simulation everywhere it shows: in labels, in the operating system's name, in its capabilities
//! and in the answers of its guests. Guests understand a handful of commands and run nothing on the host.
//!
//! Invariant: what has happened is in the journal before it is answered, so that after the death of this process the
//! next one, and every other that has the simulation open, tells the truth. A [`Sim`] that is dropped stops as if its
//! process had been killed.

mod faults;
mod guests;
mod journal;
mod shared;
mod shell;
mod spool;
mod world;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

pub use self::faults::{Action, Faults, Rehearsed};
#[cfg(feature = "testing")]
pub use self::faults::{Gate, Kind, Name};
use self::guests::Guests;
use self::shared::Shared;
use self::world::{Simulated, World};
use super::{
    Capabilities, Compute, Effect, GuestJobs, Hostname, LiveStats, Machine, MachineRef, PowerAction, PowerState, ProviderError,
    Stats,
};
use crate::core::id::{CallId, NodeId};
use crate::core::time::Clock;
use crate::providers::Permit;
use crate::providers::journal_nodes::JournalNodes;

/// The simulated fleet.
pub struct Sim {
    shared: Arc<Shared>,
    guests: Arc<Guests>,
}

impl Sim {
    /// Opens the simulation that is kept in `dir`, with these machines. Other processes may have it open too.
    pub fn open(dir: PathBuf, machines: Vec<Machine>, faults: Faults, clock: Arc<dyn Clock>) -> Result<Arc<Self>, ProviderError> {
        let journal_nodes = JournalNodes::of(&dir);
        let world = Mutex::new(World::open(dir, machines, clock)?);
        let shared = Arc::new(Shared { world, faults, journal_nodes });
        Ok(Arc::new(Self { guests: Arc::new(Guests(shared.clone())), shared }))
    }

    /// The faults in force.
    #[cfg(feature = "testing")]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// How often an effect that `call` asked for has begun, in this process and in those before it.
    #[cfg(feature = "testing")]
    pub fn executions(&self, call: &CallId) -> u32 {
        self.shared.world().executions(call)
    }

    async fn read<T>(
        &self,
        machine: Option<&MachineRef>,
        look: impl FnOnce(&World) -> Result<T, ProviderError> + Send,
    ) -> Result<T, ProviderError> {
        let fate = self.shared.faults.befall(machine, Action::Look);
        fate.before().await?;
        let seen = look(&self.shared.world());
        fate.after(seen).await
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.shared.world.lock().unwrap_or_else(PoisonError::into_inner).close();
    }
}

#[async_trait]
impl Compute for Sim {
    fn capabilities(&self) -> Capabilities {
        use PowerAction::{Reboot, Reset, Shutdown, Start, Stop};
        Capabilities { power: vec![Start, Shutdown, Reboot, Stop, Reset], guest: true, simulation: true }
    }

    async fn list(&self) -> Result<Vec<Machine>, ProviderError> {
        self.read(None, |world| Ok(world.machines.values().map(|row| row.machine.clone()).collect())).await
    }

    async fn get(&self, machine: &MachineRef) -> Result<Machine, ProviderError> {
        self.read(Some(machine), |world| world.machine(machine).map(|row| row.machine.clone())).await
    }

    async fn stats(&self, machine: &MachineRef) -> Result<Stats, ProviderError> {
        let guest_answers = self.shared.faults.befall(Some(machine), Action::Watch).before().await.is_ok();
        self.read(Some(machine), |world| {
            let row = world.machine(machine)?;
            let power = row.machine.power;
            let live = (power == PowerState::Running && guest_answers).then(|| live_stats(world, row));
            Ok(Stats { power, live })
        })
        .await
    }

    async fn power(&self, machine: &MachineRef, action: PowerAction, call: &CallId, permit: Permit) -> Result<(), ProviderError> {
        let fate = self.shared.faults.befall(Some(machine), Action::Power(action));
        let waiting = Waiting::enter(&self.shared, call);
        fate.before().await?;
        let begun = self.shared.world().begin_power(machine, action, call);
        if fate.twice && begun.is_ok() {
            // It is known by its call, so this changes nothing; the first one is answered.
            let _ = self.shared.world().begin_power(machine, action, call);
        }
        drop((waiting, permit));
        let done = match begun {
            Ok(()) => {
                let (shared, slow) = (self.shared.clone(), fate.slow);
                let (machine, call) = (machine.clone(), call.clone());
                // In a task of its own: what was sent goes on when the caller no longer waits.
                let change = tokio::spawn(async move {
                    tokio::time::sleep(slow).await;
                    shared.world().finish_power(&machine, action, &call)
                });
                change.await.unwrap_or_else(|error| Err(ProviderError::AnswerLost(error.to_string().into())))
            }
            refused => refused,
        };
        fate.after(done).await
    }

    async fn rename(
        &self,
        machine: &MachineRef,
        hostname: &Hostname,
        call: &CallId,
        permit: Permit,
    ) -> Result<(), ProviderError> {
        let fate = self.shared.faults.befall(Some(machine), Action::Rename);
        let waiting = Waiting::enter(&self.shared, call);
        fate.before().await?;
        let renamed = self.shared.world().rename(machine, hostname, call);
        if fate.twice && renamed.is_ok() {
            // It is known by its call, so this changes nothing; the first one is answered.
            let _ = self.shared.world().rename(machine, hostname, call);
        }
        drop((waiting, permit));
        tokio::time::sleep(fate.slow).await;
        fate.after(renamed).await
    }

    async fn find_change(&self, machine: &MachineRef, call: &CallId) -> Result<Effect, ProviderError> {
        let fate = self.shared.faults.befall(Some(machine), Action::Look);
        fate.before().await?;
        let found = {
            let world = self.shared.world();
            world.machine(machine).map(|_| world.find_change(call))
        };
        fate.after(found).await
    }

    async fn create(&self, label: &str, call: &CallId, permit: Permit) -> Result<MachineRef, ProviderError> {
        let fate = self.shared.faults.befall(None, Action::Create);
        let waiting = Waiting::enter(&self.shared, call);
        fate.before().await?;
        let made = self.shared.world().make(label, call);
        if fate.twice && made.is_ok() {
            // It is known by its call, so this changes nothing; the first one is answered.
            let _ = self.shared.world().make(label, call);
        }
        drop((waiting, permit));
        tokio::time::sleep(fate.slow).await;
        fate.after(made).await
    }

    async fn find_created(&self, call: &CallId) -> Result<Effect, ProviderError> {
        let fate = self.shared.faults.befall(None, Action::Look);
        fate.before().await?;
        let found = self.shared.world().find_made(call);
        fate.after(Ok(found)).await
    }

    fn enter(&self, node: &NodeId) -> Result<(), ProviderError> {
        self.shared.journal_nodes.enter(node).map_err(|error| unread(&error))
    }

    fn journal_covers(&self, node: &NodeId) -> Result<bool, ProviderError> {
        self.shared.journal_nodes.has(node).map_err(|error| unread(&error))
    }

    fn guest(&self) -> Option<Arc<dyn GuestJobs>> {
        Some(self.guests.clone())
    }
}

fn unread(error: &std::io::Error) -> ProviderError {
    ProviderError::Unreachable(format!("the nodes of the simulation: {error}").into())
}

fn live_stats(world: &World, row: &Simulated) -> LiveStats {
    let jobs = u32::try_from(world.jobs_on(&row.machine.machine)).unwrap_or(u32::MAX);
    LiveStats {
        uptime_seconds: world.uptime_seconds(row),
        load1: f64::from(jobs),
        memory_used_mib: u64::from(row.machine.memory_mib) / 4,
        memory_total_mib: u64::from(row.machine.memory_mib),
    }
}

/// A request that has not left yet, from when it is made to when it leaves or is given up.
struct Waiting<'a> {
    shared: &'a Shared,
    call: &'a CallId,
}

impl<'a> Waiting<'a> {
    fn enter(shared: &'a Shared, call: &'a CallId) -> Self {
        *shared.world().waiting.entry(call.clone()).or_default() += 1;
        Self { shared, call }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut world = self.shared.world();
        let left = world.waiting.get(self.call).copied().unwrap_or(0);
        if left > 1 {
            world.waiting.insert(self.call.clone(), left - 1);
        } else {
            world.waiting.remove(self.call);
        }
    }
}
