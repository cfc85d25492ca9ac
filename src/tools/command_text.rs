//! Which of a call's arguments is a command: for who lists calls, and for who finds them by its words.

use serde_json::Value;

use super::spec_of;
use crate::core::job::Run;
use crate::core::tool::Class;

/// The command that a call of a tool runs, of its arguments as they are recorded.
#[must_use]
pub fn command_of<'a>(tool: &str, args: &'a Value) -> Option<&'a str> {
    spec_of(tool).filter(|facts| facts.class == Class::Exec)?;
    args["command"].as_str()
}

/// What of a call's recorded arguments lists tell to who may read them, and what it is found by: its command, or the name of a tool
/// that there is not.
#[must_use]
pub fn told_content<'a>(tool: &str, args: &'a Value) -> Option<&'a str> {
    if tool == Run::UNKNOWN { args["tool"].as_str() } else { command_of(tool, args) }
}
