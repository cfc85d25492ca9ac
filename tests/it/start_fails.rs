//! A first start that fails leaves nothing behind: what can be checked was checked before anything was made.

use std::path::Path;

use sqlx::{Connection, PgConnection, Row};
use tempfile::TempDir;

use crate::cli::{Server, command, dir, shown, text};

const SERVE: [&str; 4] = ["serve", "--create", "--listen", "127.0.0.1:0"];

/// A set that names a tool which there is not.
fn broken_set(dir: &Path) -> String {
    let policies = dir.join("policies");
    std::fs::create_dir(&policies).expect("a directory");
    let text = "@id(\"own\")\npermit (principal, action == Forelog::Action::\"vm_pwer\", resource);\n";
    std::fs::write(policies.join("own.cedar"), text).expect("written");
    std::fs::write(policies.join("cases.toml"), include_str!("../../policies/cases.toml")).expect("written");
    shown(&policies).to_owned()
}

/// What a command says that has to fail with this configuration.
fn fails(args: &[&str], config: &str, data: &Path, beside: &TempDir) -> String {
    let file = beside.path().join("forelog.toml");
    std::fs::write(&file, config).expect("a configuration");
    let output = command(&[args, &["--data", shown(data), "--config", shown(&file)]].concat()).output().expect("running forelog");
    assert!(!output.status.success(), "{args:?} with {config}");
    text(&output.stderr)
}

#[tokio::test]
async fn start_fails_and_leaves_nothing() {
    let (beside, empty) = (dir(), dir());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let (policies, nowhere) = (broken_set(beside.path()), beside.path().join("nowhere/kek"));
    let certificate = "[tls]\ncertificate = \"/nowhere/chain.pem\"\nkey = \"/nowhere/key.pem\"";
    for (args, config, why) in [
        (&SERVE[..], format!("policies_dir = {policies:?}"), "own.cedar:2:"),
        (&SERVE, "policies_dir = \"/nowhere/policies\"".into(), "/nowhere/policies"),
        (&SERVE, "[providers.qemu]\nimage = \"/nowhere/image\"".into(), "/nowhere/image has no vmlinuz"),
        (&SERVE, certificate.into(), "/nowhere/chain.pem"),
        (&SERVE, format!("key_file = {:?}", shown(&nowhere)), "directory of the key file"),
        (
            &["account", "create", "--name", "a", "--email", "a@example.com"],
            format!("key_file = {:?}", shown(&nowhere)),
            "key file",
        ),
        (&SERVE, "vault_database_url = \"postgres://nobody@127.0.0.1:1/none\"".into(), "vault_database_url"),
        (&["serve", "--create", "--listen", &address], String::new(), "listening at"),
        (&["demo", "--listen", &address], String::new(), "listening at"),
        (&["demo", "--listen", "127.0.0.1:0", "--provider", "qemu", "--image", "/nowhere/image"], String::new(), "no vmlinuz"),
    ] {
        let data = empty.path().join("data");
        let said = fails(args, &config, &data, &beside);
        assert!(said.contains(why), "{args:?} {config}: {said}");
        assert!(
            !data.exists(),
            "{args:?} {config} has made {:?}",
            std::fs::read_dir(&data).map(|dir| dir.flatten().collect::<Vec<_>>())
        );
    }
    // The same command goes on once its fault is mended.
    std::fs::write(beside.path().join("forelog.toml"), "").expect("a configuration");
    let (data, file) = (empty.path().join("data"), beside.path().join("forelog.toml"));
    let args = ["serve", "--create", "--data", shown(&data), "--config", shown(&file)];
    Server::start(&args, &empty.path().join("serve.log")).await.stop().await;
    // What is in force binds: files that are broken by now keep nobody from starting.
    std::fs::write(&file, format!("policies_dir = {policies:?}")).expect("a configuration");
    Server::start(&args, &empty.path().join("serve.log")).await.stop().await;
}

#[tokio::test]
async fn postgres_start_fails_and_leaves_nothing() {
    let (url, beside, empty) = (crate::postgres::fresh_database().await, dir(), dir());
    let data = empty.path().join("data");
    let config = format!("database_url = {url:?}\npolicies_dir = {:?}", broken_set(beside.path()));
    let said = fails(&SERVE, &config, &data, &beside);
    assert!(said.contains("own.cedar:2:") && !data.exists(), "{said}");
    let mut connection = PgConnection::connect(&url).await.expect("connect");
    let made = "select count(*) from information_schema.schemata where schema_name in ('log', 'vault', 'views')";
    let made = sqlx::query(made).fetch_one(&mut connection).await.expect("a count");
    assert_eq!(made.get::<i64, _>(0), 0, "no schema was made");
}
