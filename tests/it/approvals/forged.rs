//! Rows of what waits that somebody edited: none asks for less, adds a yes, or is read for somebody else.

use std::time::Duration;

use forelog::control::Reply;
use forelog::core::approval::{Approval, Step};
use forelog::core::call::Status;
use forelog::core::code::Code;
use forelog::core::event::EventKind;
use forelog::core::hold::{Approver, Hold};
use forelog::core::id::AccountId;
use forelog::core::job::Job;
use forelog::core::principal::Side;
use forelog::core::role::Role;
use forelog::log::admission::job_row;
use forelog::log::hold::Released;
use serde_json::json;

use super::{account, agree, approvals, edit, ended, holding, job, leave, owner, said, say, signed_in, staff};
use crate::test_node::{Site, TestNode, on_both};

on_both! {
    eased, approvals_no_row_asks_for_less_on_sqlite, approvals_no_row_asks_for_less_on_postgres;
    doubled, approvals_nobody_says_yes_twice_on_sqlite, approvals_nobody_says_yes_twice_on_postgres;
    others_waiting, approvals_what_waits_for_others_is_not_read_on_sqlite, approvals_what_waits_for_others_is_not_read_on_postgres;
}

/// A call that is held reads what waits of its own account, and of no other: a row of another's that cannot be read is as good
/// as a thousand that can.
async fn others_waiting(site: Site) {
    let test_node = holding(&site, Hold::new("it interrupts service")).await;
    let spoil = async |account: &AccountId| {
        let name = format!("{}call_none", forelog::log::hold::approvals_of(account));
        let written = test_node.writer.write(forelog::log::store::Want::default(), move |draft| draft.put(&name, &json!("none")));
        written.await.expect("a row");
    };
    spoil(&account(&test_node, Side::Customer).await).await;
    let call = leave(&test_node, json!({})).await;
    let boss = owner(&test_node).await;
    let request = forelog::control::Request { principal: boss, ..test_node.request("approval_list", json!({})) };
    let Reply::Done { result, .. } = test_node.control.submit(request).await else { panic!("no list") };
    assert_eq!(result["items"][0]["id"], json!(call));
    spoil(&test_node.account).await;
    let mut request = test_node.request("probe_write", json!({}));
    request.wait = Duration::ZERO;
    let reply = test_node.control.submit(request).await;
    let Reply::Failed { refusal, .. } = reply else { panic!("{reply:?}") };
    assert_eq!(refusal.code, Code::ControlStateUnreadable);
}

/// What is asked for is said by the log: a row that asks for less asks for nothing.
async fn eased(site: Site) {
    let test_node = holding(&site, Hold { second_person: true, separate: true, ..Hold::new("four eyes, not your own") }).await;
    let own = signed_in(&test_node, &test_node.account, Role::Owner, |key| key.user = test_node.user.clone()).await;
    let staff = staff(&test_node).await;
    let changes: [fn(&mut Approval); 3] =
        [|row| row.hold.separate = false, |row| row.hold.second_person = false, |row| row.hold.approver = Approver::Any];
    for change in changes {
        let call = leave(&test_node, json!({})).await;
        edit(&test_node, &call, change).await;
        for who in [&own, &staff] {
            let answer = said(&say(&test_node, who, &call, "approve").await);
            assert!(!["held", "approved"].contains(&answer.as_str()), "{answer}");
        }
    }
    // Each of the two is somebody else, and the row as it was.
    let call = leave(&test_node, json!({})).await;
    let (ada, bob) = (owner(&test_node).await, owner(&test_node).await);
    assert_eq!(said(&say(&test_node, &own, &call, "approve").await), "forbidden_role");
    edit(&test_node, &call, |row| row.hold.separate = false).await;
    let answer = said(&say(&test_node, &own, &call, "approve").await);
    assert!(!["held", "approved"].contains(&answer.as_str()), "{answer}");
    assert!(test_node.world.executed().is_empty());
    let call = leave(&test_node, json!({})).await;
    assert_eq!(said(&say(&test_node, &ada, &call, "approve").await), "held");
    assert_eq!(said(&say(&test_node, &bob, &call, "approve").await), "approved");
    assert_eq!(ended(&test_node, &call).await.0, Status::Succeeded);
}

/// Two yeses of one person are one, however often they are written down; nor is one that was never allowed any.
async fn doubled(site: Site) {
    let (test_node, _worker, _assigned) = TestNode::idle(&site).await;
    test_node.world.hold(Some(Hold { second_person: true, separate: true, ..Hold::new("four eyes, not your own") }));
    let own = signed_in(&test_node, &test_node.account, Role::Owner, |key| key.user = test_node.user.clone()).await;
    let (ada, bob) = (owner(&test_node).await, owner(&test_node).await);
    let call = leave(&test_node, json!({})).await;
    assert_eq!(agree(&test_node, &ada, &call).await, Ok(Step::Waits));
    edit(&test_node, &call, |row| row.consents = vec![row.consents[0].clone(), row.consents[0].clone()]).await;
    let released = async || {
        let approval = approvals(&test_node).await.into_iter().find(|row| row.call == call).expect("its row");
        test_node.control.release(&job(&test_node, &call).await.expect("it waits"), &approval).await.expect("decided")
    };
    assert_eq!(released().await, Released::Gone, "one person twice");
    // Events of who may not say it, put in at the end of the log.
    let (name, said, id) = (job_row(&call), (own.user.clone(), own.credential.clone()), call.clone());
    let events = [test_node.event_id(), test_node.event_id()];
    let want = forelog::log::store::Want { names: vec![name.clone()], ..Default::default() };
    let forged = test_node.writer.write(want, move |draft| {
        let mut job: Job = draft.get(&name)?.expect("it waits");
        for event in events.clone() {
            let (by, credential) = (Some(said.0.clone()), Some(said.1.clone()));
            let kind = EventKind::ApprovalDecided { call: id.clone(), by, credential, approved: true };
            job.last = draft.append(job.last, forelog::log::draft::NewEvent::plain(event, kind))?;
        }
        draft.put(&name, &job)
    });
    forged.await.expect("two events");
    assert_eq!(released().await, Released::Gone, "two yeses of who made the call");
    assert_eq!(agree(&test_node, &bob, &call).await, Ok(Step::Granted));
    assert_eq!(released().await, Released::Queued);
}
