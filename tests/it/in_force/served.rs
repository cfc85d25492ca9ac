//! What a node serves: what the log says, or nothing at all.

use forelog::app::App;
use forelog::core::event::EventKind;
use forelog::core::id::{EventId, Position};
use forelog::core::scrub::Scrubbed;
use forelog::log::draft::NewEvent;
use forelog::log::store::Want;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{ALL, ONE, TIMEOUT, ask, at, call, is_ready, on_both, own, read, said, set, write};
use crate::console::{Browser, ConsoleServer};
use crate::harness::until;

on_both! {
    the_recorded_ones_bind_on_both, in_force_the_recorded_ones_bind_on_both, postgres_in_force_the_recorded_ones_bind_on_both;
    what_cannot_be_served_is_not_ready, in_force_what_cannot_be_served_is_not_ready,
        postgres_in_force_what_cannot_be_served_is_not_ready;
    a_large_set_is_served_from_the_log, in_force_a_large_set_is_served_from_the_log,
        postgres_in_force_a_large_set_is_served_from_the_log;
    two_first_starts_are_one, in_force_two_first_starts_are_one, postgres_in_force_two_first_starts_are_one;
}

async fn the_recorded_ones_bind_on_both(database: String) {
    let (one, all) = (set(ONE), set(ALL));
    let house = ConsoleServer::with(&own(&database, &one, 3)).await;
    let other = house.beside_with(&own(&database, &all, 10_000)).await;
    let (here, there) = (house.base.clone(), at(&other));
    assert_eq!(house.events("policy_loaded").await.len(), 1, "starting a node puts nothing in force");
    assert_eq!(house.events("limits_set").await.len(), 1, "starting a node puts nothing in force");
    assert_eq!(is_ready(&there).await.status, StatusCode::OK);

    let vm = json!({ "vm_id": house.one.vm });
    assert_eq!(said(&call(&there, &house.one.key, "vm_list", json!({})).await), "policy_denied");
    let mut admitted = 0;
    for base in [&there, &here, &there, &here, &there] {
        let answer = call(base, &house.one.key, "vm_get", vm.clone()).await;
        admitted += u32::from(answer.status.is_success());
        assert!(answer.status.is_success() || answer.code() == "rate_limited", "{answer:?}");
    }
    assert_eq!(admitted, 3, "the recorded limit holds over both nodes");
    let told = call(&there, &house.other.key, "vm_get", json!({ "vm_id": house.other.vm })).await;
    assert!(told.status.is_success());

    let staff = house.key_of_staff().await;
    let (limits, policies) = (read(&there, &staff, "/api/v1/limits").await, read(&there, &staff, "/api/v1/policies").await);
    assert_eq!((&limits["version"], &limits["limits"]["credential"]["admit"]), (&json!(1), &json!(3)), "{limits}");
    let difference = json!([{ "key": "limits.credential.admit", "in_force": 3, "configured": 10_000 }]);
    assert_eq!((&limits["node"]["differs"], &limits["node"]["differences"]), (&json!(true), &difference), "{limits}");
    assert_eq!((&policies["version"], &policies["node"]["differs"]), (&json!(1), &json!(true)), "{policies}");
    assert_eq!((&policies["node"]["serves"], &policies["node"]["trouble"]), (&json!(true), &Value::Null), "{policies}");
    assert!(limits["since"].is_string() && limits["by"] == "the first start of a node", "{limits}");
    for path in ["/api/v1/limits", "/api/v1/policies"] {
        assert_eq!(read(&here, &staff, path).await["node"]["differs"], false, "{path}");
        assert_eq!(ask(&here, &house.one.key, Method::GET, path, None).await.code(), "forbidden_scope", "{path}");
    }

    let browser = Browser::at(&there);
    assert!(browser.sign_in(&house.staff.email, &house.staff.password).await.status.is_redirection());
    let page = browser.page("/console/rules").await;
    assert!(page.contains("Calls by one key") && page.contains("10,000 per hour"), "{page}");
    assert!(page.contains("policy files are not the policies in force") && page.contains("vm_get"), "{page}");
    let customer = house.signed_in(&house.one.owner).await;
    assert_eq!(customer.get("/console/rules").await.status, StatusCode::NOT_FOUND);
    other.shutdown().await;
}

/// Records a set as in force that no node of this version can load, as a newer one would.
async fn put_strange_set(house: &ConsoleServer) {
    let text = "permit (principal, action == Forelog::Action::\"of_the_future\", resource);\n";
    let ports = &house.app.node().control.ports;
    let id = EventId::new(ports.clock.now(), &*ports.entropy);
    let part = Scrubbed::of(json!([["own.cedar", text]]));
    let part = ports.reader.vault.seal(&house.staff.account, ports.clock.now(), &id, "policies", &part).await.expect("sealed");
    let sha256: String = hex::encode(Sha256::digest(text));
    let written = ports.writer.write(Want::default(), move |draft| {
        let version = draft.state().policy.as_ref().map_or(0, |set| set.version) + 1;
        let kind = EventKind::PolicyLoaded { version, sha256: sha256.as_str().into(), by: None, credential: None };
        draft.append(Position(0), NewEvent { id: id.clone(), kind, parts: vec![part.clone()], note: Scrubbed::default() })
    });
    written.await.expect("an event");
}

async fn what_cannot_be_served_is_not_ready(database: String) {
    let all = set(ALL);
    let house = ConsoleServer::with(&own(&database, &all, 100)).await;
    let staff = house.key_of_staff().await;
    put_strange_set(&house).await;
    let started = house.beside_with(&own(&database, &all, 100)).await;
    let vm = json!({ "vm_id": house.one.vm });
    for base in [house.base.clone(), at(&started)] {
        until(TIMEOUT, "it is not ready", async || is_ready(&base).await.status == StatusCode::SERVICE_UNAVAILABLE).await;
        assert_eq!(is_ready(&base).await.code(), "policy_unsettled");
        assert_eq!(said(&call(&base, &house.one.key, "vm_get", vm.clone()).await), "policy_unsettled");
        let told = read(&base, &staff, "/api/v1/policies").await;
        assert_eq!((&told["version"], &told["node"]["serves"]), (&json!(2), &json!(false)), "{told}");
        assert!(told["node"]["trouble"].as_str().is_some_and(|why| why.contains("cannot load")), "{told}");
    }
    // Stopping goes on, by staff and by a customer.
    for base in [house.base.clone(), at(&started)] {
        let engage = json!({ "target": format!("account:{}", house.other.account), "reason": "an incident" });
        let engaged = ask(&base, &staff, Method::POST, "/api/v1/switches", Some(engage)).await;
        assert!(engaged.status.is_success(), "{engaged:?}");
        let panic = call(&base, &house.one.key, "panic_engage", json!({ "vm_id": house.one.vm, "reason": "an incident" })).await;
        assert!(panic.status.is_success(), "{panic:?}");
        assert_eq!(
            said(&call(&base, &house.one.key, "policy_reload", json!({})).await),
            "forbidden_scope",
            "the scope still counts"
        );
    }
    let browser = house.signed_in(&house.staff).await;
    assert!(browser.page("/console/rules").await.contains("cannot load"));
    let loaded = call(&at(&started), &staff, "policy_reload", json!({})).await;
    assert_eq!((loaded.status, &loaded.json()["version"]), (StatusCode::OK, &json!(3)), "{loaded:?}");
    for base in [house.base.clone(), at(&started)] {
        until(TIMEOUT, "it is ready again", async || is_ready(&base).await.status == StatusCode::OK).await;
        let looked = call(&base, &staff, "switch_list", json!({})).await;
        assert!(looked.status.is_success(), "{looked:?}");
    }
    started.shutdown().await;
}

async fn a_large_set_is_served_from_the_log(database: String) {
    let (large, all) = (tempfile::tempdir().expect("a directory"), set(ALL));
    // More than a part of an event holds, in lines and in one line, with signs that JSON writes longer.
    let lines = (0..4000).map(|n| format!("// {n}: \"nothing\" \\ to see\n")).collect::<Vec<_>>().concat();
    write(large.path(), &format!("{lines}{ONE}"));
    std::fs::write(
        large.path().join("second.cedar"),
        format!("// {}\n{}", "é\"".repeat(40_000), ONE.replace("id(\"", "id(\"b-")),
    )
    .expect("policies");
    let house = ConsoleServer::with(&own(&database, &large, 100)).await;
    let other = house.beside_with(&own(&database, &all, 100)).await;
    assert_eq!(is_ready(&at(&other)).await.status, StatusCode::OK);
    assert_eq!(said(&call(&at(&other), &house.one.key, "vm_list", json!({})).await), "policy_denied");
    assert_eq!(said(&call(&at(&other), &house.one.key, "vm_get", json!({ "vm_id": house.one.vm })).await), "done");
    let loaded = house.events("policy_loaded").await;
    assert!(loaded[0].parts.len() > 3 && loaded[0].parts.iter().all(|part| !part.truncated), "{loaded:?}");
    other.shutdown().await;
}

async fn two_first_starts_are_one(database: String) {
    let (one, all) = (set(ONE), set(ALL));
    let dir = tempfile::tempdir().expect("a directory");
    let configs = [own(&database, &one, 3), own(&database, &all, 4)].map(|more| crate::console::config(&dir, &more));
    let start = |config: forelog::config::Config| async move {
        let clock = std::sync::Arc::new(forelog::ambient::SystemClock::start());
        App::start(&config, clock, std::sync::Arc::new(forelog::ambient::OsEntropy)).await.expect("a node")
    };
    let [first, second] = configs;
    // On SQLite the schema is made by whoever is first.
    let local_admin = forelog::app::local_admin::LocalAdmin::make(
        &first,
        std::sync::Arc::new(forelog::ambient::SystemClock::start()),
        std::sync::Arc::new(forelog::ambient::OsEntropy),
    )
    .await
    .expect("the rooms");
    local_admin.close().await;
    let (one, other) = tokio::join!(tokio::spawn(start(first)), tokio::spawn(start(second)));
    let (one, other) = (one.expect("it starts"), other.expect("it starts"));
    let all = one.node().control.ports.reader.events(Position(0), 1000).await.expect("the log");
    let count = |name: &str| all.iter().filter(|event| event.kind.name() == name).count();
    assert_eq!((count("policy_loaded"), count("limits_set")), (1, 1));
    for app in [one, other] {
        assert_eq!(is_ready(&at(&app)).await.status, StatusCode::OK);
        app.shutdown().await;
    }
}
