//! `forelog stdio`: MCP over standard input and output, for a client that starts its servers itself.
//!
//! INVARIANT: it is a pipe to a server, wherever there can be one: that of a URL, or the one that serves the same data on this
//! machine. Then nothing of it decides anything: not its environment, its configuration, its clock, nor whether it runs at all.
//! Only where nobody serves the data it serves it itself, alone.

pub(super) mod answer;
mod begin;
mod lines;
mod pipe;
pub(super) mod pipe_error;
mod place;
mod request_line;
mod session;
pub(super) mod wire;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use self::pipe::Pipe;
use self::wire::{Place, Wire};
use super::{CliError, Context};

const EXAMPLES: &str = "\
The key comes from the configuration (api_key) or the environment; it is never an argument, which others could see.
With --url it forwards to that server. Else it forwards to the server that serves the same data directory on this machine, by
its socket there; and if nobody serves that, it does so itself, as the only one.
Examples:
  FORELOG_API_KEY=flk_live_… forelog stdio --url https://forelog.example
  FORELOG_API_KEY=flk_live_… forelog stdio --config forelog.toml
  claude mcp add forelog --env FORELOG_API_KEY=flk_live_… -- forelog stdio --url https://forelog.example";

/// What `stdio` takes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct StdioArgs {
    /// Offer only tools that read, and those that stop agents.
    #[arg(long)]
    pub read_only: bool,
    /// URL of the server to forward to: https, or http on this machine.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
}

/// Passes messages on until standard input ends.
pub async fn run(args: &StdioArgs, context: &Context) -> Result<(), CliError> {
    let key = context.api_key()?;
    if let Some(url) = &args.url {
        return hold(Wire::to_url(url, Place::Mcp { read_only: args.read_only }, key)?).await;
    }
    let own = place::find(context).await?;
    let held = match Wire::to_socket(&context.config.data_dir, Place::Mcp { read_only: args.read_only }, key) {
        Ok(wire) => hold(wire).await,
        Err(error) => Err(error.into()),
    };
    if let Some(own) = own {
        own.shutdown().await;
    }
    held
}

/// Holds the conversation.
async fn hold(wire: Wire) -> Result<(), CliError> {
    let listen = |kind| signal(kind).map_err(CliError::Signal);
    let (mut term, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let stop = async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let pipe = Pipe::new(wire);
    pipe.knock().await?;
    pipe.run(tokio::io::stdin(), stop).await;
    Ok(())
}
