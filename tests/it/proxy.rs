//! Behind a reverse proxy: the throttle and the log see the client, and nobody who is not our proxy can say who that is.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use forelog::http::{Forwarding, Rate, Settings};
use reqwest::{Client, Method, StatusCode};
use serde_json::json;

use crate::harness::{TestApp, generous, send};

/// A proxy that appends its peer's address to a header, as nginx does; answers where it listens.
async fn proxy(to: SocketAddr, forwarding: Forwarding) -> SocketAddr {
    let pass = move |State(client): State<Client>, ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request| async move {
        let (mut parts, body) = request.into_parts();
        let (name, hop) = match forwarding {
            Forwarding::XForwardedFor => ("x-forwarded-for", peer.ip().to_string()),
            Forwarding::Forwarded => ("forwarded", format!("for=\"{peer}\";proto=https")),
        };
        let before = parts.headers.get(name).map(|value| format!("{}, ", value.to_str().expect("text"))).unwrap_or_default();
        parts.headers.insert(name, format!("{before}{hop}").parse().expect("a header"));
        parts.headers.remove("host");
        let body = reqwest::Body::wrap_stream(body.into_data_stream());
        let url = format!("http://{to}{}", parts.uri);
        let answer = client.request(parts.method, url).headers(parts.headers).body(body).send().await.expect("an answer");
        let status = answer.status();
        let mut response = Response::new(Body::from_stream(answer.bytes_stream()));
        *response.status_mut() = status;
        response
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let client = Client::builder().no_proxy().build().expect("a client");
    let router = Router::new().fallback(pass).with_state(client).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Settings that trust the proxy above and nobody else on this machine.
fn behind(forwarding: Forwarding) -> Settings {
    Settings { trusted_proxies: vec!["127.0.0.1/32".parse().expect("a network")], forwarding, ..generous() }
}

/// A client with an address of its own on this machine.
fn client(address: &str) -> Client {
    let address: IpAddr = address.parse().expect("an address");
    Client::builder().no_proxy().local_address(address).build().expect("a client")
}

#[tokio::test]
async fn proxy_the_throttle_and_a_keys_networks_see_the_client() {
    for forwarding in [Forwarding::XForwardedFor, Forwarding::Forwarded] {
        let one = |n| NonZeroU32::new(n).expect("not zero");
        let app = TestApp::with(Settings { rate: Rate { per_second: one(1), burst: one(2) }, ..behind(forwarding) }).await;
        let proxy = proxy(app.address, forwarding).await;
        let key = app.key_from(&["127.0.0.2/32"]).await;
        let call = |from: &str| {
            let request = client(from).post(format!("http://{proxy}/api/v1/tools/probe_read")).bearer_auth(&key.text);
            // What the client claims comes before what the proxy appends.
            let claims = request.header("x-forwarded-for", "203.0.113.9").header("forwarded", "for=203.0.113.9");
            send(claims.json(&json!({})))
        };
        assert_eq!(call("127.0.0.2").await.status, StatusCode::OK, "{forwarding:?}");
        let elsewhere = call("127.0.0.3").await;
        assert_eq!((elsewhere.status, elsewhere.code().as_str()), (StatusCode::FORBIDDEN, "ip_not_allowed"));
        assert_eq!(call("127.0.0.2").await.status, StatusCode::OK);
        assert_eq!(call("127.0.0.2").await.status, StatusCode::TOO_MANY_REQUESTS, "its burst is over");
        assert_eq!(call("127.0.0.3").await.status, StatusCode::FORBIDDEN, "another client has a burst of its own");
    }
}

#[tokio::test]
async fn proxy_whoever_goes_around_it_names_nobody() {
    let app = TestApp::with(behind(Forwarding::XForwardedFor)).await;
    let key = app.key_from(&["198.51.100.0/24"]).await;
    let url = format!("http://{}/api/v1/tools/probe_read", app.address);
    let claim = |from: &str, name: &str, value: &str| {
        send(client(from).post(&url).bearer_auth(&key.text).header(name, value).json(&json!({})))
    };
    let trusted = claim("127.0.0.1", "x-forwarded-for", "198.51.100.7").await;
    assert_eq!(trusted.status, StatusCode::OK, "{trusted:?}");
    let untrusted = claim("127.0.0.4", "x-forwarded-for", "198.51.100.7").await;
    assert_eq!(untrusted.code(), "ip_not_allowed");
    let other_header = claim("127.0.0.1", "forwarded", "for=198.51.100.7").await;
    assert_eq!(other_header.code(), "ip_not_allowed", "a header that our proxy does not write is the client's");
    let nameless = claim("127.0.0.1", "x-forwarded-for", "198.51.100.7, unknown").await;
    assert_eq!(nameless.code(), "ip_not_allowed", "what lies behind a hop that is no address is not believed");
}

#[tokio::test]
async fn proxy_a_subscriber_of_ipv6_is_one_client_with_its_whole_network() {
    let one = |n| NonZeroU32::new(n).expect("not zero");
    let app =
        TestApp::with(Settings { rate: Rate { per_second: one(1), burst: one(2) }, ..behind(Forwarding::XForwardedFor) }).await;
    let from = |hop: &str| send(app.bare(Method::POST, "/mcp").header("x-forwarded-for", hop.to_owned()));
    assert_eq!(from("2001:db8::1").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(from("[2001:db8::ffff:2]:4711").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(from("2001:db8::3").await.status, StatusCode::TOO_MANY_REQUESTS, "another address of the same /64");
    assert_eq!(from("2001:db8:0:1::1").await.status, StatusCode::UNAUTHORIZED, "the next /64");
    assert_eq!(from("::ffff:198.51.100.1").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(from("198.51.100.1:80").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(from("198.51.100.1").await.status, StatusCode::TOO_MANY_REQUESTS, "IPv4, however it is written");
}

#[tokio::test]
async fn proxy_the_forwarded_header_is_read_as_it_is_written() {
    let app = TestApp::with(behind(Forwarding::Forwarded)).await;
    let key = app.key_from(&["203.0.113.7/32", "2001:db8::/32"]).await;
    let url = format!("http://{}/api/v1/tools/probe_read", app.address);
    let from = |value: &str| {
        let request = client("127.0.0.1").post(&url).bearer_auth(&key.text).header("forwarded", value);
        send(request.json(&json!({})))
    };
    for honest in [
        "for=203.0.113.7",
        "For=\"203.0.113.7:4711\"; proto=https ;by=127.0.0.1",
        "for=\"[2001:db8::1]:80\"",
        "for=198.51.100.9, for=203.0.113.7;host=\"a,for=10.0.0.1\"",
        "for=203.0.113.7;host=\"a\\\";for=10.0.0.1\"",
        "host=\"a,for=10.0.0.1;x\";for=203.0.113.7,",
    ] {
        let answer = from(honest).await;
        assert_eq!(answer.status, StatusCode::OK, "{honest}: {answer:?}");
    }
    for other in [
        // What a client has put into the name of a host is no hop.
        "for=198.51.100.9;host=\"a,for=203.0.113.7\"",
        "for=198.51.100.9;host=\"a;for=203.0.113.7\"",
        "for=198.51.100.9;host=\"a\\\",for=203.0.113.7\"",
        // What is not well written names nobody.
        "for=203.0.113.7;host=\"a",
        "for=203.0.113.7;for=203.0.113.7",
        "for=203.0.113.7 for=203.0.113.7",
        "for =203.0.113.7",
        "for=203.0.113.7;host=a b",
        "for=\"203.0.113.7\"x",
        "for",
        "for=unknown",
        "for=_hidden",
    ] {
        assert_eq!(from(other).await.code(), "ip_not_allowed", "{other}");
    }
}

#[tokio::test]
async fn proxy_two_names_of_a_host_have_to_agree() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let app = TestApp::start().await;
    let status = async |target: &str, host: &str| {
        let mut stream = tokio::net::TcpStream::connect(app.address).await.expect("a connection");
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer.split(' ').nth(1).expect("a status").to_owned()
    };
    assert_eq!(status("/api/v1/calls", "localhost").await, "401");
    assert_eq!(status("http://localhost/api/v1/calls", "LOCALHOST").await, "401");
    assert_eq!(status("http://evil.example/api/v1/calls", "localhost").await, "403");
    assert_eq!(status("http://localhost/api/v1/calls", "evil.example").await, "403");
}
