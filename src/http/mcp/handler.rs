//! What rmcp asks: who we are, which tools there are, and to call one.

use std::sync::Arc;

use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, ListToolsResult, PaginatedRequestParams, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};

use super::calling;
use super::listing::{Listing, is_shown, listing};
use crate::core::principal::Principal;
use crate::http::Door;

/// How long a client may go by its list of tools.
const FRESH_MS: u64 = 60_000;

const INSTRUCTIONS: &str = "Operates virtual machines. Every call is recorded before it is made, and may be refused; \
    an error says why, and whether trying again can help. Long work answers an operation_id.";

/// Serves one connection or request; a cheap clone.
#[derive(Clone)]
pub struct Handler {
    door: Arc<Door>,
    listing: Arc<Listing>,
    /// Whoever is at the other end of a pipe; over HTTP every request brings its own.
    principal: Option<Principal>,
}

impl Handler {
    /// A handler whose callers are told by each request.
    pub fn new(door: Arc<Door>) -> Self {
        let listing = Arc::new(listing(&door.control().catalogue));
        Self { door, listing, principal: None }
    }

    /// A handler for one caller.
    pub fn for_caller(door: Arc<Door>, principal: Principal) -> Self {
        Self { principal: Some(principal), ..Self::new(door) }
    }

    fn caller(&self, context: &RequestContext<RoleServer>) -> Result<Principal, ErrorData> {
        let parts = context.extensions.get::<http::request::Parts>();
        let of_request = parts.and_then(|parts| parts.extensions.get::<Principal>());
        let caller = of_request.or(self.principal.as_ref()).cloned();
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
        let who = self.caller(&context)?;
        if self.principal.is_some() {
            // Over HTTP that has been checked with the request.
            let alive = self.door.check_alive(&who).await;
            alive.map_err(|refusal| ErrorData::invalid_request(refusal.message.clone(), Some(refusal.body(None))))?;
        }
        let state = self.door.state();
        let catalogue = &self.door.control().catalogue;
        let shown = |name: &str| catalogue.get(name).is_some_and(|tool| is_shown(tool, &who, &state));
        let tools = self.listing.iter().filter(|(name, _)| shown(name)).map(|(_, tool)| tool.clone()).collect();
        let mut list = ListToolsResult::with_all_items(tools).with_ttl_ms(FRESH_MS).with_cache_scope(CacheScope::Private);
        list.meta = Some(calling::served_by());
        Ok(list)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let who = self.caller(&context)?;
        calling::call(&self.door, who, request, context).await
    }

    fn get_tool(&self, name: &str) -> Option<rmcp::model::Tool> {
        self.listing.get(name).cloned()
    }
}
