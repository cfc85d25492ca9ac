//! The REST API. Each route is declared once: those of tools in their own files (`tools::declare`), the readings here, one
//! file each. From the declarations come the router and the OpenAPI document, so that neither has what the other lacks.

mod asked_calls;
mod download_export;
mod endpoint;
pub(in crate::http) mod idempotency_key;
mod index;
mod list_accounts;
mod list_calls;
mod list_events;
mod list_exports;
pub mod openapi;
mod openapi_cache;
mod show_account;
mod show_call;
mod show_histogram;
mod show_key;
mod show_limits;
mod show_policies;
mod show_reach;
mod tool;
mod watch_calls;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderName;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use schemars::JsonSchema;
use serde::Deserialize;
use tower::ServiceExt;

pub use index::handle as index;
pub use openapi_cache::Described;

use super::problem::{no_such_method, no_such_path};
use super::{Http, recheck};
use crate::core::engagement::WHY_STAFF_ASK;
use crate::tools::Catalogue;
use endpoint::Endpoint;

/// Names the call that an answer is about.
pub const CALL_ID: HeaderName = HeaderName::from_static("forelog-call-id");

/// Everything under `/api/v1`, with or without a slash at the end.
pub fn router(http: &Arc<Http>) -> Router<Arc<Http>> {
    let endpoints = || endpoints(&http.gateway.control().catalogue);
    let answering = endpoints().fallback(no_such_path).method_not_allowed_fallback(no_such_method).with_state(Arc::clone(http));
    let all = endpoints().fallback(move |request| without_slash(answering, request));
    all.layer(from_fn_with_state(Arc::clone(http), recheck::program))
}

/// Asks again without the slash at the end of the path.
async fn without_slash(answering: Router, mut request: Request) -> Response {
    let path_and_query = request.uri().path_and_query().map(|given| {
        let query = given.query().map(|query| format!("?{query}")).unwrap_or_default();
        given.path().strip_suffix('/').filter(|path| !path.is_empty()).map(|path| format!("{path}{query}"))
    });
    let Some(uri) = path_and_query.flatten().and_then(|text| text.parse().ok()) else {
        return no_such_path().await.into_response();
    };
    *request.uri_mut() = uri;
    answering.oneshot(request).await.unwrap_or_else(|never| match never {})
}

/// What the API has beside the tools.
fn readings() -> Vec<Endpoint> {
    vec![
        list_calls::endpoint(),
        show_histogram::endpoint(),
        watch_calls::endpoint(),
        show_call::endpoint(),
        list_events::endpoint(),
        list_exports::endpoint(),
        download_export::endpoint(),
        show_key::endpoint(),
        list_accounts::endpoint(),
        show_account::endpoint(),
        show_reach::endpoint(),
        show_policies::endpoint(),
        show_limits::endpoint(),
    ]
}

fn endpoints(catalogue: &Catalogue) -> Router<Arc<Http>> {
    let router = Router::new().route("/", get(index::handle)).route(openapi::PATH, get(openapi_cache::handle));
    let router = router.route(tool::BY_NAME, post(tool::by_name));
    let router = readings().into_iter().fold(router, |router, reading| router.route(reading.path, reading.route));
    tool::routes(catalogue).into_iter().fold(router, |router, (path, route)| router.route(path, route))
}

/// Why the staff asks.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Reason {
    /// Why the staff asks.
    #[schemars(description = WHY_STAFF_ASK)]
    reason: Option<String>,
}

/// A query that is not looked at.
#[derive(Deserialize, JsonSchema)]
struct Unasked {}
