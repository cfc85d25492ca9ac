//! Reading the command line: a word that is no command is answered with what is near, by the same measure as everywhere.

use clap::Parser;
use clap::error::{ContextKind, ContextValue};

use crate::core::near::near;

/// Reads the command line. Help, and an error that names what is wrong, end the process.
#[must_use]
pub fn parse<P: Parser>() -> P {
    P::try_parse().unwrap_or_else(|error| with_near(error).exit())
}

/// Clap offers what sounds alike; of that only what is near is offered.
fn with_near(mut error: clap::Error) -> clap::Error {
    let (typed, offered) = (error.get(ContextKind::InvalidSubcommand), error.get(ContextKind::SuggestedSubcommand));
    let (Some(ContextValue::String(typed)), Some(ContextValue::Strings(offered))) = (typed, offered) else { return error };
    let near: Vec<String> = near(typed, offered.iter().map(String::as_str)).into_iter().map(str::to_owned).collect();
    if near.is_empty() {
        error.remove(ContextKind::SuggestedSubcommand);
    } else {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(near));
    }
    error
}
