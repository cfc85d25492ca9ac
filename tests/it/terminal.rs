//! What customers type reaches the operator's terminal as text and as nothing else: no sequence that a terminal obeys, no line
//! that is not ours, no direction but ours.

use serde_json::json;

use crate::cli::{Server, answer, command, dir, shown, text};
use crate::console::{Browser, between};
use crate::local_admin::{Data, id};

/// What a terminal would obey or hide, and a line of its own.
const HOSTILE: &str = "x\u{1b}[2J\u{1b}]0;y\u{7}\u{9b}31m\r\nforged  line\u{202e}gnp\u{200b}";

/// What came out, if it can do nothing.
fn harmless(said: &str) -> &str {
    let bad = said.chars().find(|c| (c.is_control() && *c != '\n') || matches!(c, '\u{202e}' | '\u{200b}'));
    assert_eq!(bad, None, "{said:?}");
    assert!(!said.lines().any(|line| line.starts_with("forged")), "{said:?}");
    said
}

fn says(args: &[&str]) -> String {
    let output = command(args).output().expect("running forelog");
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[tokio::test]
async fn terminal_every_list_shows_what_was_typed_as_text() {
    let data = Data::new(None);
    data.answer(&["key", "create", "--account", &data.account, "--label", HOSTILE]);
    let engaged = data.answer(&["switch", "engage", "class:exec", "--reason", HOSTILE, "--message", HOSTILE]);
    // Who can write rows without the vault's key names no account.
    let vault = rusqlite::Connection::open(data.path().join("vault.db")).expect("the vault");
    vault.execute("update account_name set name = ?1", [HOSTILE]).expect("a name");
    drop(vault);
    // Above what is listed stand headers, and beneath a switch it is said how the nodes stand.
    for (list, has, lines) in [("key", true, 2), ("switch", true, 3), ("account", false, 2), ("vm", false, 1)] {
        let said = says(&data.at(&[list, "list"]));
        assert_eq!(harmless(&said).contains("\\u{1b}[2J"), has, "{list}: {said}");
        assert_eq!(said.lines().count(), lines, "{list}: {said}");
    }
    harmless(&says(&data.at(&["switch", "release", &id(&engaged), "--break-glass", "--reason", HOSTILE])));
    for args in [
        &["vm", "import", "--account", &data.account, "--provider", HOSTILE, "--machine", HOSTILE][..],
        &["vm", "machines", "--provider", HOSTILE],
        &["account", "create", "--name", HOSTILE, "--email", "a@example.com"],
        &["account", "join", &data.account, "--email", HOSTILE],
    ] {
        let output = command(&data.at(args)).output().expect("running forelog");
        assert!(!output.status.success(), "{args:?}");
        harmless(&text(&output.stderr));
    }
}

#[test]
fn terminal_names_of_rows_and_fields_are_text() {
    let data = Data::new(None);
    let bundle = data.path().join("bundle");
    data.answer(&["export", "--out", shown(&bundle)]);
    let lines = bundle.join("events.jsonl");
    let honest = std::fs::read_to_string(&lines).expect("the lines");
    let field = serde_json::to_string(HOSTILE).expect("JSON");
    std::fs::write(&lines, honest.replacen('{', &format!("{{{field}:1,"), 1)).expect("a forgery");
    let output = command(&["export", "--check", shown(&bundle)]).output().expect("running forelog");
    assert!(!output.status.success());
    assert!(harmless(&text(&output.stderr)).contains("\\u{1b}[2J"), "{}", text(&output.stderr));

    let log = rusqlite::Connection::open(data.path().join("log.db")).expect("the log");
    let put = "insert into state (name, control, position, doc) values (?1, 1, 1, x'7b7d')";
    log.execute(put, [format!("vm:{HOSTILE}")]).expect("a row");
    drop(log);
    let output = command(&data.at(&["doctor"])).output().expect("running forelog");
    assert!(!output.status.success());
    harmless(&text(&output.stderr));
}

const ASKS: &str = r#"@id("own") permit (principal, action, resource) when { principal.side == "customer" && resource in principal.account };
@id("ask") @hold("it interrupts") permit (principal, action == Forelog::Action::"vm_power", resource) when { resource in principal.account };
@id("staff") permit (principal, action, resource) when { principal.side == "staff" };
"#;

const CASES: &str = "[[case]]\nname = \"get\"\nside = \"customer\"\nscopes = [\"vms:read\"]\ntool = \"vm_get\"\n\
                     vm = { owner = \"caller\" }\nexpect = \"permit\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn terminal_what_is_approved_is_shown_with_who_asked_for_it() {
    let dir = dir();
    let policies = dir.path().join("policies");
    std::fs::create_dir(&policies).expect("a directory");
    std::fs::write(policies.join("default.cedar"), ASKS).expect("policies");
    std::fs::write(policies.join("cases.toml"), CASES).expect("cases");
    let server = Server::start(&["demo", "--data", shown(dir.path())], &dir.path().join("server.log")).await;
    let (agent, vm) = (server.says("/customer/api_key"), server.says("/vms/0/id"));
    let held = server.call(&agent, "vm_power", json!({ "vm_id": vm, "action": "reboot", "confirm": true }));
    let owner = Browser::at(&server.says("/base_url"));
    owner.sign_in(&server.says("/customer/email"), &server.says("/customer/password")).await;
    let page = owner.submit("/console/keys", &[("label", "answers"), ("days", "1"), ("scope", "approvals:decide")]).await.text;
    let boss = format!("flk_live_{}", between(&page, "flk_live_", "<").split(['"', ' ', '\n']).next().expect("a key"));
    let at = ["--data", shown(dir.path())];
    let runs = |args: &[&str]| {
        let output = command(&[args, &at[..]].concat()).env("FORELOG_API_KEY", &boss).output().expect("running forelog");
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    let answering = async {
        let call = loop {
            let listed: serde_json::Value = serde_json::from_str(&runs(&["approval", "list", "--json"])).expect("JSON");
            if let Some(call) = listed["items"][0]["id"].as_str() {
                break call.to_owned();
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        };
        let (listed, one) = (runs(&["approval", "list"]), runs(&["approval", "show", &call]));
        let approved = runs(&["approval", "approve", &call, "--reason", "agreed"]);
        for said in [&listed, &one, &approved] {
            for told in ["action: reboot", vm.as_str(), "vm_power", "asked for by usr_", "with key_", "it interrupts"] {
                assert!(said.contains(told), "no {told}: {said}");
            }
        }
        assert!(approved.contains(&format!("{call} is approved")), "{approved}");
        let output = command(&[&["approval", "show", &call], &at[..]].concat()).env("FORELOG_API_KEY", &boss).output();
        assert!(text(&output.expect("it ran").stderr).contains("waits for a person"), "it waits no more");
    };
    let (ended, ()) = tokio::join!(held, answering);
    assert!(ended["error"].is_null() || ended["error"]["code"] == "approval_required", "{ended}");
    server.stop().await;
    assert_eq!(answer(&[&["doctor"], &at[..]].concat())["ok"], true);
}
