//! Refuses an address that no page can read.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::page_error::PageError;
use crate::http::url_text::wrong;

/// As the API does ([`crate::http::url_text`]), with a page.
pub async fn check_page(request: Request, next: Next) -> Response {
    match wrong(request.uri()) {
        Some(why) => PageError::Unreadable(why).into_response(),
        None => next.run(request).await,
    }
}
