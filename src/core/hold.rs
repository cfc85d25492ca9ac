//! What the policies ask for before a call may go on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who may approve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Approver {
    /// Somebody of the account, or staff.
    Any,
    /// Somebody of the account.
    #[default]
    Owner,
    /// Staff.
    Staff,
}

/// What the policies ask for before a call may go on: the strictest of what each of them asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The text of `@hold`.
    pub why: String,
    /// Who may approve (`@approver`).
    #[serde(default)]
    pub approver: Approver,
    /// Two different persons have to (`@second_person`).
    #[serde(default)]
    pub second_person: bool,
    /// Nobody approves a call of a key of his own (`@separate`).
    #[serde(default)]
    pub separate: bool,
}

impl Hold {
    /// A hold that any person of the account may end.
    pub fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), ..Self::default() }
    }

    /// Both of them: the strictest of each.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        Self {
            why: format!("{}; {}", self.why, other.why),
            approver: self.approver.max(other.approver),
            second_person: self.second_person || other.second_person,
            separate: self.separate || other.separate,
        }
    }

    /// What the log says of it.
    #[must_use]
    pub fn terms(&self) -> HoldTerms {
        HoldTerms { approver: self.approver, second_person: self.second_person, separate: self.separate }
    }

    pub(super) fn persons(&self) -> usize {
        if self.second_person { 2 } else { 1 }
    }
}

/// What the policies ask for, without their text: so it is recorded, and no row can ask for less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldTerms {
    /// Who may approve.
    pub approver: Approver,
    /// Two different persons have to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub second_person: bool,
    /// Nobody approves a call of a key of his own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub separate: bool,
}
