//! `forelog log`: is the log what it should be?

use clap::Subcommand;
use serde_json::json;

use super::progress::Bar;
use super::{Answer, CliError, Context};
use crate::core::visible::counted;
use crate::export::verify::{Extent, verify};

const VERIFY: &str = "\
Examples:
  forelog log verify --data forelog-data
  forelog log verify --json --config forelog.toml";

/// What to do with the log.
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Verify the whole log offline: no gaps, times and links in order, every payload as its event names it.
    #[command(after_help = VERIFY)]
    Verify,
}

/// Does it.
pub async fn run(command: LogCommand, context: &Context) -> Result<Answer, CliError> {
    let LogCommand::Verify = command;
    let local_admin = context.local_admin_to_read().await?;
    let bar = Bar::new("events");
    let vault = local_admin.without_vault.is_none().then(|| &*local_admin.rooms.vault);
    let report = verify(&*local_admin.rooms.store, vault, Extent::Whole, |at, of| bar.reach(at.0, of.0)).await?;
    bar.clear();
    if !report.is_clean() {
        return Err(CliError::found(&report));
    }
    let (events, calls) = (counted(report.events, "event"), counted(report.calls, "call"));
    let whole = format!("{events} of {calls} in order, {} with them", counted(report.payloads, "payload"));
    let text = match report.left_out {
        0 => whole,
        parts => {
            format!("{whole}; {} of stops left out, because the vault was away when they were written", counted(parts, "part"))
        }
    };
    Ok(Answer { document: json!(report), text: text.into() }.read_without_vault(local_admin.without_vault.as_deref()))
}
