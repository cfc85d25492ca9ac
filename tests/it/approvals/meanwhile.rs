//! What happens while a call waits: switches, changes of what it was decided by, crashes, and a flood of others that wait.

use std::time::Duration;

use forelog::control::Reply;
use forelog::core::approval::Step;
use forelog::core::call::Status;
use forelog::core::code::Code;
use forelog::core::event::EventKind;
use forelog::core::hold::Hold;
use forelog::core::id::CallId;
use forelog::core::principal::{Principal, Side};
use forelog::log::admission::job_row;
use forelog::log::hold::Released;
use serde_json::{Value, json};

use super::{
    CANARY, account, agree, approvals, ask, clean, ended, held, holding, job, keeps_secrets, leave, owner, person, said, say,
    staff, until,
};
use crate::test_node::{Site, TestNode, code_of, on_both};

on_both! {
    superseded, approvals_what_moved_is_superseded_on_sqlite, approvals_what_moved_is_superseded_on_postgres;
    switched, approvals_a_switch_ends_what_waits_on_sqlite, approvals_a_switch_ends_what_waits_on_postgres;
    unseen_open, approvals_anothers_open_call_is_looked_for_as_one_that_is_not_on_sqlite,
        approvals_anothers_open_call_is_looked_for_as_one_that_is_not_on_postgres;
    many_waiting, approvals_that_wait_delay_nothing_that_is_queued_on_sqlite, approvals_that_wait_delay_nothing_that_is_queued_on_postgres;
    restarted, approvals_survive_a_crash_at_each_step_on_sqlite, approvals_survive_a_crash_at_each_step_on_postgres;
}

async fn superseded(site: Site) {
    let test_node = holding(&site, Hold::new("one")).await;
    let boss = owner(&test_node).await;
    let moved = leave(&test_node, json!({})).await;
    test_node.world.hold(Some(Hold::new("another")));
    say(&test_node, &boss, &moved, "approve").await;
    assert_eq!(ended(&test_node, &moved).await, (Status::Refused, Some(Code::ApprovalSuperseded)));

    let unsealed = leave(&test_node, json!({})).await;
    test_node.reader.vault.drop_seal(&unsealed).await.expect("the vault");
    say(&test_node, &boss, &unsealed, "approve").await;
    assert_eq!(ended(&test_node, &unsealed).await, (Status::Refused, Some(Code::ApprovalSuperseded)));

    let other = leave(&test_node, json!({ "text": "this" })).await;
    let now = test_node.control.ports.clock.now();
    test_node.reader.vault.put_seal(&test_node.account, now, &other, br#"{"text":"that"}"#).await.expect("the vault");
    say(&test_node, &boss, &other, "approve").await;
    assert_eq!(ended(&test_node, &other).await, (Status::Refused, Some(Code::ApprovalSuperseded)));
    assert!(test_node.world.executed().is_empty());

    let free = leave(&test_node, json!({})).await;
    test_node.world.hold(None);
    say(&test_node, &boss, &free, "approve").await;
    assert_eq!(ended(&test_node, &free).await.0, Status::Succeeded, "nobody has to be asked any more");
    clean(&test_node).await;
}

async fn switched(site: Site) {
    let test_node = holding(&site, Hold::new("it interrupts service")).await;
    let (boss, operator) = (owner(&test_node).await, staff(&test_node).await);
    let asking = ask(&test_node, json!({ "secret": CANARY, "idempotency_key": "once" }));
    let call = held(&test_node).await;
    let engage = |target: String| {
        let args = json!({ "target": target, "reason": "an incident" });
        forelog::control::Request { principal: operator.clone(), ..test_node.request("switch_engage", args) }
    };
    let engaged = test_node.control.submit(engage("class:write".into())).await;
    assert!(matches!(engaged, Reply::Done { .. }), "{engaged:?}");
    assert_eq!(ended(&test_node, &call).await, (Status::Refused, Some(Code::KillSwitchEngaged)));
    assert_eq!(code_of(&asking.await.expect("the caller")), Some(Code::KillSwitchEngaged));
    assert_eq!(said(&say(&test_node, &boss, &call, "approve").await), "conflict");
    clean(&test_node).await;
    let rows = test_node.reader.store.state(&["idem"]).await.expect("rows");
    assert!(!rows.iter().any(|row| String::from_utf8_lossy(&row.doc).contains(call.as_str())), "it may be asked for again");

    // A tool of the catalogue: it ends in the transaction that engages.
    let looking = test_node.request("operation_get", json!({ "operation_id": call }));
    let looking = test_node.control.submit(forelog::control::Request { wait: Duration::ZERO, ..looking }).await;
    assert_eq!(code_of(&looking), Some(Code::ApprovalRequired), "{looking:?}");
    let engaged = test_node.control.submit(engage(format!("credential:{}", test_node.credential))).await;
    let Reply::Done { result, .. } = &engaged else { panic!("{engaged:?}") };
    assert_eq!(result["cancelled"], 1);
    let log = test_node.log().await;
    let flip = log.iter().rposition(|event| matches!(event.kind, EventKind::SwitchEngaged { .. })).expect("the flip");
    assert!(matches!(&log[flip + 1].kind, EventKind::Refused(refused) if refused.call == *looking.call().expect("a call")));
    clean(&test_node).await;

    // At the same time: whoever comes first, no call starts after the switch.
    let switches = test_node.control.ports.fence().state().switches.keys().cloned().collect::<Vec<_>>();
    for switch in switches {
        test_node.change(EventKind::SwitchReleased { switch, by: None, second: None, break_glass: true }, Value::Null).await;
    }
    let call = leave(&test_node, json!({})).await;
    let (approving, engaging) = tokio::join!(
        say(&test_node, &boss, &call, "approve"),
        test_node.control.submit(engage(format!("account:{}", test_node.account)))
    );
    assert!(matches!(engaging, Reply::Done { .. }), "{engaging:?} {approving:?}");
    let runs = test_node.world.runs_of(&call);
    let (status, _) = ended(&test_node, &call).await;
    assert_eq!(test_node.world.runs_of(&call), runs, "nothing starts once the switch is fenced");
    assert_eq!(runs, u64::from(status == Status::Succeeded));
    clean(&test_node).await;
}

/// A person says yes on a node that then dies, before or after it has decided again.
async fn restarted(site: Site) {
    let mut calls = Vec::new();
    for released in [false, true] {
        let (dying, ..) = TestNode::idle(&site).await;
        dying.world.hold(Some(Hold::new("it interrupts service")));
        let boss = owner(&dying).await;
        let call = leave(&dying, json!({ "secret": CANARY })).await;
        assert_eq!(agree(&dying, &boss, &call).await, Ok(Step::Granted));
        if released {
            let held = job(&dying, &call).await.expect("it waits");
            let approval = approvals(&dying).await.into_iter().find(|row| row.call == call).expect("its row");
            assert_eq!(dying.control.release(&held, &approval).await.expect("decided"), Released::Queued);
            assert_eq!(dying.control.release(&held, &approval).await.expect("decided"), Released::Gone, "once");
        }
        calls.push(call);
    }
    assert!(site.world.executed().is_empty());
    // Two that start at once: one of them makes each call.
    let (one, other) = tokio::join!(TestNode::start(&site), TestNode::start(&site));
    for call in &calls {
        assert_eq!(ended(&one, call).await.0, Status::Succeeded);
        assert_eq!(site.world.runs_of(call), 1, "neither lost nor made twice");
    }
    clean(&other).await;
    keeps_secrets(&site).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn approvals_a_key_cannot_bury_people_in_requests() {
    let site = Site::sqlite();
    let test_node = holding(&site, Hold::new("it interrupts service")).await;
    for _ in 0..50 {
        leave(&test_node, json!({})).await;
    }
    let reply = test_node.call("probe_write", json!({})).await;
    assert_eq!(code_of(&reply), Some(Code::RateLimited), "{reply:?}");
    assert_eq!(approvals(&test_node).await.len(), 50);
    until("no seal of the refused call", async || {
        (test_node.reader.vault.sealed_calls().await.expect("the vault").len() == 50).then_some(())
    })
    .await;
}

/// A switch is engaged although somebody holds the rows of a call that waits; that call ends once they can be had.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_held_rows_of_what_waits_keep_nobody_from_engaging() {
    let site = Site::postgres().await;
    let test_node = holding(&site, Hold::new("it interrupts service")).await;
    let operator = staff(&test_node).await;
    let (held, free) = (leave(&test_node, json!({})).await, leave(&test_node, json!({})).await);
    let rows = format!("select name from log.state where name like '%{held}%' for update");
    let (mut holder, _) = crate::held::hold(&site.log, &rows).await;
    let args = json!({ "target": "class:write", "reason": "an incident" });
    let engage = forelog::control::Request { principal: operator, ..test_node.request("switch_engage", args) };
    let engaged = test_node.control.submit(engage).await;
    assert!(matches!(engaged, Reply::Done { .. }), "{engaged:?}");
    assert_eq!(code_of(&test_node.call("probe_write", json!({})).await), Some(Code::KillSwitchEngaged));
    assert_eq!(ended(&test_node, &free).await, (Status::Refused, Some(Code::KillSwitchEngaged)));
    sqlx::Executor::execute(&mut holder, "rollback").await.expect("it ends");
    assert_eq!(ended(&test_node, &held).await, (Status::Refused, Some(Code::KillSwitchEngaged)));
    clean(&test_node).await;
}

/// However many calls wait for a person, what goes on beside them reads none of their approvals.
async fn many_waiting(site: Site) {
    let test_node = holding(&site, Hold::new("it interrupts service")).await;
    for _ in 0..30 {
        leave(&test_node, json!({})).await;
    }
    test_node.world.hold(None);
    let before = site.reads("approval:");
    for ran in 1..=10 {
        let reply = test_node.call("probe_queued", json!({})).await;
        assert!(!matches!(reply, Reply::Failed { .. }), "{reply:?}");
        test_node.world.executed_at_least(ran).await;
    }
    let looks = site.reads("approval:") - before;
    assert!(looks <= 5, "approvals were read {looks} times for ten calls that wait for nobody");
    assert_eq!(approvals(&test_node).await.len(), 30, "all of them still wait");
}

/// Who names a call of others as the one to follow is told no sooner that there is none.
async fn unseen_open(site: Site) {
    let test_node = holding(&site, Hold::new("it interrupts service")).await;
    let open = leave(&test_node, json!({})).await;
    let other = account(&test_node, Side::Customer).await;
    let stranger = person(&test_node, &other, Side::Customer, |_| {}).await;
    let sibling = person(&test_node, &test_node.account, Side::Customer, |_| {}).await;
    let absent = CallId::new(test_node.clock.after(Duration::ZERO), &*test_node.control.ports.entropy);
    let looks = async |who: &Principal, call: &CallId| {
        let row = job_row(call);
        let before = site.reads(&row);
        let mut request = test_node.request("probe_write", json!({}));
        (request.principal, request.follows) = (who.clone(), Some(call.to_string()));
        let refused = code_of(&test_node.control.submit(request).await);
        assert_eq!(refused, Some(Code::OperationNotFound));
        site.reads(&row) - before
    };
    let of_absent = looks(&stranger, &absent).await;
    assert_eq!(looks(&stranger, &open).await, of_absent, "another account's open call is found sooner");
    assert_eq!(looks(&sibling, &open).await, of_absent, "another key's open call is found sooner");
}
