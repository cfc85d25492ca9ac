//! Sessions and streams: as many as a key, an account and a node may have.

use std::collections::BTreeSet;

use forelog::core::principal::Side;
use forelog::http::{SessionCaps, Settings};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::told;
use crate::console::ConsoleServer;
use crate::harness::{ACCEPT, Key, TestApp, generous, send};

#[tokio::test]
async fn quota_sessions_of_one_account_are_not_all_sessions() {
    let app = TestApp::with(generous()).await;
    let (mut begun, mut full) = (0, BTreeSet::new());
    for _ in 0..6 {
        let key = app.key(|_| {}).await;
        for _ in 0..40 {
            let answer = send(app.rpc(&key, &initialize())).await;
            if answer.status == StatusCode::OK {
                begun += 1;
            } else {
                full.insert(told(&answer)["of"].to_string());
            }
        }
    }
    assert_eq!((begun, full.len()), (128, 2), "32 of a key and 128 of an account: {full:?}");
    let stranger = app.stranger(forelog::core::principal::Side::Customer).await;
    assert_eq!(send(app.rpc(&stranger, &initialize())).await.status, StatusCode::OK, "others begin theirs");
}

#[tokio::test(flavor = "multi_thread")]
async fn quota_no_account_takes_every_session_of_a_small_house() {
    let house = ConsoleServer::with("mcp_sessions = 8").await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let begin = async |key: &str| {
        let request = client.post(format!("{}/mcp", house.base)).bearer_auth(key).header("accept", ACCEPT);
        send(request.json(&initialize())).await
    };
    for _ in 0..2 {
        assert_eq!(begin(&house.one.key).await.status, StatusCode::OK);
    }
    assert_eq!(told(&begin(&house.one.key).await), json!({ "quota": "sessions", "of": "account", "used": 2, "most": 2 }));
    let theirs = [begin(&house.other.key).await, begin(&house.other.key).await];
    assert!(theirs.iter().all(|answer| answer.status == StatusCode::OK), "{theirs:?}");
    // When the first customer's are idle, they give way to each other and to nobody else; the other's, idle as long, stay.
    for _ in 0..4 {
        house.clock.pass(std::time::Duration::from_secs(61));
        let again = async {
            // The node has to renew its lease after such a leap.
            while begin(&house.one.key).await.status != StatusCode::OK {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), again).await.expect("an idle one gives way");
    }
    for begun in &theirs {
        let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
        let request = client.post(format!("{}/mcp", house.base)).bearer_auth(&house.other.key).header("accept", ACCEPT);
        let request = request.header("mcp-session-id", begun.header("mcp-session-id"));
        assert_eq!(send(request.json(&ping)).await.status, StatusCode::OK, "a session gave way to another account");
    }
}

#[tokio::test]
async fn quota_when_every_session_is_taken_only_ones_own_gives_way() {
    let caps = SessionCaps { total: 2, ..SessionCaps::default() };
    let app = TestApp::with(Settings { sessions: caps, ..generous() }).await;
    let own = app.key(|_| {}).await;
    let (other, third) = (app.stranger(Side::Customer).await, app.stranger(Side::Customer).await);
    let begin = async |key: &Key| send(app.rpc(key, &initialize())).await;
    assert_eq!(begin(&own).await.status, StatusCode::OK);
    let theirs = begin(&other).await;
    assert_eq!(theirs.status, StatusCode::OK);
    app.test_node.clock.pass(std::time::Duration::from_secs(61));
    app.test_node.beat().await;
    assert_eq!(begin(&third).await.code(), "overloaded", "an idle session of another account gave way");
    assert_eq!(begin(&own).await.status, StatusCode::OK);
    let ping = app.rpc(&other, &json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }));
    let ping = ping.header("mcp-session-id", theirs.header("mcp-session-id"));
    assert_eq!(send(ping).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn quota_sessions_end_with_their_key_and_make_room() {
    let house = ConsoleServer::with("[quotas]\nsessions = { account = 4, key = 4 }").await;
    let admin = house.key_over_keys(&house.one.account).await;
    let make = async |args: Value| house.call(&admin, "key_create", args).await.json();
    let end = forelog::core::time::Micros(house.clock.after(std::time::Duration::from_hours(1)).0).rfc3339();
    let revoked = make(json!({ "label": "revoked", "scopes": ["vms:read"] })).await;
    let expired = make(json!({ "label": "expired", "scopes": ["vms:read"], "expires_at": end })).await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let begin = async |key: &str| {
        let request = client.post(format!("{}/mcp", house.base)).bearer_auth(key).header("accept", ACCEPT);
        send(request.json(&initialize())).await.status
    };
    for key in [&revoked, &revoked, &expired, &expired] {
        assert_eq!(begin(key["api_key"].as_str().expect("a key")).await, StatusCode::OK);
    }
    assert_eq!(begin(&house.one.key).await, StatusCode::TOO_MANY_REQUESTS, "the account is full");
    assert!(house.call(&admin, "key_revoke", json!({ "id": revoked["id"] })).await.status.is_success());
    for room in [StatusCode::OK, StatusCode::OK, StatusCode::TOO_MANY_REQUESTS] {
        assert_eq!(begin(&house.one.key).await, room, "those of the revoked key have ended");
    }
    house.clock.pass(std::time::Duration::from_hours(1));
    let again = async {
        // The node has to renew its lease after such a leap.
        while begin(&house.one.key).await != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), again).await.expect("those of the expired key have ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn quota_streams_are_as_many_as_a_key_may_have_and_an_end_makes_room() {
    let house = ConsoleServer::with("[quotas]\nstreams = { account = 5, key = 3 }").await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let path = format!("{}/api/v1/calls/live", house.base);
    let open = || client.request(Method::GET, &path).bearer_auth(&house.one.key).send();
    let mut streams = Vec::new();
    for _ in 0..3 {
        let stream = open().await.expect("an answer");
        assert_eq!(stream.status(), StatusCode::OK);
        streams.push(stream);
    }
    let refused = send(client.request(Method::GET, &path).bearer_auth(&house.one.key)).await;
    assert_eq!(told(&refused), json!({ "quota": "streams", "of": "key", "used": 3, "most": 3 }));
    drop(streams.pop());
    let again = async {
        while open().await.expect("an answer").status() != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), again).await.expect("a stream that ended makes room");
}

#[tokio::test(flavor = "multi_thread")]
async fn quota_streams_of_sessions_count_with_the_others() {
    let house = ConsoleServer::with("[quotas]\nstreams = { account = 5, key = 3 }").await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let ask = |method: Method| {
        let request = client.request(method, format!("{}/mcp", house.base)).bearer_auth(&house.one.key);
        request.header("accept", ACCEPT).header("mcp-protocol-version", "2025-11-25")
    };
    let (mut open, mut refused) = (Vec::new(), 0);
    for _ in 0..5 {
        let begun = send(ask(Method::POST).json(&initialize())).await;
        let stream = ask(Method::GET).header("mcp-session-id", begun.header("mcp-session-id")).send().await.expect("an answer");
        match stream.status() {
            StatusCode::OK => open.push(stream),
            StatusCode::TOO_MANY_REQUESTS => refused += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!((open.len(), refused), (3, 2));
    let live = client.get(format!("{}/api/v1/calls/live", house.base)).bearer_auth(&house.one.key);
    assert_eq!(told(&send(live).await)["quota"], "streams", "it is one quota for both");
}

fn initialize() -> Value {
    json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" },
    } })
}
