//! Answers that are given before their request was read.
//!
//! INVARIANT: over HTTP/1 an answer to a request whose body was not read to its end says `Connection: close`. Otherwise the client
//! sends its next request into a connection that is about to be closed.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Error;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;

use super::connection_state::ConnectionState;

/// Of a body that nobody wanted so much is received, and so long, to keep the connection.
const MAX_SIZE: usize = 256 * 1024;
const TIMEOUT: Duration = Duration::from_millis(250);

/// Answers a request, and says so if that ends the connection.
pub(super) async fn answer(request: Request, next: Next, pace: Option<&ConnectionState>) -> Response {
    // HTTP/2 ends a stream without its connection.
    if request.version() > Version::HTTP_11 || request.body().is_end_stream() {
        return next.run(request).await;
    }
    let expects = request.headers().contains_key(header::EXPECT);
    let (parts, body) = request.into_parts();
    let rest = Rest::default();
    let incoming = Incoming { body: Some(body), begun: false, rest: rest.clone() };
    let mut response = next.run(Request::from_parts(parts, Body::new(incoming))).await;
    let is_read = match rest.take() {
        State::Read => true,
        State::Being => false,
        // Its client waits for leave to send it: with this answer it need not.
        State::Left { begun: false, .. } if expects => false,
        State::Left { body, .. } => tokio::time::timeout(TIMEOUT, drain(body)).await.unwrap_or(false),
    };
    if !is_read {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        if let Some(pace) = pace {
            pace.leave_unread();
        }
    }
    response
}

/// Whether that was all of it.
async fn drain(mut body: Body) -> bool {
    let mut room = MAX_SIZE;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        let size = frame.data_ref().map_or(0, Bytes::len);
        if size > room {
            return false;
        }
        room -= size;
    }
    true
}

/// What became of a request's body.
#[derive(Default)]
enum State {
    /// It was read to its end.
    Read,
    /// Somebody still has it.
    #[default]
    Being,
    /// It was dropped before its end.
    Left { body: Body, begun: bool },
}

#[derive(Clone, Default)]
struct Rest(Arc<Mutex<State>>);

impl Rest {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> State {
        std::mem::take(&mut *self.lock())
    }
}

/// A request's body that tells what became of it.
struct Incoming {
    body: Option<Body>,
    begun: bool,
    rest: Rest,
}

impl HttpBody for Incoming {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.begun = true;
        let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        if frame.is_none() || body.is_end_stream() {
            self.body = None;
            *self.rest.lock() = State::Read;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            *self.rest.lock() = State::Left { body, begun: self.begun };
        }
    }
}
