//! What a caller makes grow without being let in: a flood of refusals costs little, whatever is in it, and is counted to the
//! last one (P2, P13). Bytes are weighed on their way into the store.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use forelog::control::Reply;
use forelog::core::code::Code;
use forelog::core::event::{CredentialCreated, Event, EventKind};
use forelog::core::id::{CredentialId, SwitchId, VmId};
use forelog::core::principal::Principal;
use forelog::core::switch::{Running, Target};
use serde_json::{Value, json};

use crate::promises::{check, wait_for};
use crate::test_node::{Site, TestNode, on_both};

on_both! {
    made_up_names_are_one_kind, growth_made_up_names_are_one_kind, postgres_growth_made_up_names_are_one_kind;
    kinds_beyond_a_few_share_a_run, growth_kinds_beyond_a_few_share_a_run, postgres_growth_kinds_beyond_a_few_share_a_run;
    of_a_dead_key_only_counts_are_kept, growth_of_a_dead_key_only_counts_are_kept, postgres_growth_of_a_dead_key_only_counts_are_kept;
    little_is_kept_of_refused_arguments, growth_little_is_kept_of_refused_arguments, postgres_growth_little_is_kept_of_refused_arguments;
    what_a_crash_left_counting_is_closed, growth_what_a_crash_left_counting_is_closed, postgres_growth_what_a_crash_left_counting_is_closed;
    a_run_that_is_over_is_closed_by_the_next_refusal, growth_a_run_that_is_over_is_closed_by_the_next_refusal,
        postgres_growth_a_run_that_is_over_is_closed_by_the_next_refusal;
}

/// Largest row of runs.
const ROW: usize = 1024;

/// Rows of runs that a key may have.
const ROWS: usize = 17;

/// Most that a counted refusal may write.
const COUNTED: u64 = 1024;

/// Refuses everything but stopping.
async fn stop_all(test_node: &TestNode) {
    let switch = SwitchId::new(test_node.control.ports.clock.now(), &*test_node.control.ports.entropy);
    let target = Target::Account(test_node.account.clone());
    let kind =
        EventKind::SwitchEngaged { switch, target, by: None, credential: None, running: Running::LetFinish, expires_at: None };
    test_node.change(kind, json!({ "reason": "a flood" })).await;
}

/// The refusal of a call: its code, and the run it was counted in.
fn refused(reply: Reply) -> (Code, Option<String>) {
    let Reply::Failed { call, refusal, .. } = reply else { panic!("{reply:?}") };
    let run = refusal.details["run_id"].as_str().map(str::to_owned);
    assert_eq!(call.is_none(), run.is_some(), "a refusal is a call or is counted");
    (refusal.code, run)
}

async fn call_as(test_node: &TestNode, who: &Principal, tool: &str, args: Value) -> Reply {
    let mut request = test_node.request(tool, args);
    request.principal = who.clone();
    test_node.control.submit(request).await
}

/// Name and document of each row of runs.
async fn rows(test_node: &TestNode) -> BTreeMap<String, Vec<u8>> {
    let rows = test_node.reader.store.state(&["run"]).await.expect("the rows");
    rows.into_iter().map(|row| (row.name, row.doc)).collect()
}

async fn check_rows(test_node: &TestNode) {
    let rows = rows(test_node).await;
    assert!(rows.len() <= ROWS, "{} rows: {:?}", rows.len(), rows.keys());
    for (name, doc) in rows {
        assert!(doc.len() <= ROW, "{name} has {} bytes", doc.len());
    }
}

fn intents(log: &[Event]) -> usize {
    log.iter().filter(|event| matches!(event.kind, EventKind::IntentRecorded(_))).count()
}

/// How many refusals are counted, by run.
fn counted(log: &[Event]) -> BTreeMap<String, u64> {
    let mut by_run = BTreeMap::new();
    for event in log {
        if let EventKind::RefusalsCounted { run, count, .. } = &event.kind {
            assert!(by_run.insert(run.to_string(), *count).is_none(), "a run is closed once");
        }
    }
    by_run
}

/// Closes what is being counted, and holds it against what was answered.
async fn check_counts(test_node: &TestNode, answered: &BTreeMap<String, u64>) -> Vec<Event> {
    test_node.clock.pass(Duration::from_secs(61));
    test_node.beat().await;
    assert!(rows(test_node).await.is_empty(), "nothing is left behind");
    let log = test_node.log().await;
    check(&log, false);
    assert_eq!(counted(&log), *answered);
    log
}

async fn made_up_names_are_one_kind(site: Site) {
    let test_node = TestNode::start(&site).await;
    let (mut answered, mut whole) = (BTreeMap::new(), 0);
    for n in 0..600 {
        let before = site.written.load(Ordering::SeqCst);
        let (code, run) = refused(test_node.call(&format!("tool_{n}_{}", "x".repeat(n)), json!({ "x": n })).await);
        assert_eq!(code, Code::UnknownTool);
        let Some(run) = run else {
            whole += 1;
            continue;
        };
        assert!(site.written.load(Ordering::SeqCst) - before <= COUNTED, "call {n}");
        *answered.entry(run).or_default() += 1;
    }
    assert_eq!((whole, answered.len()), (20, 1));
    check_rows(&test_node).await;
    let log = check_counts(&test_node, &answered).await;
    assert_eq!(intents(&log), 20);
    let is_named =
        |event: &Event| matches!(&event.kind, EventKind::RefusalsCounted { tool, mixed: false, .. } if tool == "unknown");
    assert!(log.iter().any(is_named));
}

async fn kinds_beyond_a_few_share_a_run(site: Site) {
    let test_node = TestNode::start(&site).await;
    let mut vms = Vec::new();
    for n in 0..40 {
        let vm = VmId::new(test_node.control.ports.clock.now(), &*test_node.control.ports.entropy);
        let (account, provider) = (test_node.account.clone(), "sim".to_owned());
        test_node
            .change(
                EventKind::VmImported { vm: vm.clone(), account, provider: provider.into(), machine: format!("m{n}").into() },
                json!({ "label": format!("m{n}") }),
            )
            .await;
        vms.push(vm);
    }
    stop_all(&test_node).await;
    let (mut answered, mut whole, mut most) = (BTreeMap::new(), 0, 0);
    for _ in 0..25 {
        for vm in &vms {
            let before = site.written.load(Ordering::SeqCst);
            let (code, run) = refused(test_node.call("probe_write", json!({ "vm_id": vm })).await);
            assert_eq!(code, Code::KillSwitchEngaged);
            match run {
                None => whole += 1,
                Some(run) => {
                    most = most.max(site.written.load(Ordering::SeqCst) - before);
                    *answered.entry(run).or_default() += 1;
                }
            }
        }
    }
    assert_eq!(whole, 17 * 20, "sixteen kinds, and the rest");
    assert_eq!(answered.len(), 17);
    assert!(most <= COUNTED, "{most} bytes for a counted refusal");
    check_rows(&test_node).await;
    let log = check_counts(&test_node, &answered).await;
    let mixed = log.iter().filter(|event| matches!(event.kind, EventKind::RefusalsCounted { mixed: true, .. })).count();
    assert_eq!(mixed, 1);
    let (code, run) = refused(test_node.call("probe_write", json!({ "vm_id": vms[39] })).await);
    assert_eq!((code, run), (Code::KillSwitchEngaged, None), "in the next minute each kind is a call again");
}

async fn of_a_dead_key_only_counts_are_kept(site: Site) {
    let test_node = TestNode::start(&site).await;
    let ports = &test_node.control.ports;
    let now = test_node.control.ports.clock.now();
    let (revoked, expired) = (CredentialId::new(now, &*ports.entropy), CredentialId::new(now, &*ports.entropy));
    let model = test_node.writer.fence().state().credentials[&test_node.credential].created.clone();
    for (credential, expires_at) in [(&revoked, None), (&expired, Some(now.plus(Duration::from_secs(5))))] {
        let hash = format!("{credential:?}");
        let created = CredentialCreated { credential: credential.clone(), hash: hash.into(), expires_at, ..model.clone() };
        test_node.change(EventKind::CredentialCreated(created), Value::Null).await;
    }
    let as_key = |credential: &CredentialId| Principal { credential: credential.clone(), ..test_node.principal() };
    for key in [&revoked, &expired] {
        assert!(matches!(call_as(&test_node, &as_key(key), "probe_write", json!({})).await, Reply::Done { .. }));
    }
    test_node.change(EventKind::CredentialRevoked { credential: revoked.clone(), by: None }, Value::Null).await;
    test_node.clock.pass(Duration::from_secs(6));
    test_node.beat().await;
    let row = |key: &CredentialId| format!("use:{key}");
    let names = [row(&revoked), row(&expired)];
    let used = test_node.reader.store.state_rows(&names).await.expect("the rows");
    let unknown = CredentialId::new(now, &*ports.entropy);
    let (mut answered, before) = (BTreeMap::new(), intents(&test_node.log().await));
    let codes = [Code::TokenRevoked, Code::TokenExpired, Code::Unauthenticated];
    for n in 0..40 {
        for (key, expected) in [&revoked, &expired, &unknown].into_iter().zip(codes) {
            let (tool, args) = match n % 4 {
                0 => ("probe_write", json!({ "text": "t".repeat(60_000) })),
                1 => ("probe_queued", json!({ "secret": "s".repeat(60_000) })),
                2 => ("probe_write", json!({ "vm_id": 7, "wrong": "w".repeat(60_000) })),
                _ => ("made_up", json!({ "text": n })),
            };
            let written = site.written.load(Ordering::SeqCst);
            let (code, run) = refused(call_as(&test_node, &as_key(key), tool, args).await);
            assert_eq!(code, expected);
            *answered.entry(run.expect("it is counted")).or_default() += 1;
            let written = site.written.load(Ordering::SeqCst) - written;
            assert!(written <= COUNTED, "call {n} of a key that is {code} wrote {written} bytes");
        }
    }
    assert_eq!(answered.values().collect::<Vec<_>>(), [&40, &40, &40], "one run for each key");
    assert_eq!(test_node.reader.store.state_rows(&names).await.expect("the rows"), used, "a refusal is no use of a dead key");
    let log = check_counts(&test_node, &answered).await;
    assert_eq!(intents(&log), before, "nothing of what was sent is kept");
    assert!(test_node.reader.vault.sealed_calls().await.expect("the seals").is_empty());
}

async fn little_is_kept_of_refused_arguments(site: Site) {
    let test_node = TestNode::start(&site).await;
    stop_all(&test_node).await;
    let long = "word ".repeat(12_000);
    let wrong: Value = (0..5000).map(|n| (format!("field_{n}"), json!("value"))).collect::<serde_json::Map<_, _>>().into();
    for (args, code) in [
        (json!({ "text": long }), Code::KillSwitchEngaged),
        (json!({ "text": long, "secret": long }), Code::KillSwitchEngaged),
        (json!({ "secret": long }), Code::KillSwitchEngaged),
        (json!({ "text": vec!["x"; 20_000] }), Code::ValidationFailed),
        (wrong, Code::ValidationFailed),
        (json!([long]), Code::ValidationFailed),
        (json!(long), Code::ValidationFailed),
    ] {
        let before = site.written.load(Ordering::SeqCst);
        let (found, run) = refused(test_node.call("probe_write", args.clone()).await);
        assert_eq!((found, run), (code, None));
        let written = site.written.load(Ordering::SeqCst) - before;
        assert!(written <= 12 * 1024, "{written} bytes for {:.60}", args.to_string());
    }
    let call = test_node.log().await.iter().rev().find_map(|event| event.kind.call().cloned()).expect("a call");
    let first =
        test_node.log().await.into_iter().find(|event| matches!(event.kind, EventKind::IntentRecorded(_))).expect("an intent");
    assert_ne!(first.kind.call(), Some(&call));
    let kept = test_node
        .reader
        .part(&first, "arguments", &forelog::core::visibility::Visibility::Everything)
        .await
        .expect("it can be read")
        .expect("it is there");
    assert!(kept.to_string().contains("word word"), "both ends of what was sent can be read: {kept}");
}

async fn what_a_crash_left_counting_is_closed(site: Site) {
    let answered = {
        let test_node = TestNode::start(&site).await;
        stop_all(&test_node).await;
        let mut answered: BTreeMap<String, u64> = BTreeMap::new();
        for n in 0..60 {
            let tool = if n % 2 == 0 { "probe_write".to_owned() } else { format!("made_up_{n}") };
            if let (_, Some(run)) = refused(test_node.call(&tool, json!({})).await) {
                *answered.entry(run).or_default() += 1;
            }
        }
        answered
    };
    assert_eq!(answered.values().sum::<u64>(), 20);
    let test_node = TestNode::start(&site).await;
    let log = wait_for(&test_node, |kind| matches!(kind, EventKind::RefusalsCounted { .. })).await;
    assert_eq!(counted(&log), answered);
    assert!(rows(&test_node).await.is_empty());
}

async fn a_run_that_is_over_is_closed_by_the_next_refusal(site: Site) {
    let (test_node, worker, _assigned) = TestNode::idle(&site).await;
    worker.beat(true).await.expect("a beat");
    stop_all(&test_node).await;
    let mut answered: BTreeMap<String, u64> = BTreeMap::new();
    for minute in 0..3 {
        for _ in 0..25 {
            if let (_, Some(run)) = refused(test_node.call("probe_write", json!({})).await) {
                *answered.entry(run).or_default() += 1;
            }
        }
        assert_eq!(counted(&test_node.log().await).len(), minute, "nobody else closes it");
        test_node.clock.pass(Duration::from_secs(61));
    }
    assert_eq!(answered.values().collect::<Vec<_>>(), [&5, &5, &5]);
    check_counts(&test_node, &answered).await;
}
