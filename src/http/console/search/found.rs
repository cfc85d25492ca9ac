//! A call that was found, with what each of its cells can add to the line.

use super::line::Line;
use crate::core::noun::vm::VM;
use crate::core::search::Field;
use crate::http::console::activity::{Row, rows};
use crate::http::console::request::SignedInRequest;
use crate::tools::CallRecord;

/// A call in the list.
pub struct Found {
    /// As it is shown everywhere.
    pub row: Row,
    /// Its key.
    pub credential: String,
    /// Narrows by how it stands.
    pub by_outcome: Narrow,
    /// Narrows by why it did not succeed.
    pub by_code: Option<Narrow>,
    /// Narrows by its tool.
    pub by_tool: Narrow,
    /// Narrows by its VM.
    pub by_vm: Option<Narrow>,
    /// Narrows by whose it is.
    pub by_account: Narrow,
    /// Narrows by its key.
    pub by_key: Narrow,
}

/// Two links beside a value: only it, and all but it.
pub struct Narrow {
    /// The value, for whoever only hears the links.
    pub name: String,
    /// Only it.
    pub only: String,
    /// All but it.
    pub without: String,
}

/// The calls as the search lists them.
pub async fn found(items: &[CallRecord], line: &Line, request: &SignedInRequest) -> Vec<Found> {
    let narrow = |field: Field, value: &str| Narrow {
        name: format!("{} {value}", field.name()),
        only: line.and(field, value, false).href(),
        without: line.and(field, value, true).href(),
    };
    let shown = rows(items, request).await;
    let one = |(row, record): (Row, &CallRecord)| Found {
        by_outcome: narrow(Field::Outcome, record.status.as_str()),
        by_code: record.code.as_deref().map(|code| narrow(Field::Code, code)),
        by_tool: narrow(Field::Tool, &record.tool),
        by_vm: record.about(&VM).map(|vm| narrow(Field::Resource(&VM), vm.as_str())),
        by_account: narrow(Field::Account, record.account.as_str()),
        by_key: narrow(Field::Credential, &record.credential),
        credential: record.credential.clone(),
        row,
    };
    shown.into_iter().zip(items).map(one).collect()
}
