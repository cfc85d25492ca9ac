//! `forelog clock`: what time the log has, and accepting this machine's clock where nothing else says that it is right.
//!
//! INVARIANT: whoever accepts it names the time, from another clock than the one that is accepted.

use std::time::Duration;

use clap::Subcommand;
use secrecy::SecretString;
use serde_json::json;

use super::declared::mirror;
use super::time::format_time;
use super::{Answer, CliError, Context};
use crate::core::time::Micros;

const ACCEPT: &str = "\
Calls are refused with clock_skew while nothing says the same as this machine's clock. Set the clock right first: that is enough where
a database or a running node says the same. Where nothing can, as on a machine of its own after a long time, name the time here.
If the log is ahead, because a wrong clock was followed, its events keep their times and go on from there; keys and switches end
by the clock that was accepted. On PostgreSQL that takes the role that owns the schema.
Examples:
  forelog clock accept --time 2026-12-01T09:00:00Z --reason 'the machine was in store for a month'
  forelog clock accept --time 2026-12-01T09:00:00Z --reason 'its clock was a day ahead' --database-url postgres://forelog_owner:…@db.internal/forelog";

/// What to do with the clock.
#[derive(Debug, Subcommand)]
#[command(mut_subcommand("accept", |command| command.defer(|command| mirror(command, "clock_accept"))))]
pub enum ClockCommand {
    /// Show the time of this machine's clock, of the database's, and of the log.
    #[command(after_help = "Examples:\n  forelog clock show --data forelog-data")]
    Show,
    /// Accept this machine's clock as right. Recorded.
    #[command(after_help = ACCEPT)]
    Accept {
        /// The current time, read from another clock; the two may differ by two minutes.
        #[arg(long, value_name = "TIME", value_parser = read)]
        time: Micros,
        #[arg(long)]
        reason: String,
        /// URL of the database, as the role that owns it; the configured one if absent.
        #[arg(long, value_name = "URL")]
        database_url: Option<SecretString>,
    },
}

fn read(text: &str) -> Result<Micros, String> {
    Micros::read(text).map_err(|error| error.to_string())
}

/// Does it.
pub async fn run(command: ClockCommand, context: &Context) -> Result<Answer, CliError> {
    match command {
        ClockCommand::Show => show(context).await,
        ClockCommand::Accept { time, reason, database_url } => {
            let mut config = context.config.clone();
            config.database_url = database_url.or(config.database_url);
            let local_admin = context.with(config).local_admin().await?;
            let log = local_admin.accept_clock(time, &reason).await?;
            let text = format!("the clock of this machine is accepted; the log goes on at {}", format_time(log));
            Ok(Answer { document: json!({ "accepted": true, "log_time": format_time(log) }), text: text.into() })
        }
    }
}

/// The whole command, for whoever has found that the clock is right.
pub(super) fn accepting(context: &Context) -> String {
    let place = match (&context.common.config, &context.common.data) {
        (Some(file), _) => format!("--config {}", file.display()),
        (None, _) => format!("--data {}", context.config.data_dir.display()),
    };
    format!("Set the clock; if it is right: forelog clock accept --time <the time, from another clock> --reason '<why>' {place}")
}

async fn show(context: &Context) -> Result<Answer, CliError> {
    let clocks = context.local_admin_to_read().await?.clocks().await?;
    let ahead = Duration::from_micros(clocks.ahead.unsigned_abs());
    let document = json!({
        "machine": format_time(clocks.machine), "database": clocks.database.map(format_time), "log": format_time(clocks.log),
        "ahead_s": ahead.as_secs(), "trusted": !clocks.skewed,
    });
    let database = clocks.database.map_or_else(|| "none of its own".to_owned(), format_time);
    let state = if clocks.skewed { "NOT trusted: calls are refused with clock_skew" } else { "trusted" };
    let mut lines = vec![
        format!("this machine   {}  ({state})", format_time(clocks.machine)),
        format!("the database   {database}"),
        format!("the log        {}", format_time(clocks.log)),
    ];
    if !ahead.is_zero() {
        lines.push(format!("the log's time is {} s ahead of the clocks, as was accepted", ahead.as_secs()));
    }
    if clocks.skewed {
        lines.push(accepting(context));
    }
    Ok(Answer { document, text: lines.into() })
}
