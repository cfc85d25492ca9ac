//! What rmcp asks: who we are, which tools there are, and to call one.

use std::sync::Arc;

use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompleteResult, CustomRequest, CustomResult,
    ErrorCode, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};

use super::calling;
use super::listing::{Listing, is_listed, listing};
use super::rejected::Reached;
use crate::core::principal::Principal;
use crate::http::Gateway;

/// How long a client may go by its list of tools.
const FRESH_MS: u64 = 60_000;

const INSTRUCTIONS: &str = "Operates virtual machines. Every call is recorded before it is made, and may be refused; \
    an error says why, and whether trying again can help. A call that takes longer is answered with operation_id and status, and \
    with command_id if it runs a command: operation_wait, operation_get and command_get tell how it ends.";

/// Serves one request; a cheap clone.
#[derive(Clone)]
pub struct Handler {
    gateway: Arc<Gateway>,
    listing: Arc<Listing>,
}

impl Handler {
    /// A handler whose callers are told by each request.
    pub fn new(gateway: Arc<Gateway>) -> Self {
        let listing = Arc::new(listing(&gateway.control().catalogue));
        Self { gateway, listing }
    }

    /// The call of this request is ours from here on.
    fn reached(context: &RequestContext<RoleServer>) {
        let parts = context.extensions.get::<http::request::Parts>();
        if let Some(reached) = parts.and_then(|parts| parts.extensions.get::<Reached>()) {
            reached.mark();
        }
    }

    fn caller(context: &RequestContext<RoleServer>) -> Result<Principal, ErrorData> {
        let parts = context.extensions.get::<http::request::Parts>();
        let caller = parts.and_then(|parts| parts.extensions.get::<Principal>()).cloned();
        caller.ok_or_else(|| ErrorData::internal_error("The request has no caller.", None))
    }
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(calling::implementation())
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        if request.is_some_and(|request| request.cursor.is_some()) {
            return Err(ErrorData::invalid_params("There is one page of tools, and no cursor.", None));
        }
        let who = Self::caller(&context)?;
        let state = self.gateway.state();
        let catalogue = &self.gateway.control().catalogue;
        let shown = |name: &str| catalogue.get(name).is_some_and(|tool| is_listed(tool, &who, &state));
        let tools = self.listing.iter().filter(|(name, _)| shown(name)).map(|(_, tool)| tool.clone()).collect();
        let mut list = ListToolsResult::with_all_items(tools).with_ttl_ms(FRESH_MS).with_cache_scope(CacheScope::Private);
        list.meta = Some(calling::served_by());
        Ok(list)
    }

    // There are none of these, and no capability says that there are. Clients ask all the same, and an empty list lets them go on
    // where rmcp would answer that there is no such method.

    async fn complete(&self, _: CompleteRequestParams, _: RequestContext<RoleServer>) -> Result<CompleteResult, ErrorData> {
        Ok(CompleteResult::default())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::default())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::default())
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::default())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let who = Self::caller(&context)?;
        Self::reached(&context);
        Box::pin(calling::call(&self.gateway, who, request, context)).await
    }

    /// What rmcp cannot read as the method that it names.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        if request.method != "tools/call" {
            return Err(ErrorData::new(
                ErrorCode::METHOD_NOT_FOUND,
                "There is no such method, or not with these parameters.",
                None,
            ));
        }
        let who = Self::caller(&context)?;
        Self::reached(&context);
        Err(calling::malformed(&self.gateway, who, request.params.unwrap_or_default(), &context).await)
    }

    fn get_tool(&self, name: &str) -> Option<rmcp::model::Tool> {
        self.listing.get(name).cloned()
    }
}
