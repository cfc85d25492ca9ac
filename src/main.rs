//! Parse, start telemetry, hand over.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use forelog::cli::{self, Cli, CliError, Context};
use forelog::core::scrub::scrub_text;
use forelog::telemetry::{self, Export};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // What this process and those it starts make is its owner's alone: databases make journals, and QEMU makes sockets.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    match work(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A journal keeps it, and it may quote the URL of a database.
            eprintln!("error: {}", scrub_text(&format!("{error:#}")));
            if let Some(hint) = error.downcast_ref::<CliError>().and_then(CliError::hint) {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

fn work(cli: Cli) -> anyhow::Result<()> {
    let context = Context::new(&cli)?;
    let telemetry = &context.config.telemetry;
    let export = telemetry.endpoint.as_deref().map(|endpoint| Export { endpoint, service: &telemetry.service_name });
    // The exporters have threads of their own and block: they begin before the runtime and end after it.
    let guard = telemetry::start(export, !cli.command.serves(), &context.clock)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    let answered = runtime.block_on(cli::run(cli.command, &context));
    guard.flush();
    if let Some(answer) = answered? {
        cli::print(&answer, cli.common.json);
    }
    Ok(())
}
