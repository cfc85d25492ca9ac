//! The administrative endpoints and MCP of the real binary, as `forelog demo` serves them.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::demo::Demo;
use crate::harness::{ACCEPT, Answer, send};

/// A client of a running demo.
struct Client {
    base: String,
    http: reqwest::Client,
}

impl Client {
    fn of(demo: &Demo) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { base: demo.text("/base_url").to_owned(), http }
    }

    fn ask(&self, key: &str, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(key)
    }

    async fn get(&self, key: &str, path: &str) -> Answer {
        send(self.ask(key, Method::GET, path)).await
    }

    async fn post(&self, key: &str, path: &str, body: Value) -> Answer {
        send(self.ask(key, Method::POST, path).json(&body)).await
    }
}

#[tokio::test]
async fn rest_admin_a_switch_stops_is_listed_and_is_released() {
    let demo = Demo::start().await;
    let (client, customer, staff) = (Client::of(&demo), demo.customer_key(), demo.text("/staff/api_key"));
    let list = || client.post(customer, "/api/v1/tools/vm_list", json!({}));
    assert_eq!(list().await.status, StatusCode::OK);
    let wish =
        json!({ "target": "tool:vm_list", "reason": "a test", "message": "Not today.", "expires_at": "2035-01-01T00:00:00Z" });
    let denied = client.post(customer, "/api/v1/switches", wish.clone()).await;
    assert_eq!((denied.status, denied.code().as_str()), (StatusCode::FORBIDDEN, "forbidden_scope"));
    let engaged = client.post(staff, "/api/v1/switches", wish).await;
    assert_eq!((engaged.status, &engaged.json()["fenced"]), (StatusCode::CREATED, &json!(true)), "{engaged:?}");
    assert!(engaged.json()["epoch"].is_i64());
    let id = engaged.json()["id"].as_str().expect("an id").to_owned();
    let stopped = list().await;
    assert_eq!((stopped.status, stopped.code().as_str()), (StatusCode::FORBIDDEN, "kill_switch_engaged"));
    assert_eq!(stopped.json()["error"]["message"], "Not today.");
    let switches = client.get(staff, "/api/v1/switches").await.json();
    assert_eq!((&switches["items"][0]["id"], &switches["next_cursor"]), (&json!(id), &Value::Null), "{switches}");
    assert_eq!(switches["items"][0]["expires_at"], "2035-01-01T00:00:00Z");
    let released = client.post(staff, &format!("/api/v1/switches/{id}/release"), json!({})).await;
    assert_eq!(released.status, StatusCode::OK, "{released:?}");
    assert_eq!(list().await.status, StatusCode::OK);
    assert_eq!(client.post(staff, "/api/v1/switches/swi_x/release", json!({})).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn rest_admin_a_key_is_made_rotated_and_revoked() {
    let demo = Demo::start().await;
    let (client, customer) = (Client::of(&demo), demo.customer_key());
    let made = client.post(customer, "/api/v1/keys", json!({ "label": "ci", "scopes": ["servers:read"] })).await;
    assert_eq!((made.status, &made.json()["scopes"]), (StatusCode::CREATED, &json!(["vms:read"])), "{made:?}");
    let (id, key) = (made.json()["id"].clone(), made.json()["api_key"].as_str().expect("a key").to_owned());
    assert!(key.starts_with(made.json()["prefix"].as_str().expect("a prefix")));
    let client_list = async |key: &str| client.post(key, "/api/v1/tools/vm_list", json!({})).await.status;
    assert_eq!(client_list(&key).await, StatusCode::OK);
    let listed = client.get(customer, "/api/v1/keys").await;
    assert!(listed.json()["items"].as_array().is_some_and(|keys| keys.iter().any(|row| row["id"] == id)), "{listed:?}");
    assert!(!listed.text.contains(&key), "a key is shown once");
    let rotated = client.post(customer, &format!("/api/v1/keys/{}/rotate", id.as_str().expect("an id")), json!({})).await;
    assert_eq!(rotated.status, StatusCode::CREATED, "{rotated:?}");
    assert_eq!(client_list(&key).await, StatusCode::UNAUTHORIZED, "the old key ends at once");
    let (id, key) = (rotated.json()["id"].clone(), rotated.json()["api_key"].as_str().expect("a key").to_owned());
    assert_eq!(client_list(&key).await, StatusCode::OK);
    let path = format!("/api/v1/keys/{}", id.as_str().expect("an id"));
    assert_eq!(send(client.ask(customer, Method::DELETE, &path)).await.status, StatusCode::OK);
    assert_eq!(client_list(&key).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn rest_admin_nothing_ends_later_than_in_ten_years() {
    let demo = Demo::start().await;
    let (client, customer, staff) = (Client::of(&demo), demo.customer_key(), demo.text("/staff/api_key"));
    for end in ["9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59Z", "2999-01-01T00:00:00Z", "253402300799999999"] {
        let wish = json!({ "target": "tool:vm_list", "reason": "a test", "expires_at": end });
        let engaged = client.post(staff, "/api/v1/switches", wish).await;
        assert_eq!((engaged.status.as_u16(), engaged.code().as_str()), (422, "validation_failed"), "{end}: {engaged:?}");
        assert!(engaged.json()["error"]["message"].as_str().is_some_and(|said| said.contains("ten years")), "{engaged:?}");
        let wish = json!({ "label": "ci", "scopes": ["vms:read"], "expires_at": end });
        let made = client.post(customer, "/api/v1/keys", wish).await;
        assert_eq!((made.status.as_u16(), made.code().as_str()), (422, "validation_failed"), "{end}: {made:?}");
    }
    let listed = client.post(customer, "/api/v1/tools/vm_list", json!({})).await;
    assert_eq!(listed.status, StatusCode::OK, "nothing was engaged: {listed:?}");
}

#[tokio::test]
async fn rest_admin_the_log_is_read_back_and_mcp_lists_the_catalogue() {
    let demo = Demo::start().await;
    let (client, customer, staff) = (Client::of(&demo), demo.customer_key(), demo.text("/staff/api_key"));
    let call = client.post(customer, "/api/v1/tools/vm_list", json!({})).await.header("forelog-call-id").to_owned();
    for key in [customer, staff] {
        let calls = client.get(key, "/api/v1/calls?tool=vm_list").await.json();
        assert_eq!(calls["items"][0]["call_id"], call, "{calls}");
        let timeline = client.get(key, &format!("/api/v1/calls/{call}")).await.json();
        let kinds: Vec<&str> =
            timeline["events"].as_array().expect("events").iter().filter_map(|event| event["type"].as_str()).collect();
        assert_eq!((&timeline["call_id"], kinds), (&json!(call), vec!["intent_recorded", "admitted", "succeeded"]));
    }
    let initialize = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" },
    } });
    let begun = send(client.ask(customer, Method::POST, "/mcp").header("accept", ACCEPT).json(&initialize)).await;
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let request =
        client.ask(customer, Method::POST, "/mcp").header("accept", ACCEPT).header("mcp-protocol-version", "2025-11-25");
    let listed = send(request.header("mcp-session-id", begun.header("mcp-session-id")).json(&list)).await.rpc();
    let names: Vec<&str> =
        listed["result"]["tools"].as_array().expect("tools").iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert!(names.is_sorted() && names.contains(&"vm_list"), "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with("key_") || name.starts_with("switch_")), "{names:?}");
}

#[tokio::test]
async fn rest_admin_an_account_sees_what_affects_it_and_who_read_its_log() {
    let demo = Demo::start().await;
    let (client, customer, staff) = (Client::of(&demo), demo.customer_key(), demo.text("/staff/api_key"));
    let call = client.post(customer, "/api/v1/tools/vm_list", json!({})).await.header("forelog-call-id").to_owned();
    assert_eq!(client.get(staff, &format!("/api/v1/calls/{call}")).await.status, StatusCode::OK);
    let vm = demo.text("/vms/0/id");
    let wish = json!({ "target": format!("vm:{vm}"), "reason": "case 7, do not tell", "message": "We look into it." });
    let engaged = client.post(staff, "/api/v1/switches", wish).await;
    assert_eq!(engaged.status, StatusCode::CREATED, "{engaged:?}");
    let switch = engaged.json()["id"].clone();

    let seen = client.get(customer, "/api/v1/events").await;
    let items = seen.json()["items"].as_array().expect("items").clone();
    let of_type = |kind: &str| items.iter().find(|item| item["type"] == kind).cloned().unwrap_or_default();
    let (read, engaged) = (of_type("log_read"), of_type("switch_engaged"));
    assert_eq!(read["subject"], json!(format!("calls/{call}")), "{}", seen.text);
    assert_eq!(read["user"], Value::Null, "which person of staff it was is not said");
    assert_eq!((&engaged["subject"], &engaged["note"]), (&switch, &json!("We look into it.")), "{}", seen.text);
    assert!(!seen.text.contains("do not tell"), "the reason is staff's");

    let told = client.get(staff, &format!("/api/v1/events?subject={}", switch.as_str().expect("an id"))).await.json();
    assert_eq!(told["items"][0]["note"]["reason"], "case 7, do not tell", "{told}");
    let first = client.get(staff, "/api/v1/events?limit=1").await.json();
    let cursor = first["next_cursor"].as_str().expect("a cursor");
    let second = client.get(staff, &format!("/api/v1/events?limit=1&cursor={cursor}")).await.json();
    assert!(second["items"][0]["position"].as_i64() < first["items"][0]["position"].as_i64(), "{first} {second}");
    assert_eq!(client.get(customer, "/api/v1/events?colour=red").await.status, StatusCode::BAD_REQUEST);
}
