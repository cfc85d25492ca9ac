//! What a data directory keeps: a log and the vault that it was sealed with, and nothing that others can read.
//!
//! Invariant: what a command refuses here it leaves as it was, so that what was lost can be put back.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::cli::{Server, answer, command, complaint, dir, shown, text};
use crate::local_admin::{Data, id};

const SERVE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];

/// Moves the files of a room aside, or back.
fn shift(data: &Path, room: &str, from: &str, to: &str) {
    for end in [".db", ".db-wal", ".db-shm"] {
        let (from, to) = (data.join(format!("{room}{end}{from}")), data.join(format!("{room}{end}{to}")));
        if from.exists() {
            std::fs::rename(from, to).expect("moved");
        } else if to.exists() {
            std::fs::remove_file(to).expect("removed");
        }
    }
}

#[test]
fn lost_a_lost_log_is_not_begun_anew() {
    let data = Data::new(None);
    let account = data.answer(&["account", "list"]);
    shift(data.path(), "log", "", ".aside");
    for args in [&SERVE[..], &["doctor"], &["account", "create", "--name", "b", "--email", "b@example.com"]] {
        // What looks for data before it opens any says that there is none; a second time there is an empty log.
        let said = data.complaint(args);
        assert!(said.contains("log was lost") || said.contains("no Forelog data"), "{args:?}: {said}");
    }
    let said = data.complaint(&SERVE);
    assert!(said.contains("log was lost") && said.contains("hint: put the log back"), "{said}");
    shift(data.path(), "log", ".aside", "");
    assert_eq!(data.answer(&["account", "list"]), account);
    assert_eq!(data.answer(&["doctor"])["ok"], true);
}

#[test]
fn lost_a_lost_vault_is_not_begun_anew() {
    let data = Data::new(None);
    shift(data.path(), "vault", "", ".aside");
    let kek = std::fs::read(data.path().join("kek")).expect("the key file");
    std::fs::remove_file(data.path().join("kek")).expect("removed");
    for args in [&SERVE[..], &["account", "list"]] {
        let said = data.complaint(args);
        assert!(said.contains("vault") && said.contains("hint: put the vault"), "{args:?}: {said}");
    }
    assert!(!data.path().join("kek").exists(), "no key is made for a vault that was lost");
    let other = Data::new(None);
    for file in ["vault.db", "vault.db-wal", "vault.db-shm", "kek"] {
        let (from, to) = (other.path().join(file), data.path().join(file));
        if from.exists() {
            std::fs::copy(from, to).expect("copied");
        } else if to.exists() {
            std::fs::remove_file(to).expect("removed");
        }
    }
    let said = data.complaint(&SERVE);
    assert!(said.contains("another one's") && said.contains("hint: put the vault"), "{said}");
    shift(data.path(), "vault", ".aside", "");
    std::fs::write(data.path().join("kek"), kek).expect("written");
    assert_eq!(data.answer(&["doctor"])["ok"], true);
}

async fn run_in(url: &str, script: &str) {
    let mut connection = PgConnection::connect(url).await.expect("connect to the cluster");
    connection.execute(sqlx::raw_sql(AssertSqlSafe(script.to_owned()))).await.expect(script);
}

#[tokio::test]
async fn postgres_lost_a_lost_log_or_vault_is_not_begun_anew() {
    let url = crate::postgres::fresh_database().await;
    let data = Data::new(Some(&url));
    run_in(&url, "alter schema log rename to aside").await;
    assert!(data.complaint(&SERVE).contains("log was lost"));
    assert!(data.complaint(&["account", "create", "--name", "b", "--email", "b@example.com"]).contains("log was lost"));
    run_in(&url, "drop schema log cascade; alter schema aside rename to log; alter schema vault rename to aside").await;
    let said = data.complaint(&SERVE);
    assert!(said.contains("hint: put the vault"), "{said}");
    run_in(&url, "drop schema vault cascade; alter schema aside rename to vault").await;
    assert_eq!(data.answer(&["account", "list"])["items"].as_array().map(Vec::len), Some(1));
    let other = crate::postgres::fresh_database().await;
    let config = format!("database_url = \"{url}\"\nvault_database_url = \"{other}\"\nkey_file = \"other-kek\"\n");
    let there = dir();
    std::fs::write(there.path().join("forelog.toml"), config.replace("other-kek", shown(&there.path().join("kek"))))
        .expect("a file");
    let at = ["--data", shown(there.path())];
    assert!(complaint(&[&["account", "list"], &at[..]].concat()).contains("hint: put the vault"));
}

/// Two nodes that start at once on nothing are one pair.
#[tokio::test]
async fn postgres_lost_first_starts_at_once_agree() {
    let url = crate::postgres::fresh_database().await;
    let data = dir();
    std::fs::write(data.path().join("forelog.toml"), format!("database_url = \"{url}\"\n")).expect("a file");
    // As on nodes that share one, which is made beforehand.
    std::fs::write(data.path().join("kek"), "5".repeat(64)).expect("a key");
    let started: Vec<_> = (0..4)
        .map(|n| {
            let email = format!("p{n}@example.com");
            command(&["account", "create", "--name", "x", "--email", &email, "--data", shown(data.path())])
                .stderr(std::process::Stdio::piped())
                .spawn()
                .expect("starting forelog")
        })
        .collect();
    for process in started {
        let output = process.wait_with_output().expect("its end");
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let listed = answer(&["account", "list", "--data", shown(data.path())]);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(4));
}

/// Everything below a directory that others may read or enter.
fn open_to_others(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        let about = std::fs::symlink_metadata(&path).expect("its mode");
        if about.permissions().mode() & 0o077 != 0 {
            found.push(path.clone());
        }
        if about.is_dir() {
            found.extend(open_to_others(&path));
        }
    }
    found
}

/// The program under a mask that takes nothing away.
fn careless(args: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "umask 0; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_forelog")]).args(args);
    command
}

#[tokio::test]
async fn lost_nothing_in_a_data_directory_is_for_others() {
    let above = dir();
    let data = above.path().join("data");
    let made = careless(&["demo", "--data", shown(&data), "--listen", "127.0.0.1:0", "--json"])
        .stdout(std::process::Stdio::piped())
        .spawn();
    let mut made = made.expect("starting forelog");
    let mut out = std::io::BufReader::new(made.stdout.take().expect("its standard output"));
    let mut line = String::new();
    while !line.contains("mcp_url") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut out, &mut line).expect("a line") > 0, "it ended");
    }
    let found = open_to_others(&data);
    made.kill().expect("stopped");
    made.wait().expect("its end");
    assert_eq!(found, Vec::<PathBuf>::new(), "while it serves");
    assert_eq!(std::fs::metadata(&data).expect("the directory").permissions().mode() & 0o777, 0o700);

    let out = above.path().join("bundle");
    let exported = careless(&["export", "--out", shown(&out), "--plaintext", "--data", shown(&data)]).output().expect("it ran");
    assert!(exported.status.success(), "{}", text(&exported.stderr));
    assert_eq!(open_to_others(&out), Vec::<PathBuf>::new());
    assert_eq!(std::fs::metadata(&out).expect("the bundle").permissions().mode() & 0o777, 0o700);
}

#[test]
fn lost_a_bundle_is_not_written_over() {
    let data = Data::new(None);
    let out = data.path().join("bundle");
    data.answer(&["export", "--out", shown(&out)]);
    let lines = std::fs::read(out.join("events.jsonl")).expect("the lines");
    let events = data.answer(&["log", "verify"])["events"].clone();
    for missing in [None, Some("manifest.json"), Some("events.jsonl")] {
        let kept = missing.map(|name| std::fs::read(out.join(name)).expect("a file"));
        if let Some(name) = missing {
            std::fs::remove_file(out.join(name)).expect("removed");
        }
        let said = data.complaint(&["export", "--out", shown(&out)]);
        assert!(said.contains("already") && said.contains("hint:"), "{said}");
        if let (Some(name), Some(bytes)) = (missing, kept) {
            std::fs::write(out.join(name), bytes).expect("put back");
        }
    }
    assert_eq!(std::fs::read(out.join("events.jsonl")).expect("the lines"), lines);
    assert_eq!(data.answer(&["log", "verify"])["events"], events, "what is refused is no event");
    let empty = data.path().join("empty");
    std::fs::create_dir(&empty).expect("a directory");
    data.answer(&["export", "--out", shown(&empty)]);
}

#[test]
fn lost_doctor_names_what_others_can_read() {
    let data = Data::new(None);
    let machines = data.path().join("sim");
    std::fs::create_dir(&machines).expect("a directory");
    std::fs::set_permissions(data.path(), std::fs::Permissions::from_mode(0o700)).expect("its mode");
    std::fs::write(machines.join("console.log"), "x").expect("a file");
    let open = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its mode");
    open(&machines.join("console.log"), 0o644);
    open(&machines, 0o755);
    assert_eq!(data.answer(&["doctor"])["ok"], true, "the directory above is closed");
    open(data.path(), 0o755);
    open(&data.path().join("vault.db"), 0o640);
    let said = data.complaint(&["doctor"]);
    assert!(["/sim:", "console.log", "vault.db"].iter().all(|name| said.contains(name)), "{said}");
    assert!(!said.contains("forelog.toml"), "it is the operator's: {said}");
    open(&data.path().join("vault.db"), 0o600);
    open(&machines, 0o700);
    let said = answer(&["doctor", "--data", shown(data.path())]);
    assert_eq!(said["ok"], true);
}

/// A key that ended with what made it is no live key.
#[tokio::test]
async fn lost_keys_that_ended_with_their_maker_make_room() {
    let data = Data::new(None);
    let config = data.path().join("forelog.toml");
    let text = std::fs::read_to_string(&config).expect("the configuration");
    std::fs::write(&config, format!("{text}[quotas]\nkeys = {{ account = 4, key = 4 }}\n")).expect("a configuration");
    let maker = |label: &str| {
        data.answer(&[
            "key",
            "create",
            "--account",
            &data.account,
            "--label",
            label,
            "--scope",
            "keys:write",
            "--scope",
            "vms:read",
        ])
    };
    let (one, two) = (maker("one"), maker("two"));
    let server = Server::start(&data.at(&["serve"]), &data.path().join("serve.log")).await;
    let secret = |key: &serde_json::Value| key["api_key"].as_str().expect("a key").to_owned();
    let wanted = json!({ "label": "child", "scopes": ["vms:read"] });
    for _ in 0..2 {
        assert!(server.call(&secret(&one), "key_create", wanted.clone()).await["id"].is_string());
    }
    assert_eq!(server.call(&secret(&two), "key_create", wanted.clone()).await["error"]["code"], "quota_exceeded");
    data.answer(&["key", "revoke", &id(&one)]);
    for _ in 0..3 {
        let made = server.call(&secret(&two), "key_create", wanted.clone()).await;
        assert!(made["id"].is_string(), "{made}");
    }
    assert_eq!(server.call(&secret(&two), "key_create", wanted).await["error"]["code"], "quota_exceeded");
    server.stop().await;
}
