//! MCP over standard input and output: the same handler for one caller, whose key the configuration names.

use std::sync::Arc;
use std::time::Duration;

use rmcp::service::serve_server;
use rmcp::transport::async_rw::AsyncRwTransport;

use super::handler::Handler;
use super::input;
use super::watched::{Watch, Watched};
use crate::control::Control;
use crate::core::principal::{Principal, Side};
use crate::http::Door;

/// A conversation that could not be held.
#[derive(Debug, thiserror::Error)]
pub enum StdioError {
    /// Staff keys are for REST and the command line.
    #[error("staff keys are not accepted over MCP")]
    Staff,
    /// The client did not begin as MCP says.
    #[error("beginning the MCP conversation: {0}")]
    Begin(String),
    /// The conversation broke off.
    #[error("holding the MCP conversation: {0}")]
    Broken(String),
}

/// Serves `principal` on standard input and output until the client closes them. Nothing else may write to standard
/// output meanwhile.
pub async fn serve_stdio(control: Arc<Control>, principal: Principal, wait: Duration) -> Result<(), StdioError> {
    if principal.side == Side::Staff {
        return Err(StdioError::Staff);
    }
    let door = Arc::new(Door::new(control, wait));
    let watch = Watch::new(Arc::clone(&door), principal.clone());
    let handler = Handler::for_caller(door, principal, Arc::clone(&watch));
    let (read, output) = rmcp::transport::stdio();
    let transport = Watched { inner: AsyncRwTransport::new_server(input::legible(read), output), watch };
    let serving = Box::pin(serve_server(handler, transport)).await;
    let conversation = serving.map_err(|error| StdioError::Begin(error.to_string()))?;
    conversation.waiting().await.map(drop).map_err(|error| StdioError::Broken(error.to_string()))
}
