//! `forelog limits`: what is in force, and putting something else in force, straight on the data.

use std::collections::BTreeSet;

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::time::format_time;
use super::{Answer, CliError, Context};
use crate::app::limits::Set;
use crate::control::in_force::{LIMITS, Origin, add_origin, origin};
use crate::core::commands::limits::Wanted;
use crate::core::earlier_terms::TermsInForce;
use crate::core::terms::{Difference, Terms};
use crate::core::time::Micros;

/// What to do with the limits.
#[derive(Debug, Subcommand)]
pub enum LimitsCommand {
    /// Show the limits in force on every node, who set them, and where this configuration differs.
    #[command(after_help = "Examples:\n  forelog limits show --config forelog.toml")]
    Show,
    /// Set numbers; those not named stay. Running servers use them from their next decision on.
    #[command(
        after_help = "Examples:\n  forelog limits set limits.exec.admit=30\n  forelog limits set quotas.keys.account=50 approval_ms=3600000"
    )]
    Set {
        /// A key of the configuration and its number; may be repeated.
        #[arg(required = true, value_name = "KEY=NUMBER")]
        numbers: Vec<String>,
    },
    /// Put the limits of the configuration, and of this command's environment, in force.
    #[command(after_help = "Examples:\n  forelog limits load --config forelog.toml")]
    Load,
}

/// Does it.
pub async fn run(command: LimitsCommand, context: &Context) -> Result<Answer, CliError> {
    let configured = context.config.terms();
    let wanted = match command {
        LimitsCommand::Show => return show(context).await,
        LimitsCommand::Set { numbers } => Wanted::Numbers(wanted(&numbers)?),
        LimitsCommand::Load => Wanted::Configured,
    };
    let local_admin = context.local_admin().await?;
    let Set { now, before } = local_admin.set_limits(configured, wanted).await?;
    let differ = |before: &TermsInForce| before.terms.differences(&now.terms);
    let was = before.as_ref().map_or_else(|| Terms::default().differences(&now.terms), differ);
    let is_new = before.as_ref().is_none_or(|before| before.version < now.version);
    let mut lines = vec![format!("version {} is in force{}", now.version, if is_new { "" } else { " already" })];
    lines.extend(was.iter().map(|row| format!("  {}: {} (was {})", row.key, row.configured, row.in_force)));
    let changed: Vec<Value> =
        was.iter().map(|row| json!({ "key": row.key, "before": row.in_force, "now": row.configured })).collect();
    let document = json!({
        "version": now.version, "before": before.map(|before| before.version), "changed": changed, "limits": now.terms,
        "newcomer_counts_from": counts_from(&now, local_admin.clock.now()).inspect(|from| lines.push(longer(from))),
    });
    Ok(Answer { document, text: lines.into() })
}

/// `a.b=1` and the like as the configuration has them.
fn wanted(numbers: &[String]) -> Result<Value, CliError> {
    let (mut wanted, mut named) = (Value::Object(Map::new()), BTreeSet::new());
    for text in numbers {
        let (key, number) = text.split_once('=').ok_or_else(|| CliError::Limit(text.clone()))?;
        let (key, number) = (key.trim(), number.trim());
        if !named.insert(key) {
            return Err(CliError::Usage(format!("{key} is named twice; say once which number it is to be")));
        }
        // What is a number, and none that anything can be, is told by its key.
        let is_number = !number.is_empty() && number.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 = match number.parse() {
            Ok(number) => number,
            Err(_) if is_number => return Err(CliError::Usage(format!("{key} cannot be {number}"))),
            Err(_) => return Err(CliError::Limit(text.clone())),
        };
        let mut place = &mut wanted;
        for name in key.split('.') {
            let Some(fields) = place.as_object_mut() else { return Err(CliError::Limit(text.clone())) };
            place = fields.entry(name).or_insert_with(|| json!({}));
        }
        *place = json!(number);
    }
    Ok(wanted)
}

async fn show(context: &Context) -> Result<Answer, CliError> {
    let local_admin = context.local_admin_to_read().await?;
    let Some(now) = local_admin.state().await?.terms else {
        let text = "no limits are recorded yet; the first start of a node records its configuration's";
        return Ok(Answer { document: json!({ "version": null }), text: text.into() });
    };
    let origin = origin(&local_admin.rooms.reader(), LIMITS).await?;
    let differences = now.terms.differences(&context.config.terms());
    let mut lines = vec![in_force(&now, origin.as_ref())];
    lines.extend(now.terms.numbers().iter().map(|(key, number)| format!("  {key} = {number}")));
    lines.extend(differences.iter().map(differs));
    let from = counts_from(&now, local_admin.clock.now()).inspect(|from| lines.push(longer(from)));
    let mut document = json!({
        "version": now.version, "limits": now.terms, "newcomer_counts_from": from, "differences": differences,
    });
    add_origin(&mut document, origin.as_ref());
    Ok(Answer { document, text: lines.into() }.read_without_vault(local_admin.without_vault.as_deref()))
}

/// From when the `newcomer_ms` in force counts, if a longer one still does.
fn counts_from(now: &TermsInForce, at: Micros) -> Option<String> {
    now.newcomer_counts_from(at).map(Micros::rfc3339)
}

fn longer(from: &String) -> String {
    format!("  newcomer_ms counts from {from} on; until then the longer one that was in force before does")
}

/// The version in force, and how it came there.
pub(super) fn in_force(now: &TermsInForce, origin: Option<&Origin>) -> String {
    format!("limits version {}{}", now.version, since(origin))
}

/// How something came into force, behind what it is.
pub(super) fn since(origin: Option<&Origin>) -> String {
    origin.map_or_else(String::new, |origin| format!(", put in force by {} at {}", origin.author.text(), format_time(origin.at)))
}

/// Where a configuration differs, in words.
pub(super) fn differs(row: &Difference) -> String {
    let Difference { key, in_force, configured } = row;
    format!("{key} is {in_force} in force and {configured} in this configuration: `forelog limits load` would replace it")
}
