//! The decision beyond the order of its gates: what a switch covers, what looks the same, and that what is missing refuses.

use forelog::core::approval::Bound;
use forelog::core::code::Code;
use forelog::core::decide::{Decision, INACTIVITY, limit_keys};
use forelog::core::hold::Hold;
use forelog::core::id::Position;
use forelog::core::job::Claim;
use forelog::core::limit::{Limit, Window};
use forelog::core::principal::{Side, Via};
use forelog::core::scope::Scope;
use forelog::core::state::{ControlState, PolicySet};
use forelog::core::switch::Target;
use forelog::core::time::Micros;
use forelog::core::tool::{Class, ToolSpec};
use serde_json::json;
use std::time::Duration;

use crate::fixtures::{Case, account, call, command, credential, machine, row, switch, vm};

#[test]
fn a_switch_stops_exactly_what_its_target_names() {
    type Covers = fn(Class, bool) -> bool;
    let never: Covers = |_, _| false;
    let always: Covers = |_, _| true;
    let targets: Vec<(String, Covers)> = vec![
        ("all".into(), always),
        ("class:exec".into(), |class, _| class == Class::Exec),
        ("class:write".into(), |class, _| class == Class::Write),
        ("class:destroy".into(), |class, _| class == Class::Destroy),
        ("tool:vm_exec".into(), always),
        ("tool:vm_exe".into(), never),
        ("provider:sim".into(), |_, on_vm| on_vm),
        ("provider:qemu".into(), never),
        (format!("account:{}", account(1)), always),
        (format!("account:{}", account(2)), never),
        (format!("credential:{}", credential(1)), always),
        (format!("credential:{}", credential(2)), never),
        (format!("vm:{}", vm(1)), |_, on_vm| on_vm),
        (format!("vm:{}", vm(2)), never),
        (format!("vm:{}/exec", vm(1)), |class, on_vm| on_vm && class == Class::Exec),
        (format!("vm:{}/exec", vm(2)), never),
    ];
    for (target, covers) in &targets {
        for class in [Class::Read, Class::Write, Class::Exec, Class::Destroy, Class::Control] {
            for bits in 0..8 {
                let (stops, on_vm, over) = (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
                let decided = switched(target, class, stops, on_vm, over);
                let expected = covers(class, on_vm) && !stops && !over;
                let told = format!("{target} against {class:?}, stops {stops}, on a VM {on_vm}, over {over}: {decided:?}");
                assert_eq!(matches!(&decided, Decision::Refuse { switch: Some(_), .. }), expected, "{told}");
                assert_eq!(matches!(&decided, Decision::Admit(_)), !expected, "{told}");
            }
        }
    }
}

fn switched(target: &str, class: Class, stops: bool, on_vm: bool, over: bool) -> Decision {
    let tool = ToolSpec { class, stops, needs_exec: false, ..command() };
    let mut case = Case::new().with_tool(tool);
    case.proposal.principal.via = Via::Rest;
    if !on_vm {
        case.proposal.resources.clear();
        case.proposal.versions.clear();
    }
    let end = over.then_some(case.now);
    case.engage(target.parse().expect("a target"), end);
    case.decide()
}

#[test]
fn a_switch_tells_its_message_or_a_general_one() {
    let mut case = Case::new();
    case.engage(Target::All, Some(case.now.plus(Duration::from_micros(1))));
    assert_eq!(case.refusal().message, "The operator has stopped this kind of call.");
    case.state.switches.get_mut(&switch(1)).expect("engaged").message = Some("Back at noon.".into());
    assert_eq!(case.refusal().message, "Back at noon.");
    assert!(!format!("{:?}", case.refusal()).contains("an incident"), "the reason is for staff");
}

#[test]
fn absent_foreign_and_unlisted_vms_look_the_same() {
    let absent = |case: &mut Case| case.proposal.resources = vec![vm(99).into()];
    let foreign = |case: &mut Case| case.proposal.resources = vec![vm(2).into()];
    let unlisted = |case: &mut Case| case.key().expect("a key").created.vms = Some(vec![vm(2)]);
    let nothing_listed = |case: &mut Case| case.key().expect("a key").created.vms = Some(Vec::new());
    let noises: [fn(&mut Case); 5] = [
        |_| {},
        |case| case.claim = Some(Claim { call: call(9), unknown: true, credential: None }),
        |case| case.engage(Target::All, None),
        |case| case.proposal.versions = vec![Position(77)],
        |case| {
            case.state.vms.get_mut(&vm(1)).expect("a VM").exec_enabled = false;
            case.proposal.verdict.permit = false;
        },
    ];
    let mut seen = std::collections::BTreeSet::new();
    let ways: [&dyn Fn(&mut Case); 4] = [&absent, &foreign, &unlisted, &nothing_listed];
    for way in ways {
        for noise in noises {
            let mut case = Case::new();
            way(&mut case);
            noise(&mut case);
            seen.insert(format!("{:?} {}", case.decide(), case.refusal().body(Some(&call(1)))));
        }
    }
    assert_eq!(seen.len(), 1, "a caller can tell them apart: {seen:#?}");
}

#[test]
fn a_hidden_tool_looks_like_one_that_does_not_exist() {
    let mut absent = Case::new();
    absent.proposal.tool = None;
    let hidden = [
        Case::new().with_tool(ToolSpec { class: Class::Control, ..command() }),
        Case::new().with_tool(ToolSpec { scope: Some(Scope::StaffAudit), ..command() }),
    ];
    for (mut case, via) in hidden.into_iter().flat_map(|case| [(case.clone(), Via::Mcp), (case, Via::Stdio)]) {
        case.key().expect("a key").created.scopes.extend(Scope::staff());
        case.proposal.principal.via = via;
        assert_eq!(case.decide(), absent.decide(), "{via:?}");
    }
}

#[test]
fn a_staff_key_is_not_for_agents_whatever_the_authenticator_thought() {
    let mut case = Case::new();
    case.key().expect("a key").created.side = Side::Staff;
    assert_eq!(case.refusal().code, Code::UnknownTool);
    case.proposal.principal.via = Via::Rest;
    assert!(matches!(case.decide(), Decision::Admit(_)));
}

#[test]
fn a_key_ends_at_its_expiry_and_not_before() {
    let mut case = Case::new();
    let end = case.now.plus(Duration::from_micros(1));
    case.key().expect("a key").created.expires_at = Some(end);
    assert!(matches!(case.decide(), Decision::Admit(_)));
    case.now = end;
    assert_eq!(case.refusal().code, Code::TokenExpired);
}

#[test]
fn a_key_with_networks_is_used_from_inside_them_only() {
    let allowed = |networks: &[&str], from: Option<&str>| {
        let mut case = Case::new();
        case.key().expect("a key").ips = Some(networks.iter().map(|&network| network.into()).collect());
        case.proposal.principal.ip = from.map(|ip| ip.parse().expect("an address"));
        matches!(case.decide(), Decision::Admit(_))
    };
    let networks = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"];
    for inside in ["10.255.0.1", "192.0.2.7", "2001:db8::1", "::ffff:10.0.0.1"] {
        assert!(allowed(&networks, Some(inside)), "{inside}");
    }
    for outside in ["11.0.0.1", "192.0.2.8", "2001:db9::1", "::ffff:11.0.0.1", "::a00:1"] {
        assert!(!allowed(&networks, Some(outside)), "{outside}");
    }
    assert!(!allowed(&networks, None), "from nowhere");
    assert!(!allowed(&[], Some("10.0.0.1")), "no network is none, not any");
    assert!(!allowed(&["10.0.0.0/99", "everywhere", ""], Some("10.0.0.1")), "networks that cannot be read");
}

#[test]
fn a_key_ends_after_ninety_days_without_use() {
    let mut case = Case::new();
    case.last_used = Some(Micros(case.now.0 - 5));
    case.now = Micros(case.now.0 - 5).plus(INACTIVITY);
    assert!(matches!(case.decide(), Decision::Admit(_)), "ninety days are allowed");
    case.now = case.now.plus(Duration::from_micros(1));
    assert_eq!(case.refusal().code, Code::TokenExpired);
    let now = case.now;
    case.last_used = None;
    case.key().expect("a key").created_at = now;
    assert!(matches!(case.decide(), Decision::Admit(_)), "a new key was never used and is alive");
}

#[test]
fn a_read_only_key_reads_and_may_still_stop_things() {
    let decide = |class, stops| {
        let mut case = Case::new().with_tool(ToolSpec { class, stops, ..command() });
        case.key().expect("a key").created.read_only = true;
        case.decide()
    };
    assert!(matches!(decide(Class::Read, false), Decision::Admit(_)));
    assert!(matches!(decide(Class::Write, true), Decision::Admit(_)));
    for class in [Class::Write, Class::Exec, Class::Destroy] {
        assert!(matches!(decide(class, false), Decision::Refuse { refusal, .. } if refusal.code == Code::ReadOnlyMode));
    }
}

#[test]
fn an_idempotency_key_replays_joins_or_conflicts() {
    let mut case = Case::new();
    let ended = row(case.now, "digest", Some(Position(12)));
    case.idempotency = Some(ended.clone());
    assert!(matches!(case.decide(), Decision::Replay(row, _) if row == ended));
    case.idempotency = Some(row(case.now, "digest", None));
    assert!(matches!(case.decide(), Decision::Join(first, _) if first == call(7)));
    case.idempotency = Some(row(case.now, "other", None));
    assert_eq!(case.refusal().code, Code::IdempotencyConflict);
    case.proposal.idempotency = None;
    assert!(matches!(case.decide(), Decision::Admit(_)), "no key was given");
}

#[test]
fn an_idempotency_row_is_forgotten_when_its_time_is_over() {
    let mut case = Case::new();
    let old = row(case.now, "other", Some(Position(12)));
    case.now = old.expires_at;
    case.idempotency = Some(old);
    assert!(matches!(case.decide(), Decision::Admit(_)));
}

#[test]
fn a_verdict_on_another_policy_or_vm_version_settles_nothing() {
    let mut case = Case::new();
    case.proposal.verdict.version = 2;
    assert_eq!(case.decide(), Decision::Unsettled);
    case.proposal.verdict.version = 1;
    case.proposal.versions = vec![Position(2)];
    assert_eq!(case.decide(), Decision::Unsettled);
    case.proposal.resources.clear();
    assert_eq!(case.decide(), Decision::Unsettled, "a version of no VM");
}

#[test]
fn stopping_asks_neither_limits_nor_policy() {
    let mut case = Case::new().with_tool(ToolSpec { stops: true, effect: None, ..command() });
    let limit = Limit { admit: 1, window_ms: 60_000 };
    *case.limits() = forelog::core::decide::Limits { credential: limit, exec: limit, write: limit };
    for key in limit_keys(&Case::new().proposal) {
        let mut window = Window::default();
        window.take(limit, case.now);
        case.windows.insert(key, window);
    }
    case.state.policy = None;
    case.proposal.verdict.permit = false;
    case.proposal.verdict.hold = Some(Hold::new("four eyes"));
    case.engage(Target::All, None);
    assert_eq!(case.decide(), Decision::Admit(Vec::new()));
}

#[test]
fn a_key_s_own_limit_wins_over_the_configured_one() {
    let mut case = Case::new();
    let own = Limit { admit: 1, window_ms: 1500 };
    case.key().expect("a key").created.limit = Some(own);
    let mut window = Window::default();
    window.take(own, Micros(case.now.0 - 499_500));
    case.windows.insert(format!("credential:{}", credential(1)), window);
    let refusal = case.refusal();
    assert_eq!(refusal.message, "At most 1 call in 1.5 seconds.");
    assert_eq!(refusal.retry_after, Some(Duration::from_micros(1_000_500)));
    assert_eq!(refusal.body(None)["error"]["retry_after_ms"], 1001, "rounded up, or the caller is too early");
}

#[test]
fn every_class_counts_against_its_own_limits() {
    let keys = |class, stops| limit_keys(&Case::new().with_tool(ToolSpec { class, stops, ..command() }).proposal);
    let key = format!("credential:{}", credential(1));
    assert_eq!(keys(Class::Read, false), std::slice::from_ref(&key));
    assert_eq!(keys(Class::Exec, false), [key.clone(), format!("exec:{}/{}", account(1), vm(1))]);
    for class in [Class::Write, Class::Destroy] {
        assert_eq!(keys(class, false), [key.clone(), format!("write:{}", account(1))]);
    }
    assert_eq!(keys(Class::Control, false), [""; 0]);
    assert_eq!(keys(Class::Exec, true), [""; 0]);
}

#[test]
fn a_limit_that_makes_no_sense_refuses() {
    for limit in
        [Limit { admit: 0, window_ms: 60_000 }, Limit { admit: 5, window_ms: 0 }, Limit { admit: u32::MAX, window_ms: 1 }]
    {
        let mut case = Case::new();
        case.limits().exec = limit;
        assert_eq!(case.refusal().code, Code::ControlStateUnreadable, "{limit:?}");
        let mut case = Case::new();
        case.key().expect("a key").created.limit = Some(limit);
        assert_eq!(case.refusal().code, Code::ControlStateUnreadable, "{limit:?}");
    }
}

#[test]
fn missing_or_blank_control_state_refuses() {
    let mut case = Case::new();
    case.state = ControlState::default();
    assert_eq!(case.refusal().code, Code::Unauthenticated);

    let mut case = Case::new();
    case.state.policy = Some(PolicySet { version: 0, sha256: String::new() });
    assert_eq!(case.decide(), Decision::Unsettled, "no verdict is of a blank set");

    let mut case = Case::new();
    case.key().expect("a key").created.account = account(2);
    assert_eq!(case.refusal().code, Code::ControlStateUnreadable, "the key's row names another account than its login");
}

#[test]
fn the_claim_of_an_unknown_command_says_so() {
    let mut case = Case::new();
    case.claim = Some(Claim { call: call(9), unknown: true, credential: None });
    let refusal = case.refusal();
    assert_eq!(refusal.details, json!({ "command_id": call(9), "unknown": true }));
    assert!(refusal.message.contains("unknown"));
    let free = Case { proposal: case.proposal.clone(), ..case }.with_tool(ToolSpec { effect: None, ..command() });
    assert!(matches!(free.decide(), Decision::Admit(_)), "only a command needs the place");
}

#[test]
fn exec_has_to_be_on_for_the_vm_and_may_be_turned_on_only_where_agents_may() {
    let mut case = Case::new();
    case.state.vms.insert(vm(1), forelog::core::state::Vm { exec_enabled: false, ..machine(1, 1) });
    assert_eq!(case.refusal().code, Code::McpExecDisabled);
    let mut case = Case::new();
    case.proposal.enables_exec = true;
    assert!(matches!(case.decide(), Decision::Admit(_)), "the account allows it");
}

fn held() -> Case {
    let mut case = Case::new();
    case.proposal.verdict.hold = Some(Hold::new("four eyes"));
    case
}

/// What [`held`] was approved as.
fn bound(case: &Case) -> Bound {
    let expires_at = case.now.plus(Duration::from_secs(1));
    Bound { hold: Hold::new("four eyes"), versions: case.proposal.versions.clone(), expires_at }
}

#[test]
fn what_the_policies_hold_waits_for_a_person_and_what_administers_does_not() {
    assert_eq!(held().decide(), Decision::Hold(Hold::new("four eyes")));
    let administering = held().with_tool(ToolSpec { class: Class::Control, needs_exec: false, effect: None, ..command() });
    let mut by_rest = administering;
    by_rest.proposal.principal.via = forelog::core::principal::Via::Rest;
    assert_eq!(by_rest.refusal().code, Code::ApprovalRequired);
}

#[test]
fn consent_is_to_what_was_put_to_a_person() {
    let decided = |edit: fn(&mut Case, &mut Bound)| {
        let mut case = held();
        let mut bound = bound(&case);
        edit(&mut case, &mut bound);
        case.proposal.approved = Some(bound);
        case.decide()
    };
    let code = |decision| match decision {
        Decision::Refuse { refusal, .. } => Some(refusal.code),
        Decision::Admit(_) => None,
        other => panic!("{other:?}"),
    };
    assert_eq!(code(decided(|_, _| {})), None, "it is what was approved");
    assert_eq!(code(decided(|case, _| case.proposal.verdict.hold = None)), None, "nobody has to be asked any more");
    let stricter = |case: &mut Case, _: &mut Bound| {
        case.proposal.verdict.hold = Some(Hold { second_person: true, ..Hold::new("four eyes") });
    };
    assert_eq!(code(decided(stricter)), Some(Code::ApprovalSuperseded), "more is asked for");
    assert_eq!(code(decided(|_, bound| bound.versions = vec![Position(1)])), Some(Code::ApprovalSuperseded), "another VM row");
    assert_eq!(code(decided(|case, bound| bound.expires_at = case.now)), Some(Code::ApprovalExpired), "too late");
    assert_eq!(code(decided(|case, _| case.engage(Target::All, None))), Some(Code::KillSwitchEngaged), "a switch still counts");
    assert_eq!(code(decided(|case, _| case.proposal.verdict.permit = false)), Some(Code::PolicyDenied), "so do policies");
}
