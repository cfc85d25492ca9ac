//! `forelog vm`: giving a provider's machines to accounts.

use clap::Subcommand;
use serde_json::json;

use super::{Answer, CliError, Context};
use crate::app::fleet;
use crate::core::id::AccountId;
use crate::providers::compute::qemu::MachineSpec;
use crate::providers::compute::{Compute, Machine, MachineRef};

const IMPORT: &str = "\
Examples:
  forelog vm import --account acc_01J… --provider sim --machine web-1 --config forelog.toml
  forelog vm import --account acc_01J… --provider qemu --machine db-1 --create --config forelog.toml";

/// What to do with VMs.
#[derive(Debug, Subcommand)]
pub enum VmCommand {
    /// Give a provider's machine to an account.
    #[command(after_help = IMPORT)]
    Import {
        /// Whose it becomes.
        #[arg(long)]
        account: AccountId,
        /// Which provider has it: sim or qemu.
        #[arg(long)]
        provider: String,
        /// What the provider calls it.
        #[arg(long)]
        machine: String,
        /// Name shown to people; the provider's if absent.
        #[arg(long)]
        label: Option<String>,
        /// Make the machine first (qemu).
        #[arg(long)]
        create: bool,
    },
    /// List the VMs that accounts own.
    #[command(after_help = "Examples:\n  forelog vm list --json --data forelog-data")]
    List,
    /// List a provider's machines.
    #[command(after_help = "Examples:\n  forelog vm machines --provider qemu --config forelog.toml")]
    Machines {
        /// Which provider: sim or qemu.
        #[arg(long)]
        provider: String,
    },
}

/// Does it.
pub async fn run(command: VmCommand, context: &Context) -> Result<Answer, CliError> {
    match command {
        VmCommand::Import { account, provider, machine, label, create } => {
            if create {
                make(context, &provider, &machine).await?;
            }
            import(context, &account, &provider, &machine, label).await
        }
        VmCommand::List => list(context).await,
        VmCommand::Machines { provider } => {
            let machines = machines(context, &provider).await?;
            let text = machines.iter().map(|row| format!("{}  {}  {}", row.machine.0, row.label, row.os)).collect::<Vec<_>>();
            Ok(Answer { document: json!({ "items": machines }), text: text.join("\n") })
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
    let vm = context.desk().await?.import_vm(account, provider, machine, &label).await?;
    let document = json!({ "id": vm, "account": account, "provider": provider, "machine": machine, "label": label });
    Ok(Answer { document, text: format!("{vm}  {label}") })
}

async fn list(context: &Context) -> Result<Answer, CliError> {
    let state = context.desk().await?.state().await?;
    let line = |vm: &crate::core::state::Vm| {
        let exec = if vm.exec_enabled { "exec on" } else { "exec off" };
        format!("{}  {}  {}  {}/{}  {exec}", vm.id, vm.label, vm.account, vm.provider, vm.machine)
    };
    let text: Vec<String> = state.vms.values().map(line).collect();
    let items: Vec<_> = state.vms.values().collect();
    Ok(Answer { document: json!({ "items": items }), text: text.join("\n") })
}

/// The simulation is read from the configuration: a running server has it open.
async fn machines(context: &Context, provider: &str) -> Result<Vec<Machine>, CliError> {
    let providers = &context.config.providers;
    match (provider, &providers.sim, &providers.qemu) {
        ("sim", Some(sim), _) => Ok(fleet::simulated(sim)),
        ("qemu", _, Some(qemu)) => Ok(fleet::open_qemu(&context.config, qemu, &context.clock)?.list().await?),
        _ => Err(CliError::Usage(format!("the configuration has no provider {provider:?}: add [providers.{provider}]"))),
    }
}

async fn make(context: &Context, provider: &str, machine: &str) -> Result<(), CliError> {
    let Some(qemu) = context.config.providers.qemu.as_ref().filter(|_| provider == "qemu") else {
        return Err(CliError::Usage("only a configured qemu provider can make machines".into()));
    };
    let spec = MachineSpec {
        label: machine.to_owned(),
        memory_mib: 256,
        vcpu: 1,
        disk_gib: 4,
        os: "Debian 13".into(),
        region: "this host".into(),
    };
    let opened = fleet::open_qemu(&context.config, qemu, &context.clock)?;
    opened.create_machine(&MachineRef(machine.to_owned()), spec).await?;
    Ok(())
}
