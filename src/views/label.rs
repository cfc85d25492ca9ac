//! The read model of VM labels, so that calls can be found by the name that people know a VM by.

use std::collections::BTreeMap;

use super::ViewError;
use crate::log::dialect::Dialect;
use crate::log::sql::{Holds, Insert, Transaction, Value};

/// Labels by VM id.
pub(super) type Labels = BTreeMap<String, String>;

/// The labels of these VMs that the view has.
pub(super) async fn load(transaction: &mut dyn Transaction, dialect: &Dialect, vms: Vec<String>) -> Result<Labels, ViewError> {
    let sql = format!("select vm, label from vm where vm {}", dialect.among);
    let rows = transaction.query(&sql, vec![Value::Texts(vms)]).await?;
    rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned()))).collect()
}

/// Labels, new or changed.
pub static LABELS: Insert = Insert {
    table: "vm",
    columns: &[("vm", Holds::Text), ("label", Holds::Text)],
    on_conflict: "on conflict (vm) do update set label = excluded.label",
};

/// Inserts or replaces labels.
pub(super) async fn save(transaction: &mut dyn Transaction, labels: &Labels) -> Result<(), ViewError> {
    let rows = labels.iter().map(|(vm, label)| vec![vm.as_str().into(), label.as_str().into()]).collect();
    Ok(transaction.insert(&LABELS, rows).await?)
}
