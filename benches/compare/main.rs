//! Side by side on one machine in one run, by `scripts/compare.sh`. Only the ratios mean something on another machine.
//!
//! | server | what it does for a call |
//! |---|---|
//! | rmcp echo | answers the arguments; nothing is checked or recorded |
//! | forelog | looks a VM up: checked, intent and decision on disk before, outcome on disk after, on SQLite or PostgreSQL |
//! | mcp-proxy | passes it on to the echo server; no audit |
//! | ContextForge | passes it on to the echo server; its audit trail is on, and holds changes of its catalogue: of a call it keeps a row of metrics |
//!
//! All are processes of their own and get the same load from the same client: one small tool, distinct arguments, JSON
//! answers. All but ContextForge speak 2026-07-28, where a call stands alone; ContextForge speaks 2025-06-18, so that its
//! connections begin with `initialize`, outside of what is timed.
//!
//! In brackets: times what the first server needs. Processor time and peak memory are those of the server's own processes,
//! the backends of PostgreSQL included, and the echo server behind a gateway not.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    dead_code,
    reason = "a benchmark measures time itself, and fails by panicking; it shares its servers with the other one"
)]

mod echo;
mod forelog;
mod load;
mod peers;
mod postgres;
mod process;

use std::time::Duration;

use load::{Figures, Target};
use process::Tree;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONNECTIONS: [usize; 4] = [1, 8, 32, 64];
const ROUNDS: usize = 3;
const WARM_UP: Duration = Duration::from_millis(700);
const MEASURED: Duration = Duration::from_secs(3);

/// A server under load.
struct Contender {
    name: &'static str,
    target: Target,
    processes: Tree,
}

/// What one round showed.
struct Round {
    load: Figures,
    /// Processor time of the server for one call, in microseconds.
    processor: f64,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    if args.first().is_some_and(|arg| arg == "echo-server") {
        return echo::serve();
    }
    // Numbers choose how many connections, words which servers beside the bare one: `-- sqlite 32 64`.
    let (numbers, words): (Vec<_>, Vec<_>) = args.into_iter().partition(|arg| arg.parse::<usize>().is_ok());
    let chosen: Vec<usize> = numbers.iter().filter_map(|arg| arg.parse().ok()).collect();
    compare(if chosen.is_empty() { &CONNECTIONS } else { &chosen }, &words);
}

fn compare(connections: &[usize], words: &[String]) {
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.to_lowercase().contains(&word.to_lowercase()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (echo, forelog) = (echo::Server::start(), forelog::Server::on_sqlite());
    let postgres = if wanted("PostgreSQL") { forelog::Server::on_postgres() } else { None };
    let mut peers = Vec::new();
    if wanted("mcp-proxy") {
        peers.extend(peers::mcp_proxy(&echo));
    }
    if wanted("ContextForge") {
        peers.extend(runtime.block_on(peers::context_forge(&echo)));
    }
    let mut contenders = vec![
        Contender { name: "rmcp echo", target: echo.target(), processes: echo.processes() },
        Contender { name: "forelog, SQLite", target: forelog.target(), processes: forelog.processes() },
    ];
    contenders.extend(postgres.iter().map(|server| Contender {
        name: "forelog, PostgreSQL",
        target: server.target(),
        processes: server.processes(),
    }));
    contenders.extend(peers.iter_mut().map(|peer| Contender {
        name: peer.name,
        target: peer.target(),
        processes: peer.processes(),
    }));
    println!("| connections | server | calls/s | p50 ms | p99 ms | CPU µs/call | peak MiB |");
    println!("|---|---|---|---|---|---|---|");
    for &connections in connections {
        // In turns, so that what else the machine does meets all of them.
        let mut rounds: Vec<Vec<Round>> = contenders.iter().map(|_| Vec::new()).collect();
        for _ in 0..ROUNDS {
            for (contender, rounds) in contenders.iter().zip(&mut rounds) {
                rounds.push(runtime.block_on(measure(contender, connections)));
            }
        }
        let rows: Vec<[f64; 5]> = contenders.iter().zip(rounds).map(|(contender, rounds)| row(contender, rounds)).collect();
        for (contender, figures) in contenders.iter().zip(&rows) {
            print_row(connections, contender.name, figures, &rows[0]);
        }
    }
    let flips = runtime.block_on(forelog.flips(50));
    println!("\nflip to refusal: p50 {:.2} ms, p99 {:.2} ms over {} flips", flips.p50, flips.p99, flips.count);
}

async fn measure(contender: &Contender, connections: usize) -> Round {
    load::run(&contender.target, connections, WARM_UP).await;
    let before = contender.processes.processor_time();
    let load = load::run(&contender.target, connections, MEASURED).await;
    let spent = contender.processes.processor_time().saturating_sub(before);
    let processor = spent.as_secs_f64() * 1e6 / load.calls as f64;
    Round { load, processor }
}

/// The figures of a server's median round, in the order of the columns.
fn row(contender: &Contender, mut rounds: Vec<Round>) -> [f64; 5] {
    rounds.sort_by(|a, b| a.load.rate.total_cmp(&b.load.rate));
    let Round { load, processor } = rounds.swap_remove(rounds.len() / 2);
    [load.rate, load.p50, load.p99, processor, contender.processes.peak_mib()]
}

fn print_row(connections: usize, name: &str, figures: &[f64; 5], first: &[f64; 5]) {
    let [rate, p50, p99, processor, peak] = std::array::from_fn(|column| figures[column] / first[column]);
    let [calls, ms50, ms99, micros, mib] = figures;
    println!(
        "| {connections} | {name} | {calls:.0} ({rate:.2}) | {ms50:.2} ({p50:.1}) | {ms99:.2} ({p99:.1}) | {micros:.0} ({processor:.1}) | {mib:.0} ({peak:.1}) |"
    );
}
