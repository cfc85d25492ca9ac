//! Forged histories: each breaks one rule, and the checker has to say which. The honest one breaks none.

use serde_json::{Value, json};

use super::history::{Answer, Effect, Entry, Head, History, Limit, Sent};

const CALL: &str = "call_1";

/// A run in which one VM was reset once, and everybody agrees on it.
struct Forgery(History);

impl Forgery {
    fn honest() -> Self {
        let mut forgery = Self(History::default());
        forgery.0.limits = [("write".to_owned(), Limit::of(2, 1)), ("credential".to_owned(), Limit::of(2, 1))].into();
        forgery.log("vm_imported", None, &json!({ "vm": "vm_1", "machine": "web-1" }));
        forgery.call(CALL, "succeeded", &json!({}));
        forgery.0.effects.push(Effect { call: CALL.into(), machine: "web-1".into(), at: 35, done: true });
        let answer = Answer { at: 50, status: 200, call: Some(CALL.into()), ..Answer::default() };
        forgery.send("vm_power", 15, Some(answer));
        forgery
    }

    /// The next event, ten microseconds after the one before.
    fn log(&mut self, kind: &str, call: Option<&str>, fields: &Value) -> &mut Entry {
        let (position, at) = (self.0.head.position + 1, self.0.head.at + 10);
        let earlier = self.0.entries.iter().rev().find(|entry| call.is_some() && entry.call.as_deref() == call);
        let prev = earlier.map_or(0, |entry| entry.position);
        let mut leaf = json!({ "prev": prev });
        leaf.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        self.0.head = Head { position, at };
        self.0.entries.push(Entry { position, at, kind: kind.into(), call: call.map(str::to_owned), leaf });
        self.0.entries.last_mut().expect("an entry")
    }

    fn admitted(&mut self, call: &str) {
        self.log("intent_recorded", Some(call), &json!({ "tool": "vm_power", "resources": ["vm_1"], "account": "acc_1" }));
        self.log("admitted", Some(call), &json!({ "node": "node_1", "limits": ["credential:key_1", "write:acc_1"] }));
    }

    fn call(&mut self, call: &str, end: &str, fields: &Value) {
        self.admitted(call);
        self.log(end, Some(call), fields);
    }

    fn send(&mut self, tool: &str, at: i64, answer: Option<Answer>) {
        let vm = (tool == "vm_power").then(|| "vm_1".to_owned());
        self.0.sent.push(Sent { tool: tool.into(), vm, at, answer });
    }

    fn at(&mut self, position: usize) -> &mut Entry {
        &mut self.0.entries[position - 1]
    }

    #[track_caller]
    fn breaks(&self, rules: &[&str]) {
        let mut broken: Vec<&str> = self.0.faults().iter().map(|fault| fault.rule).collect();
        broken.dedup();
        assert_eq!(broken, rules, "{:?}", self.0.faults());
    }
}

#[test]
fn faults_checker_finds_nothing_in_an_honest_history() {
    Forgery::honest().breaks(&[]);
}

#[test]
fn faults_checker_finds_gaps() {
    const RULE: &str = "positions have no gaps";
    let mut forgery = Forgery::honest();
    forgery.at(4).position = 5;
    forgery.0.head.position = 5;
    forgery.breaks(&[RULE]);
    let mut forgery = Forgery::honest();
    forgery.0.head.position += 1;
    forgery.breaks(&[RULE]);
}

#[test]
fn faults_checker_finds_time_that_runs_backwards() {
    const RULE: &str = "time does not run backwards";
    let mut forgery = Forgery::honest();
    forgery.at(1).at = 21;
    forgery.breaks(&[RULE]);
    let mut forgery = Forgery::honest();
    forgery.0.head.at += 1;
    forgery.breaks(&[RULE]);
}

#[test]
fn faults_checker_finds_lives_that_no_call_has() {
    const RULE: &str = "a call lives as calls do";
    let mut forgery = Forgery::honest();
    forgery.log("started", Some(CALL), &json!({}));
    forgery.breaks(&[RULE]);
    let mut forgery = Forgery::honest();
    forgery.at(4).leaf["prev"] = json!(2);
    forgery.breaks(&[RULE]);
    let mut forgery = Forgery::honest();
    forgery.log("reconciled", Some(CALL), &json!({ "happened": true }));
    forgery.breaks(&[RULE, "what the log says of the provider is true"]);
}

#[test]
fn faults_checker_finds_calls_without_an_end_and_with_two() {
    const RULE: &str = "every call ends once";
    let mut forgery = Forgery::honest();
    forgery.admitted("call_2");
    forgery.send("vm_power", 45, None);
    forgery.breaks(&[RULE]);
    let mut forgery = Forgery::honest();
    forgery.0.open.push("job:call_1".into());
    forgery.breaks(&[RULE]);
    let mut forgery = Forgery::honest();
    forgery.log("failed", Some(CALL), &json!({}));
    forgery.breaks(&["a call lives as calls do", RULE]);
}

#[test]
fn faults_checker_finds_answers_that_the_log_does_not_have() {
    const RULE: &str = "what was answered is in the log";
    let answer = |status, call: Option<&str>, code: Option<&str>, run: Option<&str>| {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Some(Answer { at: 60, status, call: own(call), code: own(code), run: own(run), document: Value::Null })
    };
    for lie in [
        answer(200, Some("call_9"), None, None),
        answer(200, None, None, None),
        answer(409, Some(CALL), Some("conflict"), None),
        answer(429, None, Some("rate_limited"), Some("run_1")),
    ] {
        let mut forgery = Forgery::honest();
        forgery.send("vm_power", 55, lie);
        forgery.breaks(&[RULE]);
    }
    let mut forgery = Forgery::honest();
    forgery.call("call_2", "failed", &json!({ "code": "conflict" }));
    forgery.send("vm_power", 45, answer(409, Some("call_2"), Some("conflict"), None));
    forgery.send("vm_power", 55, answer(429, None, Some("rate_limited"), Some("run_1")));
    forgery.0.counting.insert("run_1".into(), 1);
    forgery.breaks(&[]);
    forgery.send("vm_power", 56, answer(429, None, Some("rate_limited"), Some("run_1")));
    forgery.breaks(&[RULE]);
    forgery.log("refusals_counted", None, &json!({ "run": "run_1", "count": 1 }));
    forgery.breaks(&[]);
}

#[test]
fn faults_checker_finds_calls_that_nobody_sent() {
    let mut forgery = Forgery::honest();
    forgery.call("call_2", "cancelled", &json!({}));
    forgery.breaks(&["what is in the log was asked for"]);
}

#[test]
fn faults_checker_finds_what_was_executed_twice() {
    let mut forgery = Forgery::honest();
    let again = forgery.0.effects[0].clone();
    forgery.0.effects.push(again);
    forgery.breaks(&["nothing is executed twice"]);
}

#[test]
fn faults_checker_finds_what_was_executed_without_leave() {
    const RULE: &str = "what is executed was admitted before";
    let mut forgery = Forgery::honest();
    forgery.0.effects.push(Effect { call: "call_9".into(), machine: "web-1".into(), at: 35, done: true });
    forgery.breaks(&[RULE]);
    let mut forgery = Forgery::honest();
    forgery.0.effects[0].at = 29;
    forgery.breaks(&[RULE]);
    let mut forgery = Forgery::honest();
    forgery.0.effects[0].machine = "db-1".into();
    forgery.breaks(&[RULE]);
    let mut forgery = Forgery::honest();
    forgery.log("intent_recorded", Some("call_2"), &json!({ "tool": "vm_power", "resources": ["vm_1"] }));
    forgery.log("refused", Some("call_2"), &json!({ "code": "rate_limited" }));
    forgery.send("vm_power", 45, None);
    forgery.0.effects.push(Effect { call: "call_2".into(), machine: "web-1".into(), at: 55, done: false });
    forgery.breaks(&[RULE, "what the log says of the provider is true"]);
}

#[test]
fn faults_checker_finds_what_was_executed_after_its_end() {
    let mut forgery = Forgery::honest();
    forgery.0.effects[0].at = 41;
    forgery.breaks(&["nothing is executed after its end"]);
}

#[test]
fn faults_checker_finds_what_the_log_made_up() {
    const RULE: &str = "what the log says of the provider is true";
    let mut forgery = Forgery::honest();
    forgery.0.effects.clear();
    forgery.breaks(&[RULE]);
    for (end, happened, began) in [("unknown", true, false), ("unknown", false, true), ("cancelled", true, true)] {
        let mut forgery = Forgery::honest();
        forgery.call("call_2", end, &json!({ "code": "audit_unavailable" }));
        forgery.send("vm_power", 45, None);
        if end == "unknown" {
            forgery.log("reconciled", Some("call_2"), &json!({ "happened": happened }));
        }
        if began {
            forgery.0.effects.push(Effect { call: "call_2".into(), machine: "web-1".into(), at: 65, done: true });
        }
        forgery.breaks(&[RULE]);
    }
    for times in [0, 2] {
        let mut forgery = Forgery::honest();
        forgery.call("call_2", "unknown", &json!({}));
        forgery.send("vm_power", 45, None);
        for _ in 0..times {
            forgery.log("reconciled", Some("call_2"), &json!({ "happened": false }));
        }
        forgery.breaks(&[RULE]);
    }
}

#[test]
fn faults_checker_finds_what_a_switch_did_not_stop() {
    const RULE: &str = "nothing that a switch covers is admitted";
    for target in
        ["all", "tool:vm_power", "class:write", "vm:vm_1", "provider:sim", "account:acc_1", "class:exec", "vm:vm_1/exec"]
    {
        let mut forgery = Forgery::honest();
        forgery.log("switch_engaged", None, &json!({ "switch": "swi_1", "target": target }));
        forgery.call("call_2", "cancelled", &json!({}));
        forgery.send("vm_power", 55, None);
        forgery.breaks(if target.ends_with("exec") { &[] } else { &[RULE] });
        let mut forgery = Forgery::honest();
        forgery.log("switch_engaged", None, &json!({ "switch": "swi_1", "target": target }));
        forgery.log("switch_released", None, &json!({ "switch": "swi_1" }));
        forgery.call("call_2", "cancelled", &json!({}));
        forgery.send("vm_power", 55, None);
        forgery.breaks(&[]);
    }
    let mut forgery = Forgery::honest();
    let document = json!({ "id": "swi_9", "fenced": false });
    let answer = Answer { at: 60, status: 200, call: Some(CALL.into()), document, ..Answer::default() };
    forgery.send("switch_engage", 41, Some(answer));
    forgery.breaks(&[RULE]);
}

#[test]
fn faults_checker_finds_what_a_fence_let_through() {
    let mut forgery = Forgery::honest();
    forgery.admitted("call_2");
    forgery.log("switch_engaged", None, &json!({ "switch": "swi_1", "target": "tool:vm_power" }));
    forgery.log("failed", Some("call_2"), &json!({}));
    forgery.send("vm_power", 45, None);
    let document = json!({ "id": "swi_1", "target": "tool:vm_power", "fenced": true });
    let answer = Answer { at: 62, status: 200, call: Some(CALL.into()), document, ..Answer::default() };
    forgery.send("switch_engage", 61, Some(answer));
    forgery.0.effects.push(Effect { call: "call_2".into(), machine: "web-1".into(), at: 65, done: true });
    forgery.breaks(&["nothing that is fenced is executed"]);
    forgery.send("switch_release", 64, None);
    forgery.breaks(&[]);
}

#[test]
fn faults_checker_finds_windows_that_are_too_full() {
    const RULE: &str = "no window holds more than its limit";
    let mut forgery = Forgery::honest();
    for call in ["call_2", "call_3"] {
        forgery.call(call, "cancelled", &json!({}));
        forgery.send("vm_power", 45, None);
    }
    forgery.breaks(&[RULE]);
    let mut forgery = Forgery::honest();
    forgery.at(3).leaf["limits"] = json!(["credential:key_1"]);
    forgery.breaks(&[RULE]);
}
