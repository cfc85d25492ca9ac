//! `forelog stdio`: MCP over standard input and output, as a node of its own on the same data.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use secrecy::ExposeSecret;

use super::{CliError, Context};
use crate::app::node::Node;
use crate::auth::AuthError;
use crate::core::lineage::alive;
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
    /// Offer only tools that read, and those that stop: an emergency stop is never taken away.
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
            // Whoever starts it reads this; a client shows what its calls are refused with, at best.
            let state = node.control.ports.writer.fence().state();
            if let Err(refusal) = alive(&state, &principal.credential, context.clock.now()) {
                node.stop().await;
                return Err(CliError::Refused(Box::new(refusal)));
            }
            let wait = Duration::from_millis(context.config.instant_wait_ms);
            serve_stdio(Arc::clone(&node.control), principal, wait).await.map_err(CliError::from)
        }
        Err(AuthError::Unauthenticated) => Err(CliError::Usage("the key is not known here".into())),
        Err(error) => Err(CliError::Auth(error)),
    };
    node.stop().await;
    served
}
