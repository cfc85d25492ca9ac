//! What is said to whoever did something wrong: the thing itself, once, and what to do next.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::cli::{command, complaint, dir, shown, text};
use crate::console::{ConsoleServer, staff_key};
use crate::harness::send;
use crate::local_admin::{Data, id};

#[test]
fn said_a_configuration_that_cannot_be_read_is_told_once_with_what_was_meant() {
    for (wrong, told) in [
        ("lisen = \"127.0.0.1:1\"", "there is no key `lisen`: did you mean `listen`?"),
        ("[limits]\nexek = { admit = 5, window_ms = 1000 }", "there is no key `limits.exek`: did you mean `limits.exec`?"),
        ("[limits]\nexec = { admit = \"many\", window_ms = 1 }", "the key `limits.exec.admit`"),
        ("nothing_like_it = 1", "there is no key `nothing_like_it`"),
    ] {
        let data = dir();
        std::fs::write(data.path().join("forelog.toml"), wrong).expect("a configuration");
        let said = complaint(&["account", "list", "--data", shown(data.path())]);
        assert!(said.contains(told), "{wrong}: {said}");
        assert!(!said.contains("default."), "{said}");
        assert_eq!(said.matches("reading the configuration").count(), 1, "{said}");
        let first = said.lines().next().expect("a line");
        assert_eq!(first.matches(told).count(), 1, "{first}");
    }
    let data = dir();
    let output = command(&["account", "list", "--data", shown(data.path())]).env("FORELOG_LIMITS__EXEK", "5").output();
    let said = text(&output.expect("it ran").stderr);
    assert!(said.contains("limits.exek") && said.contains("environment"), "{said}");
}

#[test]
fn said_a_configuration_is_told_by_file_line_key_and_range() {
    for (wrong, told) in [
        ("# a comment\nlease_ms = 1\n", ":2: the configuration key `lease_ms` is 1, not within 500 … 60000"),
        ("drain_ms = 5\n\n[throttle]\nburst = 0\n", ":4: the configuration key `throttle.burst` is 0, not within 1 … 100000"),
        ("[limits]\n\nexek = { admit = 5, window_ms = 1000 }", ":3: there is no key `limits.exek`: did you mean `limits.exec`?"),
        ("[limits.exec]\nadmit = \"many\"\nwindow_ms = 1", ":2: the key `limits.exec.admit`"),
        ("listen = \"127.0.0.1:0\"\nallowed_origins = [\"here\"]", ":2: the configuration key `allowed_origins`"),
    ] {
        let data = dir();
        let file = data.path().join("forelog.toml");
        std::fs::write(&file, wrong).expect("a configuration");
        let said = complaint(&["account", "list", "--data", shown(data.path())]);
        assert!(said.contains(&format!("{}{told}", file.display())), "{wrong}: {said}");
        assert_eq!(said.matches("forelog.toml:").count(), 1, "once: {said}");
    }
    let data = dir();
    std::fs::write(data.path().join("forelog.toml"), "lease_ms = 1000\n").expect("a configuration");
    let mut asked = command(&["account", "list", "--data", shown(data.path())]);
    let said = text(&asked.env("FORELOG_LEASE_MS", "1").output().expect("it ran").stderr);
    assert!(
        said.contains("from the environment: the configuration key `lease_ms` is 1") && !said.contains("forelog.toml:1"),
        "{said}"
    );
}

#[test]
fn said_a_policy_that_breaks_a_case_is_told_with_case_file_and_way() {
    let dir = dir();
    let cases = dir.path().join("cases.toml");
    std::fs::write(dir.path().join("a.cedar"), "@id(\"all\") permit (principal, action, resource);").expect("policies");
    let case = "# What has to hold.\n[[case]]\nname = \"customers read nothing\"\nside = \"customer\"\ntool = \"vm_list\"\nexpect = \"deny\"\n";
    std::fs::write(&cases, case).expect("cases");
    let said = complaint(&["policy", "check", "--dir", shown(dir.path())]);
    let told =
        format!("\"customers read nothing\" ({}:3): it expects deny, but the policies say permit (by all)", cases.display());
    assert!(said.contains(&told) && said.contains("change its `expect`") && said.contains("policy check --dir"), "{said}");
    std::fs::write(&cases, case.replace("vm_list", "vm_lst")).expect("cases");
    let said = complaint(&["policy", "check", "--dir", shown(dir.path())]);
    assert!(said.contains("there is no tool \"vm_lst\". Did you mean vm_list"), "{said}");
}

#[test]
fn said_what_the_system_refuses_is_told_once() {
    let dir = dir();
    let absent = dir.path().join("absent");
    let said = complaint(&["policy", "check", "--dir", shown(&absent)]);
    assert_eq!(said.matches("No such file or directory").count(), 1, "{said}");
    let said = complaint(&["policy", "show", "--config", shown(&absent)]);
    assert_eq!(said.matches("No such file or directory").count(), 1, "{said}");
}

#[test]
fn said_a_server_that_is_not_there_is_told_as_that() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its number");
    let data = dir();
    let said = complaint(&["health", "--data", shown(data.path()), "--listen", &port.to_string()]);
    assert!(said.contains("no server listens") && said.contains("forelog serve"), "{said}");
    let config = format!("database_url = \"postgres://nobody@{port}/nothing\"\n");
    std::fs::write(data.path().join("forelog.toml"), config).expect("a configuration");
    for args in [&["account", "list"][..], &["serve", "--listen", "127.0.0.1:0"]] {
        let said = complaint(&[args, &["--data", shown(data.path())]].concat());
        assert!(said.contains("database_url") && !said.contains("path"), "{said}");
    }
}

#[tokio::test]
async fn said_a_trigger_that_is_gone_is_no_matter_of_roles() {
    let data = Data::new(None);
    let log = data.path().join("log.db");
    let database = forelog::log::sqlite::open_sqlite(&log, forelog::log::dialect::Room::Log).await.expect("the log room");
    let mut transaction = database.begin().await.expect("a transaction");
    transaction.script("drop trigger event_is_never_updated").await.expect("dropped");
    transaction.commit().await.expect("a commit");
    database.close().await;
    let said = data.complaint(&["doctor"]);
    assert!(said.contains("event_is_never_updated") && said.contains("treat the log as edited"), "{said}");
    assert!(!said.contains("--grant-to"), "{said}");
}

#[test]
fn said_a_pipe_with_a_dead_key_does_not_start() {
    let data = Data::new(None);
    data.in_force();
    let made = data.answer(&["key", "create", "--account", &data.account, "--label", "agent"]);
    data.answer(&["key", "revoke", &id(&made)]);
    let output = command(&data.at(&["stdio"])).env("FORELOG_API_KEY", made["api_key"].as_str().expect("a key")).output();
    let output = output.expect("it ran");
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("revoked") && said.contains("hint:"), "{said}");
}

#[test]
fn said_one_of_something_is_one() {
    let data = Data::new(None);
    let out = data.path().join("bundle");
    let output = command(&data.at(&["export", "--out", shown(&out), "--to-position", "1"])).output().expect("it ran");
    assert!(text(&output.stdout).starts_with("1 event in "), "{}", text(&output.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn said_refusals_say_what_to_do_next() {
    let house = ConsoleServer::open().await;
    let staff = staff_key(&house).await;
    let hint = |answer: &crate::harness::Answer| answer.json()["error"]["hint"].as_str().map(str::to_owned);
    let scope = house.call(&house.one.key, "key_create", json!({ "label": "x", "scopes": ["vms:read"] })).await;
    assert_eq!(scope.code(), "forbidden_scope");
    assert!(hint(&scope).is_some(), "{scope:?}");
    let unknown = house.call(&house.one.key, "vm_lits", json!({})).await;
    assert_eq!(unknown.code(), "unknown_tool");
    assert!(hint(&unknown).is_some_and(|hint| hint.contains("openapi.json")), "{unknown:?}");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let method = client.request(Method::PUT, format!("{}/api/v1/keys", house.base)).bearer_auth(&house.one.key);
    let method = send(method).await;
    assert_eq!(method.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(hint(&method).is_some_and(|hint| hint.contains("Allow")), "{method:?}");
    let missing = house.call(&staff, "switch_engage", json!({ "target": "all" })).await;
    assert_eq!(missing.code(), "validation_failed");
    assert!(missing.text.contains("reason is missing"), "{missing:?}");

    let administers = house.key_over_keys(&house.one.account).await;
    let made = house.call(&administers, "key_create", json!({ "label": "x", "scopes": ["vms:read"], "read_only": true })).await;
    let secret = made.json()["api_key"].as_str().expect("a key").to_owned();
    let vm = json!({ "vm_id": house.one.vm, "action": "reboot", "confirm": true });
    let reads = house.call(&secret, "vm_power", vm).await;
    assert!(matches!(reads.code().as_str(), "read_only_mode" | "forbidden_scope"), "{reads:?}");
    assert!(hint(&reads).is_some(), "{reads:?}");
    house.call(&administers, "key_revoke", json!({ "id": made.json()["id"] })).await;
    let revoked = house.call(&secret, "vm_list", json!({})).await;
    assert_eq!(revoked.code(), "token_revoked");
    assert!(hint(&revoked).is_some(), "{revoked:?}");

    let page = house.browser().get("/console/welcome/no-such-link").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.text.contains("works once"), "{page:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn said_an_export_names_what_it_is_downloaded_by() {
    let house = ConsoleServer::open().await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let made = client.post(format!("{}/api/v1/exports", house.base)).bearer_auth(&house.one.key).json(&json!({ "form": "csv" }));
    let made = send(made).await;
    let export = id(&made.json());
    let file = house.read(&house.one.key, &format!("/api/v1/exports/{export}/download")).await;
    assert_eq!(file.status, StatusCode::OK, "{file:?}");
}
