//! `forelog demo`: everything on this machine, with an example account, staff, keys and VMs.
//!
//! It says on standard error what it is doing, and makes a first call by itself (`first_call.rs`), so that a newcomer sees what is
//! recorded of one; not with `--json`, where programs seed from it.
//!
//! INVARIANT: nothing is made or put aside before the port is taken and the data is seen to be served by nobody. A start then puts an earlier
//! `demo.json` aside, so whoever waits for the file never reads where the last one
//! served; the keys in it are shown nowhere else. Starting again on the same directory goes on with the same data and keys.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::address::{address, base_url, local_url};
use super::serve::{distrusted, until_signal};
use super::{Answer, CliError, Context, Text, demo_data, first_call, fleet, print, start_check, start_warnings};
use crate::app::directory_lock::DirectoryLock;
use crate::app::{App, AppError};
use crate::config::Config;
use crate::log::private;
use crate::providers::compute::qemu::ImageDir;

const EXAMPLES: &str = "\
Examples:
  forelog demo                                  a simulated fleet, at http://127.0.0.1:7373
  forelog demo --data /srv/demo --listen 127.0.0.1:0
  forelog demo --database 'postgres:///forelog?host=/run/postgresql'   its rooms in an empty PostgreSQL database
  forelog demo --provider qemu --image guest    two real guests; scripts/guest-image.sh builds the image";

const POLICIES: [(&str, &str); 2] =
    [("default.cedar", include_str!("../../policies/default.cedar")), ("cases.toml", include_str!("../../policies/cases.toml"))];

/// What `demo` takes. Its data directory is `forelog-demo` unless --data names another.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DemoArgs {
    /// Address and port to listen at; port 0 takes any free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:7373", value_parser = address)]
    pub listen: SocketAddr,
    /// PostgreSQL to use instead of files; it is kept in the directory's forelog.toml.
    #[arg(long, value_name = "URL")]
    pub database: Option<SecretString>,
    /// The provider of the VMs.
    #[arg(long, value_enum, default_value = "sim")]
    pub provider: Provider,
    /// The image that real guests are created from (qemu).
    #[arg(long, value_name = "DIR", required_if_eq("provider", "qemu"))]
    pub image: Option<PathBuf>,
}

/// Where the VMs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Provider {
    /// Three simulated machines.
    Sim,
    /// Two real guests on this host.
    Qemu,
}

impl DemoArgs {
    /// Makes the directory's files, if they are not there, so that every command works on it with `--data` alone.
    pub fn prepare(&self, data: &Path) -> Result<(), CliError> {
        let failed = |source| CliError::File { what: "preparing", path: data.to_owned(), source };
        if let (Provider::Qemu, Some(image)) = (self.provider, &self.image) {
            ImageDir::open(image)?;
        }
        let policies = std::path::absolute(data.join("policies")).map_err(failed)?;
        private::make_dir(&policies).map_err(failed)?;
        for (name, text) in POLICIES {
            write_new(&policies.join(name), text)?;
        }
        let providers = match (self.provider, &self.image) {
            (Provider::Qemu, Some(image)) => {
                let image = std::path::absolute(image).map_err(failed)?;
                format!("[providers.qemu]\nimage = {}\n", quoted_path(&image))
            }
            _ => "[providers.sim]\nmachines = [\"web-1\", \"db-1\", \"worker-1\"]\n".to_owned(),
        };
        let database = self.database.as_ref().map(|url| format!("database_url = {}\n", quoted(url.expose_secret())));
        let text = format!(
            "# Made by `forelog demo`; docs/forelog.toml has every key.\npolicies_dir = {}\n{}\n{providers}",
            quoted_path(&policies),
            database.unwrap_or_default(),
        );
        write_new(&data.join("forelog.toml"), &text)
    }

    /// Refuses a directory whose configuration names another place than the flag: its keys would be of no use there.
    pub fn check(&self, config: &Config) -> Result<(), CliError> {
        let (asked, there) = (self.database.as_ref(), config.database_url.as_ref());
        if asked.is_none_or(|asked| there.is_some_and(|there| there.expose_secret() == asked.expose_secret())) {
            return Ok(());
        }
        let text = "the demonstration in this directory is not on the database that --database names; \
                    leave the flag out to go on with it, or use another directory";
        Err(CliError::Usage(text.into()))
    }
}

/// Serves the demonstration until it is told to stop.
pub async fn run(args: &DemoArgs, context: &Context) -> Result<(), CliError> {
    tracing::info!(data = %context.config.data_dir.display(), "starting the demonstration");
    // Whoever serves the data is named before anything is put aside: demo.json says where that server listens.
    drop(DirectoryLock::alone(&context.config.data_dir).map_err(AppError::from)?);
    let directory_lock = DirectoryLock::of_server(&context.config).map_err(AppError::from)?;
    let bound = context.bound.lock().unwrap_or_else(PoisonError::into_inner).take();
    let listener = App::listen_on(bound.map_or_else(|| App::bind(args.listen), Ok)?)?;
    start_check::before_creating(context).await?;
    let (shown, aside) = (context.config.data_dir.join("demo.json"), context.config.data_dir.join(".demo-keys.json"));
    let mut document = if let Some(document) = set_aside(&shown, &aside)? {
        document
    } else {
        let document = demo_data::create_demo_data(context).await?;
        write(&aside, &document)?;
        document
    };
    if args.provider == Provider::Qemu {
        tracing::info!("turning the guests on");
        fleet::start_guests(context).await?;
    }
    tracing::info!("starting the server");
    let (clock, entropy) = (Arc::clone(&context.clock), Arc::clone(&context.entropy));
    let app = App::start_on(listener, directory_lock, &context.config, clock, entropy).await?;
    app.show_lost_lines(Arc::clone(&context.lost_lines));
    let url = base_url(context, app.address());
    if let Some(fields) = document.as_object_mut() {
        fields.insert("base_url".into(), json!(url));
        fields.insert("mcp_url".into(), json!(format!("{url}/mcp")));
    }
    write(&aside, &document)?;
    let distrusted = distrusted(context, &app);
    let state = if distrusted.is_some() { "listens" } else { "is ready" };
    let exposed = start_warnings::at_start(context, app.address());
    let warnings: String = exposed.into_iter().chain(distrusted).chain(engaged(context, &app)).map(|why| why + "\n").collect();
    let head = format!("{warnings}Forelog {state} at {url}.");
    let first = if context.common.json { None } else { Some(make_first_call(context, &app, &document).await) };
    let ready = || {
        std::fs::rename(&aside, &shown).map_err(|source| CliError::File { what: "writing", path: shown.clone(), source })?;
        let text = Text::of_lines(&greeting(&document, &shown, &head, first.as_deref()));
        print(&Answer { document, text }, context.common.json);
        Ok(())
    };
    let ended = until_signal(app, context.config.drain(), ready).await;
    if args.provider == Provider::Qemu {
        fleet::stop_guests(context).await?;
    }
    ended
}

async fn make_first_call(context: &Context, app: &App, document: &Value) -> String {
    tracing::info!("making a first call");
    let key = document.pointer("/customer/api_key").and_then(Value::as_str).unwrap_or_default();
    first_call::show(app, &local_url(context, app.address()), key).await
}

/// Takes an earlier `demo.json` away, and gives what it said.
fn set_aside(shown: &Path, aside: &Path) -> Result<Option<Value>, CliError> {
    if shown.exists() {
        std::fs::rename(shown, aside).map_err(|source| CliError::File {
            what: "setting aside",
            path: shown.to_owned(),
            source,
        })?;
    }
    match std::fs::read(aside) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| CliError::Usage(format!("{} is not what a demonstration left: {error}", aside.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CliError::File { what: "reading", path: aside.to_owned(), source }),
    }
}

fn write(path: &Path, document: &Value) -> Result<(), CliError> {
    let failed = |source| CliError::File { what: "writing", path: path.to_owned(), source };
    // Written whole beside it and renamed: a reader sees all of it or nothing.
    let beside = path.with_extension("new");
    let mut file = private::create(&beside).map_err(failed)?;
    writeln!(file, "{document:#}").and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)
}

fn write_new(path: &Path, text: &str) -> Result<(), CliError> {
    match private::open(path, std::fs::OpenOptions::new().write(true).create_new(true)) {
        Ok(mut file) => file.write_all(text.as_bytes()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
    .map_err(|source| CliError::File { what: "writing", path: path.to_owned(), source })
}

fn quoted_path(path: &Path) -> String {
    quoted(&path.display().to_string())
}

/// As TOML and JSON both write it.
fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// The switches of an earlier run, by which calls are refused that somebody may expect to pass.
fn engaged(context: &Context, app: &App) -> Option<String> {
    let state = app.node().control.ports.fence().state();
    let first = state.switches.values().next()?;
    let names: Vec<String> = state.switches.values().map(|switch| format!("{} on {}", switch.id, switch.target)).collect();
    Some(format!(
        "A switch is still engaged, and the calls that it covers are refused: {}.\nRelease it in the console, or with: forelog switch \
         release {} --break-glass --reason 'demonstration' --data {}\n",
        names.join(", "),
        first.id,
        context.config.data_dir.display()
    ))
}

fn greeting(document: &Value, shown: &Path, head: &str, first: Option<&str>) -> String {
    let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (base, mcp, key) = (text("/base_url"), text("/mcp_url"), text("/customer/api_key"));
    let staff = text("/staff/api_key");
    let vms: Vec<String> =
        document["vms"].as_array().into_iter().flatten().map(|vm| format!("  {}  {}", vm["id"], vm["label"])).collect();
    let first = first.map(|first| format!("{first}\n\n")).unwrap_or_default();
    format!(
        "{head} Ctrl-C stops it; starting it again goes on with the same data.

VMs of the example account:
{}

{first}Connect an agent:
  claude mcp add --transport http forelog {mcp} --header 'Authorization: Bearer {key}'

Or call a tool yourself:
  curl -s -X POST {base}/api/v1/tools/vm_list -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' -d '{{}}'

Sign in at {base}/console/:
  {}  {}   (customer)
  {}  {}   (staff)

Read what happened, as staff:
  curl -s {base}/api/v1/calls -H 'Authorization: Bearer {staff}'

Every key and password is in {}",
        vms.join("\n").replace('"', ""),
        text("/customer/email"),
        text("/customer/password"),
        text("/staff/email"),
        text("/staff/password"),
        shown.display(),
    )
}
