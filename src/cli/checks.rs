//! What was looked at one by one, and what came of it.

use std::error::Error;

use super::CliError;
use crate::core::error_chain::error_chain;

/// Why something of the vault could not be looked at.
pub(super) const NO_VAULT: &str = "the vault cannot be used";

/// What `doctor` cannot tell, and why.
pub(super) const NOT_CHECKED: [&str; 5] = [
    "how old the last backup is: Forelog makes none itself and knows of none (docs/operations.md, Backing up)",
    "whether a copy of the key file is kept elsewhere: without one a lost key file closes the vault for good",
    "whether clients reach public_url and accept its certificate: nothing outside this machine is asked",
    "whether issuers (sign_in.oidc) and the collector (telemetry.endpoint) answer: nothing outside this machine is asked",
    "whether QEMU starts and guests boot: doctor starts no machine",
];

/// What came of looking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// It is as it should be.
    Fine,
    /// There is no fault, and something that whoever asks should know.
    Noted(String),
    /// It is not.
    Faults(Vec<String>),
    /// It could not be looked at, because of this.
    Unseen(String),
}

impl From<Vec<String>> for Checked {
    fn from(faults: Vec<String>) -> Self {
        if faults.is_empty() { Self::Fine } else { Self::Faults(faults) }
    }
}

impl Checked {
    /// Of a look that may have failed.
    pub(super) fn of(looked: Result<Vec<String>, impl Error>) -> Self {
        looked.map_or_else(|error| Self::Unseen(error_chain(&error)), Self::from)
    }
}

/// Everything that was looked at, in order.
#[derive(Debug, Default)]
pub(super) struct Checks {
    all: Vec<(&'static str, Checked)>,
    /// Faults that are not named.
    pub(super) more: u64,
}

impl Checks {
    pub(super) fn add(&mut self, name: &'static str, checked: Checked) {
        self.all.push((name, checked));
    }

    /// Each by its name, with what is to be known of it.
    pub(super) fn passed(&self) -> impl Iterator<Item = (&'static str, Option<&str>)> {
        self.all
            .iter()
            .map(|(name, checked)| (*name, if let Checked::Noted(note) = checked { Some(note.as_str()) } else { None }))
    }

    /// Whether anything is wrong, or was not looked at.
    pub(super) fn is_wrong(&self) -> bool {
        self.all.iter().any(|(_, checked)| matches!(checked, Checked::Faults(_) | Checked::Unseen(_)))
    }

    /// One line for each, and below it what is wrong.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, checked) in &self.all {
            match checked {
                Checked::Fine => lines.push(format!("ok  {name}")),
                Checked::Noted(note) => lines.push(format!("--  {name}: {note}")),
                Checked::Unseen(why) => lines.push(format!("??  {name}: not looked at: {why}")),
                Checked::Faults(faults) => {
                    lines.push(format!("NOT {name}:"));
                    lines.extend(faults.iter().map(|fault| format!("      {fault}")));
                }
            }
        }
        if self.more > 0 {
            lines.push(format!("    and {} more faults", self.more));
        }
        lines
    }

    /// All of it, as what went wrong.
    pub(super) fn to_error(&self) -> CliError {
        let count = |wanted: fn(&Checked) -> bool| self.all.iter().filter(|(_, checked)| wanted(checked)).count();
        CliError::Checked {
            wrong: count(|checked| matches!(checked, Checked::Faults(_))),
            unseen: count(|checked| matches!(checked, Checked::Unseen(_))),
            lines: self.lines().into_iter().chain(not_checked()).collect(),
        }
    }
}

/// What was not checked at all, and why.
pub(super) fn not_checked() -> impl Iterator<Item = String> {
    std::iter::once("not checked:".to_owned()).chain(NOT_CHECKED.iter().map(|what| format!("      {what}")))
}
