//! Rows beside the log that somebody forged who has the serving role's password, or the files: nothing runs, is let go on, ends
//! or is shown because of them. What counts is what the call's own leaves say.

mod broken;
mod repeated;
mod running;
mod shown;

use std::time::Duration;

use forelog::control::Reply;
use forelog::core::call::Status;
use forelog::core::event::{Event, EventKind};
use forelog::core::id::{CallId, NodeId};
use forelog::core::job::Job;
use forelog::core::tool::Class;
use serde_json::json;

use crate::test_node::{Site, TestNode};
use crate::witness::edit;

/// Puts a row in, or in the place of the one that is there.
async fn forge(site: &Site, name: &str, row: &impl serde::Serialize) {
    let sql = "insert into state (name, control, position, doc) values ($1, 0, 1, $2) \
               on conflict (name) do update set doc = excluded.doc";
    edit(site, sql, vec![name.into(), serde_json::to_vec(row).expect("bytes").into()]).await;
}

async fn events_of(test_node: &TestNode, call: &CallId) -> Vec<Event> {
    test_node.log().await.into_iter().filter(|event| event.kind.call() == Some(call)).collect()
}

/// A row as the writer would have made it for a call that waits for a worker, or that a node runs.
fn job(events: &[Event], status: Status, node: Option<NodeId>) -> Job {
    let EventKind::IntentRecorded(asked) = &events[0].kind else { panic!("{events:?}") };
    Job {
        call: asked.call.clone(),
        account: asked.account.clone(),
        credential: asked.credential.clone(),
        tool: asked.tool.to_string(),
        class: if asked.tool == "probe_read" { Class::Read } else { Class::Write },
        resources: Vec::new(),
        providers: Vec::new(),
        status,
        intent: events[0].position,
        last: events[1].position,
        node,
        idempotent: asked.tool == "probe_read",
        idempotency: None,
        claim: false,
        joins: None,
        joined: 0,
        sealed: false,
        held: false,
        counts: status == Status::Queued,
        cancel_asked: false,
    }
}

fn call_of(reply: &Reply) -> CallId {
    match reply {
        Reply::Done { call, .. } | Reply::Running { call, .. } | Reply::Failed { call: Some(call), .. } => call.clone(),
        Reply::Failed { .. } => panic!("{reply:?}"),
    }
}

/// Two calls from intent to end: whoever takes what waits has looked at everything that came before them.
async fn worked(test_node: &TestNode) {
    for _ in 0..2 {
        test_node.clock.pass(Duration::from_millis(10));
        let call = call_of(&test_node.call("probe_queued", json!({ "text": "honest" })).await);
        ended(test_node, &call).await;
    }
}

async fn ended(test_node: &TestNode, call: &CallId) {
    let end = async {
        while !events_of(test_node, call).await.iter().any(|event| event.kind.end().is_some()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), end).await.expect("an end");
}

async fn refused(test_node: &TestNode, call: &CallId) {
    let is_refused = async || events_of(test_node, call).await.iter().any(|event| matches!(event.kind, EventKind::Refused(_)));
    crate::harness::until(Duration::from_secs(20), "it is refused", is_refused).await;
}

/// A call that waits for a person.
async fn held(test_node: &TestNode) -> CallId {
    let mut request = test_node.request("probe_write", json!({ "text": "held" }));
    request.wait = Duration::ZERO;
    let reply = test_node.control.submit(request).await;
    assert!(matches!(&reply, Reply::Failed { status: Status::Held, .. }), "{reply:?}");
    call_of(&reply)
}
