//! `forelog serve`: for real.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;
use sd_notify::NotifyState;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::address::{address, base_url};
use super::clock::accepting;
use super::{Answer, CliError, Context, Text, access, print, start_check, start_warnings};
use crate::app::directory_lock::DirectoryLock;
use crate::app::{App, AppError};
use crate::config::Config;

/// What `serve` takes.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  forelog serve --config forelog.toml\n  forelog serve --data forelog-data --listen 127.0.0.1:0
  forelog serve --create --config /etc/forelog/forelog.toml   the first start of a service"
)]
pub struct ServeArgs {
    /// Address and port to listen at; port 0 takes any free one.
    #[arg(long, value_name = "ADDR:PORT", value_parser = address)]
    pub listen: Option<SocketAddr>,
    /// Create the data if there is none yet. Without this flag a mistyped directory is an error.
    #[arg(long)]
    pub create: bool,
}

/// The server that has these data, if one does: the port that is taken is probably its own.
fn held(config: &Config) -> Option<AppError> {
    let there = config.data_dir.is_dir();
    there.then(|| DirectoryLock::of_server(config).err()).flatten().map(AppError::from)
}

/// Serves until it is told to stop.
pub async fn run(args: &ServeArgs, context: &Context) -> Result<(), CliError> {
    let config = &context.config;
    if args.create {
        access::check_data(config)?;
    } else {
        context.check_found().await?;
    }
    let bound = App::bind(config.listen).map_err(|error| held(config).unwrap_or(error))?;
    let listener = App::listen_on(bound)?;
    if args.create {
        start_check::before_creating(context).await?;
    }
    let directory_lock = DirectoryLock::of_server(config).map_err(AppError::from)?;
    let (clock, entropy) = (Arc::clone(&context.clock), Arc::clone(&context.entropy));
    let app = App::start_on(listener, directory_lock, config, clock, entropy).await?;
    app.show_lost_lines(Arc::clone(&context.lost_lines));
    let url = base_url(context, app.address());
    let invitation = app.invitation().await?.map(|path| format!("{url}{path}"));
    let mut document = json!({ "base_url": url, "mcp_url": format!("{url}/mcp"), "console_url": format!("{url}/console/") });
    let mut text = format!("Forelog serves MCP at {url}/mcp, REST at {url}/api/v1 and the console at {url}/console/");
    let warnings = start_warnings::at_start(context, app.address());
    if !warnings.is_empty() {
        text = format!("{}\n{text}", warnings.join("\n"));
        document["warnings"] = json!(warnings);
    }
    if let Some(warning) = distrusted(context, &app) {
        text = format!("{warning}\n{text}");
        document["clock_trusted"] = json!(false);
    }
    if let Some(link) = invitation {
        text.push_str("\n\nThere is no staff yet. The first staff member signs up here, once, within a day:\n  ");
        text.push_str(&link);
        document["invitation_url"] = json!(link);
    }
    let answer = Answer { document, text: Text::of_lines(&text) };
    let ready = || {
        print(&answer, context.common.json);
        notify_systemd(&[NotifyState::Ready]);
        Ok(())
    };
    until_signal(app, context.config.drain(), ready).await
}

/// What is said instead of that it is ready, while the clock is not trusted; and in the log.
pub fn distrusted(context: &Context, app: &App) -> Option<String> {
    let skewed = app.node().control.ports.writer.stats().skewed.load(Ordering::Relaxed);
    let command = accepting(context);
    skewed.then(|| {
        tracing::warn!(command, "every call is refused with clock_skew: this machine's clock is not trusted");
        format!("NOT READY: this machine's clock is not trusted, and every call is refused with clock_skew. {command}")
    })
}

/// Tells systemd, if it wants to know.
fn notify_systemd(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

/// Waits for SIGTERM or ctrl-c, drains, and shuts down in order. A second signal ends the draining and hurries nothing else:
/// the order is short. SIGHUP reads the certificate again. Says `ready` once it listens: whoever hears that may send a
/// signal at once.
pub async fn until_signal(app: App, drain: Duration, ready: impl FnOnce() -> Result<(), CliError>) -> Result<(), CliError> {
    let listen = |kind| signal(kind).map_err(CliError::Signal);
    let (mut term, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let mut hangup = listen(SignalKind::hangup())?;
    ready()?;
    loop {
        tokio::select! {
            _ = term.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => app.reload(),
        }
    }
    tracing::info!(?drain, "stopping: what is under way is answered first");
    notify_systemd(&[NotifyState::Stopping]);
    app.drain();
    tokio::select! {
        () = tokio::time::sleep(drain) => {}
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    app.shutdown().await;
    Ok(())
}
