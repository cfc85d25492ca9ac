//! The bare server: rmcp with one tool that answers its arguments, nothing recorded.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, JsonObject, ListToolsResult, PaginatedRequestParams,
    ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler};

use crate::load::{Era, Target};
use crate::process::Tree;

#[derive(Clone)]
struct Echo;

impl ServerHandler for Echo {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    /// For the gateways, which look first.
    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let schema = JsonObject::from_iter([("type".to_owned(), "object".into())]);
        Ok(ListToolsResult::with_all_items(vec![Tool::new("echo", "Answers its arguments.", Arc::new(schema))]))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let text = serde_json::to_string(&request.arguments).unwrap_or_default();
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }
}

/// Serves on a free port, which it prints.
pub fn serve() {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime").block_on(async {
        let config = StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
        let service = StreamableHttpService::new(|| Ok(Echo), Arc::new(NeverSessionManager::default()), config);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address"));
        axum::serve(listener, axum::Router::new().nest_service("/mcp", service)).await.expect("serve");
    });
}

/// A running echo server; it ends with this value.
pub struct Server {
    process: Child,
    address: String,
}

impl Server {
    pub fn start() -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut process = Command::new(program).arg("echo-server").stdout(Stdio::piped()).spawn().expect("start the echo server");
        let mut address = String::new();
        BufReader::new(process.stdout.take().expect("its output")).read_line(&mut address).expect("its address");
        Self { process, address: address.trim().to_owned() }
    }

    pub fn processes(&self) -> Tree {
        Tree::of([self.process.id()])
    }

    pub fn target(&self) -> Target {
        Self::behind(&self.address, "/mcp", "none", "echo", Era::Stateless)
    }

    /// The same tool, reached through something else.
    pub fn behind(address: &str, path: &str, bearer: &str, tool: &'static str, era: Era) -> Target {
        let arguments = Box::new(|n| format!(r#"{{"n":{n},"text":"{}"}}"#, "x".repeat(40)));
        Target { address: address.to_owned(), path: path.to_owned(), bearer: bearer.to_owned(), tool, arguments, era }
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().and_then(|()| self.process.wait()).expect("end the echo server");
    }
}
