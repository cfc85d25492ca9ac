//! What a call does, in the words of a list: the command with how it ended, the name of a tool that there is not, or what is public of the arguments as a person says it.
//!
//! INVARIANT: a command is shown to who may see its call, if its key was not erased, and to staff only once they have said why they
//! look; whoever may not is shown what is public.

use std::collections::HashMap;

use super::format::{Chip, escape_hidden};
use super::request::SignedInRequest;
use crate::core::call::Status;
use crate::core::id::CallId;
use crate::core::job::Run;
use crate::core::noun::vm::VM;
use crate::core::tool::Class;
use crate::core::visible::capitalized;
use crate::log::reading::SaidInCall;
use crate::tools::{CallRecord, command_of, public_argument, spec_of, told_content};

/// Most characters of a command or a sentence in a list.
const LENGTH: usize = 120;

/// What a call does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Act {
    /// The command, on one line.
    pub command: Option<String>,
    /// How the command ended.
    pub end: Option<String>,
    /// The command ended with another exit code than 0, or by its time limit: that is how the call stands, and said nowhere else.
    pub is_failed: bool,
    /// What else is to be said.
    pub text: String,
}

impl Act {
    /// What a call does; `said` if it may be told, `title` of its tool, and what the thing is called that its id names.
    fn of(record: &CallRecord, said: Option<&SaidInCall>, title: Option<&str>, named: Option<String>) -> Self {
        let arguments = said.and_then(|said| said.arguments.as_ref());
        let command = arguments.and_then(|part| command_of(&record.tool, &part["args"]));
        if let Some(command) = command {
            let result = said.and_then(|said| said.result.as_ref());
            let (end, is_failed) = (result.and_then(ended), result.is_some_and(has_failed));
            return Self { command: Some(one_line(command)), end, is_failed, text: String::new() };
        }
        let name = arguments.filter(|_| record.tool == Run::UNKNOWN).and_then(|part| told_content(Run::UNKNOWN, &part["args"]));
        if let Some(name) = name {
            return Self { text: escape_hidden(name), ..Self::default() };
        }
        Self { text: sentence(record, title, named), ..Self::default() }
    }

    /// What is asked for, as the head of a page says it: `Stop worker-1`.
    pub fn heading(&self, vm: Option<&str>) -> String {
        let (what, of) = match &self.command {
            Some(command) => (command.clone(), " on "),
            None if self.text.contains(' ') => (capitalized(&self.text), ": "),
            None => (capitalized(&self.text), " "),
        };
        match vm {
            Some(vm) => format!("{what}{of}{vm}"),
            None => what,
        }
    }

    /// How a call with this status stands. Of a command that ran, its own end counts.
    pub fn chip(&self, status: Status) -> Chip {
        match &self.end {
            Some(end) if self.is_failed && status == Status::Succeeded => Chip::ran(end),
            _ => Chip::of(status),
        }
    }

    /// All of it as one text.
    pub fn line(&self) -> String {
        let end = self.end.as_ref().filter(|_| !self.is_failed).map(|end| format!(" → {end}")).unwrap_or_default();
        self.command.as_ref().map_or_else(|| self.text.clone(), |command| format!("{command}{end}"))
    }
}

/// What calls do, as far as whoever looks may know.
pub async fn acts(items: &[CallRecord], request: &SignedInRequest) -> HashMap<CallId, Act> {
    let runs = |record: &CallRecord| spec_of(&record.tool).is_some_and(|facts| facts.class == Class::Exec);
    let has_content = |record: &&CallRecord| runs(record) || record.tool == Run::UNKNOWN;
    let commands: Vec<CallId> = items.iter().filter(has_content).map(|record| record.call_id.clone()).collect();
    let said = if commands.is_empty() || !request.reads_commands() {
        HashMap::new()
    } else {
        let reader = &request.http.gateway.control().ports.reader;
        let read = reader.said_in(&commands, &request.visibility()).await;
        read.inspect_err(|error| tracing::warn!(%error, "commands are not listed")).unwrap_or_default()
    };
    let title = |tool: &str| request.http.gateway.control().catalogue.get(tool).map(|tool| tool.title);
    let (state, visibility) = (request.http.gateway.state(), request.visibility());
    let named = |record: &CallRecord| {
        let key = public_argument(&record.text, "id")?.parse().ok().and_then(|id| state.credentials.get(&id));
        key.filter(|key| visibility.key(key)).map(|key| escape_hidden(&key.label))
    };
    let act = |record: &CallRecord| Act::of(record, said.get(&record.call_id), title(&record.tool), named(record));
    items.iter().map(|record| (record.call_id.clone(), act(record))).collect()
}

/// How a command ended, as its result says.
pub fn ended(result: &serde_json::Value) -> Option<String> {
    match (result["exit_code"].as_i64(), result["timed_out"].as_bool()) {
        (Some(code), _) => Some(format!("exit {code}")),
        (None, Some(true)) => Some("time limit".to_owned()),
        _ => None,
    }
}

/// Whether a command ended, and not with 0.
pub fn has_failed(result: &serde_json::Value) -> bool {
    result["exit_code"] != 0 && ended(result).is_some()
}

/// The first line that says something, and that there is more.
fn one_line(command: &str) -> String {
    let mut lines = command.trim().lines();
    let first = escape_hidden(lines.next().unwrap_or_default());
    let is_cut = first.chars().count() > LENGTH || lines.next().is_some();
    let kept: String = first.chars().take(LENGTH).collect();
    if is_cut { format!("{kept} …") } else { kept }
}

/// What is public of a call, as its tool says it. The VM has a place of its own. Of a call that was refused for its form nothing is
/// public, and so what it would have done is not known.
fn sentence(record: &CallRecord, title: Option<&str>, named: Option<String>) -> String {
    let act = spec_of(&record.tool).and_then(|facts| facts.act);
    if let Some(told) = act.and_then(|act| filled(act, &record.text)) {
        return told;
    }
    match (title, named.unwrap_or_else(|| shortened(record))) {
        (Some(title), rest) if rest.is_empty() => title.to_owned(),
        (Some(title), rest) => format!("{title}: {rest}"),
        (None, rest) => rest,
    }
}

/// The words with the arguments in their places; none if one is missing.
fn filled(act: &str, arguments: &str) -> Option<String> {
    let (mut told, mut rest) = (String::new(), act);
    while let Some((words, more)) = rest.split_once('{') {
        let (name, after) = more.split_once('}')?;
        let value = public_argument(arguments, name)?;
        let value = match value {
            "true" => "on",
            "false" => "off",
            other => other,
        };
        told.push_str(words);
        told.push_str(value);
        rest = after;
    }
    told.push_str(rest);
    Some(escape_hidden(&told).chars().take(LENGTH).collect())
}

/// The public arguments without the VM and the account, which have places of their own.
fn shortened(record: &CallRecord) -> String {
    let vm = record.about(&VM).map(|vm| format!("{}={vm}", VM.argument));
    let rest = vm.map_or_else(|| record.text.clone(), |vm| record.text.replace(&vm, ""));
    let rest = rest.replace(&format!("account={}", record.account), "");
    // Of a list its words are enough.
    escape_hidden(rest.trim()).chars().filter(|c| !matches!(c, '[' | ']' | '"')).take(LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_the_arguments_in_their_places_or_are_not_said() {
        assert_eq!(filled("rename to {hostname}", "hostname=db-2 vm_id=vm_1").as_deref(), Some("rename to db-2"));
        assert_eq!(filled("turn commands {enabled}", "enabled=false").as_deref(), Some("turn commands off"));
        assert_eq!(filled("{action}", "vm_id=vm_1"), None);
    }

    #[test]
    fn a_command_is_one_line_and_says_that_there_is_more() {
        assert_eq!(one_line(" df -h\n"), "df -h");
        assert_eq!(one_line("df -h\necho"), "df -h …");
        assert_eq!(one_line(&"x".repeat(500)).chars().count(), LENGTH + 2);
    }
}
