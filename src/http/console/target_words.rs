//! What a switch stops, in words.

use super::format::{escape_hidden, quoted};
use crate::core::state::ControlState;
use crate::core::switch::Target;

/// What a target meant while its switch was in force, in words.
pub fn stopped(target: &Target, state: &ControlState) -> String {
    let now = stops(target, state);
    let past = |is: &str, was: &str| now.strip_suffix(is).map(|what| format!("{what}{was}"));
    past(" is stopped", " was stopped").or_else(|| past(" are stopped", " were stopped")).unwrap_or(now.clone())
}

/// What a target means, in words.
pub fn stops(target: &Target, state: &ControlState) -> String {
    let label = |id| state.resource(id).map_or_else(|| format!("{id}"), |row| escape_hidden(&row.label));
    match target {
        Target::All => "Every call is stopped".into(),
        Target::Class(class) => format!("Every {} call is stopped", class.as_str()),
        Target::Tool(name) => format!("The tool {name} is stopped"),
        Target::Provider(name) => format!("Every call to the provider {name} is stopped"),
        Target::Account(_) => "Every call of the account is stopped".into(),
        Target::Credential(id) => {
            let name = state.credentials.get(id).map_or_else(|| id.to_string(), |row| quoted(&row.label));
            format!("The key {name} is stopped")
        }
        Target::Resource { id, exec_only: true } => format!("Commands on {} are stopped", label(id)),
        Target::Resource { id, exec_only: false } => format!("Every call on {} is stopped", label(id)),
    }
}
