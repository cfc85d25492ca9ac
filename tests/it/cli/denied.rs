//! What this user may not read is told as that, with the command of who may.
//!
//! INVARIANT: the commands run as a user without rights: as nobody, if the tests run as root.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::{answer, dir, shown, text};

/// The number of the user `nobody`.
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    let about = std::fs::metadata("/proc/self").expect("this process");
    std::os::unix::fs::MetadataExt::uid(&about) == 0
}

/// What a command says to somebody who may not read the data.
fn denied(args: &[&str], binary: &Path) -> String {
    let mut command = Command::new(binary);
    command.args(args).env("FORELOG_API_KEY", "flk_live_none").current_dir("/");
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().expect("running forelog");
    assert!(!output.status.success(), "{args:?}: {}", text(&output.stdout));
    text(&output.stderr)
}

#[test]
fn cli_data_of_another_user_is_told_with_the_command_to_type() {
    let dir = dir();
    // Where anybody may run it.
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("open");
    let binary = dir.path().join("forelog");
    std::fs::copy(env!("CARGO_BIN_EXE_forelog"), &binary).expect("a copy");
    let data = dir.path().join("data");
    let at = ["--data", shown(&data)];
    answer(&[&["account", "create", "--name", "Example", "--email", "a@example.com"], &at[..]].concat());
    let mode = if is_root() { 0o700 } else { 0o000 };
    let close = |mode| std::fs::set_permissions(&data, std::fs::Permissions::from_mode(mode)).expect("closed");
    close(mode);
    let out = dir.path().join("out");
    for args in [
        &["account", "list"][..],
        &["account", "create", "--name", "b", "--email", "b@example.com"],
        &["key", "list"],
        &["switch", "engage", "all", "--reason", "x"],
        &["switch", "list"],
        &["doctor"],
        &["log", "verify"],
        &["serve", "--listen", "127.0.0.1:0"],
        &["serve", "--create", "--listen", "127.0.0.1:0"],
        &["demo", "--listen", "127.0.0.1:0"],
        &["stdio"],
        &["migrate"],
        &["view", "rebuild"],
        &["health"],
        &["export", "--out", shown(&out)],
    ] {
        let said = denied(&[args, &at[..]].concat(), &binary);
        assert!(said.contains(&format!("Permission denied: {} belongs to", data.display())), "{args:?}: {said}");
        assert!(!said.contains("no Forelog data"), "{args:?}: {said}");
        let way = if is_root() { format!("sudo {} {}", binary.display(), args[0]) } else { "chmod u+rwX".to_owned() };
        assert!(said.contains(&way), "{args:?}: {said}");
    }
    close(0o755);
    if !is_root() {
        std::fs::set_permissions(data.join("log.db"), std::fs::Permissions::from_mode(0o000)).expect("closed");
    }
    // The directory is open, and what is in it is not.
    let said = denied(&[&["key", "list"], &at[..]].concat(), &binary);
    assert!(said.contains("Permission denied:") && said.contains("log.db"), "{said}");
    let config = dir.path().join("own.toml");
    std::fs::write(&config, "lease_ms = 1500\n").expect("a configuration");
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(if is_root() { 0o600 } else { 0o000 })).expect("closed");
    let said = denied(&["key", "list", "--config", shown(&config)], &binary);
    assert!(said.contains(&format!("Permission denied: {}", config.display())), "{said}");
}

#[test]
fn cli_root_is_sent_to_the_service_user_but_may_stop() {
    if !is_root() {
        eprintln!("only root gives files away: not run");
        return;
    }
    let dir = dir();
    let data = dir.path().join("data");
    let at = ["--data", shown(&data)];
    answer(&[&["account", "create", "--name", "Example", "--email", "a@example.com"], &at[..]].concat());
    let give = |path: &Path| std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).expect("given away");
    give(&data);
    std::fs::read_dir(&data).expect("the data").for_each(|file| give(&file.expect("a file").path()));
    for args in [&["account", "create", "--name", "b", "--email", "b@example.com"][..], &["log", "verify"], &["serve"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_forelog")).args(args).args(at).output().expect("running forelog");
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains("sudo -u nobody"), "{args:?}: {said}");
    }
    let stopped = answer(&[&["switch", "engage", "all", "--reason", "an incident"], &at[..]].concat());
    assert!(stopped["id"].is_string(), "{stopped}");
}

#[test]
fn cli_doctor_finds_no_fault_in_a_port_that_the_service_alone_may_take() {
    let dir = dir();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("open");
    let (binary, data) = (dir.path().join("forelog"), dir.path().join("data"));
    std::fs::copy(env!("CARGO_BIN_EXE_forelog"), &binary).expect("a copy");
    std::fs::create_dir(&data).expect("a directory");
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).expect("closed");
    let run = |args: &[&str]| {
        let mut command = Command::new(&binary);
        command.args(args).args(["--data", shown(&data)]).env("FORELOG_LISTEN", "127.0.0.1:443").current_dir("/");
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.output().expect("running forelog")
    };
    if is_root() {
        std::os::unix::fs::chown(&data, Some(NOBODY), Some(NOBODY)).expect("nobody's");
    }
    let made = run(&["account", "create", "--name", "Staff", "--email", "a@example.com", "--staff"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let looked = run(&["doctor"]);
    assert!(looked.status.success(), "{}", text(&looked.stderr));
}
