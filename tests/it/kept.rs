//! What is written down at an end: of a node that stops, and of an output that had a secret in it.
//!
//! Invariant: what is looked at is what the log and its rows hold, not what was answered.

use std::sync::Arc;

use forelog::app::App;
use forelog::core::covering::Covered;
use forelog::core::id::NodeId;
use forelog::core::job::Node;
use forelog::core::limit::{Limit, Window};
use forelog::core::time::Clock;
use forelog::log::fence::{Admissibility, Section};
use forelog::log::store::Want;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::console::{ConsoleServer, on_both};
use crate::rotated::Account;
use crate::scrub::random;

on_both! {
    a_node_stops, kept_a_node_that_stops_while_it_sends_is_not_counted_as_fenced, postgres_kept_a_node_that_stops_while_it_sends_is_not_counted_as_fenced;
    lists, kept_of_a_list_of_control_state_are_its_length_and_ids, postgres_kept_of_a_list_of_control_state_are_its_length_and_ids;
    lists_have_a_window, kept_lists_of_control_state_have_a_window_and_stopping_has_none, postgres_kept_lists_of_control_state_have_a_window_and_stopping_has_none;
    digests, kept_no_digest_of_an_output_with_a_secret_is, postgres_kept_no_digest_of_an_output_with_a_secret_is;
}

/// A request that is being sent.
fn sending(app: &App, house: &ConsoleServer) -> Section {
    let control = &app.node().control;
    let (fence, one) = (control.ports.fence(), &house.one);
    let state = fence.state();
    let key = state.credentials.values().find(|row| row.created.account == one.account).expect("a key");
    let call = Covered {
        tool: control.catalogue.get("vm_power").expect("a tool").facts,
        account: &one.account,
        credential: &key.created.credential,
        resources: &[(&one.vm).into()],
        providers: &[],
        visible: false,
    };
    fence.enter(&call, Admissibility { lease: fence.lease(), at: house.clock.now() }).expect("leave to send")
}

/// What the others are told of a node.
async fn row(house: &ConsoleServer, node: &NodeId) -> Node {
    let rows = house.app.node().control.ports.reader.store.state(&["node"]).await.expect("the nodes");
    let mut nodes = rows.iter().map(|row| serde_json::from_slice::<Node>(&row.doc).expect("a node"));
    nodes.find(|row| row.id == *node).expect("its row")
}

async fn a_node_stops(house: ConsoleServer) {
    for sends in [true, false] {
        let other = house.beside().await;
        let node = other.node().control.ports.node.clone();
        let section = sends.then(|| sending(&other, &house));
        other.shutdown().await;
        let ended = house.events("node_stopped").await;
        assert!(ended.iter().any(|event| json!(event.kind)["node"] == json!(node)), "its end is on record");
        assert_eq!(row(&house, &node).await.ended.is_some(), !sends, "only what sends nothing any more is counted as stopped");
        let store = Arc::clone(&house.app.node().control.ports.reader.store);
        let peers = house.app.node().control.ports.fence().peers().observe(&*store).await.expect("the nodes");
        let seen = peers.iter().find(|peer| peer.node.id == node).expect("it is seen");
        assert_eq!(seen.dead, !sends, "the others wait for its lease as long as it may send");
        drop(section);
    }
}

/// What is recorded of a call's result, also inside an error.
async fn recorded(account: &Account, call: &str) -> Value {
    let shown = account.house.read(&account.admin, &format!("/api/v1/calls/{call}")).await;
    assert_eq!(shown.status, StatusCode::OK, "{shown:?}");
    shown.json()
}

async fn digests(house: ConsoleServer) {
    let account = Account::of(house).await;
    let key = account.make(false).await;
    // A token itself would be refused in a command that waits.
    let secret = random("PASSWORD=", 36, 7);
    for (text, is_secret) in [("nothing to hide", false), (secret.as_str(), true)] {
        let digest = hex::encode(Sha256::digest(format!("{text}\n")));
        let args = json!({ "vm_id": account.vm, "command": format!("echo {text}") });
        let started = account.call(&key, "command_start", args.clone()).await;
        assert!(started.status.is_success(), "{started:?}");
        let operation = started.json()["operation_id"].clone();
        let ended = account.call(&key, "operation_wait", json!({ "operation_id": operation })).await;
        assert_eq!(ended.json()["status"], "succeeded", "{ended:?}");
        let kept = recorded(&account, operation.as_str().expect("a call")).await.to_string();
        assert_eq!(kept.contains(&digest), !is_secret, "command_start: {kept}");
        let answer = account.call(&key, "vm_exec", args).await;
        assert!(answer.text.contains(&digest), "its caller is told: {answer:?}");
        let kept = recorded(&account, answer.header("forelog-call-id")).await.to_string();
        assert_eq!(kept.contains(&digest), !is_secret, "vm_exec: {kept}");
    }
    // Inside an error, too.
    let args = json!({ "vm_id": account.vm, "command": format!("echo {secret}; sleep 60"), "timeout_seconds": 1 });
    let answer = account.call(&key, "vm_exec", args).await;
    let digest = hex::encode(Sha256::digest(format!("{secret}\n")));
    assert!(answer.text.contains(&digest), "its caller is told: {answer:?}");
    let call = answer.json()["error"]["call_id"].as_str().expect("a call").to_owned();
    assert!(!recorded(&account, &call).await.to_string().contains(&digest), "of what was blanked no digest is kept");
}

async fn lists(house: ConsoleServer) {
    let account = Account::of(house).await;
    let mut ids = Vec::new();
    for _ in 0..30 {
        ids.push(account.make(true).await.id);
    }
    let listed = account.house.call(&account.admin, "key_list", json!({})).await;
    let shown = listed.json()["items"].as_array().expect("keys").clone();
    assert!(ids.iter().all(|id| shown.iter().any(|key| key["id"] == *id)), "the caller is answered all of it");
    let call = listed.header("forelog-call-id").to_owned();
    let kept = recorded(&account, &call).await;
    assert_eq!(kept["result"]["items"]["$count"], json!(shown.len()), "{kept}");
    assert!(kept["result"]["items"]["$ids"].as_array().is_some_and(|kept| kept.contains(&shown[0]["id"])), "{kept}");
    let ends = account.house.events("succeeded").await;
    let end = ends.iter().find(|event| event.kind.call().is_some_and(|id| id.as_str() == call)).expect("its end");
    let size: u64 = end.parts.iter().map(|part| part.size).sum();
    assert!(
        size < 4096 && u64::try_from(listed.text.len()).is_ok_and(|whole| whole > 2 * size),
        "{size} of {}",
        listed.text.len()
    );
}

async fn lists_have_a_window(house: ConsoleServer) {
    let account = Account::of(house).await;
    let (house, ports) = (&account.house, &account.house.app.node().control.ports);
    let own = house.call(&account.admin, "account_get", json!({})).await.json();
    let row = format!("limit:list:{}", own["credential"]["id"].as_str().expect("its id"));
    let mut window = Window::default();
    for _ in 0..Limit::LISTS.admit {
        window.take(Limit::LISTS, house.clock.now());
    }
    let want = Want { names: vec![row.clone()], ..Want::default() };
    let full = window.encode();
    let written = ports.writer.write(want, move |draft| {
        draft.put_bytes(&row, full.clone());
        Ok(())
    });
    written.await.expect("a full window");
    for tool in ["key_list", "approval_list"] {
        let refused = house.call(&account.admin, tool, json!({})).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (429, "rate_limited"), "{tool}: {refused:?}");
    }
    let beside = house.key_over_keys(&house.one.account).await;
    assert_eq!(house.call(&beside, "key_list", json!({})).await.status, StatusCode::OK, "each key has its own");
    let owner = house.signed_in(&house.one.owner).await;
    owner.page("/console/keys").await;
    let made = account.make(true).await;
    let stopped = house.call(&account.admin, "key_revoke", json!({ "id": made.id })).await;
    assert_eq!(stopped.status, StatusCode::OK, "what stops has no window: {stopped:?}");
    let stopped = house.call(&account.admin, "panic_engage", json!({ "reason": "stop" })).await;
    assert_eq!(stopped.status, StatusCode::OK, "{stopped:?}");
}
