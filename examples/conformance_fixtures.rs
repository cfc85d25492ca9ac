//! The fixtures of the MCP conformance suite before a bare server, to run the suite against them alone.

use std::sync::Arc;

use forelog::http::conformance::staged::Staged;
use forelog::http::conformance::{Fixtures, catalogue};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ListToolsResult, PaginatedRequestParams, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::json;

type Context = RequestContext<RoleServer>;

/// Lists the fixtures and agrees to everything.
#[derive(Clone)]
struct Bare;

impl ServerHandler for Bare {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::default()
    }
    async fn call_tool(&self, request: CallToolRequestParams, _: Context) -> Result<CallToolResponse, ErrorData> {
        let known = catalogue::tool_named(&request.name).ok_or_else(|| ErrorData::invalid_params("unknown tool", None));
        known.map(|_| CallToolResult::structured(json!({})).into())
    }
    async fn list_tools(&self, _: Option<PaginatedRequestParams>, _: Context) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(catalogue::tools().to_vec()))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let fixtures = Fixtures::new([7; 32]);
    let origins = ["http://127.0.0.1:*", "http://localhost:*"];
    let config = StreamableHttpServerConfig::default().with_allowed_origins(origins);
    let staged = move || Ok(Staged::new(Bare, fixtures.clone()));
    let service = StreamableHttpService::new(staged, Arc::new(LocalSessionManager::default()), config);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/mcp", listener.local_addr()?);
    println!("{url}");
    if let Some(dir) = std::env::args().skip_while(|argument| argument != "--data").nth(1) {
        let document = json!({"mcp_url": url, "customer": {"api_key": "none"}});
        std::fs::write(std::path::Path::new(&dir).join("demo.json"), document.to_string())?;
    }
    Ok(axum::serve(listener, axum::Router::new().nest_service("/mcp", service)).await?)
}
