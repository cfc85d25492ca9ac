//! Forged rows of repeats, joins and approvals: they show nothing of what others did.

use std::sync::Arc;
use std::time::Duration;

use forelog::control::Reply;
use forelog::core::code::Code;
use forelog::core::event::{CredentialCreated, EventKind};
use forelog::core::hold::Hold;
use forelog::core::id::{AccountId, CallId, CredentialId, UserId};
use forelog::core::principal::{Principal, Side};
use forelog::core::scope::Scope;
use serde_json::{Value, json};

use super::{call_of, events_of, held};
use crate::fixtures::key_made;
use crate::test_node::{Site, TestNode, on_both};
use crate::witness::{document, put};

on_both! {
    a_repeat_shows_nothing_of_others, beside_a_repeat_shows_nothing_of_others, postgres_beside_a_repeat_shows_nothing_of_others;
    a_forged_approval_shows_nothing_of_others, beside_a_forged_approval_shows_nothing_of_others,
        postgres_beside_a_forged_approval_shows_nothing_of_others;
    a_join_waits_for_nothing_of_others, beside_a_join_waits_for_nothing_of_others,
        postgres_beside_a_join_waits_for_nothing_of_others;
}

/// A key of another account.
async fn stranger(test_node: &TestNode) -> Principal {
    let (ports, at) = (&test_node.control.ports, test_node.control.ports.clock.now());
    let (account, user) = (AccountId::new(at, &*ports.entropy), UserId::new(at, &*ports.entropy));
    let credential = CredentialId::new(at, &*ports.entropy);
    test_node.change(EventKind::AccountCreated { account: account.clone(), side: Side::Customer }, Value::Null).await;
    let created = CredentialCreated {
        credential: credential.clone(),
        account: account.clone(),
        user: user.clone(),
        side: Side::Customer,
        hash: credential.to_string().into(),
        prefix: "flk_live_other0".into(),
        scopes: Scope::customer(),
        ..key_made(1)
    };
    test_node.change(EventKind::CredentialCreated(created), json!({ "label": "other" })).await;
    Principal { account, user, credential, ..test_node.principal() }
}

/// The row of an idempotency key that one call has been made with.
async fn row_of(site: &Site, call: &CallId) -> (String, Value) {
    let rows = site.room().await.query("select name, doc from state where name like 'idem:%'", Vec::new()).await.expect("rows");
    let rows = rows.iter().map(|row| {
        (row.text(0).expect("a name").to_owned(), serde_json::from_slice::<Value>(row.bytes(1).expect("bytes")).expect("a row"))
    });
    rows.into_iter().find(|(_, row)| row["call"] == json!(call)).expect("the row of the call")
}

async fn a_repeat_shows_nothing_of_others(site: Site) {
    let test_node = TestNode::start(&site).await;
    let other = stranger(&test_node).await;
    let args = json!({ "text": "same", "idempotency_key": "once" });
    let theirs = {
        let mut request = test_node.request("probe_write", args.clone());
        request.principal = other;
        call_of(&test_node.control.submit(request).await)
    };
    let elsewhere = call_of(&test_node.call("probe_write", json!({ "text": "something else" })).await);
    let own = call_of(&test_node.call("probe_write", args.clone()).await);
    let (name, row) = row_of(&site, &own).await;
    for first in [theirs, elsewhere] {
        let end = events_of(&test_node, &first).await.iter().find(|event| event.kind.end().is_some()).expect("an end").position;
        let mut forged = row.clone();
        (forged["call"], forged["end"]) = (json!(first), json!(end));
        put(&site, &name, &forged).await;
        refused(&test_node.call("probe_write", args.clone()).await);
        // The own call, with another one's end.
        forged["call"] = json!(own);
        put(&site, &name, &forged).await;
        refused(&test_node.call("probe_write", args.clone()).await);
    }
    put(&site, &name, &row).await;
    let reply = test_node.call("probe_write", args).await;
    assert!(matches!(reply, Reply::Done { .. }), "an honest row is repeated: {reply:?}");
    assert_eq!(test_node.world.runs_of(&own), 1);
}

fn refused(reply: &Reply) {
    let Reply::Failed { refusal, .. } = reply else { panic!("what others did was shown: {reply:?}") };
    assert_eq!(refusal.code, Code::ControlStateUnreadable, "{reply:?}");
}

async fn a_join_waits_for_nothing_of_others(site: Site) {
    let test_node = Arc::new(TestNode::start(&site).await);
    let other = stranger(&test_node).await;
    let args = json!({ "text": "same", "idempotency_key": "once" });
    let own = call_of(&test_node.call("probe_write", args.clone()).await);
    let (name, row) = row_of(&site, &own).await;
    test_node.world.shut();
    let open = {
        let mut request = test_node.request("probe_write", json!({ "text": "same" }));
        (request.principal, request.wait) = (other, Duration::ZERO);
        call_of(&test_node.control.submit(request).await)
    };
    let mut forged = row.clone();
    (forged["call"], forged["end"], forged["status"]) = (json!(open), Value::Null, json!("running"));
    put(&site, &name, &forged).await;
    refused(&test_node.call("probe_write", args).await);
    test_node.world.open();
}

async fn a_forged_approval_shows_nothing_of_others(site: Site) {
    let test_node = TestNode::start(&site).await;
    let other = stranger(&test_node).await;
    test_node.world.hold(Some(Hold::new("it is asked for")));
    let call = held(&test_node).await;
    let name = format!("approval:{}/{call}", test_node.account);
    let mut row = document(&site, &name).await;
    (row["account"], row["credential"]) = (json!(other.account), json!(other.credential));
    put(&site, &name, &row).await;
    let mut request = test_node.request("approval_list", json!({}));
    request.principal = other;
    let Reply::Done { result, .. } = test_node.control.submit(request).await else { panic!("a list") };
    assert_eq!(result["items"], json!([]), "{result}");
}
