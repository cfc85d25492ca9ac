//! Who puts something else in force, over the network and at the command line.

use std::path::Path;

use forelog::app::registry::KeySpec;
use forelog::core::event::EventKind;
use forelog::core::scope::Scope;
use reqwest::Method;
use serde_json::{Value, json};

use super::{ALL, ONE, TIMEOUT, ask, at, call, on_both, own, read, said, set, write};
use crate::cli::{answer, command, shown, text};
use crate::console::ConsoleServer;
use crate::harness::until;
use crate::local_admin::Data;

on_both! {
    a_right_changes_both, in_force_a_right_changes_both, postgres_in_force_a_right_changes_both;
    the_command_line_says_and_sets, in_force_the_command_line_says_and_sets, postgres_in_force_the_command_line_says_and_sets;
}

async fn a_right_changes_both(database: String) {
    let (one, all) = (set(ONE), set(ALL));
    let house = ConsoleServer::with(&own(&database, &one, 2)).await;
    let other = house.beside_with(&own(&database, &all, 10_000)).await;
    let (here, there, vm) = (house.base.clone(), at(&other), json!({ "vm_id": house.one.vm }));
    let staff = house.key_of_staff().await;
    let scopes = Scope::staff().into_iter().filter(|scope| *scope != Scope::StaffPolicy).collect();
    let without = house.key_of(KeySpec { scopes, ..KeySpec::full(house.staff.account.clone(), "without") }).await;
    let wanted = |admit: i64| json!({ "limits": { "credential": { "admit": admit, "window_ms": 3_600_000 } } });

    for key in [&without, &house.one.key] {
        for (method, path, body) in [
            (Method::PATCH, "/api/v1/limits", wanted(9)),
            (Method::POST, "/api/v1/policies/reload", json!({})),
            (Method::POST, "/api/v1/tools/limits_set", wanted(9)),
            (Method::POST, "/api/v1/tools/policy_reload", json!({})),
        ] {
            assert_eq!(ask(&there, key, method, path, Some(body)).await.code(), "forbidden_scope", "{path}");
        }
    }
    for wrong in [
        wanted(0),
        wanted(-1),
        wanted(10_001),
        wanted(99_999_999_999),
        json!({ "limits": { "credential": { "admit": null, "window_ms": 1000 } } }),
        json!({ "limits": { "credential": { "admit": 5 } } }),
        json!({ "limits": { "exec": null } }),
        json!({ "limits": null }),
        json!({ "limits": { "exek": { "admit": 1, "window_ms": 1000 } } }),
        json!({ "limits": { "credential": {} } }),
        json!({ "limits": { "credential": { "admit": "many", "window_ms": 1000 } } }),
        json!({ "quotas": { "keys": { "account": 0, "key": 1 } } }),
        json!({ "quotas": { "people": 0 } }),
        json!({ "quotas": { "nothing": { "account": 1, "key": 1 } } }),
        json!({ "approval_ms": 1 }),
        json!({}),
    ] {
        let answer = ask(&there, &staff, Method::PATCH, "/api/v1/limits", Some(wrong.clone())).await;
        assert_eq!(answer.code(), "validation_failed", "{wrong}: {answer:?}");
    }
    assert_eq!(house.events("limits_set").await.len(), 1, "what is refused writes nothing");

    let get = async |base: &str| said(&call(base, &house.one.key, "vm_get", vm.clone()).await);
    assert_eq!([get(&here).await, get(&there).await, get(&here).await], ["done", "done", "rate_limited"]);
    let set = ask(&there, &staff, Method::PATCH, "/api/v1/limits", Some(wanted(4))).await.json();
    assert_eq!((&set["version"], &set["before"], &set["limits"]["credential"]["admit"]), (&json!(2), &json!(1), &json!(4)));
    assert_eq!(set["limits"]["exec"]["admit"], 60, "what is not named stays: {set}");
    assert_eq!(
        [get(&here).await, get(&here).await, get(&there).await],
        ["done", "done", "rate_limited"],
        "exact across the change"
    );
    let same = ask(&there, &staff, Method::PATCH, "/api/v1/limits", Some(wanted(4))).await.json();
    assert_eq!((&same["version"], &same["before"]), (&json!(2), &json!(2)), "what holds already is no other version: {same}");
    ask(&here, &staff, Method::PATCH, "/api/v1/limits", Some(wanted(3))).await;
    assert_eq!(get(&there).await, "rate_limited", "what was taken before counts");
    ask(&here, &staff, Method::PATCH, "/api/v1/limits", Some(wanted(100))).await;
    let set = house.events("limits_set").await;
    assert!(matches!(&set[1].kind, EventKind::LimitsSet { by: Some(by), .. } if *by == house.staff.user), "{set:?}");

    assert_eq!(said(&call(&here, &house.one.key, "vm_list", json!({})).await), "policy_denied");
    let loaded = ask(&there, &staff, Method::POST, "/api/v1/policies/reload", Some(json!({}))).await.json();
    assert_eq!((&loaded["version"], &loaded["before"]["version"]), (&json!(2), &json!(1)), "{loaded}");
    assert_ne!(loaded["sha256"], loaded["before"]["sha256"]);
    for base in [&here, &there] {
        let list = async || said(&call(base, &house.one.key, "vm_list", json!({})).await) == "done";
        until(TIMEOUT, "the node serves what the other one put in force", list).await;
    }
    let policies = read(&here, &staff, "/api/v1/policies").await;
    assert_eq!((&policies["version"], &policies["node"]["differs"]), (&json!(2), &json!(true)), "{policies}");
    assert_eq!(policies["user"], json!(house.staff.user), "{policies}");
    // Starting a node is still no way to change anything.
    let third = house.beside_with(&own(&database, &one, 1)).await;
    assert_eq!(said(&call(&at(&third), &house.one.key, "vm_list", json!({})).await), "done");
    assert_eq!((house.events("policy_loaded").await.len(), house.events("limits_set").await.len()), (2, 4));
    third.shutdown().await;
    other.shutdown().await;
}

async fn the_command_line_says_and_sets(database: String) {
    // As a node serves: as a role that owns nothing.
    let roles = if database.is_empty() { None } else { Some(crate::postgres::fresh_roles().await) };
    if let Some(roles) = &roles {
        answer(&["migrate", "--database-url", &roles.owner, "--grant-to", &roles.name]);
    }
    let data = Data::new(roles.as_ref().map(|roles| &*roles.app));
    let at = ["--data", shown(data.path())];
    let with = |key: &str, value: &str, args: &[&str]| {
        let window = "FORELOG_LIMITS__EXEC__WINDOW_MS";
        let mut command = command(&[args, &at[..]].concat());
        if key.contains("LIMITS") {
            command.env(window, "60000");
        }
        let output = command.env(key, value).output().expect("it ran");
        (output.status.success(), text(if output.status.success() { &output.stdout } else { &output.stderr }))
    };
    assert_eq!(data.answer(&["limits", "show"])["version"], Value::Null, "no node has started");
    let server = crate::cli::Server::start(&[&["serve"], &at[..]].concat(), &data.path().join("serve.log")).await;
    let shown = data.answer(&["limits", "show"]);
    assert_eq!((&shown["version"], &shown["by"]), (&json!(1), &json!("the first start of a node")), "{shown}");
    let (ran, said) = with("FORELOG_LIMITS__EXEC__ADMIT", "10000", &["limits", "show"]);
    assert!(ran && said.contains("limits.exec.admit is 60 in force and 10000 in this configuration"), "{said}");
    let (ran, said) = with("FORELOG_LIMITS__EXEC__ADMIT", "10000", &["doctor"]);
    assert!(ran && said.contains("limits.exec.admit is 60 in force and 10000"), "{said}");
    assert!(said.contains("put in force by") && said.contains("would replace it"), "{said}");
    for (wrong, near) in [
        ("limits.exec.admit=0", "limits.exec"),
        ("limits.exec.admit=-3", "limits.exec.admit"),
        ("limits.exec.admit=99999999999999", "limits.exec.admit"),
        ("limits.exec.window_ms=99999999999", "limits.exec.window_ms"),
        ("limits.exec.admit=999999999999999999999999", "limits.exec.admit"),
        ("limits.exek.admit=3", "limits.exek"),
        ("limits.exec=3", "limits.exec"),
        ("limits.exec.admit=", "KEY=NUMBER"),
        ("limits", "KEY=NUMBER"),
        ("=3", "not one of the limits"),
        ("quotas.keys.account=0", "quotas.keys"),
        ("approval_ms=1", "approval_ms"),
    ] {
        let complaint = data.complaint(&["limits", "set", wrong]);
        assert!(complaint.contains(near), "{wrong}: {complaint}");
    }
    let huge = data.complaint(&["limits", "set", "limits.exec.admit=99999999999999999999"]);
    assert!(huge.contains("limits.exec.admit cannot be 99999999999999999999") && !huge.contains("1844"), "{huge}");
    for twice in [["limits.exec.admit=30", "limits.exec.admit=31"], ["approval_ms=5000", " approval_ms = 5000"]] {
        let complaint = data.complaint(&["limits", "set", twice[0], twice[1]]);
        assert!(complaint.contains("named twice"), "{complaint}");
    }
    let same = data.answer(&["limits", "set", "limits.exec.admit=60"]);
    assert_eq!((&same["version"], &same["before"], &same["changed"]), (&json!(1), &json!(1), &json!([])), "{same}");
    let set = data.answer(&["limits", "set", "limits.exec.admit=30", "quotas.keys.account=50"]);
    assert_eq!((&set["version"], &set["before"]), (&json!(2), &json!(1)), "{set}");
    assert_eq!(set["changed"][0], json!({ "key": "limits.exec.admit", "before": 60, "now": 30 }), "{set}");
    let shown = data.answer(&["limits", "show"]);
    assert!(shown["by"].as_str().is_some_and(|by| by.ends_with(", on the data itself")), "{shown}");
    let (ran, said) = with("FORELOG_APPROVAL_MS", "5000", &["limits", "load"]);
    assert!(ran && said.contains("version 3") && said.contains("approval_ms: 5000 (was 86400000)"), "{said}");
    let (_, said) = with("FORELOG_APPROVAL_MS", "5000", &["doctor"]);
    assert!(said.contains("limits version 3, put in force by") && said.contains("policies version 1"), "{said}");
    data.answer(&["limits", "load"]);

    let shown = data.answer(&["policy", "show"]);
    assert_eq!((&shown["version"], &shown["by"]), (&json!(1), &json!("the first start of a node")), "{shown}");
    let own = set_of(ONE, data.path());
    let (ran, said) = with("FORELOG_POLICIES_DIR", &own, &["policy", "show"]);
    assert!(ran && said.contains("the configured set is another one"), "{said}");
    let (ran, said) = with("FORELOG_POLICIES_DIR", &own, &["doctor"]);
    assert!(ran && said.contains("version 1 is in force and is not the configured set"), "{said}");
    let (ran, said) = with("FORELOG_POLICIES_DIR", &own, &["policy", "load"]);
    assert!(ran && said.contains("version 2 is in force") && said.contains("before: version 1"), "{said}");
    let made = data.answer(&["key", "create", "--account", &data.account, "--label", "agent"]);
    let key = made["api_key"].as_str().expect("a key");
    // The server has other files, and serves what was put in force beside it.
    until(TIMEOUT, "the server serves it", async || {
        server.call(key, "vm_list", json!({})).await["error"]["code"] == "policy_denied"
    })
    .await;
    server.stop().await;
    assert!(answer(&[&["log", "verify"], &at[..]].concat())["events"].as_u64() > Some(5));
    let looked = command(&[&["doctor"], &at[..]].concat()).output().expect("running forelog");
    let said = text(&looked.stdout);
    assert!(looked.status.success() && said.contains("version 2 is in force and is not the configured set"), "{said}");
    let owner = roles.iter().flat_map(|roles| ["--database-url", roles.owner.as_str()]);
    let mending: Vec<&str> = ["doctor", "--mend"].into_iter().chain(owner).collect();
    assert_eq!(data.answer(&mending)["mended"], json!([]), "the new rows follow from the log");
}

fn set_of(text: &str, dir: &Path) -> String {
    let own = dir.join("own-policies");
    std::fs::create_dir(&own).expect("a directory");
    write(&own, text);
    shown(&own).to_owned()
}
