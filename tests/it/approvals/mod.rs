//! Calls that wait for a person: what becomes of them, who may answer, and that whatever happens in between none is lost,
//! none is made twice, and none is made that a person did not say yes to.

mod answered;
mod approvers;
mod forged;
mod meanwhile;

use std::sync::Arc;
use std::time::Duration;

use forelog::control::Reply;
use forelog::core::approval::{Approval, Step};
use forelog::core::call::Status;
use forelog::core::code::Code;
use forelog::core::event::{CredentialCreated, EventKind};
use forelog::core::hold::Hold;
use forelog::core::id::{AccountId, CallId, CredentialId, UserId};
use forelog::core::job::Job;
use forelog::core::principal::{Principal, Side, Via};
use forelog::core::refusal::Refusal;
use forelog::core::role::Role;
use forelog::core::scope::Scope;
use forelog::log::admission::job_row;
use forelog::log::hold::Answer;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::promises::check;
use crate::test_node::{Site, TestNode};

const CANARY: &str = "canary-4b1d-of-a-held-call";

/// A node whose policies ask for `hold`.
async fn holding(site: &Site, hold: Hold) -> Arc<TestNode> {
    let test_node = TestNode::start(site).await;
    test_node.world.hold(Some(hold));
    Arc::new(test_node)
}

/// A key of a person.
async fn person(test_node: &TestNode, account: &AccountId, side: Side, edit: impl FnOnce(&mut CredentialCreated)) -> Principal {
    let ports = &test_node.control.ports;
    let (user, credential) =
        (UserId::new(ports.clock.now(), &*ports.entropy), CredentialId::new(ports.clock.now(), &*ports.entropy));
    let mut created = CredentialCreated {
        credential: credential.clone(),
        account: account.clone(),
        user,
        side,
        hash: credential.to_string().into(),
        prefix: "flk_live_person".into(),
        scopes: if side == Side::Staff { Scope::staff() } else { Scope::customer() },
        ..crate::fixtures::key_made(1)
    };
    edit(&mut created);
    let user = created.user.clone();
    test_node.change(EventKind::CredentialCreated(created), json!({ "label": "person" })).await;
    Principal { side, account: account.clone(), user, credential, via: Via::Rest, ip: None, read_only: false }
}

/// Somebody who is signed in.
async fn signed_in(
    test_node: &TestNode,
    account: &AccountId,
    role: Role,
    edit: impl FnOnce(&mut CredentialCreated),
) -> Principal {
    let acting = person(test_node, account, role.side(), |key| {
        (key.role, key.scopes) = (Some(role), role.scopes());
        edit(key);
    });
    Principal { via: Via::Console, ..acting.await }
}

pub async fn owner(test_node: &TestNode) -> Principal {
    signed_in(test_node, &test_node.account, Role::Owner, |_| {}).await
}

async fn account(test_node: &TestNode, side: Side) -> AccountId {
    let ports = &test_node.control.ports;
    let account = AccountId::new(ports.clock.now(), &*ports.entropy);
    test_node.change(EventKind::AccountCreated { account: account.clone(), side }, Value::Null).await;
    account
}

pub async fn staff(test_node: &TestNode) -> Principal {
    let account = account(test_node, Side::Staff).await;
    signed_in(test_node, &account, Role::Admin, |_| {}).await
}

/// The test node's own key asks, and waits.
fn ask(test_node: &Arc<TestNode>, args: Value) -> JoinHandle<Reply> {
    let test_node = Arc::clone(test_node);
    tokio::spawn(async move { test_node.call("probe_write", args).await })
}

/// The test node's own key asks, and does not wait.
async fn leave(test_node: &TestNode, args: Value) -> CallId {
    let mut request = test_node.request("probe_write", args);
    request.wait = Duration::ZERO;
    let reply = test_node.control.submit(request).await;
    let Reply::Failed { call: Some(call), refusal, status: Status::Held } = reply else { panic!("{reply:?}") };
    assert_eq!(refusal.code, Code::ApprovalRequired);
    assert_eq!(refusal.details["operation_id"], json!(call));
    assert_eq!(refusal.details["url"], json!(format!("https://forelog.example/console/approvals/{call}")));
    call
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looking).await.unwrap_or_else(|_| panic!("never: {what}"))
}

async fn approvals(test_node: &TestNode) -> Vec<Approval> {
    let rows = test_node.reader.store.state(&["approval"]).await.expect("the rows");
    rows.iter().map(|row| serde_json::from_slice(&row.doc).expect("an approval")).collect()
}

async fn held(test_node: &TestNode) -> CallId {
    until("a held call", async || approvals(test_node).await.pop()).await.call
}

async fn job(test_node: &TestNode, call: &CallId) -> Option<Job> {
    let rows = test_node.reader.store.state_rows(&[job_row(call)]).await.expect("the row");
    rows.first().map(|row| serde_json::from_slice(&row.doc).expect("a job"))
}

pub async fn say(test_node: &TestNode, who: &Principal, call: &CallId, verdict: &str) -> Reply {
    let args = json!({ "id": call, "verdict": verdict, "reason": "because I looked" });
    let request = forelog::control::Request { principal: who.clone(), ..test_node.request("approval_decide", args) };
    test_node.control.submit(request).await
}

/// Says yes on a node that runs nothing.
async fn agree(test_node: &TestNode, who: &Principal, call: &CallId) -> Result<Step, Refusal> {
    let held = job(test_node, call).await.expect("it waits");
    let answer = Answer {
        call: call.clone(),
        by: Some(who.clone()),
        acting: None,
        approve: true,
        events: [test_node.event_id(), test_node.event_id()],
        note: Vec::new(),
        result: Vec::new(),
    };
    test_node.writer.answer(answer, &held).await.expect("written")
}

fn said(reply: &Reply) -> String {
    match reply {
        Reply::Done { result, .. } => result["status"].as_str().unwrap_or_default().to_owned(),
        Reply::Failed { refusal, .. } => refusal.code.to_string(),
        Reply::Running { .. } => panic!("{reply:?}"),
    }
}

/// How a call stands, by its events alone.
async fn ended(test_node: &TestNode, call: &CallId) -> (Status, Option<Code>) {
    until("its end", async || if job(test_node, call).await.is_none() { Some(()) } else { None }).await;
    let log = test_node.log().await;
    let status = check(&log, true)[call];
    let code = log.iter().rev().find_map(|event| match &event.kind {
        EventKind::Refused(refused) if refused.call == *call => Some(refused.code),
        _ => None,
    });
    (status, code)
}

/// Nothing of a held call is left but its events.
async fn clean(test_node: &TestNode) {
    assert!(approvals(test_node).await.is_empty(), "no approval is left");
    until("no seal is left", async || test_node.reader.vault.sealed_calls().await.expect("the vault").is_empty().then_some(()))
        .await;
}

/// No stored byte of the log room has the secret, in the clear or in any column.
async fn keeps_secrets(site: &Site) {
    let room = site.room().await;
    let schema = if site.log.is_empty() { "" } else { "log." };
    for sql in ["select leaf from {}event", "select body from {}payload", "select doc from {}state"] {
        let rows = room.query(&sql.replace("{}", schema), Vec::new()).await.expect("rows");
        for row in rows {
            let bytes = row.bytes(0).expect("bytes");
            assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()), "{sql}");
        }
    }
}

/// Changes the row of what waits, as whoever can write to the database does.
async fn edit(test_node: &TestNode, call: &CallId, change: impl Fn(&mut Approval) + Send + 'static) {
    let row = forelog::log::hold::approval_row(&test_node.account, call);
    let want = forelog::log::store::Want { names: vec![row.clone()], ..Default::default() };
    let written = test_node.writer.write(want, move |draft| {
        let mut approval: Approval = draft.get(&row)?.expect("it waits");
        change(&mut approval);
        draft.put(&row, &approval)
    });
    written.await.expect("an edit");
}
