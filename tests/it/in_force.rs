//! What binds is recorded: policies and limits are those that the log says, on every node, whatever its files and environment
//! hold, until somebody with the right to puts others in force.
//!
//! Invariant: each case holds on both databases. Nodes are whole servers with configurations of their own on one log.

use std::path::Path;
use std::time::Duration;

use forelog::app::App;
use forelog::app::registry::KeySpec;
use forelog::core::event::EventKind;
use forelog::core::id::{EventId, Position};
use forelog::core::scope::Scope;
use forelog::core::scrub::Scrubbed;
use forelog::log::draft::NewEvent;
use forelog::log::store::Want;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::cli::{answer, command, shown, text};
use crate::console::{Browser, ConsoleServer};
use crate::harness::{Answer, send};
use crate::local_admin::Data;

/// How long something may take that happens by itself.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Nothing but looking at one VM.
const ONE: &str = r#"@id("one") permit (principal, action == Forelog::Action::"vm_get", resource) when { resource in principal.account };
@id("staff") permit (principal, action, resource) when { principal.side == "staff" };
"#;

/// Everything.
const ALL: &str = r#"@id("all") permit (principal, action, resource);
"#;

const CASES: &str = "[[case]]\nname = \"get\"\nside = \"customer\"\nscopes = [\"vms:read\"]\ntool = \"vm_get\"\n\
                     vm = { owner = \"caller\" }\nexpect = \"permit\"\n";

/// A directory with this set.
fn set(text: &str) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), text);
    dir
}

fn write(dir: &Path, text: &str) {
    std::fs::write(dir.join("own.cedar"), text).expect("policies");
    std::fs::write(dir.join("cases.toml"), CASES).expect("cases");
}

/// A node's own configuration: its policies, and how many calls a key has an hour.
fn own(database: &str, policies: &TempDir, admit: u32) -> String {
    format!(
        "{database}\npolicies_dir = \"{}\"\n[limits]\ncredential = {{ admit = {admit}, window_ms = 3600000 }}",
        policies.path().display()
    )
}

/// A case on both databases, which is told how its configuration names its own.
macro_rules! on_both {
    ($($case:ident, $sqlite:ident, $postgres:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $sqlite() {
            $case(String::new()).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn $postgres() {
            $case(format!("database_url = \"{}\"", crate::postgres::fresh_database().await)).await;
        }
    )*};
}

on_both! {
    the_recorded_ones_bind_on_both, in_force_the_recorded_ones_bind_on_both, postgres_in_force_the_recorded_ones_bind_on_both;
    a_right_changes_both, in_force_a_right_changes_both, postgres_in_force_a_right_changes_both;
    what_cannot_be_served_is_not_ready, in_force_what_cannot_be_served_is_not_ready,
        postgres_in_force_what_cannot_be_served_is_not_ready;
    a_large_set_is_served_from_the_log, in_force_a_large_set_is_served_from_the_log,
        postgres_in_force_a_large_set_is_served_from_the_log;
    two_first_starts_are_one, in_force_two_first_starts_are_one, postgres_in_force_two_first_starts_are_one;
    the_command_line_says_and_sets, in_force_the_command_line_says_and_sets, postgres_in_force_the_command_line_says_and_sets;
}

/// Asks a node.
async fn ask(base: &str, key: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let request = client.request(method, format!("{base}{path}")).bearer_auth(key);
    send(if let Some(body) = body { request.json(&body) } else { request }).await
}

async fn read(base: &str, key: &str, path: &str) -> Value {
    let answer = ask(base, key, Method::GET, path, None).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
    answer.json()
}

async fn call(base: &str, key: &str, tool: &str, args: Value) -> Answer {
    ask(base, key, Method::POST, &format!("/api/v1/tools/{tool}"), Some(args)).await
}

fn at(app: &App) -> String {
    format!("http://{}", app.address())
}

/// `done`, or the code of the refusal.
fn said(answer: &Answer) -> String {
    if answer.status.is_success() { "done".into() } else { answer.code() }
}

/// Asks again until it holds.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(TIMEOUT, asking).await.is_ok(), "waited in vain until {what}");
}

async fn is_ready(base: &str) -> Answer {
    ask(base, "", Method::GET, "/readyz", None).await
}

async fn the_recorded_ones_bind_on_both(database: String) {
    let (one, all) = (set(ONE), set(ALL));
    let house = ConsoleServer::with(&own(&database, &one, 3)).await;
    let other = house.beside_with(&own(&database, &all, 10_000)).await;
    let (here, there) = (house.base.clone(), at(&other));
    assert_eq!(house.events("policy_loaded").await.len(), 1, "starting a node puts nothing in force");
    assert_eq!(house.events("limits_set").await.len(), 1, "starting a node puts nothing in force");
    assert_eq!(is_ready(&there).await.status, StatusCode::OK);

    let vm = json!({ "vm_id": house.one.vm });
    assert_eq!(said(&call(&there, &house.one.key, "vm_list", json!({})).await), "policy_denied");
    let mut admitted = 0;
    for base in [&there, &here, &there, &here, &there] {
        let answer = call(base, &house.one.key, "vm_get", vm.clone()).await;
        admitted += u32::from(answer.status.is_success());
        assert!(answer.status.is_success() || answer.code() == "rate_limited", "{answer:?}");
    }
    assert_eq!(admitted, 3, "the recorded limit holds over both nodes");
    let told = call(&there, &house.other.key, "vm_get", json!({ "vm_id": house.other.vm })).await;
    assert!(told.status.is_success());

    let staff = house.key_of_staff().await;
    let (limits, policies) = (read(&there, &staff, "/api/v1/limits").await, read(&there, &staff, "/api/v1/policies").await);
    assert_eq!((&limits["version"], &limits["limits"]["credential"]["admit"]), (&json!(1), &json!(3)), "{limits}");
    let difference = json!([{ "key": "limits.credential.admit", "in_force": 3, "configured": 10_000 }]);
    assert_eq!((&limits["node"]["differs"], &limits["node"]["differences"]), (&json!(true), &difference), "{limits}");
    assert_eq!((&policies["version"], &policies["node"]["differs"]), (&json!(1), &json!(true)), "{policies}");
    assert_eq!((&policies["node"]["serves"], &policies["node"]["trouble"]), (&json!(true), &Value::Null), "{policies}");
    assert!(limits["since"].is_string() && limits["by"] == "the first start of a node", "{limits}");
    for path in ["/api/v1/limits", "/api/v1/policies"] {
        assert_eq!(read(&here, &staff, path).await["node"]["differs"], false, "{path}");
        assert_eq!(ask(&here, &house.one.key, Method::GET, path, None).await.code(), "forbidden_scope", "{path}");
    }

    let browser = Browser::at(&there);
    assert!(browser.sign_in(&house.staff.email, &house.staff.password).await.status.is_redirection());
    let page = browser.page("/console/rules").await;
    assert!(page.contains("limits.credential.admit") && page.contains("10000"), "{page}");
    assert!(page.contains("policy files are not the policies in force") && page.contains("vm_get"), "{page}");
    let customer = house.signed_in(&house.one.owner).await;
    assert_eq!(customer.get("/console/rules").await.status, StatusCode::NOT_FOUND);
    other.shutdown().await;
}

async fn a_right_changes_both(database: String) {
    let (one, all) = (set(ONE), set(ALL));
    let house = ConsoleServer::with(&own(&database, &one, 2)).await;
    let other = house.beside_with(&own(&database, &all, 10_000)).await;
    let (here, there, vm) = (house.base.clone(), at(&other), json!({ "vm_id": house.one.vm }));
    let staff = house.key_of_staff().await;
    let scopes = Scope::staff().into_iter().filter(|scope| *scope != Scope::StaffPolicy).collect();
    let without = house.key_of(KeySpec { scopes, ..KeySpec::full(house.staff.account.clone(), "without") }).await;
    let wanted = |admit: i64| json!({ "limits": { "credential": { "admit": admit, "window_ms": 3_600_000 } } });

    for key in [&without, &house.one.key] {
        for (method, path, body) in [
            (Method::PATCH, "/api/v1/limits", wanted(9)),
            (Method::POST, "/api/v1/policies/reload", json!({})),
            (Method::POST, "/api/v1/tools/limits_set", wanted(9)),
            (Method::POST, "/api/v1/tools/policy_reload", json!({})),
        ] {
            assert_eq!(ask(&there, key, method, path, Some(body)).await.code(), "forbidden_scope", "{path}");
        }
    }
    for wrong in [
        wanted(0),
        wanted(-1),
        wanted(10_001),
        wanted(99_999_999_999),
        json!({ "limits": { "credential": { "admit": null, "window_ms": 1000 } } }),
        json!({ "limits": { "credential": { "admit": 5 } } }),
        json!({ "limits": { "exec": null } }),
        json!({ "limits": null }),
        json!({ "limits": { "exek": { "admit": 1, "window_ms": 1000 } } }),
        json!({ "limits": { "credential": {} } }),
        json!({ "limits": { "credential": { "admit": "many", "window_ms": 1000 } } }),
        json!({ "quotas": { "keys": { "account": 0, "key": 1 } } }),
        json!({ "quotas": { "people": 0 } }),
        json!({ "quotas": { "nothing": { "account": 1, "key": 1 } } }),
        json!({ "approval_ms": 1 }),
        json!({}),
    ] {
        let answer = ask(&there, &staff, Method::PATCH, "/api/v1/limits", Some(wrong.clone())).await;
        assert_eq!(answer.code(), "validation_failed", "{wrong}: {answer:?}");
    }
    assert_eq!(house.events("limits_set").await.len(), 1, "what is refused writes nothing");

    let get = async |base: &str| said(&call(base, &house.one.key, "vm_get", vm.clone()).await);
    assert_eq!([get(&here).await, get(&there).await, get(&here).await], ["done", "done", "rate_limited"]);
    let set = ask(&there, &staff, Method::PATCH, "/api/v1/limits", Some(wanted(4))).await.json();
    assert_eq!((&set["version"], &set["before"], &set["limits"]["credential"]["admit"]), (&json!(2), &json!(1), &json!(4)));
    assert_eq!(set["limits"]["exec"]["admit"], 60, "what is not named stays: {set}");
    assert_eq!(
        [get(&here).await, get(&here).await, get(&there).await],
        ["done", "done", "rate_limited"],
        "exact across the change"
    );
    let same = ask(&there, &staff, Method::PATCH, "/api/v1/limits", Some(wanted(4))).await.json();
    assert_eq!((&same["version"], &same["before"]), (&json!(2), &json!(2)), "what holds already is no other version: {same}");
    ask(&here, &staff, Method::PATCH, "/api/v1/limits", Some(wanted(3))).await;
    assert_eq!(get(&there).await, "rate_limited", "what was taken before counts");
    ask(&here, &staff, Method::PATCH, "/api/v1/limits", Some(wanted(100))).await;
    let set = house.events("limits_set").await;
    assert!(matches!(&set[1].kind, EventKind::LimitsSet { by: Some(by), .. } if *by == house.staff.user), "{set:?}");

    assert_eq!(said(&call(&here, &house.one.key, "vm_list", json!({})).await), "policy_denied");
    let loaded = ask(&there, &staff, Method::POST, "/api/v1/policies/reload", Some(json!({}))).await.json();
    assert_eq!((&loaded["version"], &loaded["before"]["version"]), (&json!(2), &json!(1)), "{loaded}");
    assert_ne!(loaded["sha256"], loaded["before"]["sha256"]);
    for base in [&here, &there] {
        let list = async || said(&call(base, &house.one.key, "vm_list", json!({})).await) == "done";
        until("the node serves what the other one put in force", list).await;
    }
    let policies = read(&here, &staff, "/api/v1/policies").await;
    assert_eq!((&policies["version"], &policies["node"]["differs"]), (&json!(2), &json!(true)), "{policies}");
    assert_eq!(policies["user"], json!(house.staff.user), "{policies}");
    // Starting a node is still no way to change anything.
    let third = house.beside_with(&own(&database, &one, 1)).await;
    assert_eq!(said(&call(&at(&third), &house.one.key, "vm_list", json!({})).await), "done");
    assert_eq!((house.events("policy_loaded").await.len(), house.events("limits_set").await.len()), (2, 4));
    third.shutdown().await;
    other.shutdown().await;
}

/// Records a set as in force that no node of this version can load, as a newer one would.
async fn put_strange_set(house: &ConsoleServer) {
    let text = "permit (principal, action == Forelog::Action::\"of_the_future\", resource);\n";
    let ports = &house.app.node().control.ports;
    let id = EventId::new(ports.clock.now(), &*ports.entropy);
    let part = Scrubbed::of(json!([["own.cedar", text]]));
    let part = ports.reader.vault.seal(&house.staff.account, ports.clock.now(), &id, "policies", &part).await.expect("sealed");
    let sha256: String = hex::encode(Sha256::digest(text));
    let written = ports.writer.write(Want::default(), move |draft| {
        let version = draft.state().policy.as_ref().map_or(0, |set| set.version) + 1;
        let kind = EventKind::PolicyLoaded { version, sha256: sha256.as_str().into(), by: None, credential: None };
        draft.append(Position(0), NewEvent { id: id.clone(), kind, parts: vec![part.clone()], note: Scrubbed::default() })
    });
    written.await.expect("an event");
}

async fn what_cannot_be_served_is_not_ready(database: String) {
    let all = set(ALL);
    let house = ConsoleServer::with(&own(&database, &all, 100)).await;
    let staff = house.key_of_staff().await;
    put_strange_set(&house).await;
    let started = house.beside_with(&own(&database, &all, 100)).await;
    let vm = json!({ "vm_id": house.one.vm });
    for base in [house.base.clone(), at(&started)] {
        until("it is not ready", async || is_ready(&base).await.status == StatusCode::SERVICE_UNAVAILABLE).await;
        assert_eq!(is_ready(&base).await.code(), "policy_unsettled");
        assert_eq!(said(&call(&base, &house.one.key, "vm_get", vm.clone()).await), "policy_unsettled");
        let told = read(&base, &staff, "/api/v1/policies").await;
        assert_eq!((&told["version"], &told["node"]["serves"]), (&json!(2), &json!(false)), "{told}");
        assert!(told["node"]["trouble"].as_str().is_some_and(|why| why.contains("cannot load")), "{told}");
    }
    // Stopping goes on, by staff and by a customer.
    for base in [house.base.clone(), at(&started)] {
        let engage = json!({ "target": format!("account:{}", house.other.account), "reason": "an incident" });
        let engaged = ask(&base, &staff, Method::POST, "/api/v1/switches", Some(engage)).await;
        assert!(engaged.status.is_success(), "{engaged:?}");
        let panic = call(&base, &house.one.key, "panic_engage", json!({ "vm_id": house.one.vm, "reason": "an incident" })).await;
        assert!(panic.status.is_success(), "{panic:?}");
        assert_eq!(
            said(&call(&base, &house.one.key, "policy_reload", json!({})).await),
            "forbidden_scope",
            "the scope still counts"
        );
    }
    let browser = house.signed_in(&house.staff).await;
    assert!(browser.page("/console/rules").await.contains("cannot load"));
    let loaded = call(&at(&started), &staff, "policy_reload", json!({})).await;
    assert_eq!((loaded.status, &loaded.json()["version"]), (StatusCode::OK, &json!(3)), "{loaded:?}");
    for base in [house.base.clone(), at(&started)] {
        until("it is ready again", async || is_ready(&base).await.status == StatusCode::OK).await;
        let looked = call(&base, &staff, "switch_list", json!({})).await;
        assert!(looked.status.is_success(), "{looked:?}");
    }
    started.shutdown().await;
}

async fn a_large_set_is_served_from_the_log(database: String) {
    let (large, all) = (tempfile::tempdir().expect("a directory"), set(ALL));
    // More than a part of an event holds, in lines and in one line, with signs that JSON writes longer.
    let lines = (0..4000).map(|n| format!("// {n}: \"nothing\" \\ to see\n")).collect::<Vec<_>>().concat();
    write(large.path(), &format!("{lines}{ONE}"));
    std::fs::write(
        large.path().join("second.cedar"),
        format!("// {}\n{}", "é\"".repeat(40_000), ONE.replace("id(\"", "id(\"b-")),
    )
    .expect("policies");
    let house = ConsoleServer::with(&own(&database, &large, 100)).await;
    let other = house.beside_with(&own(&database, &all, 100)).await;
    assert_eq!(is_ready(&at(&other)).await.status, StatusCode::OK);
    assert_eq!(said(&call(&at(&other), &house.one.key, "vm_list", json!({})).await), "policy_denied");
    assert_eq!(said(&call(&at(&other), &house.one.key, "vm_get", json!({ "vm_id": house.one.vm })).await), "done");
    let loaded = house.events("policy_loaded").await;
    assert!(loaded[0].parts.len() > 3 && loaded[0].parts.iter().all(|part| !part.truncated), "{loaded:?}");
    other.shutdown().await;
}

async fn two_first_starts_are_one(database: String) {
    let (one, all) = (set(ONE), set(ALL));
    let dir = tempfile::tempdir().expect("a directory");
    let configs = [own(&database, &one, 3), own(&database, &all, 4)].map(|more| crate::console::config(&dir, &more));
    let start = |config: forelog::config::Config| async move {
        let clock = std::sync::Arc::new(forelog::ambient::SystemClock::start());
        App::start(&config, clock, std::sync::Arc::new(forelog::ambient::OsEntropy)).await.expect("a node")
    };
    let [first, second] = configs;
    // On SQLite the schema is made by whoever is first.
    let local_admin = forelog::app::local_admin::LocalAdmin::make(
        &first,
        std::sync::Arc::new(forelog::ambient::SystemClock::start()),
        std::sync::Arc::new(forelog::ambient::OsEntropy),
    )
    .await
    .expect("the rooms");
    local_admin.close().await;
    let (one, other) = tokio::join!(tokio::spawn(start(first)), tokio::spawn(start(second)));
    let (one, other) = (one.expect("it starts"), other.expect("it starts"));
    let all = one.node().control.ports.reader.events(Position(0), 1000).await.expect("the log");
    let count = |name: &str| all.iter().filter(|event| event.kind.name() == name).count();
    assert_eq!((count("policy_loaded"), count("limits_set")), (1, 1));
    for app in [one, other] {
        assert_eq!(is_ready(&at(&app)).await.status, StatusCode::OK);
        app.shutdown().await;
    }
}

async fn the_command_line_says_and_sets(database: String) {
    // As a node serves: as a role that owns nothing.
    let roles = if database.is_empty() { None } else { Some(crate::postgres::fresh_roles().await) };
    if let Some(roles) = &roles {
        answer(&["migrate", "--database-url", &roles.owner, "--grant-to", &roles.name]);
    }
    let data = Data::new(roles.as_ref().map(|roles| &*roles.app));
    let at = ["--data", shown(data.path())];
    let with = |key: &str, value: &str, args: &[&str]| {
        let window = "FORELOG_LIMITS__EXEC__WINDOW_MS";
        let mut command = command(&[args, &at[..]].concat());
        if key.contains("LIMITS") {
            command.env(window, "60000");
        }
        let output = command.env(key, value).output().expect("it ran");
        (output.status.success(), text(if output.status.success() { &output.stdout } else { &output.stderr }))
    };
    assert_eq!(data.answer(&["limits", "show"])["version"], Value::Null, "no node has started");
    let server = crate::cli::Server::start(&[&["serve"], &at[..]].concat(), &data.path().join("serve.log")).await;
    let shown = data.answer(&["limits", "show"]);
    assert_eq!((&shown["version"], &shown["by"]), (&json!(1), &json!("the first start of a node")), "{shown}");
    let (ran, said) = with("FORELOG_LIMITS__EXEC__ADMIT", "10000", &["limits", "show"]);
    assert!(ran && said.contains("limits.exec.admit is 60 in force and 10000 in this configuration"), "{said}");
    let (ran, said) = with("FORELOG_LIMITS__EXEC__ADMIT", "10000", &["doctor"]);
    assert!(ran && said.contains("limits.exec.admit is 60 in force and 10000"), "{said}");
    assert!(said.contains("put in force by") && said.contains("would replace it"), "{said}");
    for (wrong, near) in [
        ("limits.exec.admit=0", "limits.exec"),
        ("limits.exec.admit=-3", "limits.exec.admit"),
        ("limits.exec.admit=99999999999999", "limits.exec.admit"),
        ("limits.exec.window_ms=99999999999", "limits.exec.window_ms"),
        ("limits.exec.admit=999999999999999999999999", "limits.exec.admit"),
        ("limits.exek.admit=3", "limits.exek"),
        ("limits.exec=3", "limits.exec"),
        ("limits.exec.admit=", "KEY=NUMBER"),
        ("limits", "KEY=NUMBER"),
        ("=3", "not one of the limits"),
        ("quotas.keys.account=0", "quotas.keys"),
        ("approval_ms=1", "approval_ms"),
    ] {
        let complaint = data.complaint(&["limits", "set", wrong]);
        assert!(complaint.contains(near), "{wrong}: {complaint}");
    }
    let huge = data.complaint(&["limits", "set", "limits.exec.admit=99999999999999999999"]);
    assert!(huge.contains("limits.exec.admit cannot be 99999999999999999999") && !huge.contains("1844"), "{huge}");
    for twice in [["limits.exec.admit=30", "limits.exec.admit=31"], ["approval_ms=5000", " approval_ms = 5000"]] {
        let complaint = data.complaint(&["limits", "set", twice[0], twice[1]]);
        assert!(complaint.contains("named twice"), "{complaint}");
    }
    let same = data.answer(&["limits", "set", "limits.exec.admit=60"]);
    assert_eq!((&same["version"], &same["before"], &same["changed"]), (&json!(1), &json!(1), &json!([])), "{same}");
    let set = data.answer(&["limits", "set", "limits.exec.admit=30", "quotas.keys.account=50"]);
    assert_eq!((&set["version"], &set["before"]), (&json!(2), &json!(1)), "{set}");
    assert_eq!(set["changed"][0], json!({ "key": "limits.exec.admit", "before": 60, "now": 30 }), "{set}");
    let shown = data.answer(&["limits", "show"]);
    assert!(shown["by"].as_str().is_some_and(|by| by.ends_with(", on the data itself")), "{shown}");
    let (ran, said) = with("FORELOG_APPROVAL_MS", "5000", &["limits", "load"]);
    assert!(ran && said.contains("version 3") && said.contains("approval_ms: 5000 (was 86400000)"), "{said}");
    let (_, said) = with("FORELOG_APPROVAL_MS", "5000", &["doctor"]);
    assert!(said.contains("limits version 3, put in force by") && said.contains("policies version 1"), "{said}");
    data.answer(&["limits", "load"]);

    let shown = data.answer(&["policy", "show"]);
    assert_eq!((&shown["version"], &shown["by"]), (&json!(1), &json!("the first start of a node")), "{shown}");
    let own = set_of(ONE, data.path());
    let (ran, said) = with("FORELOG_POLICIES_DIR", &own, &["policy", "show"]);
    assert!(ran && said.contains("the configured set is another one"), "{said}");
    let (ran, said) = with("FORELOG_POLICIES_DIR", &own, &["doctor"]);
    assert!(ran && said.contains("version 1 is in force and is not the configured set"), "{said}");
    let (ran, said) = with("FORELOG_POLICIES_DIR", &own, &["policy", "load"]);
    assert!(ran && said.contains("version 2 is in force") && said.contains("before: version 1"), "{said}");
    let made = data.answer(&["key", "create", "--account", &data.account, "--label", "agent"]);
    let key = made["api_key"].as_str().expect("a key");
    // The server has other files, and serves what was put in force beside it.
    until("the server serves it", async || server.call(key, "vm_list", json!({})).await["error"]["code"] == "policy_denied")
        .await;
    server.stop().await;
    assert!(answer(&[&["log", "verify"], &at[..]].concat())["events"].as_u64() > Some(5));
    let looked = command(&[&["doctor"], &at[..]].concat()).output().expect("running forelog");
    let said = text(&looked.stdout);
    assert!(looked.status.success() && said.contains("version 2 is in force and is not the configured set"), "{said}");
    let owner = roles.iter().flat_map(|roles| ["--database-url", roles.owner.as_str()]);
    let mending: Vec<&str> = ["doctor", "--mend"].into_iter().chain(owner).collect();
    assert_eq!(data.answer(&mending)["mended"], json!([]), "the new rows follow from the log");
}

fn set_of(text: &str, dir: &Path) -> String {
    let own = dir.join("own-policies");
    std::fs::create_dir(&own).expect("a directory");
    write(&own, text);
    shown(&own).to_owned()
}
