//! What is wrong with a set of policies.

use std::fmt;
use std::io;

use super::place::Place;

/// What is wrong with a set of policies.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A file or the directory cannot be read.
    #[error("reading {path}: {why}")]
    Unreadable {
        /// Which.
        path: String,
        /// Why.
        why: io::Error,
    },
    /// There is nothing in it that could permit or forbid.
    #[error("there is no policy in {0}: policies are in files that end in .cedar")]
    Empty(String),
    /// A file is not what it should be.
    #[error("{file}{}: {message}{}", .at.as_ref().map_or_else(String::new, |at| format!(":{at}")), .at.as_ref().map_or_else(String::new, Place::excerpt))]
    Invalid {
        /// The file's name.
        file: String,
        /// Where in it, if that is known.
        at: Option<Place>,
        /// What is wrong with it.
        message: String,
    },
    /// The policies do not say what their cases expect.
    #[error("{} not hold: {}", if .0.len() == 1 { "a case does".to_owned() } else { format!("{} cases do", .0.len()) }, list(.0))]
    Cases(Vec<CaseFailure>),
    /// The catalogue does not make a schema.
    #[error("making a schema from the catalogue: {0}")]
    Schema(String),
}

impl PolicyError {
    pub(super) fn invalid(file: &str, message: String) -> Self {
        Self::at(file, None, message)
    }

    pub(super) fn at(file: &str, at: Option<Place>, message: String) -> Self {
        Self::Invalid { file: file.to_owned(), at, message }
    }
}

/// A case that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseFailure {
    /// The case's name.
    pub name: String,
    /// The file that it is in.
    pub file: String,
    /// Its line there.
    pub line: usize,
    /// What was expected and what the policies say.
    pub message: String,
}

impl fmt::Display for CaseFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({}:{}): {}", self.name, self.file, self.line, self.message)
    }
}

fn list(failures: &[CaseFailure]) -> String {
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
