//! Nodes of the real binary on one data directory, each a process that can be killed, stopped, frozen and started again.
//!
//! Files have one server at a time. What holds between nodes holds on files all the same, as a command line may work beside a
//! server; so here each node on files has a directory of its own, with links to the same files.
//!
//! INVARIANT: they are gone when the cluster is dropped.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use forelog::ambient::OsEntropy;
use forelog::core::time::Entropy;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::evidence::Evidence;
use super::history::{History, Limit};
use super::load::Load;
use super::proxy::Proxy;
use super::seeding::{configuration, seed_data};
use crate::postgres;

/// How long anything may take.
pub(super) const TIMEOUT: Duration = Duration::from_mins(1);

/// Small enough that the load runs into each.
pub(super) const LIMITS: [(&str, usize, u64); 3] = [("credential", 60, 1000), ("exec", 6, 1000), ("write", 20, 1000)];

/// How long a node's lease lasts.
pub const LEASE: Duration = Duration::from_millis(1500);

/// What a cluster is made of.
pub struct Setting {
    /// How many nodes.
    pub count: usize,
    /// The PostgreSQL that they use, and the same without anything in between; files if absent.
    pub database: Option<[String; 2]>,
    /// How the provider misbehaves, as the end of the configuration.
    pub provider: &'static str,
}

impl Setting {
    /// `count` nodes on one directory.
    pub fn files(count: usize) -> Self {
        Self { count, database: None, provider: "" }
    }

    /// Three nodes on a new database of that server, as a role that can only append.
    pub async fn postgres(server: &postgres::Cluster) -> Self {
        let roles = server.fresh_roles().await;
        let mut migrate = Command::new(env!("CARGO_BIN_EXE_forelog"));
        let migrated = migrate.args(["migrate", "--database-url", &roles.owner, "--grant-to", &roles.name]).output();
        assert!(migrated.expect("run forelog").status.success(), "the schemas are made");
        Self { count: 3, database: Some([roles.app, roles.superuser]), provider: "" }
    }

    /// The same by way of a proxy.
    pub fn through(mut self, proxy: &Proxy) -> Self {
        self.database = self.database.map(|[url, direct]| [proxy.url(&url), direct]);
        self
    }
}

/// Several nodes, and those who call them.
pub struct Cluster {
    pub load: Arc<Load>,
    pub evidence: Evidence,
    nodes: Vec<Node>,
    addresses: Arc<Mutex<Vec<Option<String>>>>,
    data: TempDir,
    on_files: bool,
}

#[derive(Default)]
struct Node {
    process: Option<Child>,
    id: String,
}

impl Cluster {
    /// A new cluster, with an account whose agents may run commands.
    pub async fn start(setting: Setting) -> Self {
        let seed = seed();
        println!("seed {seed}");
        let data = tempfile::Builder::new().prefix("forelog-faults-").tempdir().expect("a data directory");
        let Setting { count, database, provider } = setting;
        let on_files = database.is_none();
        let (url, direct) = database.map_or((None, None), |[url, direct]| (Some(url), Some(direct)));
        std::fs::write(data.path().join("forelog.toml"), configuration(url.as_deref(), provider)).expect("a configuration");
        let document = seed_data(data.path()).await;
        let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).expect("demo.json");
        let vms: Vec<String> = (0..3).map(|n| text(&format!("/vms/{n}/id")).to_owned()).collect();
        let addresses = Arc::new(Mutex::new(vec![None; count]));
        let load = Load::new(Arc::clone(&addresses), [text("/customer/api_key"), text("/staff/api_key")], vms, seed);
        let evidence = Evidence { data: data.path().to_owned(), database: direct };
        let nodes = (0..count).map(|_| Node::default()).collect();
        let mut cluster = Self { load, evidence, nodes, addresses, data, on_files };
        for node in 0..count {
            cluster.launch(node).await;
        }
        for vm in cluster.load.vms.clone() {
            let args = json!({ "vm_id": vm, "enabled": true, "confirmation": format!("ENABLE MCP EXEC {vm}") });
            let answer = cluster.load.call(&cluster.load.customer, "vm_exec_set", args).await.expect("an answer");
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        cluster
    }

    /// Starts a node that is down, and waits until it serves.
    pub async fn launch(&mut self, node: usize) {
        self.launch_under(node, "exec \"$0\" \"$@\"").await;
    }

    /// The same by a shell script, which is given the command in `$0` and `$@`.
    pub async fn launch_under(&mut self, node: usize, script: &str) {
        let out = self.data.path().join(format!("node-{node}.json"));
        let log = self.file(&format!("node-{node}.log"));
        let process = Command::new("sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_forelog"), "serve", "--json", "--listen", "127.0.0.1:0", "--data"])
            .arg(self.directory(node))
            .stdin(Stdio::null())
            .stdout(File::create(&out).expect("a file"))
            .stderr(log)
            .spawn()
            .expect("start a node");
        self.nodes[node].process = Some(process);
        let serving = async {
            loop {
                let ended = self.process(node).try_wait().expect("ask for the process");
                assert!(ended.is_none(), "node {node} ended: {}", self.log(node));
                let said: Option<Value> = std::fs::read(&out).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
                if let Some(url) = said.as_ref().and_then(|said| said["base_url"].as_str()) {
                    return url.to_owned();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let Ok(url) = tokio::time::timeout(TIMEOUT, serving).await else { panic!("node {node}: {}", self.log(node)) };
        self.addresses.lock().expect("the addresses")[node] = Some(url);
        self.nodes[node].id = self.evidence.newest_node().await;
    }

    /// The data directory that a node is given.
    fn directory(&self, node: usize) -> PathBuf {
        let shared = self.data.path();
        if !self.on_files {
            return shared.to_owned();
        }
        let own = shared.join(format!("node-{node}"));
        if !own.exists() {
            std::fs::create_dir(&own).expect("a directory");
            let rooms = ["log", "vault", "views"].into_iter();
            let rooms = rooms.flat_map(|room| ["", "-wal", "-shm"].map(|end| format!("{room}.db{end}")));
            for name in rooms.chain(["forelog.toml", "kek", "sim"].map(str::to_owned)) {
                std::os::unix::fs::symlink(shared.join(&name), own.join(&name)).expect("a link");
            }
        }
        own
    }

    /// The id that the log knows a node by.
    pub fn id(&self, node: usize) -> &str {
        &self.nodes[node].id
    }

    /// Where it serves.
    pub fn address(&self, node: usize) -> String {
        self.addresses.lock().expect("the addresses")[node].clone().expect("the node serves")
    }

    /// Any of them.
    pub fn any(&self) -> usize {
        usize::try_from(self.load.dice.below(self.len() as u64)).expect("a node")
    }

    /// The provider behaves from the next start on.
    pub fn mend_provider(&self, faults: &str) {
        let path = self.data.path().join("forelog.toml");
        let text = std::fs::read_to_string(&path).expect("the configuration").replace(faults, "");
        std::fs::write(path, text).expect("the configuration");
    }

    /// A node of somebody else's making is called as well.
    pub fn also_at(&self, url: String) {
        self.addresses.lock().expect("the addresses").push(Some(url));
    }

    /// Only this cluster's own nodes are called.
    pub fn only_own(&self) {
        self.addresses.lock().expect("the addresses").truncate(self.len());
    }

    /// Where nodes serve now; none for one that is down.
    pub fn addresses(&self) -> Arc<Mutex<Vec<Option<String>>>> {
        Arc::clone(&self.addresses)
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// SIGKILL: nothing is flushed, nobody is told.
    pub fn kill(&mut self, node: usize) {
        self.process(node).kill().expect("kill a node");
        self.gone(node);
    }

    /// SIGTERM, and waits for the end in order.
    pub async fn stop(&mut self, node: usize) {
        self.signal(node, "TERM");
        let ending = async {
            loop {
                if let Some(status) = self.process(node).try_wait().expect("ask for the process") {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let ended = tokio::time::timeout(TIMEOUT, ending).await;
        assert!(ended.as_ref().is_ok_and(std::process::ExitStatus::success), "node {node}: {ended:?} {}", self.log(node));
        self.gone(node);
    }

    /// Sends a signal: `STOP` freezes it, `CONT` wakes it.
    pub fn signal(&self, node: usize, signal: &str) {
        let id = self.pid(node).to_string();
        let sent = Command::new("kill").args([&format!("-{signal}"), &id]).status().expect("run kill");
        assert!(sent.success(), "signal node {node}");
    }

    /// The process that is the node.
    pub fn pid(&self, node: usize) -> u32 {
        self.nodes[node].process.as_ref().expect("the node runs").id()
    }

    /// What it has logged so far.
    pub fn log(&self, node: usize) -> String {
        std::fs::read_to_string(self.data.path().join(format!("node-{node}.log"))).unwrap_or_default()
    }

    /// The last of what the nodes warned of.
    fn complaints(&self) -> String {
        let of = |node: usize| {
            let log = self.log(node);
            let lines: Vec<&str> = log.lines().filter(|line| !line.contains("\"level\":\"INFO\"")).collect();
            format!("node {node}:\n{}\n", lines[lines.len().saturating_sub(20)..].join("\n"))
        };
        (0..self.len()).map(of).collect()
    }

    fn process(&mut self, node: usize) -> &mut Child {
        self.nodes[node].process.as_mut().expect("the node runs")
    }

    fn gone(&mut self, node: usize) {
        self.process(node).wait().expect("wait for a node");
        self.nodes[node].process = None;
        self.addresses.lock().expect("the addresses")[node] = None;
    }

    fn file(&self, name: &str) -> File {
        File::options().append(true).create(true).open(self.data.path().join(name)).expect("a file")
    }

    /// Lets agents and staff call while `fault` befalls the cluster, and then until all is well again.
    pub async fn under_load(&mut self, clients: u64, fault: impl AsyncFnOnce(&mut Self)) {
        let stop = CancellationToken::new();
        let calling = self.load.run(clients, &stop);
        fault(self).await;
        stop.cancel();
        calling.wait().await;
    }

    /// Waits until no call is open and every switch is released; every node must run.
    pub async fn settle(&self) {
        let settled = async {
            while !self.load.release_all().await || !self.evidence.open().await.is_empty() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            while self.evidence.viewed().await < self.evidence.head().await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let settled = tokio::time::timeout(TIMEOUT, settled).await.is_ok();
        assert!(settled, "left open: {:?}\n{}", self.evidence.open().await, self.complaints());
    }

    /// Ends everything in order, holds every record against every other, and gives them.
    pub async fn check(self) -> History {
        self.check_after(|_| {}).await
    }

    /// The same where clocks differ: what the provider began is not held against the times of the log and of clients.
    pub async fn check_without_times(self) -> History {
        self.check_after(History::forget_times).await
    }

    async fn check_after(mut self, edit: impl FnOnce(&mut History)) -> History {
        self.settle().await;
        for node in 0..self.len() {
            self.stop(node).await;
        }
        let mut history = self.evidence.gather().await;
        history.sent = self.load.sent();
        history.limits = LIMITS.iter().map(|(kind, admit, ms)| ((*kind).to_owned(), Limit::of(*admit, *ms))).collect();
        edit(&mut history);
        let faults = history.faults();
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert!(faults.is_empty(), "{}\n{}", told.join("\n"), self.complaints());
        self.rebuild_views().await;
        self.ask(&["doctor"]);
        history
    }

    /// P11, with the product's own command between two looks from outside.
    async fn rebuild_views(&self) {
        let (before, viewed) = (self.evidence.views().await, self.evidence.viewed().await);
        self.ask(&["view", "rebuild"]);
        let mut after = self.evidence.views().await;
        // A node tells that it stopped when its own views have stopped already.
        after.entry("administration").and_modify(|rows| rows.retain(|row| row["position"].as_i64() <= Some(viewed)));
        assert_eq!(self.evidence.viewed().await, self.evidence.head().await, "the views are as far as the log");
        assert!(!after["call"].is_empty(), "the views hold something");
        for (table, rows) in &before {
            let differing = rows.iter().zip(&after[table]).find(|(before, after)| before != after);
            if let Some((before, after)) = differing {
                panic!("{table} came out another than it was:\n{before}\n{after}");
            }
            assert_eq!(rows.len(), after[table].len(), "rows of {table}");
        }
    }

    fn ask(&self, args: &[&str]) {
        let output = crate::cli::command(args).arg("--data").arg(self.data.path()).output().expect("run forelog");
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&said));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for process in self.nodes.iter_mut().filter_map(|node| node.process.as_mut()) {
            // It may have ended by itself, which is what a test then complains of.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn seed() -> u64 {
    if let Some(given) = crate::tools::in_environment("FORELOG_FAULT_SEED") {
        return given.parse().expect("a number");
    }
    let mut bytes = [0; 8];
    OsEntropy.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Waits until a condition holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(TIMEOUT, waiting).await.is_ok(), "waited in vain until {what}");
}
