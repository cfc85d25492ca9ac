//! Parse, start telemetry, hand over.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use forelog::cli::{self, Cli, CliError, Context};
use forelog::telemetry::{self, Export};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match work(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            if let Some(hint) = error.downcast_ref::<CliError>().and_then(CliError::hint) {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

fn work(cli: Cli) -> anyhow::Result<()> {
    let context = Context::new(&cli)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(async {
        let telemetry = &context.config.telemetry;
        let export = telemetry.endpoint.as_deref().map(|endpoint| Export { endpoint, service: &telemetry.service_name });
        let guard = telemetry::start(export, !cli.command.serves(), &context.clock)?;
        let answered = cli::run(cli.command, &context).await;
        // The exporters block while they send what is left.
        tokio::task::spawn_blocking(move || guard.flush()).await.context("sending traces and metrics")?;
        if let Some(answer) = answered? {
            cli::print(&answer, cli.common.json);
        }
        Ok(())
    })
}
