//! `forelog policy`: trying a set of policies, looking at the one in force, and putting another one in force.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use serde_json::{Value, json};

use super::limits::since;
use super::{Answer, CliError, Context};
use crate::app::local_admin::{LocalAdmin, local_user};
use crate::app::policies::engine;
use crate::control::in_force::{POLICIES, add_origin, origin};
use crate::control::policies::PolicyHolder;
use crate::core::scrub::Scrubbed;
use crate::core::state::PolicySet;
use crate::core::visible::counted;
use crate::tools::{PolicyLoader, Reloaded};

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Validate a set of policies and run its cases; what is in force stays.
    #[command(after_help = "Examples:\n  forelog policy check --dir policies\n  forelog policy check --config forelog.toml")]
    Check {
        /// Directory of the set; the configured one if absent, else the built-in set.
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Show the set in force on every node, who put it there, and whether the configured one is it.
    #[command(after_help = "Examples:\n  forelog policy show --config forelog.toml")]
    Show,
    /// Put the configured set in force on every node, whatever files they have.
    #[command(visible_alias = "load", after_help = "Examples:\n  forelog policy reload --config forelog.toml")]
    Reload,
}

/// Does it.
pub async fn run(command: PolicyCommand, context: &Context) -> Result<Answer, CliError> {
    match command {
        PolicyCommand::Check { dir } => check(dir.as_deref().or(context.config.policies_dir.as_deref())),
        PolicyCommand::Show => show(context).await,
        PolicyCommand::Reload => reload(context).await,
    }
}

fn check(dir: Option<&Path>) -> Result<Answer, CliError> {
    let engine = engine(&crate::tools::catalogue()?)?;
    let shown = dir.map_or_else(|| "the built-in set".into(), |dir| dir.display().to_string());
    // What stays in force is not this command's business: it has no log.
    let loaded = engine.load(dir).map_err(|refused| CliError::Policy(refused.error))?;
    let warnings = loaded.set().warnings();
    let document = json!({ "set": shown, "sha256": loaded.sha256(), "cases": loaded.cases, "warnings": warnings });
    let mut lines = vec![format!("{shown} is in order: {} passed, sha256 {}", counted(loaded.cases, "case"), loaded.sha256())];
    lines.extend(warnings.iter().map(|warning| format!("warning: {warning}")));
    Ok(Answer { document, text: lines.into() })
}

/// The policies of this configuration beside those in force.
pub(super) fn holder(context: &Context, local_admin: &LocalAdmin) -> Result<PolicyHolder, CliError> {
    let dir = context.config.policies_dir.clone();
    let (clock, entropy) = (Arc::clone(&local_admin.clock), Arc::clone(&local_admin.entropy));
    let engine = engine(&crate::tools::catalogue()?)?;
    Ok(PolicyHolder::new(engine, dir, local_admin.writer.clone(), local_admin.rooms.reader(), clock, entropy))
}

async fn show(context: &Context) -> Result<Answer, CliError> {
    let local_admin = context.local_admin_to_read().await?;
    let in_force = local_admin.state().await?.policy;
    let own = holder(context, &local_admin)?.node().await.own;
    let Some(set) = in_force else {
        let mut lines = vec!["no policies are in force yet; the first start of a node puts its own in force".to_owned()];
        lines.extend(own.as_ref().err().into_iter().flat_map(|why| rejected(why)));
        return Ok(Answer { document: json!({ "version": null, "configured": configured(&own) }), text: lines.into() });
    };
    let origin = origin(&local_admin.rooms.reader(), POLICIES).await?;
    let mut lines = vec![format!("policies version {}, sha256 {}{}", set.version, set.sha256, since(origin.as_ref()))];
    match &own {
        Ok(sha256) if *sha256 == set.sha256 => {}
        Ok(sha256) => {
            lines.push(format!("the configured set is another one, sha256 {sha256}: `forelog policy reload` puts it in force"));
        }
        Err(why) => lines.extend(rejected(why)),
    }
    let mut document = policy_json(&set);
    add_origin(&mut document, origin.as_ref());
    document["configured"] = configured(&own);
    Ok(Answer { document, text: lines.into() }.read_without_vault(local_admin.without_vault.as_deref()))
}

/// Why the configured set could not be put in force, line by line.
fn rejected(why: &str) -> Vec<String> {
    format!("the configured set is rejected: {why}").lines().map(str::to_owned).collect()
}

fn configured(own: &Result<String, String>) -> Value {
    json!({ "sha256": own.as_ref().ok(), "trouble": own.as_ref().err() })
}

fn policy_json(set: &PolicySet) -> Value {
    json!({ "version": set.version, "sha256": set.sha256 })
}

async fn reload(context: &Context) -> Result<Answer, CliError> {
    let local_admin = context.local_admin().await?;
    let by = Scrubbed::of(json!({ "operator": local_user() }));
    let reloaded = holder(context, &local_admin)?.reload_by(&by).await;
    let Reloaded { set, before } = reloaded.map_err(|refusal| CliError::NotLoaded(Box::new(refusal)))?;
    let was = before.as_ref().map_or_else(String::new, |set| format!("; before: version {}, sha256 {}", set.version, set.sha256));
    let mut document = policy_json(&set);
    document["before"] = json!(before.as_ref().map(policy_json));
    Ok(Answer { document, text: format!("version {} is in force, sha256 {}{was}", set.version, set.sha256).into() })
}
