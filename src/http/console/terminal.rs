//! A command as its caller would have seen it: what was typed, how it ended and what it wrote, as far as that is recorded.

use serde_json::Value;

use super::format::escape_hidden;
use crate::tools::{CallTimeline, command_of};

/// A command and what came of it.
pub struct Terminal {
    /// The whole command.
    pub command: String,
    /// Exit code; none if it has none yet, or was ended.
    pub exit: Option<i64>,
    /// How it stands, in words, with how long it took.
    pub end: String,
    /// What it wrote, by stream.
    pub outputs: Vec<Written>,
}

/// What a command wrote into one stream.
pub struct Written {
    /// What the stream is called.
    pub name: &'static str,
    /// As it is recorded, its tricks visible.
    pub text: String,
    /// There is more than that.
    pub is_cut: bool,
}

impl Terminal {
    /// The command of a call; none if it runs none, or it cannot be read any more.
    pub fn of(tool: &str, timeline: &CallTimeline) -> Option<Self> {
        let command = command_of(tool, timeline.arguments.as_ref()?)?;
        let result = timeline.result.as_ref().unwrap_or(&Value::Null);
        let exit = result["exit_code"].as_i64();
        let duration = result["duration_ms"].as_i64().map(length);
        let end = match (exit, duration) {
            (Some(code), Some(duration)) => format!("exit {code} · {duration}"),
            (Some(code), None) => format!("exit {code}"),
            (None, Some(duration)) if result["timed_out"] == true => format!("Ended after {duration}: time limit"),
            (None, None) if result["timed_out"] == true => "Ended: time limit".to_owned(),
            (None, duration) => duration.unwrap_or_default(),
        };
        let outputs = [("stdout", "Standard output"), ("stderr", "Standard error")];
        Some(Self {
            command: lines(command),
            exit,
            end,
            outputs: outputs.iter().filter_map(|(stream, name)| written(result, stream, name)).collect(),
        })
    }
}

fn written(result: &Value, stream: &str, name: &'static str) -> Option<Written> {
    let part = |end: &str| result[format!("{stream}{end}")].as_str().filter(|text| !text.is_empty());
    let parts: Vec<&str> = [part(""), part("_head"), part("_tail")].into_iter().flatten().collect();
    let is_cut = result[format!("{stream}_truncated")] == true;
    (!parts.is_empty()).then(|| Written { name, text: lines(&parts.join("\n…\n")), is_cut })
}

fn length(millis: i64) -> String {
    if millis < 1000 { format!("{millis} ms") } else { format!("{}.{} s", millis / 1000, millis % 1000 / 100) }
}

fn lines(text: &str) -> String {
    text.trim_end().split('\n').map(escape_hidden).collect::<Vec<_>>().join("\n")
}
