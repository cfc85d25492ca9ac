//! One request on its connection: it keeps the connection busy until its answer was handed over.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::Error;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::Version;
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Frame, SizeHint};

use super::connection_state::{ConnectionState, UnderWay};
use super::early_answer;

/// Stands before everything else.
pub(in crate::http) async fn keep(request: Request, next: Next) -> Response {
    let pace = request.extensions().get::<Arc<ConnectionState>>().cloned();
    let under_way = pace.as_ref().map(|pace| pace.begin(request.version() == Version::HTTP_2));
    let response = early_answer::answer(request, next, pace.as_deref()).await;
    match under_way {
        Some(under_way) => response.map(|body| Body::new(Sending { body, under_way })),
        None => response,
    }
}

/// An answer's body that is being sent.
struct Sending {
    body: Body,
    under_way: UnderWay,
}

impl HttpBody for Sending {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        // More is asked for only when there is room for it again.
        self.under_way.taken();
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_some() {
            self.under_way.hand_over();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
