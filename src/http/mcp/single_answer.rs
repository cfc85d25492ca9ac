//! For clients that take no stream: the answer alone, as a document.

use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::batch::answer_in;

/// The JSON-RPC answer to `id` in place of the stream that ends with it. Progress is left out. What is no stream passes untouched.
pub async fn whole(response: Response, id: &Value) -> Response {
    let typed = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if id.is_null() || !typed.starts_with("text/event-stream") {
        return response;
    }
    let (status, mut headers) = (response.status(), response.headers().clone());
    let answer = answer_in(response, id).await;
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
        headers.remove(name);
    }
    let mut document = (status, Json(answer)).into_response();
    document.headers_mut().extend(headers);
    document
}
