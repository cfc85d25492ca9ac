//! What things are called: a name is the account's whose it is, tells it from one that looks the same, and makes no key a person.

use forelog::app::registry::KeySpec;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{ConsoleServer, between, staff_key};

on_both! {
    swapped, console_names_that_were_swapped_in_the_database_name_nobody, postgres_console_names_that_were_swapped_in_the_database_name_nobody;
}

/// Both names swapped, by who can write the vault's rows and has not its key.
const SWAP: &str =
    "update account_name set name = case name when 'one' then 'other' else 'one' end where name in ('one', 'other')";

async fn swapped(console: ConsoleServer) {
    let (staff, key) = (console.investigator().await, staff_key(&console).await);
    let account = &console.one.account;
    let mut vault = console.app.node().control.ports.reader.vault.database().begin().await.expect("a transaction");
    assert_eq!(vault.execute(SWAP, Vec::new()).await.expect("a swap"), 2);
    vault.commit().await.expect("a commit");
    let found = console.rest(&key, Method::GET, "/accounts?q=other", None).await.json();
    let found: Vec<_> = found["items"].as_array().expect("accounts").iter().map(|item| (&item["id"], &item["name"])).collect();
    assert_eq!(found, [(&json!(console.other.account), &json!(null))], "it is found by its VM alone");
    assert_eq!(console.rest(&key, Method::GET, &format!("/accounts/{account}"), None).await.json()["name"], json!(null));
    let page = staff.page(&format!("/console/accounts/{account}")).await;
    assert_eq!(between(&page, "<h1>", "</h1>"), account.as_str());
    let stop = staff.page(&format!("/console/switches/new?target=account:{account}")).await;
    assert!(stop.contains(&format!(">{account}</a> <code>{account}</code>")), "{stop}");
    let led = staff.get("/console/search?q=account:other").await;
    assert_eq!(led.header("location"), "/console/accounts?q=other", "nobody has that name");
}

/// The second one's first letter is Cyrillic.
const ALIKE: [&str; 2] = ["Acme Ltd", "\u{410}cme Ltd"];

#[tokio::test(flavor = "multi_thread")]
async fn console_accounts_that_look_alike_are_told_apart_wherever_one_is_chosen() {
    let console = ConsoleServer::open().await;
    let ports = &console.app.node().control.ports;
    for (customer, name) in [&console.one, &console.other].into_iter().zip(ALIKE) {
        ports.reader.vault.name_account(&customer.account, &forelog::core::scrub::ScrubbedText::of(name)).await.expect("a name");
        console.call(&customer.key, "vm_get", json!({ "vm_id": customer.vm })).await;
    }
    let staff = console.investigator().await;
    let led = staff.get("/console/search?q=account:%22Acme+Ltd%22").await;
    assert_eq!(led.header("location"), "/console/accounts?q=Acme%20Ltd", "which of them is not guessed");
    let named = |page: &str| {
        for (customer, name) in [&console.one, &console.other].into_iter().zip(ALIKE) {
            let id = customer.account.as_str();
            assert!(page.contains(&format!("{name} (\u{2026}{})", &id[id.len() - 6..])), "{name} of {id}: {page}");
        }
    };
    for path in ["/console/search", "/console/tail", "/console/events", "/console/"] {
        console.shows(&staff, path, "cme Ltd (").await;
        named(&staff.page(path).await);
    }
    for (customer, name) in [&console.one, &console.other].into_iter().zip(ALIKE) {
        let id = customer.account.as_str();
        for target in [format!("account:{id}"), format!("vm:{}", customer.vm)] {
            let page = staff.page(&format!("/console/switches/new?target={target}")).await;
            assert!(page.contains(&format!("{name}</a> <code>{id}</code>")), "{target}: {page}");
        }
        let people = staff.page(&format!("/console/people?account={id}")).await;
        assert!(people.contains(&format!("People of {name} (\u{2026}{})", &id[id.len() - 6..])), "{people}");
    }
}

/// Each is the label of a key, and what it would be taken for.
const TRICKS: [&str; 5] =
    ["staff@example.com", "root on vm", "forelog", "staff", "x\u{201d} was revoked by staff@example.com \u{201c}y"];

#[tokio::test(flavor = "multi_thread")]
async fn console_a_key_is_shown_as_a_key_whatever_its_label_says() {
    let console = ConsoleServer::open().await;
    let (owner, staff) = (console.signed_in(&console.one.owner).await, console.investigator().await);
    for label in TRICKS {
        let shown = format!("\u{201c}{}\u{201d}", label.replace(['\u{201c}', '\u{201d}'], "&#34;"));
        let key = console.key_of(KeySpec::full(console.one.account.clone(), label)).await;
        let called = console.call(&key, "vm_get", json!({ "vm_id": console.one.vm })).await;
        let call = called.header("forelog-call-id").to_owned();
        let held = console.call(&key, "panic_engage", json!({ "target": "credential", "reason": "a test" })).await;
        assert_eq!(held.status, StatusCode::OK, "{held:?}");
        for (browser, path) in [
            (&owner, "/console/activity?tool=vm_get".to_owned()),
            (&owner, format!("/console/calls/{call}")),
            (&staff, "/console/search?q=tool:vm_get".to_owned()),
            (&staff, "/console/tail?q=tool:vm_get".to_owned()),
        ] {
            console.shows(browser, &path, &format!("key {shown}")).await;
        }
        let switches = staff.page("/console/switches").await;
        assert!(switches.contains(&format!("an agent with the key {shown}")), "{label}: {switches}");
        let id = console.app.node().control.ports.fence().state();
        let id = id.credentials.values().find(|row| row.label == label).expect("the key").created.credential.clone();
        let page = staff.page(&format!("/console/credentials/{id}")).await;
        assert!(page.contains(&format!("<h1>Key {shown}</h1>")), "{page}");
        let stop = staff.page(&format!("/console/switches/new?target=credential:{id}")).await;
        assert!(stop.contains(&format!("Stop the key {shown}?")), "{stop}");
        let revoked = owner.submit(&format!("/console/keys/{id}/revoke"), &[]).await;
        assert_eq!(revoked.status, StatusCode::SEE_OTHER, "{revoked:?}");
        let told = owner.page("/console/keys").await;
        assert!(told.contains(&format!("Revoked: key {shown}.")), "{told}");
        let events = console.shows(&owner, "/console/events?type=credential_revoked", &shown).await;
        assert!(events.contains(&format!("the key {shown}")), "{events}");
    }
    // What a person's sessions act with is no key of that label.
    console.key_of(KeySpec::full(console.one.account.clone(), "Console")).await;
    let listed = staff.page(&format!("/console/accounts/{}", console.one.account)).await;
    let person = console.app.node().control.ports.fence().state();
    let person = person
        .keys_of(&console.one.account)
        .find(|row| row.created.role.is_some())
        .expect("a session's")
        .created
        .credential
        .clone();
    assert!(!listed.contains(&format!("/console/credentials/{person}\">Console</a>")), "{listed}");
}

/// A line asks once, however many names are in it, and is one reading as long as it is looked at.
#[tokio::test(flavor = "multi_thread")]
async fn console_a_question_by_name_is_one_reading() {
    let console = ConsoleServer::open().await;
    let (staff, key) = (console.investigator().await, staff_key(&console).await);
    let many: Vec<String> = (0..50).map(|n| format!("account:name{n}")).collect();
    let asked = |name: &str| format!("/console/search?q={}+account:{name}", many.join("+"));
    for _ in 0..3 {
        assert_eq!(staff.get(&asked("one")).await.status, StatusCode::SEE_OTHER);
        console.read(&key, "/api/v1/accounts?q=one&reason=a%20ticket").await;
        staff.page("/console/accounts?q=one").await;
    }
    assert_eq!(console.events("log_read").await.len(), 3, "each question once");
    // Other words, another reason and another key are another question.
    console.read(&key, "/api/v1/accounts?q=one&reason=another").await;
    console.read(&key, "/api/v1/accounts?q=other&reason=a%20ticket").await;
    console.read(&staff_key(&console).await, "/api/v1/accounts?q=one&reason=a%20ticket").await;
    assert_eq!(console.events("log_read").await.len(), 6);
    console.clock.pass(std::time::Duration::from_secs(61));
    console.read(&key, "/api/v1/accounts?q=one&reason=a%20ticket").await;
    assert_eq!(console.events("log_read").await.len(), 7, "a minute later it is another one");
}
