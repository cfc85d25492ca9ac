//! The client for servers that are not ours: what it refuses to ask, follow or read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Redirect;
use axum::routing::get;
use bytes::Bytes;
use forelog::outbound::{Addresses, Outbound, OutboundError, PlainHttp, Rules};
use futures::{StreamExt, stream};
use http::{Request, Response, StatusCode};
use url::Url;

const LARGEST: usize = 1000;

const RULES: Rules = Rules {
    plain_http: PlainHttp::Loopback,
    addresses: Addresses::Any,
    connect: Duration::from_secs(3),
    answer: Duration::from_secs(20),
    largest: LARGEST,
};

/// A server of somebody else, and how many requests have reached it.
async fn server() -> (u16, Arc<AtomicUsize>) {
    let reached = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reached);
    let piece = |()| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; LARGEST / 2]));
    let router = Router::new()
        .route("/small", get(|| async { "x".repeat(LARGEST) }))
        .route("/large", get(|| async { "x".repeat(LARGEST + 1) }))
        .route("/endless", get(move || async move { Body::from_stream(stream::repeat(()).map(piece)) }))
        .route("/never", get(std::future::pending::<()>))
        .route("/away", get(|| async { Redirect::temporary("/small") }))
        .layer(axum::middleware::map_request(move |request: axum::extract::Request| {
            counted.fetch_add(1, Ordering::SeqCst);
            std::future::ready(request)
        }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (port, reached)
}

async fn ask(rules: Rules, url: &str) -> Result<Response<Bytes>, OutboundError> {
    let request = Request::get(url).body(Bytes::new()).expect("a request");
    Outbound::new(rules).expect("a client").send(request).await
}

#[tokio::test]
async fn outbound_follows_no_redirect() {
    let (port, reached) = server().await;
    let answer = ask(RULES, &format!("http://127.0.0.1:{port}/away")).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(reached.load(Ordering::SeqCst), 1, "it asked where it was sent");
}

#[tokio::test]
async fn outbound_reads_no_more_than_it_may_and_waits_no_longer() {
    let (port, _) = server().await;
    let at = |path: &str| format!("http://127.0.0.1:{port}{path}");
    assert_eq!(ask(RULES, &at("/small")).await.expect("an answer").body().len(), LARGEST);
    for path in ["/large", "/endless"] {
        let error = ask(RULES, &at(path)).await.expect_err("too much");
        assert!(matches!(error, OutboundError::Broken { largest: LARGEST, .. }), "{path}: {error:?}");
    }
    let hurried = Rules { answer: Duration::from_millis(50), ..RULES };
    assert!(matches!(ask(hurried, &at("/never")).await, Err(OutboundError::Late)));
}

#[tokio::test]
async fn outbound_speaks_plain_http_only_where_it_may() {
    let (port, reached) = server().await;
    for plain_http in [PlainHttp::Never, PlainHttp::Loopback] {
        let rules = Rules { plain_http, ..RULES };
        for url in ["http://issuer.example/", "http://10.0.0.1/", "http://127.0.0.1.example/", "ftp://127.0.0.1/", "/small"] {
            let error = ask(rules, url).await.expect_err("refused");
            assert!(matches!(error, OutboundError::PlainHttp(_)), "{plain_http:?} {url}: {error:?}");
        }
    }
    let here = format!("http://127.0.0.1:{port}/small");
    let never = Rules { plain_http: PlainHttp::Never, ..RULES };
    assert!(matches!(ask(never, &here).await, Err(OutboundError::PlainHttp(_))));
    assert_eq!(reached.load(Ordering::SeqCst), 0);
    let loosened = Outbound::new(never).expect("a client").with_plain_http(PlainHttp::Loopback);
    assert!(loosened.allows(&Url::parse(&here).expect("a URL")));
    assert!(!loosened.allows(&Url::parse("http://issuer.example/").expect("a URL")));
    assert!(ask(Rules { plain_http: PlainHttp::Anywhere, ..RULES }, &here).await.is_ok());
}

#[tokio::test]
async fn outbound_reaches_nothing_of_ours_for_a_customer() {
    let (port, reached) = server().await;
    let rules = Rules { plain_http: PlainHttp::Anywhere, addresses: Addresses::Public, ..RULES };
    for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.1.2.3"] {
        for scheme in ["http", "https"] {
            let error = ask(rules, &format!("{scheme}://{host}:{port}/small")).await.expect_err("refused");
            assert!(matches!(error, OutboundError::NotPublic(_)), "{scheme} {host}: {error:?}");
        }
    }
    // A name is judged by what it leads to when it is connected to; other spellings of an address are names.
    for host in ["localhost", "127.1", "2130706433", "0x7f000001"] {
        let error = ask(rules, &format!("http://{host}:{port}/small")).await.expect_err("refused");
        assert!(matches!(error, OutboundError::Unreached(_) | OutboundError::NotPublic(_)), "{host}: {error:?}");
    }
    assert_eq!(reached.load(Ordering::SeqCst), 0);
    let operators = Rules { addresses: Addresses::Any, ..rules };
    assert!(ask(operators, &format!("http://localhost:{port}/small")).await.is_ok(), "the server is there");
}
