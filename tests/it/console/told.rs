//! Who is told that the staff have read something: whose it is, and nobody else, at every door; and what is erased of people.

use forelog::app::registry::KeySpec;
use forelog::core::event::EventKind;
use forelog::core::id::AccountId;
use forelog::core::scope::Scope;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::approvals::{ask, holding_and};
use super::{ConsoleServer, staff_key};

on_both! {
    readings_are_told_to_whom_they_are_of,
        console_readings_are_told_to_whom_they_are_of, postgres_console_readings_are_told_to_whom_they_are_of;
    an_address_is_in_no_record_of_an_invitation,
        console_an_address_is_in_no_record_of_an_invitation, postgres_console_an_address_is_in_no_record_of_an_invitation;
}

/// What the staff have read, and whose that was.
async fn reads(console: &ConsoleServer) -> Vec<(Option<AccountId>, String)> {
    let all = console.events("log_read").await.into_iter();
    let read = all.filter_map(|event| match event.kind {
        EventKind::LogRead { account, what, .. } => Some((account, what.to_string())),
        _ => None,
    });
    read.collect()
}

async fn readings_are_told_to_whom_they_are_of(console: ConsoleServer) {
    let (other, staff) = (&console.other, staff_key(&console).await);
    let seen = console.call(&other.key, "account_get", json!({})).await;
    let call = seen.header("forelog-call-id").to_owned();
    let key = seen.json()["credential"]["id"].as_str().expect("an id").to_owned();
    let (account, vm) = (&other.account, &other.vm);
    let mut switches = Vec::new();
    for target in [format!("account:{account}"), format!("credential:{key}"), format!("vm:{vm}"), format!("vm:{vm}/exec")] {
        let engaged = console.call(&staff, "switch_engage", json!({ "target": target, "reason": "an incident" })).await;
        switches.push((target, engaged.json()["id"].as_str().expect("a switch").to_owned()));
    }
    let over = console.call(&staff, "switch_release", json!({ "id": switches[0].1, "reason": "done" })).await;
    assert_eq!(over.status, StatusCode::OK, "{over:?}");

    let mut paths = vec![
        format!("/console/accounts/{account}"),
        format!("/console/credentials/{key}"),
        format!("/console/vms/{vm}"),
        format!("/console/calls/{call}"),
        format!("/console/search?q=account:{account}"),
        format!("/api/v1/accounts/{account}"),
        format!("/api/v1/keys/{key}"),
        format!("/api/v1/calls/{call}"),
        format!("/api/v1/calls?account={account}"),
        format!("/api/v1/calls/histogram?credential={key}"),
        format!("/api/v1/events?account={account}"),
    ];
    for subject in [account.as_str(), vm.as_str(), &key, &switches[1].1] {
        paths.push(format!("/console/events?subject={subject}"));
        paths.push(format!("/api/v1/events?subject={subject}"));
    }
    for (field, value) in [("credential", key.as_str()), ("vm", vm.as_str())] {
        paths.push(format!("/api/v1/calls?{field}={value}"));
        paths.push(format!("/console/search?q={field}:{value}"));
    }
    for (target, id) in &switches {
        paths.push(format!("/console/switches/{id}"));
        paths.push(format!("/console/switches/new?target={target}"));
        paths.push(format!("/api/v1/switches/reach?target={target}"));
    }
    let browser = console.investigator().await;
    for path in &paths {
        let before = reads(&console).await.len();
        let answer = if path.starts_with("/api") { console.read(&staff, path).await } else { browser.get(path).await };
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
        let new = reads(&console).await.split_off(before);
        assert!(!new.is_empty() && new.iter().all(|(whose, _)| whose.as_ref() == Some(account)), "{path}: {new:?}");
    }
    // What is nobody's is told without its id.
    let unknown = ["calls/call_01ARZ3NDEKTSV4RRFFQ69G5FAV", "keys/key_01ARZ3NDEKTSV4RRFFQ69G5FAV"];
    for path in unknown {
        assert_eq!(console.read(&staff, &format!("/api/v1/{path}")).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    for (whose, what) in reads(&console).await {
        let names = [key.as_str(), &call, vm.as_str(), account.as_str(), "01ARZ3NDEKTSV4RRFFQ69G5FAV"];
        let is_named = names.into_iter().chain(switches.iter().map(|(_, id)| id.as_str())).any(|name| what.contains(name));
        assert!(whose.as_ref() == Some(account) || !is_named, "{what} is told to {whose:?}");
    }
    // And so no stranger reads an id.
    console.clock.pass(std::time::Duration::from_hours(24 * 400));
    let strange = console.signed_in(&console.one.owner).await.page("/console/events?type=log_read").await;
    for (_, id) in &switches {
        assert!(!strange.contains(id), "{strange}");
    }
}

/// What every customer's agents are about to do is on the record by whatever door the staff look.
#[tokio::test(flavor = "multi_thread")]
async fn console_staff_who_list_what_waits_are_on_the_record_at_every_door() {
    let staff_may = r#"@id("staff") permit (principal, action, resource) when { principal.side == "staff" };"#;
    let (console, _policies) = holding_and(staff_may).await;
    let call = ask(&console).await;
    let spec = KeySpec { scopes: [Scope::StaffApprove].into(), ..KeySpec::full(console.staff.account.clone(), "answers") };
    let (answers, audits) = (console.key_of(spec).await, staff_key(&console).await);
    let browser = console.investigator().await;
    let count = async || reads(&console).await.into_iter().filter(|(_, what)| what == "approvals").count();
    let said = async || {
        let told = console.read(&audits, "/api/v1/events?type=log_read&limit=10").await.json();
        let items = told["items"].as_array().cloned().unwrap_or_default();
        items.iter().find(|item| item["subject"] == "approvals").map(|item| item["note"]["reason"].clone())
    };
    let mut before = count().await;
    for (door, reason) in [("tool", json!("case 7")), ("rest", json!("case 8")), ("page", Value::Null), ("mute", Value::Null)] {
        let text = match door {
            "tool" => console.call(&answers, "approval_list", json!({ "reason": reason })).await.text,
            "rest" => console.read(&answers, "/api/v1/approvals?reason=case%208").await.text,
            "mute" => console.call(&answers, "approval_list", json!({})).await.text,
            _ => browser.page("/console/approvals").await,
        };
        assert!(text.contains(&call), "{door}: {text}");
        assert_eq!(count().await, before + 1, "{door}");
        before += 1;
        if door != "page" {
            assert_eq!(said().await, Some(reason), "{door}");
        }
    }
    // Who answers for nobody sees nobody's, and the account's own reading is none.
    assert!(!console.call(&audits, "approval_list", json!({})).await.text.contains(&call));
    console.signed_in(&console.one.owner).await.page("/console/approvals").await;
    assert_eq!(count().await, before);
}

/// The vault has an address as long as it is needed; no record of a call keeps one beside it.
async fn an_address_is_in_no_record_of_an_invitation(console: ConsoleServer) {
    let owner = console.signed_in(&console.one.owner).await;
    let fields = [("account", console.one.account.as_str()), ("role", "member")];
    for email in ["gone@example.org", "gone@ example.org"] {
        owner.submit("/console/people", &[&fields[..], &[("email", email)]].concat()).await;
    }
    let listed = console.read(&console.one.key, "/api/v1/calls?tool=person_invite").await.json();
    let calls = listed["items"].as_array().expect("calls").clone();
    assert_eq!(calls.len(), 2, "{listed}");
    for call in &calls {
        let id = call["call_id"].as_str().expect("an id");
        let kept = console.read(&console.one.key, &format!("/api/v1/calls/{id}")).await;
        assert_eq!(kept.json()["arguments"]["role"], "member", "{kept:?}");
        assert!(!kept.text.contains("example.org"), "{kept:?}");
        let page = owner.page(&format!("/console/calls/{id}")).await;
        assert!(!page.contains("example.org"), "{page}");
    }
    let made = owner.submit("/console/exports", &[("form", "jsonl")]).await;
    let file = owner.page(&format!("{}/file", made.header("location"))).await;
    assert!(file.contains("person_invite") && !file.contains("example.org"), "{file}");
    // Those who may know it still read it.
    assert!(owner.page("/console/people").await.contains("gone@example.org"));
}

/// What staff have read is told as what it was: a list is no export, and a search no page.
#[tokio::test(flavor = "multi_thread")]
async fn console_a_reading_is_told_as_what_it_was() {
    let console = ConsoleServer::open().await;
    let staff = console.investigator().await;
    let one = format!("account:{}", console.one.account);
    let made = staff.submit("/console/exports", &[("q", &one), ("form", "csv")]).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{made:?}");
    let reach = format!("/console/switches/new?target=account:{}", console.one.account);
    for path in ["/console/exports", made.header("location"), "/console/accounts?q=one", &reach] {
        staff.page(path).await;
    }
    staff.get("/console/search?q=account:one").await;
    let told = console.shows(&staff, "/console/events?type=log_read", "looked up a name or an ID in all accounts").await;
    let id = console.one.account.as_str();
    let stopped = format!("read what a switch on the account one (\u{2026}{}) would stop", &id[id.len() - 6..]);
    for text in [
        "made an export of calls of the account one",
        "read the list of exports of the account Hosting",
        "read the page of an export of the account Hosting",
        "staff@example.com searched the accounts",
        &stopped,
    ] {
        assert_eq!(told.matches(text).count(), 1, "{text}: {told}");
    }
    assert_eq!(told.matches("made an export").count(), 1, "{told}");
    let customer = console.signed_in(&console.one.owner).await.page("/console/events?type=log_read").await;
    for text in ["made an export of calls of this account", "read what a switch on this account would stop"] {
        assert!(customer.contains(&format!("Your provider&#39;s staff {text}")), "{text}: {customer}");
    }
}

/// Readings that follow each other are one line for whose log it is, and each is there for who unfolds it or asks for readings.
#[tokio::test(flavor = "multi_thread")]
async fn console_readings_in_a_row_are_one_line_that_unfolds() {
    let console = ConsoleServer::open().await;
    let staff = console.investigator().await;
    let pages = [("accounts", console.one.account.as_str()), ("vms", console.one.vm.as_str())];
    for _ in 0..2 {
        for (what, id) in pages {
            staff.page(&format!("/console/{what}/{id}")).await;
        }
    }
    let owner = console.signed_in(&console.one.owner).await;
    let folded = "<summary>Your provider&#39;s staff read the log of this account 4 times</summary>";
    let told = console.shows(&owner, "/console/events", folded).await;
    assert_eq!(told.matches("read the page of a VM of this account").count(), 2, "{told}");
    let each = owner.page("/console/events?type=log_read").await;
    assert!(!each.contains("4 times") && each.matches("<td class=\"kind\">Your provider").count() == 4, "{each}");
}
