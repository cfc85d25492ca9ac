//! The recipes of docs/operations.md, done for real: copied while calls come in, restored elsewhere, and looked through by
//! `doctor` and `log verify`; and what a copy that was taken in the wrong order would have been found to lack.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::demo::Demo;
use crate::postgres::{self, Cluster, Roles};
use crate::tools;

const TIMEOUT: Duration = Duration::from_secs(30);

fn script(name: &str) -> Command {
    Command::new(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("packaging/backup").join(name))
}

fn forelog(args: &[&str], data: &Path, database: Option<&str>) -> Output {
    let mut command = crate::cli::command(args);
    command.arg("--data").arg(data);
    if let Some(url) = database {
        command.env("FORELOG_DATABASE_URL", url);
    }
    command.output().expect("run forelog")
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Calls that keep coming until this is dropped.
struct Traffic {
    stop: Arc<AtomicBool>,
    made: Arc<AtomicU64>,
}

impl Traffic {
    fn start(demo: &Demo) -> Self {
        let (stop, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        for caller in 0..2 {
            let url = format!("{}/api/v1/tools/vm_get", demo.text("/base_url"));
            let (key, vm) = (demo.customer_key().to_owned(), demo.text("/vms/0/id").to_owned());
            let (stop, made) = (Arc::clone(&stop), Arc::clone(&made));
            tokio::spawn(async move {
                let client = reqwest::Client::new();
                while !stop.load(Ordering::Relaxed) {
                    let vm = if caller == 0 { vm.as_str() } else { "vm_none" };
                    let sent = client.post(&url).bearer_auth(&key).json(&json!({ "vm_id": vm })).send().await;
                    made.fetch_add(u64::from(sent.is_ok()), Ordering::Relaxed);
                }
            });
        }
        Self { stop, made }
    }

    async fn until(&self, calls: u64) {
        let reached = tokio::time::timeout(TIMEOUT, async {
            while self.made.load(Ordering::Relaxed) < calls {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(reached.await.is_ok(), "no traffic");
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Everything that `log verify` and `doctor` look at; answers how many events there are.
fn sound(data: &Path, database: Option<&str>) -> u64 {
    let verified = succeeded(&forelog(&["log", "verify", "--json"], data, database));
    succeeded(&forelog(&["doctor"], data, database));
    let report: Value = serde_json::from_str(&verified).expect("a document");
    all_open(&report);
    report["events"].as_u64().expect("events")
}

/// Every payload was opened: nothing that the log names is missing from the vault.
fn all_open(report: &Value) {
    let counts = ["payloads", "opened", "erased"].map(|name| report[name].as_u64().unwrap_or_else(|| panic!("{name}: {report}")));
    assert!(counts[0] > 0 && counts[1] == counts[0] && counts[2] == 0, "{report}");
}

/// The key file lies elsewhere, as the recipe says, and comes back with the restore.
fn bring_back(key: &Path, restored: &Path) {
    std::fs::copy(key, restored.join("kek")).expect("copy the key file");
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_online_of_sqlite_can_be_restored_and_served() {
    let demo = Demo::start_with(&[
        ("FORELOG_LIMITS__CREDENTIAL__ADMIT", "10000"),
        ("FORELOG_LIMITS__CREDENTIAL__WINDOW_MS", "1000"),
        ("FORELOG_THROTTLE__PER_SECOND", "100000"),
        ("FORELOG_THROTTLE__BURST", "100000"),
    ])
    .await;
    let traffic = Traffic::start(&demo);
    traffic.until(20).await;
    let elsewhere = tempfile::tempdir().expect("a directory");
    let copy = elsewhere.path().join("copy");
    let (data, into) = (demo.data().to_owned(), copy.clone());
    let copied = tokio::task::spawn_blocking(move || script("sqlite.sh").arg(data).arg(into).output().expect("run it")).await;
    succeeded(&copied.expect("it ran"));
    let made = traffic.made.load(Ordering::Relaxed);
    traffic.until(made + 20).await;
    drop(traffic);
    assert!(!copy.join("kek").exists(), "the key lies beside what it opens");

    bring_back(&demo.data().join("kek"), &copy);
    let policies = std::fs::read_to_string(demo.data().join("forelog.toml")).expect("the configuration");
    // What the demonstration was started with is what was recorded, and so it is said here too.
    let limits = "[limits]\ncredential = { admit = 10000, window_ms = 1000 }\n";
    std::fs::write(copy.join("forelog.toml"), format!("{policies}\n{limits}")).expect("write the configuration");
    let events = sound(&copy, None);
    assert!(events > 40, "{events}");
    succeeded(&forelog(&["view", "rebuild"], &copy, None));
    // As the manual says: nothing runs before somebody has looked at what the copy does not know.
    succeeded(&forelog(&["switch", "engage", "all", "--reason", "restored from a backup"], &copy, None));
    let listed = succeeded(&forelog(&["switch", "list"], &copy, None));
    assert!(listed.contains("restored from a backup") || listed.contains("all"), "{listed}");
}

#[tokio::test]
async fn backup_cold_of_sqlite_is_the_directory() {
    let mut demo = Demo::start().await;
    let traffic = Traffic::start(&demo);
    traffic.until(10).await;
    drop(traffic);
    demo.kill();
    let elsewhere = tempfile::tempdir().expect("a directory");
    let copy = elsewhere.path().join("copy");
    let copied = Command::new("cp").arg("-a").arg(demo.data()).arg(&copy).output().expect("run cp");
    succeeded(&copied);
    assert!(sound(&copy, None) > 20);
}

#[tokio::test]
async fn backup_that_is_put_beside_what_a_crash_has_left_is_refused_until_that_is_removed() {
    let mut demo = Demo::start().await;
    let elsewhere = tempfile::tempdir().expect("a directory");
    let copy = elsewhere.path().join("copy");
    succeeded(&script("sqlite.sh").arg(demo.data()).arg(&copy).output().expect("run it"));
    let traffic = Traffic::start(&demo);
    traffic.until(10).await;
    demo.kill();
    drop(traffic);
    let left: Vec<PathBuf> =
        ["log.db-wal", "log.db-shm", "vault.db-wal", "vault.db-shm"].map(|name| demo.data().join(name)).into();
    assert!(std::fs::metadata(&left[0]).expect("what a crash leaves").len() > 0);
    for room in ["log.db", "vault.db"] {
        std::fs::copy(copy.join(room), demo.data().join(room)).expect("put back");
    }
    for command in [&["log", "verify"][..], &["doctor"], &["switch", "engage", "all", "--reason", "restored"]] {
        let refused = forelog(command, demo.data(), None);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("log.db-wal") && said.contains("remove"), "{command:?}: {refused:?}");
    }
    // As the manual says.
    for file in left.iter().filter(|file| file.exists()) {
        std::fs::remove_file(file).expect("removed");
    }
    for name in ["views.db", "views.db-wal", "views.db-shm"] {
        let _ = std::fs::remove_file(demo.data().join(name));
    }
    let restored = sound(demo.data(), None);
    std::fs::copy(demo.data().join("kek"), copy.join("kek")).expect("the key file");
    std::fs::copy(demo.data().join("forelog.toml"), copy.join("forelog.toml")).expect("the configuration");
    assert_eq!(restored, sound(&copy, None), "what came after the copy came back");
}

#[test]
fn backup_of_sqlite_takes_any_path_and_says_what_is_not_there() {
    let above = tempfile::tempdir().expect("a directory");
    let data = above.path().join("da#ta?mode=memory%41 'it'");
    let data_of = |args: &[&str]| succeeded(&forelog(args, &data, None));
    data_of(&["account", "create", "--name", "Example Ltd", "--email", "ops@example.com"]);
    let copy = above.path().join("co#py?'x'%20");
    succeeded(&script("sqlite.sh").arg(&data).arg(&copy).output().expect("run it"));
    bring_back(&data.join("kek"), &copy);
    let events = |of: &Path| -> Value {
        serde_json::from_str(&succeeded(&forelog(&["log", "verify", "--json"], of, None))).expect("a document")
    };
    assert_eq!(events(&copy)["events"], events(&data)["events"]);
    let nothing = above.path().join("nothing");
    std::fs::create_dir(&nothing).expect("a directory");
    for from in [&nothing, &above.path().join("nowhere")] {
        let refused = script("sqlite.sh").arg(from).arg(above.path().join("none")).output().expect("run it");
        assert!(!refused.status.success(), "{refused:?}");
        assert_eq!(std::fs::read_dir(&nothing).expect("a directory").count(), 0, "it made what it was to copy");
        assert!(!above.path().join("none").exists(), "a copy that failed left something");
    }
}

#[test]
fn backup_of_postgres_gives_nobody_the_password() {
    use std::os::unix::fs::PermissionsExt;
    let above = tempfile::tempdir().expect("a directory");
    let dump = above.path().join("pg_dump");
    let seen = above.path().join("seen");
    let spy = "#!/bin/bash\nprintf '%s\\n' \"$*\" \"password is $PGPASSWORD\" \"$(env | grep -c DATABASE_URL)\" >> \"$SEEN\"\n\
               for arg; do case $arg in --file=*) : > \"${arg#--file=}\";; esac; done\n";
    std::fs::write(&dump, spy).expect("a program");
    std::fs::set_permissions(&dump, std::fs::Permissions::from_mode(0o755)).expect("it can be run");
    let path = format!("{}:{}", above.path().display(), crate::tools::in_environment("PATH").expect("a path"));
    for (n, (url, password)) in [
        ("postgres://ada:hun%2Fter2@h:5432/db?sslmode=require", "hun/ter2"),
        ("postgresql://ada@h/db?password=hun%5Cter2&connect_timeout=3", "hun\\ter2"),
        ("postgres://ada@h/db?sslmode=require&password=hunter2", "hunter2"),
        ("postgres://ada@/db?host=/run/postgresql", ""),
    ]
    .into_iter()
    .enumerate()
    {
        for given in [true, false] {
            let mut copy = script("postgres.sh");
            copy.env("PATH", &path).env("SEEN", &seen).arg(above.path().join(format!("copy-{n}-{given}")));
            if given {
                copy.arg(url);
            } else {
                copy.env("FORELOG_DATABASE_URL", url);
            }
            succeeded(&copy.output().expect("run it"));
            let said = std::fs::read_to_string(&seen).expect("what it was given");
            let lines: Vec<&str> = said.lines().collect();
            assert!(!lines[0].contains("hun") && lines[0].contains("ada@") && lines[0].contains("db"), "{said}");
            assert_eq!((lines[1], lines[2]), (format!("password is {password}").as_str(), "0"), "{url}");
            std::fs::remove_file(&seen).expect("removed");
        }
    }
}

#[tokio::test]
async fn backup_with_the_vault_before_the_log_would_show() {
    let demo = Demo::start().await;
    let elsewhere = tempfile::tempdir().expect("a directory");
    // As the script does it, but in the wrong order, with a key made in between.
    let copy = |room: &str| {
        let from = format!("file:{}?mode=rw", demo.data().join(format!("{room}.db")).display());
        let into = format!("vacuum into '{}'", elsewhere.path().join(format!("{room}.db")).display());
        succeeded(&Command::new("sqlite3").args(["-bail", &from, &into]).output().expect("run sqlite3"));
    };
    copy("vault");
    let data = demo.data().to_owned();
    let made = forelog(&["account", "create", "--name", "Late Ltd", "--email", "late@example.com"], &data, None);
    succeeded(&made);
    copy("log");
    bring_back(&demo.data().join("kek"), elsewhere.path());
    let verified = forelog(&["log", "verify", "--json"], elsewhere.path(), None);
    assert!(!verified.status.success(), "a payload whose key is in no vault is missed");
    let said = crate::cli::text(&verified.stderr);
    assert!(said.contains("key_missing"), "{said}");
}

/// As the owner of the database sets it up before anybody serves.
fn prepare(roles: &Roles) {
    let elsewhere = tempfile::tempdir().expect("a directory");
    let args = ["migrate", "--database-url", &roles.owner, "--grant-to", &roles.name];
    succeeded(&forelog(&args, elsewhere.path(), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_backup_online_can_be_restored() {
    let (roles, empty) = (postgres::fresh_roles().await, postgres::fresh_roles().await);
    prepare(&roles);
    let demo = Demo::start_with(&[("FORELOG_DATABASE_URL", &roles.app)]).await;
    let traffic = Traffic::start(&demo);
    traffic.until(20).await;
    let elsewhere = tempfile::tempdir().expect("a directory");
    let copy = elsewhere.path().join("copy");
    let mut dump = script("postgres.sh");
    dump.arg(&copy).arg(&roles.superuser);
    let copied = tokio::task::spawn_blocking(move || dump.output().expect("run it")).await.expect("it ran");
    succeeded(&copied);
    let made = traffic.made.load(Ordering::Relaxed);
    traffic.until(made + 5).await;
    drop(traffic);

    let restored = Command::new(tools::find("FORELOG_TEST_POSTGRES_BIN").join("pg_restore"))
        .args(["--no-owner", "--no-acl", "--exit-on-error", "--single-transaction", "--dbname", &empty.owner])
        .arg(copy.join("rooms.dump"))
        .output()
        .expect("run pg_restore");
    succeeded(&restored);
    prepare(&empty);
    // What a node needs beside the database: the key file, and the policies that are in force.
    let served = tempfile::tempdir().expect("a directory");
    bring_back(&demo.data().join("kek"), served.path());
    std::fs::copy(demo.data().join("forelog.toml"), served.path().join("forelog.toml")).expect("copy the configuration");
    assert!(sound(served.path(), Some(&empty.app)) > 40);
    succeeded(&forelog(&["view", "rebuild"], served.path(), Some(&empty.app)));
}

#[tokio::test]
async fn postgres_backup_cold_is_the_servers_directory() {
    let cluster = Cluster::start().await;
    let roles = cluster.fresh_roles().await;
    prepare(&roles);
    let mut demo = Demo::start_with(&[("FORELOG_DATABASE_URL", &roles.app)]).await;
    demo.kill();
    let before = sound(demo.data(), Some(&roles.app));
    cluster.stop();
    let aside = cluster.data().with_extension("aside");
    succeeded(&Command::new("cp").arg("-a").arg(cluster.data()).arg(&aside).output().expect("run cp"));
    cluster.start_again().await;
    let made = ["account", "create", "--name", "Late Ltd", "--email", "late@example.com"];
    succeeded(&forelog(&made, demo.data(), Some(&roles.app)));
    assert!(sound(demo.data(), Some(&roles.app)) > before);

    cluster.stop();
    std::fs::remove_dir_all(cluster.data()).expect("lose the server's directory");
    std::fs::rename(&aside, cluster.data()).expect("put the copy in its place");
    cluster.start_again().await;
    assert_eq!(sound(demo.data(), Some(&roles.app)), before, "what came after the copy is gone, and the log is in order");
}
