//! A client of HTTP/1.1 that does what the test tells it and nothing by itself: it sends halves, waits, and reuses connections.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

pub const TIMEOUT: Duration = Duration::from_secs(30);

/// One connection.
pub struct Wire {
    pub stream: TcpStream,
    received: Vec<u8>,
}

/// An answer as it came.
#[derive(Debug)]
pub struct Answered {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answered {
    /// A header of the answer.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// Whether it ends its connection.
    pub fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

impl Wire {
    /// Connects.
    pub async fn to(address: SocketAddr) -> Self {
        Self::from("127.0.0.1", address).await
    }

    /// Connects from an address of this machine.
    pub async fn from(local: &str, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::new(local.parse().expect("an address"), 0)).expect("bind");
        Self { stream: socket.connect(address).await.expect("connect"), received: Vec::new() }
    }

    /// Sends; a connection that has been closed takes nothing, which is no matter here.
    pub async fn send(&mut self, text: &str) {
        let _ = self.stream.write_all(text.as_bytes()).await;
    }

    /// The next answer; none if the connection ends before it.
    pub async fn answer(&mut self) -> Option<Answered> {
        tokio::time::timeout(TIMEOUT, self.read_answer()).await.expect("an answer, or the end, in time")
    }

    async fn read_answer(&mut self) -> Option<Answered> {
        let end = loop {
            match self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => self.more().await?,
            }
        };
        let head = String::from_utf8(self.received.drain(..end).collect()).expect("text");
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let mut answered = Answered { status, head, body: String::new() };
        if status == 100 {
            return Some(answered);
        }
        let length: usize = answered.header("content-length").expect("a length").parse().expect("a number");
        while self.received.len() < length {
            self.more().await?;
        }
        answered.body = String::from_utf8(self.received.drain(..length).collect()).expect("text");
        Some(answered)
    }

    async fn more(&mut self) -> Option<()> {
        let mut space = [0; 4096];
        let count = self.stream.read(&mut space).await.ok().filter(|count| *count > 0)?;
        self.received.extend_from_slice(&space[..count]);
        Some(())
    }

    /// Returns once the other end has closed the connection.
    pub async fn ends(mut self) {
        let ending = async { while self.more().await.is_some() {} };
        tokio::time::timeout(TIMEOUT, ending).await.expect("the connection to be closed");
    }
}

/// Waits until it holds.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(TIMEOUT, waiting).await.is_ok(), "{what}");
}
