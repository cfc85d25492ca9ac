//! Parse, start telemetry, hand over.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use forelog::cli::{self, Cli, CliError, Context};
use forelog::telemetry::{self, Export};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long what reads and writes beside the work may take to end.
const LAST: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    // What this process and those it starts make is its owner's alone: databases make journals, and QEMU makes sockets.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let cli: Cli = cli::parse();
    let json = cli.common.json;
    match work(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let (text, known) = (format!("{error:#}"), error.downcast_ref::<CliError>());
            if json {
                cli::print_error(&text, known);
            }
            telemetry::last_word(cli::said(&text, known.and_then(CliError::hint).as_deref()));
            ExitCode::FAILURE
        }
    }
}

fn work(cli: Cli) -> anyhow::Result<()> {
    let context = Context::new(&cli)?;
    let telemetry = &context.config.telemetry;
    let export = telemetry.endpoint.as_deref().map(|endpoint| Export { endpoint, service: &telemetry.service_name });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    // The exporters have threads of their own and wait there for what runs on the runtime: they end before it does.
    let (quiet, lost) = (!cli.command.serves(), Arc::clone(&context.lost_lines));
    let guard = telemetry::start(export, runtime.handle(), quiet, &context.clock, lost)?;
    let answered = runtime.block_on(cli::run(cli.command, &context));
    guard.flush();
    // Somebody who does not read what we write must not keep us: all that counts is stopped and durable by now.
    runtime.shutdown_timeout(LAST);
    if let Some(answer) = answered? {
        cli::print(&answer, cli.common.json);
    }
    Ok(())
}
