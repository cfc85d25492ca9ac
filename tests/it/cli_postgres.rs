//! The real binary on PostgreSQL, as an operator sets it up: the owner migrates, and a role that can only append serves.
//!
//! Invariant: everything here runs as the role that serves, so a right that it lacks shows.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;

use crate::cli::{Server, answer, command, complaint, dir, shown, text};
use crate::postgres::{Roles, fresh_database, fresh_roles};

/// A directory whose configuration names the database, migrated by its owner.
struct Site {
    dir: TempDir,
    roles: Roles,
}

impl Site {
    async fn new() -> Self {
        let (dir, roles) = (dir(), fresh_roles().await);
        let migrated = answer(&["migrate", "--database-url", &roles.owner, "--grant-to", &roles.name]);
        assert_eq!(migrated["schemas"], json!({ "log": 1, "views": 1, "vault": 1 }));
        let site = Self { dir, roles };
        site.configure(&site.roles.app);
        site
    }

    fn configure(&self, url: &str) {
        let text = format!("database_url = \"{url}\"\n[providers.sim]\nmachines = [\"web-1\", \"db-1\"]\n");
        std::fs::write(self.dir.path().join("forelog.toml"), text).expect("a configuration");
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn at<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        [args, &["--data", shown(self.path())]].concat()
    }

    fn answer(&self, args: &[&str]) -> Value {
        answer(&self.at(args))
    }

    fn complaint(&self, args: &[&str]) -> String {
        complaint(&self.at(args))
    }

    async fn serve(&self) -> Server {
        Server::start(&self.at(&["serve"]), &self.path().join("serve.log")).await
    }
}

fn id(document: &Value) -> String {
    document["id"].as_str().unwrap_or_else(|| panic!("no id: {document}")).to_owned()
}

#[tokio::test]
async fn postgres_every_command_works_as_the_role_that_serves() {
    let site = Site::new().await;
    let account = id(&site.answer(&["account", "create", "--name", "Example Ltd", "--email", "ops@example.com"]));
    site.answer(&["account", "join", &account, "--email", "second@example.com"]);
    site.answer(&["account", "set", &account, "--agents-may-enable-exec", "true"]);
    assert_eq!(site.answer(&["account", "list"])["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(site.answer(&["vm", "machines", "--provider", "sim"])["items"].as_array().map(Vec::len), Some(2));
    let vm = id(&site.answer(&["vm", "import", "--account", &account, "--provider", "sim", "--machine", "web-1"]));
    assert_eq!(site.answer(&["vm", "list"])["items"][0]["id"], json!(vm));
    let made = site.answer(&["key", "create", "--account", &account, "--label", "laptop"]);
    let key = made["api_key"].as_str().expect("a key");
    assert_eq!(site.answer(&["key", "list"])["items"].as_array().map(Vec::len), Some(1));

    let server = site.serve().await;
    assert_eq!(server.call(key, "vm_list", json!({})).await["items"][0]["vm_id"], json!(vm));
    let reset = json!({ "vm_id": vm, "action": "reset", "confirm": true });
    assert!(server.call(key, "vm_power", reset).await.get("error").is_none());
    assert!(server.call(key, "activity_list", json!({})).await["items"].as_array().is_some_and(|calls| calls.len() > 1));
    let switch = site.answer(&["switch", "engage", "all", "--reason", "test"]);
    assert_eq!((&switch["fenced"], &switch["nodes"][0]["state"]), (&json!(true), &json!("confirmed")), "{switch}");
    assert_eq!(server.call(key, "vm_list", json!({})).await["error"]["code"], "kill_switch_engaged");
    assert_eq!(site.answer(&["switch", "list"])["items"].as_array().map(Vec::len), Some(1));
    site.answer(&["switch", "release", &id(&switch), "--reason", "over", "--break-glass"]);
    let rotated = site.answer(&["key", "rotate", &id(&made)]);
    let fresh = rotated["api_key"].as_str().expect("a key");
    assert!(server.call(fresh, "vm_list", json!({})).await["items"].is_array());
    site.answer(&["key", "revoke", &id(&rotated)]);
    assert_eq!(server.call(fresh, "vm_list", json!({})).await["error"]["code"], "token_revoked");
    assert!(site.answer(&["policy", "check"])["cases"].as_u64() > Some(0));
    assert_eq!(site.answer(&["policy", "reload"])["version"], 2);
    assert!(site.answer(&["view", "rebuild"])["position"].as_i64() > Some(10));
    let bundle = site.path().join("bundle");
    assert!(site.answer(&["export", "--out", shown(&bundle)])["count"].as_i64() > Some(10));
    answer(&["export", "--check", shown(&bundle)]);
    server.stop().await;

    assert!(site.answer(&["log", "verify"])["events"].as_i64() > Some(10));
    let doctor = site.answer(&["doctor"]);
    assert_eq!((&doctor["ok"], &doctor["schemas"]["log"]), (&json!(true), &json!(1)), "{doctor}");
}

#[tokio::test]
async fn postgres_stdio_is_a_node_of_its_own() {
    let site = Site::new().await;
    let account = id(&site.answer(&["account", "create", "--name", "Example Ltd", "--email", "ops@example.com"]));
    site.answer(&["vm", "import", "--account", &account, "--provider", "sim", "--machine", "web-1"]);
    let made = site.answer(&["key", "create", "--account", &account, "--label", "laptop"]);
    site.answer(&["limits", "load"]);
    site.answer(&["policy", "load"]);
    let mut process = command(&site.at(&["stdio"]))
        .env("FORELOG_API_KEY", made["api_key"].as_str().expect("a key"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starting forelog");
    let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } });
    let mut input = process.stdin.take().expect("its standard input");
    for message in [
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": { "name": "vm_list", "arguments": {} } }),
    ] {
        writeln!(input, "{message}").expect("a message sent");
    }
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(process.stdout.take().expect("its standard output")));
    let mut next = || -> Value { serde_json::from_str(&lines.next().expect("a line").expect("text")).expect("JSON alone") };
    assert_eq!(next()["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(next()["result"]["structuredContent"]["items"][0]["label"], "web-1");
    drop(input);
    assert!(process.wait().expect("its end").success());
    site.answer(&["log", "verify"]);
}

#[tokio::test]
async fn postgres_demo_needs_a_database_and_nothing_else() {
    let (dir, roles) = (dir(), fresh_roles().await);
    let data = dir.path().join("demo");
    let (at, log) = (["demo", "--data", shown(&data), "--database", &roles.owner], dir.path().join("demo.log"));
    let demo = Server::start(&at, &log).await;
    let key = demo.says("/customer/api_key");
    assert_eq!(demo.call(&key, "vm_list", json!({})).await["items"].as_array().map(Vec::len), Some(3));
    demo.stop().await;
    let mut left: Vec<_> =
        std::fs::read_dir(&data).expect("the directory").map(|entry| entry.expect("an entry").file_name()).collect();
    left.sort();
    assert_eq!(left, ["demo.json", "forelog.toml", "kek", "policies", "sim"], "nothing else is kept in files");
    // Without the flag it goes on where it was, and elsewhere it does not go.
    let again = Server::start(&at[..3], &log).await;
    assert_eq!(again.says("/customer/api_key"), key);
    assert!(again.call(&key, "vm_list", json!({})).await["items"].is_array());
    again.stop().await;
    let elsewhere =
        complaint(&["demo", "--data", shown(&data), "--listen", "127.0.0.1:0", "--database", &fresh_database().await]);
    assert!(elsewhere.contains("not on the database"), "{elsewhere}");
    assert!(answer(&["log", "verify", "--data", shown(&data)])["events"].as_i64() > Some(5));
}

#[tokio::test]
async fn postgres_the_role_that_serves_cannot_change_what_was_recorded() {
    let site = Site::new().await;
    site.answer(&["account", "create", "--name", "Example Ltd", "--email", "ops@example.com"]);
    let mut connection = PgConnection::connect(&site.roles.app).await.expect("the role");
    for sql in [
        "update log.event set at = at",
        "delete from log.event",
        "truncate log.event",
        "alter table log.event disable trigger all",
        "alter table log.event drop column leaf",
        "drop trigger event_is_never_updated on log.event",
        "drop table log.event",
        "update log.payload set body = body",
        "delete from log.payload",
        "truncate log.payload",
        "alter table log.payload disable trigger all",
        "update log.log_head set log_id = 2",
        "delete from log.log_head",
        "insert into log.log_head values (2, 0, 0, 0)",
        "truncate log.log_head",
        "alter table log.log_head disable trigger all",
        "drop schema log cascade",
        "create or replace function log.refuse() returns trigger language plpgsql as 'begin return new; end'",
        "create trigger mine before insert on log.event for each row execute function log.refuse('mine')",
        "update log.schema_version set version = 0",
        "truncate log.state",
        "set session_replication_role = replica",
        "create table log.mine (n bigint)",
        "delete from vault.data_key",
        "update vault.data_key set wrapped = wrapped",
        "truncate vault.data_key",
    ] {
        let refused = connection.execute(AssertSqlSafe(sql)).await.expect_err(sql).to_string();
        assert!(refused.contains("permission denied") || refused.contains("must be owner"), "{sql}: {refused}");
    }
    let back = connection.execute("update log.log_head set position = 0, at = 0").await.expect_err("the head went back");
    assert!(back.to_string().contains("the head never goes back"), "{back}");
    assert_eq!(site.answer(&["doctor"])["ok"], true);

    site.configure(&site.roles.superuser);
    assert!(site.complaint(&["doctor"]).contains("is a superuser"));
    site.configure(&site.roles.owner);
    let said = site.complaint(&["doctor"]);
    assert!(
        said.contains("owns log.event") && said.contains("owns the schema log") && said.contains("owns the database"),
        "{said}"
    );
    // What is given too much is named, and taken away by the next grant.
    let mut owner = PgConnection::connect(&site.roles.owner).await.expect("the owner");
    let given = format!("grant update (at), delete on log.event to {}", site.roles.name);
    owner.execute(AssertSqlSafe(given)).await.expect("a grant");
    site.configure(&site.roles.app);
    let said = site.complaint(&["doctor"]);
    assert!(said.contains("may delete log.event") && said.contains("may update log.event"), "{said}");
    answer(&["migrate", "--database-url", &site.roles.owner, "--grant-to", &site.roles.name]);
    assert_eq!(site.answer(&["doctor"])["ok"], true);
    owner.execute("alter table log.event disable trigger event_is_never_updated").await.expect("its owner may");
    assert!(site.complaint(&["doctor"]).contains("event_is_never_updated is not in force"));
}

#[tokio::test]
async fn postgres_looking_makes_nothing_and_a_role_that_may_not_is_told_what_to_do() {
    let (dir, roles) = (dir(), fresh_roles().await);
    let config = |url: &str| {
        std::fs::write(dir.path().join("forelog.toml"), format!("database_url = \"{url}\"\n")).expect("a configuration");
    };
    config(&roles.owner);
    let said = complaint(&["key", "list", "--data", shown(dir.path())]);
    assert!(said.contains("no Forelog data in the database") && said.contains("hint:"), "{said}");
    let mut connection = PgConnection::connect(&roles.owner).await.expect("the owner");
    let schemas = "select count(*) from pg_namespace where nspname in ('log', 'views', 'vault')";
    let made: i64 = sqlx::query_scalar(schemas).fetch_one(&mut connection).await.expect("a count");
    assert_eq!(made, 0, "looking made a schema");
    config(&roles.app);
    let serve = ["serve", "--data", shown(dir.path()), "--listen", "127.0.0.1:0"];
    let said = complaint(&serve);
    assert!(said.contains("no Forelog data in the database") && said.contains("--create"), "{said}");
    let said = complaint(&[&serve[..], &["--create"]].concat());
    assert!(said.contains("permission denied") && said.contains("forelog migrate"), "{said}");
    assert!(complaint(&["migrate", "--grant-to", "x"]).contains("no roles without a PostgreSQL"));
}

#[tokio::test]
async fn postgres_an_older_program_refuses_a_newer_schema() {
    let site = Site::new().await;
    site.answer(&["account", "create", "--name", "Example Ltd", "--email", "ops@example.com"]);
    for room in ["vault", "views", "log"] {
        let mut owner = PgConnection::connect(&site.roles.owner).await.expect("the owner");
        let newer = format!("insert into {room}.schema_version (version) values (99)");
        owner.execute(AssertSqlSafe(newer)).await.expect("a newer version");
        for args in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate"], &["doctor"]] {
            let said = site.complaint(args);
            assert!(said.contains("version 99") && said.contains("newer forelog"), "{room} {args:?}: {said}");
        }
        let older = format!("delete from {room}.schema_version where version = 99");
        owner.execute(AssertSqlSafe(older)).await.expect("as before");
    }
    assert!(text(&command(&site.at(&["doctor"])).output().expect("doctor").stdout).contains("schema log is at version 1"));
}

/// A role that has nothing to grant has granted nothing, and says so.
#[tokio::test]
async fn postgres_who_may_not_grant_does_not_say_that_it_did() {
    let site = Site::new().await;
    let other = format!("{}_other", site.roles.name);
    let mut superuser = PgConnection::connect(&site.roles.superuser).await.expect("the superuser");
    superuser.execute(AssertSqlSafe(format!("create role {other} login"))).await.expect("a role");
    let said = complaint(&["migrate", "--database-url", &site.roles.app, "--grant-to", &other]);
    assert!(said.contains("use the role that owns the schema"), "{said}");
    answer(&["migrate", "--database-url", &site.roles.owner, "--grant-to", &other]);
}
