//! `forelog switch`: stopping agents when nothing else works, straight on the data.
//!
//! INVARIANT: one person engages here. Releasing from here passes over the second person, so it needs `--break-glass`, is
//! recorded with user and host, and raises a warning.

use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use super::call_tool::call_tool;
use super::declared::mirror;
use super::named::{self, TargetName};
use super::table::table;
use super::time::format_time;
use super::{Answer, CliError, Context};
use crate::app::local_admin::{LocalAdmin, local_user};
use crate::app::local_switches::names;
use crate::core::engagement::Proposed;
use crate::core::error_chain::error_chain;
use crate::core::id::{Epoch, SwitchId};
use crate::core::switch::{Running, Switch, Target};
use crate::core::visible::counted;
use crate::log::peers::Peer;
use crate::log::reading::ReadError;
use crate::log::store::Store;

const ENGAGE: &str = "\
Examples:
  forelog switch engage all --reason 'incident 42' --data forelog-data
  forelog switch engage class:exec --reason 'suspicious commands' --cancel-running
  forelog switch engage vm:web-1 --reason 'odd reboots'
  forelog switch engage credential:key_01J… --reason 'leaked' --message 'Ask your provider for a new key.'
A VM or a key may be given by its label, and an account by its name, if only one has it.
Success means that the switch is engaged. `fenced` says whether every node has confirmed it; if that is not known, `untold` says why.
Repeating the same command changes nothing.";

const RELEASE: &str = "\
Without --break-glass nothing is released here: release it in the console or over REST. A switch on all or on a class takes two persons
there, every other one takes one.
Examples:
  forelog switch release swi_01J… --break-glass --reason 'console is down, agreed with Ada by phone'
  forelog switch release swi_01J… --break-glass --ramp 30 --reason 'over; one agent after the other'";

const DRILL: &str = "\
A key of the staff account is stopped and released while it calls; no customer is affected. The drill is recorded for the person whose
key is in FORELOG_API_KEY, or in api_key in the configuration. Running servers on the same data take part.
Examples:
  forelog switch drill --json";

/// What to do with switches.
#[derive(Debug, Subcommand)]
#[command(mut_subcommand("engage", |command| command.defer(|command| mirror(command, "switch_engage"))))]
#[command(mut_subcommand("release", |command| command.defer(|command| mirror(command, "switch_release"))))]
pub enum SwitchCommand {
    /// Stop every call that the target covers.
    #[command(after_help = ENGAGE)]
    Engage {
        target: TargetName,
        #[arg(long)]
        reason: String,
        #[arg(long)]
        message: Option<String>,
        #[arg(long)]
        incident: Option<String>,
        /// Minutes until the switch ends by itself; without it, it stays until it is released.
        #[arg(long)]
        minutes: Option<u32>,
        /// Cancel running calls; without it they finish.
        #[arg(long)]
        cancel_running: bool,
    },
    /// Release a switch.
    #[command(after_help = RELEASE)]
    Release {
        /// The switch's ID.
        switch: SwitchId,
        /// Release without a second person. Recorded, and an alarm is raised.
        #[arg(long)]
        break_glass: bool,
        /// Release step by step: minutes until all keys may call again.
        #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(1..=120))]
        ramp: Option<u64>,
        #[arg(long)]
        reason: String,
    },
    /// Drill the switches on a key created for it, and record how long they took.
    #[command(after_help = DRILL)]
    Drill,
    /// List the switches in force.
    #[command(after_help = "Examples:\n  forelog switch list --json --data forelog-data")]
    List,
}

/// Does it.
pub async fn run(command: SwitchCommand, context: &Context) -> Result<Answer, CliError> {
    match command {
        SwitchCommand::Drill => drill(context).await,
        SwitchCommand::List => {
            let local_admin = context.local_admin_to_read().await?;
            let answer = list(&local_admin, context.config.lease()).await?;
            Ok(answer.read_without_vault(local_admin.without_vault.as_deref()))
        }
        SwitchCommand::Release { switch, break_glass: false, .. } => {
            Err(not_released_here(&context.local_admin_to_stop().await?, &switch).await?)
        }
        SwitchCommand::Release { switch, ramp, reason, .. } => {
            let local_admin = context.local_admin_to_stop().await?;
            let answer = release(&local_admin, switch, ramp.map(Duration::from_mins), &reason).await?;
            Ok(answer.without_vault(local_admin.without_vault.as_deref()))
        }
        SwitchCommand::Engage { target, reason, message, incident, minutes, cancel_running } => {
            let local_admin = context.local_admin_to_stop().await?;
            let lasts = minutes.map(|minutes| Duration::from_mins(u64::from(minutes)));
            let running = if cancel_running { Running::Cancel } else { Running::LetFinish };
            let is_exact = matches!(target, TargetName::Exact(_));
            let target = named::target(&local_admin, target).await?;
            let owner = if is_exact { None } else { target.owner(&local_admin.state().await?) };
            let whose = named::whose(&local_admin, owner.as_ref()).await;
            let proposed = Proposed { target: target.clone(), reason, message, incident, expires_at: None };
            let switch = local_admin.engage(proposed, lasts, running, names(&context.config)).await?;
            let answer = fenced(&local_admin, &switch, (&target, &whose), context.config.lease()).await?.on(context);
            Ok(answer.without_vault(local_admin.without_vault.as_deref()))
        }
    }
}

async fn drill(context: &Context) -> Result<Answer, CliError> {
    let document = call_tool(context, "switch_drill", json!({})).await?;
    if let Some(failed) = document["failed"].as_str() {
        return Err(CliError::Drill(failed.to_owned()));
    }
    let ms = |name: &str| document[name].as_u64().map_or_else(|| "?".into(), |us| format!("{}.{}", us / 1000, us / 100 % 10));
    let text = format!(
        "passed: first refusal after {} ms, fenced on {} after {} ms, {} let through",
        ms("refused_after_us"),
        counted(document["nodes"].as_u64().unwrap_or_default(), "node"),
        ms("fenced_after_us"),
        document["admitted_after"]
    );
    Ok(Answer { document, text: text.into() })
}

/// What is engaged is engaged, whatever can be told of it.
async fn fenced(
    local_admin: &LocalAdmin,
    switch: &SwitchId,
    (target, whose): (&Target, &str),
    lease: Duration,
) -> Result<Answer, CliError> {
    Ok(engaged_answer(local_admin, switch, (target, whose), lease).await.unwrap_or_else(|error| {
        let untold = error_chain(&error);
        let text = format!("{switch}  {target}{whose} is engaged, but who has confirmed it cannot be told: {untold}");
        let document = json!({
            "id": switch, "target": target, "epoch": null, "fenced": false, "nodes": [], "untold": untold,
        });
        Answer { document, text: text.into() }
    }))
}

/// Waits until every live node has confirmed the switch or its lease ran out.
async fn engaged_answer(
    local_admin: &LocalAdmin,
    switch: &SwitchId,
    (target, whose): (&Target, &str),
    lease: Duration,
) -> Result<Answer, CliError> {
    let epoch = local_admin.state().await?.epoch;
    let (fenced, nodes) = settled(local_admin, epoch, lease).await?;
    let state = if fenced { "no covered call starts any more" } else { "NOT every node has confirmed yet" };
    let mut text = vec![format!("{switch}  {target}{whose} is engaged: {state}")];
    text.extend(nodes.iter().filter_map(unconfirmed));
    if !fenced {
        text.push("  `forelog switch list` says when every node has confirmed; new calls are refused meanwhile".into());
    }
    Ok(Answer {
        document: json!({ "id": switch, "target": target, "epoch": epoch, "fenced": fenced, "nodes": nodes }),
        text: text.into(),
    })
}

/// How the nodes stand once all have confirmed, or are seen not to.
async fn settled(local_admin: &LocalAdmin, epoch: Epoch, lease: Duration) -> Result<(bool, Vec<Value>), CliError> {
    let deadline = local_admin.clock.elapsed() + lease * 2;
    loop {
        let (fenced, nodes) = confirmations(local_admin, epoch).await?;
        if fenced || local_admin.clock.elapsed() >= deadline {
            return Ok((fenced, nodes));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Which node has not confirmed, where it runs, and what to do.
fn unconfirmed(node: &Value) -> Option<String> {
    let id = node["node"].as_str().unwrap_or_default();
    let (host, pid) = (node["host"].as_str().unwrap_or("an unknown machine"), &node["pid"]);
    if pid.is_null() && node["state"] != "confirmed" {
        return Some(format!("  {id} has a row that no node of this log has written; `forelog doctor` says more"));
    }
    let place = format!("{id} (pid {pid} on {host})");
    match node["state"].as_str()? {
        "waiting" => Some(format!(
            "  {place} has not confirmed: a request that it was sending before is not through yet. If that cannot wait, end it: kill -9 {pid}"
        )),
        "expired" => Some(format!(
            "  {place} gave no sign, and its lease ran out: it starts nothing. End it if it still runs: kill -9 {pid}"
        )),
        _ => None,
    }
}

async fn confirmations(local_admin: &LocalAdmin, epoch: Epoch) -> Result<(bool, Vec<Value>), CliError> {
    let peers = local_admin.writer.fence().peers().observe(&*local_admin.rooms.store).await.map_err(ReadError::from)?;
    let head = local_admin.rooms.store.head().await.map_err(ReadError::from)?.epoch;
    let (mut all, mut nodes) = (true, Vec::new());
    for Peer { node, dead, .. } in peers.into_iter().filter(|peer| !peer.ended) {
        let state = match ((epoch..=head).contains(&node.confirmed), dead) {
            (true, _) => "confirmed",
            (false, true) => "expired",
            (false, false) => "waiting",
        };
        all &= state != "waiting";
        let confirmed_at = (state == "confirmed").then(|| format_time(node.confirmed_at));
        nodes.push(json!({
            "node": node.id, "state": state, "confirmed_at": confirmed_at, "host": node.host, "pid": node.pid,
        }));
    }
    Ok((all, nodes))
}

/// Who may release it elsewhere, as its target says.
async fn not_released_here(local_admin: &LocalAdmin, switch: &SwitchId) -> Result<CliError, CliError> {
    let state = local_admin.state().await?;
    let Some(row) = state.switches.get(switch) else {
        return Ok(CliError::Usage(format!("{switch} is not engaged; `forelog switch list` shows what is")));
    };
    let by = if row.target.is_global() { "two persons" } else { "one person of the staff" };
    Ok(CliError::Glass(format!("the switch on {} is released by {by}, in the console or over REST, not here", row.target)))
}

async fn release(local_admin: &LocalAdmin, switch: SwitchId, over: Option<Duration>, reason: &str) -> Result<Answer, CliError> {
    let until = local_admin.release(switch.clone(), over, reason).await?;
    let who = local_user();
    tracing::warn!(%switch, operator = %who, "BREAK GLASS: a switch was released without a second person");
    let document = json!({ "id": switch, "released": until.is_none(), "until": until.map(format_time), "break_glass": true });
    let text = until.map_or_else(
        || format!("{switch} is released"),
        |until| format!("{switch} lets go step by step until {}", format_time(until)),
    );
    Ok(Answer { document, text: text.into() })
}

async fn list(local_admin: &LocalAdmin, lease: Duration) -> Result<Answer, CliError> {
    let state = local_admin.state().await?;
    let line = |row: &&Switch| {
        let ends = row.ramp.map(|ramp| ramp.until).or(row.expires_at).map_or_else(|| "-".to_owned(), format_time);
        [row.id.to_string(), row.target.to_string(), format_time(row.engaged_at), ends, row.reason.clone()]
    };
    let items: Vec<&Switch> = state.switches.values().collect();
    let rows = items.iter().map(line).collect();
    let mut text = table(["SWITCH", "TARGET", "SINCE", "ENDS", "REASON"], rows, "no switch is engaged");
    if items.is_empty() {
        return Ok(Answer { document: json!({ "items": items, "fenced": null, "nodes": [] }), text });
    }
    let (fenced, nodes) = match settled(local_admin, state.epoch, lease).await {
        Ok((fenced, nodes)) => (Some(fenced), nodes),
        Err(error) => {
            text.0.push(format!("who has confirmed cannot be told: {}", error_chain(&error)));
            (None, Vec::new())
        }
    };
    let has_expired = nodes.iter().any(|node| node["state"] == "expired");
    let told = fenced.map(|fenced| match (fenced, has_expired) {
        (false, _) => "NOT every node has confirmed yet",
        (true, true) => "every node that gives a sign has confirmed",
        (true, false) => "every node has confirmed",
    });
    text.0.extend(told.map(str::to_owned));
    text.0.extend(nodes.iter().filter_map(unconfirmed));
    Ok(Answer { document: json!({ "items": items, "fenced": fenced, "nodes": nodes }), text })
}
