//! What Cedar finds wrong with a text, as a person is told: the place, and what was probably meant.

use cedar_policy::ffi::DetailedError;
use cedar_policy::{EntityTypeName, ParseErrors, ValidationError};

use super::error::PolicyError;
use super::place::Place;
use super::question::Vocabulary;
use crate::core::near::did_you_mean;
use crate::core::visible::capitalized;

/// Longest note of what was expected, in characters.
const NOTE: usize = 160;

/// A text that is no policies: its first fault.
pub(super) fn unparsed(file: &str, text: &str, errors: &ParseErrors) -> PolicyError {
    let fault =
        errors.iter().map(DetailedError::from).min_by_key(|fault| fault.source_locations.first().map(|label| label.loc.start));
    let Some(fault) = fault else { return PolicyError::invalid(file, errors.to_string()) };
    let label = fault.source_locations.first();
    let notes = [label.and_then(|label| label.label.clone()), fault.help.clone()];
    let notes = notes.iter().flatten().fold(String::new(), |notes, note| notes + ": " + &cut(note));
    let place = label.and_then(|label| Place::of(text, label.loc.start..label.loc.end));
    PolicyError::at(file, place, format!("{}{notes}", fault.message))
}

/// A policy that does not fit the schema.
pub(super) fn unfit(words: &Vocabulary, file: &str, text: &str, error: &ValidationError) -> PolicyError {
    let (fault, id) = (DetailedError::from(error), error.policy_id().to_string());
    let said = fault.message.strip_prefix(&format!("for policy `{id}`, ")).unwrap_or(&fault.message);
    let meant = meant(words, error, said, fault.help.as_deref()).map_or_else(String::new, |meant| format!(". {meant}"));
    let place = fault.source_locations.first().and_then(|label| Place::of(text, label.loc.start..label.loc.end));
    PolicyError::at(file, place, format!("policy {id:?}: {said}{meant}"))
}

/// What was probably meant. Cedar offers the nearest name, however far it is; what is told is near.
fn meant(words: &Vocabulary, error: &ValidationError, said: &str, help: Option<&str>) -> Option<String> {
    match error {
        ValidationError::UnrecognizedActionId(_) => {
            let known = words.schema.actions().map(|action| action.id().unescaped());
            did_you_mean(said.rsplit('"').nth(1)?, known, |name| format!("Forelog::Action::{name:?}"))
        }
        ValidationError::UnrecognizedEntityType(_) => {
            let known = words.schema.entity_types().map(EntityTypeName::basename);
            did_you_mean(quoted(said)?.rsplit("::").next()?, known, |name| format!("Forelog::{name}"))
        }
        ValidationError::UnsafeAttributeAccess(_) => did_you_mean(quoted(said)?, [quoted(help?)?], str::to_owned),
        _ => help.map(|help| capitalized(help) + "."),
    }
}

/// What a text quotes first.
fn quoted(text: &str) -> Option<&str> {
    text.split('`').nth(1)
}

fn cut(note: &str) -> String {
    note.chars().take(NOTE).collect()
}
