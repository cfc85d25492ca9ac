//! Events that were edited, taken out, moved or cut off.

use forelog::core::event::EventKind;
use forelog::core::id::Position;
use forelog::core::time::Micros;
use forelog::export::verify::Fault::{
    ColumnMismatch, Gap, HeadPosition, HeadTime, IllegalTransition, JobDiffers, JobMissing, LeafForeign, LeafNotCanonical,
    LeafUnreadable, PayloadCommitment, PayloadDigest, PayloadLacking, PayloadMissing, PayloadOrphan, PrevLink, SecondEnd,
    TimeBackwards,
};
use forelog::log::store::Store;

use super::Tampered;
use crate::fixtures::{call, node};

#[tokio::test]
async fn verify_names_an_edited_leaf() {
    let log = Tampered::new().await;
    log.run("update event set leaf = cast(leaf || ' ' as blob) where position = 5", vec![]).await;
    log.found(&[LeafNotCanonical]).await;

    let log = Tampered::new().await;
    log.run("update event set leaf = x'7b7d' where type = 'reconciled'", vec![]).await;
    log.found(&[LeafUnreadable]).await;

    let log = Tampered::new().await;
    let mut event = log.first("admitted").await;
    (event.v, event.log) = (2, 2);
    log.rewrite(event.position, &event).await;
    log.found(&[LeafForeign]).await;
}

#[tokio::test]
async fn verify_names_columns_that_do_not_follow_from_the_leaf() {
    for sql in [
        "update event set type = 'failed' where type = 'succeeded'",
        "update event set call = null where type = 'started'",
        "update event set at = at + 1 where position = 4",
    ] {
        let log = Tampered::new().await;
        log.run(sql, vec![]).await;
        log.found(&[ColumnMismatch]).await;
    }
}

#[tokio::test]
async fn verify_names_a_deleted_event() {
    let log = Tampered::new().await;
    log.run("delete from event where type = 'reconciled'", vec![]).await;
    log.found(&[Gap]).await;
    // An intent leaves what followed it without a beginning, and its payloads without an owner.
    let log = Tampered::new().await;
    let intent = log.first("intent_recorded").await.position;
    log.run("delete from event where position = $1", vec![intent.0.into()]).await;
    log.found(&[Gap, IllegalTransition, PrevLink, PayloadOrphan]).await;
}

#[tokio::test]
async fn verify_names_events_that_changed_places() {
    let log = Tampered::new().await;
    let (one, two) = (log.first("admitted").await.position, log.first("started").await.position);
    for (from, to) in [(one.0, -1), (two.0, one.0), (-1, two.0)] {
        log.run("update event set position = $1 where position = $2", vec![to.into(), from.into()]).await;
    }
    // The call never gets to its end, so it counts as open.
    log.found(&[ColumnMismatch, TimeBackwards, IllegalTransition, PrevLink, JobMissing]).await;
}

#[tokio::test]
async fn verify_names_a_backdated_event() {
    let log = Tampered::new().await;
    let mut event = log.first("started").await;
    event.at = Micros(event.at.0 - 3_600_000_000);
    log.rewrite(event.position, &event).await;
    log.found(&[TimeBackwards]).await;
}

#[tokio::test]
async fn verify_names_a_tail_that_was_cut_off() {
    let log = Tampered::new().await;
    let last = log.events().await.pop().expect("an event");
    log.run("delete from event where position = $1", vec![last.position.0.into()]).await;
    log.found(&[HeadPosition, HeadTime, JobMissing, PayloadOrphan]).await;
    // With a head that fits, the call that lost its end gives it away, and the payload that is left of it.
    let before = log.events().await.pop().expect("an event");
    log.run("update log_head set position = $1, at = $2", vec![before.position.0.into(), before.at.0.into()]).await;
    log.found(&[JobMissing, PayloadOrphan]).await;
}

#[tokio::test]
async fn verify_names_changed_payloads() {
    let log = Tampered::new().await;
    log.run("update payload set body = cast(body || 'x' as blob) where part = 'result'", vec![]).await;
    log.found(&[PayloadDigest, PayloadCommitment]).await;

    let log = Tampered::new().await;
    log.run("delete from payload where part = 'subject'", vec![]).await;
    log.found(&[PayloadMissing]).await;

    let log = Tampered::new().await;
    log.run("insert into payload (position, part, key, body) values (1, 'result', 'k', x'00')", vec![]).await;
    log.found(&[PayloadOrphan]).await;

    // Of two results that changed places, each is the ciphertext of another event.
    let log = Tampered::new().await;
    let [one, two] = [log.first("succeeded").await.position.0, log.first("unknown").await.position.0];
    for (from, to) in [(one, -1), (two, one), (-1, two)] {
        log.run("update payload set position = $1 where position = $2", vec![to.into(), from.into()]).await;
    }
    log.found(&[PayloadDigest, PayloadCommitment]).await;
}

#[tokio::test]
async fn verify_names_calls_that_cannot_be() {
    let log = Tampered::new().await;
    let end = log.first("succeeded").await;
    log.add(end.kind, end.position).await;
    log.found(&[SecondEnd, PayloadLacking]).await;

    let log = Tampered::new().await;
    let start = log.first("started").await;
    log.add(start.kind, log.first("succeeded").await.position).await;
    log.found(&[IllegalTransition]).await;

    let log = Tampered::new().await;
    let mut event = log.first("started").await;
    event.prev = Position(event.prev.0 - 1);
    log.rewrite(event.position, &event).await;
    log.found(&[PrevLink]).await;

    let log = Tampered::new().await;
    let epoch = log.0.store.head().await.expect("the head").epoch;
    log.add(EventKind::Started { call: call(5), node: node(1), epoch }, Position(1)).await;
    log.found(&[PrevLink, JobDiffers]).await;
}
