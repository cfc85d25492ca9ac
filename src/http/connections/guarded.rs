//! A socket with its place and its timer. It lies beneath TLS, so a handshake is timed like everything else.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::Place;
use super::connection_state::{ConnectionState, Phase};
use crate::http::settings::ConnectionCaps;

/// How long, and how many bytes of it, the rest of a request is received after the last answer. A socket that is closed while
/// something lies in it unread takes the answer away from its client.
const LINGER: Duration = Duration::from_secs(1);
const LEFTOVER: usize = 1024 * 1024;

/// The socket of a connection.
pub(in crate::http) struct Guarded {
    stream: TcpStream,
    pace: Arc<ConnectionState>,
    caps: ConnectionCaps,
    timer: Pin<Box<Sleep>>,
    turn: u64,
    /// How much is still received once our side has ended.
    leftover: Option<usize>,
    _place: Place,
}

impl Guarded {
    pub(super) fn new(stream: TcpStream, place: Place, progress: Arc<ConnectionState>, caps: ConnectionCaps) -> Self {
        let timer = Box::pin(sleep(caps.head));
        Self { stream, pace: progress, caps, timer, turn: 0, leftover: None, _place: place }
    }

    /// Fails once the client has kept us waiting for too long. Also sees to it that we are woken then.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let (turn, phase) = self.pace.turn();
        let allowed = match phase {
            Phase::Opening | Phase::Asking => self.caps.head,
            Phase::Idle => self.caps.idle,
            Phase::Busy => self.caps.stalled,
        };
        if turn != self.turn {
            self.turn = turn;
            self.timer.set(sleep(allowed));
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if phase != Phase::Busy || self.pace.is_stalled() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.timer.set(sleep(allowed));
        }
        Ok(())
    }

    fn wrote(&mut self, polled: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if polled.is_pending() {
            self.pace.block();
            // The timer that was set before was another one.
            self.check(cx)?;
        } else {
            self.pace.unblock();
        }
        polled
    }

    /// Receives what is still being sent, and drops it.
    fn poll_leftover(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut space = [0; 4096];
        while let Some(left) = self.leftover.filter(|left| *left > 0) {
            if self.timer.as_mut().poll(cx).is_ready() {
                break;
            }
            let mut buffer = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => self.leftover = Some(left.saturating_sub(buffer.filled().len())),
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.pace.heard();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(polled, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wrote(polled, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.leftover.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.leftover = Some(if self.pace.is_unread() { LEFTOVER } else { 0 });
            self.timer.set(sleep(LINGER));
        }
        ready!(self.poll_leftover(cx));
        Poll::Ready(Ok(()))
    }
}
