//! What the search line offers while it is typed: fields, and the values of those that have few.

use super::facets::options;
use crate::core::search::Field;
use crate::core::tool::Class;
use crate::tools::Catalogue;

const TIMES: [&str; 5] = ["last:15m", "last:1h", "last:24h", "last:7d", "last:30d"];

/// Fields first, then fields with a value.
pub fn of(catalogue: &Catalogue) -> Vec<String> {
    let fields = Field::ALL.iter().map(|field| format!("{}:", field.name())).chain(["class:".to_owned()]);
    let with = |field: &'static str, values: Vec<&'static str>| values.into_iter().map(move |value| format!("{field}:{value}"));
    fields
        .chain(TIMES.map(str::to_owned))
        .chain(with("outcome", options(Field::Outcome)))
        .chain(with("via", options(Field::Via)))
        .chain(with("class", Class::ALL.map(Class::as_str).to_vec()))
        .chain(with("tool", catalogue.iter().map(|tool| tool.facts.name).collect()))
        .chain(with("code", crate::core::code::Code::ALL.iter().map(|code| code.as_str()).collect()))
        .collect()
}
