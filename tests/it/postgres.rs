//! A real PostgreSQL for tests: one throw-away cluster per test process, with fsync on, reached by a socket in its
//! own directory, so that no two ever want the same port.
//!
//! Invariant: nothing outlives the test process, however it dies. A supervisor holds the server as its child and reads a
//! pipe whose other end only this process has; when the pipe closes it stops the server and removes the directory.

use crate::tools;
use sqlx::{Connection, Executor, PgConnection};
use std::fs::File;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::OnceCell;

/// The account that a root test process runs the server as, because PostgreSQL refuses root.
const ACCOUNT: &str = "postgres";
const PATIENCE: Duration = Duration::from_secs(30);

/// Arguments: what runs a command as an account that PostgreSQL accepts, if anything. SIGTERM stops a server that has
/// not set its handlers yet (the shell made it ignore SIGQUIT), SIGQUIT one that has and would wait for its clients.
const SUPERVISOR: &str = r#"
    "$@" "$POSTGRES_BIN/initdb" --no-sync --auth=trust --encoding=UTF8 --locale=C.UTF-8 --username=postgres -D data >/dev/null
    "$@" "$POSTGRES_BIN/postgres" -D data -k "$PWD" -c listen_addresses= -c fsync=on -c shared_buffers=32MB &
    cat >/dev/null
    kill -TERM $!; kill -QUIT $!; wait $!
    rm -rf "$PWD"
"#;

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The URL of a new empty database, of the one cluster of this test process.
pub async fn fresh_database() -> String {
    CLUSTER.get_or_init(Cluster::start).await.fresh_database().await
}

/// A running server. A test that means to break its database starts one of its own.
pub struct Cluster {
    dir: PathBuf,
    supervisor: Child,
}

impl Cluster {
    /// Makes a new cluster and waits until it answers.
    pub async fn start() -> Self {
        let dir = new_dir();
        let supervisor = supervise(&dir);
        let cluster = Self { dir, supervisor };
        cluster.wait_until_ready().await;
        cluster
    }

    /// The URL of a new empty database.
    pub async fn fresh_database(&self) -> String {
        let name = format!("forelog_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let mut connection = PgConnection::connect(&self.url("postgres")).await.expect("connect to the cluster");
        connection.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.expect("create a database");
        self.url(&name)
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://{ACCOUNT}@localhost/{database}?host={}", self.dir.display())
    }

    async fn wait_until_ready(&self) {
        let url = self.url("postgres");
        let ready = tokio::time::timeout(PATIENCE, async {
            while PgConnection::connect(&url).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let log = || std::fs::read_to_string(self.dir.join("server.log")).unwrap_or_default();
        assert!(ready.await.is_ok(), "PostgreSQL did not start: {}", log());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        self.supervisor.wait().expect("the supervisor ends");
    }
}

fn new_dir() -> PathBuf {
    let dir = tempfile::Builder::new().prefix("forelog-pg-").tempdir().expect("a temporary directory").keep();
    if let Some((user, group)) = unprivileged_ids() {
        chown(&dir, Some(user), Some(group)).expect("hand the directory over");
    }
    dir
}

fn supervise(dir: &Path) -> Child {
    let log = File::create(dir.join("server.log")).expect("a log file");
    Command::new("sh")
        .args(["-c", SUPERVISOR, "supervisor"])
        .args(unprivileged())
        .env("POSTGRES_BIN", tools::find("FORELOG_TEST_POSTGRES_BIN"))
        .current_dir(dir)
        // A test runner kills the whole process group of a test; the supervisor must survive that to clean up.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(log.try_clone().expect("share the log file"))
        .stderr(log)
        .spawn()
        .expect("start the supervisor")
}

fn unprivileged() -> Vec<String> {
    let Some((user, group)) = unprivileged_ids() else { return Vec::new() };
    vec!["setpriv".into(), format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".into()]
}

/// The ids to run as, if we are root.
fn unprivileged_ids() -> Option<(u32, u32)> {
    (id(&["-u"]) == 0).then(|| (id(&["-u", ACCOUNT]), id(&["-g", ACCOUNT])))
}

fn id(args: &[&str]) -> u32 {
    let output = Command::new("id").args(args).output().expect("run id");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a numeric id")
}

#[tokio::test]
async fn postgres_gives_each_caller_its_own_empty_database_that_syncs() {
    let (one, two) = (fresh_database().await, fresh_database().await);
    assert_ne!(one, two);
    let mut connection = PgConnection::connect(&one).await.unwrap();
    connection.execute("CREATE TABLE t (n bigint)").await.unwrap();
    let fsync: String = sqlx::query_scalar("SHOW fsync").fetch_one(&mut connection).await.unwrap();
    assert_eq!(fsync, "on");
    let mut connection = PgConnection::connect(&two).await.unwrap();
    let missing = connection.execute("SELECT n FROM t").await.unwrap_err();
    assert!(missing.to_string().contains("does not exist"), "{missing}");
}

#[tokio::test]
async fn postgres_leaves_nothing_behind() {
    let cluster = Cluster::start().await;
    let (dir, url) = (cluster.dir.clone(), cluster.fresh_database().await);
    drop(cluster);
    assert!(!dir.exists());
    assert!(PgConnection::connect(&url).await.is_err());
}
