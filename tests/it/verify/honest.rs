//! What the verifier says of an honest log, and as what.

use forelog::core::call::Status;
use forelog::export::verify::{Extent, verify};

use super::{Tampered, look, write};
use crate::sample_log::{Ask, LIST, POWER, SampleLog};

#[tokio::test]
async fn verify_finds_nothing_in_an_honest_log() {
    let sample = SampleLog::sqlite().await;
    write(&sample).await;
    let mut steps = Vec::new();
    let report = verify(&*sample.store, Some(&sample.reader.vault), Extent::Whole, |at, of| steps.push((at, of))).await.unwrap();
    assert!(report.is_clean(), "{:#?}", report.findings);
    let head = sample.reader.store.head().await.unwrap();
    assert_eq!((report.position, report.events), (head.position, head.position.0.unsigned_abs()));
    assert_eq!((report.calls, report.erased, report.opened), (6, 0, report.payloads));
    assert_eq!(steps.last(), Some(&(head.position, head.position)));
    assert!(look(&sample, Extent::State).await.is_clean());
    // Without keys, rows that notes made cannot be folded, and are no finding.
    let blind = verify(&*sample.store, None, Extent::Whole, |_, _| ()).await.unwrap();
    assert!(blind.is_clean() && blind.opened == 0, "{:#?}", blind.findings);
}

#[tokio::test]
async fn verify_takes_many_batches_and_a_log_that_goes_on() {
    let sample = std::sync::Arc::new(SampleLog::sqlite().await);
    for _ in 0..200 {
        sample.finish(Ask::by(1, &LIST), Status::Succeeded, None).await;
    }
    let other = std::sync::Arc::clone(&sample);
    let writing = tokio::spawn(async move {
        for _ in 0..30 {
            other.finish(Ask { vm: Some(1), ..Ask::by(1, &POWER) }, Status::Succeeded, None).await;
        }
    });
    while !writing.is_finished() {
        let report = look(&sample, Extent::Whole).await;
        assert!(report.is_clean() && report.events > 600, "{:#?}", report.findings);
    }
    writing.await.expect("the writer");
}

#[tokio::test]
async fn postgres_verify_finds_nothing_in_an_honest_log() {
    let sample = SampleLog::postgres().await;
    write(&sample).await;
    let report = look(&sample, Extent::Whole).await;
    assert!(report.is_clean() && report.opened > 0, "{:#?}", report.findings);
}

#[tokio::test]
async fn verify_reports_as_json_with_names() {
    let log = Tampered::new().await;
    log.run("delete from event where type = 'reconciled'", vec![]).await;
    let report = look(&log.0, Extent::Whole).await;
    let document = serde_json::to_value(&report).expect("a document");
    assert_eq!(document["findings"][0]["fault"], "gap");
    assert!(report.findings[0].to_string().starts_with("gap at "), "{}", report.findings[0]);
}

async fn nothing_is_replaced(sample: SampleLog) {
    write(&sample).await;
    let payload = "insert or replace into payload (position, part, key, body) select position, part, 'k', key_of.body \
                   from payload join (select x'7a7a' as body) as key_of limit 1";
    let head = "insert or replace into log_head (log_id, position, at, epoch) values (1, 3, 1, 1)";
    let event = "insert or replace into event (position, at, type, call, leaf) select position, at, type, call, x'7b7d' from event \
                 where position = 3";
    let second = "insert into log_head (log_id, position, at, epoch) values (2, 0, 0, 0)";
    let moved = "insert into log_head (log_id, position, at, epoch) values (1, 0, 0, 0) \
                 on conflict (log_id) do update set position = 0";
    let all = if sample.url.is_some() { vec![second, moved] } else { vec![payload, head, event, second, moved] };
    for sql in all {
        let mut transaction = sample.store.database().begin().await.expect("a transaction");
        let done = transaction.execute(sql, vec![]).await;
        assert!(done.is_err(), "{sql}");
    }
    assert!(look(&sample, Extent::Whole).await.is_clean());
}

#[tokio::test]
async fn verify_sqlite_lets_nothing_be_replaced() {
    nothing_is_replaced(SampleLog::sqlite().await).await;
}

#[tokio::test]
async fn verify_postgres_lets_nothing_be_replaced() {
    nothing_is_replaced(SampleLog::postgres().await).await;
}
