//! Batches of 2025-03-26: every message takes the way of a single one, in order, and is a call of its own.

use axum::Json;
use axum::body::to_bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::Exchange;
use super::message::{INTERNAL_ERROR, INVALID_REQUEST, error, fault, id_of};
use super::rejected;
use crate::http::problem::Problem;

/// What one answer may come to; results are bounded by their tools.
const ANSWER: usize = 8 * 1024 * 1024;

impl Exchange<'_> {
    /// Answers each message of a batch.
    pub async fn batch(self, messages: Vec<Value>) -> Result<Response, Problem> {
        let mut answers = Vec::new();
        for message in messages {
            answers.extend(self.element(message).await);
        }
        Ok(if answers.is_empty() { StatusCode::ACCEPTED.into_response() } else { Json(answers).into_response() })
    }

    async fn element(&self, message: Value) -> Option<Value> {
        let id = id_of(&message);
        if let Some(text) = fault(&message) {
            let problem = self.turned_away(&message, rejected::refusal(text).into()).await;
            return Some(error(&id, INVALID_REQUEST, text, Some(&problem.body())));
        }
        if message["method"] == "initialize" {
            return Some(error(&id, INVALID_REQUEST, "A session is not begun in a batch.", None));
        }
        let expects_answer = message["method"].is_string() && !id.is_null();
        let response = self.one(message).await.unwrap_or_else(IntoResponse::into_response);
        expects_answer.then_some(answer_in(response, &id).await)
    }
}

/// The JSON-RPC answer to `id` that a response carries, in its body or in its stream.
pub(super) async fn answer_in(response: Response, id: &Value) -> Value {
    let bytes = to_bytes(response.into_body(), ANSWER).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let whole = serde_json::from_str::<Value>(&text).ok();
    let streamed = text.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data:")?.trim()).ok());
    let mut documents = whole.iter().cloned().chain(streamed);
    let answers = |document: &Value| document["id"] == *id && document["jsonrpc"] == "2.0" && document["method"].is_null();
    documents.find(answers).unwrap_or_else(|| error(id, INTERNAL_ERROR, "The message could not be answered.", whole.as_ref()))
}
