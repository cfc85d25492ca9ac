//! `POST /api/v1/approvals/{id}` over a real socket: who may answer, once, and what the caller of a held call is told.

use std::time::Duration;

use forelog::core::hold::Hold;
use forelog::core::principal::Side;
use forelog::core::scope::Scope;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::harness::{Answer, Key, TestApp, send};

/// A product whose policies ask for a person.
async fn holding() -> TestApp {
    let app = TestApp::start().await;
    app.test_node.world.hold(Some(Hold::new("it interrupts service")));
    app
}

/// A call that waits for a person, and its caller, who waits too.
async fn asked(app: &TestApp, key: &Key) -> (String, JoinHandle<Answer>) {
    let caller = tokio::spawn(send(app.ask(key, Method::POST, "/api/v1/tools/probe_write").json(&json!({}))));
    let looking = async {
        loop {
            let listed = send(app.ask(key, Method::GET, "/api/v1/approvals")).await.json();
            if let Some(id) = listed["items"][0]["id"].as_str() {
                return id.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let call = tokio::time::timeout(Duration::from_secs(20), looking).await.expect("it should be held");
    (call, caller)
}

async fn answer(app: &TestApp, key: &Key, call: &str, body: Value) -> Answer {
    send(app.ask(key, Method::POST, &format!("/api/v1/approvals/{call}")).json(&body)).await
}

fn told(answer: &Answer) -> (u16, String) {
    let json = answer.json();
    let word = json["status"].as_str().or_else(|| json["error"]["code"].as_str()).unwrap_or_default();
    (answer.status.as_u16(), word.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_a_held_call_is_approved_once_and_then_runs() {
    let app = holding().await;
    let (agent, boss) = (app.key(|_| {}).await, app.answering().await);
    let (call, caller) = asked(&app, &agent).await;
    let listed = send(app.ask(&boss, Method::GET, "/api/v1/approvals")).await.json();
    assert_eq!((&listed["items"][0]["id"], &listed["items"][0]["why"]), (&json!(call), &json!("it interrupts service")));
    let yes = json!({ "verdict": "approve", "reason": "I looked" });
    let approved = answer(&app, &boss, &call, yes.clone()).await;
    assert_eq!(told(&approved), (200, "approved".into()), "{approved:?}");
    assert_eq!((&approved.json()["id"], &approved.json()["verdict"]), (&json!(call), &json!("approve")));
    let ran = caller.await.expect("the caller");
    assert_eq!((ran.status, ran.json()), (StatusCode::OK, json!({ "ran": 1 })), "who waited is answered");
    for verdict in ["approve", "reject"] {
        let again = answer(&app, &boss, &call, json!({ "verdict": verdict })).await;
        assert_eq!(told(&again), (409, "conflict".into()), "{again:?}");
    }
    assert_eq!(app.test_node.world.executed().len(), 1, "it ran once");
    assert_eq!(app.events("approval_decided").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_a_rejected_call_never_runs_and_its_caller_reads_why() {
    let app = holding().await;
    let (agent, boss) = (app.key(|_| {}).await, app.answering().await);
    let (call, caller) = asked(&app, &agent).await;
    let rejected = answer(&app, &boss, &call, json!({ "verdict": "reject", "reason": "not tonight" })).await;
    assert_eq!(told(&rejected), (200, "rejected".into()), "{rejected:?}");
    assert_eq!(told(&answer(&app, &boss, &call, json!({ "verdict": "approve" })).await), (409, "conflict".into()));
    let refused = caller.await.expect("the caller");
    assert_eq!(refused.code(), "approval_rejected", "{refused:?}");
    assert!(refused.text.contains("not tonight"), "{refused:?}");
    assert!(app.test_node.world.executed().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_who_may_not_answer_reads_that_there_is_nothing_to_answer() {
    let app = holding().await;
    let agent = app.key(|key| key.scopes.extend([Scope::ApprovalsDecide, Scope::KeysWrite])).await;
    let (call, caller) = asked(&app, &agent).await;
    let (weak, operator) = (app.key(|_| {}).await, app.stranger(Side::Staff).await);
    let elsewhere = app.stranger(Side::Customer).await.account;
    let stranger = app
        .key(|key| {
            (key.account, key.user) = (elsewhere, app.somebody());
            key.scopes.insert(Scope::ApprovalsDecide);
        })
        .await;
    let yes = json!({ "verdict": "approve" });
    for (key, expected) in
        [(&weak, (403, "forbidden_scope")), (&operator, (403, "forbidden_scope")), (&stranger, (404, "not_found"))]
    {
        let hidden = answer(&app, key, &call, yes.clone()).await;
        let absent = answer(&app, key, "call_01ARZ3NDEKTSV4RRFFQ69G5FAV", yes.clone()).await;
        assert_eq!(told(&hidden), (expected.0, expected.1.into()), "{hidden:?}");
        assert_eq!(hidden.json()["error"]["message"], absent.json()["error"]["message"]);
    }
    assert_eq!(told(&answer(&app, &agent, &call, yes.clone()).await), (403, "forbidden_role".into()), "its own call");
    // The agent makes itself another key to answer with.
    let wish = json!({ "label": "another", "scopes": ["approvals:decide"] });
    let made = send(app.ask(&agent, Method::POST, "/api/v1/keys").json(&wish)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let text = made.json()["api_key"].as_str().expect("a key").to_owned();
    let own = Key { text, id: agent.id.clone(), account: agent.account.clone() };
    assert_eq!(told(&answer(&app, &own, &call, yes.clone()).await), (403, "forbidden_role".into()), "a key of its own making");
    for body in [json!({}), json!({ "verdict": "maybe" }), json!({ "verdict": "approve", "more": 1 })] {
        assert_eq!(answer(&app, &agent, &call, body.clone()).await.code(), "validation_failed", "{body}");
    }
    assert_eq!(
        send(app.bare(Method::POST, &format!("/api/v1/approvals/{call}")).json(&yes)).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert!(app.test_node.world.executed().is_empty());
    assert!(app.events("approval_decided").await.is_empty());
    caller.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_calls_that_wait_are_listed_in_pages_and_one_by_one() {
    let app = holding().await;
    let (agent, boss, operator) = (app.key(|_| {}).await, app.answering().await, app.stranger(Side::Staff).await);
    let list = |key, query: String| send(app.ask(key, Method::GET, &format!("/api/v1/approvals{query}")));
    let count = |page: &Value| page["items"].as_array().map_or(0, Vec::len);
    let (mut callers, mut held) = (Vec::new(), Vec::new());
    for n in 1..=3 {
        callers.push(tokio::spawn(send(app.ask(&agent, Method::POST, "/api/v1/tools/probe_write").json(&json!({})))));
        let waiting = async {
            while count(&list(&boss, String::new()).await.json()) < n {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it should be held");
    }
    let mut query = "?limit=1".to_owned();
    loop {
        let page = list(&boss, query).await.json();
        assert_eq!(count(&page), 1, "{page}");
        held.push(page["items"][0]["id"].as_str().expect("an id").to_owned());
        let Some(next) = page["next_cursor"].as_str() else { break };
        query = format!("?limit=1&cursor={next}");
    }
    let whole = list(&boss, String::new()).await.json();
    assert_eq!(
        whole["items"].as_array().expect("items").iter().map(|item| &item["id"]).collect::<Vec<_>>(),
        held.iter().collect::<Vec<_>>()
    );
    assert_eq!((held.len(), &whole["next_cursor"]), (3, &Value::Null));
    let one = list(&boss, format!("?id={}", held[1])).await.json();
    assert_eq!((count(&one), &one["items"][0]["id"]), (1, &json!(held[1])));
    let foreign = format!("?cursor={}/{}", operator.account, held[0]);
    for wrong in ["?cursor=abc".to_owned(), format!("?cursor={}", held[0]), foreign] {
        let refused = list(&boss, wrong).await;
        assert_eq!(refused.code(), "validation_failed", "{refused:?}");
    }
    callers.iter().for_each(JoinHandle::abort);
}
