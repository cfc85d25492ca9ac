//! `forelog vm`: giving a provider's machines to accounts.

use clap::Subcommand;
use serde_json::json;

use super::declared::mirror;
use super::named::{Name, account_of};
use super::table::table;
use super::{Answer, CliError, Context, fleet};
use crate::app::local_admin::LocalAdminError;
use crate::core::commands::vm::check_machine;
use crate::core::id::AccountId;
use crate::core::near::did_you_mean;
use crate::core::state::Vm;
use crate::providers::compute::Machine;

const IMPORT: &str = "\
Examples:
  forelog vm import --account acc_01J… --provider sim --machine web-1 --config forelog.toml
  forelog vm import --account 'Example Ltd' --provider qemu --machine db-1 --create --config forelog.toml";

/// The providers that have machines.
const PROVIDERS: [&str; 2] = ["sim", "qemu"];

/// What to do with VMs.
#[derive(Debug, Subcommand)]
#[command(mut_subcommand("import", |command| command.defer(|command| mirror(command, "vm_import"))))]
pub enum VmCommand {
    /// Import a provider's machine as a VM of an account.
    #[command(after_help = IMPORT)]
    Import {
        /// The account that is to own it: its ID or name, or the e-mail address of somebody in it.
        #[arg(long)]
        account: Name,
        #[arg(long)]
        provider: String,
        #[arg(long)]
        machine: String,
        /// Name shown to people; the provider's if absent.
        #[arg(long)]
        label: Option<String>,
        /// Create the machine first (qemu).
        #[arg(long)]
        create: bool,
    },
    /// List the VMs that accounts own.
    #[command(after_help = "Examples:\n  forelog vm list --json --data forelog-data")]
    List,
    /// List a provider's machines.
    #[command(after_help = "Examples:\n  forelog vm machines --provider qemu --config forelog.toml")]
    Machines {
        /// The provider: sim or qemu.
        #[arg(long)]
        provider: String,
    },
}

/// Does it.
pub async fn run(command: VmCommand, context: &Context) -> Result<Answer, CliError> {
    match command {
        VmCommand::Import { account, provider, machine, label, create } => {
            let account = account_of(context, &account).await?;
            if create {
                // Before a machine is made that nobody has, and that no event tells of.
                check(context, &account, &provider, &machine).await?;
                make(context, &provider, &machine).await?;
            }
            import(context, &account, &provider, &machine, label).await
        }
        VmCommand::List => list(context).await,
        VmCommand::Machines { provider } => {
            let machines = machines(context, &provider).await?;
            let rows = machines.iter().map(|row| [row.machine.0.clone(), row.label.clone(), row.os.clone()]).collect();
            Ok(Answer { document: json!({ "items": machines }), text: table(["MACHINE", "LABEL", "OS"], rows, "no machines") })
        }
    }
}

async fn import(
    context: &Context,
    account: &AccountId,
    provider: &str,
    machine: &str,
    label: Option<String>,
) -> Result<Answer, CliError> {
    let known = machines(context, provider).await?;
    let Some(found) = known.iter().find(|row| row.machine.0 == machine) else {
        let names: Vec<&str> = known.iter().map(|row| row.machine.0.as_str()).collect();
        return Err(CliError::Usage(format!("{provider} has no machine {machine}; it has {}", names.join(", "))));
    };
    let label = label.unwrap_or_else(|| found.label.clone());
    let vm = context.local_admin().await?.import_vm(account, provider, machine, &label).await?;
    let document = json!({ "id": vm, "account": account, "provider": provider, "machine": machine, "label": label });
    Ok(Answer { document, text: format!("{vm}  {label}").into() })
}

async fn check(context: &Context, account: &AccountId, provider: &str, machine: &str) -> Result<(), CliError> {
    let state = context.local_admin_to_read().await?.state().await?;
    if !state.accounts.contains_key(account) {
        return Err(CliError::Usage(format!("there is no account {account}")));
    }
    Ok(check_machine(&state, account, provider, machine).map_err(LocalAdminError::from)?)
}

async fn list(context: &Context) -> Result<Answer, CliError> {
    let state = context.local_admin_to_read().await?.state().await?;
    let line = |vm: &Vm| {
        let exec = if vm.exec_enabled { "on" } else { "off" };
        let machine = format!("{}/{}", vm.provider, vm.machine);
        [vm.id.to_string(), vm.label.clone(), vm.account.to_string(), machine, exec.into()]
    };
    let items: Vec<_> = state.vms.values().collect();
    let text = table(["VM", "LABEL", "ACCOUNT", "MACHINE", "COMMANDS"], items.iter().map(|vm| line(vm)).collect(), "no VMs");
    Ok(Answer { document: json!({ "items": items }), text })
}

async fn machines(context: &Context, provider: &str) -> Result<Vec<Machine>, CliError> {
    let known = fleet::machines(context).await?;
    let of_it: Vec<Machine> = known.into_iter().filter(|(name, _)| *name == provider).map(|(_, machine)| machine).collect();
    if of_it.is_empty() {
        return Err(CliError::Usage(without(provider)));
    }
    Ok(of_it)
}

/// Why there are no machines of a provider.
fn without(provider: &str) -> String {
    if PROVIDERS.contains(&provider) {
        return format!("the configuration has no machines of {provider}: set [providers.{provider}]");
    }
    let meant = did_you_mean(provider, PROVIDERS, str::to_owned).map_or_else(String::new, |meant| format!(". {meant}"));
    format!("there is no provider {provider:?}, only {}{meant}", PROVIDERS.join(" and "))
}

async fn make(context: &Context, provider: &str, machine: &str) -> Result<(), CliError> {
    match fleet::open(context)?.filter(|_| provider == "qemu") {
        Some(qemu) => fleet::make(&qemu, machine).await.map(|_| ()),
        None if provider == "qemu" => Err(CliError::Usage(without(provider))),
        None => Err(CliError::Usage("--create makes machines of qemu alone: leave it out, or give --provider qemu".into())),
    }
}
