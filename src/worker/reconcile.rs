//! Reconciling: asking the provider what became of a call that ended `unknown`, and freeing the VM's place once its
//! process is known to be gone (P4).

use std::sync::Arc;

use super::Worker;
use crate::core::event::Kind;
use crate::core::id::{CallId, Position, VmId};
use crate::core::job::{Claim, Job};
use crate::log::admission::claim_row;
use crate::log::draft::NewEvent;
use crate::log::store::Want;
use crate::providers::compute::{Compute, Effect, JobState, MachineRef, ProviderError};

impl Worker {
    /// Notes what providers say of calls that ended `unknown`, on whatever node; what one cannot be asked now, later.
    pub(super) async fn reconcile_unknown(&self) {
        let rows = match self.control.ports.reader.store.state(&["unknown"]).await {
            Ok(rows) => rows,
            Err(error) => return tracing::error!(%error, "calls to reconcile cannot be looked up"),
        };
        for job in rows.iter().filter_map(|row| serde_json::from_slice::<Job>(&row.doc).ok()) {
            let Some(happened) = self.ask(&job).await else { continue };
            let (writer, id) = (&self.control.ports.writer, self.control.ports.event_id());
            match writer.reconcile(job.call.clone(), happened, id).await {
                Ok(true) => writer.stats().reconciled.count(match happened {
                    Some(true) => "happened",
                    Some(false) => "did_not_happen",
                    None => "cannot_tell",
                }),
                Ok(false) => {}
                Err(error) => tracing::error!(call_id = %job.call, %error, "what the provider said could not be written"),
            }
        }
    }

    /// Whether it happened, if anybody can tell; nothing while the provider cannot be asked or is not done with it.
    async fn ask(&self, job: &Job) -> Option<Option<bool>> {
        let Some((compute, machine)) = job.vm.as_ref().and_then(|vm| self.machine(vm)) else { return Some(None) };
        let effect = match job.tool.as_str() {
            "vm_power" => match compute.find_power(&machine, &job.call).await {
                Ok(Effect::Running) => return None,
                Err(ProviderError::NotFound(_)) => Effect::CannotTell,
                found => found.ok()?,
            },
            _ if job.claim => command_effect(&*compute, &machine, &job.call).await,
            // It is about a VM and does nothing at its provider, who would wrongly say that it did not happen.
            _ => Effect::CannotTell,
        };
        match effect {
            Effect::Happened | Effect::Running => Some(Some(true)),
            Effect::DidNotHappen => Some(Some(false)),
            Effect::CannotTell => Some(None),
        }
    }

    fn machine(&self, vm: &VmId) -> Option<(Arc<dyn Compute>, MachineRef)> {
        let state = self.control.ports.fence().state();
        let vm = state.vms.get(vm)?;
        let compute = self.control.ports.compute.get(vm.provider.as_str())?;
        Some((Arc::clone(compute), MachineRef(vm.machine.clone())))
    }

    /// Frees places whose command ended `unknown` and is now known to be gone.
    pub(super) async fn reconcile_claims(&self) {
        let Ok(rows) = self.control.ports.reader.store.state(&["claim"]).await else { return };
        for row in rows {
            let Ok(claim) = serde_json::from_slice::<Claim>(&row.doc) else { continue };
            let vm = row.name.split_once(':').and_then(|(_, id)| id.parse::<VmId>().ok());
            if let Some(vm) = vm.filter(|_| claim.unknown) {
                self.reconcile_claim(&vm, claim.call).await;
            }
        }
    }

    async fn reconcile_claim(&self, vm: &VmId, call: CallId) {
        let Some((compute, machine)) = self.machine(vm) else { return };
        if !is_gone(&*compute, &machine, &call).await {
            return;
        }
        let (row, vm, id) = (claim_row(vm), vm.clone(), self.control.ports.event_id());
        let want = Want { names: vec![row.clone()], ..Want::default() };
        let written = self.control.ports.writer.write(want, move |draft| {
            if draft.get::<Claim>(&row)?.is_some_and(|held| held.unknown && held.call == call) {
                draft.delete(&row);
                draft.append(
                    Position(0),
                    NewEvent::plain(id.clone(), Kind::ClaimCleared { vm: vm.clone(), call: call.clone(), by: None }),
                )?;
            }
            Ok(())
        });
        if let Err(error) = written.await {
            tracing::error!(%error, "a claim could not be freed");
        }
    }
}

async fn command_effect(compute: &dyn Compute, machine: &MachineRef, call: &CallId) -> Effect {
    let Some(guest) = compute.guest() else { return Effect::CannotTell };
    match guest.status(machine, call).await {
        Ok(status) if status.state == JobState::Running => Effect::Running,
        Ok(_) => Effect::Happened,
        Err(ProviderError::NotFound(_)) => Effect::DidNotHappen,
        Err(_) => Effect::CannotTell,
    }
}

/// Whether the command's process is known not to run: it ended, it never began, or its machine is off.
async fn is_gone(compute: &dyn Compute, machine: &MachineRef, call: &CallId) -> bool {
    let off = compute.get(machine).await.is_ok_and(|machine| machine.power == crate::providers::compute::PowerState::Stopped);
    off || matches!(command_effect(compute, machine, call).await, Effect::Happened | Effect::DidNotHappen)
}
