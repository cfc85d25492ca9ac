//! Rows that nobody can read: they hold up neither leases, calls nor stops.

use std::sync::Arc;
use std::time::Duration;

use forelog::control::Reply;
use forelog::core::call::Status;
use forelog::core::code::Code;
use forelog::core::id::CallId;
use forelog::log::dialect::Room;
use forelog::log::postgres::open_postgres;
use forelog::log::sql::Database;
use forelog::log::sqlite::open_sqlite;
use reqwest::StatusCode;
use serde_json::json;

use super::{call_of, ended, events_of, forge, job, worked};
use crate::console::ConsoleServer;
use crate::test_node::{Site, TestNode, on_both};
use crate::witness::{document, edit};

on_both! {
    a_broken_row_is_not_looked_at_for_ever, beside_a_broken_row_is_not_looked_at_for_ever,
        postgres_beside_a_broken_row_is_not_looked_at_for_ever;
    a_broken_run_costs_no_lease, beside_a_broken_run_costs_no_lease, postgres_beside_a_broken_run_costs_no_lease;
    a_broken_claim_keeps_no_call_open, beside_a_broken_claim_keeps_no_call_open,
        postgres_beside_a_broken_claim_keeps_no_call_open;
    a_broken_call_can_be_cancelled, beside_a_broken_call_can_be_cancelled, postgres_beside_a_broken_call_can_be_cancelled;
}

/// Rows that do not fit are read, and nothing is written because of them, however often the log grows.
async fn a_broken_row_is_not_looked_at_for_ever(site: Site) {
    let test_node = TestNode::start(&site).await;
    let call = call_of(&test_node.call("probe_queued", json!({ "text": "once" })).await);
    ended(&test_node, &call).await;
    let events = events_of(&test_node, &call).await;
    forge(&site, &format!("job:{call}"), &job(&events, Status::Queued, None)).await;
    let name = format!("job:{}", CallId::new(test_node.control.ports.clock.now(), &*test_node.control.ports.entropy));
    forge(&site, &name, &job(&events, Status::Queued, None)).await;
    worked(&test_node).await;
    let head = test_node.reader.store.head().await.expect("the head").position;
    worked(&test_node).await;
    let written = test_node.reader.store.head().await.expect("the head").position.0 - head.0;
    assert_eq!(written, 2 * 4, "two calls of four events each, and nothing else");
    assert_eq!(document(&site, &format!("job:{call}")).await["status"], "queued", "it stays for whoever looks for it");
}

/// Breaks every row whose name begins like this, if there is one.
async fn break_rows(room: &dyn Database, begins: &str) {
    let mut transaction = room.begin().await.expect("a transaction");
    let sql = "update state set doc = $1 where name like $2";
    let broken = transaction.execute(sql, vec![b"{broken".to_vec().into(), format!("{begins}%").into()]).await.expect("rows");
    transaction.commit().await.expect("a commit");
    assert!(broken > 0, "there is no {begins} row");
}

async fn log_room(house: &ConsoleServer) -> Box<dyn Database> {
    match house.database() {
        Some(url) => open_postgres(url, Room::Log).await,
        None => open_sqlite(&house.dir.path().join("log.db"), Room::Log).await,
    }
    .expect("the log room")
}

/// A node without its lease could confirm no switch.
async fn a_broken_run_costs_no_lease(site: Site) {
    let test_node = TestNode::start(&site).await;
    call_of(&test_node.call("no_such_tool", json!({})).await);
    break_rows(&*site.room().await, "run:").await;
    test_node.beat().await;
    let reply = test_node.call("no_such_tool", json!({})).await;
    assert!(matches!(&reply, Reply::Failed { refusal, .. } if refusal.code == Code::UnknownTool), "{reply:?}");
}

/// What a call holds is freed when it ends, and what of that cannot be read keeps it from ending no more than anything else.
async fn a_broken_claim_keeps_no_call_open(site: Site) {
    let test_node = Arc::new(TestNode::start(&site).await);
    test_node.world.shut();
    let mut request = test_node.request("probe_write", json!({ "text": "x", "idempotency_key": "one" }));
    request.wait = Duration::ZERO;
    let call = call_of(&test_node.control.submit(request).await);
    break_rows(&*site.room().await, "idem:").await;
    test_node.world.open();
    ended(&test_node, &call).await;
}

/// The staff end a call that runs although its row was broken, or taken away.
async fn a_broken_call_can_be_cancelled(site: Site) {
    let test_node = TestNode::start(&site).await;
    let staff = crate::approvals::staff(&test_node).await;
    for breaks in [true, false] {
        test_node.world.shut();
        let mut request = test_node.request("probe_write", json!({ "text": "x" }));
        request.wait = Duration::ZERO;
        let call = call_of(&test_node.control.submit(request).await);
        if breaks {
            break_rows(&*site.room().await, "job:").await;
        } else {
            edit(&site, "delete from state where name = $1", vec![format!("job:{call}").into()]).await;
        }
        let mut request = test_node.request("call_cancel", json!({ "id": call }));
        request.principal = staff.clone();
        let reply = test_node.control.submit(request).await;
        assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
        ended(&test_node, &call).await;
        test_node.world.open();
    }
}

/// Whoever can call can stop, whatever rows somebody broke.
async fn broken_rows_keep_nobody_from_stopping(house: ConsoleServer) {
    let (key, vm) = (house.one.key.clone(), house.one.vm.clone());
    let staff = house.key_of_staff().await;
    let read = house.call(&key, "vm_get", json!({ "vm_id": vm })).await;
    assert_eq!(read.status, StatusCode::OK, "{read:?}");
    let keyed = json!({ "vm_id": vm, "action": "reboot", "confirm": true, "idempotency_key": "one" });
    house.call(&key, "vm_power", keyed).await;
    house.call(&staff, "switch_list", json!({})).await;
    let unknown = house.call(&key, "vm_get", json!({ "vm_id": "nonsense" })).await;
    assert_ne!(unknown.status, StatusCode::OK);
    let room = log_room(&house).await;
    for begins in ["use:", "limit:", "run:", "idem:"] {
        break_rows(&*room, begins).await;
    }
    let refused = house.call(&key, "vm_get", json!({ "vm_id": vm })).await;
    assert_eq!(refused.code(), "control_state_unreadable", "what does not stop is refused: {refused:?}");
    let panic = house.call(&key, "panic_engage", json!({ "reason": "a test", "target": "vms", "vm_id": vm })).await;
    assert_eq!(panic.status, StatusCode::OK, "{panic:?}");
    let engaged = house.call(&staff, "switch_engage", json!({ "target": "all", "reason": "a test" })).await;
    assert_eq!(engaged.status, StatusCode::OK, "{engaged:?}");
    let own = house.app.node().control.ports.fence().state();
    let id = own.credentials.values().find(|row| row.created.account == house.one.account && row.created.role.is_none());
    let id = id.expect("the key").created.credential.clone();
    let revoked = house.call(&staff, "key_revoke", json!({ "id": id })).await;
    assert_eq!(revoked.status, StatusCode::OK, "{revoked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_broken_rows_keep_nobody_from_stopping() {
    broken_rows_keep_nobody_from_stopping(ConsoleServer::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_beside_broken_rows_keep_nobody_from_stopping() {
    broken_rows_keep_nobody_from_stopping(ConsoleServer::on_postgres().await).await;
}
