//! What is not there is refused at every door, and by name of what is near: targets of switches, switches, and the fields of
//! searches. A name that no tool has is on record, if it has the form of one, for whoever may see the call.

use forelog::app::registry::KeySpec;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::cli::{command, text};
use crate::console::{ConsoleServer, Customer, staff_key};
use crate::harness::{ACCEPT, Answer, send};
use crate::local_admin::Data;

/// An id that differs from a real one in its last letter.
fn slip(id: &str) -> String {
    let (start, last) = id.split_at(id.len() - 1);
    format!("{start}{}", if last == "0" { "1" } else { "0" })
}

async fn ask(house: &ConsoleServer, key: &str, method: Method, path: &str, body: &Value) -> Answer {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let request = client.request(method, format!("{}{path}", house.base)).bearer_auth(key);
    send(if body.is_null() { request } else { request.json(body) }).await
}

/// What an error says, all of it.
fn said(answer: &Answer) -> String {
    let error = &answer.json()["error"];
    format!("{} {}", error["message"].as_str().unwrap_or_default(), error["hint"].as_str().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn near_every_door_refuses_a_target_that_is_not_there() {
    let house = ConsoleServer::open().await;
    let (staff, browser) = (staff_key(&house).await, house.signed_in(&house.staff).await);
    let (vm, account) = (house.one.vm.as_str(), house.one.account.as_str());
    for (target, told) in [
        (format!("vm:{}", slip(vm)), format!("Did you mean vm:{vm}?")),
        (format!("vm:{}/exec", slip(vm)), format!("Did you mean vm:{vm}/exec?")),
        (format!("account:{}", slip(account)), format!("Did you mean account:{account}?")),
        ("tool:vm_pwer".into(), "Did you mean tool:vm_power?".into()),
        ("tool:reboot".into(), "such as vm_power".into()),
        ("provider:nope".into(), "There is provider:sim.".into()),
        ("provider:sm".into(), "Did you mean provider:sim?".into()),
        ("class:exce".into(), "Did you mean class:exec?".into()),
        ("class:read".into(), "A class is exec, write or destroy".into()),
        ("clas:exec".into(), "Did you mean class:exec?".into()),
        ("exec".into(), "Did you mean class:exec?".into()),
        ("al".into(), "Did you mean all?".into()),
        (vm.to_owned(), format!("Did you mean vm:{vm}?")),
        ("vm:one-web-1".into(), "Give the VM's id, not its label.".into()),
        ("key:cred".into(), "Did you mean credential:cred?".into()),
        ("credential:mine".into(), "Give the key's id".into()),
        ("tool:".into(), "1 to 40 letters".into()),
        ("everything that runs".into(), "Use all, class:exec|write|destroy".into()),
    ] {
        let wish = json!({ "target": target, "reason": "a slip" });
        let by_name = house.call(&staff, "switch_engage", wish.clone()).await;
        let by_route = ask(&house, &staff, Method::POST, "/api/v1/switches", &wish).await;
        let path = format!("/api/v1/switches/reach?target={}", target.replace(' ', "%20"));
        let reach = ask(&house, &staff, Method::GET, &path, &Value::Null).await;
        for answer in [by_name, by_route, reach] {
            assert!(answer.status.is_client_error() && said(&answer).contains(&told), "{target}: {answer:?}");
        }
        let preview = browser.get(&format!("/console/switches/new?target={}", target.replace(' ', "%20"))).await;
        let engaged = browser.submit("/console/switches", &[("target", &target), ("reason", "a slip"), ("minutes", "")]).await;
        for page in [preview, engaged] {
            assert!(page.status.is_client_error(), "{target}: {page:?}");
            let told = told.replace('\'', "&#39;");
            assert!(page.text.contains(&told), "{target} is told {told:?}: {}", page.text);
        }
    }
    assert!(house.events("switch_engaged").await.is_empty(), "nothing was stopped");
    let stranger =
        house.call(&house.one.key, "panic_engage", json!({ "reason": "x", "vm_id": slip(house.other.vm.as_str()) })).await;
    let theirs = house.call(&house.one.key, "panic_engage", json!({ "reason": "x", "vm_id": house.other.vm })).await;
    assert_eq!((stranger.code(), said(&stranger)), ("vm_not_found".into(), said(&theirs)), "nobody is told what is another's");
    assert!(!said(&stranger).contains(house.other.vm.as_str()), "{stranger:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn near_a_switch_that_is_not_in_force_is_named_by_what_is_near() {
    let house = ConsoleServer::open().await;
    let staff = staff_key(&house).await;
    let none = json!({ "id": "swi_01ARZ3NDEKTSV4RRFFQ69G5FAV" });
    let absent = house.call(&staff, "switch_release", none).await;
    assert_eq!(absent.code(), "not_found");
    assert!(said(&absent).contains("It may have ended."), "{absent:?}");
    let engaged = house.call(&staff, "switch_engage", json!({ "target": "tool:vm_power", "reason": "x" })).await.json();
    let id = engaged["id"].as_str().expect("an id");
    let slipped = house.call(&staff, "switch_release", json!({ "id": slip(id) })).await;
    assert!(said(&slipped).contains(&format!("Did you mean {id}?")), "{slipped:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn near_every_door_refuses_a_search_that_can_find_nothing() {
    let house = ConsoleServer::open().await;
    let (key, browser) = (&house.one.key, house.signed_in(&house.one.owner).await);
    for (field, value, told) in [
        ("tool", "vm_pwer", "near is vm_power"),
        ("tool", "reboot", "there is no tool of this name; tool:unknown"),
        ("code", "kil_switch_engaged", "near is kill_switch_engaged"),
        ("outcome", "refsed", "recorded, held, queued, running, refused"),
        ("via", "pigeon", "mcp, rest, console, stdio or cli"),
    ] {
        let (line, at) = (format!("web {field}:{value}"), "column 5");
        let answer = house.read(key, &format!("/api/v1/calls?q=web%20{field}:{value}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
        assert!(said(&answer).contains(told) && said(&answer).contains(at), "{answer:?}");
        let field_alone = house.read(key, &format!("/api/v1/calls?{field}={value}")).await;
        assert!(field_alone.status.is_client_error() && said(&field_alone).contains(told), "{field_alone:?}");
        for (tool, args) in [("activity_list", json!({ "q": line })), ("export_create", json!({ "q": line, "form": "csv" }))] {
            let answer = house.call(key, tool, args).await;
            assert_eq!(answer.code(), "validation_failed", "{tool}: {answer:?}");
            assert!(said(&answer).contains(told) && said(&answer).contains(at), "{tool}: {answer:?}");
        }
        let page = browser.get(&format!("/console/activity?q=web%20{field}:{value}")).await;
        assert!(page.text.contains(told), "{field}: {}", page.text);
    }
    let by_argument = house.call(key, "activity_list", json!({ "tool": "vm_pwer" })).await;
    assert!(said(&by_argument).contains("near is vm_power"), "{by_argument:?}");
    assert_eq!(house.read(key, "/api/v1/calls?q=tool:vm_power%20tool:unknown").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn near_an_unknown_tool_is_answered_with_what_its_caller_may_call() {
    let house = ConsoleServer::open().await;
    let (staff, customer) = (staff_key(&house).await, house.one.key.clone());
    let reader = house.key_of(KeySpec { read_only: true, ..KeySpec::full(house.one.account.clone(), "reads") }).await;
    for (key, typed, message) in [
        (&customer, "vm_pwer", "There is no such tool. Did you mean vm_power?"),
        (&customer, "VM_GTE", "There is no such tool. Did you mean vm_get?"),
        (&reader, "vm_pwer", "There is no such tool."),
        (&reader, "vm_gte", "There is no such tool. Did you mean vm_get?"),
        (&customer, "switch_engag", "There is no such tool."),
        (&staff, "switch_engag", "There is no such tool. Did you mean switch_engage?"),
        (&customer, "reboot", "There is no such tool."),
    ] {
        let answer = house.call(key, typed, json!({})).await;
        assert_eq!((answer.code(), &answer.json()["error"]["message"]), ("unknown_tool".into(), &json!(message)), "{answer:?}");
    }
    for (path, typed, message) in [
        ("/mcp", "vm_pwer", "There is no such tool. Did you mean vm_power?"),
        ("/mcp/readonly", "vm_pwer", "There is no such tool."),
        ("/mcp", "key_lst", "There is no such tool."),
    ] {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": typed, "arguments": {}, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {} } } });
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let asked = client.post(format!("{}{path}", house.base)).bearer_auth(&customer).json(&call);
        let asked = asked.header("accept", ACCEPT).header("mcp-protocol-version", "2026-07-28");
        let answer = send(asked.header("mcp-method", "tools/call").header("mcp-name", typed)).await.rpc();
        assert_eq!(answer["error"]["message"], message, "{path}: {answer}");
    }
    let record = format!("{:?}", house.events("refused").await);
    assert!(!record.contains("Did you mean") && !record.contains("vm_power"), "what is near is not on record: {record}");
    let read = |name: &str| std::fs::read(house.dir.path().join(name)).unwrap_or_default();
    let rooms = ["log.db", "log.db-wal", "views.db", "views.db-wal"].map(read).concat();
    assert!(!String::from_utf8_lossy(&rooms).contains("Did you mean"), "nor in any room");
}

#[tokio::test(flavor = "multi_thread")]
async fn near_an_unknown_argument_or_limit_is_answered_with_what_is_near() {
    let house = ConsoleServer::open().await;
    let (staff, customer) = (house.key_of_staff().await, &house.one.key);
    for (key, tool, args, told) in [
        (customer, "vm_get", json!({ "vmid": "web-1" }), "Did you mean vm_id?"),
        (&staff, "limits_set", json!({ "limits": { "exce": { "admit": 1, "window_ms": 1000 } } }), "Did you mean exec?"),
        (&staff, "limits_set", json!({ "quota": {} }), "Did you mean quotas?"),
    ] {
        let answer = house.call(key, tool, args).await;
        assert!(said(&answer).contains(told), "{tool}: {answer:?}");
    }
    let strange = house.call(customer, "vm_get", json!({ "cAnArY7qXs4Zw0Kd": 1 })).await;
    assert!(!strange.text.contains("cAnArY") && !strange.text.contains("Did you mean"), "{strange:?}");
}

#[test]
fn near_the_command_line_offers_what_is_near() {
    let data = Data::new(None);
    for (args, told) in [
        (&["call", "vm_pwer"][..], "'vm_power'"),
        (&["polcy", "show"], "'policy'"),
        (&["limits", "set", "limits.exce.admit=30"], "Did you mean `limits.exec`?"),
        (&["limits", "set", "quota.keys.account=30"], "Did you mean `quotas`?"),
        (&["limits", "set", "aproval_ms=30"], "Did you mean `approval_ms`?"),
    ] {
        let said = data.complaint(args);
        assert!(said.contains(told) && !said.contains("vm_import"), "{args:?}: {said}");
    }
    for (name, told) in
        [("FORELOG_LISTN", "did you mean `listen`, FORELOG_LISTEN?"), ("FORELOG_LIMIT__EXEC__ADMIT", "did you mean `limits`")]
    {
        let output = command(&data.at(&["account", "list"])).env(name, "127.0.0.1:1").output().expect("running forelog");
        assert!(!output.status.success() && text(&output.stderr).contains(told), "{name}: {}", text(&output.stderr));
    }
    let other =
        command(&data.at(&["account", "list"])).env("FORELOG_SERVICE_HOST", "10.0.0.1").output().expect("running forelog");
    assert!(other.status.success(), "what another program sets is none of ours: {}", text(&other.stderr));
}

/// What the calls that a line finds are about: tool and text.
async fn found(house: &ConsoleServer, who: &Customer, line: &str) -> Vec<(String, String)> {
    let page = house.read(&who.key, &format!("/api/v1/calls?q={line}")).await.json();
    let text = |call: &Value, field: &str| call[field].as_str().expect("a text").to_owned();
    page["items"].as_array().expect("calls").iter().map(|call| (text(call, "tool"), text(call, "text"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn near_an_unknown_tools_name_is_on_record_for_its_account_alone() {
    let house = ConsoleServer::open().await;
    let (key, browser) = (&house.one.key, house.signed_in(&house.one.owner).await);
    let long = "x".repeat(300);
    let hidden = ["cAnArY7qXs4Zw0Kd", "ghp_canarytoken", "a%E2%80%8Bb", "a%0Ab", "0f1e2d3c4b5a69788796", &long];
    for name in ["vm_pwer", "Bash", "mcp__files__read"].into_iter().chain(hidden) {
        let answer = house.call(key, name, json!({})).await;
        assert_eq!(answer.code(), "unknown_tool", "{name}: {answer:?}");
    }
    let unknown = ("unknown".to_owned(), String::new());
    for name in ["vm_pwer", "bash", "mcp__files__read"] {
        assert_eq!(found(&house, &house.one, name).await, std::slice::from_ref(&unknown), "{name}");
    }
    let all = found(&house, &house.one, "tool:unknown").await;
    assert_eq!(all.len(), 3 + hidden.len());
    assert!(all.iter().all(|one| *one == unknown), "a name is content, and no text of a call: {all:?}");
    assert!(found(&house, &house.other, "vm_pwer").await.is_empty(), "it is another account's");
    let leaves = format!("{:?}", house.events("intent_recorded").await);
    assert!(!leaves.contains("vm_pwer") && !leaves.contains("Bash"), "a leaf carries no content");
    let page = browser.page("/console/activity").await;
    assert!(page.contains("unknown tool") && page.contains("vm_pwer") && page.contains("its name is not shown"), "{page}");

    // Nothing of it lies in the views, and staff are told and find it once they have said why they look.
    let read = |name: &str| std::fs::read(house.dir.path().join(name)).unwrap_or_default();
    let views = String::from_utf8_lossy(&[read("views.db"), read("views.db-wal")].concat()).into_owned();
    assert!(views.contains("unknown") && !views.contains("pwer") && !views.contains("Bash"), "a name lies in the views");
    let (all, one) = (format!("account:{} tool:unknown", house.one.account), format!("account:{} vm_pwer", house.one.account));
    let line = |line: &str| format!("/console/search?q={}", line.replace(' ', "%20"));
    let staff = house.signed_in(&house.staff).await;
    let page = staff.page(&line(&all)).await;
    assert!(page.contains("its name is not shown") && !page.contains("pwer") && !page.contains("Bash"), "{page}");
    assert!(staff.page(&line(&one)).await.contains("No call fits this line"));
    let staff = house.investigator().await;
    assert!(staff.page(&line(&all)).await.contains("mcp__files__read"));
    assert!(staff.page(&line(&one)).await.contains("unknown tool"));
}

#[tokio::test(flavor = "multi_thread")]
async fn near_a_label_in_a_search_is_answered_with_the_id_that_is_meant() {
    let house = ConsoleServer::open().await;
    let (key, vm) = (&house.one.key, house.one.vm.as_str());
    for (label, told) in [("one-web-1", format!("write {vm}")), ("other-web-1", "a word finds its label".to_owned())] {
        let by_line = house.read(key, &format!("/api/v1/calls?q=vm:{label}")).await;
        let by_field = house.read(key, &format!("/api/v1/calls?vm={label}")).await;
        let counted = house.read(key, &format!("/api/v1/calls/histogram?vm={label}")).await;
        let by_tool = house.call(key, "activity_list", json!({ "vm": label })).await;
        let taken = house.call(key, "export_create", json!({ "q": format!("vm:{label}"), "form": "csv" })).await;
        for answer in [by_line, by_field, counted, by_tool, taken] {
            assert_eq!(answer.code(), "validation_failed", "{answer:?}");
            assert!(said(&answer).contains(&told), "{label}: {answer:?}");
        }
    }
    let staff = house.investigator().await;
    let led = staff.get("/console/search?q=vm:one-web-1").await;
    assert!(led.header("location").contains(vm), "staff are led to the line with the id: {led:?}");
}
