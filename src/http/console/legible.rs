//! Refuses an address that no page can read.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::fault::Fault;
use crate::http::legible::wrong;

/// As the API does ([`crate::http::legible`]), with a page.
pub async fn check_page(request: Request, next: Next) -> Response {
    match wrong(request.uri()) {
        Some(why) => Fault::Unreadable(why).into_response(),
        None => next.run(request).await,
    }
}
