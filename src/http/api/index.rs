//! `GET /api/v1`: what this is, and where the rest is. It names nobody, so it needs no key, as the OpenAPI document needs none.

use axum::Json;
use schemars::JsonSchema;
use serde::Serialize;

/// The product, and where the parts of it are.
#[derive(Serialize, JsonSchema)]
pub struct Index {
    /// The product.
    name: &'static str,
    /// Its version.
    version: &'static str,
    /// Paths on this server.
    links: Links,
}

/// Paths on this server.
#[derive(Serialize, JsonSchema)]
struct Links {
    /// The API in OpenAPI 3.1: every path, what it takes and what it answers.
    openapi: &'static str,
    /// `POST` the arguments of a tool here.
    tool: &'static str,
    /// Calls that were made.
    calls: &'static str,
    /// MCP over HTTP.
    mcp: &'static str,
    /// MCP with the tools that only read, and those that stop.
    mcp_readonly: &'static str,
    /// Pages for people.
    console: &'static str,
    /// Whether calls can be recorded and stopped.
    ready: &'static str,
}

/// Answers it, to anybody.
pub async fn handle() -> Json<Index> {
    Json(Index {
        name: "Forelog",
        version: env!("CARGO_PKG_VERSION"),
        links: Links {
            openapi: "/api/v1/openapi.json",
            tool: "/api/v1/tools/{name}",
            calls: "/api/v1/calls",
            mcp: "/mcp",
            mcp_readonly: "/mcp/readonly",
            console: "/console/",
            ready: "/readyz",
        },
    })
}
