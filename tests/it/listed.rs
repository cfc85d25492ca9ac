//! What a list of tools costs: a client puts it into every conversation, so it has a bound that a test holds (ADR 0112).

use reqwest::Method;
use serde_json::{Value, json};

use crate::console::ConsoleServer;
use crate::harness::{ACCEPT, send};

/// What 3,500 tokens are at least, in bytes of JSON: with `o200k_base` this list has 4.07 bytes a token.
const BYTES: usize = 14_200;

const MODERN: &str = "2026-07-28";

async fn tools(house: &ConsoleServer, path: &str) -> Vec<Value> {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {},
    });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": { "_meta": meta } });
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let request = client.request(Method::POST, format!("{}{path}", house.base)).bearer_auth(&house.one.key);
    let request = request.header("accept", ACCEPT).header("mcp-protocol-version", MODERN).header("mcp-method", "tools/list");
    let list = send(request.json(&message)).await.rpc();
    list["result"]["tools"].as_array().unwrap_or_else(|| panic!("no tools: {list}")).clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn mcp_a_list_of_tools_costs_no_more_than_it_may() {
    let house = ConsoleServer::open().await;
    for (path, count, most) in [("/mcp", 17, BYTES), ("/mcp/readonly", 12, BYTES * 2 / 3)] {
        let tools = tools(&house, path).await;
        let text = serde_json::to_string(&tools).expect("JSON");
        std::fs::write(format!("{}/tools{}.json", env!("CARGO_TARGET_TMPDIR"), path.replace('/', "-")), &text).expect("written");
        let each: Vec<(&str, usize)> =
            tools.iter().map(|tool| (tool["name"].as_str().expect("a name"), tool.to_string().len())).collect();
        assert_eq!(tools.len(), count, "{path}: {each:?}");
        assert!(text.len() <= most, "{path} lists {} bytes: {each:?}", text.len());
    }
}

/// A model is told what each argument means, and the words where there are no others.
#[tokio::test(flavor = "multi_thread")]
async fn mcp_a_list_of_tools_says_what_a_caller_needs() {
    let house = ConsoleServer::open().await;
    for tool in tools(&house, "/mcp").await {
        for (name, field) in tool["inputSchema"]["properties"].as_object().expect("arguments") {
            assert!(field["description"].is_string() && field["type"].is_string(), "{}.{name}: {field}", tool["name"]);
        }
        let answered = tool["outputSchema"]["properties"].as_object().expect("what is answered");
        assert!(!answered.is_empty() && tool["outputSchema"].get("additionalProperties").is_none(), "{tool}");
        let about = tool["description"].as_str().expect("a description");
        if ["vm_exec", "command_start"].iter().any(|name| tool["name"] == *name) {
            assert!(about.contains("Refused while command execution is off there"), "{about}");
        }
        if tool["name"] == "activity_list" {
            assert_eq!(tool["inputSchema"]["properties"]["outcome"]["enum"].as_array().map(Vec::len), Some(10));
        }
    }
}
