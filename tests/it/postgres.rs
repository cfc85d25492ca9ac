//! A real PostgreSQL for tests: one throw-away cluster per test process, with fsync on, reached by a socket in its
//! own directory, so that no two ever want the same port.
//!
//! Invariant: nothing outlives the test process, however it dies. A supervisor holds the server as its child and reads
//! orders from a pipe whose other end only this process has; when the pipe closes it ends the server and removes the
//! directory.

use crate::tools;
use sqlx::{Connection, Executor, PgConnection};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::OnceCell;

/// The account that a root test process runs the server as, because PostgreSQL refuses root.
const ACCOUNT: &str = "postgres";
const TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of a file of the server's own log, the least that it can be: a cluster is small, and a table outgrows it soon.
pub const LOG_FILE: u64 = 1 << 20;

/// Arguments: what runs a command as an account that PostgreSQL accepts, if anything. It answers each order when it is
/// done. At the end SIGTERM stops a server that has not set its handlers yet (the shell made it ignore SIGQUIT), SIGQUIT
/// one that has and would wait for its clients; a server that was frozen has to go on to hear either.
const SUPERVISOR: &str = r#"
    server=
    begin() {
        "$@" "$POSTGRES_BIN/postgres" -D data -k "$PWD" -c listen_addresses= -c fsync=on -c shared_buffers=32MB -c max_prepared_transactions=8 >>server.log 2>&1 &
        server=$!
    }
    all() { echo "$server" $(ps -o pid= --ppid "$server"); }
    if [ -n "$PRIMARY" ]; then
        "$@" "$POSTGRES_BIN/pg_basebackup" -R --no-sync --checkpoint=fast -h "$PRIMARY" -U postgres -D data >>server.log 2>&1
    else
        "$@" "$POSTGRES_BIN/initdb" --no-sync --auth=trust --wal-segsize=1 --encoding=UTF8 --locale=C.UTF-8 --username=postgres -D data >>server.log 2>&1
    fi
    begin "$@"
    while read -r order; do
        case $order in
            start) begin "$@" ;;
            stop) kill -INT "$server"; wait "$server" ;;
            crash) kill -QUIT "$server"; wait "$server" ;;
            freeze) kill -STOP $(all) ;;
            thaw) kill -CONT $(all) ;;
        esac
        echo "$order"
    done
    kill -CONT $(all) 2>/dev/null
    kill -TERM "$server"; kill -QUIT "$server"; wait "$server"
    rm -rf "$PWD"
"#;

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The URL of a new empty database, of the one cluster of this test process.
pub async fn fresh_database() -> String {
    CLUSTER.get_or_init(Cluster::start).await.fresh_database().await
}

/// Lets a log be at whatever time a test's clock says: the server's own clock does not know of that.
pub async fn simulate(url: &str) {
    let room = forelog::log::postgres::open_postgres(url, forelog::log::dialect::Room::Log).await.expect("the log room");
    let store = forelog::log::sql_store::SqlStore::new(room);
    forelog::log::store::Store::migrate(&store).await.expect("a schema");
    let far = store.database().query("select ahead from log_head", Vec::new()).await.expect("the head");
    if far.first().and_then(|row| row.int(0).ok()) == Some(1 << 60) {
        return store.database().close().await;
    }
    let mut transaction = store.database().begin().await.expect("a transaction");
    transaction.execute("update log_head set ahead = $1", vec![(1_i64 << 60).into()]).await.expect("the head");
    transaction.commit().await.expect("a commit");
    store.database().close().await;
}

/// A database as an operator sets one up: its owner migrates, another role serves. Nothing is in it yet.
pub struct Roles {
    /// The URL of the role that owns the database.
    pub owner: String,
    /// The URL of the role that shall serve.
    pub app: String,
    /// That role's name.
    pub name: String,
    /// The URL of the server's superuser.
    pub superuser: String,
}

/// A new empty database with two roles, of the one cluster of this test process.
pub async fn fresh_roles() -> Roles {
    CLUSTER.get_or_init(Cluster::start).await.fresh_roles().await
}

/// A running server. A test that means to break its database starts one of its own.
pub struct Cluster {
    dir: PathBuf,
    supervisor: Child,
    orders: Mutex<Option<(ChildStdin, BufReader<ChildStdout>)>>,
}

impl Cluster {
    /// Makes a new cluster and waits until it answers.
    pub async fn start() -> Self {
        Self::begin(None).await
    }

    /// Makes a cluster that repeats what this one does and takes no writes.
    pub async fn standby(&self) -> Self {
        Self::begin(Some(&self.dir)).await
    }

    /// Makes a standby take writes from now on.
    pub async fn promote(&self) {
        let mut connection = PgConnection::connect(&self.url("postgres")).await.expect("connect to the standby");
        let done: bool = sqlx::query_scalar("SELECT pg_promote()").fetch_one(&mut connection).await.expect("ask it");
        assert!(done, "it was not promoted");
    }

    /// The URL of a database that this cluster or another one has.
    pub fn url_with(&self, other: &Self, database: &str) -> String {
        format!("{},{}", self.url(database), other.dir.display())
    }

    async fn begin(primary: Option<&Path>) -> Self {
        let dir = new_dir();
        let mut supervisor = supervise(&dir, primary);
        let (input, output) = (supervisor.stdin.take().expect("a pipe"), supervisor.stdout.take().expect("a pipe"));
        let cluster = Self { dir, supervisor, orders: Mutex::new(Some((input, BufReader::new(output)))) };
        cluster.wait_until_ready().await;
        cluster
    }

    /// Where it keeps everything.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Ends the server in order: connections are cut, everything is on disk.
    pub fn stop(&self) {
        self.order("stop");
    }

    /// Ends the server where it stands, as a loss of power would; its next start recovers from its log.
    pub fn crash(&self) {
        self.order("crash");
    }

    /// Starts it again on the same data, and waits until it answers.
    pub async fn start_again(&self) {
        self.order("start");
        self.wait_until_ready().await;
    }

    /// Halts every process of the server: connections stay open and nobody answers, as behind a network that is cut.
    pub fn freeze(&self) {
        self.order("freeze");
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        self.order("thaw");
    }

    /// Its processes: the first one, which all others come from, and those that there are now.
    pub fn processes(&self) -> Vec<u32> {
        let first = std::fs::read_to_string(self.data().join("postmaster.pid")).expect("the server runs");
        let first = first.lines().next().expect("its process");
        let others = Command::new("ps").args(["-o", "pid=", "--ppid", first]).output().expect("run ps");
        let others = String::from_utf8(others.stdout).expect("text");
        std::iter::once(first).chain(others.split_whitespace()).map(|id| id.parse().expect("a process")).collect()
    }

    /// How often its own log says so.
    pub fn said(&self, what: &str) -> usize {
        self.log().matches(what).count()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("server.log")).unwrap_or_default()
    }

    /// Returns when the supervisor has done it.
    fn order(&self, order: &str) {
        let mut orders = self.orders.lock().expect("one order at a time");
        let (input, output) = orders.as_mut().expect("the supervisor's pipes");
        writeln!(input, "{order}").expect("an order");
        let mut done = String::new();
        output.read_line(&mut done).expect("an answer");
        assert_eq!(done.trim_end(), order, "the supervisor ended");
    }

    /// The URL of a new empty database.
    pub async fn fresh_database(&self) -> String {
        let name = format!("forelog_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let mut connection = PgConnection::connect(&self.url("postgres")).await.expect("connect to the cluster");
        connection.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.expect("create a database");
        self.url(&name)
    }

    /// A new empty database with two roles.
    pub async fn fresh_roles(&self) -> Roles {
        let superuser = self.fresh_database().await;
        let database = superuser.split(['/', '?']).nth(3).expect("its name");
        let (owner, app) = (format!("owner_of_{database}"), format!("app_of_{database}"));
        let script = format!("CREATE ROLE {owner} LOGIN; CREATE ROLE {app} LOGIN; ALTER DATABASE {database} OWNER TO {owner}");
        let mut connection = PgConnection::connect(&superuser).await.expect("connect to the cluster");
        connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(script))).await.expect("make the roles");
        let of = |role: &str| superuser.replacen(&format!("//{ACCOUNT}@"), &format!("//{role}@"), 1);
        Roles { owner: of(&owner), app: of(&app), name: app, superuser }
    }

    /// The socket that it listens at.
    pub fn socket(&self) -> PathBuf {
        self.dir.join(".s.PGSQL.5432")
    }

    /// The URL of a database of this name.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{ACCOUNT}@localhost/{database}?host={}", self.dir.display())
    }

    /// Waits until it answers.
    pub async fn wait_until_ready(&self) {
        let url = self.url("postgres");
        let ready = tokio::time::timeout(TIMEOUT, async {
            while PgConnection::connect(&url).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(ready.await.is_ok(), "PostgreSQL did not start: {}", self.log());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Closing the pipe is the last order.
        drop(self.orders.get_mut().map(Option::take));
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

fn supervise(dir: &Path, primary: Option<&Path>) -> Child {
    let log = File::create(dir.join("server.log")).expect("a log file");
    Command::new("sh")
        .args(["-c", SUPERVISOR, "supervisor"])
        .args(unprivileged())
        .env("POSTGRES_BIN", tools::find("FORELOG_TEST_POSTGRES_BIN"))
        .env("PRIMARY", primary.unwrap_or(Path::new("")))
        .current_dir(dir)
        // A test runner kills the whole process group of a test; the supervisor must survive that to clean up.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("start the supervisor")
}

/// What runs a command as the account that servers run as, if that is another one.
pub fn unprivileged() -> Vec<String> {
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

async fn answers(url: &str) -> bool {
    let asking = async { PgConnection::connect(url).await?.execute("SELECT 1").await };
    matches!(tokio::time::timeout(Duration::from_secs(1), asking).await, Ok(Ok(_)))
}

#[tokio::test]
async fn postgres_is_stopped_crashed_and_frozen_and_goes_on_with_its_data() {
    let cluster = Cluster::start().await;
    let url = cluster.fresh_database().await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    connection.execute("CREATE TABLE t (n bigint)").await.unwrap();
    cluster.stop();
    assert!(!answers(&url).await, "it was stopped");
    cluster.start_again().await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    connection.execute("INSERT INTO t VALUES (1)").await.unwrap();
    cluster.crash();
    assert!(connection.execute("SELECT 1").await.is_err(), "it crashed");
    cluster.start_again().await;
    cluster.freeze();
    assert!(!answers(&url).await, "it was frozen");
    cluster.thaw();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM t").fetch_one(&mut connection).await.unwrap();
    assert_eq!(kept, 1, "what was committed before the crash is there");
    cluster.freeze();
    let dir = cluster.dir.clone();
    drop(cluster);
    assert!(!dir.exists(), "a frozen server is ended as well");
}
