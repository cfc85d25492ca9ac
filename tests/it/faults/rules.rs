//! The rules of calls and their effects: what the log says of itself, to the clients, and of the provider.

use std::collections::{BTreeMap, BTreeSet};

use super::history::{Answer, Effect, Entry, History, Life};
use super::reach::acts;

impl History {
    pub(super) fn gaps(&self) -> Vec<String> {
        let wrong = |(entry, place): (&Entry, i64)| {
            (entry.position != place).then(|| format!("place {place} has position {}", entry.position))
        };
        let mut found: Vec<String> = self.entries.iter().zip(1i64..).filter_map(wrong).collect();
        let last = self.entries.last().map_or(0, |entry| entry.position);
        if last != self.head.position {
            found.push(format!("the head is at {} and the newest event at {last}", self.head.position));
        }
        found
    }

    pub(super) fn backwards(&self) -> Vec<String> {
        let pairs = self.entries.windows(2).filter(|pair| pair[1].at < pair[0].at);
        let mut found: Vec<String> =
            pairs.map(|pair| format!("position {} is before its predecessor", pair[1].position)).collect();
        if self.entries.last().is_some_and(|last| last.at != self.head.at) {
            found.push("the head's time is not the newest event's".into());
        }
        found
    }

    pub(super) fn unlawful(lives: &BTreeMap<&str, Life<'_>>) -> Vec<String> {
        let mut found = Vec::new();
        for (call, life) in lives {
            let (mut stands, mut previous) = ("nothing", 0);
            for event in &life.events {
                match after(stands, event) {
                    Some(next) => stands = next,
                    None => found.push(format!("{call}: {} after {stands}, at {}", event.kind, event.position)),
                }
                let named = event.leaf["prev"].as_i64();
                if !matches!(event.kind.as_str(), "reconciled" | "late_result") {
                    if named != Some(previous) {
                        found.push(format!("{call}: {} at {} follows {named:?}, not {previous}", event.kind, event.position));
                    }
                    previous = event.position;
                }
            }
        }
        found
    }

    pub(super) fn endless(&self, lives: &BTreeMap<&str, Life<'_>>) -> Vec<String> {
        let ended = lives.iter().map(|(call, life)| (call, life.ends().count())).filter(|(_, ends)| *ends != 1);
        let mut found: Vec<String> = ended.map(|(call, ends)| format!("{call} has {ends} ends")).collect();
        found.extend(self.open.iter().map(|row| format!("the row {row} is still there")));
        found
    }

    pub(super) fn unrecorded(&self, lives: &BTreeMap<&str, Life<'_>>) -> Vec<String> {
        let mut found = Vec::new();
        let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
        for (sent, answer) in self.answered() {
            if let Some(run) = &answer.run {
                *counted.entry(run).or_default() += 1;
            }
            let Some(call) = &answer.call else {
                if answer.status < 300 {
                    found.push(format!("{} succeeded and names no call: {}", sent.tool, answer.document));
                }
                continue;
            };
            match lives.get(call.as_str()) {
                // Nobody said that it is there, nor that it is not.
                _ if answer.says("The log did not say whether it has the call") => {}
                None => found.push(format!("{call} ({}) was answered {} and is not in the log", sent.tool, answer.status)),
                Some(life) if !agrees(answer, life) => {
                    let told = life.end().map(|end| end.leaf.to_string()).unwrap_or_default();
                    found.push(format!("{call} was answered {} {}, and its end is {told}", answer.status, answer.document));
                }
                Some(_) => {}
            }
        }
        for (run, answers) in counted {
            let closed = self.entries.iter().filter(|entry| entry.kind == "refusals_counted" && entry.text("run") == run);
            let written: u64 = closed.filter_map(|entry| entry.leaf["count"].as_u64()).sum();
            let open = self.counting.get(run).copied().unwrap_or(0);
            if written + open < answers {
                found.push(format!("{answers} refusals were answered with {run}, which counts {}", written + open));
            }
        }
        found
    }

    /// Only what the clients sent may be there; whose record is of tools that agents call.
    pub(super) fn unasked(&self) -> Vec<String> {
        let mut asked: BTreeMap<(&str, &str), i64> = BTreeMap::new();
        for sent in &self.sent {
            *asked.entry((&sent.tool, sent.vm.as_deref().unwrap_or_default())).or_default() += 1;
        }
        for entry in self.entries.iter().filter(|entry| entry.kind == "intent_recorded") {
            // Who asks for a command by its id alone names no VM, and is recorded with it.
            let named = (entry.text("tool"), entry.about());
            let key = if asked.contains_key(&named) { named } else { (named.0, "") };
            *asked.entry(key).or_default() -= 1;
        }
        let more = asked.into_iter().filter(|(_, left)| *left < 0);
        more.map(|((tool, vm), left)| format!("{tool} {vm} is recorded {} times more than it was sent", -left)).collect()
    }

    pub(super) fn repeated(&self) -> Vec<String> {
        let mut times: BTreeMap<&str, u32> = BTreeMap::new();
        for effect in &self.effects {
            *times.entry(&effect.call).or_default() += 1;
        }
        times
            .into_iter()
            .filter(|(_, times)| *times > 1)
            .map(|(call, times)| format!("{call} was executed {times} times"))
            .collect()
    }

    pub(super) fn unadmitted(&self, lives: &BTreeMap<&str, Life<'_>>) -> Vec<String> {
        let machines: BTreeMap<&str, &str> = self
            .entries
            .iter()
            .filter(|entry| entry.kind == "vm_imported")
            .map(|entry| (entry.text("vm"), entry.text("machine")))
            .collect();
        let wrong = |effect: &Effect| {
            let Some(life) = lives.get(effect.call.as_str()) else { return Some("has no event".to_owned()) };
            let Some(admitted) = life.find("admitted") else { return Some("was not admitted".to_owned()) };
            if admitted.at > effect.at {
                return Some(format!("began {} µs before its admission", admitted.at - effect.at));
            }
            let vm = life.find("intent_recorded").map_or("", Entry::about);
            (machines.get(vm) != Some(&effect.machine.as_str())).then(|| format!("happened to {}, not to {vm}", effect.machine))
        };
        self.effects.iter().filter_map(|effect| wrong(effect).map(|why| format!("{} {why}", effect.call))).collect()
    }

    pub(super) fn belated(&self, lives: &BTreeMap<&str, Life<'_>>) -> Vec<String> {
        let late = |effect: &&Effect| {
            let end = lives.get(effect.call.as_str()).and_then(Life::end);
            end.is_some_and(|end| end.at < effect.at)
        };
        self.effects.iter().filter(late).map(|effect| format!("{} began after its end was written", effect.call)).collect()
    }

    pub(super) fn untrue(&self, lives: &BTreeMap<&str, Life<'_>>) -> Vec<String> {
        let begun: BTreeSet<&str> = self.effects.iter().map(|effect| effect.call.as_str()).collect();
        let done: BTreeSet<&str> = self.effects.iter().filter(|effect| effect.done).map(|effect| effect.call.as_str()).collect();
        let mut found = Vec::new();
        for (call, life) in lives {
            let tool = life.find("intent_recorded").map_or("", |intent| intent.text("tool"));
            let (happened, was_begun) = (done.contains(call), begun.contains(call));
            if acts(tool) && !life.repeats() && life.find("succeeded").is_some() && !happened {
                found.push(format!("{call} succeeded and the provider did nothing"));
            }
            if was_begun && life.find("refused").is_some() {
                found.push(format!("{call} was refused and the provider did it"));
            }
            if was_begun && life.find("cancelled").is_some_and(|end| end.text("code") == "audit_unavailable") {
                found.push(format!("{call} is said never to have started, and the provider did it"));
            }
            let asked = life.events.iter().filter(|event| event.kind == "reconciled").count();
            if acts(tool) && !life.repeats() && asked != usize::from(life.find("unknown").is_some()) {
                found.push(format!("{call} was reconciled {asked} times"));
            }
            for told in life.events.iter().filter(|event| event.kind == "reconciled") {
                // What runs when the provider is asked has happened as far as it can tell.
                if told.leaf["happened"].as_bool().is_some_and(|said| if said { !was_begun } else { happened }) {
                    found.push(format!("{call} is reconciled as {}, and the provider says {happened}", told.leaf["happened"]));
                }
            }
        }
        found
    }
}

/// Where a call stands after an event, if that may follow.
fn after(stands: &str, event: &Entry) -> Option<&'static str> {
    match (stands, event.kind.as_str()) {
        ("nothing", "intent_recorded") => Some("recorded"),
        ("recorded" | "held", "refused") => Some("refused"),
        ("recorded" | "held", "admitted") if event.leaf["node"].is_null() => Some("queued"),
        ("recorded" | "held", "admitted") | ("queued" | "running", "started") | ("running", "cancel_requested") => {
            Some("running")
        }
        ("recorded", "held") | ("held", "approval_decided") => Some("held"),
        ("queued", "cancel_requested") => Some("queued"),
        ("running", "succeeded" | "failed") | ("queued" | "running", "cancelled" | "timed_out") | ("ended", "late_result") => {
            Some("ended")
        }
        ("queued" | "running", "unknown") | ("unknown", "reconciled" | "late_result") => Some("unknown"),
        _ => None,
    }
}

/// Whether what the client was told is what the log says.
fn agrees(answer: &Answer, life: &Life<'_>) -> bool {
    let Some(end) = life.end() else { return true };
    let noted_late = life.find("late_result").is_some();
    // It was told that the call goes on, and no end of it.
    if answer.code.as_deref() == Some("outcome_unknown") && answer.says("Whether this may still be answered cannot be read") {
        return end.kind != "refused";
    }
    if answer.status == 202 {
        return end.kind != "refused";
    }
    if answer.status < 300 {
        return end.kind == "succeeded" || noted_late;
    }
    let repeats = !end.leaf["replay_of"].is_null();
    // It ended as the first call did; what that one answered could not be read back, and its caller asks again.
    if repeats && answer.code.as_deref() == Some("audit_unavailable") {
        return true;
    }
    end.kind != "succeeded" && (repeats || end.leaf["code"].as_str() == answer.code.as_deref()) || noted_late
}
