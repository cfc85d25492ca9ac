//! Quotas: what one account or key makes has a bound, on both databases and under a race, and stopping is never starved by it.

use std::collections::BTreeSet;
use std::sync::Arc;

use forelog::config::Config;
use forelog::core::principal::Side;
use forelog::http::{SessionCaps, Settings};
use futures::StreamExt;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::console::{ConsoleServer, staff_key};
use crate::harness::{ACCEPT, Answer, Key, TestApp, generous, send};
use crate::test_node::{Site, TestNode};

/// A case for both databases, whose house has these quotas.
macro_rules! on_both {
    ($($case:ident, $quotas:literal, $sqlite:ident, $postgres:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $sqlite() {
            $case(ConsoleServer::with(concat!("[quotas]\n", $quotas)).await).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn $postgres() {
            let url = crate::postgres::fresh_database().await;
            $case(ConsoleServer::with(&format!("database_url = \"{url}\"\n[quotas]\n{}", $quotas)).await).await;
        }
    )*};
}

on_both! {
    keys_are_as_many_as_an_account_may_have, "keys = { account = 6, key = 3 }",
        quota_keys_are_as_many_as_an_account_may_have, postgres_quota_keys_are_as_many_as_an_account_may_have;
    keys_made_in_a_day_have_a_bound, "keys_a_day = { account = 8, key = 5 }",
        quota_keys_made_in_a_day_have_a_bound, postgres_quota_keys_made_in_a_day_have_a_bound;
    a_stop_is_engaged_once, "switches = { account = 3, key = 3 }",
        quota_a_stop_is_engaged_once, postgres_quota_a_stop_is_engaged_once;
    a_stop_that_stands_is_a_call_like_others, "[limits]\ncredential = { admit = 5, window_ms = 3600000 }",
        quota_a_stop_that_stands_is_a_call_like_others, postgres_quota_a_stop_that_stands_is_a_call_like_others;
    a_stop_of_a_vm_is_of_that_vm, "", quota_a_stop_of_a_vm_is_of_that_vm, postgres_quota_a_stop_of_a_vm_is_of_that_vm;
    staff_stop_whatever_customers_have_stopped, "switches = { account = 1, key = 1 }\nstaff_switches = { account = 2, key = 2 }",
        quota_staff_stop_whatever_customers_have_stopped, postgres_quota_staff_stop_whatever_customers_have_stopped;
    invitations_have_a_bound, "invitations = { account = 3, key = 2 }",
        quota_invitations_have_a_bound, postgres_quota_invitations_have_a_bound;
    people_have_a_bound, "people = 2", quota_people_have_a_bound, postgres_quota_people_have_a_bound;
    kept_searches_have_a_bound_for_each_person, "searches = { account = 3, key = 2 }",
        quota_kept_searches_have_a_bound_for_each_person, postgres_quota_kept_searches_have_a_bound_for_each_person;
}

/// What a refusal says of the quota.
fn told(answer: &Answer) -> Value {
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "quota_exceeded"), "{answer:?}");
    let error = answer.json()["error"].clone();
    assert_eq!(error["retryable"], false);
    assert!(error["hint"].is_string(), "{error}");
    error["details"].clone()
}

async fn make_key(house: &ConsoleServer, key: &str) -> Answer {
    house.call(key, "key_create", json!({ "label": "another", "scopes": ["vms:read"] })).await
}

/// Makes as many at once as it is told to, and answers those that were made.
async fn race(house: &ConsoleServer, key: &str, count: usize) -> Vec<Answer> {
    let answers = futures::future::join_all((0..count).map(|_| make_key(house, key))).await;
    answers.into_iter().filter(|answer| answer.status.is_success()).collect()
}

async fn keys_are_as_many_as_an_account_may_have(house: ConsoleServer) {
    let (one, other) = (house.key_over_keys(&house.one.account).await, house.key_over_keys(&house.other.account).await);
    let mut made = race(&house, &one, 12).await;
    assert_eq!(made.len(), 3, "of a race as many are made as may be");
    let full = told(&make_key(&house, &one).await);
    assert_eq!(full, json!({ "quota": "keys", "of": "key", "used": 3, "most": 3 }));
    assert_eq!(house.call(&other, "vm_list", json!({})).await.status, StatusCode::OK);
    assert_eq!(race(&house, &other, 1).await.len(), 1, "it is not another's");
    let id = made.pop().expect("a key").json()["id"].clone();
    assert!(house.call(&one, "key_rotate", json!({ "id": id })).await.status.is_success(), "rotating adds none");
    let list = house.call(&one, "key_list", json!({})).await.json();
    let live = list["items"].as_array().expect("keys").iter().filter(|key| key["revoked_at"].is_null() && key["role"].is_null());
    let ids: Vec<Value> = live.filter(|key| key["label"] == "another").map(|key| key["id"].clone()).collect();
    assert!(house.call(&one, "key_revoke", json!({ "id": ids[0] })).await.status.is_success());
    assert_eq!(race(&house, &one, 4).await.len(), 1, "what is revoked makes room");
}

async fn keys_made_in_a_day_have_a_bound(house: ConsoleServer) {
    let key = house.key_over_keys(&house.one.account).await;
    let mut made = 0;
    let full = loop {
        let answer = make_key(&house, &key).await;
        if !answer.status.is_success() {
            break told(&answer);
        }
        made += 1;
        let id = answer.json()["id"].clone();
        assert!(house.call(&key, "key_revoke", json!({ "id": id })).await.status.is_success());
    };
    assert_eq!((made, &full["quota"], &full["of"]), (5, &json!("keys_a_day"), &json!("key")), "dead ones count too");
    house.clock.pass(std::time::Duration::from_hours(24));
    // The node has to renew its lease after such a leap.
    let again = async {
        while !make_key(&house, &key).await.status.is_success() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), again).await.expect("on the next day there may be more");
}

async fn a_stop_is_engaged_once(house: ConsoleServer) {
    let stop = |args: Value| house.call(&house.one.key, "panic_engage", args);
    let vm = json!({ "reason": "again", "target": "vms", "vm_id": house.one.vm });
    let mut ids = BTreeSet::new();
    let answers = futures::future::join_all((0..20).map(|_| stop(vm.clone()))).await;
    for answer in answers {
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let document = answer.json();
        assert_eq!(document["fenced"], true, "{document}");
        ids.insert(document["switches"][0]["id"].to_string());
    }
    assert_eq!((ids.len(), house.events("switch_engaged").await.len()), (1, 1), "one switch, and one event");
    let stopped = house.call(&house.one.key, "vm_get", json!({ "vm_id": house.one.vm })).await;
    assert_eq!(stopped.code(), "kill_switch_engaged");
    for target in ["account", "credential"] {
        for _ in 0..3 {
            assert_eq!(stop(json!({ "reason": "all of it", "target": target })).await.status, StatusCode::OK);
        }
    }
    assert_eq!(house.events("switch_engaged").await.len(), 3);
    let weaker = json!({ "reason": "softly", "target": "account", "running": "let_finish" });
    assert_eq!(stop(weaker).await.status, StatusCode::OK);
    assert_eq!(house.events("switch_engaged").await.len(), 3, "what is stopped harder is stopped");
    assert_eq!(house.call(&house.other.key, "vm_list", json!({})).await.status, StatusCode::OK);
}

/// Who stops again and again what is stopped is limited, and his record has a bound; who stops more is not.
async fn a_stop_that_stands_is_a_call_like_others(house: ConsoleServer) {
    let stop = |args: Value| house.call(&house.one.key, "panic_engage", args);
    let again = || stop(json!({ "reason": "again" }));
    assert_eq!(again().await.status, StatusCode::OK);
    let mut limited = 0;
    for _ in 0..60 {
        let answer = again().await;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::TOO_MANY_REQUESTS => {
                assert_eq!(answer.code(), "rate_limited", "{answer:?}");
                limited += 1;
            }
            other => panic!("{other}: {answer:?}"),
        }
    }
    assert_eq!(limited, 55, "five stand within the window");
    assert_eq!(house.events("refused").await.len(), 20, "what only repeats is counted");
    assert_eq!(house.events("switch_engaged").await.len(), 1);
    // What would change something passes: a VM, harder, the account.
    let vm = json!({ "reason": "it too", "target": "vms", "vm_id": house.one.vm, "running": "let_finish" });
    let harder = json!({ "reason": "at once", "target": "vms", "vm_id": house.one.vm });
    let account = json!({ "reason": "all of it", "target": "account" });
    for (count, args) in [vm, harder, account].into_iter().enumerate() {
        let answer = stop(args).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert_eq!(house.events("switch_engaged").await.len(), count + 2);
    }
    // And again once a person has let go.
    let staff = staff_key(&house).await;
    let engaged = house.events("switch_engaged").await;
    let forelog::core::event::EventKind::SwitchEngaged { switch, .. } = &engaged[0].kind else { panic!("a switch") };
    let released = house.call(&staff, "switch_release", json!({ "id": switch, "reason": "done" })).await;
    assert_eq!(released.status, StatusCode::OK, "{released:?}");
    assert_eq!(again().await.status, StatusCode::OK, "it would change something");
}

/// Whoever names a VM means it.
async fn a_stop_of_a_vm_is_of_that_vm(house: ConsoleServer) {
    let answer = house.call(&house.one.key, "panic_engage", json!({ "reason": "this one", "vm_id": house.one.vm })).await;
    assert_eq!(answer.json()["switches"][0]["target"], format!("vm:{}", house.one.vm), "{answer:?}");
    assert_eq!(answer.json()["switches"].as_array().map(Vec::len), Some(1));
    for target in ["credential", "account"] {
        let args = json!({ "reason": "which?", "target": target, "vm_id": house.one.vm });
        assert_eq!(house.call(&house.one.key, "panic_engage", args).await.code(), "validation_failed", "{target}");
    }
    assert_eq!(house.events("switch_engaged").await.len(), 1);
    assert_eq!(house.call(&house.one.key, "vm_list", json!({})).await.status, StatusCode::OK, "the key goes on");
}

async fn staff_stop_whatever_customers_have_stopped(house: ConsoleServer) {
    let desk_key = staff_key(&house).await;
    let vm = json!({ "reason": "mine", "target": "vms", "vm_id": house.one.vm });
    assert_eq!(house.call(&house.one.key, "panic_engage", vm).await.status, StatusCode::OK);
    let engage = |target: String| house.call(&desk_key, "switch_engage", json!({ "target": target, "reason": "an incident" }));
    for tool in ["vm_list", "vm_get"] {
        assert_eq!(engage(format!("tool:{tool}")).await.status, StatusCode::OK);
    }
    let full = told(&engage("tool:vm_power".into()).await);
    assert_eq!(full, json!({ "quota": "staff_switches", "of": "key", "used": 2, "most": 2 }));
    for target in ["all".to_owned(), "class:exec".to_owned(), format!("account:{}", house.other.account)] {
        assert_eq!(engage(target.clone()).await.status, StatusCode::OK, "{target}");
        assert_eq!(told(&engage(target.clone()).await)["quota"], "staff_switches", "once is enough");
    }
    for _ in 0..2 {
        let stop = json!({ "reason": "me too", "target": "credential" });
        assert_eq!(
            house.call(&house.other.key, "panic_engage", stop).await.status,
            StatusCode::OK,
            "one's own stop always works"
        );
    }
}

/// Invites three persons in the console; answers what the page says of the last one.
async fn invite_three(house: &ConsoleServer) -> String {
    let owner = house.signed_in(&house.one.owner).await;
    let mut text = String::new();
    for n in 0..3 {
        let email = format!("p{n}@example.com");
        let fields = [("account", house.one.account.as_str()), ("email", &email), ("role", "member")];
        text = owner.submit("/console/people", &fields).await.text;
    }
    text
}

async fn invitations_have_a_bound(house: ConsoleServer) {
    let text = invite_three(&house).await;
    assert!(text.contains("2 invitations that wait, and may have at most 2"), "{text}");
    assert_eq!(house.events("person_invited").await.len(), 2);
}

async fn people_have_a_bound(house: ConsoleServer) {
    let text = invite_three(&house).await;
    assert!(text.contains("2 people, and may have at most 2"), "{text}");
    assert_eq!(house.events("person_invited").await.len(), 1, "the owner is one of them");
}

async fn kept_searches_have_a_bound_for_each_person(house: ConsoleServer) {
    let key = staff_key(&house).await;
    let keep = |n: usize| house.call(&key, "search_keep", json!({ "name": format!("search {n}"), "line": "outcome:failed" }));
    for n in 0..2 {
        assert_eq!(keep(n).await.status, StatusCode::OK);
    }
    assert_eq!(told(&keep(2).await), json!({ "quota": "searches", "of": "person", "used": 2, "most": 2 }));
}

#[tokio::test]
async fn quota_sessions_of_one_account_are_not_all_sessions() {
    let app = TestApp::with(generous()).await;
    let (mut begun, mut full) = (0, BTreeSet::new());
    for _ in 0..6 {
        let key = app.key(|_| {}).await;
        for _ in 0..40 {
            let answer = send(app.rpc(&key, &initialize())).await;
            if answer.status == StatusCode::OK {
                begun += 1;
            } else {
                full.insert(told(&answer)["of"].to_string());
            }
        }
    }
    assert_eq!((begun, full.len()), (128, 2), "32 of a key and 128 of an account: {full:?}");
    let stranger = app.stranger(forelog::core::principal::Side::Customer).await;
    assert_eq!(send(app.rpc(&stranger, &initialize())).await.status, StatusCode::OK, "others begin theirs");
}

#[tokio::test(flavor = "multi_thread")]
async fn quota_no_account_takes_every_session_of_a_small_house() {
    let house = ConsoleServer::with("mcp_sessions = 8").await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let begin = async |key: &str| {
        let request = client.post(format!("{}/mcp", house.base)).bearer_auth(key).header("accept", ACCEPT);
        send(request.json(&initialize())).await
    };
    for _ in 0..2 {
        assert_eq!(begin(&house.one.key).await.status, StatusCode::OK);
    }
    assert_eq!(told(&begin(&house.one.key).await), json!({ "quota": "sessions", "of": "account", "used": 2, "most": 2 }));
    let theirs = [begin(&house.other.key).await, begin(&house.other.key).await];
    assert!(theirs.iter().all(|answer| answer.status == StatusCode::OK), "{theirs:?}");
    // When the first customer's are idle, they give way to each other and to nobody else; the other's, idle as long, stay.
    for _ in 0..4 {
        house.clock.pass(std::time::Duration::from_secs(61));
        let again = async {
            // The node has to renew its lease after such a leap.
            while begin(&house.one.key).await.status != StatusCode::OK {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), again).await.expect("an idle one gives way");
    }
    for begun in &theirs {
        let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
        let request = client.post(format!("{}/mcp", house.base)).bearer_auth(&house.other.key).header("accept", ACCEPT);
        let request = request.header("mcp-session-id", begun.header("mcp-session-id"));
        assert_eq!(send(request.json(&ping)).await.status, StatusCode::OK, "a session gave way to another account");
    }
}

#[tokio::test]
async fn quota_when_every_session_is_taken_only_ones_own_gives_way() {
    let caps = SessionCaps { total: 2, ..SessionCaps::default() };
    let app = TestApp::with(Settings { sessions: caps, ..generous() }).await;
    let own = app.key(|_| {}).await;
    let (other, third) = (app.stranger(Side::Customer).await, app.stranger(Side::Customer).await);
    let begin = async |key: &Key| send(app.rpc(key, &initialize())).await;
    assert_eq!(begin(&own).await.status, StatusCode::OK);
    let theirs = begin(&other).await;
    assert_eq!(theirs.status, StatusCode::OK);
    app.test_node.clock.pass(std::time::Duration::from_secs(61));
    app.test_node.beat().await;
    assert_eq!(begin(&third).await.code(), "overloaded", "an idle session of another account gave way");
    assert_eq!(begin(&own).await.status, StatusCode::OK);
    let ping = app.rpc(&other, &json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }));
    let ping = ping.header("mcp-session-id", theirs.header("mcp-session-id"));
    assert_eq!(send(ping).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn quota_sessions_end_with_their_key_and_make_room() {
    let house = ConsoleServer::with("[quotas]\nsessions = { account = 4, key = 4 }").await;
    let admin = house.key_over_keys(&house.one.account).await;
    let make = async |args: Value| house.call(&admin, "key_create", args).await.json();
    let end = forelog::core::time::Micros(house.clock.after(std::time::Duration::from_hours(1)).0).rfc3339();
    let revoked = make(json!({ "label": "revoked", "scopes": ["vms:read"] })).await;
    let expired = make(json!({ "label": "expired", "scopes": ["vms:read"], "expires_at": end })).await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let begin = async |key: &str| {
        let request = client.post(format!("{}/mcp", house.base)).bearer_auth(key).header("accept", ACCEPT);
        send(request.json(&initialize())).await.status
    };
    for key in [&revoked, &revoked, &expired, &expired] {
        assert_eq!(begin(key["api_key"].as_str().expect("a key")).await, StatusCode::OK);
    }
    assert_eq!(begin(&house.one.key).await, StatusCode::TOO_MANY_REQUESTS, "the account is full");
    assert!(house.call(&admin, "key_revoke", json!({ "id": revoked["id"] })).await.status.is_success());
    for room in [StatusCode::OK, StatusCode::OK, StatusCode::TOO_MANY_REQUESTS] {
        assert_eq!(begin(&house.one.key).await, room, "those of the revoked key have ended");
    }
    house.clock.pass(std::time::Duration::from_hours(1));
    let again = async {
        // The node has to renew its lease after such a leap.
        while begin(&house.one.key).await != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), again).await.expect("those of the expired key have ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn quota_streams_are_as_many_as_a_key_may_have_and_an_end_makes_room() {
    let house = ConsoleServer::with("[quotas]\nstreams = { account = 5, key = 3 }").await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let path = format!("{}/api/v1/calls/live", house.base);
    let open = || client.request(Method::GET, &path).bearer_auth(&house.one.key).send();
    let mut streams = Vec::new();
    for _ in 0..3 {
        let stream = open().await.expect("an answer");
        assert_eq!(stream.status(), StatusCode::OK);
        streams.push(stream);
    }
    let refused = send(client.request(Method::GET, &path).bearer_auth(&house.one.key)).await;
    assert_eq!(told(&refused), json!({ "quota": "streams", "of": "key", "used": 3, "most": 3 }));
    drop(streams.pop());
    let again = async {
        while open().await.expect("an answer").status() != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), again).await.expect("a stream that ended makes room");
}

#[tokio::test(flavor = "multi_thread")]
async fn quota_streams_of_sessions_count_with_the_others() {
    let house = ConsoleServer::with("[quotas]\nstreams = { account = 5, key = 3 }").await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let ask = |method: Method| {
        let request = client.request(method, format!("{}/mcp", house.base)).bearer_auth(&house.one.key);
        request.header("accept", ACCEPT).header("mcp-protocol-version", "2025-11-25")
    };
    let (mut open, mut refused) = (Vec::new(), 0);
    for _ in 0..5 {
        let begun = send(ask(Method::POST).json(&initialize())).await;
        let stream = ask(Method::GET).header("mcp-session-id", begun.header("mcp-session-id")).send().await.expect("an answer");
        match stream.status() {
            StatusCode::OK => open.push(stream),
            StatusCode::TOO_MANY_REQUESTS => refused += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!((open.len(), refused), (3, 2));
    let live = client.get(format!("{}/api/v1/calls/live", house.base)).bearer_auth(&house.one.key);
    assert_eq!(told(&send(live).await)["quota"], "streams", "it is one quota for both");
}

fn initialize() -> Value {
    json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" },
    } })
}

#[tokio::test(flavor = "multi_thread")]
async fn quota_calls_that_are_waited_for_are_refused_on_the_record() {
    waits(Site::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_quota_calls_that_are_waited_for_are_refused_on_the_record() {
    waits(Site::postgres().await).await;
}

async fn waits(mut site: Site) {
    site.quotas.waits = forelog::core::quota::Quota { account: 10, key: 4 };
    let test_node = Arc::new(TestNode::start(&site).await);
    test_node.world.shut();
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let test_node = Arc::clone(&test_node);
            tokio::spawn(async move { test_node.call("probe_write", json!({})).await })
        })
        .collect();
    test_node.world.executed_at_least(4).await;
    let forelog::control::Reply::Failed { call, refusal, .. } = test_node.call("probe_read", json!({})).await else {
        panic!("one more")
    };
    assert_eq!(refusal.details, json!({ "quota": "waits", "of": "key", "used": 4, "most": 4 }));
    assert!(call.is_some(), "it is a call");
    test_node.world.open();
    for call in waiting {
        assert!(matches!(call.await.expect("a call"), forelog::control::Reply::Done { .. }));
    }
    assert!(matches!(test_node.call("probe_read", json!({})).await, forelog::control::Reply::Done { .. }));
    crate::promises::check(&test_node.log().await, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn quota_calls_that_stay_open_have_a_bound_under_a_race() {
    open_calls(Site::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_quota_calls_that_stay_open_have_a_bound_under_a_race() {
    open_calls(Site::postgres().await).await;
}

async fn open_calls(mut site: Site) {
    site.quotas.open_calls = forelog::core::quota::Quota { account: 7, key: 5 };
    let (test_node, worker, assigned) = TestNode::idle(&site).await;
    let (other, ..) = TestNode::idle(&site).await;
    worker.beat(true).await.expect("a beat");
    let calls = (0..20).map(|n| if n % 2 == 0 { &test_node } else { &other }).map(|node| node.call("probe_queued", json!({})));
    let replies: Vec<_> = futures::stream::iter(calls).buffer_unordered(20).collect().await;
    let is_open = |reply: &&forelog::control::Reply| matches!(reply, forelog::control::Reply::Running { .. });
    assert_eq!(replies.iter().filter(is_open).count(), 5, "of two nodes as many as may be");
    for reply in replies.iter().filter(|reply| !is_open(reply)) {
        let forelog::control::Reply::Failed { refusal, .. } = reply else { panic!("{reply:?}") };
        assert_eq!(refusal.details["quota"], "open_calls");
    }
    tokio::spawn(worker.work(assigned, tokio_util::sync::CancellationToken::new(), std::time::Duration::from_secs(5)));
    test_node.world.executed_at_least(5).await;
    let ended = async {
        while !test_node.reader.store.state(&["open", "job"]).await.expect("the rows").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), ended).await.expect("what has ended counts no more");
    let again = test_node.call("probe_queued", json!({})).await;
    assert!(is_open(&&again) || matches!(again, forelog::control::Reply::Done { .. }), "{again:?}");
}

#[test]
fn quota_every_one_is_in_the_reference_with_its_default() {
    let page = include_str!("../../docs/configuration.md").split("## Quotas").nth(1).expect("the section");
    let page = page.split("\n## ").next().expect("the section");
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect::<Vec<_>>();
    let rows = page.lines().filter(|line| line.starts_with("| `")).map(cells);
    let stated: BTreeSet<String> =
        rows.map(|cells| format!("{}: Quota {{ account: {}, key: {} }}", cells[1], cells[2], cells[3])).collect();
    let quotas = format!("{:?}", Config::default().quotas);
    for row in &stated {
        assert!(quotas.contains(row), "{row} is not in {quotas}");
    }
    assert_eq!(stated.len(), quotas.matches("Quota {").count(), "each has a row");
    for wrong in ["keys = { account = 0, key = 1 }", "people = 0", "keys = { account = 1 }", "kyes = { account = 1, key = 1 }"] {
        assert!(Config::parse(&format!("[quotas]\n{wrong}")).is_err(), "{wrong}");
    }
}
