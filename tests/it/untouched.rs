//! What a command that cannot do its work leaves behind: nothing. And whose data it means: the one that is named.

use std::net::TcpListener;

use serde_json::Value;

use crate::cli::{Server, answer, command, complaint, dir, shown, text};
use crate::local_admin::Data;

#[test]
fn untouched_is_what_a_demonstration_without_a_port_would_use() {
    let dir = dir();
    let data = dir.path().join("docs");
    std::fs::create_dir(&data).expect("a directory");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = taken.local_addr().expect("an address").to_string();
    let said = complaint(&["demo", "--data", shown(&data), "--listen", &listen]);
    assert!(said.contains("listening at"), "{said}");
    assert_eq!(std::fs::read_dir(&data).expect("a directory").count(), 0, "it has made something");
}

#[test]
fn untouched_is_a_directory_without_data() {
    let dir = dir();
    let absent = dir.path().join("absent");
    for args in [&["stdio"][..], &["migrate"], &["health"], &["call", "vm_list"]] {
        let mut asked = command(&[args, &["--data", shown(&absent)]].concat());
        let output = asked.env("FORELOG_API_KEY", "flk_live_none").output().expect("running forelog");
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains("no Forelog data"), "{args:?}: {said}");
        assert!(!absent.exists(), "{args:?} has made it");
    }
    let said = complaint(&["migrate", "--data", shown(dir.path())]);
    assert!(said.contains("no Forelog data"), "{said}");
    assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 0, "it has made something");
}

#[tokio::test]
async fn untouched_is_a_mistyped_directory_until_a_server_is_told_to_create() {
    let dir = dir();
    let absent = dir.path().join("absent");
    let said = complaint(&["serve", "--data", shown(&absent), "--listen", "127.0.0.1:0"]);
    assert!(said.contains("no Forelog data in") && said.contains("forelog serve --create"), "{said}");
    assert!(!absent.exists(), "it has made it");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = taken.local_addr().expect("an address").to_string();
    let said = complaint(&["serve", "--create", "--data", shown(&absent), "--listen", &listen]);
    assert!(said.contains("listening at") && !absent.exists(), "{said}");
    Server::start(&["serve", "--create", "--data", shown(&absent)], &dir.path().join("serve.log")).await.stop().await;
    // What is there is served with or without it.
    for flag in [&[][..], &["--create"]] {
        let args = [&["serve", "--data", shown(&absent)], flag].concat();
        Server::start(&args, &dir.path().join("serve.log")).await.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn untouched_are_files_that_another_server_has() {
    let data = Data::new(None);
    let mut first = Server::start(&data.at(&["serve"]), &data.path().join("serve.log")).await;
    let holder = format!("(pid {})", first.id());
    for command in ["serve", "demo"] {
        let said = data.complaint(&[command, "--listen", "127.0.0.1:0"]);
        assert!(said.contains("held by forelog") && said.contains(&holder) && said.contains("PostgreSQL"), "{said}");
    }
    // The command line works beside it, and a server that was killed holds nothing.
    data.answer(&["switch", "engage", "all", "--reason", "an incident"]);
    first.kill();
    Server::start(&data.at(&["serve"]), &data.path().join("serve.log")).await.stop().await;
}

#[test]
fn untouched_data_is_named_by_what_stops_something_on_it() {
    let data = Data::new(None);
    let engaged = data.answer(&["switch", "engage", "all", "--reason", "an incident"]);
    assert_eq!(engaged["data"], shown(data.path()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn untouched_is_a_demonstration_that_is_served_and_it_is_found_by_its_data() {
    let dir = dir();
    let data = dir.path().join("data");
    let demo = Server::start(&["demo", "--data", shown(&data)], &dir.path().join("demo.log")).await;
    let kept = std::fs::read(data.join("demo.json")).expect("its keys");
    let said = complaint(&["demo", "--data", shown(&data), "--listen", "127.0.0.1:0"]);
    assert!(said.contains("held by"), "{said}");
    assert_eq!(std::fs::read(data.join("demo.json")).expect("its keys"), kept, "it is where it was");
    // Wherever it listens.
    let ready = answer(&["health", "--data", shown(&data)]);
    assert_eq!(format!("http://{}", ready["address"].as_str().expect("an address")), demo.says("/base_url"));
    let mut asked = command(&["call", "vm_list", "--json", "--data", shown(&data)]);
    let output = asked.env("FORELOG_API_KEY", demo.says("/customer/api_key")).output().expect("running forelog");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let listed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(3));
    demo.stop().await;
    let said = complaint(&["health", "--data", shown(&data)]);
    assert!(said.contains("no server") && said.contains("forelog serve"), "{said}");
}
