//! A room that is away while something of the data is there: moved aside, not mounted, not yet put back.
//!
//! Invariant: whatever is done meanwhile, once the file is put back everything is there that was there before.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use forelog::log::dialect::Room;
use forelog::log::sql::Database;
use forelog::log::sqlite::open_sqlite;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli::{Server, answer, command, complaint, dir, shown, text};
use crate::local_admin::id;

/// Data whose rooms keep what was written last beside themselves, as after a crash.
struct Crashed {
    dir: TempDir,
    account: String,
    key: String,
}

/// Every command that works on data; `ACCOUNT` and `KEY` stand for ids.
const COMMANDS: &[&[&str]] = &[
    &["serve", "--listen", "127.0.0.1:0"],
    &["demo", "--listen", "127.0.0.1:0"],
    &["stdio"],
    &["account", "create", "--name", "Other", "--email", "other@example.com"],
    &["account", "join", "ACCOUNT", "--email", "second@example.com"],
    &["account", "set", "ACCOUNT", "--agents-may-enable-exec", "true"],
    &["account", "list"],
    &["vm", "import", "--account", "ACCOUNT", "--provider", "sim", "--machine", "web-1"],
    &["vm", "list"],
    &["key", "create", "--account", "ACCOUNT", "--label", "another"],
    &["key", "list"],
    &["key", "revoke", "KEY"],
    &["switch", "engage", "all", "--reason", "a test"],
    &["switch", "list"],
    &["approval", "list"],
    &["clock", "show"],
    &["policy", "show"],
    &["policy", "reload"],
    &["limits", "show"],
    &["limits", "load"],
    &["limits", "set", "limits.exec.admit=7"],
    &["view", "rebuild"],
    &["log", "verify"],
    &["export", "--out", "OUT"],
    &["migrate"],
    &["doctor"],
    &["doctor", "--mend"],
];

impl Crashed {
    async fn make() -> Self {
        let (dir, beside) = (dir(), dir());
        let data = beside.path();
        std::fs::write(data.join("forelog.toml"), "[providers.sim]\nmachines = [\"web-1\"]\n").expect("a configuration");
        let at = |args: &[&str]| answer(&[args, &["--data", shown(data)]].concat());
        at(&["account", "create", "--name", "Staff", "--email", "staff@example.com", "--staff"]);
        // While they are open, what is written stays beside them.
        let open = [("log", Room::Log), ("vault", Room::Vault)].map(|(name, room)| (data.join(format!("{name}.db")), room));
        let mut held: Vec<Box<dyn Database>> = Vec::new();
        for (file, room) in open {
            held.push(open_sqlite(&file, room).await.expect("a room"));
        }
        let account = id(&at(&["account", "create", "--name", "Example Ltd", "--email", "ops@example.com"]));
        let key = id(&at(&["key", "create", "--account", &account, "--label", "a key"]));
        copy(data, dir.path());
        for room in held {
            room.close().await;
        }
        for room in ["log", "vault"] {
            let left = std::fs::metadata(dir.path().join(format!("{room}.db-wal"))).expect("what was written last").len();
            assert!(left > 0, "{room}");
        }
        Self { dir, account, key }
    }

    fn copied(&self) -> TempDir {
        let copied = dir();
        copy(self.dir.path(), copied.path());
        copied
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a directory").map(|entry| entry.expect("an entry")) {
        if entry.file_type().expect("a kind").is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
        }
    }
}

/// What the files of a room are.
fn files(data: &Path, room: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let of_room = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("{room}.db")));
    let all = std::fs::read_dir(data).expect("a directory").map(|entry| entry.expect("an entry").path());
    all.filter(of_room).map(|path| (path.clone(), std::fs::read(path).expect("a file"))).collect()
}

async fn nothing_is_made_while_it_is_away(room: &str) {
    let crashed = Crashed::make().await;
    let whole = {
        let copied = crashed.copied();
        answer(&["log", "verify", "--data", shown(copied.path())])
    };
    for args in COMMANDS {
        let (copied, out) = (crashed.copied(), dir());
        let (data, file) = (copied.path(), copied.path().join(format!("{room}.db")));
        let aside = out.path().join("aside.db");
        std::fs::rename(&file, &aside).expect("moved");
        let before = files(data, room);
        let filled = |arg: &&str| match *arg {
            "ACCOUNT" => crashed.account.clone(),
            "KEY" => crashed.key.clone(),
            "OUT" => shown(&out.path().join("out")).to_owned(),
            other => other.to_owned(),
        };
        let args: Vec<String> = args.iter().map(filled).chain(["--data".to_owned(), shown(data).to_owned()]).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut child = command(&args)
            .env("FORELOG_API_KEY", "fl_none")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("running forelog");
        child.stdin.take().expect("its input").flush().expect("its end");
        let output = child.wait_with_output().expect("an end");
        let said = text(&output.stderr);
        assert!(!said.contains("no Forelog data"), "{args:?}: {said}");
        assert!(!said.contains("make one with"), "{args:?}: {said}");
        assert!(output.status.success() || room == "vault" || said.contains("log.db is not there"), "{args:?}: {said}");
        assert!(output.status.success() || said.contains("back"), "{args:?} does not say to put it back: {said}");
        assert!(files(data, room) == before, "{args:?} has touched what belongs to {room}: {said}");
        std::fs::rename(&aside, &file).expect("put back");
        let now = answer(&["log", "verify", "--data", shown(data)]);
        assert_eq!(now["findings"], json!([]), "{args:?}: {now}");
        assert!(now["events"].as_u64() >= whole["events"].as_u64(), "{args:?}: {now} and before {whole}");
        let accounts = answer(&["account", "list", "--data", shown(data)]);
        assert_eq!(accounts["items"].as_array().map(Vec::len), Some(2), "{args:?}: {accounts}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn away_the_log_is_as_it_was_whatever_is_run_meanwhile() {
    nothing_is_made_while_it_is_away("log").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn away_the_vault_is_as_it_was_whatever_is_run_meanwhile() {
    nothing_is_made_while_it_is_away("vault").await;
}

/// Whatever of the data is left alone, nothing is made beside it.
#[test]
fn away_nothing_is_made_beside_anything_that_is_left() {
    for left in ["log.db-wal", "log.db-shm", "vault.db", "vault.db-wal", "vault.db-shm", "views.db", "views.db-wal", "kek"] {
        let dir = dir();
        std::fs::write(dir.path().join(left), "5".repeat(64)).expect("a file");
        for args in [COMMANDS[0], COMMANDS[1], COMMANDS[3], &["migrate"], &["key", "list"], &["switch", "list"]] {
            let said = complaint(&[args, &["--data", shown(dir.path())]].concat());
            assert!(said.contains("log.db is not there") && said.contains(left), "{left}, {args:?}: {said}");
            assert!(said.contains("put the log back") && !said.contains("make one"), "{left}, {args:?}: {said}");
            for room in ["log.db", "vault.db", "views.db"] {
                assert!(room == left || !dir.path().join(room).exists(), "{left}, {args:?} made {room}");
            }
        }
    }
}

/// A first start that was cut while it made the files goes on.
#[test]
fn away_a_first_start_that_was_cut_goes_on() {
    for made in [&["log.db"][..], &["log.db", "views.db"], &["log.db", "views.db", "vault.db"]] {
        let dir = dir();
        for file in made {
            std::fs::write(dir.path().join(file), "").expect("a file");
        }
        let said = answer(&["account", "create", "--name", "a", "--email", "a@example.com", "--data", shown(dir.path())]);
        assert!(said["id"].is_string(), "{made:?}: {said}");
    }
}

/// A server with an agent's key and a person's.
struct House {
    dir: TempDir,
    server: Server,
    agent: String,
    staff: String,
}

impl House {
    async fn open() -> Self {
        let dir = dir();
        std::fs::write(dir.path().join("forelog.toml"), "lease_ms = 1500\n").expect("a configuration");
        let at = |args: &[&str]| answer(&[args, &["--data", shown(dir.path())]].concat());
        let key = |account: &str| at(&["key", "create", "--account", account, "--label", "a key"])["api_key"].clone();
        let staff = key(&id(&at(&["account", "create", "--name", "Staff", "--email", "s@example.com", "--staff"])));
        let agent = key(&id(&at(&["account", "create", "--name", "Example Ltd", "--email", "o@example.com"])));
        let server = Server::start(&["serve", "--data", shown(dir.path())], &dir.path().join("serve.log")).await;
        let secret = |key: &Value| key.as_str().expect("a key").to_owned();
        Self { server, agent: secret(&agent), staff: secret(&staff), dir }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    async fn ask(&self, key: &str, method: Method, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}{path}", self.server.says("/base_url"));
        let answered = reqwest::Client::new().request(method, url).bearer_auth(key).json(&body).send().await.expect("an answer");
        (answered.status().as_u16(), answered.json().await.unwrap_or_default())
    }

    async fn call(&self) -> String {
        let (_, said) = self.ask(&self.agent, Method::POST, "/api/v1/tools/vm_list", json!({})).await;
        said["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    async fn is_ready(&self) -> bool {
        self.ask("", Method::GET, "/readyz", Value::Null).await.0 == 200
    }

    async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let waiting = async {
            while !holds().await {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(std::time::Duration::from_mins(1), waiting).await;
        let said = std::fs::read_to_string(self.file("serve.log")).unwrap_or_default();
        assert!(waited.is_ok(), "waited in vain until {what}: {said}");
    }
}

/// What somebody does to a file that a node has open.
fn empty(file: &Path) {
    std::fs::File::options().write(true).open(file).expect("the file").set_len(0).expect("emptied");
}

fn replace(file: &Path) {
    std::fs::copy(file, file.with_extension("copy")).expect("copied");
    std::fs::rename(file.with_extension("copy"), file).expect("replaced");
}

fn take(file: &Path) {
    std::fs::remove_file(file).expect("removed");
}

async fn a_node_notices(name: &str, what: fn(&Path)) {
    let house = House::open().await;
    assert_eq!(house.call().await, "");
    what(&house.file(name));
    house.until("the node is not ready", async || !house.is_ready().await).await;
    assert_eq!(house.call().await, "audit_unavailable");
    if name.starts_with("vault") {
        let wanted = json!({ "target": "all", "reason": "an incident" });
        let (status, said) = house.ask(&house.staff, Method::POST, "/api/v1/switches", wanted).await;
        assert_eq!(status, 201, "stopping goes on: {said}");
    }
}

macro_rules! notices {
    ($($name:ident = $file:literal, $what:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            a_node_notices($file, $what).await;
        }
    )*};
}

notices! {
    away_a_node_notices_that_its_log_was_removed = "log.db", take;
    away_a_node_notices_that_its_log_was_replaced = "log.db", replace;
    away_a_node_notices_that_what_its_log_wrote_last_was_emptied = "log.db-wal", empty;
    away_a_node_notices_that_what_its_log_wrote_last_was_removed = "log.db-wal", take;
    away_a_node_notices_that_what_its_log_wrote_last_was_replaced = "log.db-wal", replace;
    away_a_node_notices_that_its_vault_was_replaced = "vault.db", replace;
    away_a_node_notices_that_what_its_vault_wrote_last_was_emptied = "vault.db-wal", empty;
    away_a_node_notices_that_what_its_vault_wrote_last_was_removed = "vault.db-wal", take;
}

/// Moved and put back while nobody touched it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn away_a_node_goes_on_once_its_log_is_back() {
    let house = House::open().await;
    let (file, aside) = (house.file("log.db"), house.file("aside"));
    std::fs::rename(&file, &aside).expect("moved");
    house.until("the node is not ready", async || !house.is_ready().await).await;
    std::fs::rename(&aside, &file).expect("put back");
    house.until("the node is ready again", async || house.is_ready().await).await;
    assert_eq!(house.call().await, "");
}

/// Moved, written to by somebody who had no idea, and put back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn away_a_node_does_not_go_on_with_what_somebody_else_wrote_meanwhile() {
    let house = House::open().await;
    let (file, aside) = (house.file("log.db"), house.file("aside"));
    std::fs::rename(&file, &aside).expect("moved");
    house.until("the node is not ready", async || !house.is_ready().await).await;
    let wal = house.file("log.db-wal");
    let length = std::fs::metadata(&wal).expect("a log of writes").len();
    std::fs::write(&wal, vec![7; usize::try_from(length).expect("a size") * 2]).expect("written");
    std::fs::rename(&aside, &file).expect("put back");
    let (status, said) = house.ask(&house.agent, Method::POST, "/api/v1/tools/vm_list", json!({})).await;
    assert_eq!(said["error"]["code"], "audit_unavailable", "{status}: {said}");
    assert!(!house.is_ready().await);
}

/// After a stop in order each file is whole by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn away_a_stop_in_order_leaves_whole_files() {
    let house = House::open().await;
    assert_eq!(house.call().await, "");
    let House { dir, server, .. } = house;
    server.stop().await;
    let copied = crate::cli::dir();
    for file in ["log.db", "vault.db", "views.db", "kek", "forelog.toml"] {
        std::fs::copy(dir.path().join(file), copied.path().join(file)).expect("copied");
    }
    for room in ["log", "vault", "views"] {
        let left = std::fs::metadata(dir.path().join(format!("{room}.db-wal"))).map_or(0, |about| about.len());
        assert_eq!(left, 0, "what {room} wrote last lies beside it");
    }
    let [whole, parted] = [&copied, &dir].map(|dir| answer(&["log", "verify", "--data", shown(dir.path())]));
    assert_eq!(whole["events"], parted["events"]);
    assert_eq!(whole["findings"], json!([]), "{whole}");
}
