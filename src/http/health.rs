//! What an operator's machines ask: is it alive, can it record, what has it done.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
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

/// `GET /readyz`: a write through the writer became durable, so calls can be recorded.
pub async fn ready(State(http): State<Arc<Http>>) -> Result<Json<Value>, Problem> {
    let writer = &http.door.control().ports.writer;
    let written = tokio::time::timeout(PATIENCE, writer.write(Want::default(), probe)).await;
    match written {
        Ok(Ok(false)) => Ok(Json(json!({ "status": "ready" }))),
        Ok(Ok(true)) => Err(Refusal::new(Code::ClockSkew, "This node's clock cannot be trusted.").into()),
        Ok(Err(_)) | Err(_) => Err(Refusal::new(Code::AuditUnavailable, "This node cannot record calls.").into()),
    }
}

fn probe(draft: &mut Draft) -> Result<bool, StoreError> {
    let now = draft.now;
    draft.put(PROBE, &now)?;
    Ok(draft.skewed)
}

/// `GET /metrics`: Prometheus' text format.
pub async fn metrics(State(http): State<Arc<Http>>) -> impl IntoResponse {
    let mut text = http.door.counts().render();
    let state = http.door.state();
    let gauges = [
        ("forelog_writer_fill", "How full the writer's queue is, 0 to 1.", http.door.control().ports.writer.fill().to_string()),
        ("forelog_control_epoch", "Epoch of control state on this node.", state.epoch.0.to_string()),
        ("forelog_switches_engaged", "Kill switches in force.", state.switches.len().to_string()),
    ];
    for (name, help, value) in gauges {
        // Writing to a string does not fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}
