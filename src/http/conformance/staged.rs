//! A protocol handler with the fixtures put before it: what is a fixture is answered by one, everything else passes.
#![expect(deprecated, reason = "versions before 2026-07-28 still have what it deprecates")]

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams, CompleteResult, GetPromptRequestParams,
    GetPromptResponse, GetTaskParams, GetTaskResult, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
    ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ServerConfig,
    SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::SubscriptionContext;
use rmcp::{ErrorData, ServerHandler};
use serde_json::json;

use super::{Context, Fixtures, catalogue};

/// `inner`, staged for the conformance suite.
#[derive(Clone)]
pub struct Staged<H> {
    inner: H,
    fixtures: Fixtures,
}

impl<H> Staged<H> {
    /// Puts `fixtures` before `inner`.
    pub fn new(inner: H, fixtures: Fixtures) -> Self {
        Self { inner, fixtures }
    }
}

impl<H: ServerHandler> ServerHandler for Staged<H> {
    fn get_info(&self) -> ServerConfig {
        let mut info = self.inner.get_info();
        info.capabilities = catalogue::capabilities();
        info
    }

    /// A fixture is called like any other tool first, so that the call is on record; only what was admitted is answered.
    async fn call_tool(&self, request: CallToolRequestParams, context: Context) -> Result<CallToolResponse, ErrorData> {
        let is_fixture = catalogue::tool_named(&request.name).is_some();
        let mut asked = request.clone();
        if is_fixture {
            // Its state is its own, and names no call.
            asked.request_state = None;
        }
        let recorded = self.inner.call_tool(asked, context.clone()).await?;
        let refused = matches!(&recorded, CallToolResponse::Complete(result) if result.is_error == Some(true));
        if refused || !is_fixture {
            return Ok(recorded);
        }
        self.fixtures.call_tool(request, context).await.unwrap_or(Ok(recorded))
    }

    /// The fixtures come first and plainest, because the suite tries out headers on the first tool it finds.
    async fn list_tools(&self, request: Option<PaginatedRequestParams>, context: Context) -> Result<ListToolsResult, ErrorData> {
        let mut listed = self.inner.list_tools(request, context).await?;
        let (shown, own): (Vec<_>, Vec<_>) =
            listed.tools.into_iter().partition(|tool| catalogue::tool_named(&tool.name).is_some());
        let fixtures = catalogue::tools().iter().filter(|fixture| shown.iter().any(|tool| tool.name == fixture.name));
        listed.tools = fixtures.cloned().chain(own).collect();
        Ok(listed)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        catalogue::tool_named(name).cloned().or_else(|| self.inner.get_tool(name))
    }

    async fn complete(&self, request: CompleteRequestParams, _: Context) -> Result<CompleteResult, ErrorData> {
        self.fixtures.complete_argument(&request)
    }

    async fn set_level(&self, _: SetLevelRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn list_prompts(&self, _: Option<PaginatedRequestParams>, _: Context) -> Result<ListPromptsResult, ErrorData> {
        self.fixtures.prompts().map(ListPromptsResult::with_all_items)
    }

    async fn get_prompt(&self, request: GetPromptRequestParams, _: Context) -> Result<GetPromptResponse, ErrorData> {
        let unknown = || Err(ErrorData::invalid_params("There is no such prompt.", None));
        self.fixtures.get_prompt(&request).unwrap_or_else(unknown)
    }

    async fn list_resources(&self, _: Option<PaginatedRequestParams>, _: Context) -> Result<ListResourcesResult, ErrorData> {
        self.fixtures.resources().map(ListResourcesResult::with_all_items)
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        self.fixtures.resource_templates().map(ListResourceTemplatesResult::with_all_items)
    }

    async fn read_resource(&self, request: ReadResourceRequestParams, _: Context) -> Result<ReadResourceResponse, ErrorData> {
        let unknown = || Err(ErrorData::resource_not_found("There is no such resource.", Some(json!({"uri": request.uri}))));
        self.fixtures.read_resource(&request.uri).unwrap_or_else(unknown).map(Into::into)
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
        self.fixtures.listen(context).await
    }

    async fn get_task(&self, request: GetTaskParams, _: Context) -> Result<GetTaskResult, ErrorData> {
        self.fixtures.get_task(&request)
    }

    async fn update_task(&self, request: UpdateTaskParams, _: Context) -> Result<(), ErrorData> {
        self.fixtures.update_task(request)
    }

    async fn cancel_task(&self, request: CancelTaskParams, _: Context) -> Result<(), ErrorData> {
        self.fixtures.cancel_task(&request)
    }
}
