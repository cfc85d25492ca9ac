//! What readers of every kind see through every door: what one door hides, every other one hides.
//!
//! Invariant: a door here is asked over HTTP, as its clients ask it, and everything that it answers is looked through.

use std::collections::BTreeSet;

use forelog::core::id::VmId;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::console::{ConsoleServer, between};
use crate::harness::Answer;

/// A key that the owner makes in the console.
async fn key(house: &ConsoleServer, label: &str, scopes: &[&str], vm: Option<&VmId>, read_only: bool) -> (String, String) {
    let owner = house.signed_in(&house.one.owner).await;
    let vm = vm.map(ToString::to_string);
    let mut fields = vec![("label", label), ("read_only", if read_only { "yes" } else { "" })];
    fields.extend(scopes.iter().map(|scope| ("scope", *scope)));
    fields.extend(vm.iter().map(|vm| ("vm", vm.as_str())));
    let made = owner.submit("/console/keys", &fields).await;
    assert_eq!(made.status, StatusCode::OK, "{made:?}");
    let text = format!("flk_{}", between(&made.text, "flk_", "<").split(['"', '&', '\'']).next().expect("a key"));
    let id = format!("key_{}", between(&made.text, "/console/keys/key_", "/"));
    (text, id)
}

const SCOPES: [&str; 5] = ["account:read", "vms:read", "vms:power", "vms:exec", "audit:read"];

fn call_of(answer: &Answer) -> String {
    let named = answer.header("forelog-call-id").to_owned();
    // An error names it in its body.
    if named.is_empty() { answer.json()["error"]["call_id"].as_str().expect("a call").to_owned() } else { named }
}

/// The ids of the calls in an answer.
fn calls_in(text: &str) -> BTreeSet<String> {
    let ids = text.match_indices("call_").map(|(at, _)| text[at..].chars().take(31).collect::<String>());
    ids.filter(|id| id.parse::<forelog::core::id::CallId>().is_ok()).collect()
}

/// Everything that one key is told, by door.
async fn told(house: &ConsoleServer, key: &str, ids: &[String], subjects: &[String]) -> Vec<(String, Answer)> {
    let mut paths: Vec<String> = [
        "calls?limit=200",
        "calls/histogram",
        "events?limit=200",
        "exports",
        "keys",
        "people",
        "invitations",
        "approvals",
        "switches",
        "searches",
        "switches/reach?target=all",
    ]
    .map(|path| format!("/api/v1/{path}"))
    .into();
    paths.extend(ids.iter().map(|id| format!("/api/v1/calls/{id}")));
    for subject in subjects {
        let kind = subject.split('_').next().unwrap_or_default();
        paths.push(format!("/api/v1/events?subject={subject}"));
        paths.extend((kind == "vm").then(|| format!("/api/v1/calls?vm={subject}")));
        paths.extend((kind == "vm").then(|| format!("/api/v1/calls?q={}*", &subject[3..16])));
        paths.extend((kind == "key").then(|| format!("/api/v1/calls?credential={subject}")));
        paths.extend((kind == "key").then(|| format!("/api/v1/keys/{subject}")));
        paths.extend((kind == "acc").then(|| format!("/api/v1/accounts/{subject}")));
    }
    paths.push("/api/v1/calls?q=hidden".into());
    let mut all = Vec::new();
    for path in paths {
        let answer = house.read(key, &path).await;
        all.push((path, answer));
    }
    let mut tools: Vec<(&str, Value)> = vec![
        ("activity_list", json!({ "limit": 200 })),
        ("activity_list", json!({ "q": "hidden" })),
        ("vm_list", json!({})),
        ("account_get", json!({})),
        ("key_list", json!({})),
        ("approval_list", json!({})),
        ("switch_list", json!({})),
    ];
    tools.extend(ids.iter().map(|id| ("operation_get", json!({ "operation_id": id }))));
    tools.extend(ids.iter().map(|id| ("command_get", json!({ "command_id": id }))));
    tools.extend(ids.iter().map(|id| ("command_logs", json!({ "command_id": id }))));
    for (tool, args) in tools {
        let answer = house.call(key, tool, args.clone()).await;
        all.push((format!("{tool} {args}"), answer));
    }
    all
}

/// Which of `ids` each door that shows calls shows.
async fn seen(house: &ConsoleServer, key: &str, ids: &[String]) -> Vec<(&'static str, BTreeSet<String>)> {
    let of = |text: &str| calls_in(text).into_iter().filter(|id| ids.contains(id)).collect::<BTreeSet<_>>();
    let listed = of(&house.read(key, "/api/v1/calls?limit=200").await.text);
    let activity = of(&house.call(key, "activity_list", json!({ "limit": 200 })).await.text);
    let (mut shown, mut operations) = (BTreeSet::new(), BTreeSet::new());
    for id in ids {
        shown.extend((house.read(key, &format!("/api/v1/calls/{id}")).await.status == StatusCode::OK).then(|| id.clone()));
        let operation = house.call(key, "operation_get", json!({ "operation_id": id })).await;
        operations.extend((operation.status == StatusCode::OK).then(|| id.clone()));
    }
    vec![("calls", listed), ("activity_list", activity), ("calls/{id}", shown), ("operation_get", operations)]
}

/// C14: a key that is limited to some VMs learns of the others through no door, and every door agrees on what calls it sees.
async fn doors_agree(house: ConsoleServer) {
    let (web, whole) = (house.one.vm.clone(), house.one.key.clone());
    let hidden = house.import(&house.one.account, "db-2", "hidden-db").await;
    let (confined, confined_id) = key(&house, "confined", &SCOPES, Some(&web), false).await;
    let (reading, _) = key(&house, "reading", &SCOPES, None, true).await;
    let (blind, _) = key(&house, "blind", &["account:read", "vms:read"], None, false).await;
    let (other_confined, _) = key(&house, "elsewhere", &SCOPES, Some(&hidden), false).await;

    let mut ids = Vec::new();
    for (key, vm) in [(&whole, &web), (&whole, &hidden), (&confined, &web), (&blind, &web), (&other_confined, &hidden)] {
        let answer = house.call(key, "vm_get", json!({ "vm_id": vm })).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        ids.push(call_of(&answer));
    }
    // By its label and by its id, the hidden VM is as absent as one that there is not.
    let named = house.call(&confined, "vm_get", json!({ "vm_id": "hidden-db" })).await;
    let absent = house.call(&confined, "vm_get", json!({ "vm_id": "no-such-db" })).await;
    assert_eq!((named.status, named.code()), (StatusCode::NOT_FOUND, absent.code()));
    ids.push(call_of(&named));
    let foreign = house.call(&house.other.key, "vm_get", json!({ "vm_id": house.other.vm })).await;
    ids.push(call_of(&foreign));
    let record = house.read(&confined, &format!("/api/v1/calls/{}", call_of(&named))).await.json();
    let other = house.read(&confined, &format!("/api/v1/calls/{}", call_of(&absent))).await.json();
    for field in ["vm", "text", "arguments", "result", "code", "status"] {
        assert_eq!(record[field], other[field], "{field} tells a hidden VM from one that is not there");
    }

    // Staff stop the hidden VM, and the whole account.
    let staff = house.signed_in(&house.staff).await;
    for target in [format!("vm:{hidden}"), format!("credential:{}", key_of(&house, &whole).await)] {
        let fields = [("target", target.as_str()), ("reason", "x"), ("message", "m"), ("minutes", "1")];
        assert_eq!(staff.submit("/console/switches", &fields).await.status, StatusCode::SEE_OTHER);
    }
    let refused = house.call(&confined, "vm_get", json!({ "vm_id": "hidden-db" })).await;
    assert_eq!(refused.code(), "vm_not_found", "a switch on a hidden VM is hidden too");
    staff.page(&format!("/console/vms/{hidden}")).await;

    let subjects = [
        web.to_string(),
        hidden.to_string(),
        confined_id.clone(),
        house.one.account.to_string(),
        house.other.account.to_string(),
        house.other.vm.to_string(),
    ];
    for (path, answer) in told(&house, &confined, &ids, &subjects).await {
        assert!(!answer.status.is_server_error(), "{path}: {answer:?}");
        let asked = path.contains(hidden.as_str()) && answer.status != StatusCode::OK;
        assert!(asked || !answer.text.contains(hidden.as_str()), "{path} shows the hidden VM: {answer:?}");
        assert!(!answer.text.contains("hidden-db"), "{path} shows its name: {answer:?}");
        assert!(!answer.text.contains(house.other.account.as_str()), "{path} shows another account: {answer:?}");
        assert!(!answer.text.contains(house.staff.user.as_str()), "{path} shows a person of the staff: {answer:?}");
        assert!(!answer.text.contains(house.one.owner.user.as_str()) || answer.text.contains(&confined_id), "{path}: {answer:?}");
    }
    for (name, reader) in [
        ("confined", &confined),
        ("whole", &reading),
        ("blind", &blind),
        ("elsewhere", &other_confined),
        ("foreign", &house.other.key),
    ] {
        let all = seen(&house, reader, &ids).await;
        let (_, first) = all.last().expect("a door");
        for (gateway, shown) in &all {
            // Without the right to read the log there are no lists, and one's own calls are shown all the same.
            if name == "blind" && *gateway != "operation_get" {
                assert!(shown.is_empty(), "{gateway} to {name}");
                continue;
            }
            assert_eq!(shown, first, "{gateway} to {name}");
        }
        assert!(!first.is_empty(), "{name} sees its own");
    }
    let whole = &seen(&house, &reading, &ids).await[0].1;
    assert_eq!(whole.len(), ids.len() - 1, "a key without limits sees all of the account's");
}

async fn key_of(house: &ConsoleServer, text: &str) -> String {
    let account = house.call(text, "account_get", json!({})).await.json();
    account["credential"]["id"].as_str().expect("the key's id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn sight_every_door_agrees() {
    doors_agree(ConsoleServer::open().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_sight_every_door_agrees() {
    doors_agree(ConsoleServer::on_postgres().await).await;
}

/// C20: customers learn that it was the staff, not who of them.
#[tokio::test(flavor = "multi_thread")]
async fn sight_of_customers_names_nobody_of_the_staff() {
    let house = ConsoleServer::open().await;
    let staff = house.signed_in(&house.staff).await;
    let target = format!("account:{}", house.one.account);
    let fields = [("target", target.as_str()), ("reason", "private"), ("message", "stopped"), ("minutes", "1")];
    let engaged = staff.submit("/console/switches", &fields).await;
    let switch = engaged.header("location").rsplit('/').next().expect("a switch").to_owned();
    staff.submit(&format!("/console/switches/{switch}/release"), &[("reason", "over")]).await;
    staff.page(&format!("/console/vms/{}", house.one.vm)).await;
    let events = house.read(&house.one.key, "/api/v1/events?limit=200").await;
    assert!(!events.text.contains(house.staff.user.as_str()), "{events:?}");
    let engaged =
        events.json()["items"].as_array().expect("events").iter().find(|item| item["type"] == "switch_engaged").cloned();
    assert_eq!(engaged.expect("the switch")["user"], "staff");
    let own = house.read(&house.one.key, "/api/v1/events?type=user_created").await.json();
    assert!(own["items"].as_array().is_some_and(|items| items.iter().all(|item| item["user"] != "staff")), "{own}");
    let by = house.read(&house.one.key, &format!("/api/v1/events?user={}", house.staff.user)).await.json();
    assert_eq!(by["items"], json!([]), "nor by asking");
    let owner = house.signed_in(&house.one.owner).await;
    let page = owner.page("/console/events").await;
    assert!(!page.contains(house.staff.user.as_str()) && !page.contains(&house.staff.email), "{page}");
}

/// C21: a cursor tells nobody how much others do.
#[tokio::test(flavor = "multi_thread")]
async fn sight_cursors_tell_no_positions() {
    use base64::Engine;
    let house = ConsoleServer::open().await;
    for _ in 0..3 {
        house.call(&house.one.key, "vm_list", json!({})).await;
    }
    let mut seen = BTreeSet::new();
    for path in ["/api/v1/calls?limit=1", "/api/v1/events?limit=1", "/api/v1/calls?limit=1"] {
        let cursor = house.read(&house.one.key, path).await.json()["next_cursor"].as_str().expect("a cursor").to_owned();
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(&cursor).expect("base64");
        assert!(!String::from_utf8_lossy(&bytes).contains("before"), "{cursor}");
        assert!(seen.insert(cursor.clone()), "the same cursor twice would tell that nothing happened in between");
        let list = path.split('?').next().expect("a path");
        let next = house.read(&house.one.key, &format!("{list}?limit=1&cursor={cursor}")).await;
        assert_eq!(next.status, StatusCode::OK, "{next:?}");
        let bent: String =
            cursor.chars().enumerate().map(|(at, c)| if at == 40 { if c == 'A' { 'B' } else { 'A' } } else { c }).collect();
        for (wrong, why) in [(bent.as_str(), "given out"), ("eyJhc19vZiI6MTAsImJlZm9yZSI6NX0", "older form"), ("x", "given out")]
        {
            let refused = house.read(&house.one.key, &format!("{list}?cursor={wrong}")).await;
            assert_eq!((refused.status.as_u16(), refused.code().as_str()), (422, "validation_failed"), "{refused:?}");
            assert!(refused.text.contains(why), "{refused:?}");
        }
    }
}

/// Of a sealed cursor each byte is like any other: also the one that a cursor of an older form began with.
#[tokio::test(flavor = "multi_thread")]
async fn sight_a_cursor_is_taken_whatever_it_begins_with() {
    let house = ConsoleServer::open().await;
    for _ in 0..3 {
        house.call(&house.one.key, "vm_list", json!({})).await;
    }
    for _ in 0..20_000 {
        let cursor = house.read(&house.one.key, "/api/v1/calls?limit=1").await.json()["next_cursor"].clone();
        let cursor = cursor.as_str().expect("a cursor");
        // In base64, what begins with a brace.
        if cursor.starts_with('e') && cursor[1..].starts_with(|c: char| matches!(c, 'w'..='z' | '0'..='9' | '-' | '_')) {
            let next = house.read(&house.one.key, &format!("/api/v1/calls?limit=1&cursor={cursor}")).await;
            assert_eq!(next.status, StatusCode::OK, "{next:?}");
            return;
        }
    }
    panic!("no such cursor was given out");
}

/// C20: `/mcp/readonly` lists what it lets through: what reads, and what stops.
#[tokio::test(flavor = "multi_thread")]
async fn sight_of_the_readonly_endpoint_is_what_it_lets_through() {
    let house = ConsoleServer::open().await;
    let listed = |path: &'static str| {
        let house = &house;
        async move {
            let list = modern(house, path, "tools/list", json!({})).await;
            let tools = list["result"]["tools"].as_array().expect("tools").clone();
            tools.iter().filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect::<BTreeSet<String>>()
        }
    };
    let (all, reads) = (listed("/mcp").await, listed("/mcp/readonly").await);
    assert!(reads.contains("panic_engage") && !reads.contains("vm_power"), "{reads:?}");
    for tool in all {
        // Without arguments nothing is done; whether it may be is decided first.
        let answer = modern(&house, "/mcp/readonly", "tools/call", json!({ "name": tool, "arguments": {} })).await;
        let is_let_through = !answer.to_string().contains("read_only_mode");
        assert_eq!(reads.contains(&tool), is_let_through, "{tool}: {answer}");
    }
}

/// A request of the version without sessions.
async fn modern(house: &ConsoleServer, path: &str, method: &str, mut params: Value) -> Value {
    const VERSION: &str = "2026-07-28";
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": VERSION, "io.modelcontextprotocol/clientCapabilities": {},
    });
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let name = params["name"].as_str().map(str::to_owned);
    let request =
        client.post(format!("{}{path}", house.base)).bearer_auth(&house.one.key).header("accept", crate::harness::ACCEPT);
    let request = request.header("mcp-protocol-version", VERSION).header("mcp-method", method);
    let request = name.into_iter().fold(request, |request, name| request.header("mcp-name", name));
    crate::harness::send(request.json(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }))).await.rpc()
}
