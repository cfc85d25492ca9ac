//! The command line: one file per command, one answer per command.
//!
//! INVARIANT: standard output holds the answer and nothing else (with `--json`, one document); what went wrong and how far
//! something is go to standard error. What people read passes [`Text`], and errors [`said`]: nothing in it is taken for
//! something else than text.

mod access;
mod account;
mod address;
mod approval;
mod call;
mod call_tool;
mod check_names;
mod checks;
mod clock;
mod declared;
mod demo;
mod demo_data;
mod doctor;
mod error;
mod error_document;
mod export;
mod first_call;
mod fleet;
mod health;
mod key;
mod limits;
mod log;
mod migrate;
mod named;
mod policy;
mod progress;
mod rules_check;
mod serve;
mod start_check;
mod start_warnings;
mod stdio;
mod suggestion;
mod switch;
mod table;
mod time;
mod vault_check;
mod view;
mod views_check;
mod vm;

use std::fmt;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use clap::{Args, Parser, Subcommand};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

pub use self::error::{CliError, said};
pub use self::error_document::print_error;
pub use self::suggestion::parse;
use crate::ambient::{OsEntropy, SystemClock};
use crate::app::directory_lock::DirectoryLock;
use crate::app::local_admin::LocalAdmin;
use crate::app::rooms::{self, RoomError};
use crate::app::{App, AppError};
use crate::config::{Config, Flags};
use crate::core::time::{Clock, Entropy};
use crate::core::visible::escape_hidden;

const EXAMPLES: &str = "\
Examples:
  forelog demo                                      try it on this machine, with an example account
  forelog serve --config forelog.toml               serve real accounts and VMs
  forelog switch engage all --reason 'incident 42'  stop every agent, even while the server is down
  forelog doctor --data forelog-data                check the installation";

/// Where a demonstration is, unless --data says otherwise.
const DEMO_DIR: &str = "forelog-demo";

/// Under which heading the help has what every command takes: below a command's own options.
const GLOBAL: &str = "Global options";

/// An audit-first control plane for AI agents that operate servers.
#[derive(Debug, Parser)]
#[command(name = "forelog", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// Data directory; its forelog.toml is the configuration unless --config names another file.
    #[arg(long, global = true, value_name = "DIR", help_heading = GLOBAL)]
    pub data: Option<PathBuf>,
    /// Configuration file.
    #[arg(long, global = true, value_name = "FILE", help_heading = GLOBAL)]
    pub config: Option<PathBuf>,
    /// Print one JSON document; an error too.
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a demonstration on this machine, with an example account, keys and VMs.
    Demo(demo::DemoArgs),
    /// Run the server.
    Serve(serve::ServeArgs),
    /// Speak MCP over standard input and output.
    Stdio(stdio::StdioArgs),
    /// Call a tool of a running server.
    Call(call::CallArgs),
    /// Manage accounts and the people in them.
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Manage VMs, and list the machines of providers.
    #[command(subcommand)]
    Vm(vm::VmCommand),
    /// Manage API keys.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Engage, release and list kill switches on the data, with or without a running server.
    #[command(subcommand)]
    Switch(switch::SwitchCommand),
    /// Show the log's time, and accept this machine's clock.
    #[command(subcommand)]
    Clock(clock::ClockCommand),
    /// List and answer the calls that wait for approval.
    #[command(subcommand)]
    Approval(approval::ApprovalCommand),
    /// Check, show and reload policies.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Show and set limits, quotas and the times that decide for callers.
    #[command(subcommand)]
    Limits(limits::LimitsCommand),
    /// Rebuild the read models.
    #[command(subcommand)]
    View(view::ViewCommand),
    /// Verify the log.
    #[command(subcommand)]
    Log(log::LogCommand),
    /// Export a filtered range of the log, with a manifest of digests.
    Export(export::ExportArgs),
    /// Update the database schemas, as the role that owns them.
    Migrate(migrate::MigrateArgs),
    /// Check the installation.
    Doctor(doctor::DoctorArgs),
    /// Ask the running server whether it can record calls.
    Health(health::HealthArgs),
}

impl Command {
    /// It serves until it is stopped, and its log is wanted.
    #[must_use]
    pub fn serves(&self) -> bool {
        matches!(self, Self::Demo(_) | Self::Serve(_) | Self::Stdio(_))
    }

    fn listen(&self) -> Option<SocketAddr> {
        match self {
            Self::Demo(demo) => Some(demo.listen),
            Self::Serve(serve) => serve.listen,
            Self::Health(health) => health.listen,
            _ => None,
        }
    }
}

/// What a command has to say.
#[derive(Debug)]
pub struct Answer {
    /// For programs.
    pub document: Value,
    /// For people.
    pub text: Text,
}

/// What a command says to people, line by line. A text that is put into it is one line, whatever is in it: customers choose
/// labels and reasons, and nothing that they choose moves the cursor of a terminal or makes up a line of ours.
#[derive(Debug)]
pub struct Text(Vec<String>);

impl Text {
    /// A text of our own that has several lines.
    fn of_lines(text: &str) -> Self {
        Self(text.split('\n').map(str::to_owned).collect())
    }
}

impl From<String> for Text {
    fn from(line: String) -> Self {
        Self(vec![line])
    }
}

impl From<&str> for Text {
    fn from(line: &str) -> Self {
        line.to_owned().into()
    }
}

impl From<Vec<String>> for Text {
    fn from(lines: Vec<String>) -> Self {
        Self(lines)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(|line| escape_hidden(line)).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl Answer {
    /// Says that what was recorded has no free text, if there was no vault to seal it with.
    #[must_use]
    pub fn without_vault(self, why: Option<&str>) -> Self {
        self.lacking(why, "reasons and messages are not recorded, the event says so")
    }

    /// Says that what is sealed was not looked into, if there was no vault to open it with.
    #[must_use]
    pub fn read_without_vault(self, why: Option<&str>) -> Self {
        self.lacking(why, "what is sealed was not opened")
    }

    /// Says which data it was done on.
    fn on(mut self, context: &Context) -> Self {
        if let Some(fields) = self.document.as_object_mut() {
            fields.insert("data".into(), context.place().into());
        }
        self.text.0.push(format!("  on the data in {}", context.place()));
        self
    }

    fn lacking(mut self, why: Option<&str>, so: &str) -> Self {
        if let (Some(why), Some(fields)) = (why, self.document.as_object_mut()) {
            fields.insert("without_vault".into(), why.into());
            self.text.0.push(format!("the vault was not used ({why}): {so}"));
        }
        self
    }
}

/// What a command works with.
pub struct Context {
    /// What every command takes.
    pub common: Common,
    /// The configuration.
    pub config: Config,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Lines of the log that nobody read.
    pub lost_lines: Arc<AtomicU64>,
    /// The port of a demonstration, taken before anything of it is made.
    bound: Mutex<Option<TcpListener>>,
}

impl Context {
    /// The key that calls are made with. An empty one is none: it is what is left where a command that should print one failed.
    fn api_key(&self) -> Result<&SecretString, CliError> {
        let absent = || CliError::Usage("there is no key: set FORELOG_API_KEY, or api_key in the configuration".into());
        self.config.api_key.as_ref().filter(|key| !key.expose_secret().trim().is_empty()).ok_or_else(absent)
    }

    /// Reads the configuration that the flags name; a demonstration first makes the one it uses.
    pub fn new(cli: &Cli) -> Result<Self, CliError> {
        let (mut common, mut bound) = (cli.common.clone(), None);
        if let Command::Demo(demo) = &cli.command {
            let dir = common.data.get_or_insert_with(|| DEMO_DIR.into());
            bound = match App::bind(demo.listen) {
                Ok(bound) => Some(bound),
                Err(error) if !dir.exists() => return Err(error.into()),
                // The port may be that of the demonstration that has this directory: then that is said.
                Err(error) => return Err(DirectoryLock::alone(dir).map_err(AppError::from).err().unwrap_or(error).into()),
            };
            access::check(&dir.join("forelog.toml"))?;
            demo.prepare(dir)?;
        }
        let inside = common.data.as_ref().map(|dir| dir.join("forelog.toml"));
        if let Some(file) = common.config.as_ref().or(inside.as_ref()) {
            access::check(file)?;
        }
        let file = common.config.clone().or(inside.filter(|file| file.is_file()));
        let flags = Flags { data_dir: common.data.clone(), listen: cli.command.listen() };
        let config = Config::load(file.as_deref(), &flags)?;
        if let Command::Demo(demo) = &cli.command {
            demo.check(&config)?;
        }
        let (clock, lost_lines) = (Arc::new(SystemClock::start()), Arc::default());
        Ok(Self { common, config, clock, entropy: Arc::new(OsEntropy), lost_lines, bound: Mutex::new(bound) })
    }

    /// The same with another configuration.
    #[must_use]
    pub fn with(&self, config: Config) -> Self {
        Self {
            common: self.common.clone(),
            config,
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            lost_lines: self.lost_lines.clone(),
            bound: Mutex::default(),
        }
    }

    /// Which data a command works on, for people: a directory, or the database that is configured.
    fn place(&self) -> String {
        let dir = std::path::absolute(&self.config.data_dir).unwrap_or_else(|_| self.config.data_dir.clone());
        let database = self.config.database_url.as_ref().map_or("", |_| ", and in the database that its configuration names");
        format!("{}{database}", dir.display())
    }

    /// The rooms, for a command that works on the data itself. They must be there already: a slip of the keyboard must not
    /// make an empty log and then find it in order.
    pub async fn local_admin(&self) -> Result<LocalAdmin, CliError> {
        self.check_found().await?;
        Ok(LocalAdmin::open(&self.config, Arc::clone(&self.clock), Arc::clone(&self.entropy)).await?)
    }

    async fn check_found(&self) -> Result<(), CliError> {
        access::check_data(&self.config)?;
        self.check(rooms::found(&self.config).await?)
    }

    fn check(&self, is_found: bool) -> Result<(), CliError> {
        match is_found {
            true => Ok(()),
            false if self.config.database_url.is_some() => Err(CliError::EmptyDatabase),
            false => Err(RoomError::Nothing(self.config.data_dir.clone()).into()),
        }
    }

    /// What it takes to stop something: the log alone, if the vault does not answer (P15).
    pub async fn local_admin_to_stop(&self) -> Result<LocalAdmin, CliError> {
        access::check_to_stop(&self.config)?;
        self.check(rooms::found_to_stop(&self.config, &*self.clock).await?)?;
        Ok(LocalAdmin::open_to_stop(&self.config, Arc::clone(&self.clock), Arc::clone(&self.entropy)).await?)
    }

    /// What it takes to look: the log, and the vault if that answers soon. Nothing is brought up to date.
    pub async fn local_admin_to_read(&self) -> Result<LocalAdmin, CliError> {
        self.check_found().await?;
        Ok(LocalAdmin::open_to_read(&self.config, Arc::clone(&self.clock), Arc::clone(&self.entropy)).await?)
    }

    /// The same where the vault is needed as well.
    pub async fn local_admin_to_read_all(&self) -> Result<LocalAdmin, CliError> {
        self.check_found().await?;
        Ok(LocalAdmin::open_to_read_all(&self.config, Arc::clone(&self.clock), Arc::clone(&self.entropy)).await?)
    }

    /// The rooms, made if nothing of them is there.
    pub async fn new_local_admin(&self) -> Result<LocalAdmin, CliError> {
        access::check_data(&self.config)?;
        Ok(LocalAdmin::make(&self.config, Arc::clone(&self.clock), Arc::clone(&self.entropy)).await?)
    }
}

/// Runs a command to its end and gives what it has to say; nothing if it has said it already.
pub async fn run(command: Command, context: &Context) -> Result<Option<Answer>, CliError> {
    match command {
        Command::Demo(args) => demo::run(&args, context).await.map(|()| None),
        Command::Serve(args) => serve::run(&args, context).await.map(|()| None),
        Command::Stdio(args) => stdio::run(&args, context).await.map(|()| None),
        Command::Call(args) => call::run(args, context).await.map(Some),
        Command::Account(command) => account::run(command, context).await.map(Some),
        Command::Vm(command) => vm::run(command, context).await.map(Some),
        Command::Key(command) => key::run(command, context).await.map(Some),
        Command::Switch(command) => switch::run(command, context).await.map(Some),
        Command::Clock(command) => clock::run(command, context).await.map(Some),
        Command::Approval(command) => approval::run(command, context).await.map(Some),
        Command::Policy(command) => policy::run(command, context).await.map(Some),
        Command::Limits(command) => limits::run(command, context).await.map(Some),
        Command::View(command) => view::run(command, context).await.map(Some),
        Command::Log(command) => log::run(command, context).await.map(Some),
        Command::Export(args) => export::run(args, context).await.map(Some),
        Command::Migrate(args) => migrate::run(args, context).await.map(Some),
        Command::Doctor(args) => doctor::run(args, context).await.map(Some),
        Command::Health(args) => health::run(&args, context).await.map(Some),
    }
}

/// Prints the answer on standard output.
pub fn print(answer: &Answer, json: bool) {
    let mut out = std::io::stdout().lock();
    // A reader that has gone, as in `forelog vm list | head -1`, is no error.
    let _ = if json { writeln!(out, "{:#}", answer.document) } else { writeln!(out, "{}", answer.text) };
}
