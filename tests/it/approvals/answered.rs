//! What becomes of a held call: it is let go on, rejected, nobody answers in time, two answer at once, or it is asked for again.

use std::time::Duration;

use forelog::control::Reply;
use forelog::core::call::Status;
use forelog::core::code::Code;
use forelog::core::event::EventKind;
use forelog::core::hold::Hold;
use serde_json::json;

use super::{CANARY, approvals, ask, clean, ended, held, holding, keeps_secrets, leave, owner, said, say, until};
use crate::test_node::{HOLD, Site, TestNode, begin, code_of, on_both};

on_both! {
    approved, approvals_an_approved_call_answers_its_caller_on_sqlite, approvals_an_approved_call_answers_its_caller_on_postgres;
    rejected, approvals_a_rejected_call_never_runs_on_sqlite, approvals_a_rejected_call_never_runs_on_postgres;
    expired, approvals_nobody_in_time_ends_it_on_sqlite, approvals_nobody_in_time_ends_it_on_postgres;
    raced, approvals_of_two_who_answer_one_wins_on_sqlite, approvals_of_two_who_answer_one_wins_on_postgres;
    repeated, approvals_a_repeat_joins_what_waits_on_sqlite, approvals_a_repeat_joins_what_waits_on_postgres;
}

async fn approved(site: Site) {
    let test_node = holding(&site, Hold::new("it interrupts service")).await;
    let boss = owner(&test_node).await;
    let asking = ask(&test_node, json!({ "secret": CANARY, "text": "printf 'all of it'" }));
    let call = held(&test_node).await;
    assert_eq!(test_node.world.runs_of(&call), 0, "nothing runs before a person said yes");
    assert_eq!(test_node.reader.vault.sealed_calls().await.expect("the vault"), std::slice::from_ref(&call));
    keeps_secrets(&site).await;
    assert_eq!(said(&say(&test_node, &boss, &call, "approve").await), "approved");
    assert!(matches!(asking.await.expect("the caller"), Reply::Done { .. }), "who waits is answered");
    assert_eq!(test_node.world.runs_of(&call), 1);
    assert_eq!(ended(&test_node, &call).await.0, Status::Succeeded);
    clean(&test_node).await;
    keeps_secrets(&site).await;
    let log = test_node.log().await;
    let answer = log.iter().find(|event| matches!(event.kind, EventKind::ApprovalDecided { .. })).expect("the answer");
    let EventKind::ApprovalDecided { by, credential, approved, .. } = &answer.kind else { panic!("{answer:?}") };
    assert_eq!((by, credential, *approved), (&Some(boss.user), &Some(boss.credential), true));
    let note = test_node
        .reader
        .part(answer, "note", &forelog::core::visibility::Visibility::Everything)
        .await
        .expect("the note")
        .expect("a note");
    assert_eq!(note["reason"], "because I looked");
    assert!(
        matches!(&log.iter().find(|event| matches!(&event.kind, EventKind::Admitted(admitted) if admitted.call == call)).expect("its admission").kind, EventKind::Admitted(admitted) if !admitted.limits.is_empty()),
        "it counts when it is admitted"
    );
}

async fn rejected(site: Site) {
    let test_node = holding(&site, Hold::new("it interrupts service")).await;
    let boss = owner(&test_node).await;
    let asking = ask(&test_node, json!({ "secret": CANARY }));
    let call = held(&test_node).await;
    assert_eq!(said(&say(&test_node, &boss, &call, "reject").await), "rejected");
    let reply = asking.await.expect("the caller");
    let Reply::Failed { refusal, status, .. } = &reply else { panic!("{reply:?}") };
    assert_eq!((refusal.code, *status), (Code::ApprovalRejected, Status::Refused));
    assert!(refusal.message.contains("because I looked"), "the caller is told why: {}", refusal.message);
    assert_eq!(ended(&test_node, &call).await, (Status::Refused, Some(Code::ApprovalRejected)));
    assert_eq!(test_node.world.runs_of(&call), 0);
    assert_eq!(said(&say(&test_node, &boss, &call, "approve").await), "conflict", "it was answered once");
    clean(&test_node).await;
    keeps_secrets(&site).await;
}

async fn expired(site: Site) {
    let test_node = holding(&site, Hold::new("it interrupts service")).await;
    let boss = owner(&test_node).await;
    let (first, second) = (leave(&test_node, json!({})).await, leave(&test_node, json!({ "secret": CANARY })).await);
    test_node.clock.pass(HOLD.saturating_sub(Duration::from_secs(1)));
    test_node.beat().await;
    assert_eq!(approvals(&test_node).await.len(), 2, "not a second too early");
    test_node.clock.pass(Duration::from_secs(1));
    test_node.beat().await;
    let late = said(&say(&test_node, &boss, &first, "approve").await);
    assert!(["approval_expired", "conflict"].contains(&late.as_str()), "{late}");
    for call in [&first, &second] {
        assert_eq!(ended(&test_node, call).await, (Status::Refused, Some(Code::ApprovalExpired)));
        assert_eq!(test_node.world.runs_of(call), 0);
    }
    clean(&test_node).await;
}

async fn raced(site: Site) {
    let test_node = holding(&site, Hold::new("it interrupts service")).await;
    let people = [owner(&test_node).await, owner(&test_node).await, owner(&test_node).await];
    for verdicts in [["approve", "approve", "approve"], ["approve", "reject", "reject"]] {
        let call = leave(&test_node, json!({})).await;
        let says = people.iter().zip(verdicts).map(|(who, verdict)| say(&test_node, who, &call, verdict));
        let replies = futures::future::join_all(says).await;
        let won: Vec<String> = replies.iter().map(said).filter(|said| said != "conflict").collect();
        assert_eq!(won.len(), 1, "exactly one wins: {replies:?}");
        let (status, _) = ended(&test_node, &call).await;
        assert_eq!(status, if won[0] == "approved" { Status::Succeeded } else { Status::Refused });
        assert_eq!(test_node.world.runs_of(&call), u64::from(won[0] == "approved"));
        let answers = test_node
            .log()
            .await
            .into_iter()
            .filter(|event| matches!(&event.kind, EventKind::ApprovalDecided { call: of, .. } if *of == call));
        assert_eq!(answers.count(), 1);
    }
    clean(&test_node).await;
}

async fn repeated(site: Site) {
    let test_node = holding(&site, Hold::new("it interrupts service")).await;
    let boss = owner(&test_node).await;
    let args = json!({ "text": "again", "idempotency_key": "k" });
    let first = ask(&test_node, args.clone());
    let call = held(&test_node).await;
    let second = ask(&test_node, args.clone());
    until("the repeat", async || (test_node.reader.store.state(&["job"]).await.expect("rows").len() == 2).then_some(())).await;
    assert_eq!(approvals(&test_node).await.len(), 1, "a person is asked once");
    say(&test_node, &boss, &call, "approve").await;
    for asking in [first, second] {
        let reply = asking.await.expect("a caller");
        assert!(matches!(&reply, Reply::Done { .. }), "{reply:?}");
    }
    assert_eq!(test_node.world.executed(), [call]);

    let args = json!({ "text": "other", "idempotency_key": "l" });
    let (first, call) = (ask(&test_node, args.clone()), held(&test_node).await);
    let second = ask(&test_node, args);
    until("the repeat", async || (test_node.reader.store.state(&["job"]).await.expect("rows").len() == 2).then_some(())).await;
    say(&test_node, &boss, &call, "reject").await;
    for asking in [first, second] {
        assert_eq!(code_of(&asking.await.expect("a caller")), Some(Code::ApprovalRejected));
    }
    clean(&test_node).await;
}

/// What is recorded of a queued call's arguments is not all of them: what runs is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn approvals_a_queued_call_runs_with_the_arguments_that_came() {
    let site = Site::sqlite();
    let (test_node, worker, assigned) = TestNode::idle(&site).await;
    let plain = test_node.call("probe_queued", json!({ "text": "nothing to hide" })).await.call().expect("a call").clone();
    let secret = test_node.call("probe_queued", json!({ "secret": CANARY })).await.call().expect("a call").clone();
    assert_eq!(
        test_node.reader.vault.sealed_calls().await.expect("the vault"),
        std::slice::from_ref(&secret),
        "what is whole needs no seal"
    );
    begin(worker, assigned).await;
    for call in [&plain, &secret] {
        assert_eq!(ended(&test_node, call).await.0, Status::Succeeded);
    }
    clean(&test_node).await;
    keeps_secrets(&site).await;
}
