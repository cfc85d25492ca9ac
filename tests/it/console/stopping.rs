//! What a person changes in the console: calls of tools, in the log like any other.

use forelog::core::event::EventKind;
use forelog::core::principal::Via;
use reqwest::StatusCode;
use serde_json::json;

use super::{ConsoleServer, between, nothing};

#[tokio::test(flavor = "multi_thread")]
async fn console_a_person_stops_all_agents_on_a_vm() {
    let console = ConsoleServer::open().await;
    let (vm, key) = (&console.one.vm, &console.one.key);
    let browser = console.signed_in(&console.one.owner).await;
    let get = || console.call(key, "vm_get", json!({ "vm_id": vm }));
    assert_eq!(get().await.status, StatusCode::OK);
    let stop = browser.submit(&format!("/console/vms/{vm}/stop"), &[("reason", "it runs wild"), ("running", "cancel")]).await;
    assert_eq!(stop.status, StatusCode::SEE_OTHER, "{stop:?}");
    assert_eq!(get().await.code(), "kill_switch_engaged");
    assert!(browser.page("/console/").await.contains("Every call on one-web-1 is stopped"));
    let staff = console.investigator().await;
    let listed = staff.page("/console/switches").await;
    let row = between(&listed, "it runs wild</td>", "</tr>");
    assert!(row.contains("one@example.com") && !row.contains("an agent"), "a person who stopped is called an agent: {row}");
    for path in ["/console/", "/console/search", "/console/account"] {
        let page = staff.page(path).await;
        assert!(page.contains("it runs wild") && page.contains(&format!("vm:{vm}")), "{path}: {page}");
    }
    let other = console.signed_in(&console.other.owner).await.page("/console/").await;
    assert!(!other.contains("is stopped") && !other.contains("it runs wild"), "another tenant learns of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_person_turns_commands_on_where_no_key_may() {
    let console = ConsoleServer::open().await;
    let (vm, key) = (&console.one.vm, &console.one.key);
    let on = json!({ "vm_id": vm, "enabled": true, "confirmation": format!("ENABLE MCP EXEC {vm}") });
    assert_eq!(console.call(key, "vm_exec_set", on).await.code(), "forbidden_role");
    let browser = console.signed_in(&console.one.owner).await;
    let path = format!("/console/vms/{vm}/exec");
    assert_eq!(browser.submit(&path, &[("enabled", "true")]).await.status, StatusCode::BAD_REQUEST, "nobody agreed");
    assert_eq!(browser.submit(&path, &[("enabled", "true"), ("agreed", "yes")]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(console.call(key, "vm_exec", json!({ "vm_id": vm, "command": "uptime" })).await.status, StatusCode::OK);
    assert_eq!(browser.submit(&path, &[("enabled", "false")]).await.status, StatusCode::SEE_OTHER, "less needs no consent");
    assert_eq!(console.call(key, "vm_exec", json!({ "vm_id": vm, "command": "uptime" })).await.code(), "mcp_exec_disabled");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_what_a_page_does_is_a_call_of_its_session() {
    let console = ConsoleServer::open().await;
    let browser = console.signed_in(&console.one.owner).await;
    browser.submit("/console/keys", &[("label", "laptop"), ("scope", "vms:read")]).await;
    let intents = console.events("intent_recorded").await;
    let EventKind::IntentRecorded(intent) = &intents.last().expect("a call").kind else { panic!("{intents:?}") };
    let listed = browser.page("/console/activity?tool=key_create").await;
    assert!(listed.contains("<td class=\"by\">one@example.com"), "who did it is not said: {listed}");
    let signed = console.events("signed_in").await;
    let EventKind::SignedIn { session, .. } = &signed[0].kind else { panic!("{signed:?}") };
    assert_eq!((intent.via, intent.tool.as_str()), (Via::Console, "key_create"));
    assert_eq!((&intent.user, &intent.session), (&console.one.owner.user, session));
    let acts = console.events("credential_created").await.into_iter().find_map(|event| match event.kind {
        EventKind::CredentialCreated(made) if made.credential == intent.credential => Some(made),
        _ => None,
    });
    assert!(acts.is_some_and(|made| made.role.is_some() && made.user == console.one.owner.user));
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_key_is_made_shown_once_used_and_revoked() {
    let console = ConsoleServer::open().await;
    let browser = console.signed_in(&console.one.owner).await;
    let vm = console.one.vm.to_string();
    let fields = [("label", "laptop <b>"), ("scope", "vms:read"), ("scope", "audit:read"), ("vm", vm.as_str()), ("days", "30")];
    let made = browser.submit("/console/keys", &fields).await;
    assert_eq!(made.status, StatusCode::OK, "{made:?}");
    let key = between(&made.text, "class=\"key\" value=\"", "\"").to_owned();
    assert_eq!(made.text.matches(&key).count(), 10, "the key, and the set-up of nine clients");
    let wait = between(&made.text, "hx-get=\"", "\"").to_owned();
    assert!(browser.page(&wait).await.contains("Waiting for the first call"));
    assert_eq!(console.call(&key, "vm_list", nothing()).await.status, StatusCode::OK);
    assert!(browser.page(&wait).await.contains("Connected."));
    assert_eq!(console.call(&key, "vm_power", json!({ "vm_id": vm, "action": "reboot" })).await.code(), "forbidden_scope");
    let listed = browser.page("/console/keys").await;
    assert!(!listed.contains(&key) && listed.contains("laptop"), "a key is shown again");
    let id = between(&wait, "/console/keys/", "/connected");
    assert_eq!(browser.submit(&format!("/console/keys/{id}/revoke"), &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(console.call(&key, "vm_list", nothing()).await.code(), "token_revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_person_keeps_a_key_that_another_one_made() {
    let console = ConsoleServer::open().await;
    let browser = console.signed_in(&console.one.owner).await;
    let made = browser.submit("/console/keys", &[("label", "maker"), ("scope", "vms:read"), ("scope", "keys:write")]).await;
    let maker = between(&made.text, "class=\"key\" value=\"", "\"").to_owned();
    let id = between(&made.text, "/console/keys/", "/connected").to_owned();
    let made = console.call(&maker, "key_create", json!({ "label": "child", "scopes": ["vms:read"] })).await;
    let (child, child_id) = (made.json()["api_key"].clone(), made.json()["id"].clone());
    let (child, child_id) = (child.as_str().expect("a key"), child_id.as_str().expect("an id"));
    assert!(browser.page("/console/keys").await.contains("made by key \u{201c}maker\u{201d}"));
    let adopt = format!("/console/keys/{child_id}/adopt");
    assert_eq!(console.call(&maker, "key_adopt", json!({ "id": child_id })).await.code(), "forbidden_role");
    assert_eq!(browser.submit(&format!("/console/keys/{id}/revoke"), &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(console.call(child, "vm_list", nothing()).await.code(), "token_revoked");
    let listed = browser.page("/console/keys").await;
    assert!(listed.contains("ended with key \u{201c}maker\u{201d}") && listed.contains(&adopt), "{listed}");
    assert_eq!(browser.submit(&adopt, &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(console.call(child, "vm_list", nothing()).await.status, StatusCode::OK);
    assert_eq!(console.events("credential_adopted").await.len(), 1);
    assert!(!browser.page("/console/keys").await.contains(&adopt), "it is the person's now");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_call_is_shown_from_its_intent_to_its_end() {
    let console = ConsoleServer::open().await;
    console.call(&console.one.key, "vm_get", json!({ "vm_id": console.one.vm })).await;
    console.call(&console.one.key, "vm_power", json!({ "vm_id": console.one.vm, "action": "reboot" })).await;
    let browser = console.signed_in(&console.one.owner).await;
    let show = async |filter: &str| {
        let listed = browser.page(&format!("/console/activity?{filter}")).await;
        browser.page(&format!("/console/calls/{}", between(&listed, "/console/calls/", "\""))).await
    };
    let done = show("tool=vm_get").await;
    let places: Vec<_> = ["Intent written down", "Checked and admitted", "Succeeded</h3>"].map(|step| done.find(step)).to_vec();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} {done}");
    let refused = show("outcome=refused").await;
    assert!(refused.contains("Checked and refused") && refused.contains("confirmation_required"), "{refused}");
}
