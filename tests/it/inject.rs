//! A proxy that adds a bearer key to every request, for clients that cannot send one themselves. `Host` and `Origin` pass
//! through untouched, and responses are streamed, so the server sees what it would see without the proxy.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running proxy; it ends with its handle.
pub struct Proxy {
    url: String,
    serving: JoinHandle<()>,
}

#[derive(Clone)]
struct Upstream {
    client: reqwest::Client,
    origin: String,
    authorization: HeaderValue,
}

impl Proxy {
    /// Stands in front of `url` with `key`.
    pub async fn start(url: &str, key: &str) -> Self {
        let url = reqwest::Url::parse(url).expect("a URL");
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let authorization = HeaderValue::from_str(&format!("Bearer {key}")).expect("a header");
        let upstream = Upstream { client, origin: url.origin().ascii_serialization(), authorization };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let here = format!("http://{}{}", listener.local_addr().expect("an address"), url.path());
        let app = Router::new().fallback(forward).with_state(upstream);
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.expect("serve") });
        Self { url: here, serving }
    }

    /// Where to connect instead.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn forward(State(upstream): State<Upstream>, request: Request) -> Result<Response, (StatusCode, String)> {
    let unreachable = |error: reqwest::Error| (StatusCode::BAD_GATEWAY, error.to_string());
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    let mut headers = parts.headers;
    for hop in [CONNECTION, TRANSFER_ENCODING, CONTENT_LENGTH] {
        headers.remove(hop);
    }
    headers.insert(AUTHORIZATION, upstream.authorization);
    let url = format!("{}{}", upstream.origin, parts.uri);
    let answer = upstream.client.request(parts.method, url).headers(headers).body(body).send().await.map_err(unreachable)?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    response.headers_mut().extend(answer.headers().clone());
    response.headers_mut().remove(TRANSFER_ENCODING);
    *response.body_mut() = Body::from_stream(answer.bytes_stream());
    Ok(response)
}
