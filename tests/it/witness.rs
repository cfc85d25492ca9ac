//! Control rows that were edited behind our back: no node decides with them, and nobody has to walk the history to see it
//! (P12).

use forelog::control::Reply;
use forelog::core::bounded::Hex;
use forelog::core::code::Code;
use forelog::core::event::{Event, EventKind};
use forelog::core::id::{AccountId, EventId, Position};
use forelog::core::principal::Side;
use forelog::core::root::RootKey;
use forelog::core::state::ControlState;
use forelog::log::draft::{Draft, NewEvent};
use forelog::log::sql::Value as Bound;
use forelog::log::sql_store::SqlStore;
use forelog::log::store::{Store, Want};
use serde_json::{Value, json};

use crate::fixtures::node;
use crate::test_node::{Site, TestNode, on_both};

on_both! {
    an_edited_row_is_not_served_at_start, witness_an_edited_row_is_not_served_at_start, postgres_witness_an_edited_row_is_not_served_at_start;
    an_edited_row_is_not_taken_over_while_running, witness_an_edited_row_is_not_taken_over_while_running,
        postgres_witness_an_edited_row_is_not_taken_over_while_running;
    a_row_that_is_gone_or_new_or_old_is_found, witness_a_row_that_is_gone_or_new_or_old_is_found,
        postgres_witness_a_row_that_is_gone_or_new_or_old_is_found;
    an_event_that_was_made_without_the_key_is_not_believed, witness_an_event_that_was_made_without_the_key_is_not_believed,
        postgres_witness_an_event_that_was_made_without_the_key_is_not_believed;
    a_state_of_before_is_not_put_back_with_its_root, witness_a_state_of_before_is_not_put_back_with_its_root,
        postgres_witness_a_state_of_before_is_not_put_back_with_its_root;
    a_log_of_an_earlier_version_is_refused_by_name, witness_a_log_of_an_earlier_version_is_refused_by_name,
        postgres_witness_a_log_of_an_earlier_version_is_refused_by_name;
    many_rows_are_held_against_the_log_as_few_are, witness_many_rows_are_held_against_the_log_as_few_are,
        postgres_witness_many_rows_are_held_against_the_log_as_few_are;
}

/// Changes the state table as somebody with the database's password would.
pub async fn edit(site: &Site, sql: &str, args: Vec<Bound>) {
    let room = site.room().await;
    let mut transaction = room.begin().await.expect("a transaction");
    assert!(transaction.execute(sql, args).await.expect(sql) > 0, "{sql} changed nothing");
    transaction.commit().await.expect("a commit");
}

pub async fn document(site: &Site, name: &str) -> Value {
    let rows = site.room().await.query("select doc from state where name = $1", vec![name.into()]).await.expect("a row");
    serde_json::from_slice(rows.first().expect("the row").bytes(0).expect("bytes")).expect("a document")
}

pub async fn put(site: &Site, name: &str, document: &Value) {
    let bytes = serde_json::to_vec(document).expect("bytes");
    edit(site, "update state set doc = $1 where name = $2", vec![bytes.into(), name.into()]).await;
}

async fn revoke(test_node: &TestNode) -> String {
    test_node.change(EventKind::CredentialRevoked { credential: test_node.credential.clone(), by: None }, Value::Null).await;
    format!("credential:{}", test_node.credential)
}

/// Opens the log as a new process does, and reads its control state.
pub async fn opens(site: &Site) -> Result<(), String> {
    let store = std::sync::Arc::new(SqlStore::new(site.room().await));
    let clock = std::sync::Arc::clone(&site.clock) as std::sync::Arc<dyn forelog::core::time::Clock>;
    let fence = forelog::log::fence::Fence::new(std::sync::Arc::clone(&clock), RootKey::of(&[7; 32]));
    let (writer, _task) = forelog::log::writer::Writer::start(store, fence, clock);
    writer.write(forelog::log::store::Want::default(), |_| Ok(())).await.map_err(|error| error.to_string())
}

async fn an_edited_row_is_not_served_at_start(site: Site) {
    let test_node = TestNode::start(&site).await;
    let name = revoke(&test_node).await;
    opens(&site).await.expect("an honest log");
    let mut row = document(&site, &name).await;
    assert!(row["revoked_at"].is_i64(), "{row}");
    row["revoked_at"] = Value::Null;
    put(&site, &name, &row).await;
    let refused = opens(&site).await.expect_err("a key that somebody brought back to life");
    assert!(refused.contains("forelog doctor"), "{refused}");
}

/// A node that has not seen the revocation takes over the row that somebody edited, whose position still tells of it. One
/// that has seen it goes on knowing.
async fn an_edited_row_is_not_taken_over_while_running(site: Site) {
    // It hears nothing of what others change.
    let (other, _worker, _assigned) = TestNode::idle(&site).await;
    let test_node = TestNode::start(&site).await;
    let name = revoke(&test_node).await;
    let mut row = document(&site, &name).await;
    row["revoked_at"] = Value::Null;
    put(&site, &name, &row).await;
    let reply = other.call("probe_read", json!({})).await;
    assert!(matches!(&reply, Reply::Failed { refusal, .. } if refusal.code == Code::AuditUnavailable), "{reply:?}");
    let reply = test_node.call("probe_read", json!({})).await;
    assert!(matches!(&reply, Reply::Failed { refusal, .. } if refusal.code == Code::TokenRevoked), "{reply:?}");
}

async fn a_row_that_is_gone_or_new_or_old_is_found(site: Site) {
    let test_node = TestNode::start(&site).await;
    let name = format!("credential:{}", test_node.credential);
    let before = document(&site, &name).await;
    revoke(&test_node).await;
    let after = document(&site, &name).await;
    // An older state of the row, with the position that it had then.
    put(&site, &name, &before).await;
    opens(&site).await.expect_err("an older row");
    put(&site, &name, &after).await;
    opens(&site).await.expect("as it was");
    // A row that no event made.
    let planted = name.replace("key_0", "key_1");
    let sql = "insert into state (name, control, position, doc) select $1, control, position, doc from state where name = $2";
    edit(&site, sql, vec![planted.as_str().into(), name.as_str().into()]).await;
    opens(&site).await.expect_err("a row that was put in");
    edit(&site, "delete from state where name = $1", vec![planted.as_str().into()]).await;
    opens(&site).await.expect("as it was");
    // A row that is not there any more.
    edit(&site, "delete from state where name = $1", vec![name.as_str().into()]).await;
    opens(&site).await.expect_err("a row that was taken out");
}

/// Appends an event after the newest that says of control state what its rows are now, as far as somebody can who has the
/// database and not the key-encryption key.
async fn append_unkeyed(site: &Site, kind: EventKind, root: Option<Hex>) {
    let store = SqlStore::new(site.room().await);
    let head = store.head().await.expect("a head");
    let newest = store.events(Position(head.position.0 - 1), 1).await.expect("events").pop().expect("the newest");
    let newest = Event::decode(&newest.leaf).expect("a leaf");
    let mut state = ControlState::default();
    for row in store.state(&["account", "credential", "person", "invitation", "vm", "switch", "policy"]).await.expect("rows") {
        let (kind, key) = row.name.split_once(':').expect("a name");
        state.load(kind, key, &row.doc).expect("a row");
    }
    let control = root.or_else(|| Some(state.root(head.position.next()).into()));
    let event = Event { position: head.position.next(), prev: Position(0), kind, parts: Vec::new(), control, ..newest };
    let leaf = event.encode().expect("a leaf");
    let columns = vec![event.position.0.into(), event.at.0.into(), event.kind.name().into(), leaf.into()];
    // The database wants an event and the head in one transaction, as whoever forges them finds out.
    let opened = site.room().await;
    let mut transaction = opened.begin_append().await.expect("a transaction");
    let sql = "insert into event (position, at, type, call, leaf) values ($1, $2, $3, null, $4)";
    let head = "update log_head set position = $1, at = $2, epoch = epoch + 1";
    let moved = vec![event.position.0.into(), event.at.0.into()];
    if site.log.is_empty() {
        transaction.execute(sql, columns).await.expect(sql);
        transaction.execute(head, moved).await.expect(head);
    } else {
        let both = format!("with forged as ({sql}) {head}");
        transaction.execute(&both, columns).await.expect(&both);
    }
    transaction.commit().await.expect("a commit");
}

async fn an_event_that_was_made_without_the_key_is_not_believed(site: Site) {
    let (other, _worker, _assigned) = TestNode::idle(&site).await;
    let test_node = TestNode::start(&site).await;
    let before = document(&site, &format!("credential:{}", test_node.credential)).await;
    let name = revoke(&test_node).await;
    put(&site, &name, &before).await;
    append_unkeyed(&site, EventKind::NodeStopped { node: node(7) }, None).await;
    let refused = opens(&site).await.expect_err("a key that an event of somebody's own brought back to life");
    assert!(refused.contains("forelog doctor"), "{refused}");
    let reply = other.call("probe_read", json!({})).await;
    assert!(matches!(&reply, Reply::Failed { refusal, .. } if refusal.code == Code::AuditUnavailable), "{reply:?}");
}

/// All rows as they were, and an event with the root that was true then.
async fn a_state_of_before_is_not_put_back_with_its_root(site: Site) {
    let test_node = TestNode::start(&site).await;
    let before = document(&site, &format!("credential:{}", test_node.credential)).await;
    let store = SqlStore::new(site.room().await);
    let events = store.events(Position(0), 1000).await.expect("events");
    let root = events.iter().rev().find_map(|row| Event::decode(&row.leaf).expect("a leaf").control);
    let name = revoke(&test_node).await;
    put(&site, &name, &before).await;
    append_unkeyed(&site, EventKind::NodeStopped { node: node(7) }, root).await;
    opens(&site).await.expect_err("a state that the log was in before");
}

/// Roots were made in another way before: what does not agree with one of those is no forgery.
async fn a_log_of_an_earlier_version_is_refused_by_name(site: Site) {
    drop(TestNode::start(&site).await);
    append_unkeyed(&site, EventKind::NodeStopped { node: node(7) }, Some("5e".repeat(32).into())).await;
    let refused = opens(&site).await.expect_err("a log of an earlier version");
    assert!(refused.contains("earlier version"), "{refused}");
}

/// More rows than one thread reads.
async fn many_rows_are_held_against_the_log_as_few_are(site: Site) {
    let test_node = TestNode::start(&site).await;
    let (ports, now) = (&test_node.control.ports, test_node.control.ports.clock.now());
    let entropy = std::sync::Arc::clone(&ports.entropy);
    let accounts = move |draft: &mut Draft| {
        for _ in 0..5000 {
            let kind = EventKind::AccountCreated { account: AccountId::new(now, &*entropy), side: Side::Customer };
            draft.append(Position(0), NewEvent::plain(EventId::new(now, &*entropy), kind))?;
        }
        Ok(())
    };
    ports.writer.write(Want::default(), accounts).await.expect("accounts");
    opens(&site).await.expect("an honest log");
    let state = ports.writer.fence().state();
    let name = format!("account:{}", state.accounts.keys().nth(4500).expect("an account"));
    let row = document(&site, &name).await;
    let mut edited = row.clone();
    edited["agents_may_enable_exec"] = json!(true);
    put(&site, &name, &edited).await;
    let refused = opens(&site).await.expect_err("a right that no event gave");
    assert!(refused.contains("forelog doctor"), "{refused}");
    put(&site, &name, &json!({ "id": "acc_" })).await;
    let refused = opens(&site).await.expect_err("a row that cannot be read");
    assert!(refused.contains(&name), "{refused}");
    put(&site, &name, &row).await;
    opens(&site).await.expect("as it was");
}
