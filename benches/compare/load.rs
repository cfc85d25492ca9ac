//! The client: keep-alive connections, each sending the next call when the last one is answered.

use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Where calls go, and how the n-th one looks.
pub struct Target {
    pub address: String,
    pub path: String,
    pub bearer: String,
    pub tool: &'static str,
    /// Arguments of the n-th call.
    pub arguments: Box<dyn Fn(u64) -> String>,
}

/// One run's figures.
pub struct Figures {
    pub calls: usize,
    pub rate: f64,
    pub p50: f64,
    pub p99: f64,
}

impl Target {
    fn request(&self, n: u64) -> Vec<u8> {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{n},"method":"tools/call","params":{{"name":"{}","arguments":{},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#,
            self.tool,
            (self.arguments)(n)
        );
        format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {}\r\nContent-Length: {}\r\n\r\n{body}",
            self.path, self.address, self.bearer, self.tool, body.len()
        )
        .into_bytes()
    }
}

/// Loads `target` over so many connections for so long.
pub async fn run(target: &Target, connections: usize, length: Duration) -> Figures {
    let end = Instant::now() + length;
    let callers = (0..connections as u64).map(|caller| call_until(target, caller << 40, end));
    let started = Instant::now();
    let mut times: Vec<Duration> = futures::future::join_all(callers).await.into_iter().flatten().collect();
    let elapsed = started.elapsed();
    times.sort_unstable();
    let rate = times.len() as f64 / elapsed.as_secs_f64();
    Figures { calls: times.len(), rate, p50: percentile(&times, 0.50), p99: percentile(&times, 0.99) }
}

/// A percentile in milliseconds.
pub fn percentile(sorted: &[Duration], share: f64) -> f64 {
    let at = ((sorted.len() as f64 - 1.0) * share).round() as usize;
    sorted.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
}

async fn call_until(target: &Target, mut n: u64, end: Instant) -> Vec<Duration> {
    let stream = TcpStream::connect(&target.address).await.expect("connect");
    stream.set_nodelay(true).expect("nodelay");
    let mut connection = BufReader::new(stream);
    let mut times = Vec::new();
    while Instant::now() < end {
        n += 1;
        let request = target.request(n);
        let sent = Instant::now();
        connection.write_all(&request).await.expect("send");
        let (status, body) = answer(&mut connection).await;
        times.push(sent.elapsed());
        let text = String::from_utf8_lossy(&body);
        assert!(status == 200 && !text.contains("\"isError\":true") && text.contains("\"result\""), "{status}: {text}");
    }
    times
}

/// Reads one answer: its status and its body, of a stated length or in chunks.
pub async fn answer(connection: &mut BufReader<TcpStream>) -> (u16, Vec<u8>) {
    let mut line = String::new();
    connection.read_line(&mut line).await.expect("a status line");
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let (mut length, mut chunked) = (0, false);
    loop {
        line.clear();
        connection.read_line(&mut line).await.expect("a header");
        let header = line.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        chunked |= header.starts_with("transfer-encoding:") && header.contains("chunked");
    }
    let mut body = vec![0; length];
    if !chunked {
        connection.read_exact(&mut body).await.expect("a body");
        return (status, body);
    }
    loop {
        line.clear();
        connection.read_line(&mut line).await.expect("a chunk");
        let size = usize::from_str_radix(line.trim(), 16).expect("a chunk's size");
        let mut chunk = vec![0; size + 2];
        connection.read_exact(&mut chunk).await.expect("a chunk's bytes");
        if size == 0 {
            return (status, body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}
