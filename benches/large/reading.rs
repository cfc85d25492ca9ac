//! Reading a long history back: activity and search over REST, and what an idle MCP session holds.

use std::time::{Duration, Instant};

use crate::forelog::Server;
use crate::load::{self, Era, Target, percentile};

/// Questions of each kind.
const ASKED: usize = 100;
/// Keys with idle sessions, and how many each has: a key may have 32.
const KEYS: usize = 30;
const OF_A_KEY: usize = 30;

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
    // The first ones make what all share.
    let mut open = open(server, 1).await;
    let before = server.processes().resident_kib();
    open.extend(self::open(server, KEYS).await);
    let each = (server.processes().resident_kib() as f64 - before as f64) / (KEYS * OF_A_KEY) as f64;
    println!("\nan idle MCP session, with its connection: {each:.1} KiB");
}

async fn open(server: &Server, keys: usize) -> Vec<tokio::net::TcpStream> {
    let mut connection = server.connection().await;
    let mut open = Vec::with_capacity(keys * OF_A_KEY);
    for _ in 0..keys {
        let body = r#"{"label":"idle","scopes":["vms:read"]}"#;
        let made = server.post(&mut connection, "/api/v1/keys", "customer", body).await;
        let bearer = made["api_key"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
        let target = Target { era: Era::Initialized, bearer, ..server.target() };
        for _ in 0..OF_A_KEY {
            open.push(load::open(&target).await);
        }
    }
    // What has been answered may still be being put away.
    tokio::time::sleep(Duration::from_millis(200)).await;
    open
}
