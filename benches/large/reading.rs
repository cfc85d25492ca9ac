//! Reading a long history back: activity and search over REST, and what an idle MCP session holds.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;

use crate::forelog::Server;
use crate::load::{self, Era, Target, percentile};

/// Questions of each kind.
const ASKED: usize = 100;
/// Idle sessions.
const SESSIONS: usize = 1000;

/// Asks as a customer looks at activity, and as staff search.
pub async fn measure(server: &Server) {
    println!("\n| read | p50 ms | p95 ms |");
    println!("|---|---|---|");
    let vm = server.vm();
    let questions = [
        ("activity of an account", "customer", "calls?limit=50".to_owned()),
        ("activity of a VM", "customer", format!("calls?limit=50&vm={vm}")),
        ("every call of a tool", "staff", "calls?limit=50&tool=vm_get".to_owned()),
        ("every failed call", "staff", "calls?limit=50&outcome=failed".to_owned()),
        ("free text", "staff", "calls?limit=50&q=web".to_owned()),
    ];
    for (name, who, path) in questions {
        let mut times = Vec::with_capacity(ASKED);
        let mut connection = server.connection().await;
        for _ in 0..ASKED {
            let asked = Instant::now();
            let answer = server.get(&mut connection, &format!("/api/v1/{path}"), who).await;
            times.push(asked.elapsed());
            assert!(answer["items"].is_array(), "{name}: {answer}");
        }
        times.sort_unstable();
        println!("| {name} | {:.1} | {:.1} |", percentile(&times, 0.5), percentile(&times, 0.95));
    }
}

/// Opens sessions of 2025-06-18 and lets them be.
pub async fn sessions(server: &Server) {
    let target = Target { era: Era::Initialized, ..server.target() };
    // The first ones make what all share.
    let mut open = open(&target, 20).await;
    let before = server.processes().resident_kib();
    open.extend(self::open(&target, SESSIONS).await);
    let each = (server.processes().resident_kib() - before) as f64 / SESSIONS as f64;
    println!("\nan idle MCP session, with its connection: {each:.1} KiB");
    for connection in &mut open {
        connection.shutdown().await.expect("close");
    }
}

async fn open(target: &Target, count: usize) -> Vec<tokio::net::TcpStream> {
    let mut open = Vec::with_capacity(count);
    for _ in 0..count {
        open.push(load::open(target).await);
    }
    // What has been answered may still be being put away.
    tokio::time::sleep(Duration::from_millis(200)).await;
    open
}
