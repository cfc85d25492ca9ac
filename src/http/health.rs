//! What a load balancer or a supervisor asks: is it alive, can it record.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Http;
use super::problem::Problem;
use crate::core::code::Code;
use crate::core::refusal::Refusal;
use crate::log::draft::Draft;
use crate::log::store::{StoreError, Want};

/// How long the log may take to answer before this node counts as not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// `GET /healthz`: the process answers.
pub async fn alive() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

/// Row that is written to see whether rows can be written: a full disk shows in nothing less.
const PROBE: &str = "probe:ready";

/// As much as a call writes, in bytes. There may be room for less on a disk that is as good as full.
const PROBED: usize = 32 * 1024;

/// `GET /readyz`: a write through the writer became durable, so calls can be recorded; this node has its lease, so they can
/// start; and it is not about to end.
pub async fn ready(State(http): State<Arc<Http>>) -> Result<Json<Value>, Problem> {
    if http.is_draining() {
        return Err(Refusal::new(Code::Overloaded, "This node is stopping.").hint("Ask another node.").into());
    }
    let writer = &http.door.control().ports.writer;
    let written = tokio::time::timeout(PATIENCE, writer.write(Want::default(), probe)).await;
    match written {
        Ok(Ok(_)) if !http.door.control().ports.fence().holds_lease() => {
            Err(Refusal::new(Code::AuditUnavailable, "This node has lost its lease and starts nothing.").into())
        }
        Ok(Ok(false)) => Ok(Json(json!({ "status": "ready" }))),
        Ok(Ok(true)) => Err(Refusal::new(Code::ClockSkew, "This node's clock cannot be trusted.").into()),
        Ok(Err(_)) | Err(_) => Err(Refusal::new(Code::AuditUnavailable, "This node cannot record calls.").into()),
    }
}

fn probe(draft: &mut Draft) -> Result<bool, StoreError> {
    draft.put(PROBE, &"0".repeat(PROBED))?;
    Ok(draft.skewed)
}
