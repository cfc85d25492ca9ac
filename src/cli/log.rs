//! `forelog log`: is the log what it should be?

use clap::Subcommand;
use serde_json::json;

use super::progress::Bar;
use super::{Answer, CliError, Context};
use crate::export::verify::{Extent, verify};

const VERIFY: &str = "\
Examples:
  forelog log verify --data forelog-data
  forelog log verify --json --config forelog.toml";

/// What to do with the log.
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Walk every event: places without gaps, times in order, leaves and payloads as they were recorded.
    #[command(after_help = VERIFY)]
    Verify,
}

/// Does it.
pub async fn run(command: LogCommand, context: &Context) -> Result<Answer, CliError> {
    let LogCommand::Verify = command;
    let desk = context.desk().await?;
    let bar = Bar::new("events");
    let report = verify(&*desk.rooms.store, Some(&desk.rooms.vault), Extent::Whole, |at, of| bar.reach(at.0, of.0)).await?;
    bar.clear();
    if !report.is_clean() {
        return Err(CliError::found(&report));
    }
    let text = format!("{} events of {} calls are in order, {} payloads with them", report.events, report.calls, report.payloads);
    Ok(Answer { document: json!(report), text })
}
