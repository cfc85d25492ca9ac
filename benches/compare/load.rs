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
    pub era: Era,
}

/// How a client of MCP speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// 2026-07-28: every request says everything about itself.
    Stateless,
    /// 2025-06-18: each connection begins with `initialize`, and goes on with the session that it is given, if any.
    Initialized,
}

/// One run's figures.
pub struct Figures {
    pub calls: usize,
    pub rate: f64,
    pub p50: f64,
    pub p99: f64,
}

const META: &str =
    r#","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"compare","version":"1"}}}"#;

const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

impl Target {
    fn call(&self, n: u64, session: &str) -> Vec<u8> {
        let (meta, headers) = match self.era {
            Era::Stateless => (META, format!("Mcp-Method: tools/call\r\nMcp-Name: {}\r\n", self.tool)),
            Era::Initialized => ("", session.to_owned()),
        };
        let arguments = (self.arguments)(n);
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{n},"method":"tools/call","params":{{"name":"{}","arguments":{arguments}{meta}}}}}"#,
            self.tool
        );
        self.request(&headers, &body)
    }

    fn request(&self, headers: &str, body: &str) -> Vec<u8> {
        let version = if self.era == Era::Stateless { "2026-07-28" } else { "2025-06-18" };
        format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nMCP-Protocol-Version: {version}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            self.path, self.address, self.bearer, body.len()
        )
        .into_bytes()
    }

    /// A connection on which calls can be made, and the header that they carry.
    async fn connect(&self) -> (BufReader<TcpStream>, String) {
        let stream = TcpStream::connect(&self.address).await.expect("connect");
        stream.set_nodelay(true).expect("nodelay");
        let mut connection = BufReader::new(stream);
        if self.era == Era::Stateless {
            return (connection, String::new());
        }
        connection.write_all(&self.request("", INITIALIZE)).await.expect("send");
        let opened = answer(&mut connection).await;
        assert!(opened.status == 200, "{}: {}", opened.status, String::from_utf8_lossy(&opened.body));
        let session = opened.session.map(|id| format!("Mcp-Session-Id: {id}\r\n")).unwrap_or_default();
        connection.write_all(&self.request(&session, INITIALIZED)).await.expect("send");
        let noted = answer(&mut connection).await;
        assert!((200..300).contains(&noted.status), "{}: {}", noted.status, String::from_utf8_lossy(&noted.body));
        (connection, session)
    }
}

/// A connection that a session was begun on.
pub async fn open(target: &Target) -> TcpStream {
    target.connect().await.0.into_inner()
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
    let (mut connection, session) = target.connect().await;
    let mut times = Vec::new();
    while Instant::now() < end {
        n += 1;
        let request = target.call(n, &session);
        let sent = Instant::now();
        connection.write_all(&request).await.expect("send");
        let Answer { status, body, .. } = answer(&mut connection).await;
        times.push(sent.elapsed());
        let text = String::from_utf8_lossy(&body);
        assert!(status == 200 && !text.contains("\"isError\":true") && text.contains("\"result\""), "{status}: {text}");
    }
    times
}

/// What came back.
pub struct Answer {
    pub status: u16,
    pub session: Option<String>,
    pub body: Vec<u8>,
}

/// Reads one answer to its end, of a stated length or in chunks.
pub async fn answer(connection: &mut BufReader<TcpStream>) -> Answer {
    let mut line = String::new();
    connection.read_line(&mut line).await.expect("a status line");
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no status: {line:?}"));
    let (mut length, mut chunked, mut session) = (0, false, None);
    loop {
        line.clear();
        connection.read_line(&mut line).await.expect("a header");
        let Some((name, value)) = line.trim().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().expect("a length"),
            "transfer-encoding" => chunked = value.trim().eq_ignore_ascii_case("chunked"),
            "mcp-session-id" => session = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    if chunked {
        body = chunks(connection).await;
    } else {
        connection.read_exact(&mut body).await.expect("a body");
    }
    Answer { status, session, body }
}

async fn chunks(connection: &mut BufReader<TcpStream>) -> Vec<u8> {
    let (mut body, mut line) = (Vec::new(), String::new());
    loop {
        line.clear();
        connection.read_line(&mut line).await.expect("a chunk");
        let size = usize::from_str_radix(line.trim(), 16).expect("a chunk's size");
        let mut chunk = vec![0; size + 2];
        connection.read_exact(&mut chunk).await.expect("a chunk's bytes");
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&chunk[..size]);
    }
}
