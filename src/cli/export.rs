//! `forelog export`: a filtered range of the log to take away, with a manifest of digests.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::named::{self, Name};
use super::progress::Bar;
use super::{Answer, CliError, Context};
use crate::app::local_admin::LocalAdmin;
use crate::core::commands::notice::{Notice, Notify};
use crate::core::id::{AccountId, Position};
use crate::core::near::did_you_mean;
use crate::core::reading::Reading;
use crate::core::state::ControlState;
use crate::core::time::Micros;
use crate::core::visible::counted;
use crate::export::filter::Filter;
use crate::export::manifest::Manifest;
use crate::export::{bundle, jsonl};
use crate::log::private;

const EXAMPLES: &str = "\
Examples:
  forelog export --out march --from 2026-03-01T00:00:00Z --to 2026-04-01T00:00:00Z --data forelog-data
  forelog export --out evidence --account acc_… --plaintext --config forelog.toml
  forelog export --check evidence";

/// What to export, and where to.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ExportArgs {
    /// Format of the lines.
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// Directory for the bundle; created if there is none.
    #[arg(long, value_name = "DIR", required_unless_present = "check")]
    out: Option<PathBuf>,
    /// Check a bundle against its manifest instead; needs neither data nor keys.
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    check: Option<PathBuf>,
    /// Write the decrypted, redacted payloads too.
    #[arg(long)]
    plaintext: bool,
    /// Events at or after this time (RFC 3339, or a date).
    #[arg(long, value_parser = moment)]
    from: Option<Micros>,
    /// Events before this time (RFC 3339, or a date).
    #[arg(long, value_parser = moment)]
    to: Option<Micros>,
    /// Events at or after this position.
    #[arg(long)]
    from_position: Option<i64>,
    /// Events up to and with this position.
    #[arg(long)]
    to_position: Option<i64>,
    /// Only this account's events: its ID or name, or the e-mail address of somebody in it.
    #[arg(long)]
    account: Option<Name>,
    /// Only calls by this key: its ID, or its label if no other key has it.
    #[arg(long)]
    credential: Option<Name>,
    /// Only calls about this VM: its ID or label.
    #[arg(long)]
    vm: Option<Name>,
    /// Only calls of this tool.
    #[arg(long)]
    tool: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// One JSON document a line.
    Jsonl,
}

fn moment(text: &str) -> Result<Micros, String> {
    Micros::read(text).map_err(|error| error.to_string())
}

/// Does it. That the log was taken away is an event.
pub async fn run(args: ExportArgs, context: &Context) -> Result<Answer, CliError> {
    let Format::Jsonl = args.format;
    if let Some(dir) = &args.check {
        let manifest = Manifest::check(dir)?;
        return answer(&manifest, &format!("{}, as the manifest says", counted(manifest.count, "event")));
    }
    let Some(out) = args.out.clone() else { return Err(CliError::Usage("name a directory with --out".into())) };
    check(&args)?;
    bundle::check_free(&out)?;
    let local_admin = context.local_admin().await?;
    let filter = filter(args, &local_admin).await?;
    let state = local_admin.state().await?;
    let read = whose(&filter.filter, &state)?;
    private::make_dir(&out).map_err(|source| CliError::File { what: "making", path: out.clone(), source })?;
    let note =
        local_admin.note(&state.operator_account(), json!({ "asked": filter.filter, "plaintext": filter.plaintext })).await?;
    let notice = Notice::LogRead { user: None, account: read, what: Reading::Bundle };
    let event = Some(note.id());
    local_admin.change([note], Notify { notice, event }).await?;
    let bar = Bar::new("events");
    let manifest =
        jsonl::export(&local_admin.rooms.reader(), filter.filter, filter.plaintext, &out, |at, of| bar.reach(at.0, of.0)).await?;
    bar.clear();
    let text = format!("{} in {}", counted(manifest.count, "event"), out.display());
    answer(&manifest, &text)
}

/// Refuses what no event can fit: a bundle of nothing would look like evidence that nothing happened.
fn check(args: &ExportArgs) -> Result<(), CliError> {
    if args.from.zip(args.to).is_some_and(|(from, to)| to <= from) {
        return Err(CliError::Usage("--to is not after --from, so no event is between them".into()));
    }
    if args.from_position.zip(args.to_position).is_some_and(|(from, to)| to < from) {
        return Err(CliError::Usage("--to-position is before --from-position, so no event is between them".into()));
    }
    let Some(tool) = &args.tool else { return Ok(()) };
    let known = crate::tools::catalogue()?.names_on_record();
    if known.contains(&tool.as_str()) {
        return Ok(());
    }
    let meant = did_you_mean(tool, known, str::to_owned).unwrap_or_else(|| "`forelog call --help` lists the tools".to_owned());
    Err(CliError::Usage(format!("there is no tool {tool:?}. {meant}")))
}

/// The account that is read, if it is one: what is read of a key or a VM is read of its account, and of no other.
fn whose(filter: &Filter, state: &ControlState) -> Result<Option<AccountId>, CliError> {
    let absent = |what: &str| CliError::Usage(format!("there is no {what}"));
    let of_key = match &filter.credential {
        Some(key) => Some(state.credentials.get(key).map(|row| &row.created.account).ok_or_else(|| absent(key.as_str()))?),
        None => None,
    };
    let of_vm = match &filter.vm {
        Some(vm) => Some(state.vms.get(vm).map(|row| &row.account).ok_or_else(|| absent(vm.as_str()))?),
        None => None,
    };
    let named: Vec<&AccountId> = [filter.account.as_ref(), of_key, of_vm].into_iter().flatten().collect();
    match named.split_first() {
        Some((first, rest)) if rest.iter().any(|other| other != first) => {
            Err(CliError::Usage("the account, the key and the VM are not of one account".into()))
        }
        first => Ok(first.map(|(account, _)| (*account).clone())),
    }
}

struct Wanted {
    filter: Filter,
    plaintext: bool,
}

async fn filter(args: ExportArgs, local_admin: &LocalAdmin) -> Result<Wanted, CliError> {
    let ExportArgs { plaintext, from, to, from_position, to_position, account, credential, vm, tool, .. } = args;
    let (from_position, to_position) = (from_position.map(Position), to_position.map(Position));
    let account = match &account {
        Some(account) => Some(named::account(local_admin, account).await?),
        None => None,
    };
    let vm = match &vm {
        Some(vm) => Some(named::vm(local_admin, account.as_ref(), vm).await?),
        None => None,
    };
    let credential = match &credential {
        Some(key) => Some(named::key(local_admin, key).await?),
        None => None,
    };
    Ok(Wanted { filter: Filter { from_position, to_position, from, to, account, credential, vm, tool }, plaintext })
}

fn answer(manifest: &Manifest, text: &str) -> Result<Answer, CliError> {
    let Manifest { count, first, last, files, .. } = manifest;
    let digest = manifest.digest()?;
    let keep = "keep it apart from the bundle: who edits the lines can edit the manifest with them";
    let lines = vec![text.to_owned(), format!("manifest  {digest}  (SHA-256; {keep})")];
    let document = json!({ "count": count, "first": first, "last": last, "files": files, "manifest_sha256": digest });
    Ok(Answer { document, text: lines.into() })
}
