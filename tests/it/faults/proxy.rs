//! Stands between the nodes and PostgreSQL, understands just enough of the protocol to see a commit go by, and cuts
//! connections there: before the server has the commit, or after it is durable and before anybody is told.
//!
//! INVARIANT: a cut before is a commit that the server never saw; a cut after is one that it has confirmed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream, tcp, unix};
use tokio::task::JoinHandle;

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The commit is not sent: nothing is stored.
    Before,
    /// The commit is confirmed, and nobody hears of it.
    After,
}

/// A running proxy; it ends with its handle.
pub struct Proxy {
    port: u16,
    orders: Arc<Orders>,
    serving: JoinHandle<()>,
}

/// What is to be cut next, of which room.
#[derive(Default)]
struct Orders {
    next: Mutex<Option<(Cut, &'static str)>>,
    /// Only a commit of what says this.
    of: Mutex<&'static str>,
    done: AtomicUsize,
}

impl Proxy {
    /// In front of the server whose socket this is.
    pub async fn start(socket: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (orders, socket) = (Arc::new(Orders::default()), socket.to_owned());
        let taken = Arc::clone(&orders);
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, socket.clone(), Arc::clone(&taken)));
            }
        });
        Self { port, orders, serving }
    }

    /// `url` by way of this proxy.
    pub fn url(&self, url: &str) -> String {
        let (start, rest) = url.split_once("@localhost/").expect("a URL of a test's cluster");
        let database = rest.split('?').next().unwrap_or_default();
        format!("{start}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// Cuts the next commit of that room.
    pub fn cut(&self, cut: Cut, room: &'static str) {
        *self.orders.next.lock().expect("the orders") = Some((cut, room));
    }

    /// Cuts the next commit of the log that writes an event of this type.
    pub fn cut_event(&self, cut: Cut, name: &'static str) {
        *self.orders.of.lock().expect("the orders") = name;
        self.cut(cut, "log");
    }

    /// How many connections were cut.
    pub fn done(&self) -> usize {
        self.orders.done.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Orders {
    fn is_meant(&self, message: &[u8]) -> bool {
        let of = format!("\"type\":\"{}\"", self.of.lock().expect("the orders"));
        message.windows(of.len()).any(|window| window == of.as_bytes())
    }

    fn take(&self, room: &str, meant: bool) -> Option<Cut> {
        if !meant && !self.of.lock().expect("the orders").is_empty() {
            return None;
        }
        let mut next = self.next.lock().expect("the orders");
        let (cut, _) = next.take_if(|(_, wanted)| *wanted == room)?;
        Some(cut)
    }
}

async fn forward(client: TcpStream, socket: PathBuf, orders: Arc<Orders>) {
    // Whoever cannot be connected is told by the end of his connection.
    let Ok(server) = UnixStream::connect(socket).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let silent = Arc::new(AtomicBool::new(false));
    let mut answers = tokio::spawn(give_back(from_server, to_client, Arc::clone(&silent)));
    let asking = ask(from_client, to_server, &orders, &silent, &mut answers);
    // However it ends, both connections end here.
    let _ = asking.await;
    answers.abort();
}

/// Hands answers back, but for the one that nobody is to hear: then it ends once that has come.
async fn give_back(mut from: unix::OwnedReadHalf, mut to: tcp::OwnedWriteHalf, silent: Arc<AtomicBool>) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let size = from.read(&mut buffer).await?;
        if size == 0 || silent.load(Ordering::SeqCst) {
            return Ok(());
        }
        to.write_all(&buffer[..size]).await?;
    }
}

/// Hands messages on, one by one, until a commit is to be cut.
async fn ask(
    mut from: tcp::OwnedReadHalf,
    mut to: unix::OwnedWriteHalf,
    orders: &Orders,
    silent: &AtomicBool,
    answers: &mut JoinHandle<io::Result<()>>,
) -> io::Result<()> {
    let startup = read_body(&mut from, Vec::new()).await?;
    let room = room_of(&startup);
    to.write_all(&startup).await?;
    let mut meant = false;
    loop {
        let kind = from.read_u8().await?;
        let message = read_body(&mut from, vec![kind]).await?;
        meant |= orders.is_meant(&message);
        let cut = if is_commit(&message) { orders.take(room, std::mem::take(&mut meant)) } else { None };
        match cut {
            None => to.write_all(&message).await?,
            Some(Cut::Before) => {
                orders.done.fetch_add(1, Ordering::SeqCst);
                return Ok(());
            }
            Some(Cut::After) => {
                silent.store(true, Ordering::SeqCst);
                to.write_all(&message).await?;
                let _ = answers.await;
                orders.done.fetch_add(1, Ordering::SeqCst);
                return Ok(());
            }
        }
    }
}

/// A message's length, which counts itself, and the rest.
async fn read_body(from: &mut tcp::OwnedReadHalf, mut message: Vec<u8>) -> io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    message.extend(length.to_be_bytes());
    let start = message.len();
    message.resize(start + length.saturating_sub(4) as usize, 0);
    from.read_exact(&mut message[start..]).await?;
    Ok(message)
}

fn room_of(startup: &[u8]) -> &'static str {
    let text = String::from_utf8_lossy(startup);
    ["log", "views", "vault"].into_iter().find(|room| text.contains(&format!("forelog {room}"))).unwrap_or("")
}

/// A simple query, or a prepared statement, that commits.
fn is_commit(message: &[u8]) -> bool {
    let text = message.get(5..).unwrap_or_default();
    match message.first() {
        Some(b'Q') => text.to_ascii_uppercase().starts_with(b"COMMIT"),
        Some(b'P') => text.split(|byte| *byte == 0).nth(1).is_some_and(|sql| sql.to_ascii_uppercase().starts_with(b"COMMIT")),
        _ => false,
    }
}
