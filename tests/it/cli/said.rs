//! What the command line says: examples, and complaints that name what is wrong before anything starts.

use std::path::Path;

use forelog::config::{Config, Flags};

use super::{command, complaint, dir, forelog, shown, text};

#[test]
fn cli_every_command_shows_examples() {
    let commands: &[&[&str]] = &[
        &[],
        &["demo"],
        &["serve"],
        &["stdio"],
        &["account", "create"],
        &["account", "join"],
        &["account", "set"],
        &["account", "list"],
        &["vm", "import"],
        &["vm", "list"],
        &["vm", "machines"],
        &["key", "create"],
        &["key", "list"],
        &["key", "revoke"],
        &["key", "rotate"],
        &["switch", "engage"],
        &["switch", "release"],
        &["switch", "list"],
        &["approval", "list"],
        &["approval", "approve"],
        &["approval", "reject"],
        &["policy", "check"],
        &["policy", "reload"],
        &["view", "rebuild"],
        &["log", "verify"],
        &["export"],
        &["migrate"],
        &["doctor"],
        &["health"],
    ];
    for command in commands {
        let output = forelog(&[command, &["--help"][..]].concat());
        assert!(output.status.success(), "{command:?}");
        assert!(text(&output.stdout).contains("Examples:"), "{command:?} shows no examples");
    }
}

#[test]
fn cli_a_wrong_value_is_named_and_nothing_starts() {
    for (text, key) in [
        ("[limits]\nexec = { admit = 0, window_ms = 1000 }", "limits.exec"),
        ("[limits]\nexec = { admit = 5 }", "limits.exec"),
        ("[limits]\nexec = { admit = \"many\", window_ms = 1 }", "limits.exec.admit"),
        ("[limits]\nexek = { admit = 5, window_ms = 1000 }", "exek"),
        ("listn = \"127.0.0.1:1\"", "listn"),
        ("trusted_proxies = [\"everybody\"]", "trusted_proxies"),
        ("database_url = \"mysql://x\"", "database_url"),
        ("lease_ms = 1", "lease_ms"),
    ] {
        let error = Config::parse(text).expect_err(text).to_string();
        assert!(error.contains(key), "{error} does not name {key}");
    }
    let missing = Config::load(Some(Path::new("does-not-exist.toml")), &Flags::default()).expect_err("a missing file");
    assert!(missing.to_string().contains("does-not-exist.toml"));
}

#[test]
fn cli_the_environment_is_checked_like_the_file() {
    let dir = dir();
    let output = command(&["account", "list", "--data", shown(dir.path())])
        .env("FORELOG_LIMITS__EXEC__ADMIT", "0")
        .env("FORELOG_LIMITS__EXEC__WINDOW_MS", "1000")
        .output()
        .expect("running forelog");
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("limits.exec"), "{}", text(&output.stderr));
}

#[test]
fn cli_bad_paths_and_flags_are_explained() {
    let dir = dir();
    let absent = dir.path().join("absent");
    let said = complaint(&["key", "list", "--data", shown(&absent)]);
    assert!(said.contains("no Forelog data") && said.contains("hint:"), "{said}");
    assert!(!absent.exists(), "looking for data made some");
    let file = dir.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let said = complaint(&["account", "create", "--name", "a", "--email", "a@b", "--data", shown(&file.join("below"))]);
    assert!(said.contains("making the data directory") && said.contains("hint:"), "{said}");
    let said = complaint(&["demo", "--data", shown(&file.join("below")), "--listen", "127.0.0.1:0"]);
    assert!(said.contains("below") && said.contains("hint:"), "{said}");
    assert!(complaint(&["switch", "engage", "everybody", "--reason", "x"]).contains("unknown switch target"));
    assert!(complaint(&["serve", "--config", "nowhere.toml"]).contains("nowhere.toml"));
    assert!(complaint(&["demo", "--listen", "here"]).contains("--listen"));
    assert!(complaint(&["frobnicate"]).contains("frobnicate"));
}

#[test]
fn cli_a_secret_of_digits_is_not_shown() {
    for name in ["FORELOG_API_KEY", "FORELOG_DATABASE_URL", "FORELOG_OIDC__CORP__CLIENT_SECRET"] {
        let dir = dir();
        let output = command(&["doctor", "--data", shown(dir.path())]).env(name, "8812345678901").output().expect("running it");
        assert!(!output.status.success(), "{name}");
        let said = text(&output.stderr);
        assert!(!said.contains("88123"), "{said}");
    }
    let deep = format!("[{}", "[".repeat(5_000));
    let output = command(&["doctor"]).env("FORELOG_ALLOWED_HOSTS", deep).output().expect("running it");
    assert_eq!(output.status.code(), Some(1), "it says so and does not abort: {}", text(&output.stderr));
}

#[test]
fn cli_a_key_file_that_was_cut_is_named_for_what_it_is() {
    let dir = dir();
    std::fs::write(dir.path().join("kek"), "").expect("an empty key file");
    let said = complaint(&["account", "create", "--name", "a", "--email", "a@example.com", "--data", shown(dir.path())]);
    assert!(said.contains("is empty"), "{said}");
}

#[test]
fn cli_a_data_directory_that_cannot_be_written_is_explained() {
    // Even root cannot make anything there.
    let said = complaint(&["account", "create", "--name", "a", "--email", "a@b", "--data", "/proc/forelog"]);
    assert!(said.contains("/proc/forelog") && said.contains("hint:"), "{said}");
}
