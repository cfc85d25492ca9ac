//! What everybody says happened, and the rules that have to hold between them: the log as the database has it, the
//! clients' own record of what they sent and were answered, and the provider's journal of what it did.
//!
//! INVARIANT: nothing here is the product's own code. Leaves are read as plain JSON, and the life of a call, the reach
//! of a switch and the size of a window are said once more, so that a mistake would have to be made twice.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// One row of the log.
#[derive(Clone, Debug)]
pub struct Entry {
    pub position: i64,
    pub at: i64,
    pub kind: String,
    pub call: Option<String>,
    pub leaf: Value,
}

impl Entry {
    /// A field of the leaf as text; empty if it has none.
    pub fn text(&self, field: &str) -> &str {
        self.leaf[field].as_str().unwrap_or_default()
    }

    /// What an intent is about, as text; empty if it is about nothing.
    pub fn about(&self) -> &str {
        self.leaf["resources"][0].as_str().unwrap_or_default()
    }

    /// Whether an intent says that it reaches a provider without naming anything there.
    pub fn reaches(&self, provider: &str) -> bool {
        self.leaf["providers"].as_array().is_some_and(|names| names.iter().any(|name| name == provider))
    }

    /// The call it belongs to; empty if it belongs to none.
    pub fn call(&self) -> &str {
        self.call.as_deref().unwrap_or_default()
    }
}

/// Where the log says that it stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head {
    pub position: i64,
    pub at: i64,
}

/// A request as its client knows it. Times are microseconds of the machine's clock.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    pub tool: String,
    pub vm: Option<String>,
    pub at: i64,
    pub answer: Option<Answer>,
}

/// An answer that came.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub at: i64,
    pub status: u16,
    pub call: Option<String>,
    pub code: Option<String>,
    pub run: Option<String>,
    pub document: Value,
}

impl Answer {
    /// Whether its error begins so.
    pub fn says(&self, text: &str) -> bool {
        self.document["error"]["message"].as_str().is_some_and(|message| message.starts_with(text))
    }
}

/// Something that the provider began to do.
#[derive(Clone, Debug)]
pub struct Effect {
    pub call: String,
    pub machine: String,
    pub at: i64,
    /// It came to be; a power change that its provider died in the middle of never does.
    pub done: bool,
}

/// At most `admit` calls in any `window` microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub admit: usize,
    pub window: i64,
}

/// Everything that is known of one run.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub head: Head,
    pub entries: Vec<Entry>,
    /// Rows of calls that the log still calls open, and of places that they hold.
    pub open: Vec<String>,
    /// Refusals that were counted and not yet closed, by run.
    pub counting: BTreeMap<String, u64>,
    pub sent: Vec<Sent>,
    pub effects: Vec<Effect>,
    /// By the first word of a limit's key: `credential`, `exec`, `write`.
    pub limits: BTreeMap<String, Limit>,
}

/// A rule that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    pub rule: &'static str,
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)
    }
}

/// The life of one call, as the log tells it.
#[derive(Debug, Default)]
pub struct Life<'a> {
    pub events: Vec<&'a Entry>,
}

const ENDS: [&str; 6] = ["refused", "succeeded", "failed", "cancelled", "timed_out", "unknown"];

impl<'a> Life<'a> {
    pub fn find(&self, kind: &str) -> Option<&'a Entry> {
        self.events.iter().find(|event| event.kind == kind).copied()
    }

    pub fn ends(&self) -> impl Iterator<Item = &'a Entry> {
        self.events.iter().filter(|event| ENDS.contains(&event.kind.as_str())).copied()
    }

    pub fn end(&self) -> Option<&'a Entry> {
        self.ends().next()
    }

    /// It answers with what another call did, and does nothing itself.
    pub fn repeats(&self) -> bool {
        self.find("admitted").is_some_and(|admitted| !admitted.leaf["joins"].is_null())
    }
}

impl History {
    /// Every rule that does not hold.
    pub fn faults(&self) -> Vec<Fault> {
        let lives = self.lives();
        let rules: [(&str, Vec<String>); 13] = [
            ("positions have no gaps", self.gaps()),
            ("time does not run backwards", self.backwards()),
            ("a call lives as calls do", Self::unlawful(&lives)),
            ("every call ends once", self.endless(&lives)),
            ("what was answered is in the log", self.unrecorded(&lives)),
            ("what is in the log was asked for", self.unasked()),
            ("nothing is executed twice", self.repeated()),
            ("what is executed was admitted before", self.unadmitted(&lives)),
            ("nothing is executed after its end", self.belated(&lives)),
            ("what the log says of the provider is true", self.untrue(&lives)),
            ("nothing that a switch covers is admitted", self.uncovered(&lives)),
            ("nothing that is fenced is executed", self.unfenced(&lives)),
            ("no window holds more than its limit", self.overfull()),
        ];
        rules.into_iter().flat_map(|(rule, whats)| whats.into_iter().map(move |what| Fault { rule, what })).collect()
    }

    /// Takes every effect for begun when its call was admitted, and no fence for closed.
    pub fn forget_times(&mut self) {
        let admitted = self.entries.iter().filter(|entry| entry.kind == "admitted");
        let times: BTreeMap<String, i64> = admitted.map(|entry| (entry.call().to_owned(), entry.at)).collect();
        for effect in &mut self.effects {
            effect.at = times.get(&effect.call).copied().unwrap_or(effect.at);
        }
        for answer in self.sent.iter_mut().filter_map(|sent| sent.answer.as_mut()) {
            if answer.document["fenced"] == true {
                answer.document["fenced"] = Value::Null;
            }
        }
    }

    pub fn lives(&self) -> BTreeMap<&str, Life<'_>> {
        let mut lives: BTreeMap<&str, Life<'_>> = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| entry.call.is_some()) {
            lives.entry(entry.call()).or_default().events.push(entry);
        }
        lives
    }

    pub fn answered(&self) -> impl Iterator<Item = (&Sent, &Answer)> {
        self.sent.iter().filter_map(|sent| sent.answer.as_ref().map(|answer| (sent, answer)))
    }
}

impl Limit {
    pub fn of(admit: usize, milliseconds: u64) -> Self {
        Self { admit, window: i64::try_from(milliseconds * 1000).expect("a short time") }
    }
}
