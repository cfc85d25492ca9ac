//! The noun VM, as it is declared. Its row is in [`crate::core::vm`].

use super::Noun;
use crate::core::code::Code;
use crate::core::refusal::Refusal;

/// Virtual machines.
pub static VM: Noun = Noun {
    name: "vm",
    title: "VM",
    argument: "vm_id",
    prefix: "vm_",
    entity: "Vm",
    schema: "  /// A virtual machine.
  entity Vm in [Account] {
    provider: String,
    exec_enabled: Bool,
    label: String,
  };
",
    field: "vm",
    runs_commands: true,
    absent: vm_not_found,
};

/// What a caller is told of a VM that is absent, not owned, not on the allow-list, or not even an id.
#[must_use]
pub fn vm_not_found() -> Refusal {
    Refusal::new(Code::VmNotFound, "There is no such VM.")
        .hint("vm_list lists those that this key may see; it takes the scope vms:read.")
}
