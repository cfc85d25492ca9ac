//! Secrets that others could read: a start warns, `doctor` names them with what closes them, and a key file that is another log's is
//! called that.

use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use serde_json::json;

use crate::cli::{Server, command, shown, text};
use crate::local_admin::{Data, on_both};

on_both! {
    a_key_of_another_log_is_called_that, exposed_a_key_of_another_log_is_called_that, postgres_exposed_a_key_of_another_log_is_called_that;
}

fn said(data: &Data, args: &[&str]) -> String {
    let output = command(&data.at(args)).output().expect("running forelog");
    text(&output.stdout) + &text(&output.stderr)
}

fn open(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("its mode");
}

#[expect(clippy::unused_async, reason = "every case is awaited")]
async fn a_key_of_another_log_is_called_that(data: Data) {
    let (kek, aside) = (data.path().join("kek"), data.path().join("aside"));
    std::fs::rename(&kek, &aside).expect("moved");
    std::fs::write(&kek, "5".repeat(64)).expect("another key");
    open(&kek, 0o600);
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    for args in
        [&["doctor"][..], &["policy", "show"], &["account", "list"], &["switch", "engage", "all", "--reason", "x"], &serve]
    {
        let said = said(&data, args);
        assert!(said.contains("is not this log's") && said.contains(shown(&kek)), "{args:?}: {said}");
        assert!(said.contains("put this log's own key back") && !said.contains("`forelog doctor` names"), "{args:?}: {said}");
    }
    let doctor = said(&data, &["doctor"]);
    assert!(doctor.contains("the log is in order: not looked at: the key is not this log's"), "{doctor}");
    std::fs::rename(&aside, &kek).expect("moved back");
    assert_eq!(data.answer(&["account", "list"])["items"].as_array().map(Vec::len), Some(1), "nothing was changed meanwhile");
}

/// The vault alone cannot tell it from a key that is another log's.
#[tokio::test]
async fn exposed_a_vault_whose_keys_were_replaced_is_not_called_a_wrong_key() {
    let data = Data::new(None);
    let file = data.path().join("vault.db");
    let vault = forelog::log::sqlite::open_sqlite(&file, forelog::log::dialect::Room::Vault).await.expect("the vault");
    let mut transaction = vault.begin().await.expect("a transaction");
    transaction.execute("update data_key set wrapped = zeroblob(72)", Vec::new()).await.expect("an update");
    transaction.commit().await.expect("a commit");
    vault.close().await;
    let doctor = said(&data, &["doctor"]);
    assert!(!doctor.contains("is not this log's") && doctor.contains("NOT the vault opens with the key file"), "{doctor}");
    assert!(doctor.contains("ok  a node takes control state from the log"), "{doctor}");
    assert!(said(&data, &["switch", "engage", "all", "--reason", "x"]).contains("swi_"), "stopping goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn exposed_files_with_secrets_are_named_with_what_closes_them() {
    let data = Data::new(None);
    let (kek, config) = (data.path().join("kek"), data.path().join("forelog.toml"));
    let log = data.path().join("serve.log");
    let closed = Server::start(&data.at(&["serve"]), &log).await;
    assert!(closed.document["warnings"].is_null(), "{}", closed.document);
    closed.stop().await;
    let before = std::fs::read_to_string(&config).expect("a configuration");
    std::fs::write(&config, format!("api_key = \"flk_live_0123456789abcdef0123456789abcdef\"\n{before}")).expect("written");
    for (path, mode) in [(&kek, 0o644), (&kek, 0o640), (&config, 0o644)] {
        open(&config, 0o600);
        open(&kek, 0o600);
        open(path, mode);
        let warning = format!("others than its owner may read {}, which holds a secret: chmod 600 {}", shown(path), shown(path));
        let doctor = said(&data, &["doctor"]);
        assert!(doctor.contains("NOT nobody else reads the files with secrets") && doctor.contains(&warning), "{doctor}");
        let server = Server::start(&data.at(&["serve"]), &log).await;
        assert_eq!(server.document["warnings"], json!([format!("WARNING: {warning}")]));
        server.stop().await;
        assert!(std::fs::read_to_string(&log).expect("its log").contains(&warning), "the log has it");
    }
    open(&config, 0o600);
    assert_eq!(data.answer(&["doctor"])["ok"], true);
    std::fs::write(&config, format!("key_file = {:?}\n# api_key = \"flk_live_…\"\n{before}", shown(&kek))).expect("written");
    open(&config, 0o644);
    assert_eq!(data.answer(&["doctor"])["ok"], true, "the name of a file is no secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn exposed_http_in_the_clear_is_warned_of_where_other_machines_reach_it() {
    let data = Data::new(None);
    let clear = "HTTP is served in the clear at 0.0.0.0:";
    let served = |more: &[(&str, &str)]| {
        let output = command(&data.at(&["doctor"])).env("FORELOG_LISTEN", "0.0.0.0:0").envs(more.iter().copied()).output();
        let output = output.expect("running forelog");
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert!(served(&[]).contains(clear), "{}", served(&[]));
    let proxied = [("FORELOG_PUBLIC_URL", "https://mcp.example.com"), ("FORELOG_TRUSTED_PROXIES", "[\"192.0.2.1\"]")];
    assert!(!served(&proxied).contains(clear) && served(&proxied[..1]).contains(clear), "a proxy that is named speaks TLS");
    for args in [data.at(&["serve"]), vec!["demo", "--data", shown(&data.path().join("demo"))]] {
        let line = first_line(&[&args[..], &["--listen", "0.0.0.0:0"]].concat());
        assert!(line.starts_with(&format!("WARNING: {clear}")) && line.contains("Set [tls]"), "{args:?}: {line}");
    }
    assert!(first_line(&data.at(&["serve", "--listen", "127.0.0.1:0"])).starts_with("Forelog serves"));
}

/// The first line that a server answers.
fn first_line(args: &[&str]) -> String {
    let spawned = command(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut process = spawned.expect("starting forelog");
    let (mut line, out) = (String::new(), process.stdout.take());
    let read = out.map(|out| BufReader::new(out).read_line(&mut line));
    process.kill().and_then(|()| process.wait()).expect("it ends");
    assert!(matches!(read, Some(Ok(_))), "{read:?}");
    line
}
