//! Three nodes on one PostgreSQL: what they admit together beside one of them alone, and how fast all obey a switch while
//! they serve full load.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::CONNECTIONS;
use crate::forelog::{self, Server};
use crate::load::{self, Target, percentile};

const NODES: usize = 3;
const FLIPS: usize = 60;
const MEASURED: Duration = Duration::from_secs(5);

/// A node beside the first one; it ends with this value.
struct Node {
    process: Child,
    address: String,
}

impl Node {
    /// Serves what `server` made, on the same database and key.
    fn beside(server: &Server) -> Self {
        let out = tempfile::NamedTempFile::new().expect("a file");
        let process = forelog::command(server.cluster())
            .args(["serve", "--json", "--listen", "127.0.0.1:0", "--data"])
            .arg(server.data())
            .stdout(Stdio::from(out.reopen().expect("the file")))
            .stderr(Stdio::null())
            .spawn()
            .expect("start a node");
        let said = forelog::wait_for(out.path());
        let address = said["base_url"].as_str().and_then(|url| url.strip_prefix("http://")).expect("a base url").to_owned();
        Self { process, address }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.process.kill().and_then(|()| self.process.wait()).expect("end a node");
    }
}

/// Prints both figures, if PostgreSQL is installed.
pub async fn measure() {
    let Some(server) = Server::on_postgres() else { return println!("\nthree nodes: PostgreSQL is not installed") };
    load::run(&server.target(), CONNECTIONS, Duration::from_secs(1)).await;
    let alone = load::run(&server.target(), CONNECTIONS, MEASURED).await;
    let others: Vec<Node> = (1..NODES).map(|_| Node::beside(&server)).collect();
    let addresses = others.iter().map(|node| node.address.clone());
    let targets: Vec<Target> =
        std::iter::once(server.target()).chain(addresses.map(|address| Target { address, ..server.target() })).collect();
    let each = CONNECTIONS.div_ceil(NODES);
    let together = all(&targets, each, MEASURED).await;
    println!(
        "\none node on PostgreSQL: {:.0} calls/s; three nodes: {together:.0} calls/s ({:.2})",
        alone.rate,
        together / alone.rate
    );
    let flipping = flips(&server);
    let loading = all(&targets, each, Duration::from_mins(5));
    let times = tokio::select! {
        times = flipping => times,
        _ = loading => Vec::new(),
    };
    println!(
        "engage to fenced on three nodes under load: p50 {:.1} ms, p99 {:.1} ms over {} of {FLIPS} flips that were fenced while the answer waited",
        percentile(&times, 0.5),
        percentile(&times, 0.99),
        times.len()
    );
}

async fn all(targets: &[Target], connections: usize, length: Duration) -> f64 {
    let runs = targets.iter().map(|target| load::run(target, connections, length));
    futures::future::join_all(runs).await.iter().map(|figures| figures.rate).sum()
}

/// Engages a switch that covers none of the load, and takes the time until every node has confirmed it.
async fn flips(server: &Server) -> Vec<Duration> {
    let mut connection = server.connection().await;
    let mut times = Vec::with_capacity(FLIPS);
    for _ in 0..FLIPS {
        let flipped = Instant::now();
        let body = r#"{"target":"tool:vm_power","reason":"measuring"}"#;
        let switch: Value = server.post(&mut connection, "/api/v1/switches", "staff", body).await;
        if switch["fenced"] == true {
            times.push(flipped.elapsed());
        }
        let path = format!("/api/v1/switches/{}/release", switch["id"].as_str().expect("a switch"));
        server.post(&mut connection, &path, "staff", r#"{"reason":"measured"}"#).await;
    }
    times.sort_unstable();
    times
}
