//! What events make of VMs.

use serde_json::Value;

use crate::core::event::EventKind;
use crate::core::id::Position;
use crate::core::row::{RowKind, RowName, named};
use crate::core::state::ControlState;
use crate::core::vm::Vm;

impl ControlState {
    /// Folds in an event about a VM; none if it is about something else.
    pub(super) fn change_vm(&mut self, position: Position, kind: &EventKind, note: &Value) -> Option<Vec<RowName>> {
        match kind {
            EventKind::VmImported { vm, account, provider, machine } => {
                let row = Vm {
                    id: vm.clone(),
                    account: account.clone(),
                    provider: provider.to_string(),
                    machine: machine.to_string(),
                    label: note["label"].as_str().unwrap_or_default().to_owned(),
                    exec_enabled: false,
                    version: position,
                };
                self.vms.insert(vm.clone(), row);
                Some(named(RowKind::Vm, vm.as_str()))
            }
            EventKind::VmExecSet { vm, enabled } => {
                let mut row = self.vms.get_mut(vm)?;
                row.exec_enabled = *enabled;
                row.version = position;
                Some(named(RowKind::Vm, vm.as_str()))
            }
            _ => None,
        }
    }
}
