//! What goes wrong on the command line, and what the person in front of it can do.

use std::error::Error;
use std::path::PathBuf;

use super::access::Denied;
use super::stdio::pipe_error::PipeError;
use crate::app::AppError;
use crate::app::directory_lock::DirectoryLockError;
use crate::app::local_admin::LocalAdminError;
use crate::app::node::NodeError;
use crate::app::policies::EngineError;
use crate::app::rooms::RoomError;
use crate::auth::AuthError;
use crate::config::ConfigError;
use crate::core::code::Code;
use crate::core::id::CallId;
use crate::core::refusal::Refusal;
use crate::core::scrub::scrub_text;
use crate::core::visible::escape_hidden;
use crate::export::bundle::ExportError;
use crate::log::dialect::Room;
use crate::log::reading::ReadError;
use crate::log::server_error::{is_denied_to, is_no_server, is_shared, is_shut_out};
use crate::log::sql::SqlError;
use crate::log::store::StoreError;
use crate::log::writer::WriteError;
use crate::policy::PolicyError;
use crate::providers::compute::ProviderError;
use crate::views::ViewError;

/// A command that did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Something that this user may not read.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The server does not do what it is there for.
    #[error("the server at {address} cannot record calls: {why}")]
    Unhealthy {
        /// Where it was asked.
        address: std::net::SocketAddr,
        /// What it did.
        why: String,
    },
    /// Nothing listens there.
    #[error("no server listens at {0}")]
    Silent(std::net::SocketAddr),
    /// There is no log in the database.
    #[error("there is no Forelog data in the database that the configuration names")]
    EmptyDatabase,
    /// The rooms, or what was asked of them.
    #[error(transparent)]
    LocalAdmin(#[from] LocalAdminError),
    /// A provider.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The server.
    #[error(transparent)]
    App(#[from] AppError),
    /// A set of policies.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A set of policies was not put in force.
    #[error("{}", .0.message)]
    NotLoaded(Box<Refusal>),
    /// What is to be set cannot be read.
    #[error("{0:?} is not KEY=NUMBER, such as limits.exec.admit=30")]
    Limit(String),
    /// A tool refused, or failed.
    #[error("{}: {}", .0.code, escape_hidden(.0.message.as_str()))]
    Refused(Box<Refusal>),
    /// A tool had not ended when this command did.
    #[error("{0} goes on; look its outcome up in the log")]
    GoesOn(CallId),
    /// The switches did not do what they are for.
    #[error("the drill failed: {}", escape_hidden(.0))]
    Drill(String),
    /// The catalogue.
    #[error(transparent)]
    Catalogue(#[from] crate::tools::CatalogueError),
    /// The catalogue, as policies see it.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// Reading the log.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Taking the log away.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Walking the log.
    #[error(transparent)]
    Verify(#[from] crate::export::verify::VerifyError),
    /// The read models.
    #[error(transparent)]
    View(#[from] ViewError),
    /// MCP over a pipe.
    #[error(transparent)]
    Pipe(#[from] PipeError),
    /// The key cannot be looked up.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// What was looked at is not as it should be.
    #[error("{}{}", listed(.faults), more_of(*.more))]
    Faults {
        /// What is wrong.
        faults: Vec<String>,
        /// How much more is wrong.
        more: usize,
    },
    /// What `doctor` looked at is not all as it should be, or could not be looked at.
    #[error("{wrong} found wrong and {unseen} not looked at:{}{}", INDENT, listed(.lines))]
    Checked {
        /// How many are wrong.
        wrong: usize,
        /// How many could not be looked at.
        unseen: usize,
        /// All of them.
        lines: Vec<String>,
    },
    /// Mending the state beside the log.
    #[error(transparent)]
    Mend(#[from] crate::app::mend::MendError),
    /// The system does not tell when to stop.
    #[error("waiting for the signal to stop")]
    Signal(#[source] std::io::Error),
    /// A file.
    #[error("{what} {}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A switch is released elsewhere.
    #[error("{0}")]
    Glass(String),
    /// What was asked for does not make sense.
    #[error("{}", escape_hidden(.0))]
    Usage(String),
}

impl CliError {
    /// What a walk of the log found.
    #[must_use]
    pub fn found(report: &crate::export::verify::Report) -> Self {
        let faults = report.findings.iter().map(ToString::to_string).collect();
        Self::Faults { faults, more: usize::try_from(report.more).unwrap_or(usize::MAX) }
    }

    /// What to do about it, where that is known, and under which call it is on record.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let call = self.refusal().and_then(|refusal| refusal.details["call_id"].as_str());
        let on_record = call.map(|call| format!("It is on record as {call}."));
        let lines: Vec<String> = self.next_step().into_iter().chain(on_record).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// What to do about it, where that is known.
    pub(super) fn next_step(&self) -> Option<String> {
        match (self, self.refusal()) {
            (Self::Denied(denied), _) => Some(denied.hint()),
            (_, Some(refusal)) if matches!(refusal.code, Code::Unauthenticated | Code::TokenExpired | Code::TokenRevoked) => {
                Some(
                    "the key is what FORELOG_API_KEY says, or api_key in the configuration: set it to a key of this server"
                        .into(),
                )
            }
            (_, Some(refusal)) => refusal.hint.clone(),
            (_, None) => self.advice().map(str::to_owned),
        }
    }

    /// The refusal behind it, which says itself what to do.
    pub(super) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::NotLoaded(refusal)
            | Self::Refused(refusal)
            | Self::Pipe(PipeError::Refused(refusal))
            | Self::LocalAdmin(LocalAdminError::Against(refusal))
            | Self::Node(NodeError::Policy(refusal))
            | Self::App(AppError::Node(NodeError::Policy(refusal))) => Some(refusal),
            _ => None,
        }
    }

    fn advice(&self) -> Option<&'static str> {
        match self {
            _ if is_too_new(self) => Some("a newer forelog has been here: use that one, schemas do not go back"),
            _ if is_shared_session(self) => Some(
                "a pooler between Forelog and PostgreSQL has to give each connection a session of its own: pool_mode = session",
            ),
            _ if is_held(self) => Some("wait for it to end, or end it as the superuser: select pg_terminate_backend(<its pid>)"),
            _ if is_denied(self) => Some(
                "check database_url, and whether somebody has changed the role's password or pg_hba.conf. A server that runs has sessions of its \
                 own, and stops: engage in its console or over REST (POST /api/v1/switches), at its `listen`",
            ),
            _ if is_shut_out_of(self) => Some(
                "a server that runs has sessions of its own, and stops: engage in its console or over REST (POST /api/v1/switches), \
                 at its `listen`. Then make room: `alter role … connection limit` for who takes the sessions (docs/postgresql.md)",
            ),
            _ if is_unconfirmed(self) => Some(
                "bring the standby back, or take it out of synchronous_standby_names on the server and reload that; then say it again",
            ),
            _ if is_blocked(self) => Some(
                "nothing was written. Of a process: `kill -CONT PID` lets a stopped one go on, `kill -9 PID` ends it. Of a session of \
                 PostgreSQL: `select pg_terminate_backend(PID)`. Then say it again",
            ),
            _ if is_uncertain(self) => Some(
                "look before you say it again: `forelog switch list`, `forelog key list`, `forelog account list` and `forelog doctor` \
                 show what is there",
            ),
            _ if is_full(self) => Some(
                "nothing can be recorded, so nothing is admitted and nothing has to be stopped meanwhile. To keep it so, stop the nodes, make \
                 room on the disk that the data is on, engage again, and start them",
            ),
            _ if differs(self) => Some("nothing is decided until it follows again; `forelog doctor` names what differs"),
            Self::Config(ConfigError::File { .. }) => Some("check the path given with --config"),
            Self::Config(_) => Some("docs/forelog.toml shows every key with its default"),
            Self::Policy(PolicyError::Cases(_)) => Some(
                "if the policies are right, replace the case in that file, or change its `expect` or `policy`; else change the policies. \
                 `forelog policy check --dir DIR` tries them again",
            ),
            Self::Silent(_) => Some("start it with `forelog serve`, or name where it listens with --listen or --config"),
            Self::EmptyDatabase => Some(
                "check database_url; `forelog migrate`, `forelog account create` and `forelog serve --create` create what it needs",
            ),
            Self::App(AppError::Seat(DirectoryLockError::Taken { .. })) => Some(
                "data in files has one server at a time: end that one first, or use PostgreSQL for several (docs/postgresql.md). One that is \
                 stopped goes on with `kill -CONT PID`, or ends with `kill -9 PID`. A `forelog stdio` without --url and without a server has \
                 the data to itself until its client ends: start `forelog serve` first, or give it --url",
            ),
            Self::App(AppError::NothingInForce) => Some(
                "run `forelog serve` once, or put the configuration's in force with `forelog limits load` and `forelog policy load`",
            ),
            Self::Pipe(PipeError::ServedElsewhere(_)) => Some("give the address of a server with --url"),
            Self::Pipe(PipeError::NotOurs(_)) => {
                Some("run it as the user that the server runs as, or give the server's address with --url")
            }
            Self::Pipe(PipeError::Unreached { .. }) => Some("check the address, and that the server runs there"),
            Self::Pipe(PipeError::Url { .. }) => Some("as in --url https://forelog.example"),
            Self::App(AppError::Listen { source, .. }) if source.kind() == std::io::ErrorKind::AddrNotAvailable => {
                Some("this machine does not have that address: listen on one of its own, 127.0.0.1 or 0.0.0.0")
            }
            Self::App(AppError::Listen { source, .. }) if source.kind() == std::io::ErrorKind::PermissionDenied => {
                Some("ports below 1024 are not for every user: choose another port with --listen, such as 127.0.0.1:7373")
            }
            Self::App(AppError::Listen { .. }) => {
                Some("another program may listen there: choose another address with --listen, or port 0")
            }
            _ if is_unreachable(self) && self.is_of_vault() => {
                Some("check that the vault's database runs, and vault_database_url: host, port, name and password")
            }
            _ if is_unreachable(self) => Some("check that the database runs, and database_url: host, port, name and password"),
            Self::Glass(_) => Some("--break-glass releases it here, on the record and with an alarm"),
            Self::File { .. } | Self::Export(ExportError::File(..)) => {
                Some("check that the path is right and that this user may read and write it")
            }
            Self::Export(ExportError::Unread(..)) => Some("a bundle is the directory that `forelog export --out DIR` has made"),
            Self::Export(ExportError::Taken(_)) => Some("name another directory with --out, or move that one away"),
            Self::Provider(_) | Self::App(AppError::Node(NodeError::Provider(_))) => {
                Some("check [providers] in the configuration")
            }
            _ => self.room()?.hint(),
        }
    }

    fn is_of_vault(&self) -> bool {
        let of_vault = |error: &RoomError| matches!(error, RoomError::Open { room: Room::Vault, .. } | RoomError::Vault { .. });
        matches!(self, Self::LocalAdmin(LocalAdminError::Vault(_))) || self.room().is_some_and(of_vault)
    }

    /// The rooms that could not be opened, by whomever.
    fn room(&self) -> Option<&RoomError> {
        match self {
            Self::LocalAdmin(LocalAdminError::Room(error))
            | Self::Node(NodeError::Room(error))
            | Self::App(AppError::Node(NodeError::Room(error)) | AppError::LocalAdmin(LocalAdminError::Room(error))) => {
                Some(error)
            }
            _ => None,
        }
    }
}

/// An error, and what it comes from, down to the first cause.
fn causes(error: &CliError) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let first: &(dyn Error + 'static) = error;
    std::iter::successors(Some(first), |error| (*error).source())
}

/// Control state is not what the log says, whoever found it.
fn differs(error: &CliError) -> bool {
    causes(error).any(|error| {
        matches!(error.downcast_ref(), Some(WriteError::Differs(_)))
            || matches!(error.downcast_ref(), Some(StoreError::Differs(_)))
    })
}

/// Somebody else holds the log, whoever found it.
fn is_blocked(error: &CliError) -> bool {
    causes(error).any(|error| {
        matches!(error.downcast_ref(), Some(WriteError::Blocked(_)))
            || error.downcast_ref::<SqlError>().is_some_and(SqlError::is_held)
    })
}

/// Nobody knows whether it was written.
fn is_uncertain(error: &CliError) -> bool {
    causes(error).any(|error| matches!(error.downcast_ref(), Some(WriteError::Store { uncertain: true, .. })))
}

/// A standby keeps every commit waiting, whoever found it.
fn is_unconfirmed(error: &CliError) -> bool {
    causes(error).any(|error| {
        matches!(error.downcast_ref(), Some(WriteError::Unconfirmed(_)))
            || matches!(error.downcast_ref(), Some(SqlError::Unconfirmed { .. }))
    })
}

/// The database server is full, or ends the sessions that are opened.
/// The server knows no such role, or not by that password.
fn is_denied(error: &CliError) -> bool {
    causes(error).any(|error| error.downcast_ref::<SqlError>().is_some_and(is_denied_to))
}

fn is_shut_out_of(error: &CliError) -> bool {
    causes(error).any(|error| error.downcast_ref::<SqlError>().is_some_and(is_shut_out))
}

/// There is no room on the disk of whatever was written. Only the text is left of what the log's writer met.
fn is_full(error: &CliError) -> bool {
    causes(error).any(|error| {
        let text = error.to_string();
        text.contains("database or disk is full") || text.contains("No space left on device")
    })
}

/// A database server does not answer, or lets nobody in by that name.
fn is_unreachable(error: &CliError) -> bool {
    causes(error).any(|error| error.downcast_ref::<SqlError>().is_some_and(is_no_server))
}

/// A pooler answers one session's statements in another one.
fn is_shared_session(error: &CliError) -> bool {
    causes(error).any(|error| error.downcast_ref::<SqlError>().is_some_and(is_shared))
}

/// Another session keeps the schema from being changed.
fn is_held(error: &CliError) -> bool {
    causes(error).any(|error| matches!(error.downcast_ref(), Some(SqlError::Held { .. })))
}

/// The schema is newer than this program, whoever found it.
fn is_too_new(error: &CliError) -> bool {
    causes(error).any(|error| matches!(error.downcast_ref(), Some(SqlError::TooNew { .. })))
}

impl From<RoomError> for CliError {
    fn from(error: RoomError) -> Self {
        Self::LocalAdmin(error.into())
    }
}

/// An error as a person reads it: line by line, with nothing in it that a terminal would obey. A journal keeps it, and it may
/// quote the URL of a database, so secrets are blanked.
#[must_use]
pub fn said(error: &str, hint: Option<&str>) -> String {
    let hint = hint.map_or_else(String::new, |hint| format!("\nhint: {hint}"));
    let text = format!("error: {}{hint}", scrub_text(error));
    text.split('\n').map(escape_hidden).collect::<Vec<_>>().join("\n")
}

/// Faults one below the other. Names of rows are in them, which may be anything.
fn listed(faults: &[String]) -> String {
    faults.iter().map(|fault| escape_hidden(fault)).collect::<Vec<_>>().join(INDENT)
}

const INDENT: &str = "\n       ";

fn more_of(more: usize) -> String {
    if more == 0 { String::new() } else { format!("\n       and {more} more faults") }
}
