//! Rows beside the log that somebody forged who has the serving role's password, or the files: nothing runs, is let go on, ends
//! or is shown because of them. What counts is what the call's own leaves say.

use std::sync::Arc;
use std::time::Duration;

use forelog::ambient::OsEntropy;
use forelog::control::Reply;
use forelog::core::approval::Consent;
use forelog::core::call::Status;
use forelog::core::code::Code;
use forelog::core::event::{CredentialCreated, Event, EventKind};
use forelog::core::hold::Hold;
use forelog::core::id::{AccountId, CallId, CredentialId, NodeId, Position, SwitchId, UserId, VmId};
use forelog::core::job::Job;
use forelog::core::principal::{Principal, Side};
use forelog::core::scope::Scope;
use forelog::core::switch::{Running, Target};
use forelog::core::time::Micros;
use forelog::core::tool::Class;
use forelog::core::visibility::Visibility;
use forelog::log::dialect::Room;
use forelog::log::postgres::open_postgres;
use forelog::log::sql::{Database, Value as Bound};
use forelog::log::sqlite::open_sqlite;
use forelog::tools::{Activity, ActivityQuery, AdministrationQuery};
use forelog::views::Views;
use forelog::views::activity::Calls;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::console::ConsoleServer;
use crate::fixtures::{account, credential, key_made};
use crate::sample_log::{Ask, LIST, SampleLog};
use crate::test_node::{Site, TestNode, on_both};
use crate::witness::{document, edit, put};

on_both! {
    a_refused_call_is_not_run, beside_a_refused_call_is_not_run, postgres_beside_a_refused_call_is_not_run;
    an_ended_call_is_not_run_again, beside_an_ended_call_is_not_run_again, postgres_beside_an_ended_call_is_not_run_again;
    a_row_of_another_kind_of_call_is_not_run, beside_a_row_of_another_kind_of_call_is_not_run,
        postgres_beside_a_row_of_another_kind_of_call_is_not_run;
    a_forged_orphan_is_not_adopted, beside_a_forged_orphan_is_not_adopted, postgres_beside_a_forged_orphan_is_not_adopted;
    a_forged_consent_releases_nothing, beside_a_forged_consent_releases_nothing,
        postgres_beside_a_forged_consent_releases_nothing;
    a_held_call_is_not_claimed, beside_a_held_call_is_not_claimed, postgres_beside_a_held_call_is_not_claimed;
    a_repeat_shows_nothing_of_others, beside_a_repeat_shows_nothing_of_others, postgres_beside_a_repeat_shows_nothing_of_others;
    a_forged_approval_shows_nothing_of_others, beside_a_forged_approval_shows_nothing_of_others,
        postgres_beside_a_forged_approval_shows_nothing_of_others;
    a_broken_row_is_not_looked_at_for_ever, beside_a_broken_row_is_not_looked_at_for_ever,
        postgres_beside_a_broken_row_is_not_looked_at_for_ever;
    a_broken_run_costs_no_lease, beside_a_broken_run_costs_no_lease, postgres_beside_a_broken_run_costs_no_lease;
    a_broken_claim_keeps_no_call_open, beside_a_broken_claim_keeps_no_call_open,
        postgres_beside_a_broken_claim_keeps_no_call_open;
    a_broken_call_can_be_cancelled, beside_a_broken_call_can_be_cancelled, postgres_beside_a_broken_call_can_be_cancelled;
    a_join_waits_for_nothing_of_others, beside_a_join_waits_for_nothing_of_others,
        postgres_beside_a_join_waits_for_nothing_of_others;
}

/// Puts a row in, or in the place of the one that is there.
async fn forge(site: &Site, name: &str, row: &impl serde::Serialize) {
    let sql = "insert into state (name, control, position, doc) values ($1, 0, 1, $2) \
               on conflict (name) do update set doc = excluded.doc";
    edit(site, sql, vec![name.into(), serde_json::to_vec(row).expect("bytes").into()]).await;
}

async fn events_of(test_node: &TestNode, call: &CallId) -> Vec<Event> {
    test_node.log().await.into_iter().filter(|event| event.kind.call() == Some(call)).collect()
}

/// A row as the writer would have made it for a call that waits for a worker, or that a node runs.
fn job(events: &[Event], status: Status, node: Option<NodeId>) -> Job {
    let EventKind::IntentRecorded(asked) = &events[0].kind else { panic!("{events:?}") };
    Job {
        call: asked.call.clone(),
        account: asked.account.clone(),
        credential: asked.credential.clone(),
        tool: asked.tool.to_string(),
        class: if asked.tool == "probe_read" { Class::Read } else { Class::Write },
        resources: Vec::new(),
        providers: Vec::new(),
        status,
        intent: events[0].position,
        last: events[1].position,
        node,
        idempotent: asked.tool == "probe_read",
        idempotency: None,
        claim: false,
        joins: None,
        joined: 0,
        sealed: false,
        held: false,
        counts: status == Status::Queued,
        cancel_asked: false,
    }
}

fn call_of(reply: &Reply) -> CallId {
    match reply {
        Reply::Done { call, .. } | Reply::Running { call, .. } | Reply::Failed { call: Some(call), .. } => call.clone(),
        Reply::Failed { .. } => panic!("{reply:?}"),
    }
}

/// Two calls from intent to end: whoever takes what waits has looked at everything that came before them.
async fn worked(test_node: &TestNode) {
    for _ in 0..2 {
        test_node.clock.pass(Duration::from_millis(10));
        let call = call_of(&test_node.call("probe_queued", json!({ "text": "honest" })).await);
        ended(test_node, &call).await;
    }
}

async fn ended(test_node: &TestNode, call: &CallId) {
    let end = async {
        while !events_of(test_node, call).await.iter().any(|event| event.kind.end().is_some()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), end).await.expect("an end");
}

async fn a_refused_call_is_not_run(site: Site) {
    let test_node = TestNode::start(&site).await;
    let switch = SwitchId::new(test_node.control.ports.clock.now(), &*test_node.control.ports.entropy);
    let engaged = EventKind::SwitchEngaged {
        switch: switch.clone(),
        target: Target::All,
        by: None,
        credential: None,
        running: Running::LetFinish,
        expires_at: None,
    };
    test_node.change(engaged, json!({ "reason": "a test" })).await;
    let call = call_of(&test_node.call("probe_queued", json!({ "text": "no" })).await);
    test_node.change(EventKind::SwitchReleased { switch, by: None, second: None, break_glass: true }, Value::Null).await;
    let events = events_of(&test_node, &call).await;
    assert!(matches!(events[1].kind, EventKind::Refused(_)), "{events:?}");
    forge(&site, &format!("job:{call}"), &job(&events, Status::Queued, None)).await;
    worked(&test_node).await;
    assert_eq!(test_node.world.runs_of(&call), 0, "a refused call ran");
    assert_eq!(events_of(&test_node, &call).await, events, "nothing is written of it any more");
}

async fn an_ended_call_is_not_run_again(site: Site) {
    let test_node = TestNode::start(&site).await;
    let call = call_of(&test_node.call("probe_queued", json!({ "text": "once" })).await);
    ended(&test_node, &call).await;
    let events = events_of(&test_node, &call).await;
    forge(&site, &format!("job:{call}"), &job(&events, Status::Queued, None)).await;
    worked(&test_node).await;
    assert_eq!((test_node.world.runs_of(&call), events_of(&test_node, &call).await), (1, events));
}

/// A call that waits, of which somebody edits one field.
async fn a_row_of_another_kind_of_call_is_not_run(site: Site) {
    let (asking, _worker, _assigned) = TestNode::idle(&site).await;
    let (ports, at) = (&asking.control.ports, asking.control.ports.clock.now());
    let other = call_of(&asking.call("probe_queued", json!({ "text": "other" })).await);
    let edits = [
        ("call", json!(CallId::new(at, &*ports.entropy))),
        ("account", json!(AccountId::new(at, &*ports.entropy))),
        ("credential", json!(CredentialId::new(at, &*ports.entropy))),
        ("tool", json!("probe_write")),
        ("class", json!("read")),
        ("resources", json!([VmId::new(at, &*ports.entropy)])),
        ("providers", json!(["elsewhere"])),
        ("intent", json!(1)),
        ("last", json!(2)),
        ("idempotent", json!(true)),
        ("claim", json!(true)),
        ("joins", json!(other)),
        ("held", json!(true)),
        ("counts", json!(false)),
        ("cancel_asked", json!(true)),
    ];
    let mut forged = Vec::new();
    for (field, value) in edits {
        let call = call_of(&asking.call("probe_queued", json!({ "text": field })).await);
        let name = format!("job:{call}");
        let mut row = document(&site, &name).await;
        row[field] = value;
        put(&site, &name, &row).await;
        forged.push((field, call));
    }
    let test_node = TestNode::start(&site).await;
    worked(&test_node).await;
    for (field, call) in forged {
        assert_eq!(test_node.world.runs_of(&call), 0, "it ran with another {field}");
        assert_eq!(events_of(&test_node, &call).await.len(), 2, "something was written of the one with another {field}");
    }
    assert_eq!(test_node.world.runs_of(&other), 1, "what nobody edited runs");
}

async fn a_forged_orphan_is_not_adopted(site: Site) {
    let gone = {
        let test_node = TestNode::start(&site).await;
        let (read, write) = (test_node.call("probe_read", json!({})).await, test_node.call("probe_write", json!({})).await);
        let other = call_of(&test_node.call("probe_read", json!({})).await);
        let node = test_node.control.ports.node.clone();
        for call in [call_of(&read), call_of(&write), other.clone()] {
            let mut row = job(&events_of(&test_node, &call).await, Status::Running, Some(node.clone()));
            row.joins = (call == other).then(|| call_of(&write));
            forge(&site, &format!("job:{call}"), &row).await;
        }
        [call_of(&read), call_of(&write), other]
    };
    // One that a node really left behind, and that is looked at after those.
    site.clock.pass(Duration::from_millis(10));
    let honest = {
        let (test_node, _worker, _assigned) = TestNode::idle(&site).await;
        let mut request = test_node.request("probe_read", json!({}));
        request.wait = Duration::ZERO;
        call_of(&test_node.control.submit(request).await)
    };
    let test_node = TestNode::start(&site).await;
    test_node.outlast_the_others().await;
    ended(&test_node, &honest).await;
    assert_eq!(test_node.world.runs_of(&honest), 1);
    for call in gone {
        let ends = events_of(&test_node, &call).await.iter().filter(|event| event.kind.end().is_some()).count();
        assert_eq!((test_node.world.runs_of(&call), ends), (1, 1), "{call} ran or ended twice");
    }
}

/// A call that waits for a person.
async fn held(test_node: &TestNode) -> CallId {
    let mut request = test_node.request("probe_write", json!({ "text": "held" }));
    request.wait = Duration::ZERO;
    let reply = test_node.control.submit(request).await;
    assert!(matches!(&reply, Reply::Failed { status: Status::Held, .. }), "{reply:?}");
    call_of(&reply)
}

async fn a_forged_consent_releases_nothing(site: Site) {
    let test_node = TestNode::start(&site).await;
    test_node.world.hold(Some(Hold::new("it is asked for")));
    let call = held(&test_node).await;
    let name = format!("approval:{}/{call}", test_node.account);
    let mut row = document(&site, &name).await;
    let consent =
        Consent { by: test_node.user.clone(), credential: test_node.credential.clone(), at: site.clock.after(Duration::ZERO) };
    row["consents"] = json!([consent]);
    put(&site, &name, &row).await;
    // What waits is looked at whenever the log has grown.
    test_node.world.hold(None);
    worked(&test_node).await;
    assert_eq!(test_node.world.runs_of(&call), 0, "it ran without anybody's consent");
    let events = events_of(&test_node, &call).await;
    assert!(!events.iter().any(|event| matches!(event.kind, EventKind::Admitted(_))), "{events:?}");
    // It ends rather than waiting for an answer that nobody can give.
    assert!(matches!(&events.last().expect("an end").kind, EventKind::Refused(no) if no.code == Code::ControlStateUnreadable));
}

async fn a_held_call_is_not_claimed(site: Site) {
    let test_node = TestNode::start(&site).await;
    test_node.world.hold(Some(Hold::new("it is asked for")));
    let call = held(&test_node).await;
    let name = format!("job:{call}");
    let mut row = document(&site, &name).await;
    row["status"] = json!("queued");
    put(&site, &name, &row).await;
    test_node.world.hold(None);
    worked(&test_node).await;
    assert_eq!((test_node.world.runs_of(&call), events_of(&test_node, &call).await.len()), (0, 2));
}

/// A key of another account.
async fn stranger(test_node: &TestNode) -> Principal {
    let (ports, at) = (&test_node.control.ports, test_node.control.ports.clock.now());
    let (account, user) = (AccountId::new(at, &*ports.entropy), UserId::new(at, &*ports.entropy));
    let credential = CredentialId::new(at, &*ports.entropy);
    test_node.change(EventKind::AccountCreated { account: account.clone(), side: Side::Customer }, Value::Null).await;
    let created = CredentialCreated {
        credential: credential.clone(),
        account: account.clone(),
        user: user.clone(),
        side: Side::Customer,
        hash: credential.to_string().into(),
        prefix: "flk_live_other0".into(),
        scopes: Scope::customer(),
        ..key_made(1)
    };
    test_node.change(EventKind::CredentialCreated(created), json!({ "label": "other" })).await;
    Principal { account, user, credential, ..test_node.principal() }
}

/// The row of an idempotency key that one call has been made with.
async fn row_of(site: &Site, call: &CallId) -> (String, Value) {
    let rows = site.room().await.query("select name, doc from state where name like 'idem:%'", Vec::new()).await.expect("rows");
    let rows = rows.iter().map(|row| {
        (row.text(0).expect("a name").to_owned(), serde_json::from_slice::<Value>(row.bytes(1).expect("bytes")).expect("a row"))
    });
    rows.into_iter().find(|(_, row)| row["call"] == json!(call)).expect("the row of the call")
}

async fn a_repeat_shows_nothing_of_others(site: Site) {
    let test_node = TestNode::start(&site).await;
    let other = stranger(&test_node).await;
    let args = json!({ "text": "same", "idempotency_key": "once" });
    let theirs = {
        let mut request = test_node.request("probe_write", args.clone());
        request.principal = other;
        call_of(&test_node.control.submit(request).await)
    };
    let elsewhere = call_of(&test_node.call("probe_write", json!({ "text": "something else" })).await);
    let own = call_of(&test_node.call("probe_write", args.clone()).await);
    let (name, row) = row_of(&site, &own).await;
    for first in [theirs, elsewhere] {
        let end = events_of(&test_node, &first).await.iter().find(|event| event.kind.end().is_some()).expect("an end").position;
        let mut forged = row.clone();
        (forged["call"], forged["end"]) = (json!(first), json!(end));
        put(&site, &name, &forged).await;
        refused(&test_node.call("probe_write", args.clone()).await);
        // The own call, with another one's end.
        forged["call"] = json!(own);
        put(&site, &name, &forged).await;
        refused(&test_node.call("probe_write", args.clone()).await);
    }
    put(&site, &name, &row).await;
    let reply = test_node.call("probe_write", args).await;
    assert!(matches!(reply, Reply::Done { .. }), "an honest row is repeated: {reply:?}");
    assert_eq!(test_node.world.runs_of(&own), 1);
}

fn refused(reply: &Reply) {
    let Reply::Failed { refusal, .. } = reply else { panic!("what others did was shown: {reply:?}") };
    assert_eq!(refusal.code, Code::ControlStateUnreadable, "{reply:?}");
}

async fn a_join_waits_for_nothing_of_others(site: Site) {
    let test_node = Arc::new(TestNode::start(&site).await);
    let other = stranger(&test_node).await;
    let args = json!({ "text": "same", "idempotency_key": "once" });
    let own = call_of(&test_node.call("probe_write", args.clone()).await);
    let (name, row) = row_of(&site, &own).await;
    test_node.world.shut();
    let open = {
        let mut request = test_node.request("probe_write", json!({ "text": "same" }));
        (request.principal, request.wait) = (other, Duration::ZERO);
        call_of(&test_node.control.submit(request).await)
    };
    let mut forged = row.clone();
    (forged["call"], forged["end"], forged["status"]) = (json!(open), Value::Null, json!("running"));
    put(&site, &name, &forged).await;
    refused(&test_node.call("probe_write", args).await);
    test_node.world.open();
}

async fn a_forged_approval_shows_nothing_of_others(site: Site) {
    let test_node = TestNode::start(&site).await;
    let other = stranger(&test_node).await;
    test_node.world.hold(Some(Hold::new("it is asked for")));
    let call = held(&test_node).await;
    let name = format!("approval:{}/{call}", test_node.account);
    let mut row = document(&site, &name).await;
    (row["account"], row["credential"]) = (json!(other.account), json!(other.credential));
    put(&site, &name, &row).await;
    let mut request = test_node.request("approval_list", json!({}));
    request.principal = other;
    let Reply::Done { result, .. } = test_node.control.submit(request).await else { panic!("a list") };
    assert_eq!(result["items"], json!([]), "{result}");
}

/// Rows that do not fit are read, and nothing is written because of them, however often the log grows.
async fn a_broken_row_is_not_looked_at_for_ever(site: Site) {
    let test_node = TestNode::start(&site).await;
    let call = call_of(&test_node.call("probe_queued", json!({ "text": "once" })).await);
    ended(&test_node, &call).await;
    let events = events_of(&test_node, &call).await;
    forge(&site, &format!("job:{call}"), &job(&events, Status::Queued, None)).await;
    let name = format!("job:{}", CallId::new(test_node.control.ports.clock.now(), &*test_node.control.ports.entropy));
    forge(&site, &name, &job(&events, Status::Queued, None)).await;
    worked(&test_node).await;
    let head = test_node.reader.store.head().await.expect("the head").position;
    worked(&test_node).await;
    let written = test_node.reader.store.head().await.expect("the head").position.0 - head.0;
    assert_eq!(written, 2 * 4, "two calls of four events each, and nothing else");
    assert_eq!(document(&site, &format!("job:{call}")).await["status"], "queued", "it stays for whoever looks for it");
}

// ----- what readers are shown -----

/// The views of a book, in which somebody has edited something.
async fn edit_views(sample: &SampleLog, sql: &str, args: Vec<Bound>) {
    let room = sample.room("views.db", Room::Views).await;
    let mut transaction = room.begin().await.expect("a transaction");
    assert!(transaction.execute(sql, args).await.expect(sql) > 0, "{sql} changed nothing");
    transaction.commit().await.expect("a commit");
}

async fn a_row_of_the_views_shows_nothing_of_others(sample: SampleLog) {
    let views = Views::open(sample.room("views.db", Room::Views).await, sample.reader.clone()).await.expect("the views");
    let calls = Calls::new(views);
    let asked = |n| Ask { vm: Some(n), text: if n == 1 { "secret plan" } else { "own" }, ..Ask::by(n, &LIST) };
    let theirs = sample.finish(asked(1), Status::Succeeded, None).await;
    let own = sample.finish(asked(2), Status::Succeeded, None).await;
    let visibility = Visibility::Account(account(2));
    let query = || ActivityQuery { visibility: visibility.clone(), limit: 200, ..ActivityQuery::default() };
    assert_eq!(calls.list(query()).await.expect("a page").items.len(), 1);
    let (mine, key) = (account(2).to_string(), credential(2).to_string());
    let changes = |page: forelog::tools::Changes| page.items.into_iter().map(|change| change.call.call_id).collect::<Vec<_>>();
    let was = changes(calls.changes(query(), Position(0)).await.expect("changes"));
    // A whole row says that the call is one's own.
    let sql = "update call set account = $1, credential = $2 where call = $3";
    edit_views(&sample, sql, vec![mine.as_str().into(), key.as_str().into(), theirs.as_str().into()]).await;
    let page = calls.list(query()).await.expect("a page");
    assert!(page.items.iter().all(|item| item.call_id == own), "{page:?}");
    assert_eq!(calls.call(&visibility, &theirs).await, Ok(None));
    assert_eq!(calls.timeline(&visibility, &theirs).await, Ok(None));
    assert_eq!(changes(calls.changes(query(), Position(0)).await.expect("changes")), was);
    // A row of one's own says that its steps are another's.
    let steps = "select intent, ended from call where call = $1";
    let rows = calls.views().database().query(steps, vec![theirs.as_str().into()]).await.expect("the row");
    let ended = rows[0].int(1).expect("a position");
    edit_views(&sample, "update call set ended = $1 where call = $2", vec![ended.into(), own.as_str().into()]).await;
    let story = calls.timeline(&visibility, &own).await.expect("an answer").expect("a timeline");
    assert!(story.call.end.is_some_and(|end| end.0 != ended), "its own end");
    assert!(story.events.iter().all(|moment| moment.leaf["call"] == json!(own)), "{story:?}");
    // Whoever was led to an event opens nothing of it either.
    let event = sample.reader.event(Position(ended)).await.expect("the log").expect("an event");
    assert_eq!(sample.reader.part(&event, "result", &visibility).await.expect("an answer"), None);
    assert_eq!(sample.reader.result_of(&theirs, &visibility).await.expect("an answer"), None);
    assert!(sample.reader.result_of(&theirs, &Visibility::Account(account(1))).await.expect("an answer").is_some());
    assert!(sample.reader.result_of(&theirs, &Visibility::Everything).await.expect("an answer").is_some());
}

/// A switch's message is for whom the switch stops.
async fn a_row_of_administration_shows_nothing_of_others(sample: SampleLog) {
    let views = Views::open(sample.room("views.db", Room::Views).await, sample.reader.clone()).await.expect("the views");
    let calls = Calls::new(views);
    let engaged = |n| EventKind::SwitchEngaged {
        switch: SwitchId::new(Micros(n), &OsEntropy),
        target: Target::Credential(credential(n)),
        by: None,
        credential: None,
        running: Running::LetFinish,
        expires_at: None,
    };
    let theirs = sample.change(1, engaged(1), json!({ "reason": "a test", "message": "of one" })).await;
    let own = sample.change(2, engaged(2), json!({ "reason": "a test", "message": "of two" })).await;
    let query = || AdministrationQuery {
        visibility: Visibility::Account(account(2)),
        state: sample.writer.fence().state(),
        kind: Some("switch_engaged".into()),
        limit: 200,
        ..AdministrationQuery::default()
    };
    Activity::administration(&calls, query()).await.expect("a page");
    let sql = "update administration set account = $1 where position = $2";
    edit_views(&sample, sql, vec![account(2).as_str().into(), theirs.0.into()]).await;
    let page = Activity::administration(&calls, query()).await.expect("a page");
    let said: Vec<(Position, Value)> = page.items.into_iter().map(|item| (item.position, item.note)).collect();
    assert!(said.contains(&(own, json!("of two"))), "{said:?}");
    assert!(!said.iter().any(|(_, note)| *note == json!("of one")), "{said:?}");
}

#[tokio::test]
async fn beside_a_row_of_the_views_shows_nothing_of_others() {
    a_row_of_the_views_shows_nothing_of_others(SampleLog::sqlite().await).await;
}

#[tokio::test]
async fn postgres_beside_a_row_of_the_views_shows_nothing_of_others() {
    a_row_of_the_views_shows_nothing_of_others(SampleLog::postgres().await).await;
}

#[tokio::test]
async fn beside_a_row_of_administration_shows_nothing_of_others() {
    a_row_of_administration_shows_nothing_of_others(SampleLog::sqlite().await).await;
}

#[tokio::test]
async fn postgres_beside_a_row_of_administration_shows_nothing_of_others() {
    a_row_of_administration_shows_nothing_of_others(SampleLog::postgres().await).await;
}

// ----- what stops -----

/// Breaks every row whose name begins like this, if there is one.
async fn break_rows(room: &dyn Database, begins: &str) {
    let mut transaction = room.begin().await.expect("a transaction");
    let sql = "update state set doc = $1 where name like $2";
    let broken = transaction.execute(sql, vec![b"{broken".to_vec().into(), format!("{begins}%").into()]).await.expect("rows");
    transaction.commit().await.expect("a commit");
    assert!(broken > 0, "there is no {begins} row");
}

async fn log_room(house: &ConsoleServer) -> Box<dyn Database> {
    match house.database() {
        Some(url) => open_postgres(url, Room::Log).await,
        None => open_sqlite(&house.dir.path().join("log.db"), Room::Log).await,
    }
    .expect("the log room")
}

/// A node without its lease could confirm no switch.
async fn a_broken_run_costs_no_lease(site: Site) {
    let test_node = TestNode::start(&site).await;
    call_of(&test_node.call("no_such_tool", json!({})).await);
    break_rows(&*site.room().await, "run:").await;
    test_node.beat().await;
    let reply = test_node.call("no_such_tool", json!({})).await;
    assert!(matches!(&reply, Reply::Failed { refusal, .. } if refusal.code == Code::UnknownTool), "{reply:?}");
}

/// What a call holds is freed when it ends, and what of that cannot be read keeps it from ending no more than anything else.
async fn a_broken_claim_keeps_no_call_open(site: Site) {
    let test_node = Arc::new(TestNode::start(&site).await);
    test_node.world.shut();
    let mut request = test_node.request("probe_write", json!({ "text": "x", "idempotency_key": "one" }));
    request.wait = Duration::ZERO;
    let call = call_of(&test_node.control.submit(request).await);
    break_rows(&*site.room().await, "idem:").await;
    test_node.world.open();
    ended(&test_node, &call).await;
}

/// The staff end a call that runs although its row was broken, or taken away.
async fn a_broken_call_can_be_cancelled(site: Site) {
    let test_node = TestNode::start(&site).await;
    let staff = crate::approvals::staff(&test_node).await;
    for breaks in [true, false] {
        test_node.world.shut();
        let mut request = test_node.request("probe_write", json!({ "text": "x" }));
        request.wait = Duration::ZERO;
        let call = call_of(&test_node.control.submit(request).await);
        if breaks {
            break_rows(&*site.room().await, "job:").await;
        } else {
            edit(&site, "delete from state where name = $1", vec![format!("job:{call}").into()]).await;
        }
        let mut request = test_node.request("call_cancel", json!({ "id": call }));
        request.principal = staff.clone();
        let reply = test_node.control.submit(request).await;
        assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
        ended(&test_node, &call).await;
        test_node.world.open();
    }
}

/// Whoever can call can stop, whatever rows somebody broke.
async fn broken_rows_keep_nobody_from_stopping(house: ConsoleServer) {
    let (key, vm) = (house.one.key.clone(), house.one.vm.clone());
    let staff = house.key_of_staff().await;
    let read = house.call(&key, "vm_get", json!({ "vm_id": vm })).await;
    assert_eq!(read.status, StatusCode::OK, "{read:?}");
    let keyed = json!({ "vm_id": vm, "action": "reboot", "confirm": true, "idempotency_key": "one" });
    house.call(&key, "vm_power", keyed).await;
    house.call(&staff, "switch_list", json!({})).await;
    let unknown = house.call(&key, "vm_get", json!({ "vm_id": "nonsense" })).await;
    assert_ne!(unknown.status, StatusCode::OK);
    let room = log_room(&house).await;
    for begins in ["use:", "limit:", "run:", "idem:"] {
        break_rows(&*room, begins).await;
    }
    let refused = house.call(&key, "vm_get", json!({ "vm_id": vm })).await;
    assert_eq!(refused.code(), "control_state_unreadable", "what does not stop is refused: {refused:?}");
    let panic = house.call(&key, "panic_engage", json!({ "reason": "a test", "target": "vms", "vm_id": vm })).await;
    assert_eq!(panic.status, StatusCode::OK, "{panic:?}");
    let engaged = house.call(&staff, "switch_engage", json!({ "target": "all", "reason": "a test" })).await;
    assert_eq!(engaged.status, StatusCode::OK, "{engaged:?}");
    let own = house.app.node().control.ports.fence().state();
    let id = own.credentials.values().find(|row| row.created.account == house.one.account && row.created.role.is_none());
    let id = id.expect("the key").created.credential.clone();
    let revoked = house.call(&staff, "key_revoke", json!({ "id": id })).await;
    assert_eq!(revoked.status, StatusCode::OK, "{revoked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_broken_rows_keep_nobody_from_stopping() {
    broken_rows_keep_nobody_from_stopping(ConsoleServer::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_beside_broken_rows_keep_nobody_from_stopping() {
    broken_rows_keep_nobody_from_stopping(ConsoleServer::on_postgres().await).await;
}
