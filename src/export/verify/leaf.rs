//! One leaf against its own canonical form and the columns beside it.

use super::finding::{Fault, Findings};
use crate::core::event::{Event, LEAF_VERSION};
use crate::log::store::EventRow;

/// Checks a row; answers its event if it can be read.
pub(super) fn check(row: &EventRow, findings: &mut Findings) -> Option<Event> {
    let event = match Event::decode(&row.leaf) {
        Ok(event) => event,
        Err(error) => {
            findings.at(row.position, Fault::LeafUnreadable, error.to_string());
            return None;
        }
    };
    if event.encode().ok().as_deref() != Some(&row.leaf) {
        findings.at(row.position, Fault::LeafNotCanonical, "encoding it again gives other bytes");
    }
    if event.v != LEAF_VERSION || event.log != 1 {
        findings.at(row.position, Fault::LeafForeign, format!("version {} of log {}", event.v, event.log));
    }
    let call = event.kind.call().map(ToString::to_string);
    let columns = [
        ("position", row.position == event.position, event.position.0.to_string()),
        ("at", row.at == event.at, event.at.0.to_string()),
        ("type", row.kind == event.kind.name(), event.kind.name().to_owned()),
        ("call", row.call == call, call.unwrap_or_default()),
    ];
    for (column, _, said) in columns.into_iter().filter(|(_, same, _)| !same) {
        findings.at(row.position, Fault::ColumnMismatch, format!("the leaf says {column} is {said:?}"));
    }
    // From here on an event is where it is stored, whatever it says.
    Some(Event { position: row.position, ..event })
}
