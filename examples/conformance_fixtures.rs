//! The fixtures of the MCP conformance suite on a bare server, to run the suite against them alone.
#![expect(deprecated, reason = "versions before 2026-07-28 still have what it deprecates")]

use std::sync::Arc;

use forelog::http::conformance::{Fixtures, catalogue};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams, CompleteResult, GetPromptRequestParams,
    GetPromptResponse, GetTaskParams, GetTaskResult, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
    ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ServerConfig,
    SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::json;

type Context = RequestContext<RoleServer>;

#[derive(Clone)]
struct Server(Fixtures);

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let mut info = ServerConfig::default();
        info.capabilities = catalogue::capabilities();
        info
    }
    async fn call_tool(&self, request: CallToolRequestParams, context: Context) -> Result<CallToolResponse, ErrorData> {
        let unknown = || Err(ErrorData::invalid_params("unknown tool", None));
        self.0.call_tool(request, context).await.unwrap_or_else(unknown)
    }
    async fn list_tools(&self, _: Option<PaginatedRequestParams>, _: Context) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(catalogue::tools().to_vec()))
    }
    fn get_tool(&self, name: &str) -> Option<Tool> {
        catalogue::tool_named(name).cloned()
    }
    async fn complete(&self, request: CompleteRequestParams, _: Context) -> Result<CompleteResult, ErrorData> {
        self.0.complete_argument(&request)
    }
    async fn set_level(&self, _: SetLevelRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }
    async fn list_prompts(&self, _: Option<PaginatedRequestParams>, _: Context) -> Result<ListPromptsResult, ErrorData> {
        self.0.prompts().map(ListPromptsResult::with_all_items)
    }
    async fn get_prompt(&self, request: GetPromptRequestParams, _: Context) -> Result<GetPromptResponse, ErrorData> {
        let unknown = || Err(ErrorData::invalid_params("unknown prompt", None));
        self.0.get_prompt(&request).unwrap_or_else(unknown)
    }
    async fn list_resources(&self, _: Option<PaginatedRequestParams>, _: Context) -> Result<ListResourcesResult, ErrorData> {
        self.0.resources().map(ListResourcesResult::with_all_items)
    }
    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        self.0.resource_templates().map(ListResourceTemplatesResult::with_all_items)
    }
    async fn read_resource(&self, request: ReadResourceRequestParams, _: Context) -> Result<ReadResourceResponse, ErrorData> {
        let unknown = || Err(ErrorData::resource_not_found("Resource not found", Some(json!({"uri": request.uri}))));
        self.0.read_resource(&request.uri).unwrap_or_else(unknown).map(Into::into)
    }
    async fn subscribe(&self, _: SubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }
    async fn unsubscribe(&self, _: UnsubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }
    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }
    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        self.0.listen(context).await
    }
    async fn get_task(&self, request: GetTaskParams, _: Context) -> Result<GetTaskResult, ErrorData> {
        self.0.get_task(&request)
    }
    async fn update_task(&self, request: UpdateTaskParams, _: Context) -> Result<(), ErrorData> {
        self.0.update_task(request)
    }
    async fn cancel_task(&self, request: CancelTaskParams, _: Context) -> Result<(), ErrorData> {
        self.0.cancel_task(&request)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let fixtures = Fixtures::new([7; 32]);
    let origins = ["http://127.0.0.1:*", "http://localhost:*"];
    let config = StreamableHttpServerConfig::default().with_allowed_origins(origins);
    let service =
        StreamableHttpService::new(move || Ok(Server(fixtures.clone())), Arc::new(LocalSessionManager::default()), config);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/mcp", listener.local_addr()?);
    println!("{url}");
    if let Some(dir) = std::env::args().skip_while(|argument| argument != "--data").nth(1) {
        let document = json!({"mcp_url": url, "customer": {"api_key": "none"}});
        std::fs::write(std::path::Path::new(&dir).join("demo.json"), document.to_string())?;
    }
    Ok(axum::serve(listener, axum::Router::new().nest_service("/mcp", service)).await?)
}
