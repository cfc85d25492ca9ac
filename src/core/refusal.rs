//! A refusal is a value, not an error: it says what stopped a call and what the caller can do about it.

use std::time::Duration;

use serde_json::{Value, json};

use super::code::Code;
use super::id::CallId;
use super::scrub::scrub_text;

/// Why a call was refused or failed, as the caller is told. Holds no secret and no internal detail.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The stable code.
    pub code: Code,
    /// What happened, for a person.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// When it may be tried again.
    pub retry_after: Option<Duration>,
    /// More, by code.
    pub details: Value,
}

impl Refusal {
    /// A refusal that has a code, a message, and the hint that goes with the code. It may quote a provider or the caller: secrets in it are not repeated.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let hint = Some(code.next_step().to_owned());
        Self { code, message: scrub_text(&message.into()), hint, retry_after: None, details: json!({}) }
    }

    /// A refusal of one argument: where it is, the rule that it breaks, and why it cannot be taken, in words.
    #[must_use]
    pub fn of_argument(path: &str, rule: &str, why: &str) -> Self {
        let details = json!({ "faults": [{ "path": path, "rule": rule }] });
        Self::new(Code::ValidationFailed, format!("The argument at {path} cannot be taken: {why}.")).details(details)
    }

    /// A refusal of what the staff alone may do or see, for a customer: no key that it could ask for does it.
    pub fn for_staff(message: impl Into<String>) -> Self {
        Self::new(Code::ForbiddenScope, message).hint("It is for the provider's staff: no key of a customer has this right.")
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(scrub_text(&hint.into()));
        self
    }

    /// Whether it says more of what to do than its code does.
    #[must_use]
    pub fn has_own_hint(&self) -> bool {
        self.hint.as_deref() != Some(self.code.next_step())
    }

    /// Adds structured details, an object.
    #[must_use]
    pub fn details(mut self, details: Value) -> Self {
        self.details = details;
        self
    }

    /// Adds when it may be tried again.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// When it may be tried again, rounded up and never zero: a caller that waits this long is not too early.
    #[must_use]
    pub fn retry_after_ms(&self) -> Option<u64> {
        let after = self.retry_after?.as_nanos().div_ceil(1_000_000).max(1);
        Some(u64::try_from(after).unwrap_or(u64::MAX))
    }

    /// The one error body, the same over MCP and REST.
    #[must_use]
    pub fn body(&self, call: Option<&CallId>) -> Value {
        let mut error = json!({
            "code": self.code.as_str(), "message": self.message, "retryable": self.code.retryable(), "details": self.details,
        });
        if let Some(object) = error.as_object_mut() {
            if let Some(hint) = &self.hint {
                object.insert("hint".into(), json!(hint));
            }
            if let Some(after) = self.retry_after_ms() {
                object.insert("retry_after_ms".into(), json!(after));
            }
            if let Some(call) = call {
                object.insert("call_id".into(), json!(call));
            }
        }
        json!({ "error": error })
    }

    /// Reads back what [`Refusal::body`] wrote into the log.
    #[must_use]
    pub fn from_body(body: &Value) -> Option<Self> {
        let error = body.get("error")?;
        let code = error["code"].as_str()?;
        let code = *Code::ALL.iter().find(|known| known.as_str() == code)?;
        let hint = error["hint"].as_str().map(str::to_owned);
        let retry_after = error["retry_after_ms"].as_u64().map(Duration::from_millis);
        Some(Self { code, message: error["message"].as_str()?.to_owned(), hint, retry_after, details: error["details"].clone() })
    }
}
