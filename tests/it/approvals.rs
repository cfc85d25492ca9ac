//! Calls that wait for a person: what becomes of them, who may answer, and that whatever happens in between none is lost,
//! none is made twice, and none is made that a person did not say yes to.

use std::sync::Arc;
use std::time::Duration;

use forelog::control::Reply;
use forelog::core::approval::{Approval, Step};
use forelog::core::call::Status;
use forelog::core::code::Code;
use forelog::core::event::{CredentialCreated, EventKind};
use forelog::core::hold::{Approver, Hold};
use forelog::core::id::{AccountId, CallId, CredentialId, UserId};
use forelog::core::job::Job;
use forelog::core::principal::{Principal, Side, Via};
use forelog::core::refusal::Refusal;
use forelog::core::role::Role;
use forelog::core::scope::{Scope, ScopeSet};
use forelog::log::admission::job_row;
use forelog::log::hold::{Answer, Released};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::promises::check;
use crate::test_node::{HOLD, Site, TestNode};

const CANARY: &str = "canary-4b1d-of-a-held-call";

macro_rules! on_both {
    ($($case:ident: $sqlite:ident, $postgres:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $sqlite() {
            $case(Site::sqlite()).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $postgres() {
            $case(Site::postgres().await).await;
        }
    )*};
}

on_both! {
    approved: approvals_an_approved_call_answers_its_caller_on_sqlite, approvals_an_approved_call_answers_its_caller_on_postgres;
    rejected: approvals_a_rejected_call_never_runs_on_sqlite, approvals_a_rejected_call_never_runs_on_postgres;
    expired: approvals_nobody_in_time_ends_it_on_sqlite, approvals_nobody_in_time_ends_it_on_postgres;
    superseded: approvals_what_moved_is_superseded_on_sqlite, approvals_what_moved_is_superseded_on_postgres;
    raced: approvals_of_two_who_answer_one_wins_on_sqlite, approvals_of_two_who_answer_one_wins_on_postgres;
    switched: approvals_a_switch_ends_what_waits_on_sqlite, approvals_a_switch_ends_what_waits_on_postgres;
    persons: approvals_the_right_persons_only_on_sqlite, approvals_the_right_persons_only_on_postgres;
    offspring: approvals_a_key_cannot_make_its_own_approver_on_sqlite, approvals_a_key_cannot_make_its_own_approver_on_postgres;
    restarted: approvals_survive_a_crash_at_each_step_on_sqlite, approvals_survive_a_crash_at_each_step_on_postgres;
    left: approvals_who_has_left_has_said_nothing_on_sqlite, approvals_who_has_left_has_said_nothing_on_postgres;
    lost: approvals_who_has_lost_the_right_has_said_nothing_on_sqlite, approvals_who_has_lost_the_right_has_said_nothing_on_postgres;
    unshown: approvals_nobody_approves_what_is_not_shown_on_sqlite, approvals_nobody_approves_what_is_not_shown_on_postgres;
    guests: approvals_a_guest_is_no_second_person_on_sqlite, approvals_a_guest_is_no_second_person_on_postgres;
    eased: approvals_no_row_asks_for_less_on_sqlite, approvals_no_row_asks_for_less_on_postgres;
    doubled: approvals_nobody_says_yes_twice_on_sqlite, approvals_nobody_says_yes_twice_on_postgres;
    others_waiting: approvals_what_waits_for_others_is_not_read_on_sqlite, approvals_what_waits_for_others_is_not_read_on_postgres;
    unseen_open: approvals_anothers_open_call_is_looked_for_as_one_that_is_not_on_sqlite, approvals_anothers_open_call_is_looked_for_as_one_that_is_not_on_postgres;
    many_waiting: approvals_that_wait_delay_nothing_that_is_queued_on_sqlite, approvals_that_wait_delay_nothing_that_is_queued_on_postgres;
    repeated: approvals_a_repeat_joins_what_waits_on_sqlite, approvals_a_repeat_joins_what_waits_on_postgres;
}

/// A node whose policies ask for `hold`.
async fn holding(site: &Site, hold: Hold) -> Arc<TestNode> {
    let test_node = TestNode::start(site).await;
    test_node.world.hold(Some(hold));
    Arc::new(test_node)
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
        let refused = code(&test_node.control.submit(request).await);
        assert_eq!(refused, Some(Code::OperationNotFound));
        site.reads(&row) - before
    };
    let of_absent = looks(&stranger, &absent).await;
    assert_eq!(looks(&stranger, &open).await, of_absent, "another account's open call is found sooner");
    assert_eq!(looks(&sibling, &open).await, of_absent, "another key's open call is found sooner");
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

/// A key that was given the right to answer by name.
async fn answering(test_node: &TestNode, edit: impl FnOnce(&mut CredentialCreated)) -> Principal {
    person(test_node, &test_node.account, Side::Customer, |key| {
        key.scopes.insert(Scope::ApprovalsDecide);
        edit(key);
    })
    .await
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

/// The plant's own key asks, and waits.
fn ask(test_node: &Arc<TestNode>, args: Value) -> JoinHandle<Reply> {
    let test_node = Arc::clone(test_node);
    tokio::spawn(async move { test_node.call("probe_write", args).await })
}

/// The plant's own key asks, and does not wait.
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

fn code(reply: &Reply) -> Option<Code> {
    match reply {
        Reply::Failed { refusal, .. } => Some(refusal.code),
        _ => None,
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
    assert_eq!(code(&asking.await.expect("the caller")), Some(Code::KillSwitchEngaged));
    assert_eq!(said(&say(&test_node, &boss, &call, "approve").await), "conflict");
    clean(&test_node).await;
    let rows = test_node.reader.store.state(&["idem"]).await.expect("rows");
    assert!(!rows.iter().any(|row| String::from_utf8_lossy(&row.doc).contains(call.as_str())), "it may be asked for again");

    // A tool of the catalogue: it ends in the transaction that engages.
    let looking = test_node.request("operation_get", json!({ "operation_id": call }));
    let looking = test_node.control.submit(forelog::control::Request { wait: Duration::ZERO, ..looking }).await;
    assert_eq!(code(&looking), Some(Code::ApprovalRequired), "{looking:?}");
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

async fn persons(site: Site) {
    let test_node = holding(&site, Hold::new("plain")).await;
    let own = test_node.principal();
    let (ada, bob, operator) = (owner(&test_node).await, owner(&test_node).await, staff(&test_node).await);
    let me_again = signed_in(&test_node, &test_node.account, Role::Owner, |key| key.user = test_node.user.clone()).await;
    let rotated = answering(&test_node, |key| key.rotates = Some(own.credential.clone())).await;
    let mighty = answering(&test_node, |_| {}).await;
    let agent = person(&test_node, &test_node.account, Side::Customer, |_| {}).await;
    let elsewhere = account(&test_node, Side::Customer).await;
    let stranger = signed_in(&test_node, &elsewhere, Role::Owner, |_| {}).await;
    let try_all = async |call: &CallId, tries: &[(&Principal, &str)]| {
        for (who, expected) in tries {
            assert_eq!(said(&say(&test_node, who, call, "approve").await), *expected, "{who:?}");
        }
    };

    let call = leave(&test_node, json!({ "secret": CANARY })).await;
    let refused = [(&mighty, "forbidden_role"), (&rotated, "forbidden_role"), (&operator, "forbidden_role")];
    try_all(&call, &refused).await;
    try_all(&call, &[(&own, "forbidden_scope"), (&agent, "forbidden_scope"), (&stranger, "not_found")]).await;
    for (who, seen) in [(&own, 1), (&ada, 1), (&operator, 1), (&agent, 0), (&stranger, 0)] {
        let request = forelog::control::Request { principal: who.clone(), ..test_node.request("approval_list", json!({})) };
        let reply = test_node.control.submit(request).await;
        let Reply::Done { result, .. } = &reply else { panic!("{reply:?}") };
        assert_eq!(result["items"].as_array().expect("a list").len(), seen, "{who:?}");
        assert!(!result.to_string().contains(CANARY), "a person sees no secret");
    }
    try_all(&call, &[(&me_again, "approved")]).await;
    assert_eq!(ended(&test_node, &call).await.0, Status::Succeeded);
    try_all(&call, &[(&stranger, "not_found"), (&agent, "forbidden_scope"), (&ada, "conflict")]).await;

    test_node.world.hold(Some(Hold { separate: true, ..Hold::new("not your own") }));
    let call = leave(&test_node, json!({})).await;
    try_all(&call, &[(&me_again, "forbidden_role"), (&ada, "approved")]).await;
    assert_eq!(ended(&test_node, &call).await.0, Status::Succeeded);

    test_node.world.hold(Some(Hold { second_person: true, ..Hold::new("four eyes") }));
    let call = leave(&test_node, json!({})).await;
    try_all(&call, &[(&ada, "held"), (&ada, "second_person_required")]).await;
    assert_eq!(job(&test_node, &call).await.expect("it waits").status, Status::Held, "one of two is not enough");
    try_all(&call, &[(&bob, "approved")]).await;
    assert_eq!(ended(&test_node, &call).await.0, Status::Succeeded);

    test_node.world.hold(Some(Hold { approver: Approver::Staff, ..Hold::new("ours") }));
    let call = leave(&test_node, json!({})).await;
    try_all(&call, &[(&ada, "forbidden_role"), (&operator, "approved")]).await;
    assert_eq!(ended(&test_node, &call).await.0, Status::Succeeded);
    clean(&test_node).await;
}

/// Whoever somebody has invited lately is nobody else, nor are two who came by the same person.
async fn guests(site: Site) {
    let test_node = holding(&site, Hold { second_person: true, ..Hold::new("four eyes") }).await;
    let guest_of = async |host: &UserId| {
        let guest = owner(&test_node).await;
        let made = EventKind::UserCreated {
            user: guest.user.clone(),
            account: test_node.account.clone(),
            side: Side::Customer,
            role: Some(Role::Owner),
            invitation: None,
            invited_by: Some(host.clone()),
            address: None,
        };
        test_node.change(made, Value::Null).await;
        guest
    };
    let (ada, bob) = (owner(&test_node).await, owner(&test_node).await);
    let (one, other) = (guest_of(&ada.user).await, guest_of(&ada.user).await);
    let (far, own) = (guest_of(&one.user).await, guest_of(&test_node.user).await);
    for pair in [[&ada, &one], [&one, &ada], [&one, &other], [&ada, &far], [&far, &other]] {
        let call = leave(&test_node, json!({})).await;
        assert_eq!(said(&say(&test_node, pair[0], &call, "approve").await), "held");
        assert_eq!(said(&say(&test_node, pair[1], &call, "approve").await), "second_person_required", "{pair:?}");
        assert_eq!(said(&say(&test_node, &bob, &call, "approve").await), "approved");
    }
    test_node.world.hold(Some(Hold { separate: true, ..Hold::new("not your own") }));
    let call = leave(&test_node, json!({})).await;
    assert_eq!(said(&say(&test_node, &own, &call, "approve").await), "forbidden_role", "their own guest");
    assert_eq!(said(&say(&test_node, &ada, &call, "approve").await), "approved");
    test_node.clock.pass(Duration::from_hours(7 * 24));
    test_node.beat().await;
    let call = leave(&test_node, json!({})).await;
    assert_eq!(said(&say(&test_node, &own, &call, "approve").await), "approved", "a week later they stand for themselves");
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

/// What a person said who has left since is not half of a yes; nor do they say anything more.
async fn left(site: Site) {
    let test_node = holding(&site, Hold { second_person: true, ..Hold::new("four eyes") }).await;
    let (ada, bob, eve) = (owner(&test_node).await, owner(&test_node).await, owner(&test_node).await);
    let call = leave(&test_node, json!({})).await;
    assert_eq!(said(&say(&test_node, &ada, &call, "approve").await), "held");
    let gone = EventKind::UserRemoved { user: ada.user.clone(), account: test_node.account.clone(), by: None };
    test_node.change(gone, Value::Null).await;
    assert_eq!(said(&say(&test_node, &ada, &call, "approve").await), "token_revoked");
    assert_eq!(said(&say(&test_node, &bob, &call, "approve").await), "held", "one of the two has left");
    assert_eq!(said(&say(&test_node, &eve, &call, "approve").await), "approved");
    assert_eq!(ended(&test_node, &call).await.0, Status::Succeeded);
    clean(&test_node).await;
}

/// A right that ended before the call went on: what was said with it does not let it go on.
async fn lost(site: Site) {
    let (test_node, worker, assigned) = TestNode::idle(&site).await;
    test_node.world.hold(Some(Hold { second_person: true, ..Hold::new("four eyes") }));
    let console = owner(&test_node).await;
    let key_of = async |lasts: Option<Duration>| {
        let (by, user) = (console.credential.clone(), console.user.clone());
        let expires_at = lasts.map(|lasts| test_node.control.ports.clock.now().plus(lasts));
        answering(&test_node, |key| {
            (key.made_by, key.user, key.expires_at) = (Some(by), user, expires_at);
            key.scopes = ScopeSet::from([Scope::ApprovalsDecide]);
        })
        .await
    };
    let (ada, short, revoked) = (owner(&test_node).await, key_of(Some(Duration::from_mins(5))).await, key_of(None).await);
    let (bob, eve) = (owner(&test_node).await, owner(&test_node).await);
    let mut waiting = Vec::new();
    for first in [&ada, &short, &revoked] {
        let call = leave(&test_node, json!({})).await;
        assert_eq!(agree(&test_node, first, &call).await, Ok(Step::Waits));
        waiting.push(call);
    }
    // Two have said it, and it is not released yet.
    let granted = leave(&test_node, json!({})).await;
    assert_eq!(agree(&test_node, &ada, &granted).await, Ok(Step::Waits));
    assert_eq!(agree(&test_node, &bob, &granted).await, Ok(Step::Granted));
    let approval = approvals(&test_node).await.into_iter().find(|row| row.call == granted).expect("its row");
    let member =
        EventKind::RoleChanged { user: ada.user.clone(), account: test_node.account.clone(), role: Role::Member, by: None };
    test_node.change(member, Value::Null).await;
    test_node.change(EventKind::CredentialRevoked { credential: revoked.credential.clone(), by: None }, Value::Null).await;
    test_node.clock.pass(Duration::from_mins(6));
    let held = job(&test_node, &granted).await.expect("it waits");
    assert_eq!(
        test_node.control.release(&held, &approval).await.expect("decided"),
        Released::Gone,
        "one of the two counts no more"
    );

    worker.beat(true).await.expect("a beat");
    tokio::spawn(worker.work(assigned, tokio_util::sync::CancellationToken::new(), Duration::from_secs(5)));
    let request = forelog::control::Request { principal: eve.clone(), ..test_node.request("approval_list", json!({})) };
    let Reply::Done { result, .. } = test_node.control.submit(request).await else { panic!("no list") };
    let agreed = |call: &CallId| {
        let item = result["items"].as_array().expect("a list").iter().find(|item| item["id"] == json!(call)).expect("it waits");
        item["approvals"].as_array().expect("a list").len()
    };
    assert_eq!((agreed(&granted), agreed(&waiting[0])), (1, 0), "a person reads whose consent counts: {result}");
    assert_eq!(said(&say(&test_node, &bob, &granted, "approve").await), "second_person_required", "they have said it");
    for call in &waiting {
        assert_eq!(said(&say(&test_node, &bob, call, "approve").await), "held", "the first one has lost the right");
    }
    assert!(test_node.world.executed().is_empty());
    waiting.push(granted);
    for call in &waiting {
        assert_eq!(said(&say(&test_node, &eve, call, "approve").await), "approved");
        assert_eq!(ended(&test_node, call).await.0, Status::Succeeded);
    }
    clean(&test_node).await;
}

/// What a person cannot be shown is refused at once, whatever hides it; what a tool declares secret is seen to be hidden.
async fn unshown(site: Site) {
    let test_node = holding(&site, Hold::new("it interrupts service")).await;
    let boss = owner(&test_node).await;
    let pem = "echo -----BEGIN RSA PRIVATE KEY-----; uname -a; echo -----END RSA PRIVATE KEY-----; echo hello";
    let long = "a".repeat(forelog::log::vault::PART_MAX);
    let (token, word) =
        ("echo ghp_0123456789012345678901234567890123456789", "mysql --password=hunter2hunter2 -e 'drop table a'");
    for text in [pem, "echo -----BEGIN RSA PRIVATE KEY-----; uname -a", token, word, &long] {
        let mut request = test_node.request("probe_write", json!({ "text": text }));
        request.wait = Duration::ZERO;
        let reply = test_node.control.submit(request).await;
        let Reply::Failed { refusal, status, .. } = &reply else { panic!("{reply:?}") };
        assert_eq!((refusal.code, *status), (Code::ApprovalRequired, Status::Refused), "{text:.60}: {refusal:?}");
        assert!(refusal.hint.as_deref().is_some_and(|hint| hint.contains("cannot be shown")), "{refusal:?}");
        assert!(refusal.details.get("operation_id").is_none(), "nothing waits: {refusal:?}");
    }
    clean(&test_node).await;
    let call = leave(&test_node, json!({ "text": "uname -a", "secret": CANARY })).await;
    assert_eq!(said(&say(&test_node, &boss, &call, "approve").await), "approved");
    assert_eq!(ended(&test_node, &call).await.0, Status::Succeeded);
    test_node.world.hold(None);
    assert!(
        matches!(test_node.call("probe_write", json!({ "text": pem })).await, Reply::Done { .. }),
        "nobody has to be shown it"
    );
    keeps_secrets(&site).await;
}

/// Whoever has a key has what was made with it, so none of those is another person.
async fn offspring(site: Site) {
    let test_node = holding(&site, Hold::new("it interrupts service")).await;
    let own = test_node.principal();
    let made = async |by: &Principal| {
        let by = by.credential.clone();
        answering(&test_node, |key| key.made_by = Some(by)).await
    };
    let (child, sibling, boss) = (made(&own).await, made(&own).await, owner(&test_node).await);
    let grandchild = made(&child).await;
    // It puts another key in the place of an owner's, and so has that.
    let taken_over = answering(&test_node, |key| {
        (key.rotates, key.made_by) = (Some(boss.credential.clone()), Some(own.credential.clone()));
    })
    .await;
    let console = owner(&test_node).await;
    let by_hand = async |user: &UserId, scopes: ScopeSet| {
        let (by, user) = (console.credential.clone(), user.clone());
        answering(&test_node, |key| (key.made_by, key.user, key.scopes) = (Some(by), user, scopes)).await
    };
    let alone = || ScopeSet::from([Scope::ApprovalsDecide]);
    let (one, other) = (made(&console).await, by_hand(&console.user, alone()).await);
    let mixed = by_hand(&console.user, ScopeSet::from([Scope::ApprovalsDecide, Scope::VmsRead])).await;
    let for_another = by_hand(&boss.user, alone()).await;
    let try_all = async |call: &CallId, tries: &[(&Principal, &str)]| {
        for (who, expected) in tries {
            assert_eq!(said(&say(&test_node, who, call, "approve").await), *expected, "{who:?}");
        }
    };
    let call = leave(&test_node, json!({})).await;
    let no = "forbidden_role";
    try_all(&call, &[(&child, no), (&grandchild, no), (&taken_over, no), (&boss, "approved")]).await;
    assert_eq!(ended(&test_node, &call).await.0, Status::Succeeded);

    let asked = async |who: &Principal| {
        let request = forelog::control::Request {
            principal: who.clone(),
            wait: Duration::ZERO,
            ..test_node.request("probe_write", json!({}))
        };
        test_node.control.submit(request).await.call().expect("a call").clone()
    };
    let call = asked(&child).await;
    try_all(&call, &[(&own, "forbidden_scope"), (&sibling, no), (&boss, "approved")]).await;
    assert_eq!(ended(&test_node, &call).await.0, Status::Succeeded);

    // A person gives each agent a key of its own in the console; they are no one's offspring, and the person approves: signed
    // in, or with a key that they made for that alone.
    let call = asked(&one).await;
    try_all(&call, &[(&one, no), (&mixed, no), (&for_another, no), (&other, "approved")]).await;
    assert_eq!(ended(&test_node, &call).await.0, Status::Succeeded);
    let call = asked(&one).await;
    try_all(&call, &[(&console, "approved")]).await;
    assert_eq!(ended(&test_node, &call).await.0, Status::Succeeded);
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
        assert_eq!(code(&asking.await.expect("a caller")), Some(Code::ApprovalRejected));
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
    worker.beat(true).await.expect("a beat");
    tokio::spawn(worker.work(assigned, tokio_util::sync::CancellationToken::new(), Duration::from_secs(5)));
    for call in [&plain, &secret] {
        assert_eq!(ended(&test_node, call).await.0, Status::Succeeded);
    }
    clean(&test_node).await;
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
    assert_eq!(code(&reply), Some(Code::RateLimited), "{reply:?}");
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
    assert_eq!(code(&test_node.call("probe_write", json!({})).await), Some(Code::KillSwitchEngaged));
    assert_eq!(ended(&test_node, &free).await, (Status::Refused, Some(Code::KillSwitchEngaged)));
    sqlx::Executor::execute(&mut holder, "rollback").await.expect("it ends");
    assert_eq!(ended(&test_node, &held).await, (Status::Refused, Some(Code::KillSwitchEngaged)));
    clean(&test_node).await;
}
