//! A PostgreSQL with its own defaults, in a directory of its own, reached by a socket in it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The account that root runs it as, because PostgreSQL refuses root.
const ACCOUNT: &str = "postgres";

/// A running server; it ends with this value.
pub struct Cluster {
    process: Child,
    dir: tempfile::TempDir,
}

impl Cluster {
    /// None if PostgreSQL is not installed.
    pub fn start() -> Option<Self> {
        let bin = std::path::PathBuf::from(std::env::var_os("FORELOG_TEST_POSTGRES_BIN")?);
        let dir = tempfile::tempdir().expect("a directory");
        if is_root() {
            assert!(Command::new("chown").arg(ACCOUNT).arg(dir.path()).status().is_ok_and(|done| done.success()), "chown");
        }
        let data = dir.path().join("data");
        let mut init = unprivileged(&bin.join("initdb"));
        init.args(["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--username", ACCOUNT, "-D"]).arg(&data);
        assert!(init.stdout(Stdio::null()).status().is_ok_and(|done| done.success()), "initdb");
        let mut server = unprivileged(&bin.join("postgres"));
        server.arg("-D").arg(&data).arg("-k").arg(dir.path()).args(["-c", "listen_addresses="]).stderr(Stdio::null());
        let process = server.spawn().expect("start PostgreSQL");
        let cluster = Self { process, dir };
        cluster.wait_until_ready(&bin);
        Some(cluster)
    }

    pub fn url(&self) -> String {
        format!("postgres://{ACCOUNT}@localhost/postgres?host={}", self.dir.path().display())
    }

    /// Its first process, whose children the backends are.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    fn wait_until_ready(&self, bin: &Path) {
        let until = Instant::now() + Duration::from_mins(1);
        let ready = || Command::new(bin.join("pg_isready")).arg("-q").arg("-h").arg(self.dir.path()).status();
        while !ready().is_ok_and(|answers| answers.success()) {
            assert!(Instant::now() < until, "PostgreSQL did not start");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Asked, not killed, so that its children end too; `setpriv` has become the server, so this is its id.
        let asked = Command::new("kill").args(["-s", "QUIT", &self.process.id().to_string()]).status();
        asked.and_then(|_| self.process.wait()).expect("end PostgreSQL");
    }
}

fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", ACCOUNT, "--regid", ACCOUNT, "--clear-groups"]).arg(program);
    command
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().expect("run id");
    output.stdout == b"0\n"
}
