//! Reads that wait for no append: they are answered while somebody holds the head, and see whatever was acknowledged before they
//! came, whichever node wrote it (P8).
//!
//! INVARIANT: who holds the head holds it in the database, and an append that hangs is seen to hang until it is let go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use forelog::core::commands::policy::PutPolicies;
use forelog::log::changing::{Author, Ids};
use reqwest::Method;

use crate::harness::{TestApp, generous, send};
use crate::test_node::{Site, on_both};

const CALLS: &str = "/api/v1/calls";

/// How long anything may take that waits for nobody.
const SOON: Duration = Duration::from_secs(10);

async fn answered_while_an_append_hangs(site: Site) {
    let app = TestApp::at(Arc::new(site), generous()).await;
    // A key that this node has not seen: it is looked for in the log.
    let key = app.beside(generous()).await.key(|_| {}).await;
    let room = app.site.room().await;
    let held = room.begin_append().await.expect("the head");
    let writer = app.test_node.writer.clone();
    let ids = Ids::new(&app.test_node.control.ports.clock, &app.test_node.control.ports.entropy);
    let command =
        PutPolicies { sha256: "0".repeat(64), only_first: true, by: None, event: app.test_node.control.ports.event_id() };
    let append = tokio::spawn(async move { writer.change(Author::Operator, ids, Vec::new(), command).await });
    let read = tokio::time::timeout(SOON, send(app.ask(&key, Method::GET, CALLS))).await.expect("while the head is held");
    assert_eq!(read.status, 200, "{read:?}");
    assert!(!append.is_finished(), "nobody appends while the head is held");
    held.rollback().await;
    append.await.expect("it ended").expect("it is written once the head is let go").expect("nothing refuses it");
}

async fn revoked_on_another_node_is_seen_by_the_next_read(site: Site) {
    let app = TestApp::at(Arc::new(site), generous()).await;
    let other = app.beside(generous()).await;
    // A read is always under way, so that a question may be tempted to take an answer that was begun before it.
    let stop = Arc::new(AtomicBool::new(false));
    let reading: Vec<_> = (0..4)
        .map(|_| {
            let (writer, stop) = (other.test_node.writer.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    writer.fresh().await.expect("the log");
                }
            })
        })
        .collect();
    for _ in 0..20 {
        let key = app.key(|_| {}).await;
        assert_eq!(send(other.ask(&key, Method::GET, CALLS)).await.status, 200);
        app.revoke(&key).await;
        let refused = send(other.ask(&key, Method::GET, CALLS)).await;
        assert_eq!(refused.code(), "token_revoked", "{refused:?}");
    }
    stop.store(true, Ordering::SeqCst);
    for task in reading {
        task.await.expect("it read");
    }
}

on_both! {
    answered_while_an_append_hangs, fresh_reads_are_answered_while_an_append_hangs, postgres_fresh_reads_are_answered_while_an_append_hangs;
    revoked_on_another_node_is_seen_by_the_next_read, fresh_reads_see_what_another_node_revoked, postgres_fresh_reads_see_what_another_node_revoked;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fresh_reads_refuse_where_the_log_cannot_be_read() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let (there, away) = (app.site.dir().join("log.db"), app.site.dir().join("elsewhere.db"));
    std::fs::rename(&there, &away).expect("moved");
    let refused = send(app.ask(&key, Method::GET, CALLS)).await;
    assert_eq!(refused.code(), "audit_unavailable", "{refused:?}");
    std::fs::rename(&away, &there).expect("moved back");
    assert_eq!(send(app.ask(&key, Method::GET, CALLS)).await.status, 200);
}
