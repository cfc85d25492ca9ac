//! What is done on the data without a server: keys that are kept, exports, and who did what.

use forelog::log::dialect::Room;
use forelog::log::sqlite::open_sqlite;
use serde_json::{Value, json};

use super::{answer, complaint, dir, shown};

#[test]
fn cli_the_key_file_is_private_and_never_made_anew() {
    use std::os::unix::fs::PermissionsExt;
    let dir = dir();
    let data = dir.path().join("data");
    let at = ["--data", shown(&data)];
    answer(&[&["account", "create", "--name", "Example", "--email", "a@example.com"], &at[..]].concat());
    for file in ["kek", "log.db", "vault.db"] {
        let mode = std::fs::metadata(data.join(file)).expect(file).permissions().mode();
        assert_eq!(mode & 0o077, 0, "others may read {file}");
    }
    let (kek, aside) = (data.join("kek"), data.join("aside"));
    std::fs::rename(&kek, &aside).expect("moved");
    assert!(complaint(&[&["account", "list"], &at[..]].concat()).contains("is missing"));
    assert!(!kek.exists(), "a missing key was made anew over a vault that has keys");
    std::fs::write(&kek, "0".repeat(64)).expect("written");
    assert!(complaint(&[&["account", "list"], &at[..]].concat()).contains("key-encryption key"));
    std::fs::rename(&aside, &kek).expect("moved back");
    assert_eq!(answer(&[&["account", "list"], &at[..]].concat())["items"][0]["name"], "Example");
}

#[tokio::test]
async fn cli_doctor_names_a_control_row_that_was_changed() {
    let dir = dir();
    let at = ["--data", shown(dir.path())];
    answer(&[&["account", "create", "--name", "Example", "--email", "a@example.com"], &at[..]].concat());
    answer(&[&["switch", "engage", "all", "--reason", "test"], &at[..]].concat());
    assert_eq!(answer(&[&["doctor"], &at[..]].concat())["ok"], true);
    assert_eq!(answer(&[&["log", "verify"], &at[..]].concat())["events"], 3);
    let database = open_sqlite(&dir.path().join("log.db"), Room::Log).await.expect("the log room");
    let mut transaction = database.begin().await.expect("a transaction");
    let sql = "update state set doc = replace(cast(doc as text), 'test', 'calm') where name like 'switch:%'";
    transaction
        .execute(&sql.replace("replace(", "cast(replace(").replace("'calm')", "'calm') as blob)"), Vec::new())
        .await
        .expect("an update");
    transaction.commit().await.expect("a commit");
    let said = complaint(&[&["doctor"], &at[..]].concat());
    assert!(said.contains("switch:swi_") && said.contains("control_differs"), "{said}");
}

#[test]
fn cli_an_export_is_checked_offline_and_is_an_event() {
    let dir = dir();
    let (at, out) = (["--data", shown(dir.path())], dir.path().join("bundle"));
    answer(&[&["account", "create", "--name", "Example", "--email", "a@example.com"], &at[..]].concat());
    let events = answer(&[&["log", "verify"], &at[..]].concat())["events"].as_i64().expect("a count");
    let bundle = answer(&[&["export", "--out", shown(&out)], &at[..]].concat());
    assert_eq!(bundle["count"], events + 1, "the export is in the log before it begins");
    assert_eq!(answer(&["export", "--check", shown(&out)])["count"], events + 1);
    let lines = out.join("events.jsonl");
    let text = std::fs::read_to_string(&lines).expect("the lines");
    std::fs::write(&lines, text.replacen("account_created", "account_changed", 1)).expect("a forgery");
    assert!(complaint(&["export", "--check", shown(&out)]).contains("not what its manifest says"));
}

#[test]
fn cli_what_is_done_at_the_machine_says_by_whom_and_what() {
    let dir = dir();
    let at = ["--data", shown(dir.path())];
    let run = |args: &[&str]| answer(&[args, &at[..]].concat());
    let text = |document: &Value, field: &str| document[field].as_str().expect("a text").to_owned();
    std::fs::write(dir.path().join("forelog.toml"), "[providers.sim]\nmachines = [\"web-1\"]\n").expect("a configuration");
    let account = text(&run(&["account", "create", "--name", "Example", "--email", "a@example.com"]), "id");
    let other = text(&run(&["account", "create", "--name", "Other", "--email", "b@example.com"]), "id");
    let vm = text(&run(&["vm", "import", "--account", &account, "--provider", "sim", "--machine", "web-1"]), "id");
    let key = text(&run(&["key", "create", "--account", &account, "--label", "laptop"]), "id");
    run(&["policy", "reload"]);
    let out = |name: &str| dir.path().join(name);
    run(&["export", "--out", shown(&out("key")), "--credential", &key]);
    run(&["export", "--out", shown(&out("vm")), "--vm", &vm, "--plaintext"]);
    // Of nobody, and of two at once, nothing is read.
    for args in [["--account", &other, "--vm", &vm].as_slice(), &["--credential", "cred_00000000000000000000000000"]] {
        let none = out("none");
        let asked = [&["export", "--out", shown(&none)], args, &at[..]].concat();
        assert!(!complaint(&asked).is_empty());
    }
    run(&["export", "--out", shown(&out("all")), "--plaintext"]);
    let lines = std::fs::read_to_string(out("all").join("events.jsonl")).expect("the lines");
    let events: Vec<(Value, Value)> = lines
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).expect("a line");
            (serde_json::from_str(line["leaf"].as_str().expect("a leaf")).expect("a leaf"), line["parts"]["note"].clone())
        })
        .collect();
    let of = |kind: &str| events.iter().filter(|(leaf, _)| leaf["type"] == kind).collect::<Vec<_>>();
    let loaded = of("policy_loaded");
    assert!(loaded.last().expect("a set").1["operator"]["user"].is_string(), "{loaded:?}");
    let reads = of("log_read");
    assert_eq!(reads.len(), 3, "{reads:?}");
    for ((leaf, note), (field, id, plaintext)) in reads.iter().zip([("credential", &key, false), ("vm", &vm, true)]) {
        assert_eq!(leaf["account"], account.as_str(), "whose it is: {leaf}");
        assert_eq!((&note["asked"][field], &note["plaintext"]), (&json!(id), &json!(plaintext)), "{note}");
        assert!(note["operator"]["user"].is_string(), "{note}");
    }
    assert!(reads[2].0["account"].is_null() && reads[2].1["plaintext"] == true, "{reads:?}");
    assert_eq!(run(&["doctor"])["ok"], true);
}

#[test]
fn cli_no_machine_is_made_for_nobody() {
    let dir = dir();
    let at = ["--data", shown(dir.path())];
    answer(&[&["account", "create", "--name", "Example", "--email", "a@example.com"], &at[..]].concat());
    let nobody = "acc_00000000000000000000000001";
    let import = ["vm", "import", "--account", nobody, "--provider", "qemu", "--machine", "db-1", "--create"];
    let said = complaint(&[&import[..], &at[..]].concat());
    assert!(said.contains(&format!("there is no account {nobody}")), "{said}");
}
