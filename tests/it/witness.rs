//! Control rows that were edited behind our back: no node decides with them, and nobody has to walk the history to see it
//! (P12).

use forelog::control::Reply;
use forelog::core::code::Code;
use forelog::core::event::Kind;
use forelog::log::sql::Value as Bound;
use serde_json::{Value, json};

use crate::plant::{Plant, Site, on_both};

on_both! {
    an_edited_row_is_not_served_at_start, witness_an_edited_row_is_not_served_at_start, postgres_witness_an_edited_row_is_not_served_at_start;
    an_edited_row_is_not_taken_over_while_running, witness_an_edited_row_is_not_taken_over_while_running,
        postgres_witness_an_edited_row_is_not_taken_over_while_running;
    a_row_that_is_gone_or_new_or_old_is_found, witness_a_row_that_is_gone_or_new_or_old_is_found,
        postgres_witness_a_row_that_is_gone_or_new_or_old_is_found;
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

async fn revoke(plant: &Plant) -> String {
    plant.change(Kind::CredentialRevoked { credential: plant.credential.clone(), by: None }, Value::Null).await;
    format!("credential:{}", plant.credential)
}

/// Opens the log as a new process does, and reads its control state.
pub async fn opens(site: &Site) -> Result<(), String> {
    let store = std::sync::Arc::new(forelog::log::store::SqlStore::new(site.room().await));
    let clock = std::sync::Arc::clone(&site.clock) as std::sync::Arc<dyn forelog::core::time::Clock>;
    let fence = forelog::log::fence::Fence::new(std::sync::Arc::clone(&clock));
    let (writer, _task) = forelog::log::writer::Writer::start(store, fence, clock);
    writer.write(forelog::log::store::Want::default(), |_| Ok(())).await.map_err(|error| error.to_string())
}

async fn an_edited_row_is_not_served_at_start(site: Site) {
    let plant = Plant::start(&site).await;
    let name = revoke(&plant).await;
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
    let (other, _worker, _assigned) = Plant::idle(&site).await;
    let plant = Plant::start(&site).await;
    let name = revoke(&plant).await;
    let mut row = document(&site, &name).await;
    row["revoked_at"] = Value::Null;
    put(&site, &name, &row).await;
    let reply = other.call("probe_read", json!({})).await;
    assert!(matches!(&reply, Reply::Failed { refusal, .. } if refusal.code == Code::AuditUnavailable), "{reply:?}");
    let reply = plant.call("probe_read", json!({})).await;
    assert!(matches!(&reply, Reply::Failed { refusal, .. } if refusal.code == Code::TokenRevoked), "{reply:?}");
}

async fn a_row_that_is_gone_or_new_or_old_is_found(site: Site) {
    let plant = Plant::start(&site).await;
    let name = format!("credential:{}", plant.credential);
    let before = document(&site, &name).await;
    revoke(&plant).await;
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
