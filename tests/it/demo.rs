//! The real binary, started as a user would start it: `forelog demo`, on a free port and with a data directory of its own.
//!
//! Invariant: it is gone when its handle is dropped.

use crate::tools;
use forelog::log::dialect::Room;
use forelog::log::postgres::open_postgres;
use forelog::log::sql::Database;
use forelog::log::sqlite::open_sqlite;
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const TIMEOUT: Duration = Duration::from_mins(1);

/// A running demo.
pub struct Demo {
    binary: PathBuf,
    database: Option<String>,
    process: Child,
    data: TempDir,
    document: Value,
    has_guests: bool,
}

impl Demo {
    /// The binary as it ships.
    pub async fn start() -> Self {
        Self::start_binary(Path::new(env!("CARGO_BIN_EXE_forelog"))).await
    }

    /// The binary as it ships, on a PostgreSQL database.
    pub async fn start_on(database: &str) -> Self {
        let data = tempfile::Builder::new().prefix("forelog-demo-").tempdir().expect("a data directory");
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_forelog"));
        let mut command = Command::new(&binary);
        command.args(["demo", "--database", database]);
        let process = run(command, data.path());
        let database = Some(database.to_owned());
        let mut demo = Self { binary, database, process, data, document: Value::Null, has_guests: false };
        demo.wait_until_described().await;
        demo
    }

    /// The binary with the fixtures of the conformance suite.
    pub async fn start_with_fixtures() -> Self {
        Self::start_binary(&fixture_binary()).await
    }

    /// The binary as it ships, with real guests made from the image in `image`.
    pub async fn start_with_guests(image: &Path) -> Self {
        let data = tempfile::Builder::new().prefix("forelog-demo-").tempdir().expect("a data directory");
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_forelog"));
        let mut command = Command::new(&binary);
        command.args(["demo", "--provider", "qemu", "--image"]).arg(image);
        let process = run(command, data.path());
        let mut demo = Self { binary, database: None, process, data, document: Value::Null, has_guests: true };
        demo.wait_until_described().await;
        demo
    }

    /// The binary as it ships, in a process that may open so many files and no more.
    pub async fn start_with_few_files(files: u32, variables: &[(&str, &str)]) -> Self {
        let data = tempfile::Builder::new().prefix("forelog-demo-").tempdir().expect("a data directory");
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_forelog"));
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("ulimit -n {files}; exec \"$0\" demo \"$@\"")).arg(&binary).envs(variables.iter().copied());
        let process = run(shell, data.path());
        let mut demo = Self { binary, database: None, process, data, document: Value::Null, has_guests: false };
        demo.wait_until_described().await;
        demo
    }

    /// The binary as it ships, with these variables in its environment.
    pub async fn start_with(variables: &[(&str, &str)]) -> Self {
        let data = tempfile::Builder::new().prefix("forelog-demo-").tempdir().expect("a data directory");
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_forelog"));
        let mut command = Command::new(&binary);
        command.arg("demo").envs(variables.iter().copied());
        let process = run(command, data.path());
        let mut demo = Self { binary, database: None, process, data, document: Value::Null, has_guests: false };
        demo.wait_until_described().await;
        demo
    }

    async fn start_binary(binary: &Path) -> Self {
        let data = tempfile::Builder::new().prefix("forelog-demo-").tempdir().expect("a data directory");
        let process = spawn(binary, data.path());
        let mut demo =
            Self { binary: binary.to_owned(), database: None, process, data, document: Value::Null, has_guests: false };
        demo.wait_until_described().await;
        demo
    }

    /// SIGKILL: nothing is flushed, nobody is told.
    pub fn kill(&mut self) {
        self.process.kill().and_then(|()| self.process.wait()).expect("kill the demo");
    }

    /// Starts it again on the same data.
    pub async fn restart(&mut self) {
        self.document = Value::Null;
        self.process = spawn(&self.binary, self.data.path());
        self.wait_until_described().await;
    }

    /// Starts it again where no file may grow beyond `blocks` of 512 bytes: a disk that is almost full.
    pub async fn restart_on_a_full_disk(&mut self, blocks: u64) {
        self.document = Value::Null;
        // The signal that comes with a full quota is ignored, so that the write fails as it does on a full disk.
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" demo \"$@\"");
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).arg(&self.binary);
        self.process = run(shell, self.data.path());
        self.wait_until_described().await;
    }

    /// Sends it a signal, by name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.process.id().to_string()]).status().expect("run kill");
        assert!(sent.success(), "{name} was not delivered");
    }

    /// Asks it to stop, and returns what it has logged once it has.
    pub async fn stop(mut self) -> String {
        self.signal("TERM");
        let ended = async {
            while self.process.try_wait().expect("its status").is_none() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, ended).await.expect("it ends");
        self.log()
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// Its log, read and locked past it.
    pub async fn log_room(&self) -> Box<dyn Database> {
        let opened = match &self.database {
            Some(url) => open_postgres(url, Room::Log).await,
            None => open_sqlite(&self.data().join("log.db"), Room::Log).await,
        };
        opened.expect("the log")
    }

    /// Where agents connect.
    pub fn mcp_url(&self) -> &str {
        self.text("/mcp_url")
    }

    /// The example customer's key.
    pub fn customer_key(&self) -> &str {
        self.text("/customer/api_key")
    }

    /// What `demo.json` has at `pointer`.
    pub fn text(&self, pointer: &str) -> &str {
        self.document.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("demo.json has no {pointer}"))
    }

    /// The whole of `demo.json`.
    pub fn document(&self) -> &Value {
        &self.document
    }

    async fn wait_until_described(&mut self) {
        let path = self.data.path().join("demo.json");
        let described = tokio::time::timeout(TIMEOUT, async {
            while self.document.is_null() {
                let ended = self.process.try_wait().expect("ask for the process");
                assert!(ended.is_none(), "the demo ended: {}", self.log());
                // Half a document is no document yet, and the one of an earlier start names a port where nobody listens.
                let found: Option<Value> = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
                self.document = found.filter(listens).unwrap_or_default();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(described.await.is_ok(), "the demo did not describe itself: {}", self.log());
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.data.path().join("demo.log")).unwrap_or_default()
    }
}

fn spawn(binary: &Path, data: &Path) -> Child {
    let mut command = Command::new(binary);
    command.arg("demo");
    run(command, data)
}

fn run(mut command: Command, data: &Path) -> Child {
    let log = File::options().append(true).create(true).open(data.join("demo.log")).expect("a log file");
    command
        .arg("--data")
        .arg(data)
        .args(["--listen", "127.0.0.1:0", "--json"])
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("share the log file"))
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn listens(document: &Value) -> bool {
    let address = document["base_url"].as_str().and_then(|url| url.split_once("://")).map(|(_, address)| address);
    address.is_some_and(|address| std::net::TcpStream::connect(address).is_ok())
}

impl Drop for Demo {
    fn drop(&mut self) {
        if self.has_guests {
            // Asked politely, so that it ends its guests; the test runner bounds how long that takes.
            let _ = Command::new("kill").arg(self.process.id().to_string()).status();
            let _ = self.process.wait();
            return;
        }
        // It may have ended by itself, which is what a test then complains of.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Built apart (`scripts/conformance-binary.sh`), because the tests are built without the feature.
fn fixture_binary() -> PathBuf {
    if cfg!(feature = "conformance") {
        return env!("CARGO_BIN_EXE_forelog").into();
    }
    tools::find("FORELOG_CONFORMANCE_BIN")
}

/// What holds of a demo holds on both databases: `case, name_on_sqlite, name_on_postgres;`.
macro_rules! on_both {
    ($($case:ident, $sqlite:ident, $postgres:ident;)*) => {$(
        #[tokio::test]
        async fn $sqlite() {
            $case($crate::demo::Demo::start().await).await;
        }

        #[tokio::test]
        async fn $postgres() {
            $case($crate::demo::Demo::start_on(&$crate::postgres::fresh_database().await).await).await;
        }
    )*};
}
pub(crate) use on_both;
