//! The commands that a simulated guest understands. Nothing is ever run on the host.
//!
//! Invariant: what is not understood ends with an error that says it is a simulation; nothing is made up.

use std::time::Duration;

use crate::providers::compute::Stream;

/// What the commands can say of the machine they seem to run on.
#[derive(Clone, Debug)]
pub(super) struct Guest {
    /// What it calls itself.
    pub hostname: String,
    /// Its operating system; says that it is simulated.
    pub os: String,
    /// Seconds since it seems to have booted.
    pub uptime_seconds: u64,
    /// Where the job runs.
    pub directory: String,
}

/// Where output goes. Says whether there is room for more.
pub(super) trait Spool: Send + Sync {
    /// Writes to one of the two streams.
    fn write(&self, stream: Stream, bytes: &[u8]) -> bool;
}

const BROKEN_PIPE: i32 = 141;
const CHUNK: usize = 64 * 1024;

/// Runs a script to its end and gives its exit code.
pub(super) async fn run(script: &str, guest: &Guest, spool: &dyn Spool) -> i32 {
    let Some(commands) = parse(script) else {
        spool.write(Stream::Stderr, b"sim: only simple commands joined by ; and && are understood (this is a simulation)\n");
        return 2;
    };
    let mut code = 0;
    for command in commands {
        if command.only_after_success && code != 0 {
            continue;
        }
        match execute(&command, guest, spool).await {
            Flow::Next(next) => code = next,
            Flow::Exit(last) => return last,
        }
    }
    code
}

#[derive(Debug, Default)]
struct Command {
    words: Vec<String>,
    only_after_success: bool,
    to_stderr: bool,
}

enum Flow {
    Next(i32),
    Exit(i32),
}

async fn execute(command: &Command, guest: &Guest, spool: &dyn Spool) -> Flow {
    let words: Vec<&str> = command.words.iter().map(String::as_str).collect();
    let out = if command.to_stderr { Stream::Stderr } else { Stream::Stdout };
    let say = |text: String| {
        spool.write(out, text.as_bytes());
        Flow::Next(0)
    };
    match words.as_slice() {
        ["false"] => Flow::Next(1),
        ["exit"] => Flow::Exit(0),
        ["exit", code] => Flow::Exit(code.parse().unwrap_or(2)),
        ["echo", rest @ ..] => say(format!("{}\n", rest.join(" "))),
        ["uname", "-a"] => say(format!("Linux {} 0.0-sim #1 SIMULATED, this is a simulation\n", guest.hostname)),
        ["uname"] => say("Linux (simulated)\n".into()),
        ["hostname"] | ["cat", "/etc/hostname"] => say(format!("{}\n", guest.hostname)),
        ["cat", "/etc/os-release"] => say(format!("PRETTY_NAME=\"{}\"\n", guest.os)),
        ["cat", path] => fail(spool, &format!("cat: {path}: no such file in this simulation"), 1),
        ["uptime"] => say(format!("up {} seconds (simulated)\n", guest.uptime_seconds)),
        ["pwd"] => say(format!("{}\n", guest.directory)),
        ["sleep", seconds] => sleep(seconds, spool).await,
        ["seq", from, to] => match (from.parse::<u64>(), to.parse::<u64>()) {
            (Ok(from), Ok(to)) => lines((from..=to).map(|number| format!("{number}\n")), out, spool).await,
            _ => fail(spool, "seq: two whole numbers are needed", 1),
        },
        ["repeat", times, rest @ ..] => match times.parse::<u64>() {
            Ok(times) => lines((0..times).map(|_| format!("{}\n", rest.join(" "))), out, spool).await,
            Err(_) => fail(spool, "repeat: a whole number is needed", 1),
        },
        ["true"] | [] => Flow::Next(0),
        [name, ..] => fail(spool, &format!("sim: {name}: not found (this is a simulation)"), 127),
    }
}

fn fail(spool: &dyn Spool, text: &str, code: i32) -> Flow {
    spool.write(Stream::Stderr, format!("{text}\n").as_bytes());
    Flow::Next(code)
}

async fn sleep(seconds: &str, spool: &dyn Spool) -> Flow {
    match seconds.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        Some(by) => {
            tokio::time::sleep(by).await;
            Flow::Next(0)
        }
        None => fail(spool, "sleep: a number of seconds is needed", 1),
    }
}

/// Writes many lines, a piece at a time, so that the job can be ended in between.
async fn lines(lines: impl Iterator<Item = String> + Send, out: Stream, spool: &dyn Spool) -> Flow {
    let mut piece = String::new();
    for line in lines {
        piece.push_str(&line);
        if piece.len() >= CHUNK {
            if !spool.write(out, piece.as_bytes()) {
                return Flow::Next(BROKEN_PIPE);
            }
            piece.clear();
            tokio::task::yield_now().await;
        }
    }
    if spool.write(out, piece.as_bytes()) { Flow::Next(0) } else { Flow::Next(BROKEN_PIPE) }
}

/// Splits a script into commands; none if it holds what a real shell would do more with.
fn parse(script: &str) -> Option<Vec<Command>> {
    let mut commands = vec![Command::default()];
    let mut word: Option<String> = None;
    let mut chars = script.chars().peekable();
    while let Some(next) = chars.next() {
        match next {
            '\'' | '"' => {
                let quoted = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        end if end == next => break,
                        '$' | '`' | '\\' if next == '"' => return None,
                        inner => quoted.push(inner),
                    }
                }
            }
            '>' if word.is_none() && chars.next_if_eq(&'&').is_some() && chars.next_if_eq(&'2').is_some() => {
                commands.last_mut()?.to_stderr = true;
            }
            '&' if chars.next_if_eq(&'&').is_some() => next_command(&mut commands, &mut word, true),
            ';' | '\n' => next_command(&mut commands, &mut word, false),
            '|' | '&' | '<' | '>' | '$' | '`' | '\\' | '(' | ')' | '{' | '}' | '*' | '?' | '#' => return None,
            blank if blank.is_whitespace() => commands.last_mut()?.words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    commands.last_mut()?.words.extend(word);
    Some(commands)
}

fn next_command(commands: &mut Vec<Command>, word: &mut Option<String>, only_after_success: bool) {
    if let Some(command) = commands.last_mut() {
        command.words.extend(word.take());
    }
    commands.push(Command { only_after_success, ..Command::default() });
}
