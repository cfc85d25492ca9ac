//! `forelog policy`: trying a set of policies, and putting it in force.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use serde_json::json;

use super::{Answer, CliError, Context};
use crate::app::desk::operator;
use crate::app::policies::engine;
use crate::control::policies::PolicyHolder;
use crate::core::scrub::Scrubbed;
use crate::core::visible::counted;

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Validate a set and run its cases; nothing is put in force.
    #[command(after_help = "Examples:\n  forelog policy check --dir policies\n  forelog policy check --config forelog.toml")]
    Check {
        /// The set; the configured one if absent, else the built-in one.
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Put the configured set in force; running servers with the same files follow.
    #[command(after_help = "Examples:\n  forelog policy reload --config forelog.toml")]
    Reload,
}

/// Does it.
pub async fn run(command: PolicyCommand, context: &Context) -> Result<Answer, CliError> {
    match command {
        PolicyCommand::Check { dir } => check(dir.as_deref().or(context.config.policies_dir.as_deref())),
        PolicyCommand::Reload => reload(context).await,
    }
}

fn check(dir: Option<&Path>) -> Result<Answer, CliError> {
    let engine = engine(&crate::tools::catalogue()?)?;
    let shown = dir.map_or_else(|| "the built-in set".into(), |dir| dir.display().to_string());
    let loaded = match dir {
        Some(dir) => engine.load_dir(dir),
        None => engine.load_default(),
    };
    // What stays in force is not this command's business: it has no log.
    let loaded = loaded.map_err(|refused| CliError::Policy(refused.error))?;
    let document = json!({ "set": shown, "sha256": loaded.sha256(), "cases": loaded.cases });
    Ok(Answer {
        document,
        text: format!("{shown} is in order: {} passed, sha256 {}", counted(loaded.cases, "case"), loaded.sha256()),
    })
}

async fn reload(context: &Context) -> Result<Answer, CliError> {
    let desk = context.desk().await?;
    let dir = context.config.policies_dir.clone();
    let (clock, entropy) = (Arc::clone(&desk.clock), Arc::clone(&desk.entropy));
    let engine = engine(&crate::tools::catalogue()?)?;
    let holder = PolicyHolder::new(engine, dir, desk.writer.clone(), desk.rooms.reader().vault, clock, entropy);
    let by = Scrubbed::of(json!({ "operator": operator() }));
    let (version, sha256) = holder.reload_by(&by).await.map_err(|refusal| CliError::NotLoaded(Box::new(refusal)))?;
    let text = format!("version {version} is in force, sha256 {sha256}");
    Ok(Answer { document: json!({ "version": version, "sha256": sha256 }), text })
}
