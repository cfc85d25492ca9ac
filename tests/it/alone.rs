//! One entry's failure is nobody else's (P13), whatever fails: the entry itself, a leaf that is too large, a value that the
//! database does not take. And what stops something waits for nobody.

use std::collections::BTreeSet;

use forelog::core::event::{CredentialCreated, EventKind};
use forelog::core::id::Position;
use forelog::core::principal::Side;
use forelog::export::verify::{Extent, verify};
use forelog::log::draft::{Draft, NewEvent};
use forelog::log::store::{StoreError, Want};
use forelog::log::writer::WriteError;
use futures::future::join_all;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixtures::{account, vm};
use crate::harness::{TestApp, send};
use crate::kinds::one_of_each;
use crate::sample_log::SampleLog;

/// What an entry does beside writing one row and one event that changes control state.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    /// Nothing.
    Writes,
    /// It errs, before anything, between its steps, or at the end.
    Errs(u8),
    /// It panics, at one of the same places.
    Panics(u8),
    /// Its leaf is larger than any may be.
    Swells,
    /// The name of its row is none that a database takes, which shows when the batch is stored.
    Poisons,
    /// What it wants to read has such a name.
    WantsPoison,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => Just(Deed::Writes),
        2 => (0..3u8).prop_map(Deed::Errs),
        2 => (0..3u8).prop_map(Deed::Panics),
        1 => Just(Deed::Swells),
        1 => Just(Deed::Poisons),
        1 => Just(Deed::WantsPoison),
    ]
}

fn stumble(deed: Deed, step: u8) -> Result<(), StoreError> {
    match deed {
        Deed::Errs(at) if at == step => Err(StoreError::Unreadable("a test wants it so".into())),
        Deed::Panics(at) if at == step => panic!("a test wants it so"),
        _ => Ok(()),
    }
}

async fn enter(sample: &SampleLog, n: usize, deed: Deed) -> Result<Position, WriteError> {
    let n = i64::try_from(n).expect("few entries");
    let (made, read) = (NewEvent::plain(sample.event_id(), created(n)), NewEvent::plain(sample.event_id(), seen(n, deed)));
    let poison = matches!(deed, Deed::Poisons).then_some("\0").unwrap_or_default();
    let names = if deed == Deed::WantsPoison { vec!["alone:\0".to_owned()] } else { vec!["alone:all".to_owned()] };
    let entry = move |draft: &mut Draft| {
        stumble(deed, 0)?;
        draft.append(Position(0), made.clone())?;
        let mut all: Vec<i64> = draft.get("alone:all")?.unwrap_or_default();
        all.push(n);
        draft.put("alone:all", &all)?;
        stumble(deed, 1)?;
        draft.put(&format!("alone:{n}{poison}"), &n)?;
        draft.delete("alone:never");
        let last = draft.append(Position(0), read.clone())?;
        stumble(deed, 2)?;
        Ok(last)
    };
    sample.writer.write(Want { names, kinds: vec!["alone"], ..Want::default() }, entry).await
}

/// An account that only this entry makes.
fn created(n: i64) -> EventKind {
    EventKind::AccountCreated { account: account(1000 + n), side: Side::Customer }
}

fn seen(n: i64, deed: Deed) -> EventKind {
    if deed == Deed::Swells {
        let mut kinds = one_of_each().into_iter();
        let made = kinds.find_map(|kind| if let EventKind::CredentialCreated(made) = kind { Some(made) } else { None });
        let vms = Some((0..2_000).map(vm).collect());
        return EventKind::CredentialCreated(CredentialCreated { vms, ..made.expect("one of each") });
    }
    EventKind::LogRead { user: None, account: None, what: format!("entry {n}").into() }
}

async fn others_are_written(sample: &SampleLog, deeds: &[Deed]) {
    let results = join_all(deeds.iter().enumerate().map(|(n, deed)| enter(sample, n, *deed))).await;
    let mut expected = BTreeSet::new();
    for (n, (deed, result)) in deeds.iter().zip(results).enumerate() {
        assert_eq!(result.is_ok(), *deed == Deed::Writes, "entry {n}, {deed:?}: {result:?}");
        if result.is_ok() {
            expected.insert(account(1000 + i64::try_from(n).expect("few")));
        }
    }
    let state = sample.writer.write(Want::default(), |draft| Ok(draft.state().clone())).await.expect("the state");
    let made: BTreeSet<_> = state.accounts.keys().filter(|id| **id >= account(1000)).cloned().collect();
    assert_eq!(made, expected, "{deeds:?}");
    let rows = sample.reader.store.state_rows(&["alone:all".to_owned()]).await.expect("the row");
    let all: Vec<i64> = rows.first().map(|row| serde_json::from_slice(&row.doc).expect("numbers")).unwrap_or_default();
    let named: BTreeSet<_> = all.iter().map(|n| account(1000 + n)).collect();
    assert_eq!((named, all.len()), (expected.clone(), expected.len()), "{deeds:?}");
    // Positions have no gaps, and control state follows from the log and has the root that the log says.
    let report = verify(&*sample.store, Some(&sample.reader.vault), Extent::Whole, |_, _| ()).await.expect("a walk");
    assert!(report.is_clean(), "{deeds:?}: {:#?}", report.findings);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

fn run(cases: u32, sample: impl AsyncFn() -> SampleLog) {
    let (runtime, config) = (runtime(), ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let tried = proptest::test_runner::TestRunner::new(config).run(&proptest::collection::vec(deed(), 1..40), |deeds| {
        runtime.block_on(async { others_are_written(&sample().await, &deeds).await });
        Ok(())
    });
    std::panic::set_hook(hook);
    tried.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn alone_an_entry_that_fails_keeps_no_other_from_being_written() {
    run(40, SampleLog::sqlite);
}

#[test]
fn postgres_alone_an_entry_that_fails_keeps_no_other_from_being_written() {
    run(12, SampleLog::postgres);
}

/// The log is held by another transaction while entries pile up; then the first batch is what came first, and in the next
/// one what stops something is before all the others that waited.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alone_what_stops_something_goes_before_whatever_waits() {
    let sample = SampleLog::sqlite().await;
    let held = sample.store.database().begin().await.expect("the write lock");
    let ordinary: Vec<_> = (0..600).map(|n| enter(&sample, n, Deed::Writes)).collect();
    let urgent = NewEvent::plain(sample.event_id(), EventKind::LogRead { user: None, account: None, what: "urgent".into() });
    let urgent = sample.writer.write_first(Want::default(), move |draft| draft.append(Position(0), urgent.clone()));
    let free = async {
        // Everybody is in the queue by now: the queue is filled without waiting.
        tokio::task::yield_now().await;
        drop(held);
    };
    let (ordinary, urgent, ()) = tokio::join!(join_all(ordinary), urgent, free);
    let urgent = urgent.expect("it is written");
    let before = ordinary.into_iter().filter(|position| position.as_ref().is_ok_and(|position| *position < urgent)).count();
    assert!(before <= 256, "{before} entries that could wait were written before it");
}

/// The smallest input of the attack: a header that a client may make as long as it likes, with a call that is recorded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alone_a_long_protocol_version_is_recorded_as_unknown_and_harms_nobody() {
    let app = TestApp::start().await;
    let (key, dead) = (app.key(|_| {}).await, app.key(|_| {}).await);
    app.test_node.change(EventKind::CredentialRevoked { credential: dead.id.clone(), by: None }, Value::Null).await;
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "probe_read", "arguments": "x" } });
    let sends = (0..24).map(|n| {
        let key = if n % 2 == 0 { &key } else { &dead };
        let long = format!("2025-11-25{}", "9".repeat(61_000));
        send(app.rpc(key, &body).header("mcp-protocol-version", long))
    });
    let honest = (0..24).map(|_| app.test_node.call("probe_read", json!({})));
    let (_, replies) = tokio::join!(join_all(sends), join_all(honest));
    for reply in replies {
        assert!(matches!(reply, forelog::control::Reply::Done { .. }), "{reply:?}");
    }
    assert_eq!(app.test_node.writer.stats().store_errors.load(std::sync::atomic::Ordering::Relaxed), 0);
}
