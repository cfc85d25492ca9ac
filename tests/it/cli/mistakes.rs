//! Mistakes on the command line: what was meant is named, nothing half-done is left, and with `--json` an error is a document too.

use serde_json::Value;

use super::{answer, command, complaint, dir, shown, text};
use crate::demo::Demo;

#[tokio::test]
async fn cli_a_mistake_is_answered_with_what_to_write_and_leaves_nothing() {
    let demo = Demo::start().await;
    let (data, dir) = (shown(demo.data()), dir());
    let bundle = dir.path().join("bundle");
    let export = ["export", "--out", shown(&bundle)];
    let cases: [(&[&str], &str); 13] = [
        (&["switch", "engage", "vm:", "--reason", "x"], "such as vm:web-1"),
        (&["switch", "engage", "vm:web-2", "--reason", "x"], "there is no VM \"web-2\""),
        (&["switch", "engage", "vm:web-2", "--reason", "x"], "Did you mean \"web-1\"?"),
        (&["switch", "engage", "vm:web-1/exce", "--reason", "x"], "Did you mean vm:web-1/exec?"),
        (&["key", "list", "--account", "Exampel Ltd"], "Did you mean \"Example Ltd\"?"),
        (&["key", "revoke", "dmeo"], "Did you mean \"demo\"?"),
        (&["key", "create", "--account", "Example Ltd", "--label", "x", "--scope", "staff:switch"], "Leave these scopes out"),
        (&["vm", "machines", "--provider", "sims"], "Did you mean sim?"),
        (&["vm", "machines", "--provider", "qemu"], "set [providers.qemu]"),
        (&[export[0], export[1], export[2], "--tool", "vm_pwer"], "Did you mean vm_power?"),
        (&[export[0], export[1], export[2], "--from", "2027", "--to", "2026"], "--to is not after --from"),
        (&[export[0], export[1], export[2], "--from-position", "9", "--to-position", "5"], "is before --from-position"),
        (&["export", "--check", shown(dir.path())], "manifest.json"),
    ];
    for (args, told) in cases {
        let said = complaint(&[args, &["--data", data]].concat());
        assert!(said.contains(told), "{args:?}: {said}");
    }
    assert!(!bundle.exists(), "a refused export left a directory");
    assert_eq!(answer(&["switch", "list", "--data", data])["items"].as_array().map(Vec::len), Some(0));

    let exported = command(&[&export[..], &["--data", data]].concat()).output().expect("running forelog");
    let lines = text(&exported.stdout);
    assert!(lines.lines().nth(1).is_some_and(|line| line.starts_with("manifest  ")), "{lines}");
}

#[test]
fn cli_an_account_that_cannot_be_makes_no_data() {
    let dir = dir();
    let data = dir.path().join("data");
    for (name, email, told) in [("A", "nomail", "not an e-mail address"), ("", "a@example.com", "a name has")] {
        let said = complaint(&["account", "create", "--name", name, "--email", email, "--data", shown(&data)]);
        assert!(said.contains(told), "{said}");
        assert!(!data.exists(), "a refused account made data");
    }
}

#[tokio::test]
async fn cli_a_second_server_is_told_of_the_first_and_not_of_the_port() {
    let demo = Demo::start().await;
    let address = demo.text("/base_url").trim_start_matches("http://").to_owned();
    let said = complaint(&["serve", "--data", shown(demo.data()), "--listen", &address]);
    assert!(said.contains("is held by"), "{said}");
    let elsewhere = dir();
    let said = complaint(&["serve", "--create", "--data", shown(elsewhere.path()), "--listen", &address]);
    assert!(said.contains("Address already in use"), "{said}");
}

#[tokio::test]
async fn cli_an_error_is_one_document_with_json() {
    let demo = Demo::start().await;
    let ask = |args: &[&str]| {
        let asked = [args, &["--data", shown(demo.data()), "--json"]].concat();
        let output = command(&asked).env("FORELOG_API_KEY", demo.customer_key()).output().expect("running forelog");
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(text(&output.stderr).contains("error: "), "{args:?}: people read it too");
        let document: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
        document["error"].clone()
    };
    let refused = ask(&["call", "vm_get", "--vm_id", "web-9"]);
    assert_eq!(refused["code"], "vm_not_found");
    assert!(refused["call_id"].as_str().is_some_and(|id| id.starts_with("call_")), "{refused}");
    assert!(refused["hint"].as_str().is_some_and(|hint| !hint.contains("on record")), "{refused}");
    let absent = ask(&["key", "revoke", "nobody"]);
    assert!(absent["message"].as_str().is_some_and(|text| text.contains("there is no key")), "{absent}");
    let forbidden = ask(&["approval", "approve", "call_01ARZ3NDEKTSV4RRFFQ69G5FAV"]);
    assert_eq!(forbidden["code"], "forbidden_scope", "{forbidden}");
    assert!(forbidden["call_id"].is_string(), "an answer is on record like any call: {forbidden}");

    let url = command(&["call", "--url", "127.0.0.1:1", "vm_list"]).env("FORELOG_API_KEY", demo.customer_key()).output();
    let said = text(&url.expect("running forelog").stderr);
    assert!(said.starts_with("error: --url: it does not begin with https://"), "{said}");
}
