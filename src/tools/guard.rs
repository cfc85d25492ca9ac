//! Guards: what a caller has to say on purpose. A missing one is a refusal that names it, never a schema error.

use serde_json::{Value, json};

use crate::core::code::Code;
use crate::core::refusal::Refusal;
use crate::core::state::Vm;

/// No guard.
pub(super) fn none(_: &Value, _: Option<&Vm>) -> Option<Refusal> {
    None
}

/// `confirm: true`.
pub(super) fn confirm(args: &Value, vm: Option<&Vm>, effect: &str) -> Option<Refusal> {
    if args["confirm"] == json!(true) {
        return None;
    }
    let required = json!({ "confirm": true, "current_label": vm.map(|vm| &vm.label), "effect": effect });
    Some(
        Refusal::new(Code::ConfirmationRequired, format!("{effect} It needs confirm: true."))
            .details(json!({ "required": required })),
    )
}

/// The exact phrase in `confirmation`.
pub(super) fn phrase(args: &Value, vm: Option<&Vm>, phrase: &str, effect: &str) -> Option<Refusal> {
    let said = args["confirmation"].as_str();
    if said == Some(phrase) {
        return None;
    }
    let required = json!({ "confirmation": phrase, "confirmation_template": phrase, "current_label": vm.map(|vm| &vm.label), "effect": effect });
    let refusal = match said {
        None => Refusal::new(Code::ConfirmationRequired, format!("{effect} It needs the exact phrase as confirmation.")),
        Some(_) => Refusal::new(Code::PhraseMismatch, "The confirmation is not the exact phrase."),
    };
    Some(refusal.details(json!({ "required": required })))
}
