//! What is shipped around the binary: the service file, what it tells systemd, the health check of the container, and what is
//! judged of what is in it.

use std::process::{Command, Output};
use std::time::Duration;

use tokio::net::UnixDatagram;

use crate::demo::Demo;
use crate::tools;

const UNIT: &str = include_str!("../../packaging/forelog.service");
const CONTAINERFILE: &str = include_str!("../../packaging/Containerfile");
const BINARY: &str = env!("CARGO_BIN_EXE_forelog");
const TIMEOUT: Duration = Duration::from_secs(30);

fn systemd_analyze(args: &[&str]) -> Output {
    Command::new("systemd-analyze").args(args).output().expect("run systemd-analyze; scripts/test-setup.sh installs it")
}

#[test]
fn packaging_the_service_is_valid_and_confined() {
    let dir = tempfile::tempdir().expect("a directory");
    let unit = dir.path().join("forelog.service");
    // What is not installed where the package puts it cannot be found there.
    std::fs::write(&unit, UNIT.replace("/usr/bin/forelog", BINARY)).expect("write the unit");
    let unit = unit.to_str().expect("a path");
    let verified = systemd_analyze(&["verify", "--man=no", unit]);
    let said = String::from_utf8_lossy(&verified.stderr);
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("forelog.service")).collect();
    assert!(verified.status.success() && ours.is_empty(), "{said}");
    // In tenths: 2.0 is what systemd calls OK, and below 1.5 is left only what a server on the network needs.
    let judged = systemd_analyze(&["security", "--offline=true", "--threshold=15", "--no-pager", unit]);
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stdout));
}

#[tokio::test]
async fn packaging_the_server_tells_systemd_when_it_is_ready_and_when_it_stops() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = UnixDatagram::bind(dir.path().join("notify")).expect("a socket");
    let mut server = tokio::process::Command::new(BINARY)
        .args(["serve", "--create", "--listen", "127.0.0.1:0", "--data"])
        .arg(dir.path().join("data"))
        .env("NOTIFY_SOCKET", dir.path().join("notify"))
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("start forelog");
    assert_eq!(received(&socket).await, "READY=1\n");
    let id = server.id().expect("it runs").to_string();
    assert!(Command::new("kill").args(["-s", "HUP", &id]).status().expect("run kill").success());
    assert!(Command::new("kill").arg(&id).status().expect("run kill").success());
    assert_eq!(received(&socket).await, "STOPPING=1\n", "a reload stops nothing, and without a certificate does nothing");
    let ended = tokio::time::timeout(TIMEOUT, server.wait()).await.expect("it ends").expect("its status");
    assert!(ended.success(), "{ended}");
}

async fn received(socket: &UnixDatagram) -> String {
    let mut message = [0; 256];
    let length = tokio::time::timeout(TIMEOUT, socket.recv(&mut message)).await.expect("a message").expect("a message");
    String::from_utf8_lossy(message.get(..length).expect("what came")).into_owned()
}

fn health(demo: &Demo, variables: &[(&str, &str)]) -> Output {
    let (_, address) = demo.text("/base_url").split_once("://").expect("a URL");
    let mut command = Command::new(BINARY);
    command.args(["health", "--listen", address, "--data"]).arg(demo.data()).envs(variables.iter().copied());
    command.output().expect("run forelog")
}

#[tokio::test]
async fn packaging_health_says_whether_calls_can_be_recorded() {
    let mut demo = Demo::start().await;
    let well = health(&demo, &[]);
    assert!(well.status.success(), "{well:?}");
    demo.kill();
    let gone = health(&demo, &[]);
    assert!(!gone.status.success() && String::from_utf8_lossy(&gone.stderr).contains("no server listens at"), "{gone:?}");
}

#[tokio::test]
async fn packaging_health_over_tls_believes_the_configured_certificate_alone() {
    let (ours, other) = (crate::tls::Pair::new(), crate::tls::Pair::new());
    let demo = ours.demo().await;
    for (pair, expected) in [(&ours, true), (&other, false)] {
        let (chain, key) = (pair.chain(), pair.key());
        let named =
            [("FORELOG_TLS__CERTIFICATE", chain.to_str().expect("text")), ("FORELOG_TLS__KEY", key.to_str().expect("text"))];
        let asked = health(&demo, &named);
        assert_eq!(asked.status.success(), expected, "{asked:?}");
    }
}

#[test]
fn packaging_the_container_is_not_root_and_checks_itself_with_what_is_in_it() {
    let last = CONTAINERFILE.rsplit("FROM ").next().expect("a stage");
    let line = |word: &str| last.lines().find(|line| line.starts_with(word)).unwrap_or_else(|| panic!("no {word}"));
    let user: u32 = line("USER ").split([' ', ':']).nth(1).and_then(|user| user.parse().ok()).expect("a number");
    assert!(user > 0 && line("COPY --from=build --chown=").contains(&format!("--chown={user}:")));
    let check = line("HEALTHCHECK ").split_once("CMD ").expect("a command").1;
    let check: Vec<String> = serde_json::from_str(check).expect("no shell: there is none");
    let arguments = check.iter().skip(1).take_while(|word| !word.starts_with("--"));
    assert!(Command::new(BINARY).args(arguments).arg("--help").output().expect("run forelog").status.success());
    assert!(last.contains("ENTRYPOINT [\"/usr/bin/forelog\"]") && last.contains("COPY --from=build /forelog /usr/bin/forelog"));
}

/// Judges the dependencies with an advisory database of one advisory against `serde`, or without any that can be had.
fn judge(variables: &[(&str, &str)], advisory: Option<&str>) -> Output {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/dependencies.sh"));
    command.env("FORELOG_AUDIT_TOOLS", tools::find("FORELOG_AUDIT_TOOLS")).env("FORELOG_TEST_TOOLS", dir.path());
    // Nothing is fetched by a test: where the database is, is nowhere.
    command.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "url./nowhere/.insteadOf").env("GIT_CONFIG_VALUE_0", "https://");
    if let Some(patched) = advisory {
        let of_serde = dir.path().join("database/crates/serde");
        std::fs::create_dir_all(&of_serde).expect("a directory");
        let facts = format!(
            "id = \"RUSTSEC-2026-9999\"\npackage = \"serde\"\ndate = \"2026-01-01\"\n[versions]\npatched = [\"{patched}\"]"
        );
        let text = format!("```toml\n[advisory]\n{facts}\n```\n\n# Made up\n\nFor a test.\n");
        std::fs::write(of_serde.join("RUSTSEC-2026-9999.md"), text).expect("an advisory");
        command.env("FORELOG_ADVISORY_DB", dir.path().join("database"));
    }
    command.envs(variables.iter().copied()).output().expect("run scripts/dependencies.sh")
}

#[test]
fn packaging_what_is_known_against_a_dependency_fails_the_check() {
    let (clean, found) = (judge(&[], Some(">= 1.0.0")), judge(&[], Some(">= 99.0.0")));
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(clean.status.success() && said(&clean).contains("advisories are in order"), "{}", said(&clean));
    assert!(!found.status.success() && said(&found).contains("RUSTSEC-2026-9999"), "{}", said(&found));
}

#[test]
fn packaging_that_advisories_were_not_checked_is_said() {
    let (missing, required) = (judge(&[], None), judge(&[("FORELOG_ADVISORIES", "required")], None));
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(missing.status.success() && said(&missing).contains("ADVISORIES WERE NOT CHECKED"), "{}", said(&missing));
    assert!(!said(&missing).contains("advisories are in order"), "{}", said(&missing));
    assert!(!required.status.success() && said(&required).contains("is required"), "{}", said(&required));
    let nothing = judge(&[("FORELOG_ADVISORY_DB", "/nowhere")], None);
    assert!(!nothing.status.success() && said(&nothing).contains("no advisory database"), "{}", said(&nothing));
}
