//! Calls that wait for a person: what becomes of them, who may answer, and that whatever happens in between none is lost,
//! none is made twice, and none is made that a person did not say yes to.

use std::sync::Arc;
use std::time::Duration;

use forelog::control::Reply;
use forelog::core::approval::{Approval, Step};
use forelog::core::call::Status;
use forelog::core::code::Code;
use forelog::core::event::{CredentialCreated, Kind};
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

use crate::plant::{HOLD, Plant, Site};
use crate::promises::check;

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
    repeated: approvals_a_repeat_joins_what_waits_on_sqlite, approvals_a_repeat_joins_what_waits_on_postgres;
}

/// A node whose policies ask for `hold`.
async fn holding(site: &Site, hold: Hold) -> Arc<Plant> {
    let plant = Plant::start(site).await;
    plant.world.hold(Some(hold));
    Arc::new(plant)
}

/// A call that is held reads what waits of its own account, and of no other: a row of another's that cannot be read is as good
/// as a thousand that can.
async fn others_waiting(site: Site) {
    let plant = holding(&site, Hold::new("it interrupts service")).await;
    let spoil = async |account: &AccountId| {
        let name = format!("{}call_none", forelog::log::hold::approvals_of(account));
        let written = plant.writer.write(forelog::log::store::Want::default(), move |draft| draft.put(&name, &json!("none")));
        written.await.expect("a row");
    };
    spoil(&account(&plant, Side::Customer).await).await;
    let call = leave(&plant, json!({})).await;
    let boss = owner(&plant).await;
    let request = forelog::control::Request { principal: boss, ..plant.request("approval_list", json!({})) };
    let Reply::Done { result, .. } = plant.control.submit(request).await else { panic!("no list") };
    assert_eq!(result["items"][0]["id"], json!(call));
    spoil(&plant.account).await;
    let mut request = plant.request("probe_write", json!({}));
    request.wait = Duration::ZERO;
    let reply = plant.control.submit(request).await;
    let Reply::Failed { refusal, .. } = reply else { panic!("{reply:?}") };
    assert_eq!(refusal.code, Code::ControlStateUnreadable);
}

/// A key of a person.
async fn person(plant: &Plant, account: &AccountId, side: Side, edit: impl FnOnce(&mut CredentialCreated)) -> Principal {
    let ports = &plant.control.ports;
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
        ..crate::given::key_made(1)
    };
    edit(&mut created);
    let user = created.user.clone();
    plant.change(Kind::CredentialCreated(created), json!({ "label": "person" })).await;
    Principal { side, account: account.clone(), user, credential, via: Via::Rest, ip: None, read_only: false }
}

/// Somebody who is signed in.
async fn signed_in(plant: &Plant, account: &AccountId, role: Role, edit: impl FnOnce(&mut CredentialCreated)) -> Principal {
    let acting = person(plant, account, role.side(), |key| {
        (key.role, key.scopes) = (Some(role), role.scopes());
        edit(key);
    });
    Principal { via: Via::Console, ..acting.await }
}

pub async fn owner(plant: &Plant) -> Principal {
    signed_in(plant, &plant.account, Role::Owner, |_| {}).await
}

/// A key that was given the right to answer by name.
async fn answering(plant: &Plant, edit: impl FnOnce(&mut CredentialCreated)) -> Principal {
    person(plant, &plant.account, Side::Customer, |key| {
        key.scopes.insert(Scope::ApprovalsDecide);
        edit(key);
    })
    .await
}

async fn account(plant: &Plant, side: Side) -> AccountId {
    let ports = &plant.control.ports;
    let account = AccountId::new(ports.clock.now(), &*ports.entropy);
    plant.change(Kind::AccountCreated { account: account.clone(), side }, Value::Null).await;
    account
}

pub async fn staff(plant: &Plant) -> Principal {
    let account = account(plant, Side::Staff).await;
    signed_in(plant, &account, Role::Admin, |_| {}).await
}

/// The plant's own key asks, and waits.
fn ask(plant: &Arc<Plant>, args: Value) -> JoinHandle<Reply> {
    let plant = Arc::clone(plant);
    tokio::spawn(async move { plant.call("probe_write", args).await })
}

/// The plant's own key asks, and does not wait.
async fn leave(plant: &Plant, args: Value) -> CallId {
    let mut request = plant.request("probe_write", args);
    request.wait = Duration::ZERO;
    let reply = plant.control.submit(request).await;
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

async fn approvals(plant: &Plant) -> Vec<Approval> {
    let rows = plant.reader.store.state(&["approval"]).await.expect("the rows");
    rows.iter().map(|row| serde_json::from_slice(&row.doc).expect("an approval")).collect()
}

async fn held(plant: &Plant) -> CallId {
    until("a held call", async || approvals(plant).await.pop()).await.call
}

async fn job(plant: &Plant, call: &CallId) -> Option<Job> {
    let rows = plant.reader.store.state_rows(&[job_row(call)]).await.expect("the row");
    rows.first().map(|row| serde_json::from_slice(&row.doc).expect("a job"))
}

pub async fn say(plant: &Plant, who: &Principal, call: &CallId, verdict: &str) -> Reply {
    let args = json!({ "id": call, "verdict": verdict, "reason": "because I looked" });
    let request = forelog::control::Request { principal: who.clone(), ..plant.request("approval_decide", args) };
    plant.control.submit(request).await
}

/// Says yes on a node that runs nothing.
async fn agree(plant: &Plant, who: &Principal, call: &CallId) -> Result<Step, Refusal> {
    let held = job(plant, call).await.expect("it waits");
    let answer = Answer {
        call: call.clone(),
        by: Some(who.clone()),
        acting: None,
        approve: true,
        events: [plant.event_id(), plant.event_id()],
        note: Vec::new(),
        result: Vec::new(),
    };
    plant.writer.answer(answer, &held).await.expect("written")
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
async fn ended(plant: &Plant, call: &CallId) -> (Status, Option<Code>) {
    until("its end", async || if job(plant, call).await.is_none() { Some(()) } else { None }).await;
    let log = plant.log().await;
    let status = check(&log, true)[call];
    let code = log.iter().rev().find_map(|event| match &event.kind {
        Kind::Refused(refused) if refused.call == *call => Some(refused.code),
        _ => None,
    });
    (status, code)
}

/// Nothing of a held call is left but its events.
async fn clean(plant: &Plant) {
    assert!(approvals(plant).await.is_empty(), "no approval is left");
    until("no seal is left", async || plant.reader.vault.sealed_calls().await.expect("the vault").is_empty().then_some(())).await;
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
    let plant = holding(&site, Hold::new("it interrupts service")).await;
    let boss = owner(&plant).await;
    let asking = ask(&plant, json!({ "secret": CANARY, "text": "printf 'all of it'" }));
    let call = held(&plant).await;
    assert_eq!(plant.world.runs_of(&call), 0, "nothing runs before a person said yes");
    assert_eq!(plant.reader.vault.sealed_calls().await.expect("the vault"), std::slice::from_ref(&call));
    keeps_secrets(&site).await;
    assert_eq!(said(&say(&plant, &boss, &call, "approve").await), "approved");
    assert!(matches!(asking.await.expect("the caller"), Reply::Done { .. }), "who waits is answered");
    assert_eq!(plant.world.runs_of(&call), 1);
    assert_eq!(ended(&plant, &call).await.0, Status::Succeeded);
    clean(&plant).await;
    keeps_secrets(&site).await;
    let log = plant.log().await;
    let answer = log.iter().find(|event| matches!(event.kind, Kind::ApprovalDecided { .. })).expect("the answer");
    let Kind::ApprovalDecided { by, credential, approved, .. } = &answer.kind else { panic!("{answer:?}") };
    assert_eq!((by, credential, *approved), (&Some(boss.user), &Some(boss.credential), true));
    let note =
        plant.reader.part(answer, "note", &forelog::core::sight::Sight::Everything).await.expect("the note").expect("a note");
    assert_eq!(note["reason"], "because I looked");
    assert!(
        matches!(&log.iter().find(|event| matches!(&event.kind, Kind::Admitted(admitted) if admitted.call == call)).expect("its admission").kind, Kind::Admitted(admitted) if !admitted.limits.is_empty()),
        "it counts when it is admitted"
    );
}

async fn rejected(site: Site) {
    let plant = holding(&site, Hold::new("it interrupts service")).await;
    let boss = owner(&plant).await;
    let asking = ask(&plant, json!({ "secret": CANARY }));
    let call = held(&plant).await;
    assert_eq!(said(&say(&plant, &boss, &call, "reject").await), "rejected");
    let reply = asking.await.expect("the caller");
    let Reply::Failed { refusal, status, .. } = &reply else { panic!("{reply:?}") };
    assert_eq!((refusal.code, *status), (Code::ApprovalRejected, Status::Refused));
    assert!(refusal.message.contains("because I looked"), "the caller is told why: {}", refusal.message);
    assert_eq!(ended(&plant, &call).await, (Status::Refused, Some(Code::ApprovalRejected)));
    assert_eq!(plant.world.runs_of(&call), 0);
    assert_eq!(said(&say(&plant, &boss, &call, "approve").await), "conflict", "it was answered once");
    clean(&plant).await;
    keeps_secrets(&site).await;
}

async fn expired(site: Site) {
    let plant = holding(&site, Hold::new("it interrupts service")).await;
    let boss = owner(&plant).await;
    let (first, second) = (leave(&plant, json!({})).await, leave(&plant, json!({ "secret": CANARY })).await);
    plant.clock.pass(HOLD.saturating_sub(Duration::from_secs(1)));
    plant.beat().await;
    assert_eq!(approvals(&plant).await.len(), 2, "not a second too early");
    plant.clock.pass(Duration::from_secs(1));
    plant.beat().await;
    let late = said(&say(&plant, &boss, &first, "approve").await);
    assert!(["approval_expired", "conflict"].contains(&late.as_str()), "{late}");
    for call in [&first, &second] {
        assert_eq!(ended(&plant, call).await, (Status::Refused, Some(Code::ApprovalExpired)));
        assert_eq!(plant.world.runs_of(call), 0);
    }
    clean(&plant).await;
}

async fn superseded(site: Site) {
    let plant = holding(&site, Hold::new("one")).await;
    let boss = owner(&plant).await;
    let moved = leave(&plant, json!({})).await;
    plant.world.hold(Some(Hold::new("another")));
    say(&plant, &boss, &moved, "approve").await;
    assert_eq!(ended(&plant, &moved).await, (Status::Refused, Some(Code::ApprovalSuperseded)));

    let unsealed = leave(&plant, json!({})).await;
    plant.reader.vault.drop_seal(&unsealed).await.expect("the vault");
    say(&plant, &boss, &unsealed, "approve").await;
    assert_eq!(ended(&plant, &unsealed).await, (Status::Refused, Some(Code::ApprovalSuperseded)));

    let other = leave(&plant, json!({ "text": "this" })).await;
    let now = plant.control.ports.clock.now();
    plant.reader.vault.put_seal(&plant.account, now, &other, br#"{"text":"that"}"#).await.expect("the vault");
    say(&plant, &boss, &other, "approve").await;
    assert_eq!(ended(&plant, &other).await, (Status::Refused, Some(Code::ApprovalSuperseded)));
    assert!(plant.world.executed().is_empty());

    let free = leave(&plant, json!({})).await;
    plant.world.hold(None);
    say(&plant, &boss, &free, "approve").await;
    assert_eq!(ended(&plant, &free).await.0, Status::Succeeded, "nobody has to be asked any more");
    clean(&plant).await;
}

async fn raced(site: Site) {
    let plant = holding(&site, Hold::new("it interrupts service")).await;
    let people = [owner(&plant).await, owner(&plant).await, owner(&plant).await];
    for verdicts in [["approve", "approve", "approve"], ["approve", "reject", "reject"]] {
        let call = leave(&plant, json!({})).await;
        let says = people.iter().zip(verdicts).map(|(who, verdict)| say(&plant, who, &call, verdict));
        let replies = futures::future::join_all(says).await;
        let won: Vec<String> = replies.iter().map(said).filter(|said| said != "conflict").collect();
        assert_eq!(won.len(), 1, "exactly one wins: {replies:?}");
        let (status, _) = ended(&plant, &call).await;
        assert_eq!(status, if won[0] == "approved" { Status::Succeeded } else { Status::Refused });
        assert_eq!(plant.world.runs_of(&call), u64::from(won[0] == "approved"));
        let answers = plant
            .log()
            .await
            .into_iter()
            .filter(|event| matches!(&event.kind, Kind::ApprovalDecided { call: of, .. } if *of == call));
        assert_eq!(answers.count(), 1);
    }
    clean(&plant).await;
}

async fn switched(site: Site) {
    let plant = holding(&site, Hold::new("it interrupts service")).await;
    let (boss, operator) = (owner(&plant).await, staff(&plant).await);
    let asking = ask(&plant, json!({ "secret": CANARY, "idempotency_key": "once" }));
    let call = held(&plant).await;
    let engage = |target: String| {
        let args = json!({ "target": target, "reason": "an incident" });
        forelog::control::Request { principal: operator.clone(), ..plant.request("switch_engage", args) }
    };
    let engaged = plant.control.submit(engage("class:write".into())).await;
    assert!(matches!(engaged, Reply::Done { .. }), "{engaged:?}");
    assert_eq!(ended(&plant, &call).await, (Status::Refused, Some(Code::KillSwitchEngaged)));
    assert_eq!(code(&asking.await.expect("the caller")), Some(Code::KillSwitchEngaged));
    assert_eq!(said(&say(&plant, &boss, &call, "approve").await), "conflict");
    clean(&plant).await;
    let rows = plant.reader.store.state(&["idem"]).await.expect("rows");
    assert!(!rows.iter().any(|row| String::from_utf8_lossy(&row.doc).contains(call.as_str())), "it may be asked for again");

    // A tool of the catalogue: it ends in the transaction that engages.
    let looking = plant.request("operation_get", json!({ "operation_id": call }));
    let looking = plant.control.submit(forelog::control::Request { wait: Duration::ZERO, ..looking }).await;
    assert_eq!(code(&looking), Some(Code::ApprovalRequired), "{looking:?}");
    let engaged = plant.control.submit(engage(format!("credential:{}", plant.credential))).await;
    let Reply::Done { result, .. } = &engaged else { panic!("{engaged:?}") };
    assert_eq!(result["cancelled"], 1);
    let log = plant.log().await;
    let flip = log.iter().rposition(|event| matches!(event.kind, Kind::SwitchEngaged { .. })).expect("the flip");
    assert!(matches!(&log[flip + 1].kind, Kind::Refused(refused) if refused.call == *looking.call().expect("a call")));
    clean(&plant).await;

    // At the same time: whoever comes first, no call starts after the switch.
    let switches = plant.control.ports.fence().state().switches.keys().cloned().collect::<Vec<_>>();
    for switch in switches {
        plant.change(Kind::SwitchReleased { switch, by: None, second: None, break_glass: true }, Value::Null).await;
    }
    let call = leave(&plant, json!({})).await;
    let (approving, engaging) =
        tokio::join!(say(&plant, &boss, &call, "approve"), plant.control.submit(engage(format!("account:{}", plant.account))));
    assert!(matches!(engaging, Reply::Done { .. }), "{engaging:?} {approving:?}");
    let runs = plant.world.runs_of(&call);
    let (status, _) = ended(&plant, &call).await;
    assert_eq!(plant.world.runs_of(&call), runs, "nothing starts once the switch is fenced");
    assert_eq!(runs, u64::from(status == Status::Succeeded));
    clean(&plant).await;
}

async fn persons(site: Site) {
    let plant = holding(&site, Hold::new("plain")).await;
    let own = plant.principal();
    let (ada, bob, operator) = (owner(&plant).await, owner(&plant).await, staff(&plant).await);
    let me_again = signed_in(&plant, &plant.account, Role::Owner, |key| key.user = plant.user.clone()).await;
    let rotated = answering(&plant, |key| key.rotates = Some(own.credential.clone())).await;
    let mighty = answering(&plant, |_| {}).await;
    let agent = person(&plant, &plant.account, Side::Customer, |_| {}).await;
    let elsewhere = account(&plant, Side::Customer).await;
    let stranger = signed_in(&plant, &elsewhere, Role::Owner, |_| {}).await;
    let try_all = async |call: &CallId, tries: &[(&Principal, &str)]| {
        for (who, expected) in tries {
            assert_eq!(said(&say(&plant, who, call, "approve").await), *expected, "{who:?}");
        }
    };

    let call = leave(&plant, json!({ "secret": CANARY })).await;
    let refused = [(&mighty, "forbidden_role"), (&rotated, "forbidden_role"), (&operator, "forbidden_role")];
    try_all(&call, &refused).await;
    try_all(&call, &[(&own, "forbidden_scope"), (&agent, "forbidden_scope"), (&stranger, "not_found")]).await;
    for (who, seen) in [(&own, 1), (&ada, 1), (&operator, 1), (&agent, 0), (&stranger, 0)] {
        let request = forelog::control::Request { principal: who.clone(), ..plant.request("approval_list", json!({})) };
        let reply = plant.control.submit(request).await;
        let Reply::Done { result, .. } = &reply else { panic!("{reply:?}") };
        assert_eq!(result["items"].as_array().expect("a list").len(), seen, "{who:?}");
        assert!(!result.to_string().contains(CANARY), "a person sees no secret");
    }
    try_all(&call, &[(&me_again, "approved")]).await;
    assert_eq!(ended(&plant, &call).await.0, Status::Succeeded);
    try_all(&call, &[(&stranger, "not_found"), (&agent, "forbidden_scope"), (&ada, "conflict")]).await;

    plant.world.hold(Some(Hold { separate: true, ..Hold::new("not your own") }));
    let call = leave(&plant, json!({})).await;
    try_all(&call, &[(&me_again, "forbidden_role"), (&ada, "approved")]).await;
    assert_eq!(ended(&plant, &call).await.0, Status::Succeeded);

    plant.world.hold(Some(Hold { second_person: true, ..Hold::new("four eyes") }));
    let call = leave(&plant, json!({})).await;
    try_all(&call, &[(&ada, "held"), (&ada, "second_person_required")]).await;
    assert_eq!(job(&plant, &call).await.expect("it waits").status, Status::Held, "one of two is not enough");
    try_all(&call, &[(&bob, "approved")]).await;
    assert_eq!(ended(&plant, &call).await.0, Status::Succeeded);

    plant.world.hold(Some(Hold { approver: Approver::Staff, ..Hold::new("ours") }));
    let call = leave(&plant, json!({})).await;
    try_all(&call, &[(&ada, "forbidden_role"), (&operator, "approved")]).await;
    assert_eq!(ended(&plant, &call).await.0, Status::Succeeded);
    clean(&plant).await;
}

/// Whoever somebody has invited lately is nobody else, nor are two who came by the same person.
async fn guests(site: Site) {
    let plant = holding(&site, Hold { second_person: true, ..Hold::new("four eyes") }).await;
    let guest_of = async |host: &UserId| {
        let guest = owner(&plant).await;
        let made = Kind::UserCreated {
            user: guest.user.clone(),
            account: plant.account.clone(),
            side: Side::Customer,
            role: Some(Role::Owner),
            invitation: None,
            invited_by: Some(host.clone()),
            address: None,
        };
        plant.change(made, Value::Null).await;
        guest
    };
    let (ada, bob) = (owner(&plant).await, owner(&plant).await);
    let (one, other) = (guest_of(&ada.user).await, guest_of(&ada.user).await);
    let (far, own) = (guest_of(&one.user).await, guest_of(&plant.user).await);
    for pair in [[&ada, &one], [&one, &ada], [&one, &other], [&ada, &far], [&far, &other]] {
        let call = leave(&plant, json!({})).await;
        assert_eq!(said(&say(&plant, pair[0], &call, "approve").await), "held");
        assert_eq!(said(&say(&plant, pair[1], &call, "approve").await), "second_person_required", "{pair:?}");
        assert_eq!(said(&say(&plant, &bob, &call, "approve").await), "approved");
    }
    plant.world.hold(Some(Hold { separate: true, ..Hold::new("not your own") }));
    let call = leave(&plant, json!({})).await;
    assert_eq!(said(&say(&plant, &own, &call, "approve").await), "forbidden_role", "their own guest");
    assert_eq!(said(&say(&plant, &ada, &call, "approve").await), "approved");
    plant.clock.pass(Duration::from_hours(7 * 24));
    plant.beat().await;
    let call = leave(&plant, json!({})).await;
    assert_eq!(said(&say(&plant, &own, &call, "approve").await), "approved", "a week later they stand for themselves");
}

/// Changes the row of what waits, as whoever can write to the database does.
async fn edit(plant: &Plant, call: &CallId, change: impl Fn(&mut Approval) + Send + 'static) {
    let row = forelog::log::hold::approval_row(&plant.account, call);
    let want = forelog::log::store::Want { names: vec![row.clone()], ..Default::default() };
    let written = plant.writer.write(want, move |draft| {
        let mut approval: Approval = draft.get(&row)?.expect("it waits");
        change(&mut approval);
        draft.put(&row, &approval)
    });
    written.await.expect("an edit");
}

/// What is asked for is said by the log: a row that asks for less asks for nothing.
async fn eased(site: Site) {
    let plant = holding(&site, Hold { second_person: true, separate: true, ..Hold::new("four eyes, not your own") }).await;
    let own = signed_in(&plant, &plant.account, Role::Owner, |key| key.user = plant.user.clone()).await;
    let staff = staff(&plant).await;
    let changes: [fn(&mut Approval); 3] =
        [|row| row.hold.separate = false, |row| row.hold.second_person = false, |row| row.hold.approver = Approver::Any];
    for change in changes {
        let call = leave(&plant, json!({})).await;
        edit(&plant, &call, change).await;
        for who in [&own, &staff] {
            let answer = said(&say(&plant, who, &call, "approve").await);
            assert!(!["held", "approved"].contains(&answer.as_str()), "{answer}");
        }
    }
    // Each of the two is somebody else, and the row as it was.
    let call = leave(&plant, json!({})).await;
    let (ada, bob) = (owner(&plant).await, owner(&plant).await);
    assert_eq!(said(&say(&plant, &own, &call, "approve").await), "forbidden_role");
    edit(&plant, &call, |row| row.hold.separate = false).await;
    let answer = said(&say(&plant, &own, &call, "approve").await);
    assert!(!["held", "approved"].contains(&answer.as_str()), "{answer}");
    assert!(plant.world.executed().is_empty());
    let call = leave(&plant, json!({})).await;
    assert_eq!(said(&say(&plant, &ada, &call, "approve").await), "held");
    assert_eq!(said(&say(&plant, &bob, &call, "approve").await), "approved");
    assert_eq!(ended(&plant, &call).await.0, Status::Succeeded);
}

/// Two yeses of one person are one, however often they are written down; nor is one that was never allowed any.
async fn doubled(site: Site) {
    let (plant, _worker, _assigned) = Plant::idle(&site).await;
    plant.world.hold(Some(Hold { second_person: true, separate: true, ..Hold::new("four eyes, not your own") }));
    let own = signed_in(&plant, &plant.account, Role::Owner, |key| key.user = plant.user.clone()).await;
    let (ada, bob) = (owner(&plant).await, owner(&plant).await);
    let call = leave(&plant, json!({})).await;
    assert_eq!(agree(&plant, &ada, &call).await, Ok(Step::Waits));
    edit(&plant, &call, |row| row.consents = vec![row.consents[0].clone(), row.consents[0].clone()]).await;
    let released = async || {
        let approval = approvals(&plant).await.into_iter().find(|row| row.call == call).expect("its row");
        plant.control.release(&job(&plant, &call).await.expect("it waits"), &approval).await.expect("decided")
    };
    assert_eq!(released().await, Released::Gone, "one person twice");
    // Events of who may not say it, put in at the end of the log.
    let (name, said, id) = (job_row(&call), (own.user.clone(), own.credential.clone()), call.clone());
    let events = [plant.event_id(), plant.event_id()];
    let want = forelog::log::store::Want { names: vec![name.clone()], ..Default::default() };
    let forged = plant.writer.write(want, move |draft| {
        let mut job: Job = draft.get(&name)?.expect("it waits");
        for event in events.clone() {
            let (by, credential) = (Some(said.0.clone()), Some(said.1.clone()));
            let kind = Kind::ApprovalDecided { call: id.clone(), by, credential, approved: true };
            job.last = draft.append(job.last, forelog::log::draft::NewEvent::plain(event, kind))?;
        }
        draft.put(&name, &job)
    });
    forged.await.expect("two events");
    assert_eq!(released().await, Released::Gone, "two yeses of who made the call");
    assert_eq!(agree(&plant, &bob, &call).await, Ok(Step::Granted));
    assert_eq!(released().await, Released::Queued);
}

/// What a person said who has left since is not half of a yes; nor do they say anything more.
async fn left(site: Site) {
    let plant = holding(&site, Hold { second_person: true, ..Hold::new("four eyes") }).await;
    let (ada, bob, eve) = (owner(&plant).await, owner(&plant).await, owner(&plant).await);
    let call = leave(&plant, json!({})).await;
    assert_eq!(said(&say(&plant, &ada, &call, "approve").await), "held");
    let gone = Kind::UserRemoved { user: ada.user.clone(), account: plant.account.clone(), by: None };
    plant.change(gone, Value::Null).await;
    assert_eq!(said(&say(&plant, &ada, &call, "approve").await), "token_revoked");
    assert_eq!(said(&say(&plant, &bob, &call, "approve").await), "held", "one of the two has left");
    assert_eq!(said(&say(&plant, &eve, &call, "approve").await), "approved");
    assert_eq!(ended(&plant, &call).await.0, Status::Succeeded);
    clean(&plant).await;
}

/// A right that ended before the call went on: what was said with it does not let it go on.
async fn lost(site: Site) {
    let (plant, worker, assigned) = Plant::idle(&site).await;
    plant.world.hold(Some(Hold { second_person: true, ..Hold::new("four eyes") }));
    let console = owner(&plant).await;
    let key_of = async |lasts: Option<Duration>| {
        let (by, user) = (console.credential.clone(), console.user.clone());
        let expires_at = lasts.map(|lasts| plant.control.ports.clock.now().plus(lasts));
        answering(&plant, |key| {
            (key.made_by, key.user, key.expires_at) = (Some(by), user, expires_at);
            key.scopes = ScopeSet::from([Scope::ApprovalsDecide]);
        })
        .await
    };
    let (ada, short, revoked) = (owner(&plant).await, key_of(Some(Duration::from_mins(5))).await, key_of(None).await);
    let (bob, eve) = (owner(&plant).await, owner(&plant).await);
    let mut waiting = Vec::new();
    for first in [&ada, &short, &revoked] {
        let call = leave(&plant, json!({})).await;
        assert_eq!(agree(&plant, first, &call).await, Ok(Step::Waits));
        waiting.push(call);
    }
    // Two have said it, and it is not released yet.
    let granted = leave(&plant, json!({})).await;
    assert_eq!(agree(&plant, &ada, &granted).await, Ok(Step::Waits));
    assert_eq!(agree(&plant, &bob, &granted).await, Ok(Step::Granted));
    let approval = approvals(&plant).await.into_iter().find(|row| row.call == granted).expect("its row");
    let member = Kind::RoleChanged { user: ada.user.clone(), account: plant.account.clone(), role: Role::Member, by: None };
    plant.change(member, Value::Null).await;
    plant.change(Kind::CredentialRevoked { credential: revoked.credential.clone(), by: None }, Value::Null).await;
    plant.clock.pass(Duration::from_mins(6));
    let held = job(&plant, &granted).await.expect("it waits");
    assert_eq!(plant.control.release(&held, &approval).await.expect("decided"), Released::Gone, "one of the two counts no more");

    worker.beat(true).await.expect("a beat");
    tokio::spawn(worker.work(assigned, tokio_util::sync::CancellationToken::new(), Duration::from_secs(5)));
    let request = forelog::control::Request { principal: eve.clone(), ..plant.request("approval_list", json!({})) };
    let Reply::Done { result, .. } = plant.control.submit(request).await else { panic!("no list") };
    let agreed = |call: &CallId| {
        let item = result["items"].as_array().expect("a list").iter().find(|item| item["id"] == json!(call)).expect("it waits");
        item["approvals"].as_array().expect("a list").len()
    };
    assert_eq!((agreed(&granted), agreed(&waiting[0])), (1, 0), "a person reads whose consent counts: {result}");
    assert_eq!(said(&say(&plant, &bob, &granted, "approve").await), "second_person_required", "they have said it");
    for call in &waiting {
        assert_eq!(said(&say(&plant, &bob, call, "approve").await), "held", "the first one has lost the right");
    }
    assert!(plant.world.executed().is_empty());
    waiting.push(granted);
    for call in &waiting {
        assert_eq!(said(&say(&plant, &eve, call, "approve").await), "approved");
        assert_eq!(ended(&plant, call).await.0, Status::Succeeded);
    }
    clean(&plant).await;
}

/// What a person cannot be shown is refused at once, whatever hides it; what a tool declares secret is seen to be hidden.
async fn unshown(site: Site) {
    let plant = holding(&site, Hold::new("it interrupts service")).await;
    let boss = owner(&plant).await;
    let pem = "echo -----BEGIN RSA PRIVATE KEY-----; uname -a; echo -----END RSA PRIVATE KEY-----; echo hello";
    let long = "a".repeat(forelog::log::vault::PART_MAX);
    let (token, word) =
        ("echo ghp_0123456789012345678901234567890123456789", "mysql --password=hunter2hunter2 -e 'drop table a'");
    for text in [pem, "echo -----BEGIN RSA PRIVATE KEY-----; uname -a", token, word, &long] {
        let mut request = plant.request("probe_write", json!({ "text": text }));
        request.wait = Duration::ZERO;
        let reply = plant.control.submit(request).await;
        let Reply::Failed { refusal, status, .. } = &reply else { panic!("{reply:?}") };
        assert_eq!((refusal.code, *status), (Code::ApprovalRequired, Status::Refused), "{text:.60}: {refusal:?}");
        assert!(refusal.hint.as_deref().is_some_and(|hint| hint.contains("cannot be shown")), "{refusal:?}");
        assert!(refusal.details.get("operation_id").is_none(), "nothing waits: {refusal:?}");
    }
    clean(&plant).await;
    let call = leave(&plant, json!({ "text": "uname -a", "secret": CANARY })).await;
    assert_eq!(said(&say(&plant, &boss, &call, "approve").await), "approved");
    assert_eq!(ended(&plant, &call).await.0, Status::Succeeded);
    plant.world.hold(None);
    assert!(matches!(plant.call("probe_write", json!({ "text": pem })).await, Reply::Done { .. }), "nobody has to be shown it");
    keeps_secrets(&site).await;
}

/// Whoever has a key has what was made with it, so none of those is another person.
async fn offspring(site: Site) {
    let plant = holding(&site, Hold::new("it interrupts service")).await;
    let own = plant.principal();
    let made = async |by: &Principal| {
        let by = by.credential.clone();
        answering(&plant, |key| key.made_by = Some(by)).await
    };
    let (child, sibling, boss) = (made(&own).await, made(&own).await, owner(&plant).await);
    let grandchild = made(&child).await;
    // It puts another key in the place of an owner's, and so has that.
    let taken_over = answering(&plant, |key| {
        (key.rotates, key.made_by) = (Some(boss.credential.clone()), Some(own.credential.clone()));
    })
    .await;
    let console = owner(&plant).await;
    let by_hand = async |user: &UserId, scopes: ScopeSet| {
        let (by, user) = (console.credential.clone(), user.clone());
        answering(&plant, |key| (key.made_by, key.user, key.scopes) = (Some(by), user, scopes)).await
    };
    let alone = || ScopeSet::from([Scope::ApprovalsDecide]);
    let (one, other) = (made(&console).await, by_hand(&console.user, alone()).await);
    let mixed = by_hand(&console.user, ScopeSet::from([Scope::ApprovalsDecide, Scope::VmsRead])).await;
    let for_another = by_hand(&boss.user, alone()).await;
    let try_all = async |call: &CallId, tries: &[(&Principal, &str)]| {
        for (who, expected) in tries {
            assert_eq!(said(&say(&plant, who, call, "approve").await), *expected, "{who:?}");
        }
    };
    let call = leave(&plant, json!({})).await;
    let no = "forbidden_role";
    try_all(&call, &[(&child, no), (&grandchild, no), (&taken_over, no), (&boss, "approved")]).await;
    assert_eq!(ended(&plant, &call).await.0, Status::Succeeded);

    let asked = async |who: &Principal| {
        let request =
            forelog::control::Request { principal: who.clone(), wait: Duration::ZERO, ..plant.request("probe_write", json!({})) };
        plant.control.submit(request).await.call().expect("a call").clone()
    };
    let call = asked(&child).await;
    try_all(&call, &[(&own, "forbidden_scope"), (&sibling, no), (&boss, "approved")]).await;
    assert_eq!(ended(&plant, &call).await.0, Status::Succeeded);

    // A person gives each agent a key of its own in the console; they are no one's offspring, and the person approves: signed
    // in, or with a key that they made for that alone.
    let call = asked(&one).await;
    try_all(&call, &[(&one, no), (&mixed, no), (&for_another, no), (&other, "approved")]).await;
    assert_eq!(ended(&plant, &call).await.0, Status::Succeeded);
    let call = asked(&one).await;
    try_all(&call, &[(&console, "approved")]).await;
    assert_eq!(ended(&plant, &call).await.0, Status::Succeeded);
    clean(&plant).await;
}

/// A person says yes on a node that then dies, before or after it has decided again.
async fn restarted(site: Site) {
    let mut calls = Vec::new();
    for released in [false, true] {
        let (dying, ..) = Plant::idle(&site).await;
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
    let (one, other) = tokio::join!(Plant::start(&site), Plant::start(&site));
    for call in &calls {
        assert_eq!(ended(&one, call).await.0, Status::Succeeded);
        assert_eq!(site.world.runs_of(call), 1, "neither lost nor made twice");
    }
    clean(&other).await;
    keeps_secrets(&site).await;
}

async fn repeated(site: Site) {
    let plant = holding(&site, Hold::new("it interrupts service")).await;
    let boss = owner(&plant).await;
    let args = json!({ "text": "again", "idempotency_key": "k" });
    let first = ask(&plant, args.clone());
    let call = held(&plant).await;
    let second = ask(&plant, args.clone());
    until("the repeat", async || (plant.reader.store.state(&["job"]).await.expect("rows").len() == 2).then_some(())).await;
    assert_eq!(approvals(&plant).await.len(), 1, "a person is asked once");
    say(&plant, &boss, &call, "approve").await;
    for asking in [first, second] {
        let reply = asking.await.expect("a caller");
        assert!(matches!(&reply, Reply::Done { .. }), "{reply:?}");
    }
    assert_eq!(plant.world.executed(), [call]);

    let args = json!({ "text": "other", "idempotency_key": "l" });
    let (first, call) = (ask(&plant, args.clone()), held(&plant).await);
    let second = ask(&plant, args);
    until("the repeat", async || (plant.reader.store.state(&["job"]).await.expect("rows").len() == 2).then_some(())).await;
    say(&plant, &boss, &call, "reject").await;
    for asking in [first, second] {
        assert_eq!(code(&asking.await.expect("a caller")), Some(Code::ApprovalRejected));
    }
    clean(&plant).await;
}

/// What is recorded of a queued call's arguments is not all of them: what runs is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn approvals_a_queued_call_runs_with_the_arguments_that_came() {
    let site = Site::sqlite();
    let (plant, worker, assigned) = Plant::idle(&site).await;
    let plain = plant.call("probe_queued", json!({ "text": "nothing to hide" })).await.call().expect("a call").clone();
    let secret = plant.call("probe_queued", json!({ "secret": CANARY })).await.call().expect("a call").clone();
    assert_eq!(
        plant.reader.vault.sealed_calls().await.expect("the vault"),
        std::slice::from_ref(&secret),
        "what is whole needs no seal"
    );
    worker.beat(true).await.expect("a beat");
    tokio::spawn(worker.work(assigned, tokio_util::sync::CancellationToken::new(), Duration::from_secs(5)));
    for call in [&plain, &secret] {
        assert_eq!(ended(&plant, call).await.0, Status::Succeeded);
    }
    clean(&plant).await;
    keeps_secrets(&site).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn approvals_a_key_cannot_bury_people_in_requests() {
    let site = Site::sqlite();
    let plant = holding(&site, Hold::new("it interrupts service")).await;
    for _ in 0..50 {
        leave(&plant, json!({})).await;
    }
    let reply = plant.call("probe_write", json!({})).await;
    assert_eq!(code(&reply), Some(Code::RateLimited), "{reply:?}");
    assert_eq!(approvals(&plant).await.len(), 50);
    until("no seal of the refused call", async || {
        (plant.reader.vault.sealed_calls().await.expect("the vault").len() == 50).then_some(())
    })
    .await;
}

/// A switch is engaged although somebody holds the rows of a call that waits; that call ends once they can be had.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_held_rows_of_what_waits_keep_nobody_from_engaging() {
    let site = Site::postgres().await;
    let plant = holding(&site, Hold::new("it interrupts service")).await;
    let operator = staff(&plant).await;
    let (held, free) = (leave(&plant, json!({})).await, leave(&plant, json!({})).await);
    let rows = format!("select name from log.state where name like '%{held}%' for update");
    let (mut holder, _) = crate::held::hold(&site.log, &rows).await;
    let args = json!({ "target": "class:write", "reason": "an incident" });
    let engage = forelog::control::Request { principal: operator, ..plant.request("switch_engage", args) };
    let engaged = plant.control.submit(engage).await;
    assert!(matches!(engaged, Reply::Done { .. }), "{engaged:?}");
    assert_eq!(code(&plant.call("probe_write", json!({})).await), Some(Code::KillSwitchEngaged));
    assert_eq!(ended(&plant, &free).await, (Status::Refused, Some(Code::KillSwitchEngaged)));
    sqlx::Executor::execute(&mut holder, "rollback").await.expect("it ends");
    assert_eq!(ended(&plant, &held).await, (Status::Refused, Some(Code::KillSwitchEngaged)));
    clean(&plant).await;
}
