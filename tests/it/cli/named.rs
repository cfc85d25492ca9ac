//! Names on the command line: a label, a name or an e-mail address stands for an id if only one thing has it; and lists that show both.

use forelog::core::scope::Scope;
use serde_json::Value;

use super::{command, complaint, dir, shown, text};
use crate::local_admin::{Data, id};

const ENGAGE: [&str; 2] = ["--reason", "a test"];

fn said(data: &Data, args: &[&str]) -> String {
    let output = command(&data.at(args)).output().expect("running forelog");
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn cli_names_stand_for_ids_where_one_thing_has_them() {
    let data = Data::new(None);
    let vm = id(&data.answer(&["vm", "import", "--account", "Example Ltd", "--provider", "sim", "--machine", "web-1"]));
    let made = data.answer(&["key", "create", "--account", "ops@example.com", "--label", "laptop", "--vm", "web-1"]);
    let listed = data.answer(&["key", "list", "--account", "Example Ltd"]);
    assert_eq!(listed["items"][0]["vms"][0], Value::from(vm.as_str()), "{listed}");
    assert_eq!(listed["items"][0]["account"], Value::from(data.account.as_str()));
    let engaged = data.answer(&[&["switch", "engage", "vm:web-1/exec"], &ENGAGE[..]].concat());
    assert_eq!(engaged["target"], format!("vm:{vm}/exec"));
    let engaged = data.answer(&[&["switch", "engage", "credential:laptop"], &ENGAGE[..]].concat());
    assert_eq!(engaged["target"], format!("credential:{}", id(&made)));
    let engaged = data.answer(&[&["switch", "engage", "account:Example Ltd"], &ENGAGE[..]].concat());
    assert_eq!(engaged["target"], format!("account:{}", data.account));
    data.answer(&["account", "set", "Example Ltd", "--agents-may-enable-exec", "true"]);
    let out = data.path().join("bundle");
    data.answer(&["export", "--out", shown(&out), "--vm", "web-1"]);
    let rotated = data.answer(&["key", "rotate", "laptop"]);
    // Two secrets have the label now.
    let said = data.complaint(&["key", "revoke", "laptop"]);
    assert!(said.contains(&id(&made)) && said.contains(&id(&rotated)) && said.contains("give the id"), "{said}");
    data.answer(&["key", "revoke", &id(&made)]);
    assert_eq!(data.answer(&["key", "revoke", "laptop"])["id"], rotated["id"]);
}

#[test]
fn cli_a_name_of_nothing_or_of_several_is_refused_with_what_to_do() {
    let data = Data::new(None);
    data.answer(&["account", "create", "--name", "Example Ltd", "--email", "other@example.com"]);
    let said = data.complaint(&["key", "create", "--account", "Example Ltd", "--label", "x"]);
    assert!(said.contains(&data.account) && said.matches("acc_").count() == 2 && said.contains("give the id"), "{said}");
    // Its fifth letter is Cyrillic: who reads it takes it for another one's.
    let alike = data.answer(&["account", "create", "--name", "Nort\u{4bb} Ltd", "--email", "alike@example.com"]);
    let said = data.complaint(&["key", "create", "--account", "North Ltd", "--label", "x"]);
    assert!(said.contains("there is no account"), "it is another name: {said}");
    data.answer(&["account", "create", "--name", "North Ltd", "--email", "north@example.com"]);
    let said = data.complaint(&["key", "create", "--account", "North Ltd", "--label", "x"]);
    assert!(said.contains(alike["id"].as_str().expect("an id")) && said.contains("give the id"), "{said}");
    let said = data.complaint(&["key", "create", "--account", "Nobody", "--label", "x"]);
    assert!(said.contains("there is no account \"Nobody\"") && said.contains("forelog account list"), "{said}");
    let said = data.complaint(&[&["switch", "engage", "vm:web-9"], &ENGAGE[..]].concat());
    assert!(said.contains("there is no VM \"web-9\""), "{said}");
    assert_eq!(data.answer(&["switch", "list"])["items"], Value::Array(Vec::new()));
    let said = data.complaint(&["key", "create", "--account", "other@example.com", "--label", "x", "--vm", "web-1"]);
    assert!(said.contains("there is no VM"), "{said}");
}

#[test]
fn cli_a_dead_key_does_not_hand_its_label_to_another_accounts_key() {
    let data = Data::new(None);
    let other = id(&data.answer(&["account", "create", "--name", "Other Ltd", "--email", "other@example.com"]));
    let own = id(&data.answer(&["key", "create", "--account", &data.account, "--label", "laptop"]));
    let strange = id(&data.answer(&["key", "create", "--account", &other, "--label", "laptop"]));
    data.answer(&["key", "revoke", &own]);
    for args in [
        &["key", "revoke", "laptop"][..],
        &["key", "rotate", "laptop"],
        &["switch", "engage", "credential:laptop", "--reason", "x"],
    ] {
        let said = data.complaint(args);
        assert!(said.contains(&own) && said.contains(&strange), "{said}");
        assert!(said.contains("Other Ltd") && said.contains("ended") && said.contains("live"), "{said}");
    }
    let listed = data.answer(&["key", "list", "--account", "Other Ltd"]);
    assert_eq!(listed["items"][0]["alive"], true, "{listed}");
    data.answer(&["key", "create", "--account", &other, "--label", "phone"]);
    let engaged = said(&data, &["switch", "engage", "credential:phone", "--reason", "x"]);
    assert!(engaged.contains(&other) && engaged.contains("Other Ltd"), "{engaged}");
    let revoked = said(&data, &["key", "revoke", "phone"]);
    assert!(revoked.contains(&other) && revoked.contains("Other Ltd"), "{revoked}");
}

#[test]
fn cli_an_address_names_the_account_of_who_proved_it() {
    let data = Data::new(None);
    let made = id(&data.answer(&["key", "create", "--account", "ops@example.com", "--label", "x"]));
    let listed = data.answer(&["key", "list", "--account", &data.account]);
    assert_eq!(listed["items"][0]["id"], Value::from(made), "{listed}");
}

#[test]
fn cli_a_new_system_is_named_as_one() {
    let empty = dir();
    let create = ["account", "create", "--name", "Other Ltd", "--email", "other@example.com", "--data", shown(empty.path())];
    let new = command(&create).output().expect("running forelog");
    assert!(text(&new.stdout).starts_with("made a new Forelog in "), "{new:?}");
}

#[test]
fn cli_a_release_says_how_many_persons_the_target_takes() {
    let data = Data::new(None);
    for (target, by) in [("all", "two persons"), (&*format!("account:{}", data.account), "one person")] {
        let switch = id(&data.answer(&["switch", "engage", target, "--reason", "x"]));
        let said = data.complaint(&["switch", "release", &switch, "--reason", "x"]);
        assert!(said.contains(by) && said.contains("--break-glass"), "{said}");
    }
}

#[test]
fn cli_a_key_has_small_rights_unless_somebody_chooses() {
    let data = Data::new(None);
    let made = data.answer(&["key", "create", "--account", &data.account, "--label", "agent"]);
    let scopes: Vec<&str> = made["scopes"].as_array().expect("scopes").iter().filter_map(Value::as_str).collect();
    assert_eq!(scopes, Scope::AGENT.map(Scope::as_str));
    let help = text(&command(&["key", "create", "--help"]).output().expect("running forelog").stdout);
    assert!(scopes.iter().all(|scope| help.contains(scope)), "{help}");
    let staff = id(&data.answer(&["account", "create", "--name", "Staff", "--email", "s@example.com", "--staff"]));
    let made = data.answer(&["key", "create", "--account", &staff, "--label", "staff"]);
    assert!(made["scopes"].as_array().expect("scopes").iter().all(|scope| scope.as_str().expect("text").starts_with("staff:")));
    let said = data.complaint(&["key", "create", "--account", &staff, "--label", "x", "--expires-days", "0"]);
    assert!(said.contains("1..=3650"), "{said}");
    let said = data.complaint(&["key", "create", "--account", &staff, "--label", "x", "--scope", "vms:raed"]);
    assert!(said.contains("Did you mean vms:read?") && said.contains("vms:power") && said.contains("keys:write"), "{said}");
}

#[test]
fn cli_lists_have_headers_and_columns_below_them() {
    let data = Data::new(None);
    assert_eq!(said(&data, &["key", "list"]), "no keys\n");
    data.answer(&["vm", "import", "--account", &data.account, "--provider", "sim", "--machine", "web-1"]);
    for label in ["a", "a longer label"] {
        data.answer(&["key", "create", "--account", &data.account, "--label", label]);
    }
    data.answer(&[&["switch", "engage", "all"], &ENGAGE[..]].concat());
    for (args, headers) in [
        (&["key", "list"][..], &["KEY", "ACCOUNT", "LABEL", "STATE"][..]),
        (&["vm", "list"], &["VM", "LABEL", "ACCOUNT", "MACHINE"]),
        (&["vm", "machines", "--provider", "sim"], &["MACHINE", "LABEL", "OS"]),
        (&["account", "list"], &["ACCOUNT", "SIDE", "NAME", "PEOPLE"]),
        (&["switch", "list"], &["SWITCH", "TARGET", "SINCE", "REASON"]),
    ] {
        let listed = said(&data, args);
        let (first, rest) = listed.split_once('\n').expect("rows");
        let row: Vec<char> = rest.lines().next().expect("a row").chars().collect();
        for header in headers {
            // Headers are of one byte a letter.
            let at = first.find(header).unwrap_or_else(|| panic!("{args:?} has no {header}: {listed}"));
            assert!(row[at] != ' ' && (at == 0 || row[at - 1] == ' '), "{header}: {listed}");
        }
    }
}

#[test]
fn cli_help_names_what_is_required_and_own_options_first() {
    let help = |args: &[&str]| text(&command(&[args, &["--help"]].concat()).output().expect("running forelog").stdout);
    let create = help(&["key", "create"]);
    let (own, global) = (create.find("--label").expect("own"), create.find("Global options").expect("global ones"));
    assert!(own < global && global < create.find("--data").expect("a global one"), "{create}");
    for args in [&["key", "create"][..], &["switch", "engage"], &["vm", "import"], &["call", "vm_power"]] {
        assert!(help(args).contains("[required]"), "{args:?}");
    }
    let power = help(&["call", "vm_power"]);
    let reads = |flag: &str| {
        power.split(flag).nth(1).expect("the flag").split("      --").next().expect("its text").contains("[required]")
    };
    assert!(reads("--action") && reads("--vm_id") && !reads("--confirm"), "{power}");
}

#[test]
fn cli_a_slip_is_answered_with_the_nearest() {
    let data = dir();
    for (args, near) in [
        (&["call", "vm_power", "--vm_id", "web-1", "--action", "restart"][..], "'start'"),
        (&["call", "vm_powr"], "'vm_power'"),
        (&["swich", "list"], "'switch'"),
        (&["key", "creat"], "'create'"),
        (&["key", "list", "--acount", "x"], "'--account'"),
    ] {
        let said = complaint(&[args, &["--data", shown(data.path())]].concat());
        assert!(said.contains("tip:") && said.contains(near), "{args:?}: {said}");
    }
}
