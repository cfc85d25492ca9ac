//! Forelog as it ships, on either database: policy, limits, encryption, redaction and views on.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::load::{Era, Target, answer, percentile};
use crate::postgres::Cluster;
use crate::process::Tree;

/// A running demo; it ends with this value.
pub struct Server {
    pub(crate) process: Child,
    pub(crate) demo: Value,
    pub(crate) cluster: Option<Cluster>,
    pub(crate) data: tempfile::TempDir,
}

/// How long flips took to be obeyed.
pub struct Flips {
    pub p50: f64,
    pub p99: f64,
    pub count: usize,
}

impl Server {
    pub fn on_sqlite() -> Self {
        Self::start(None)
    }

    /// On a cluster of its own, if PostgreSQL is installed. Its processes are counted with Forelog's.
    pub fn on_postgres() -> Option<Self> {
        Cluster::start().map(|cluster| Self::start(Some(cluster)))
    }

    fn start(cluster: Option<Cluster>) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let process = demo(cluster.as_ref(), data.path());
        let demo = wait_for(&data.path().join("demo.json"));
        Self { process, demo, cluster, data }
    }

    pub(crate) fn address(&self) -> String {
        self.demo["base_url"].as_str().and_then(|url| url.strip_prefix("http://")).expect("a base url").to_owned()
    }

    pub fn processes(&self) -> Tree {
        Tree::of(std::iter::once(self.process.id()).chain(self.cluster.as_ref().map(Cluster::id)))
    }

    pub fn target(&self) -> Target {
        let vms: Vec<String> =
            self.demo["vms"].as_array().expect("vms").iter().map(|vm| vm["id"].as_str().expect("an id").to_owned()).collect();
        let arguments = Box::new(move |n: u64| {
            let vm = vms.get(n as usize % vms.len()).expect("a vm");
            format!(r#"{{"vm_id":"{vm}"}}"#)
        });
        let bearer = self.demo["customer"]["api_key"].as_str().expect("a key").to_owned();
        Target { address: self.address(), path: "/mcp".into(), bearer, tool: "vm_get", arguments, era: Era::Stateless }
    }

    /// Engages a switch on one VM, calls until the first refusal, releases it; so many times.
    pub async fn flips(&self, count: usize) -> Flips {
        let vm = self.demo["vms"][0]["id"].as_str().expect("a vm").to_owned();
        let mut connection = self.connection().await;
        let mut times = Vec::new();
        for _ in 0..count {
            let flipped = Instant::now();
            let body = format!(r#"{{"target":"vm:{vm}","reason":"measuring"}}"#);
            let switch = self.post(&mut connection, "/api/v1/switches", "staff", &body).await;
            let call = format!(r#"{{"vm_id":"{vm}"}}"#);
            loop {
                let answer = self.post(&mut connection, "/api/v1/tools/vm_get", "customer", &call).await;
                if answer["error"]["code"] == "kill_switch_engaged" {
                    break;
                }
            }
            times.push(flipped.elapsed());
            let path = format!("/api/v1/switches/{}/release", switch["id"].as_str().expect("a switch"));
            self.post(&mut connection, &path, "staff", r#"{"reason":"measured"}"#).await;
        }
        times.sort_unstable();
        Flips { p50: percentile(&times, 0.5), p99: percentile(&times, 0.99), count }
    }

    fn key(&self, who: &str) -> String {
        self.demo[who]["api_key"].as_str().expect("a key").to_owned()
    }

    /// A connection for the API.
    pub async fn connection(&self) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(self.address()).await.expect("connect");
        stream.set_nodelay(true).expect("nodelay");
        BufReader::new(stream)
    }

    pub async fn post(&self, connection: &mut BufReader<TcpStream>, path: &str, who: &str, body: &str) -> Value {
        self.ask(connection, "POST", path, who, body).await
    }

    pub(crate) async fn ask(
        &self,
        connection: &mut BufReader<TcpStream>,
        method: &str,
        path: &str,
        who: &str,
        body: &str,
    ) -> Value {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address(),
            self.key(who),
            body.len()
        );
        connection.write_all(request.as_bytes()).await.expect("send");
        serde_json::from_slice(&answer(connection).await.body).expect("a JSON answer")
    }
}

/// The program, with every limit read, checked and taken, and none ever full.
pub fn command(cluster: Option<&Cluster>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forelog"));
    for name in ["CREDENTIAL", "EXEC", "WRITE"] {
        command.env(format!("FORELOG_LIMITS__{name}__ADMIT"), "10000").env(format!("FORELOG_LIMITS__{name}__WINDOW_MS"), "1");
    }
    command.env("FORELOG_THROTTLE__PER_SECOND", "100000").env("FORELOG_THROTTLE__BURST", "100000");
    // What is measured is not what one customer may have.
    for quota in ["SESSIONS", "WAITS", "STREAMS", "OPEN_CALLS"] {
        command.env(format!("FORELOG_QUOTAS__{quota}__ACCOUNT"), "5000").env(format!("FORELOG_QUOTAS__{quota}__KEY"), "5000");
    }
    command.env("FORELOG_CONNECTIONS__PER_ADDRESS", "2000").env("FORELOG_MCP_SESSIONS", "5000");
    if let Some(cluster) = cluster {
        command.env("FORELOG_DATABASE_URL", cluster.url());
    }
    command
}

pub(crate) fn demo(cluster: Option<&Cluster>, data: &std::path::Path) -> Child {
    let mut command = command(cluster);
    command.args(["demo", "--json", "--listen", "127.0.0.1:0", "--data"]).arg(data);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start forelog")
}

/// What a server writes down about itself, once it serves.
pub fn wait_for(file: &std::path::Path) -> Value {
    let until = Instant::now() + Duration::from_mins(1);
    loop {
        let found = std::fs::read(file).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        let address = found.as_ref().and_then(|demo| demo["base_url"].as_str()?.strip_prefix("http://").map(str::to_owned));
        if let (Some(demo), Some(address)) = (found, address)
            && std::net::TcpStream::connect(address).is_ok()
        {
            return demo;
        }
        assert!(Instant::now() < until, "forelog did not start");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().and_then(|()| self.process.wait()).expect("end forelog");
    }
}
