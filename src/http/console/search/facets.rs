//! The fields beside the line. Sending them changes the line, and nothing else.

use super::line::Line;
use crate::core::call::Status;
use crate::core::noun::vm::VM;
use crate::core::principal::Via;
use crate::core::search::{Field, Search};
use crate::core::time::Micros;
use crate::http::console::activity::{OUTCOMES, Pairs};

/// A field of the form.
pub struct Facet {
    /// As it is written in the line.
    pub name: &'static str,
    /// As people say.
    pub label: &'static str,
    /// The value that the line allows, if it is one.
    pub value: String,
    /// What may be chosen, if that is not much.
    pub options: Vec<&'static str>,
}

const FACETS: [(Field, &str); 12] = [
    (Field::Outcome, "Outcome"),
    (Field::Tool, "Tool"),
    (Field::Account, "Account id"),
    (Field::Resource(&VM), "VM id"),
    (Field::Credential, "Key id"),
    (Field::User, "Person id"),
    (Field::Code, "Code"),
    (Field::Via, "Came in over"),
    (Field::Ip, "Address"),
    (Field::Session, "Session"),
    (Field::Policy, "Refused by the policy"),
    (Field::Switch, "Stopped by the switch"),
];

/// The fields with what the line says of them.
pub fn of(search: &Search) -> Vec<Facet> {
    let facet = |(field, label): (Field, &'static str)| Facet {
        name: field.name(),
        label,
        value: search.value(field).unwrap_or_default().to_owned(),
        options: options(field),
    };
    FACETS.map(facet).into()
}

/// The values of a field that has few.
pub(super) fn options(field: Field) -> Vec<&'static str> {
    match field {
        Field::Outcome => OUTCOMES.map(Status::as_str).into(),
        Field::Via => Via::ALL.map(Via::as_str).into(),
        _ => Vec::new(),
    }
}

/// The line that the fields of an address make of `line`; none if the address has no fields. A field that was shown empty
/// and is sent empty leaves alone what the line says in its own way, such as an exclusion.
pub fn merged(line: &Line, pairs: &Pairs) -> Option<Line> {
    let mut merged = line.clone();
    let mut any = false;
    for (field, _) in FACETS {
        let Some((_, value)) = pairs.iter().find(|(name, _)| name == field.name()) else { continue };
        any = true;
        let was = pairs.iter().find(|(name, _)| name.strip_prefix("was_") == Some(field.name())).map_or("", |(_, was)| was);
        if value.trim() != was {
            merged = merged.only(field, value.trim());
        }
    }
    let time = |wanted: &str| pairs.iter().find(|(name, value)| name == wanted && !value.trim().is_empty());
    for (name, sign) in [("from", ">="), ("to", "<")] {
        if let Some((_, at)) = time(name) {
            any = true;
            // As it was typed if it cannot be read, so that the page says why.
            let at = Micros::read(at).map_or_else(|_| format!("\"{}\"", at.trim().replace('"', "")), Micros::rfc3339);
            let item = format!("created:{sign}{at}");
            merged = if name == "to" && time("from").is_some() { merged.also(&item) } else { merged.over(&item) };
        }
    }
    any.then_some(merged)
}
