//! The way in from this machine: MCP alone, on a socket that only the server's own user can reach. `forelog stdio` is at its
//! other end.
//!
//! INVARIANT: a call came by stdio because it came by this socket, never because somebody says so: it is the listener that
//! marks it. It has no address, whatever its headers name, and its key decides what it may, as everywhere.

use std::os::unix::net::UnixListener;
use std::sync::Arc;

use axum::extract::Request;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::{Extension, Router};
use axum_server::Handle;

use super::{Http, connections, ingress, mcp, problem};

/// What is served on the socket. Nothing is throttled by address, and no `Host` is looked at: no browser gets here.
pub fn router(http: Arc<Http>) -> Router {
    mcp::router()
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(ingress::harden())
        .layer(from_fn_with_state(Arc::clone(&http), ingress::part))
        .layer(from_fn(nowhere))
        .layer(from_fn(connections::keep))
        .layer(Extension(ingress::Local))
        .with_state(http)
}

/// A caller without an address.
async fn nowhere(mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(ingress::ClientAddress(None));
    next.run(request).await
}

/// Serves `router` until `stop` resolves, then lets what runs end.
pub async fn serve(
    listener: UnixListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let handle = Handle::new();
    let server = axum_server::from_unix(listener)?.handle(handle.clone());
    let stopping = tokio::spawn(async move {
        stop.await;
        handle.graceful_shutdown(None);
    });
    let ended = server.serve(router.into_make_service()).await;
    stopping.abort();
    ended
}
