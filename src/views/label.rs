//! The read model of VM labels, so that calls can be found by the name that people know a VM by.

use std::collections::BTreeMap;

use super::ViewError;
use crate::log::sql::Transaction;
use crate::log::store::{insert, name_list};

/// Labels by VM id.
pub(super) type Labels = BTreeMap<String, String>;

/// The labels of these VMs that the view has.
pub(super) async fn load(transaction: &mut dyn Transaction, vms: &[String]) -> Result<Labels, ViewError> {
    let mut found = Labels::new();
    for vms in vms.chunks(256) {
        let (places, args) = name_list(vms);
        for row in transaction.query(&format!("select vm, label from vm where vm in ({places})"), args).await? {
            found.insert(row.text(0)?.to_owned(), row.text(1)?.to_owned());
        }
    }
    Ok(found)
}

/// Inserts or replaces labels.
pub(super) async fn save(transaction: &mut dyn Transaction, labels: &Labels) -> Result<(), ViewError> {
    let rows = labels.iter().map(|(vm, label)| vec![vm.as_str().into(), label.as_str().into()]).collect();
    let replace = " on conflict (vm) do update set label = excluded.label";
    Ok(insert(transaction, "insert into vm (vm, label) values", replace, rows).await?)
}
