//! What is sealed: parts that lie at another call, that say something else, and keys that are lost.

use std::collections::BTreeSet;

use forelog::core::call::Status;
use forelog::core::event::{Event, EventKind};
use forelog::export::verify::Fault::{ControlClosed, KeyMissing, PayloadCommitment, PayloadForeign, PayloadLacking};
use forelog::export::verify::{Extent, verify};
use forelog::log::dialect::Room;
use forelog::log::sqlite::open_sqlite;
use forelog::log::vault::Vault;

use super::{Tampered, faults, look};
use crate::fixtures::{account, credential, user, vm};
use crate::sample_log::{Ask, LIST, SampleLog};

/// Swaps two events' ids, parts and payloads: each leaf then names the ciphertexts that lie beside it.
async fn swap(log: &Tampered, mut one: Event, mut two: Event) {
    std::mem::swap(&mut one.id, &mut two.id);
    std::mem::swap(&mut one.parts, &mut two.parts);
    log.rewrite(one.position, &one).await;
    log.rewrite(two.position, &two).await;
    for (from, to) in [(one.position.0, -1), (two.position.0, one.position.0), (-1, two.position.0)] {
        log.run("update payload set position = $1 where position = $2", vec![to.into(), from.into()]).await;
    }
}

#[tokio::test]
async fn verify_names_what_was_taken_out_of_leaf_and_rows_together() {
    for (kind, part) in [("intent_recorded", "arguments"), ("succeeded", "result")] {
        let log = Tampered::new().await;
        let mut event = log.first(kind).await;
        event.parts.retain(|named| named.part != part);
        log.rewrite(event.position, &event).await;
        log.run("delete from payload where position = $1 and part = $2", vec![event.position.0.into(), part.into()]).await;
        log.found(&[PayloadLacking]).await;
        assert_eq!(faults(&look(&log.0, Extent::State).await), BTreeSet::from([PayloadLacking]));
    }
}

#[tokio::test]
async fn verify_names_parts_of_one_call_that_lie_at_another() {
    // The results of two calls of one account; the arguments of two calls of it; those of two accounts.
    let log = Tampered::new().await;
    let intents: Vec<Event> = log.events().await.into_iter().filter(|event| event.kind.name() == "intent_recorded").collect();
    let of = |n: i64| {
        let is_of =
            move |event: &&Event| matches!(&event.kind, EventKind::IntentRecorded(intent) if intent.account == account(n));
        intents.iter().filter(is_of).cloned().collect::<Vec<Event>>()
    };
    let (ours, theirs) = (of(1), of(2));
    swap(&log, ours[0].clone(), ours[1].clone()).await;
    log.found(&[PayloadCommitment]).await;
    let log = Tampered::new().await;
    swap(&log, ours[0].clone(), theirs[0].clone()).await;
    log.found(&[PayloadCommitment, PayloadForeign]).await;
    // What is not the reader's is not shown to him either.
    for intent in [&ours[0], &theirs[0]] {
        let now = log.0.reader.event(intent.position).await.expect("the log").expect("an event");
        assert!(
            log.0.reader.part(&now, "arguments", &forelog::core::visibility::Visibility::Everything).await.is_err(),
            "another call's arguments were opened"
        );
    }
    let log = Tampered::new().await;
    let ends = [log.first("succeeded").await, log.first("unknown").await];
    let [one, two] = ends;
    swap(&log, one, two).await;
    log.found(&[PayloadCommitment]).await;
}

#[tokio::test]
async fn verify_names_an_intent_or_an_end_that_says_something_else() {
    let edits: [fn(&mut forelog::core::event::IntentRecorded); 7] = [
        |intent| intent.account = account(2),
        |intent| intent.credential = credential(2),
        |intent| intent.user = user(2),
        |intent| intent.tool = "vm_list".to_owned().into(),
        |intent| intent.resources = vec![vm(2).into()],
        |intent| intent.arguments = "cd".repeat(32).into(),
        |intent| intent.via = forelog::core::principal::Via::Rest,
    ];
    for edit in edits {
        let log = Tampered::new().await;
        let mut event = log.first("intent_recorded").await;
        let EventKind::IntentRecorded(intent) = &mut event.kind else { panic!("an intent") };
        edit(intent);
        log.rewrite(event.position, &event).await;
        let report = look(&log.0, Extent::Whole).await;
        assert!(faults(&report).contains(&PayloadCommitment), "{:#?}", report.findings);
    }
    let log = Tampered::new().await;
    let mut event = log.first("succeeded").await;
    let EventKind::Succeeded(ended) = event.kind.clone() else { panic!("an end") };
    event.kind = EventKind::Failed(ended);
    log.rewrite(event.position, &event).await;
    log.found(&[PayloadCommitment]).await;
}

#[tokio::test]
async fn verify_without_keys_knows_whose_key_sealed_an_intent() {
    let log = Tampered::new().await;
    let mut event = log.first("intent_recorded").await;
    let EventKind::IntentRecorded(intent) = &mut event.kind else { panic!("an intent") };
    intent.account = account(2);
    log.rewrite(event.position, &event).await;
    let blind = verify(&*log.0.store, None, Extent::Whole, |_, _| ()).await.expect("a walk");
    assert_eq!(faults(&blind), BTreeSet::from([PayloadForeign]));
}

#[tokio::test]
async fn verify_opens_a_result_that_came_too_late() {
    let sample = SampleLog::sqlite().await;
    let call = sample.finish(Ask::by(1, &LIST), Status::Succeeded, None).await;
    sample.end_late(1, &call, Status::Failed).await;
    let report = look(&sample, Extent::Whole).await;
    assert!(report.is_clean() && report.opened == report.payloads, "{:#?}", report.findings);
}

/// The vault as a new process opens it.
async fn reopened(sample: &SampleLog) -> Vault {
    let database = open_sqlite(&sample.dir.path().join("vault.db"), Room::Vault).await.expect("the vault room");
    Vault::open(database, zeroize::Zeroizing::new([7; 32]), crate::test_node::Seeded::new(1)).await.expect("the vault")
}

#[tokio::test]
async fn verify_names_keys_that_are_lost_and_holds_rows_against_the_newest_event() {
    let log = Tampered::new().await;
    let erase = "delete from data_key where id like $1";
    let mut transaction = log.0.reader.vault.database().begin().await.expect("a transaction");
    assert!(transaction.execute(erase, vec![format!("{}/2%", account(1)).into()]).await.expect(erase) > 0);
    transaction.commit().await.expect("a commit");
    let vault = reopened(&log.0).await;
    let look = async || verify(&*log.0.store, Some(&vault), Extent::Whole, |_, _| ()).await.expect("a walk");
    let report = look().await;
    assert!(faults(&report) == BTreeSet::from([KeyMissing]) && report.erased > 0, "{:#?}", report.findings);
    // A key whose note is closed, brought back to life or made up; a row beside it, whose note never was.
    let name = format!("vm:{}", vm(1));
    let closed = "update state set doc = cast(replace(cast(doc as text), 'sim', 'sem') as blob) where name = $1";
    log.run(closed, vec![name.into()]).await;
    let report = look().await;
    assert_eq!(faults(&report), BTreeSet::from([KeyMissing, ControlClosed]), "{:#?}", report.findings);
}
