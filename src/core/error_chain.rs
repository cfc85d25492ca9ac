//! An error with what caused it, as one text: for a line, a report or an answer that has no room for a chain.

use std::error::Error;
use std::iter::successors;

/// What an error says, and after it what each of its sources says.
pub fn error_chain(error: &dyn Error) -> String {
    let sources = successors(error.source(), |error| (*error).source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}
