//! The verifier on logs that were tampered with, in a database whose triggers were dropped: each thing is found and named.

use std::collections::BTreeSet;

use forelog::core::call::Status;
use forelog::core::code::Code;
use forelog::core::event::{Event, EventKind};
use forelog::core::id::Position;
use forelog::core::time::Micros;
use forelog::export::verify::Fault::{
    ColumnMismatch, ControlClosed, ControlDiffers, ControlExtra, ControlMissing, Gap, HeadEpoch, HeadPosition, HeadTime,
    IllegalTransition, JobDiffers, JobMissing, JobStale, KeyMissing, LeafForeign, LeafNotCanonical, LeafUnreadable, PastHead,
    PayloadCommitment, PayloadDigest, PayloadForeign, PayloadLacking, PayloadMissing, PayloadOrphan, PrevLink, SecondEnd,
    TimeBackwards,
};
use forelog::export::verify::{Extent, Fault, Report, verify};
use forelog::log::dialect::Room;
use forelog::log::sql::Value;
use forelog::log::sqlite::open_sqlite;
use forelog::log::store::Store;
use forelog::log::vault::Vault;

use crate::fixtures::{account, call, credential, node, user, vm};
use crate::sample_log::{Ask, LIST, POWER, SampleLog};

const TRIGGERS: &str = "
    drop trigger event_is_never_updated; drop trigger event_is_never_deleted; drop trigger event_has_no_gap;
    drop trigger payload_is_never_updated; drop trigger payload_is_never_deleted; drop trigger payload_comes_with_its_event;
    drop trigger head_is_never_deleted; drop trigger head_never_goes_back;";

/// A book with a call of every kind. Its last event is the end of a call of its own.
async fn write(sample: &SampleLog) {
    let power = Ask { vm: Some(1), text: "action=reboot", ip: Some("192.0.2.7"), ..Ask::by(1, &POWER) };
    sample.finish(power.clone(), Status::Succeeded, None).await;
    let unknown = sample.finish(power.clone(), Status::Unknown, Some(Code::OutcomeUnknown)).await;
    sample.reconcile(&unknown).await;
    sample.submit(Ask { refused: Some(Code::ConfirmationRequired), ..power.clone() }).await;
    sample.submit(power.clone()).await;
    let running = sample.submit(power).await;
    sample.start(&running).await;
    sample.change(1, EventKind::VmExecSet { vm: vm(1), enabled: true }, serde_json::Value::Null).await;
    sample.finish(Ask::by(2, &LIST), Status::Failed, Some(Code::UpstreamError)).await;
}

async fn look(sample: &SampleLog, extent: Extent) -> Report {
    verify(&*sample.store, Some(&sample.reader.vault), extent, |_, _| ()).await.expect("a walk")
}

fn faults(report: &Report) -> BTreeSet<Fault> {
    report.findings.iter().map(|finding| finding.fault).collect()
}

/// A log that is about to be changed behind our back.
struct Tampered(SampleLog);

impl Tampered {
    async fn new() -> Self {
        let sample = SampleLog::sqlite().await;
        write(&sample).await;
        let mut transaction = sample.store.database().begin().await.expect("a transaction");
        transaction.script(TRIGGERS).await.expect("no triggers");
        transaction.commit().await.expect("a commit");
        Self(sample)
    }

    async fn run(&self, sql: &str, args: Vec<Value>) {
        let mut transaction = self.0.store.database().begin().await.expect("a transaction");
        assert!(transaction.execute(sql, args).await.expect(sql) > 0, "{sql} changed nothing");
        transaction.commit().await.expect("a commit");
    }

    async fn events(&self) -> Vec<Event> {
        self.0.reader.events(Position(0), 1000).await.expect("the log")
    }

    /// The first event of a type.
    async fn first(&self, kind: &str) -> Event {
        self.events().await.into_iter().find(|event| event.kind.name() == kind).expect("such an event")
    }

    /// Stores a leaf, and the columns that follow from it.
    async fn rewrite(&self, at: Position, event: &Event) {
        let leaf = event.encode().expect("a leaf");
        let sql = "update event set leaf = $1, at = $2, type = $3 where position = $4";
        self.run(sql, vec![leaf.into(), event.at.0.into(), event.kind.name().into(), at.0.into()]).await;
    }

    /// Adds an event after the newest, with a head that fits.
    async fn add(&self, kind: EventKind, prev: Position) {
        let last = self.events().await.pop().expect("an event");
        let event = Event { position: last.position.next(), prev, kind, parts: Vec::new(), ..last };
        let (leaf, call) = (event.encode().expect("a leaf"), event.kind.call().map(ToString::to_string));
        let args = vec![event.position.0.into(), event.at.0.into(), event.kind.name().into(), call.into(), leaf.into()];
        self.run("insert into event (position, at, type, call, leaf) values ($1, $2, $3, $4, $5)", args).await;
        self.run("update log_head set position = $1", vec![event.position.0.into()]).await;
    }

    async fn found(&self, expected: &[Fault]) {
        let report = look(&self.0, Extent::Whole).await;
        let found = faults(&report);
        assert_eq!(found, expected.iter().copied().collect(), "{:#?}", report.findings);
    }
}

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

#[tokio::test]
async fn verify_names_changed_control_rows() {
    let blanked = "update state set doc = x'' where name like 'policy:%'";
    let owned = "update state set doc = cast(replace(cast(doc as text), '\"exec_enabled\":false', '\"exec_enabled\":true') as blob) \
                 where name like 'vm:%' and instr(doc, 'Web-2') > 0";
    let renamed = "update state set doc = cast(replace(cast(doc as text), 'Web-1', 'Web-3') as blob) where name like 'vm:%'";
    let older = "update state set position = position - 1 where name like 'credential:%'";
    for sql in [blanked, owned, renamed, older] {
        let log = Tampered::new().await;
        log.run(sql, vec![]).await;
        log.found(&[ControlDiffers]).await;
        let report = look(&log.0, Extent::State).await;
        assert_eq!(report.about_state().count(), report.findings.len());
        assert_eq!(faults(&report), BTreeSet::from([ControlDiffers]), "{sql}");
    }
    let log = Tampered::new().await;
    log.run("delete from state where name like 'account:%'", vec![]).await;
    log.found(&[ControlMissing]).await;
    log.run("insert into state (name, control, position, doc) values ('switch:x', 1, 1, x'6e756c6c')", vec![]).await;
    log.found(&[ControlMissing, ControlExtra]).await;
}

#[tokio::test]
async fn verify_names_an_edited_head() {
    for (sql, expected) in [
        ("update log_head set position = position + 1", [HeadPosition].as_slice()),
        ("update log_head set at = at + 1", &[HeadTime]),
        ("update log_head set epoch = epoch + 1", &[HeadEpoch]),
        // What was the end of the last call is now past the head, and its payload with it.
        ("update log_head set position = position - 1", &[HeadTime, PastHead, JobMissing]),
    ] {
        let log = Tampered::new().await;
        log.run(sql, vec![]).await;
        log.found(expected).await;
    }
}

#[tokio::test]
async fn verify_names_job_rows_that_do_not_fit() {
    let log = Tampered::new().await;
    log.run("delete from state where name like 'job:%'", vec![]).await;
    log.found(&[JobMissing]).await;

    let log = Tampered::new().await;
    log.run(
        "update state set doc = cast(replace(cast(doc as text), '\"queued\"', '\"running\"') as blob) where name like 'job:%'",
        vec![],
    )
    .await;
    log.found(&[JobDiffers]).await;

    let log = Tampered::new().await;
    let open = format!("job:{}", call(3));
    log.run("update state set name = $1 where name = (select min(name) from state where name like 'job:%')", vec![open.into()])
        .await;
    log.found(&[JobDiffers]).await;

    let log = Tampered::new().await;
    let EventKind::Succeeded(ended) = log.first("succeeded").await.kind else { panic!("an end") };
    let sql = "insert into state (name, control, position, doc) select 'job:' || $1, 0, 1, \
               cast(replace(cast(doc as text), substr(name, 5), $1) as blob) from state where name like 'job:%' limit 1";
    log.run(sql, vec![ended.call.to_string().into()]).await;
    log.found(&[JobStale]).await;
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
