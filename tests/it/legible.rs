//! Text that no door takes: NUL, halves of surrogates, escapes that are not UTF-8, and far too much of it. The same answers on
//! both databases, and never an error of ours.

use std::collections::BTreeMap;

use reqwest::StatusCode;
use serde_json::json;

use crate::console::ConsoleServer;
use crate::harness::{ACCEPT, Answer, send};

/// Every door with each text in each place, by name.
#[expect(clippy::too_many_lines, reason = "one list of doors")]
async fn answers(house: &ConsoleServer) -> BTreeMap<String, Answer> {
    let mut all = BTreeMap::new();
    let staff_key = staff_key(house).await;
    let (owner, staff) = (house.signed_in(&house.one.owner).await, house.signed_in(&house.staff).await);
    let long = "x".repeat(5000);
    for (name, text) in
        [("nul", "a%00b"), ("only nul", "%00"), ("not utf-8", "%ff%fe"), ("surrogate", "%ed%a0%80"), ("long", &long)]
    {
        for (list, fields) in [
            (
                "calls",
                &[
                    "q",
                    "account",
                    "user",
                    "credential",
                    "vm",
                    "session",
                    "tool",
                    "via",
                    "outcome",
                    "code",
                    "ip",
                    "policy",
                    "switch",
                    "from",
                    "to",
                    "limit",
                    "cursor",
                    "reason",
                ][..],
            ),
            ("calls/histogram", &["q", "tool", "from"]),
            ("calls/live", &["q", "tool"]),
            ("events", &["account", "type", "user", "subject", "cursor", "reason"]),
            ("keys", &["account"]),
            ("accounts", &["q"]),
            ("people", &["account"]),
            ("invitations", &["account"]),
            ("switches/reach", &["target"]),
        ] {
            for field in fields {
                let path = format!("/api/v1/{list}?{field}={text}");
                all.insert(format!("{name} in {list} {field}"), house.read(&staff_key, &path).await);
            }
        }
        for path in ["calls/X", "keys/X", "accounts/X", "people/X/sessions", "exports/X/download"] {
            let path = format!("/api/v1/{}", path.replace('X', text));
            all.insert(format!("{name} in {path}"), house.read(&staff_key, &path).await);
        }
        for page in [
            "activity?q=X",
            "activity?from=X",
            "activity?vm=X",
            "events?subject=X",
            "calls/X",
            "vms/X",
            "exports/X",
            "keys/X/revoke",
            "people/X",
        ] {
            let path = format!("/console/{}", page.replace('X', text));
            all.insert(format!("{name} on {path}"), owner.get(&path).await);
        }
        for page in [
            "search?q=X",
            "search?tool=X",
            "search?from=X",
            "events?subject=X",
            "tail?q=X",
            "switches/new?target=X",
            "accounts/X",
        ] {
            let path = format!("/console/{}", page.replace('X', text));
            all.insert(format!("{name} on {path}"), staff.get(&path).await);
        }
        all.insert(format!("{name} before sign-in"), house.browser().get(&format!("/console/sign-in?next={text}")).await);
        all.insert(format!("{name} in a link"), house.browser().get(&format!("/console/welcome/{text}")).await);
    }
    for (name, text) in [("nul", "a\0b"), ("long", &long)] {
        all.insert(format!("{name} in an e-mail"), house.browser().sign_in(text, "correct horse").await);
        all.insert(format!("{name} in a password"), house.browser().sign_in(&house.one.owner.email, text).await);
        let form = staff.submit("/console/searches", &[("name", text), ("line", "tool:vm_get")]).await;
        all.insert(format!("{name} in a saved search"), form);
        all.insert(format!("{name} in a reason"), staff.submit("/console/reason", &[("reason", text)]).await);
        all.insert(
            format!("{name} in a key's label"),
            owner.submit("/console/keys", &[("label", text), ("scope", "vms:read")]).await,
        );
        all.insert(
            format!("{name} in an invitation"),
            owner.submit("/console/people", &[("email", text), ("role", "member")]).await,
        );
        for (tool, args) in [
            ("vm_get", json!({ "vm_id": text })),
            ("vm_list", json!({ "cursor": text })),
            ("activity_list", json!({ "q": text })),
            ("activity_list", json!({ "tool": text })),
            ("operation_get", json!({ "operation_id": text })),
            ("vm_exec", json!({ "vm_id": house.one.vm, "command": text, "idempotency_key": text })),
            ("panic_engage", json!({ "reason": text, "target": text })),
            (text, json!({})),
        ] {
            let called = house.call(&house.one.key, &tool.replace('\0', "%00"), args.clone()).await;
            all.insert(
                format!("{name} in {} {}", tool.len(), args.to_string().len()) + tool.get(..6).unwrap_or_default(),
                called,
            );
        }
        for (tool, args) in [
            ("search_keep", json!({ "name": text, "line": "tool:vm_get" })),
            ("search_keep", json!({ "name": "x", "line": text })),
            ("search_forget", json!({ "id": text })),
            ("export_create", json!({ "form": "csv", "q": text })),
            ("switch_engage", json!({ "target": text, "reason": "x" })),
            ("switch_engage", json!({ "target": "tool:vm_get", "reason": text, "expires_at": text })),
        ] {
            all.insert(format!("{name} in {tool} {}", args.to_string().len()), house.call(&staff_key, tool, args).await);
        }
        let call =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": text, "arguments": { text: text } } });
        all.insert(format!("{name} over MCP"), mcp(house, &call.to_string()).await);
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "vm_get", "arguments": { "vm_id": text } } });
        all.insert(format!("{name} in an argument over MCP"), mcp(house, &call.to_string()).await);
        all.insert(format!("{name} as a key"), house.read(&text.replace('\0', "%00"), "/api/v1/calls").await);
    }
    for half in [r"\ud800", r"\udc00x", r"\ud800\ud800"] {
        let call = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"vm_get","arguments":{{"vm_id":"{half}"}}}}}}"#
        );
        all.insert(format!("{half} over MCP"), mcp(house, &call).await);
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let request = client.post(format!("{}/api/v1/tools/vm_get", house.base)).bearer_auth(&house.one.key);
        let body = format!(r#"{{"vm_id":"{half}"}}"#);
        all.insert(format!("{half} over REST"), send(request.header("content-type", "application/json").body(body)).await);
    }
    all
}

async fn mcp(house: &ConsoleServer, body: &str) -> Answer {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let request = client.post(format!("{}/mcp", house.base)).bearer_auth(&house.one.key).header("accept", ACCEPT);
    send(request.header("content-type", "application/json").body(body.to_owned())).await
}

/// A key of the staff, made as the command line makes one.
async fn staff_key(house: &ConsoleServer) -> String {
    house.key_of_staff().await
}

/// What the databases must not tell apart.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_legible_text_is_asked_for_by_every_door() {
    let (sqlite, postgres) = (ConsoleServer::open().await, ConsoleServer::on_postgres().await);
    let (one, other) = (answers(&sqlite).await, answers(&postgres).await);
    for (gateway, answer) in &one {
        assert!(!answer.status.is_server_error(), "{gateway}: {answer:?}");
        assert_eq!(
            other.get(gateway).map(|other| other.status),
            Some(answer.status),
            "{gateway}: {answer:?} {:?}",
            other.get(gateway)
        );
        let must_refuse = (gateway.starts_with("nul") || gateway.starts_with("only nul") || gateway.starts_with("not utf-8"))
            && !gateway.contains("as a key");
        let is_refused = answer.status.is_client_error() || answer.text.contains("\"error\"");
        assert!(!must_refuse || is_refused, "{gateway}: {answer:?}");
    }
    let events = sqlite.read(&sqlite.one.key, "/api/v1/events?subject=%00").await;
    assert_eq!((events.status, events.code().as_str()), (StatusCode::BAD_REQUEST, "validation_failed"));
    assert!(events.text.contains("NUL"), "{events:?}");
}
