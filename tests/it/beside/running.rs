//! Forged rows of what waits for a worker or runs: nothing is run because of them.

use std::time::Duration;

use forelog::core::approval::Consent;
use forelog::core::call::Status;
use forelog::core::code::Code;
use forelog::core::event::EventKind;
use forelog::core::hold::Hold;
use forelog::core::id::{AccountId, CallId, CredentialId, VmId};
use forelog::core::switch::Running;
use serde_json::json;

use super::{call_of, ended, events_of, forge, held, job, refused, worked};
use crate::test_node::{Site, TestNode, on_both};
use crate::witness::{document, put};

on_both! {
    a_refused_call_is_not_run, beside_a_refused_call_is_not_run, postgres_beside_a_refused_call_is_not_run;
    an_ended_call_is_not_run_again, beside_an_ended_call_is_not_run_again, postgres_beside_an_ended_call_is_not_run_again;
    a_row_of_another_kind_of_call_is_not_run, beside_a_row_of_another_kind_of_call_is_not_run,
        postgres_beside_a_row_of_another_kind_of_call_is_not_run;
    a_forged_orphan_is_not_adopted, beside_a_forged_orphan_is_not_adopted, postgres_beside_a_forged_orphan_is_not_adopted;
    a_forged_consent_releases_nothing, beside_a_forged_consent_releases_nothing,
        postgres_beside_a_forged_consent_releases_nothing;
    a_held_call_is_not_claimed, beside_a_held_call_is_not_claimed, postgres_beside_a_held_call_is_not_claimed;
}

async fn a_refused_call_is_not_run(site: Site) {
    let test_node = TestNode::start(&site).await;
    let switch = test_node.engage("all", Running::LetFinish).await;
    let call = call_of(&test_node.call("probe_queued", json!({ "text": "no" })).await);
    test_node.release(switch).await;
    let events = events_of(&test_node, &call).await;
    assert!(matches!(events[1].kind, EventKind::Refused(_)), "{events:?}");
    forge(&site, &format!("job:{call}"), &job(&events, Status::Queued, None)).await;
    worked(&test_node).await;
    assert_eq!(test_node.world.runs_of(&call), 0, "a refused call ran");
    assert_eq!(events_of(&test_node, &call).await, events, "nothing is written of it any more");
}

async fn an_ended_call_is_not_run_again(site: Site) {
    let test_node = TestNode::start(&site).await;
    let call = call_of(&test_node.call("probe_queued", json!({ "text": "once" })).await);
    ended(&test_node, &call).await;
    let events = events_of(&test_node, &call).await;
    forge(&site, &format!("job:{call}"), &job(&events, Status::Queued, None)).await;
    worked(&test_node).await;
    assert_eq!((test_node.world.runs_of(&call), events_of(&test_node, &call).await), (1, events));
}

/// A call that waits, of which somebody edits one field.
async fn a_row_of_another_kind_of_call_is_not_run(site: Site) {
    let (asking, _worker, _assigned) = TestNode::idle(&site).await;
    let (ports, at) = (&asking.control.ports, asking.control.ports.clock.now());
    let other = call_of(&asking.call("probe_queued", json!({ "text": "other" })).await);
    let edits = [
        ("call", json!(CallId::new(at, &*ports.entropy))),
        ("account", json!(AccountId::new(at, &*ports.entropy))),
        ("credential", json!(CredentialId::new(at, &*ports.entropy))),
        ("tool", json!("probe_write")),
        ("class", json!("read")),
        ("resources", json!([VmId::new(at, &*ports.entropy)])),
        ("providers", json!(["elsewhere"])),
        ("intent", json!(1)),
        ("last", json!(2)),
        ("idempotent", json!(true)),
        ("claim", json!(true)),
        ("joins", json!(other)),
        ("held", json!(true)),
        ("counts", json!(false)),
        ("cancel_asked", json!(true)),
    ];
    let mut forged = Vec::new();
    for (field, value) in edits {
        let call = call_of(&asking.call("probe_queued", json!({ "text": field })).await);
        let name = format!("job:{call}");
        let mut row = document(&site, &name).await;
        row[field] = value;
        put(&site, &name, &row).await;
        forged.push((field, call));
    }
    let test_node = TestNode::start(&site).await;
    worked(&test_node).await;
    for (field, call) in forged {
        assert_eq!(test_node.world.runs_of(&call), 0, "it ran with another {field}");
        assert_eq!(events_of(&test_node, &call).await.len(), 2, "something was written of the one with another {field}");
    }
    assert_eq!(test_node.world.runs_of(&other), 1, "what nobody edited runs");
}

async fn a_forged_orphan_is_not_adopted(site: Site) {
    let gone = {
        let test_node = TestNode::start(&site).await;
        let (read, write) = (test_node.call("probe_read", json!({})).await, test_node.call("probe_write", json!({})).await);
        let other = call_of(&test_node.call("probe_read", json!({})).await);
        let node = test_node.control.ports.node.clone();
        for call in [call_of(&read), call_of(&write), other.clone()] {
            let mut row = job(&events_of(&test_node, &call).await, Status::Running, Some(node.clone()));
            row.joins = (call == other).then(|| call_of(&write));
            forge(&site, &format!("job:{call}"), &row).await;
        }
        [call_of(&read), call_of(&write), other]
    };
    // One that a node really left behind, and that is looked at after those.
    site.clock.pass(Duration::from_millis(10));
    let honest = {
        let (test_node, _worker, _assigned) = TestNode::idle(&site).await;
        let mut request = test_node.request("probe_read", json!({}));
        request.wait = Duration::ZERO;
        call_of(&test_node.control.submit(request).await)
    };
    let test_node = TestNode::start(&site).await;
    test_node.outlast_the_others().await;
    ended(&test_node, &honest).await;
    assert_eq!(test_node.world.runs_of(&honest), 1);
    for call in gone {
        let ends = events_of(&test_node, &call).await.iter().filter(|event| event.kind.end().is_some()).count();
        assert_eq!((test_node.world.runs_of(&call), ends), (1, 1), "{call} ran or ended twice");
    }
}

async fn a_forged_consent_releases_nothing(site: Site) {
    let test_node = TestNode::start(&site).await;
    test_node.world.hold(Some(Hold::new("it is asked for")));
    let call = held(&test_node).await;
    let name = format!("approval:{}/{call}", test_node.account);
    let mut row = document(&site, &name).await;
    let consent =
        Consent { by: test_node.user.clone(), credential: test_node.credential.clone(), at: site.clock.after(Duration::ZERO) };
    row["consents"] = json!([consent]);
    put(&site, &name, &row).await;
    // What waits is looked at whenever the log has grown.
    test_node.world.hold(None);
    worked(&test_node).await;
    // It ends rather than waiting for an answer that nobody can give; held calls are looked at by a task of their own.
    refused(&test_node, &call).await;
    assert_eq!(test_node.world.runs_of(&call), 0, "it ran without anybody's consent");
    let events = events_of(&test_node, &call).await;
    assert!(!events.iter().any(|event| matches!(event.kind, EventKind::Admitted(_))), "{events:?}");
    assert!(matches!(&events.last().expect("an end").kind, EventKind::Refused(no) if no.code == Code::ControlStateUnreadable));
}

async fn a_held_call_is_not_claimed(site: Site) {
    let test_node = TestNode::start(&site).await;
    test_node.world.hold(Some(Hold::new("it is asked for")));
    let call = held(&test_node).await;
    let name = format!("job:{call}");
    let mut row = document(&site, &name).await;
    row["status"] = json!("queued");
    put(&site, &name, &row).await;
    test_node.world.hold(None);
    worked(&test_node).await;
    assert_eq!((test_node.world.runs_of(&call), events_of(&test_node, &call).await.len()), (0, 2));
}
