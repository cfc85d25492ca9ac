//! Side by side on one machine in one run: audited calls on Forelog beside unaudited ones on a bare rmcp echo server.
//! `cargo bench --bench compare`. Only the ratios mean something on another machine.
//!
//! Both servers are processes of their own, built with the same allocator and profile, speak 2026-07-28 statelessly with
//! JSON answers, and get the same load from the same client: one small tool, distinct arguments.

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark measures time itself, and fails by panicking"
)]

mod echo;
mod forelog;
mod load;

use std::time::Duration;

use load::{Figures, Target};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONNECTIONS: [usize; 3] = [1, 8, 32];
const ROUNDS: usize = 3;
const WARM_UP: Duration = Duration::from_millis(700);
const MEASURED: Duration = Duration::from_secs(3);

fn main() {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("echo-server") => echo::serve(),
        _ => compare(),
    }
}

fn compare() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (echo, forelog) = (echo::Server::start(), forelog::Server::start());
    println!("| connections | server | calls/s | p50 ms | p99 ms | ratio of calls/s | ratio of p99 |");
    println!("|---|---|---|---|---|---|---|");
    for connections in CONNECTIONS {
        let mut figures = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            figures.0.push(runtime.block_on(measure(&echo.target(), connections)));
            figures.1.push(runtime.block_on(measure(&forelog.target(), connections)));
        }
        let (bare, audited) = (median(figures.0), median(figures.1));
        println!("| {connections} | rmcp echo | {:.0} | {:.2} | {:.2} | 1.00 | 1.00 |", bare.rate, bare.p50, bare.p99);
        let ratios = (audited.rate / bare.rate, audited.p99 / bare.p99);
        println!(
            "| {connections} | forelog | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} |",
            audited.rate, audited.p50, audited.p99, ratios.0, ratios.1
        );
    }
    let flips = runtime.block_on(forelog.flips(50));
    println!("\nflip to refusal: p50 {:.2} ms, p99 {:.2} ms over {} flips", flips.p50, flips.p99, flips.count);
}

async fn measure(target: &Target, connections: usize) -> Figures {
    load::run(target, connections, WARM_UP).await;
    load::run(target, connections, MEASURED).await
}

fn median(mut rounds: Vec<Figures>) -> Figures {
    rounds.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    rounds.swap_remove(rounds.len() / 2)
}
