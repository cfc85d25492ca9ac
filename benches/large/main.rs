//! What it costs to have a long history: `cargo bench --bench large -- 10000000`, or `just bench-large`. Fills the log of one
//! node with real calls and, at 10^3, 10^5, … events up to the number given, measures what a call costs; at the end what
//! reading back costs, how fast a node starts, what an idle MCP session holds, and how fast three nodes obey a switch.
//!
//! Calls are made over MCP on a server of its own, as it ships, and everything is on. Only ratios within one run mean
//! something on another machine.
//!
//! Every test run makes a small one, `cargo test --bench large -- small`: without optimisation, because a build with it takes
//! longer than all tests; up to 10^5 events, or what there is time for; on one node. It shows that what is measured can be
//! measured still, and a cost that grows with the history as it is measured.

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::panic,
    dead_code,
    reason = "a benchmark measures time itself, and fails by panicking; it shares its servers with the other one"
)]

#[path = "../compare/forelog.rs"]
mod forelog;
#[path = "../compare/load.rs"]
mod load;
mod nodes;
mod pages;
#[path = "../compare/postgres.rs"]
mod postgres;
#[path = "../compare/process.rs"]
mod process;
mod reading;
mod server;

use std::time::{Duration, Instant};

use forelog::Server;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONNECTIONS: usize = 32;
/// Filling is fastest with large batches.
const FILLING: usize = 256;

/// What is asked for.
struct Run {
    events: u64,
    /// How long filling may take, all in all.
    filling: Duration,
    /// How long each row of the table is measured.
    measured: Duration,
    nodes: bool,
}

impl Run {
    fn asked() -> Self {
        let asked: Vec<String> = std::env::args().skip(1).collect();
        if asked.iter().any(|arg| arg == "small") {
            let (filling, measured) = (Duration::from_mins(1), Duration::from_secs(2));
            return Self { events: 100_000, filling, measured, nodes: false };
        }
        let events = asked.iter().find_map(|arg| arg.parse().ok()).unwrap_or(100_000);
        Self { events, filling: Duration::MAX, measured: Duration::from_secs(5), nodes: true }
    }
}

fn main() {
    let run = Run::asked();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    if cfg!(debug_assertions) {
        println!("built without optimisation: only how the figures of one column differ means something");
    }
    runtime.block_on(async {
        let mut server = Server::on_sqlite();
        cost_by_length(&server, &run).await;
        let views = server.metric("forelog_views_lag_events").await;
        println!("\nviews behind after the load: {views:.0} events; caught up in {:.1} s", catch_up(&server).await.as_secs_f64());
        reading::measure(&server).await;
        pages::measure(&server).await;
        reading::sessions(&server).await;
        println!(
            "start with {:.0} events: {:.2} s until ready",
            server.metric("forelog_log_position").await,
            server.restart().as_secs_f64()
        );
        drop(server);
        if run.nodes {
            nodes::measure().await;
        }
    });
}

/// What a call costs while the log grows.
async fn cost_by_length(server: &Server, run: &Run) {
    println!("| events in the log | calls/s | p50 ms | p99 ms | CPU µs/call | KiB written/event |");
    println!("|---|---|---|---|---|---|");
    let steps = (3..).map(|power| 10_u64.pow(power)).take_while(|step| *step < run.events).chain([run.events]);
    let (mut first, mut left) = (None, run.filling);
    for step in steps {
        left = left.saturating_sub(fill(server, step, left).await);
        let (before, written) = (server.processes().processor_time(), server.processes().written());
        let from = server.metric("forelog_log_position").await;
        let figures = load::run(&server.target(), CONNECTIONS, run.measured).await;
        let spent = server.processes().processor_time().saturating_sub(before);
        let micros = spent.as_secs_f64() * 1e6 / figures.calls as f64;
        let events = server.metric("forelog_log_position").await - from;
        let kib = (server.processes().written() - written) as f64 / 1024.0 / events;
        let first = *first.get_or_insert(micros);
        println!(
            "| {from:.0} | {:.0} | {:.2} | {:.2} | {micros:.0} ({:.2}) | {kib:.1} |",
            figures.rate,
            figures.p50,
            figures.p99,
            micros / first
        );
        if from < step as f64 {
            println!("\nfilling took all of its {} s and did not come to {step} events", run.filling.as_secs());
            break;
        }
    }
}

/// Calls until there are that many events or the time is over; tells how long it took.
async fn fill(server: &Server, events: u64, at_most: Duration) -> Duration {
    let started = Instant::now();
    while server.metric("forelog_log_position").await < events as f64 && started.elapsed() < at_most {
        load::run(&server.target(), FILLING, Duration::from_secs(2).min(at_most)).await;
    }
    started.elapsed()
}

async fn catch_up(server: &Server) -> Duration {
    let started = Instant::now();
    while server.metric("forelog_views_lag_events").await > 0.0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    started.elapsed()
}
