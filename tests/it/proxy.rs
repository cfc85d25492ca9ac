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
