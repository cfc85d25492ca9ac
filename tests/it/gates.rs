//! The gates of a decision in their order: what each one says, and that of two the earlier one speaks.

use forelog::core::approval::Bound;
use forelog::core::code::Code;
use forelog::core::decide::Decision;
use forelog::core::hold::Hold;
use forelog::core::job::Claim;
use forelog::core::limit::Limit;
use forelog::core::principal::Side;
use forelog::core::refusal::Refusal;
use forelog::core::switch::Target;
use forelog::core::table::Table;
use serde_json::{Value, json};

use crate::fixtures::{Case, account, call, credential, row, switch, vm};

/// One way to be stopped: what fails, how, and the code and details that the caller gets; no code for `Unsettled`.
struct Gate {
    name: &'static str,
    fail: fn(&mut Case),
    code: Option<Code>,
    details: Value,
}

fn gate(name: &'static str, code: Code, details: Value, fail: fn(&mut Case)) -> Gate {
    Gate { name, fail, code: Some(code), details }
}

/// Every gate, in the order of `core::decide`.
fn gates() -> Vec<Gate> {
    let mut gates = gates_of_the_caller();
    gates.extend(gates_of_the_call());
    gates.extend(gates_of_the_rules());
    gates
}

fn gates_of_the_caller() -> Vec<Gate> {
    vec![
        gate("unknown key", Code::Unauthenticated, json!({}), |case| case.state.credentials = Table::default()),
        gate("revoked key", Code::TokenRevoked, json!({}), |case| {
            let now = case.now;
            if let Some(mut key) = case.key() {
                key.revoked_at = Some(now);
            }
        }),
        gate("expired key", Code::TokenExpired, json!({}), |case| {
            let now = case.now;
            if let Some(mut key) = case.key() {
                key.created.expires_at = Some(now);
            }
        }),
        gate("other address", Code::IpNotAllowed, json!({}), |case| {
            if let Some(mut key) = case.key() {
                key.ips = Some(vec!["10.0.0.0/8".into()]);
            }
        }),
        gate("forgotten key", Code::TokenExpired, json!({}), |case| case.last_used = None),
        gate("unreadable account", Code::ControlStateUnreadable, json!({}), |case| case.state.accounts = Table::default()),
    ]
}

fn gates_of_the_call() -> Vec<Gate> {
    vec![
        gate("no such tool", Code::UnknownTool, json!({}), |case| case.proposal.tool = None),
        gate("hidden tool", Code::UnknownTool, json!({}), |case| case.proposal.principal.side = Side::Staff),
        gate("no scope", Code::ForbiddenScope, json!({ "scope": "vms:exec" }), |case| {
            if let Some(mut key) = case.key() {
                key.created.scopes.clear();
            }
        }),
        gate("read only", Code::ReadOnlyMode, json!({}), |case| case.proposal.principal.read_only = true),
        gate("invalid arguments", Code::ValidationFailed, json!({ "path": "/command" }), |case| {
            let refusal = Refusal::new(Code::ValidationFailed, "It does not fit.");
            case.proposal.invalid = Some(refusal.details(json!({ "path": "/command" })));
        }),
        gate("not the caller's VM", Code::VmNotFound, json!({}), |case| case.state.vms = Table::default()),
        gate("other arguments", Code::IdempotencyConflict, json!({}), |case| {
            case.idempotency = Some(row(case.now, "other", None));
        }),
    ]
}

fn gates_of_the_rules() -> Vec<Gate> {
    let full = json!({ "limit": format!("credential:{}", credential(1)), "admit": 10, "window_ms": 60_000 });
    vec![
        gate("switch", Code::KillSwitchEngaged, json!({ "switch_id": switch(1), "target": "all" }), |case| {
            case.engage(Target::All, None);
        }),
        gate("limit", Code::RateLimited, full, |case| {
            let key = format!("credential:{}", credential(1));
            let now = case.now;
            let window = case.windows.entry(key).or_default();
            (0..10).for_each(|_| window.take(Limit { admit: 10, window_ms: 60_000 }, now));
        }),
        gate("no policy", Code::ControlStateUnreadable, json!({}), |case| case.state.policy = None),
        Gate { name: "moved policy", fail: |case| case.proposal.verdict.version = 0, code: None, details: Value::Null },
        gate("forbidden", Code::PolicyDenied, json!({ "policies": ["customers"] }), |case| case.proposal.verdict.permit = false),
        gate("guard", Code::ConfirmationRequired, json!({ "required": ["confirm"] }), |case| {
            let refusal = Refusal::new(Code::ConfirmationRequired, "Say that you mean it.");
            case.proposal.guard = Some(refusal.details(json!({ "required": ["confirm"] })));
        }),
        gate("approval", Code::ApprovalExpired, json!({}), |case| {
            let hold = Hold::new("four eyes");
            let bound = Bound { hold: hold.clone(), versions: case.proposal.versions.clone(), expires_at: case.now };
            (case.proposal.verdict.hold, case.proposal.approved) = (Some(hold), Some(bound));
        }),
        gate("may not enable exec", Code::ForbiddenRole, json!({}), |case| {
            case.proposal.enables_exec = true;
            if let Some(mut account) = case.state.accounts.get_mut(&account(1)) {
                account.agents_may_enable_exec = false;
            }
        }),
        gate("exec is off", Code::McpExecDisabled, json!({}), |case| {
            if let Some(mut vm) = case.state.vms.get_mut(&vm(1)) {
                vm.exec_enabled = false;
            }
        }),
        gate("busy VM", Code::VmCommandInProgress, json!({ "command_id": call(9), "unknown": false }), |case| {
            case.claim = Some(Claim { call: call(9), unknown: false, credential: None });
        }),
    ]
}

fn failing(gates: &[&Gate]) -> Decision {
    let mut case = Case::new();
    for gate in gates {
        (gate.fail)(&mut case);
    }
    case.decide()
}

#[test]
fn a_call_that_fails_no_gate_is_admitted_and_takes_its_slots() {
    let limit = Limit { admit: 10, window_ms: 60_000 };
    let exec = format!("exec:{}/{}", account(1), vm(1));
    let expected = vec![(format!("credential:{}", credential(1)), limit), (exec, limit)];
    assert_eq!(Case::new().decide(), Decision::Admit(expected));
}

#[test]
fn every_gate_stops_a_call_with_its_code_and_details() {
    for gate in gates() {
        match (failing(&[&gate]), gate.code) {
            (Decision::Refuse { refusal, switch: by }, Some(code)) => {
                assert_eq!((refusal.code, &refusal.details), (code, &gate.details), "{}", gate.name);
                assert_eq!(by, (code == Code::KillSwitchEngaged).then(|| switch(1)), "{}", gate.name);
            }
            (Decision::Unsettled, None) => {}
            (other, _) => panic!("{}: {other:?}", gate.name),
        }
    }
}

#[test]
fn of_two_gates_the_earlier_one_decides() {
    let gates = gates();
    for (at, earlier) in gates.iter().enumerate() {
        let alone = failing(&[earlier]);
        for later in gates.iter().skip(at + 1) {
            assert_eq!(failing(&[earlier, later]), alone, "{} before {}", earlier.name, later.name);
        }
    }
}
