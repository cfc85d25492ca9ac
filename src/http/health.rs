//! What a load balancer or a supervisor asks: is it alive, can it record, can it stop.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Http;
use super::problem::Problem;
use crate::core::code::Code;
use crate::core::refusal::Refusal;

/// What to do where no other clock says what time it is.
const ACCEPT: &str = "Set the machine's clock; if it is right: forelog clock accept --time <the time, from another clock> --reason <why> \
                      --data <the data directory>, or --config <the configuration>.";

/// `GET /healthz`: the process answers.
pub async fn alive() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

/// `GET /readyz`: this node has its lease, so calls can start; it has written as much as a call writes and nothing has failed
/// since, so they can be recorded; a stop was rehearsed, so they can be stopped; and it is not about to end. A vault that is
/// away is named: calls whose keys are in memory go on, and so does stopping. It is what the node's beat has found, so whoever asks, and
/// however often, costs the log nothing.
pub async fn ready(State(http): State<Arc<Http>>) -> Result<Json<Value>, Problem> {
    let control = http.gateway.control();
    let (fence, stats) = (control.ports.fence(), control.ports.writer.stats());
    let refused = if http.is_draining() {
        Refusal::new(Code::Overloaded, "This node is stopping.").hint("Ask another node.")
    } else if !stats.can_record.load(Ordering::Relaxed) {
        Refusal::new(Code::AuditUnavailable, "This node cannot record calls.")
    } else if !fence.holds_lease() {
        Refusal::new(Code::AuditUnavailable, "This node has lost its lease and starts nothing.")
    } else if stats.pushed.load(Ordering::Relaxed) {
        Refusal::new(Code::ControlStateUnreadable, "The log's head is not what its events make it.")
    } else if stats.skewed.load(Ordering::Relaxed) {
        Refusal::new(Code::ClockSkew, "This node's clock cannot be trusted.").hint(ACCEPT)
    } else if let Some(refusal) = control.starts_nothing() {
        refusal
    } else if !control.is_settled() {
        Refusal::new(Code::PolicyUnsettled, "This node does not serve the policies in force, and refuses calls.")
    } else {
        let vault = if control.ports.reader.vault.is_away() { "away" } else { "there" };
        return Ok(Json(json!({ "status": "ready", "can_stop": true, "vault": vault })));
    };
    Err(refused.into())
}
