//! The rules of what stops calls: switches, their fences, and windows. The reach of each is said here once more.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::history::{Entry, History, Life};

impl History {
    pub(super) fn uncovered(&self, lives: &BTreeMap<&str, Life<'_>>) -> Vec<String> {
        let (mut engaged, mut found): (BTreeMap<&str, &Entry>, Vec<String>) = Default::default();
        for entry in &self.entries {
            match entry.kind.as_str() {
                "switch_engaged" => drop(engaged.insert(entry.text("switch"), entry)),
                "switch_released" | "switch_expired" => drop(engaged.remove(entry.text("switch"))),
                // A repetition of an answer starts nothing, and a switch does not make it untrue.
                "admitted" if !entry.leaf["joins"].is_null() => {}
                "admitted" | "started" => {
                    let intent = lives.get(entry.call()).and_then(|life| life.find("intent_recorded"));
                    let by = intent.and_then(|intent| engaged.values().find(|switch| covers(switch.text("target"), intent)));
                    if let Some(switch) = by {
                        found.push(format!(
                            "{} {} at {} under {}",
                            entry.call(),
                            entry.kind,
                            entry.position,
                            switch.text("target")
                        ));
                    }
                }
                _ => {}
            }
        }
        let known: BTreeSet<&str> =
            self.entries.iter().filter(|entry| entry.kind == "switch_engaged").map(|entry| entry.text("switch")).collect();
        for (_, answer) in self.answered().filter(|(sent, answer)| sent.tool == "switch_engage" && answer.status == 200) {
            let id = answer.document["id"].as_str().unwrap_or_default();
            if !known.contains(id) {
                found.push(format!("the switch {id} was acknowledged and is not in the log"));
            }
        }
        found
    }

    /// From the answer that says `fenced` until anybody asks for the release, nothing covered begins.
    pub(super) fn unfenced(&self, lives: &BTreeMap<&str, Life<'_>>) -> Vec<String> {
        let mut found = Vec::new();
        let fenced = self.answered().filter(|(sent, answer)| sent.tool == "switch_engage" && answer.document["fenced"] == true);
        for (_, answer) in fenced {
            let target = answer.document["target"].as_str().unwrap_or_default();
            let releases = self.sent.iter().filter(|sent| sent.tool == "switch_release" && sent.at >= answer.at);
            let until = releases.map(|sent| sent.at).min().unwrap_or(i64::MAX);
            for effect in self.effects.iter().filter(|effect| effect.at > answer.at && effect.at < until) {
                let intent = lives.get(effect.call.as_str()).and_then(|life| life.find("intent_recorded"));
                if intent.is_some_and(|intent| covers(target, intent)) {
                    found.push(format!("{} began {} µs after {target} was fenced", effect.call, effect.at - answer.at));
                }
            }
        }
        found
    }

    pub(super) fn overfull(&self) -> Vec<String> {
        let mut taken: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        let (mut found, lives) = (Vec::new(), self.lives());
        for entry in self.entries.iter().filter(|entry| entry.kind == "admitted" && entry.leaf["joins"].is_null()) {
            let keys: Vec<&str> = entry.leaf["limits"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let tool =
                lives.get(entry.call()).and_then(|life| life.find("intent_recorded")).map_or("", |intent| intent.text("tool"));
            for wanted in limits_of(tool) {
                if !keys.iter().any(|key| key.starts_with(wanted)) {
                    found.push(format!("{} ({tool}) took no place of its {wanted} limit", entry.call()));
                }
            }
            for key in keys {
                taken.entry(key).or_default().push(entry.at);
            }
        }
        for (key, times) in taken {
            let Some(limit) = key.split(':').next().and_then(|kind| self.limits.get(kind)) else { continue };
            let full = times.windows(limit.admit + 1).find(|run| run[limit.admit] - run[0] < limit.window);
            if let Some(run) = full {
                found.push(format!("{key}: {} within {} µs, of {}", run.len(), run[limit.admit] - run[0], limit.window));
            }
        }
        found
    }
}

fn class_of(tool: &str) -> &'static str {
    match tool {
        "vm_power" => "write",
        "vm_exec" | "command_start" | "vm_exec_set" => "exec",
        "switch_engage" | "switch_release" => "stops",
        "switch_list" => "control",
        "vm_get" | "vm_list" => "read",
        _ => "unknown",
    }
}

/// It makes the provider do something.
pub fn acts(tool: &str) -> bool {
    matches!(tool, "vm_power" | "vm_exec" | "command_start")
}

fn limits_of(tool: &str) -> &'static [&'static str] {
    match class_of(tool) {
        "write" => &["credential:", "write:"],
        "exec" => &["credential:", "exec:"],
        "read" => &["credential:"],
        _ => &[],
    }
}

/// Whether a switch on `target` stops the call of this intent. Stopping is never switched off.
fn covers(target: &str, intent: &Entry) -> bool {
    let class = class_of(intent.text("tool"));
    if class == "stops" {
        return false;
    }
    match target.split_once(':') {
        None => target == "all",
        Some(("class", name)) => class == name,
        Some(("tool", name)) => intent.text("tool") == name,
        Some(("provider", name)) => name == "sim" && (!intent.about().is_empty() || intent.reaches(name)),
        Some(("account", id)) => intent.text("account") == id,
        Some(("credential", id)) => intent.text("credential") == id,
        Some(("vm", id)) => match id.strip_suffix("/exec") {
            Some(id) => class == "exec" && intent.about() == id,
            None => intent.about() == id,
        },
        Some(_) => false,
    }
}
