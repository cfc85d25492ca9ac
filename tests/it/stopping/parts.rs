//! The parts that are broken, how each is broken, and how it is mended.
//!
//! A disk is full by what the kernel answers to writes of those files alone; a database hangs because somebody holds the locks
//! that each access takes (files), or because the server is halted (PostgreSQL).

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use reqwest::Method;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::{House, TIMEOUT};
use crate::cli::{Server, shown};
use crate::frozen::{Calling, caught_in_database};
use crate::harness::until;
use crate::local_admin::id;
use crate::notices::{Full, stranger};
use crate::pipe::signal;
use crate::tools;

/// What is broken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Nothing,
    /// The files of a room are not where they were.
    Moved(&'static str),
    /// A room's file is no database any more.
    Scribbled(&'static str),
    /// Another process writes and does not end.
    WriteLocked(&'static str),
    /// Another process keeps everybody from reading.
    ReadLocked(&'static str),
    /// Nothing can be written to the files of a room.
    Full(&'static str),
    VaultDown,
    VaultHangs,
    /// A schema of the database has another name.
    SchemaGone(&'static str),
    /// Another session holds the views' tables.
    ViewsLocked,
    /// Somebody's call waits for a provider that never answers.
    ProviderHangs,
    /// Somebody signs in by an issuer that never answers.
    IssuerHangs,
    /// Another node has put other policies in force than those that this one has.
    PoliciesDiffer,
    /// Nobody takes what is observed.
    TelemetryHangs,
    /// The clock of commands is a day ahead, and that of another node, where there can be one.
    ClocksWrong,
    /// The database server takes no notification.
    NoticesFull,
    /// Another node is halted while it holds the log's head.
    NodeFrozen,
}

/// Something broken, and what it takes to mend it.
pub enum Broken {
    Nothing,
    Moved(&'static str),
    Scribbled(PathBuf, Vec<u8>),
    Held(Child),
    Injected(Child),
    Down,
    Halted,
    Renamed(&'static str),
    Locked(Box<PgConnection>),
    Beside(Box<Server>),
    Frozen(Box<Server>),
    Unheard(Box<Full>),
    Silent(Vec<TcpListener>, Vec<tokio::task::JoinHandle<()>>),
}

/// Takes the lock for writing, as a transaction that does not end, and keeps it until its input ends.
const WRITE: &str = "
import sqlite3, sys
room = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
room.execute('begin immediate')
print('held', flush=True)
sys.stdin.read()
";

/// Takes the locks of the file beside a room that each access to it takes one of.
const READ: &str = "
import fcntl, sys
shared = open(sys.argv[1] + '-shm', 'r+b')
fcntl.lockf(shared, fcntl.LOCK_EX, 8, 120)
print('held', flush=True)
sys.stdin.read()
";

/// Writes to a room's file whatever is written ahead of it.
const SETTLE: &str = "
import sqlite3, sys
room = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
busy, _, _ = room.execute('pragma wal_checkpoint(truncate)').fetchone()
sys.exit(busy)
";

/// Where nobody answers.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, format!("http://{address}"))
}

/// Its port is free again, for the silence that begins later: connections to it are refused until then.
fn reserved() -> String {
    silent().1
}

thread_local! {
    static SILENCE: std::cell::RefCell<String> = const { std::cell::RefCell::new(String::new()) };
}

impl Part {
    /// The end of the configuration that it takes.
    pub fn configuration(self) -> String {
        let faults = if self == Self::ProviderHangs { "faults = [{ fault = \"no_answer\", every = 1 }]\n" } else { "" };
        let sim = format!("[providers.sim]\nmachines = [\"web-1\"]\n{faults}");
        let address = reserved();
        SILENCE.with_borrow_mut(|silence| silence.clone_from(&address));
        match self {
            Self::IssuerHangs => format!(
                "{sim}[sign_in.oidc.corp]\ntitle = \"Example Corp\"\nissuer = \"{address}\"\nclient_id = \"forelog\"\nside = \"staff\"\n\
                 domains = [\"example.com\"]\nroles = {{ \"admins\" = \"admin\" }}\ngroups_claim = \"groups\"\n"
            ),
            Self::TelemetryHangs => format!("{sim}[telemetry]\nendpoint = \"{address}\"\n"),
            _ => sim,
        }
    }

    /// It is the vault that is away.
    pub fn is_of_vault(self) -> bool {
        matches!(
            self,
            Self::VaultDown
                | Self::VaultHangs
                | Self::Moved("vault")
                | Self::Scribbled("vault")
                | Self::WriteLocked("vault")
                | Self::ReadLocked("vault")
                | Self::Full("vault")
                | Self::SchemaGone("vault")
        )
    }

    /// A node that has its keys in memory sees it by itself. What only keeps others from writing shows when a key is made.
    pub fn shows(self) -> bool {
        !matches!(self, Self::WriteLocked(_) | Self::Full(_))
    }

    /// The command line has no key, and so records no text.
    pub fn leaves_out(self) -> bool {
        self.is_of_vault() && !matches!(self, Self::WriteLocked(_) | Self::Full(_))
    }

    /// Whether what no switch covers is answered so. Whoever holds the head keeps an ordinary call waiting for too long.
    pub fn lets_through(self, code: &str) -> bool {
        match self {
            Self::PoliciesDiffer => matches!(code, "" | "policy_unsettled"),
            Self::NodeFrozen => matches!(code, "" | "audit_unavailable"),
            _ => code.is_empty(),
        }
    }

    /// In which commands are run.
    pub fn environment(self) -> Vec<(&'static str, String)> {
        if self != Self::ClocksWrong {
            return Vec::new();
        }
        let library = tools::find("FORELOG_FAKETIME").display().to_string();
        let told = [("LD_PRELOAD", library.as_str()), ("FAKETIME", "+25h"), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
        told.map(|(name, value)| (name, value.to_owned())).into()
    }

    pub async fn break_in(self, house: &House) -> Broken {
        match self {
            Self::Nothing => Broken::Nothing,
            Self::Moved(room) => {
                shift(house, room, "", ".aside");
                Broken::Moved(room)
            }
            Self::Scribbled(room) => scribble(house.file(room)),
            Self::WriteLocked(room) => held(WRITE, house.file(room)),
            Self::ReadLocked(room) => held(READ, house.file(room)),
            Self::Full(room) => full(house, room).await,
            Self::VaultDown => {
                house.vault.as_ref().expect("a server").stop();
                Broken::Down
            }
            Self::VaultHangs => {
                house.vault.as_ref().expect("a server").freeze();
                Broken::Halted
            }
            Self::SchemaGone(schema) => {
                rename(house, schema, schema, "aside").await;
                Broken::Renamed(schema)
            }
            Self::ViewsLocked => {
                let mut session = PgConnection::connect(url_of(house, "views")).await.expect("connect to the cluster");
                session.execute("begin").await.expect("a transaction");
                session.execute("lock table views.call, views.schema_version in access exclusive mode").await.expect("the locks");
                Broken::Locked(Box::new(session))
            }
            Self::ProviderHangs => hang_in_provider(house).await,
            Self::IssuerHangs => hang_at_issuer(house),
            Self::PoliciesDiffer => differ(house).await,
            Self::TelemetryHangs => Broken::Silent(vec![listen()], Vec::new()),
            Self::ClocksWrong if house.url.is_none() => Broken::Nothing,
            Self::ClocksWrong => Broken::Beside(Box::new(beside(house, "forelog.toml").await)),
            Self::NoticesFull => {
                let (cluster, url) = (house.vault.as_ref().expect("a server"), url_of(house, "log"));
                Broken::Unheard(Box::new(Full::make(cluster, &stranger(cluster, url).await).await))
            }
            Self::NodeFrozen => freeze(house).await,
        }
    }
}

/// Where nobody answered before somebody listens, and says nothing.
fn listen() -> TcpListener {
    let address = SILENCE.with_borrow(|silence| silence.trim_start_matches("http://").to_owned());
    TcpListener::bind(address).expect("the port is still free")
}

/// Moves the files of a room. A node that has them open goes on with what has no name any more, unless it looks.
fn shift(house: &House, room: &str, from: &str, to: &str) {
    for end in ["", "-wal", "-shm"] {
        let name = |state: &str| house.path().join(format!("{room}.db{end}{state}"));
        if name(from).exists() {
            std::fs::rename(name(from), name(to)).expect("moved");
        } else if name(to).exists() {
            std::fs::remove_file(name(to)).expect("removed");
        }
    }
}

fn scribble(file: PathBuf) -> Broken {
    // What is written ahead has another copy of the beginning.
    let mut python = Command::new(tools::find("FORELOG_PYTHON"));
    let settled = python.args(["-c", SETTLE]).arg(&file).status().expect("run Python");
    assert!(settled.success(), "nothing is left to be written to {}", file.display());
    let room = std::fs::File::options().read(true).write(true).open(&file).expect("the file");
    let mut was = vec![0; 100];
    room.read_exact_at(&mut was, 0).expect("its beginning");
    room.write_all_at(&[0x5A; 100], 0).expect("written");
    Broken::Scribbled(file, was)
}

fn held(script: &str, file: PathBuf) -> Broken {
    let mut python = Command::new(tools::find("FORELOG_PYTHON"));
    python.args(["-c", script]).arg(file).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = python.spawn().expect("run Python");
    let mut line = String::new();
    BufReader::new(holder.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    assert_eq!(line.trim(), "held");
    Broken::Held(holder)
}

/// Whatever the server writes to these files, the disk is full.
async fn full(house: &House, room: &str) -> Broken {
    let files: Vec<String> = ["", "-wal"].map(|end| format!("{}{end}", house.file(room).display())).into();
    let report = house.path().join("strace.log");
    let calls = "write,pwrite64,fallocate,ftruncate";
    let strace = Command::new("strace")
        .args(["-f", "-P", &files[0], "-P", &files[1], "-e", &format!("trace={calls}")])
        .args(["-e", &format!("inject={calls}:error=ENOSPC"), "-o"])
        .arg(&report)
        .arg(format!("--attach={}", house.server().id()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("run strace");
    until(TIMEOUT, "strace follows the server", async || traced(house.server().id())).await;
    Broken::Injected(strace)
}

fn traced(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    status.lines().any(|line| line.strip_prefix("TracerPid:").is_some_and(|tracer| tracer.trim() != "0"))
}

fn url_of<'a>(house: &'a House, schema: &str) -> &'a str {
    let url = if schema == "vault" { &house.vault_url } else { &house.url };
    url.as_deref().expect("a database")
}

async fn rename(house: &House, room: &str, from: &str, to: &str) {
    let mut session = PgConnection::connect(url_of(house, room)).await.expect("connect to the cluster");
    // Whatever was made in its place meanwhile is empty.
    let script = format!("drop schema if exists {to} cascade; alter schema {from} rename to {to}");
    session.execute(sqlx::raw_sql(AssertSqlSafe(script))).await.expect("another name");
}

async fn hang_in_provider(house: &House) -> Broken {
    let args = json!({ "vm_id": house.vm, "action": "reboot", "confirm": true });
    let (status, said) = house.ask(&house.agent, Method::POST, "/api/v1/tools/vm_power", args).await;
    assert_eq!(status, 202, "{said}");
    let call = format!("/api/v1/calls/{}", said["operation_id"].as_str().expect("an operation"));
    until(TIMEOUT, "it runs", async || house.ask(&house.agent, Method::GET, &call, json!(null)).await.1["status"] == "running")
        .await;
    Broken::Nothing
}

/// Several people are on their way to the issuer, and none gets there.
fn hang_at_issuer(house: &House) -> Broken {
    let listener = listen();
    let url = format!("{}/console/sign-in/oidc/corp", house.server().says("/base_url"));
    let on_their_way = (0..4).map(|_| {
        let asked = house.http.post(&url).header("sec-fetch-site", "same-origin").send();
        tokio::spawn(async move { drop(asked.await) })
    });
    Broken::Silent(vec![listener], on_their_way.collect())
}

/// A second node, whose policies say the same in other words.
async fn differ(house: &House) -> Broken {
    let (dir, ours) = (house.path().join("policies"), Path::new(env!("CARGO_MANIFEST_DIR")).join("policies"));
    std::fs::create_dir(&dir).expect("a directory");
    std::fs::copy(ours.join("cases.toml"), dir.join("cases.toml")).expect("the cases");
    let text = std::fs::read_to_string(ours.join("default.cedar")).expect("the policies");
    std::fs::write(dir.join("default.cedar"), format!("// Those of another node.\n{text}")).expect("other policies");
    let config = std::fs::read_to_string(house.path().join("forelog.toml")).expect("the configuration");
    let other = house.path().join("other.toml");
    std::fs::write(&other, format!("policies_dir = {:?}\n{config}", shown(&dir))).expect("another configuration");
    Broken::Beside(Box::new(beside(house, "other.toml").await))
}

/// Another node on the same database.
async fn beside(house: &House, config: &str) -> Server {
    let config = house.path().join(config);
    let args = ["serve", "--config", shown(&config), "--data", shown(house.path())];
    Server::start_in(&house.env, &args, &house.path().join("beside.log")).await
}

/// A second node, which is called without end, by a customer of its own, until it is caught.
async fn freeze(house: &House) -> Broken {
    let other = beside(house, "forelog.toml").await;
    let account = id(&house.run(&["account", "create", "--name", "Busy Ltd", "--email", "busy@example.com"]));
    let key = house.run(&["key", "create", "--account", &account, "--label", "busy"]);
    let calling = Calling::begin(&other, key["api_key"].as_str().expect("a key"));
    caught_in_database(url_of(house, "log"), other.id()).await;
    drop(calling);
    Broken::Frozen(Box::new(other))
}

impl Broken {
    pub async fn mend(self, house: &House) {
        match self {
            Self::Nothing => {}
            Self::Moved(room) => shift(house, room, ".aside", ""),
            Self::Scribbled(file, was) => {
                let room = std::fs::File::options().write(true).open(file).expect("the file");
                room.write_all_at(&was, 0).expect("written");
            }
            Self::Held(mut holder) => {
                drop(holder.stdin.take());
                holder.wait().expect("it ends");
            }
            Self::Injected(mut strace) => {
                let asked = Command::new("kill").args(["-INT", &strace.id().to_string()]).status().expect("run kill");
                assert!(asked.success(), "strace ended by itself");
                strace.wait().expect("strace lets go");
            }
            Self::Down => house.vault.as_ref().expect("a server").start_again().await,
            Self::Halted => house.vault.as_ref().expect("a server").thaw(),
            Self::Renamed(schema) => rename(house, schema, "aside", schema).await,
            Self::Locked(session) => session.close().await.expect("its end"),
            Self::Beside(other) => other.stop().await,
            Self::Frozen(other) => {
                signal(other.id(), "CONT");
                other.stop().await;
            }
            Self::Unheard(full) => full.mend(),
            Self::Silent(listeners, on_their_way) => {
                drop(listeners);
                for one in on_their_way {
                    one.abort();
                }
            }
        }
    }
}
