//! Guards: what a caller has to say on purpose. A missing one is a refusal that names it, never a schema error.
//!
//! INVARIANT: the call that was refused passes its guard if each argument in `details.add` is set in it to the value there.

use serde_json::{Value, json};

use super::common_args::CommonArgs;
use crate::core::code::Code;
use crate::core::refusal::Refusal;
use crate::core::resource::Resource;

/// What a caller of an operation has to say on purpose.
#[derive(Clone, Copy)]
pub(super) enum Guard<A> {
    /// Nothing.
    None,
    /// `confirm: true`, if there is an effect.
    Confirm { about: &'static str, effect: fn(&A) -> Option<&'static str> },
    /// The exact phrase in `confirmation`.
    Phrase { about: &'static str, phrase: fn(&A, &Resource) -> Phrase },
    /// `confirm`, `acknowledge_data_loss`, and the label of what is lost.
    Acknowledge { effect: fn(&A) -> &'static str },
}

/// A phrase, and what it is for.
pub struct Phrase {
    /// What `confirmation` has to be.
    pub text: String,
    /// What will be so then.
    pub effect: &'static str,
}

impl<A> Guard<A> {
    /// What is missing in what was said.
    pub(super) fn missing(&self, args: &A, said: &CommonArgs, about: &[Resource]) -> Option<Refusal> {
        match self {
            Self::None => None,
            Self::Confirm { effect, .. } => confirm(said, about, effect(args)?),
            Self::Phrase { phrase, .. } => exact(said, about, phrase(args, about.first()?)),
            Self::Acknowledge { effect } => acknowledge(said, about, effect(args)),
        }
    }
}

fn confirm(said: &CommonArgs, about: &[Resource], effect: &str) -> Option<Refusal> {
    if said.confirm == Some(true) {
        return None;
    }
    let required = json!({ "confirm": true, "current_label": label(about), "effect": effect });
    Some(missing(format!("{effect} It needs confirm: true."), &json!({ "confirm": true }), &required))
}

fn exact(said: &CommonArgs, about: &[Resource], Phrase { text, effect }: Phrase) -> Option<Refusal> {
    if said.confirmation.as_ref() == Some(&text) {
        return None;
    }
    let required =
        json!({ "confirmation": text, "confirmation_template": text, "current_label": label(about), "effect": effect });
    let add = json!({ "confirmation": text });
    Some(match said.confirmation {
        None => missing(format!("{effect} It needs the exact phrase as confirmation."), &add, &required),
        Some(_) => Refusal::new(Code::PhraseMismatch, "The confirmation is not the exact phrase.")
            .details(json!({ "add": add, "required": required })),
    })
}

fn acknowledge(said: &CommonArgs, about: &[Resource], effect: &str) -> Option<Refusal> {
    let names_it = about.first().is_none_or(|row| said.expected_label.as_ref() == Some(&row.label));
    if said.confirm == Some(true) && said.acknowledge_data_loss == Some(true) && names_it {
        return None;
    }
    let required = json!({
        "confirm": true, "acknowledge_data_loss": true, "expected_label": label(about), "current_label": label(about),
        "effect": effect,
    });
    let text = format!("{effect} It needs confirm: true, acknowledge_data_loss: true and the label as expected_label.");
    let mut add = json!({ "confirm": true, "acknowledge_data_loss": true });
    if let Some(label) = label(about) {
        add["expected_label"] = json!(label);
    }
    Some(missing(text, &add, &required))
}

fn missing(text: String, add: &Value, required: &Value) -> Refusal {
    Refusal::new(Code::ConfirmationRequired, text).details(json!({ "add": add, "required": required }))
}

fn label(about: &[Resource]) -> Option<&String> {
    about.first().map(|row| &row.label)
}
