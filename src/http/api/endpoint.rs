//! What the API has beside the tools, declared as they are: a path, a query and an answer as types, and what reads it. From it
//! come the route and its entry in the OpenAPI document.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use axum::{Json, http};
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::core::render_times::render_times;
use crate::http::Http;
use crate::http::body::{Filters, Segment};
use crate::http::caller::Caller;
use crate::http::problem::Problem;
use crate::tools::declare::{asked_schema, plain_schema};

/// One reading endpoint.
pub struct Endpoint {
    /// Its path below `/api/v1`.
    pub path: &'static str,
    /// What is answered, in a line.
    pub about: &'static str,
    /// JSON Schema of its query.
    pub query: Value,
    /// What a success is, by media type.
    pub answers: Value,
    /// Reads it.
    pub route: MethodRouter<Arc<Http>>,
}

/// Whoever asks, and what is in the request beside the query.
pub struct ReadRequest {
    /// Who.
    pub caller: Caller,
    /// The name in the path, if there is one.
    pub id: String,
    /// The headers.
    pub headers: HeaderMap,
}

/// Reads a document.
type Reads<Q, A> = fn(Arc<Http>, ReadRequest, Q) -> BoxFuture<'static, Result<A, Problem>>;

impl Endpoint {
    /// A document of type `A`, for a query of type `Q`; what `Q` does not know is refused.
    pub fn reading<Q, A>(path: &'static str, about: &'static str, read: Reads<Q, A>) -> Self
    where
        Q: DeserializeOwned + JsonSchema + Send + 'static,
        A: Serialize + JsonSchema + 'static,
    {
        let answers = json!({ "application/json": { "schema": plain_schema::<A>() } });
        Self::of(path, about, answers, move |http, asking, query| {
            Box::pin(async move { Ok(Json(render_times(json!(read(http, asking, query).await?))).into_response()) })
        })
    }

    /// Something else than a document: a file, or a stream.
    pub fn streaming<Q>(path: &'static str, about: &'static str, answers: Value, read: Reads<Q, Response>) -> Self
    where
        Q: DeserializeOwned + JsonSchema + Send + 'static,
    {
        Self::of(path, about, answers, read)
    }

    fn of<Q, R>(path: &'static str, about: &'static str, answers: Value, read: R) -> Self
    where
        Q: DeserializeOwned + JsonSchema + Send + 'static,
        R: Fn(Arc<Http>, ReadRequest, Q) -> BoxFuture<'static, Result<Response, Problem>> + Clone + Send + Sync + 'static,
    {
        let route = get(
            move |State(http): State<Arc<Http>>,
                  caller: Caller,
                  Segment(id): Segment,
                  Filters(query): Filters<Q>,
                  headers: http::HeaderMap| {
                let read = read.clone();
                async move { read(http, ReadRequest { caller, id, headers }, query).await }
            },
        );
        Self { path, about, query: asked_schema::<Q>(), answers, route }
    }
}
