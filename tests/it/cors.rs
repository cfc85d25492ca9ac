//! Pages of listed origins use MCP and REST from a browser; other pages are told nothing, and the console is for its own pages.

use forelog::http::Settings;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::json;

use crate::demo::Demo;
use crate::harness::{ACCEPT, Answer, TestApp, generous, send};
use crate::tools;

const PAGE: &str = "https://app.example";
const PATHS: [&str; 7] =
    ["/mcp", "/mcp/", "/mcp/readonly", "/mcp/readonly/", "/api/v1/calls", "/api/v1/tools/probe_read", "/api/v1/keys/"];

async fn app() -> TestApp {
    let origins = vec![PAGE.to_owned(), "http://localhost:*".to_owned()];
    TestApp::with(Settings { allowed_origins: origins, ..generous() }).await
}

fn preflight(app: &TestApp, path: &str, origin: &str) -> RequestBuilder {
    let request = app.bare(Method::OPTIONS, path).header("origin", origin);
    let headers = "authorization,content-type,mcp-protocol-version,mcp-session-id,mcp-method,mcp-name,last-event-id";
    request.header("access-control-request-method", "POST").header("access-control-request-headers", headers)
}

fn told(answer: &Answer) -> Vec<&str> {
    answer.headers.keys().map(reqwest::header::HeaderName::as_str).filter(|name| name.starts_with("access-control")).collect()
}

fn listed<'a>(answer: &'a Answer, name: &str) -> Vec<&'a str> {
    answer.header(name).split(',').map(str::trim).collect()
}

#[tokio::test]
async fn cors_lets_pages_of_listed_origins_in() {
    let app = app().await;
    for (path, origin) in PATHS.into_iter().flat_map(|path| [(path, PAGE), (path, "http://localhost:5173")]) {
        let answer = send(preflight(&app, path, origin)).await;
        assert!(answer.status.is_success(), "{path}: {answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), origin, "{path}");
        let headers = listed(&answer, "access-control-allow-headers");
        for header in
            ["authorization", "content-type", "mcp-session-id", "mcp-protocol-version", "last-event-id", "idempotency-key"]
        {
            assert!(headers.contains(&header), "{path}: {headers:?}");
        }
        let methods = listed(&answer, "access-control-allow-methods");
        assert_eq!(methods, ["GET", "POST", "PATCH", "DELETE"], "{path}");
        assert!(listed(&answer, "vary").iter().any(|name| name.eq_ignore_ascii_case("origin")), "{answer:?}");
        assert_eq!(answer.header("access-control-allow-credentials"), "", "no cookies");
    }
}

#[tokio::test]
async fn cors_lets_them_read_answers_and_errors() {
    let app = app().await;
    let key = app.key(|_| {}).await;
    let begin = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "page", "version": "1" } } });
    let answers = [
        (send(app.rpc(&key, &begin).header("origin", PAGE)).await, 200),
        (send(app.bare(Method::POST, "/mcp").header("origin", PAGE).header("accept", ACCEPT)).await, 401),
        (send(app.bare(Method::GET, "/api/v1/calls").header("origin", PAGE)).await, 401),
        (send(app.ask(&key, Method::POST, "/api/v1/tools/probe_read").header("origin", PAGE).json(&json!({}))).await, 200),
        (send(app.ask(&key, Method::GET, "/api/v1/nowhere").header("origin", PAGE)).await, 404),
        (send(app.ask(&key, Method::OPTIONS, "/api/v1/calls").header("origin", PAGE)).await, 405),
    ];
    for (answer, status) in &answers[..5] {
        assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (*status, PAGE), "{answer:?}");
        let exposed = listed(answer, "access-control-expose-headers");
        for header in ["mcp-session-id", "mcp-protocol-version", "www-authenticate", "retry-after", "forelog-call-id"] {
            assert!(exposed.contains(&header), "{exposed:?}");
        }
        assert!(!answer.headers.contains_key("access-control-allow-credentials"));
    }
    assert!(!answers[0].0.header("mcp-session-id").is_empty());
    assert!(!answers[1].0.header("www-authenticate").is_empty());
    assert_eq!(answers[5].0.status.as_u16(), answers[5].1, "OPTIONS that no browser asks is a method like another");
}

#[tokio::test]
async fn cors_tells_other_pages_nothing() {
    let app = app().await;
    let key = app.key(|_| {}).await;
    let others =
        ["https://evil.example", "https://app.example.evil.example", "https://app.example:8443", "http://app.example", "null"];
    for (path, origin) in PATHS.into_iter().flat_map(|path| others.map(|origin| (path, origin))) {
        let answer = send(preflight(&app, path, origin)).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::FORBIDDEN, "origin_not_allowed"), "{path} {origin}");
        assert_eq!(told(&answer), Vec::<&str>::new(), "{path} {origin}");
        let asked = send(app.ask(&key, Method::POST, path).header("origin", origin).header("accept", ACCEPT)).await;
        assert_eq!(told(&asked), Vec::<&str>::new(), "{path} {origin}");
    }
    for origin in others {
        let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
        assert_eq!(send(app.rpc(&key, &ping).header("origin", origin)).await.code(), "origin_not_allowed");
    }
    let twice = preflight(&app, "/mcp", PAGE).header("origin", "https://evil.example");
    assert_eq!(told(&send(twice).await), Vec::<&str>::new());
}

#[tokio::test]
async fn cors_is_not_for_the_console() {
    let app = app().await;
    for path in ["/console/", "/console/sign-in", "/", "/metrics", "/healthz", "/mcpx"] {
        assert_eq!(told(&send(preflight(&app, path, PAGE)).await), Vec::<&str>::new(), "{path}");
        assert_eq!(told(&send(app.bare(Method::GET, path).header("origin", PAGE)).await), Vec::<&str>::new(), "{path}");
    }
}

#[tokio::test]
async fn browser_pages_of_listed_origins_speak_mcp_and_rest() {
    let demo = Demo::start_with(&[("FORELOG_ALLOWED_ORIGINS", "[\"http://localhost:*\"]")]).await;
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/cors.mjs");
    let mut command = tokio::process::Command::new(tools::find("FORELOG_NODE"));
    command.arg(script).arg(demo.data().join("demo.json")).arg(tools::find("FORELOG_CHROMIUM")).kill_on_drop(true);
    let running = tokio::time::timeout(std::time::Duration::from_mins(2), command.output());
    let output = running.await.expect("the browser in time").expect("run the browser");
    let seen: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let listed = json!({
        "session": true, "initialized": true, "tools": true, "call": true,
        "challenge": "Bearer error=\"invalid_token\"", "console": false,
    });
    let other = json!({
        "session": false, "initialized": "TypeError", "tools": false, "call": false, "challenge": null, "console": false,
    });
    assert_eq!(seen, json!([listed, other]));
}

#[test]
fn cors_origins_are_checked_when_the_configuration_is_read() {
    let with = |origin: &str| forelog::config::Config::parse(&format!("allowed_origins = [{origin:?}]"));
    for origin in ["https://app.example", "https://app.example:8443", "http://localhost:*", "http://[::1]:3000"] {
        assert!(with(origin).is_ok(), "{origin}");
    }
    for origin in
        ["*", "https://*", "https://*.example", "app.example", "https://", "https://app.example/", "null", "https://a@b"]
    {
        let error = with(origin).expect_err(origin).to_string();
        assert!(error.contains("allowed_origins"), "{origin}: {error}");
    }
}
