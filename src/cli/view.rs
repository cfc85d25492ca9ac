//! `forelog view`: the read models.

use clap::Subcommand;
use serde_json::json;

use super::progress::Bar;
use super::{Answer, CliError, Context};
use crate::app::rooms::{remake_views, remake_views_anew};
use crate::views::Views;

/// What to do with the views.
#[derive(Debug, Subcommand)]
pub enum ViewCommand {
    /// Delete the views and rebuild them from the log. Safe at any time: everything in them follows from the log.
    #[command(after_help = "Examples:\n  forelog view rebuild --data forelog-data")]
    Rebuild,
}

/// Does it.
pub async fn run(command: ViewCommand, context: &Context) -> Result<Answer, CliError> {
    let ViewCommand::Rebuild = command;
    let local_admin = context.local_admin().await?;
    let views = Views::over(remake_views(&context.config).await?, local_admin.rooms.reader()).await;
    let bar = Bar::new("events");
    let mut rebuilt = views.rebuild(|at, of| bar.reach(at.0, of.0)).await;
    if rebuilt.is_err() && context.config.database_url.is_none() {
        // What is broken may be deeper in the file.
        views.database().close().await;
        let views = Views::over(remake_views_anew(&context.config).await?, local_admin.rooms.reader()).await;
        rebuilt = views.rebuild(|at, of| bar.reach(at.0, of.0)).await;
    }
    bar.clear();
    let reached = rebuilt?;
    Ok(Answer { document: json!({ "position": reached }), text: format!("the views stand at position {}", reached.0).into() })
}
