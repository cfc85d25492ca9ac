//! A form that was refused, as it is shown again: what was typed, and what is wrong beside the field that it is about.
//!
//! INVARIANT: no form with a secret in it is kept.

use axum::http::StatusCode;

use super::form::Fields;
use super::format::escape_hidden;
use super::page_error::PageError;
use crate::core::refusal::Refusal;

/// An argument of the tool behind a form.
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// The field of the form that it comes from.
    pub field: &'static str,
    /// What the field takes.
    pub takes: &'static str,
}

/// What a form holds: nothing yet, or what was typed and why it was refused.
#[derive(Default)]
pub struct FormState {
    typed: Option<Fields>,
    field: String,
    fault: Option<String>,
    status: u16,
}

impl FormState {
    /// A form in whose `field` something is wrong; about the whole of it, if the field has no name.
    pub fn new(typed: Fields, field: &str, fault: &str) -> Self {
        Self { typed: Some(typed), ..Self::of_secret(field, fault, StatusCode::UNPROCESSABLE_ENTITY) }
    }

    /// A form with a secret in it: what is wrong in which field, and nothing of what was typed.
    pub fn of_secret(field: &str, fault: &str, status: StatusCode) -> Self {
        Self { typed: None, field: field.to_owned(), fault: Some(escape_hidden(fault)), status: status.as_u16() }
    }

    /// A form that a tool refused, by the argument that the refusal names: each with the field it came from, and with what the
    /// field takes.
    pub fn refused(typed: Fields, refusal: &Refusal, fields: &[Argument]) -> Self {
        let is_named =
            |argument: &str| refusal.message.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == argument);
        let told = [refusal.message.as_str(), refusal.hint.as_deref().unwrap_or_default()].join(" ");
        let named = fields.iter().find(|argument| is_named(argument.name));
        let (field, told) = named.map_or(("", told.trim()), |argument| (argument.field, argument.takes));
        Self { status: refusal.code.status(), ..Self::new(typed, field, told) }
    }

    /// The same of what kept a form from being read or done, if it is about the form at all; else the fault itself.
    pub fn of(typed: Fields, fault: PageError, field: &str, fields: &[Argument]) -> Result<Self, PageError> {
        match fault {
            PageError::Unreadable(text) => Ok(Self { status: 400, ..Self::new(typed, field, text) }),
            PageError::Refused(refusal) if matches!(refusal.code.status(), 400 | 409 | 422) => {
                Ok(Self::refused(typed, &refusal, fields))
            }
            other => Err(other),
        }
    }

    /// What was typed into a field.
    pub fn text(&self, name: &str) -> &str {
        self.typed.as_ref().map_or("", |typed| typed.text(name))
    }

    /// Whether a choice is made: as it was sent, or `usual` in a form that is new.
    pub fn has(&self, name: &str, value: &str, usual: bool) -> bool {
        self.typed
            .as_ref()
            .map_or(usual, |typed| typed.all(name).contains(&value) || (value.is_empty() && typed.text(name).is_empty()))
    }

    /// What is wrong with a field.
    pub fn fault(&self, name: &str) -> Option<&str> {
        self.fault.as_deref().filter(|_| self.field == name)
    }

    /// What is wrong, with whatever it is.
    pub fn any_fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// How the page is answered.
    pub fn status(&self) -> StatusCode {
        if self.fault.is_none() {
            return StatusCode::OK;
        }
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY)
    }
}
