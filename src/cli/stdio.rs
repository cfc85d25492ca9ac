//! `forelog stdio`: MCP over standard input and output, as a node of its own on the same data.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use secrecy::ExposeSecret;

use super::{CliError, Context};
use crate::app::node::Node;
use crate::auth::AuthError;
use crate::core::principal::Via;
use crate::http::mcp::serve_stdio;

const EXAMPLES: &str = "\
The key comes from the configuration (api_key) or the environment; it is never an argument, which others could see.
Examples:
  FORELOG_API_KEY=flk_live_… forelog stdio --config forelog.toml
  claude mcp add forelog --env FORELOG_API_KEY=flk_live_… -- forelog stdio --config /etc/forelog.toml";

/// What `stdio` takes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct StdioArgs {
    /// Offer tools that only read.
    #[arg(long)]
    pub read_only: bool,
}

/// Serves until standard input ends.
pub async fn run(args: &StdioArgs, context: &Context) -> Result<(), CliError> {
    let Some(key) = &context.config.api_key else {
        return Err(CliError::Usage("there is no key: set FORELOG_API_KEY, or api_key in the configuration".into()));
    };
    let node = Node::start(&context.config, Arc::clone(&context.clock), Arc::clone(&context.entropy)).await?;
    let served = match node.authenticator.authenticate(key.expose_secret(), Via::Stdio, None, args.read_only).await {
        Ok(principal) => {
            let wait = Duration::from_millis(context.config.instant_wait_ms);
            serve_stdio(Arc::clone(&node.control), principal, wait).await.map_err(CliError::from)
        }
        Err(AuthError::Unauthenticated) => Err(CliError::Usage("the key is unknown or was revoked".into())),
        Err(error) => Err(CliError::Auth(error)),
    };
    node.stop().await;
    served
}
