//! `forelog doctor`: is everything as it should be?

use std::os::unix::fs::PermissionsExt;

use clap::Args;
use serde_json::json;

use super::progress::Bar;
use super::{Answer, CliError, Context};
use crate::app::desk::Desk;
use crate::app::policies::engine;
use crate::core::state::ControlState;
use crate::export::verify::{Extent, Finding, Report, verify};
use crate::log::store::Store;

/// What `doctor` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  forelog doctor --data forelog-data\n  forelog doctor --config forelog.toml --json")]
pub struct DoctorArgs {}

/// One thing that was looked at: its name, and what is wrong with it.
type Check = (&'static str, Vec<String>);

/// Looks at everything.
pub async fn run(context: &Context) -> Result<Answer, CliError> {
    let desk = context.desk().await?;
    let bar = Bar::new("events");
    let report = verify(&*desk.rooms.store, Some(&desk.rooms.vault), Extent::State, |at, of| bar.reach(at.0, of.0)).await?;
    bar.clear();
    let checks: Vec<Check> = vec![
        ("the vault opens with the key file", key_file(context)),
        ("the log is in order", told(&report, |finding| !finding.fault.is_about_state())),
        ("control state follows from the log", told(&report, |finding| finding.fault.is_about_state())),
        ("the clock is not behind the log", clock(&desk).await?),
        ("the policies in force are the configured ones", policies(context, &desk.state().await?)?),
    ];
    let faults: Vec<String> = checks.iter().flat_map(|(_, faults)| faults.iter().cloned()).collect();
    if !faults.is_empty() {
        return Err(CliError::Faults { faults, more: usize::try_from(report.more).unwrap_or(usize::MAX) });
    }
    let text: Vec<String> = checks.iter().map(|(name, _)| format!("ok  {name}")).collect();
    let names: Vec<_> = checks.iter().map(|(name, _)| json!({ "check": name, "ok": true })).collect();
    Ok(Answer { document: json!({ "ok": true, "events": report.events, "checks": names }), text: text.join("\n") })
}

fn told(report: &Report, wanted: fn(&Finding) -> bool) -> Vec<String> {
    report.findings.iter().filter(|finding| wanted(finding)).map(ToString::to_string).collect()
}

/// That it opens the vault was seen when the rooms were opened; what is left is who else can read it.
fn key_file(context: &Context) -> Vec<String> {
    let path = context.config.key_file();
    let Ok(about) = std::fs::metadata(&path) else { return vec![format!("the key file {} cannot be looked at", path.display())] };
    let others = about.permissions().mode() & 0o077;
    let fault = format!("others than its owner may read the key file {}: chmod 600 it", path.display());
    if others == 0 { Vec::new() } else { vec![fault] }
}

async fn clock(desk: &Desk) -> Result<Vec<String>, CliError> {
    let head = desk.rooms.store.head().await.map_err(crate::log::reading::ReadError::from)?;
    let behind = head.at.since(desk.clock.now());
    let fault = format!("this machine's clock is {} s behind the newest event", behind.as_secs());
    Ok(if behind.as_secs() > 5 { vec![fault] } else { Vec::new() })
}

fn policies(context: &Context, state: &ControlState) -> Result<Vec<String>, CliError> {
    let Some(now) = &state.policy else { return Ok(Vec::new()) };
    let engine = engine(&crate::tools::catalogue()?)?;
    let loaded = context.config.policies_dir.as_ref().map_or_else(|| engine.load_default(), |dir| engine.load_dir(dir));
    Ok(match loaded {
        Err(refused) => vec![format!("the configured policies are broken: {}", refused.error)],
        Ok(loaded) if loaded.sha256() != now.sha256 => {
            vec![format!("version {} is in force and is not the configured set: `forelog policy reload` loads that", now.version)]
        }
        Ok(_) => Vec::new(),
    })
}
