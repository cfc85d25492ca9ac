//! Rows beside the log that do not follow from it.

use std::collections::BTreeSet;

use forelog::core::event::EventKind;
use forelog::export::verify::Extent;
use forelog::export::verify::Fault::{
    ControlDiffers, ControlExtra, ControlMissing, HeadEpoch, HeadPosition, HeadTime, JobDiffers, JobMissing, JobStale, PastHead,
};

use super::{Tampered, faults, look};
use crate::fixtures::call;

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
