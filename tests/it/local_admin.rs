//! The command line on the data itself: it checks what the other ways in check, and says what came of it.
//!
//! Invariant: each case holds on both databases, and what a command must refuse it refuses without writing an event.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli::{Server, answer, command, complaint, dir, shown, text};
use crate::console::{ConsoleServer, staff_key};

/// A data directory, whose rooms are files or a database.
pub struct Data {
    pub dir: TempDir,
    pub account: String,
}

impl Data {
    /// With an account; `url` is that of a database.
    pub fn new(url: Option<&str>) -> Self {
        let dir = dir();
        let url = url.map(|url| format!("database_url = \"{url}\"\n")).unwrap_or_default();
        let config = format!("{url}[providers.sim]\nmachines = [\"web-1\"]\n");
        std::fs::write(dir.path().join("forelog.toml"), config).expect("a configuration");
        let mut data = Self { dir, account: String::new() };
        data.account = id(&data.answer(&["account", "create", "--name", "Example Ltd", "--email", "ops@example.com"]));
        data
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn at<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        [args, &["--data", shown(self.path())]].concat()
    }

    pub fn answer(&self, args: &[&str]) -> Value {
        answer(&self.at(args))
    }

    /// Puts limits and policies in force without a server.
    pub fn in_force(&self) {
        self.answer(&["limits", "load"]);
        self.answer(&["policy", "load"]);
    }

    pub fn complaint(&self, args: &[&str]) -> String {
        complaint(&self.at(args))
    }

    fn says(&self, args: &[&str]) -> String {
        let output = command(&self.at(args)).output().expect("running forelog");
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn key(&self) -> Value {
        self.answer(&["key", "create", "--account", &self.account, "--label", "agent"])
    }

    async fn serve(&self) -> Server {
        Server::start(&self.at(&["serve"]), &self.path().join("serve.log")).await
    }
}

pub fn id(document: &Value) -> String {
    document["id"].as_str().unwrap_or_else(|| panic!("no id: {document}")).to_owned()
}

/// A case for both databases.
macro_rules! on_both {
    ($($case:ident, $sqlite:ident, $postgres:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $sqlite() {
            $case(Data::new(None)).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn $postgres() {
            let url = crate::postgres::fresh_database().await;
            $case(Data::new(Some(&url))).await;
        }
    )*};
}
pub(crate) use on_both;

on_both! {
    what_would_stop_nothing_is_refused, desk_what_would_stop_nothing_is_refused, postgres_desk_what_would_stop_nothing_is_refused;
    a_dead_key_is_not_rotated, desk_a_dead_key_is_not_rotated, postgres_desk_a_dead_key_is_not_rotated;
    the_secret_that_goes_on_is_named, desk_the_secret_that_goes_on_is_named, postgres_desk_the_secret_that_goes_on_is_named;
    a_broken_set_keeps_the_version_in_force, desk_a_broken_set_keeps_the_version_in_force,
        postgres_desk_a_broken_set_keeps_the_version_in_force;
    hints_are_those_of_the_refusal, desk_hints_are_those_of_the_refusal, postgres_desk_hints_are_those_of_the_refusal;
}

/// An id that nothing has, of a kind.
fn unknown(kind: &str) -> String {
    format!("{kind}_01J00000000000000000000000")
}

#[expect(clippy::unused_async, reason = "every case is awaited")]
async fn what_would_stop_nothing_is_refused(data: Data) {
    let vm = id(&data.answer(&["vm", "import", "--account", &data.account, "--provider", "sim", "--machine", "web-1"]));
    let key = id(&data.key());
    let events = data.answer(&["log", "verify"])["events"].clone();
    let engage =
        |target: &str, more: &[&str]| data.complaint(&[&["switch", "engage", target, "--reason", "test"], more].concat());
    for (target, near) in [
        ("tool:vm_lits", "tool:vm_list"),
        ("tool:nothing_like_it", "name of a tool"),
        ("provider:smi", "provider:sim"),
        ("provider:qemu", "provider:sim"),
    ] {
        let said = engage(target, &[]);
        assert!(said.contains("nothing that") && said.contains(near), "{target}: {said}");
    }
    for target in [
        format!("vm:{}", unknown("vm")),
        format!("vm:{}/exec", unknown("vm")),
        format!("account:{}", unknown("acc")),
        format!("credential:{}", unknown("key")),
    ] {
        assert!(engage(&target, &[]).contains("nothing that"), "{target}");
    }
    let mut slip = key.clone();
    let last = if slip.pop() == Some('0') { '1' } else { '0' };
    slip.push(last);
    assert!(engage(&format!("credential:{slip}"), &[]).contains(&format!("credential:{key}")), "one letter is wrong");
    let long = "x".repeat(501);
    assert!(engage("all", &["--minutes", "0"]).contains("as soon as it is engaged"));
    for minutes in ["5256001", "4294967295"] {
        assert!(engage("all", &["--minutes", minutes]).contains("more than ten years"), "{minutes}");
    }
    assert!(engage("class:write", &["--message", &long]).contains("501 characters"));
    assert!(engage("class:write", &["--incident", &long]).contains("501 characters"));
    for (reason, why) in
        [("", "'--reason <REASON>': it has 0 characters"), ("  ", "The reason"), (&long, "it has 501 characters")]
    {
        let said = data.complaint(&["switch", "engage", "all", "--reason", reason]);
        assert!(said.contains(why) && !said.contains("policy"), "{said}");
    }
    assert_eq!(data.answer(&["switch", "list"])["items"], json!([]));
    assert_eq!(data.answer(&["log", "verify"])["events"], events, "what is refused writes nothing");

    let targets = [format!("account:{}", data.account), format!("credential:{key}"), format!("vm:{vm}"), format!("vm:{vm}/exec")];
    let words = ["all", "class:exec", "tool:vm_list", "provider:sim"].map(str::to_owned);
    for target in targets.iter().chain(&words) {
        data.answer(&["switch", "engage", target, "--reason", "test", "--minutes", "5"]);
    }
    data.answer(&["key", "revoke", &key]);
    data.answer(&["switch", "engage", &format!("credential:{key}"), "--reason", "dead, and there"]);
    let switches = data.answer(&["switch", "list"]);
    let switch = id(&switches["items"][0]);
    assert!(data.complaint(&["switch", "release", &switch, "--break-glass", "--reason", " "]).contains("The reason"));
}

/// What is refused on the data is refused over REST and by the console's form, too.
#[tokio::test(flavor = "multi_thread")]
async fn desk_what_would_stop_nothing_is_refused_everywhere() {
    let house = ConsoleServer::open().await;
    let staff = staff_key(&house).await;
    for (args, code) in [
        (json!({ "target": "provider:smi", "reason": "x" }), "not_found"),
        (json!({ "target": "tool:vm_lits", "reason": "x" }), "not_found"),
        (json!({ "target": "all", "reason": "  " }), "validation_failed"),
        (json!({ "target": "all", "reason": "x", "expires_at": "2020-01-02T00:00:00Z" }), "validation_failed"),
    ] {
        let answer = house.call(&staff, "switch_engage", args.clone()).await;
        assert_eq!(answer.code(), code, "{args}: {answer:?}");
        assert!(answer.json()["error"]["hint"].is_string() || code == "validation_failed", "{answer:?}");
    }
    let blank = house.call(&house.one.key, "panic_engage", json!({ "reason": " " })).await;
    assert_eq!(blank.code(), "validation_failed", "{blank:?}");
    let browser = house.signed_in(&house.staff).await;
    for fields in [
        [("target", "provider:smi"), ("reason", "x"), ("minutes", "")],
        [("target", "all"), ("reason", " "), ("minutes", "")],
        [("target", "all"), ("reason", "x"), ("minutes", "0")],
    ] {
        let answer = browser.submit("/console/switches", &fields).await;
        assert!(answer.status.is_client_error(), "{fields:?}: {answer:?}");
    }
    assert!(house.events("switch_engaged").await.is_empty());
    let engaged = house.call(&staff, "switch_engage", json!({ "target": "provider:sim", "reason": "x" })).await;
    assert!(engaged.status.is_success(), "{engaged:?}");
    let drilled = house.call(&house.key_of_staff().await, "switch_drill", json!({})).await;
    assert_eq!(drilled.json()["passed"], true, "{drilled:?}");
}

async fn a_dead_key_is_not_rotated(data: Data) {
    let made = data.answer(&[
        "key",
        "create",
        "--account",
        &data.account,
        "--label",
        "maker",
        "--scope",
        "keys:write",
        "--scope",
        "vms:read",
    ]);
    let server = data.serve().await;
    let secret = made["api_key"].as_str().expect("a key");
    let child = server.call(secret, "key_create", json!({ "label": "child", "scopes": ["vms:read"] })).await;
    server.stop().await;
    data.answer(&["key", "revoke", &id(&made)]);
    let said = data.complaint(&["key", "rotate", &id(&child)]);
    assert!(said.contains("was revoked") && said.contains("never work") && said.contains("hint:"), "{said}");
    assert!(data.complaint(&["key", "rotate", &id(&made)]).contains("was revoked"));
    let refused = data.complaint(&["key", "create", "--account", &data.account, "--label", "dead", "--expires-days", "0"]);
    assert!(refused.contains("--expires-days"), "{refused}");
}

async fn the_secret_that_goes_on_is_named(data: Data) {
    let (old, server) = (data.key(), data.serve().await);
    let (id_of_old, secret) = (id(&old), old["api_key"].as_str().expect("a key").to_owned());
    let new = data.answer(&["key", "rotate", &id_of_old]);
    let said = data.says(&["key", "revoke", &id_of_old]);
    assert!(said.contains(&id(&new)) && said.contains("goes on") && said.contains("once more"), "{said}");
    let fresh = new["api_key"].as_str().expect("a key");
    assert!(server.call(fresh, "vm_list", json!({})).await["items"].is_array());
    assert_eq!(server.call(&secret, "vm_list", json!({})).await["error"]["code"], "token_revoked");
    let ended = data.answer(&["key", "revoke", &id_of_old]);
    assert_eq!((&ended["goes_on"], &ended["ended"]), (&Value::Null, &json!(id(&new))), "{ended}");
    assert_eq!(server.call(fresh, "vm_list", json!({})).await["error"]["code"], "token_revoked");

    let one = data.key();
    let two = data.answer(&["key", "rotate", &id(&one)]);
    assert_eq!(data.answer(&["key", "revoke", &id(&two)])["goes_on"], one["id"], "the newer one was ended first");
    let three = data.key();
    assert_eq!(data.says(&["key", "revoke", &id(&three)]).trim(), format!("{} is revoked", id(&three)));
    let over = ["key", "create", "--account", &data.account, "--label", "over", "--scope", "keys:write"];
    let over = data.answer(&over)["api_key"].as_str().expect("a key").to_owned();
    let (four, five) = (data.key(), data.key());
    let six = data.answer(&["key", "rotate", &id(&four)]);
    let revoked = server.call(&over, "key_revoke", json!({ "id": four["id"] })).await;
    assert_eq!((&revoked["revoked"], &revoked["goes_on"]), (&json!(true), &six["id"]), "{revoked}");
    let revoked = server.call(&over, "key_revoke", json!({ "id": five["id"] })).await;
    assert_eq!((&revoked["revoked"], &revoked["goes_on"]), (&json!(true), &Value::Null), "{revoked}");
    server.stop().await;
}

async fn a_broken_set_keeps_the_version_in_force(data: Data) {
    let policies = data.path().join("policies");
    std::fs::create_dir(&policies).expect("a directory");
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    for file in ["default.cedar", "cases.toml"] {
        std::fs::copy(default.join(file), policies.join(file)).expect("the policies");
    }
    let config = data.path().join("forelog.toml");
    let text = std::fs::read_to_string(&config).expect("the configuration");
    std::fs::write(&config, format!("policies_dir = {:?}\n{text}", shown(&policies))).expect("a configuration");
    assert_eq!(data.answer(&["policy", "reload"])["version"], 1);
    std::fs::write(policies.join("more.cedar"), "permit (").expect("a broken policy");
    let said = data.complaint(&["policy", "reload"]);
    assert!(said.contains("not taken") && said.contains("version 1 stays in force"), "{said}");
    assert!(!said.contains("nothing is permitted"), "{said}");
    let said = data.complaint(&["policy", "check"]);
    assert!(!said.contains("policy check"), "it was just run: {said}");
    let said = data.complaint(&["doctor"]);
    assert!(said.contains("the configured policies are broken"), "{said}");
    // What was recorded is served all the same.
    let server = data.serve().await;
    let listed = server.call(data.key()["api_key"].as_str().expect("a key"), "vm_list", json!({})).await;
    assert!(listed["items"].is_array(), "{listed}");
    server.stop().await;
    let log = std::fs::read_to_string(data.path().join("serve.log")).expect("what it logged");
    assert!(log.contains("this node's policy files"), "{log}");
    assert_eq!(data.answer(&["policy", "show"])["version"], 1);
}

#[expect(clippy::unused_async, reason = "every case is awaited")]
async fn hints_are_those_of_the_refusal(data: Data) {
    let made = data.key();
    let with_key = |args: &[&str]| {
        let output = command(&data.at(args)).env("FORELOG_API_KEY", made["api_key"].as_str().expect("a key")).output();
        let output = output.expect("running forelog");
        assert!(!output.status.success(), "{args:?}");
        text(&output.stderr)
    };
    for args in [&["switch", "drill"][..], &["approval", "approve", &unknown("call")]] {
        let said = with_key(args);
        assert!(said.contains("forbidden_scope") && !said.contains("policy check"), "{said}");
    }
    let said = data.complaint(&["key", "revoke", &unknown("key")]);
    assert!(said.contains("no live key") && !said.contains("policy"), "{said}");
}

/// What is decided with follows from the log, or nothing is; whoever asks is told where to look.
#[tokio::test]
async fn desk_control_state_that_differs_is_named_as_that() {
    let data = Data::new(None);
    data.key();
    let log = data.path().join("log.db");
    let database = forelog::log::sqlite::open_sqlite(&log, forelog::log::dialect::Room::Log).await.expect("the log room");
    let mut transaction = database.begin().await.expect("a transaction");
    let sql = "update state set doc = cast(replace(cast(doc as text), 'agent', 'other') as blob) where name like 'credential:%'";
    assert_eq!(transaction.execute(sql, Vec::new()).await.expect("an update"), 1);
    transaction.commit().await.expect("a commit");
    database.close().await;
    for args in [&["serve", "--listen", "127.0.0.1:0"][..], &["key", "list"], &["policy", "reload"]] {
        let said = data.complaint(args);
        assert!(said.to_lowercase().contains("control state is not what the log says"), "{args:?}: {said}");
        assert!(said.contains("forelog doctor") && !said.contains("policy check"), "{args:?}: {said}");
    }
}

/// Two who add one person at once: one of them does, and the others are told so.
fn join_at_once(data: &Data) {
    let join = data.at(&["account", "join", &data.account, "--email", "second@example.com"]);
    let running: Vec<_> = (0..6)
        .map(|_| {
            let mut join = command(&[&join[..], &["--json"]].concat());
            join.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().expect("it starts")
        })
        .collect();
    let ended: Vec<_> = running.into_iter().map(|process| process.wait_with_output().expect("it ends")).collect();
    let (made, told): (Vec<_>, Vec<_>) = ended.iter().partition(|output| output.status.success());
    assert_eq!(made.len(), 1, "{told:?}");
    for output in told {
        let said = text(&output.stderr);
        assert!(said.contains("second@example.com") && !said.contains("UNIQUE") && !said.contains("constraint"), "{said}");
    }
    let people = |list: &Value| list["items"][0]["people"].as_array().expect("people").len();
    assert_eq!(people(&data.answer(&["account", "list"])), 2);
    assert!(data.answer(&["log", "verify"])["events"].as_i64() > Some(0));
    let again = data.complaint(&["account", "join", &data.account, "--email", "second@example.com"]);
    assert!(again.contains("already") && again.contains("forelog account reset"), "{again}");
}

#[test]
fn desk_who_joins_at_once_is_one_person() {
    join_at_once(&Data::new(None));
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_desk_who_joins_at_once_is_one_person() {
    join_at_once(&Data::new(Some(&crate::postgres::fresh_database().await)));
}

/// Whose password nobody knows, because the printing was cut, is let in again.
#[tokio::test(flavor = "multi_thread")]
async fn desk_a_password_that_nobody_saw_is_given_anew() {
    let data = Data::new(None);
    let lost = data.answer(&["account", "join", &data.account, "--email", "second@example.com"]);
    let found = data.answer(&["account", "reset", &data.account, "--email", "second@example.com"]);
    assert_eq!((&lost["user"], &lost["account"]), (&found["user"], &found["account"]));
    assert_ne!(lost["password"], found["password"]);
    let server = data.serve().await;
    let browser = crate::console::Browser::at(&server.says("/base_url"));
    let sign_in = async |of: &Value| browser.sign_in("second@example.com", of["password"].as_str().expect("one")).await.status;
    assert_eq!(sign_in(&lost).await.as_u16(), 401);
    assert!(sign_in(&found).await.is_redirection());
    server.stop().await;
    let nobody = data.complaint(&["account", "reset", &data.account, "--email", "nobody@example.com"]);
    assert!(nobody.contains("nobody of the account"), "{nobody}");
}
