//! The verifier on logs that were tampered with, in a database whose triggers were dropped: each thing is found and named.

mod events;
mod honest;
mod rows;
mod sealed;

use std::collections::BTreeSet;

use forelog::core::call::Status;
use forelog::core::code::Code;
use forelog::core::event::{Event, EventKind};
use forelog::core::id::Position;
use forelog::export::verify::{Extent, Fault, Report, verify};
use forelog::log::sql::Value;

use crate::fixtures::vm;
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
