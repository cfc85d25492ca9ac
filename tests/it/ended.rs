//! A key that ends while it waits is answered so, soon, by every door, and is told nothing that was recorded afterwards (P8,
//! P14). A switch that lets what runs finish ends no wait.
//!
//! Invariant: what is waited for here does not end by itself; so an answer that comes, comes from the end of the key.

use std::sync::Arc;
use std::time::Duration;

use forelog::control::Reply;
use forelog::core::call::Status;
use forelog::core::code::Code;
use forelog::core::event::{CredentialCreated, EventKind};
use forelog::core::hold::Hold;
use forelog::core::id::{CredentialId, SwitchId, UserId};
use forelog::core::principal::Principal;
use forelog::core::switch::{Running, Target};
use futures::StreamExt;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::approvals::{owner, say};
use crate::console::{ConsoleServer, on_both as in_both_houses};
use crate::harness::{ACCEPT, send};
use crate::promises::{check, wait_for};
use crate::rotated::{Account, Made};
use crate::test_node::{Site, TestNode, on_both};

const TIMEOUT: Duration = Duration::from_secs(30);

on_both! {
    a_reading_ends_with_its_key, ended_a_reading_that_waits_ends_with_its_key, postgres_ended_a_reading_that_waits_ends_with_its_key;
    what_changes_goes_on_untold, ended_what_changes_something_goes_on_and_its_key_is_not_told, postgres_ended_what_changes_something_goes_on_and_its_key_is_not_told;
    a_held_call_is_not_released, ended_a_held_call_is_neither_answered_nor_released, postgres_ended_a_held_call_is_neither_answered_nor_released;
}

/// How a key ends, or what it may do.
#[derive(Clone, Copy, Debug)]
enum End {
    Revoked,
    MakerRevoked,
    Expired,
    Removed,
    Stopped,
}

/// When the keys of these tests expire, if they do.
const LASTS: Duration = Duration::from_hours(1);

/// A key that another one made, of a person of its own.
async fn key(test_node: &TestNode, end: End) -> Principal {
    let ports = &test_node.control.ports;
    let own = ports.fence().state().credentials.get(&test_node.credential).expect("the plant's key").created.clone();
    let made = async |made_by: Option<CredentialId>| {
        let credential = CredentialId::new(ports.clock.now(), &*ports.entropy);
        let created = CredentialCreated {
            credential: credential.clone(),
            user: UserId::new(ports.clock.now(), &*ports.entropy),
            hash: hex::encode(credential.as_str()).into(),
            expires_at: matches!(end, End::Expired).then(|| ports.clock.now().plus(LASTS)),
            made_by,
            ..own.clone()
        };
        test_node.change(EventKind::CredentialCreated(created.clone()), Value::Null).await;
        created
    };
    let maker = made(None).await;
    let made = made(Some(maker.credential)).await;
    Principal { user: made.user, credential: made.credential, ..test_node.principal() }
}

/// Ends it, as another process does.
async fn end(site: &Site, test_node: &TestNode, who: &Principal, how: End) {
    let (other, ..) = TestNode::idle(site).await;
    let state = test_node.control.ports.fence().state();
    let (credential, by) = (who.credential.clone(), None);
    let kind = match how {
        End::Revoked => EventKind::CredentialRevoked { credential, by },
        End::MakerRevoked => {
            let maker = state.credentials.get(&credential).and_then(|row| row.created.made_by.clone());
            EventKind::CredentialRevoked { credential: maker.expect("a maker"), by }
        }
        End::Expired => return test_node.clock.pass(LASTS),
        End::Removed => EventKind::UserRemoved { user: who.user.clone(), account: who.account.clone(), by },
        End::Stopped => {
            let switch = SwitchId::new(test_node.clock.after(Duration::ZERO), &*test_node.control.ports.entropy);
            let target = Target::Credential(credential);
            EventKind::SwitchEngaged { switch, target, by, credential: None, running: Running::LetFinish, expires_at: None }
        }
    };
    other.change(kind, json!({ "reason": "over" })).await;
}

fn call(test_node: &Arc<TestNode>, who: &Principal, tool: &'static str, args: Value) -> JoinHandle<Reply> {
    let mut request = test_node.request(tool, args);
    request.principal = who.clone();
    // Far beyond what a test waits.
    request.wait = 10 * TIMEOUT;
    let test_node = Arc::clone(test_node);
    tokio::spawn(async move { test_node.control.submit(request).await })
}

async fn code_of(reply: JoinHandle<Reply>) -> Code {
    let reply = tokio::time::timeout(TIMEOUT, reply).await.expect("an answer in time").expect("a caller");
    let Reply::Failed { refusal, call: Some(_), .. } = reply else { panic!("{reply:?}") };
    refusal.code
}

async fn a_reading_ends_with_its_key(site: Site) {
    let test_node = Arc::new(TestNode::start(&site).await);
    test_node.world.shut();
    let ends = [
        (End::Revoked, Code::TokenRevoked),
        (End::MakerRevoked, Code::TokenRevoked),
        (End::Removed, Code::TokenRevoked),
        // Last: time goes by, and with it the lease.
        (End::Expired, Code::TokenExpired),
    ];
    for (count, (how, code)) in ends.into_iter().enumerate() {
        let who = key(&test_node, how).await;
        let reply = call(&test_node, &who, "probe_read", json!({}));
        test_node.world.executed_at_least(count + 1).await;
        end(&site, &test_node, &who, how).await;
        assert_eq!(code_of(reply).await, code, "{how:?}");
    }
    // A reading has no purpose but its answer.
    let log = wait_for(&test_node, |kind| matches!(kind, EventKind::Cancelled(_))).await;
    assert!(!log.iter().any(|event| matches!(event.kind, EventKind::Succeeded(_))), "none was let run to its end");
}

async fn what_changes_goes_on_untold(site: Site) {
    let test_node = Arc::new(TestNode::start(&site).await);
    let stopped = key(&test_node, End::Stopped).await;
    test_node.world.shut();
    let let_finish = call(&test_node, &stopped, "probe_write", json!({}));
    test_node.world.executed_at_least(1).await;
    end(&site, &test_node, &stopped, End::Stopped).await;
    let who = key(&test_node, End::Revoked).await;
    let first = call(&test_node, &who, "probe_write", json!({ "idempotency_key": "once" }));
    test_node.world.executed_at_least(2).await;
    let joined = call(&test_node, &who, "probe_write", json!({ "idempotency_key": "once" }));
    wait_for(&test_node, |kind| matches!(kind, EventKind::Admitted(admitted) if admitted.joins.is_some())).await;
    end(&site, &test_node, &who, End::Revoked).await;
    assert_eq!(code_of(first).await, Code::TokenRevoked);
    assert_eq!(code_of(joined).await, Code::TokenRevoked);
    test_node.world.open();
    let reply = tokio::time::timeout(TIMEOUT, let_finish).await.expect("in time").expect("a caller");
    assert!(matches!(reply, Reply::Done { .. }), "what a switch lets finish is answered: {reply:?}");
    let all_ended = async {
        while check(&test_node.log().await, true).values().filter(|status| **status == Status::Succeeded).count() < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(TIMEOUT, all_ended).await.expect("what was begun is done to its end");
}

async fn a_held_call_is_not_released(site: Site) {
    let test_node = Arc::new(TestNode::start(&site).await);
    test_node.world.hold(Some(Hold { why: "it is expensive".into(), ..Hold::default() }));
    let who = key(&test_node, End::Revoked).await;
    let reply = call(&test_node, &who, "probe_write", json!({ "text": "x" }));
    let log = wait_for(&test_node, |kind| matches!(kind, EventKind::Held { .. })).await;
    let held =
        log.iter().find_map(|event| if let EventKind::Held { call, .. } = &event.kind { Some(call.clone()) } else { None });
    end(&site, &test_node, &who, End::Revoked).await;
    assert_eq!(code_of(reply).await, Code::TokenRevoked);
    let person = owner(&test_node).await;
    say(&test_node, &person, &held.expect("the call"), "approve").await;
    let refused = |kind: &EventKind| matches!(kind, EventKind::Refused(refused) if refused.code == Code::TokenRevoked);
    check(&wait_for(&test_node, refused).await, true);
    assert!(test_node.world.executed().is_empty(), "what a person said yes to is not done for a key that is over");
}

in_both_houses! {
    every_door, ended_every_door_that_waits_ends_with_its_key, postgres_ended_every_door_that_waits_ends_with_its_key;
    streams, ended_streams_end_with_their_key, postgres_ended_streams_end_with_their_key;
}

impl Account {
    fn ask(&self, key: &Made, method: Method, path: &str) -> RequestBuilder {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        client.request(method, format!("{}{path}", self.house.base)).bearer_auth(&key.text).header("accept", ACCEPT)
    }

    async fn session(&self, key: &Made) -> String {
        let begin = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" },
        } });
        let answer = send(self.ask(key, Method::POST, "/mcp").json(&begin)).await;
        let told = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let session = answer.header("mcp-session-id").to_owned();
        send(self.ask(key, Method::POST, "/mcp").header("mcp-session-id", &session).json(&told)).await;
        session
    }

    async fn end(&self, key: &Made) {
        let revoked = self.house.call(&self.admin, "key_revoke", json!({ "id": key.id })).await;
        assert!(revoked.status.is_success(), "{revoked:?}");
    }

    /// Returns once so many waits have begun.
    async fn waiting(&self, count: usize) {
        let begun = async {
            let waits = |kind: &EventKind| matches!(kind, EventKind::IntentRecorded(intent) if *intent.tool == *"operation_wait");
            while self.house.events("intent_recorded").await.iter().filter(|event| waits(&event.kind)).count() < count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(TIMEOUT, begun).await.expect("the wait should begin");
    }
}

async fn every_door(house: ConsoleServer) {
    let account = Account::of(house).await;
    let runner = account.make(true).await;
    let command = account.begin(&runner).await;
    // Reads everything of the account.
    let reader = async || account.by_admin("key_create", json!({ "label": "reads", "scopes": ["audit:read", "vms:exec"] })).await;
    let args = json!({ "operation_id": command, "timeout_seconds": 45 });
    let params = json!({ "name": "operation_wait", "arguments": args, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}, "progressToken": "p",
    } });
    let mut plain = params.clone();
    plain["_meta"].as_object_mut().expect("meta").remove("progressToken");
    let message = |params: &Value| json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let modern = |request: RequestBuilder, params: &Value| {
        let request = request.header("mcp-protocol-version", "2026-07-28").header("mcp-method", "tools/call");
        request.header("mcp-name", "operation_wait").json(&message(params))
    };
    for (count, gateway) in ["rest", "plain", "progress", "session"].into_iter().enumerate() {
        let key = reader().await;
        let request = match gateway {
            "rest" => account.ask(&key, Method::POST, "/api/v1/tools/operation_wait").json(&args),
            "plain" => modern(account.ask(&key, Method::POST, "/mcp"), &plain),
            "progress" => modern(account.ask(&key, Method::POST, "/mcp"), &params),
            _ => {
                let session = account.session(&key).await;
                let old = json!({ "name": "operation_wait", "arguments": args, "_meta": { "progressToken": "p" } });
                account.ask(&key, Method::POST, "/mcp").header("mcp-session-id", session).json(&message(&old))
            }
        };
        let answering = tokio::spawn(send(request));
        account.waiting(count + 1).await;
        account.end(&key).await;
        let answer = tokio::time::timeout(TIMEOUT, answering).await.expect("an answer in time").expect("a client");
        assert!(answer.text.contains("token_revoked"), "{gateway}: {answer:?}");
        assert!(!answer.text.contains("\"tool\":\"command_start\""), "{gateway} tells nothing: {answer:?}");
        if gateway == "rest" {
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
        }
    }
}

async fn streams(house: ConsoleServer) {
    let account = Account::of(house).await;
    let key = account.make(true).await;
    let session = account.session(&key).await;
    let mut streams = Vec::new();
    for path in ["/mcp", "/api/v1/calls/live"] {
        let request = account.ask(&key, Method::GET, path).header("mcp-session-id", &session);
        let answer = request.header("accept", "text/event-stream").send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        streams.push((path, answer.bytes_stream()));
    }
    account.end(&key).await;
    let after = account.house.call(&account.admin, "vm_get", json!({ "vm_id": account.vm })).await;
    let call = after.header("forelog-call-id").to_owned();
    for (path, mut stream) in streams {
        let reading = async {
            let mut text = String::new();
            while let Some(Ok(bytes)) = stream.next().await {
                text.push_str(&String::from_utf8_lossy(&bytes));
            }
            text
        };
        let text = tokio::time::timeout(TIMEOUT, reading).await.unwrap_or_else(|_| panic!("{path} should have ended"));
        assert!(!text.contains(&call), "{path} tells what came after: {text}");
    }
}
