//! VMs: a machine is imported once, for a customer.

use forelog::core::code::Code;
use forelog::core::commands::vm::{Import, ImportVm, SetExec};

use super::House;
use crate::fixtures::{account, event, vm};

#[test]
fn a_machine_is_one_vm_of_a_customer() {
    let mut house = House::new();
    let import = |of, machine: &str, label: &str| {
        let import = Import::of(account(of), "sim".into(), machine.into(), label).expect("a label");
        ImportVm { vm: vm(5), import, event: event(1) }
    };
    assert_eq!(house.refused(&import(3, "free", "db")), Code::NotFound, "the staff have no VMs");
    assert_eq!(house.refused(&import(1, "machine-2", "db")), Code::Conflict, "it is another account's");
    assert_eq!(house.refused(&import(1, "free", "web-1")), Code::Conflict, "the label is taken");
    assert_eq!(house.names(&import(1, "free", "db")), ["vm_imported"]);
    let set = |of| SetExec { vm: vm(5), account: account(of), enabled: true };
    assert_eq!(house.refused(&set(2)), Code::VmNotFound);
    assert_eq!(house.names(&set(1)), ["vm_exec_set"]);
}
