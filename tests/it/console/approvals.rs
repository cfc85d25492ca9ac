//! The inbox of calls that wait for a person.

use std::sync::Arc;
use std::time::Duration;

use forelog::ambient::OsEntropy;
use forelog::app::local_admin::LocalAdmin;
use forelog::core::time::Clock;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{ConsoleServer, between};

const HOLDING: &str = r#"
@id("own") permit (principal, action, resource) when { principal.side == "customer" && resource in principal.account };
@id("ask") @hold("it <i>interrupts</i> service") permit (principal, action == Forelog::Action::"vm_power", resource)
when { resource in principal.account };"#;

const CASES: &str = "[[case]]\nname = \"power\"\nside = \"customer\"\nscopes = [\"vms:power\"]\ntool = \"vm_power\"\n\
    vm = { owner = \"caller\" }\nexpect = \"hold\"\n";

/// A server whose policies hold every power change, and the directory they are in.
pub async fn holding() -> (ConsoleServer, tempfile::TempDir) {
    holding_and("").await
}

/// The same with more policies.
pub async fn holding_and(more: &str) -> (ConsoleServer, tempfile::TempDir) {
    let policies = tempfile::tempdir().expect("a directory");
    std::fs::write(policies.path().join("own.cedar"), format!("{HOLDING}\n{more}")).expect("policies");
    std::fs::write(policies.path().join("cases.toml"), CASES).expect("cases");
    let more = format!("policies_dir = \"{}\"\ninstant_wait_ms = 2000", policies.path().display());
    (ConsoleServer::with(&more).await, policies)
}

/// Asks for a reboot that is held; answers its call.
pub async fn ask(console: &ConsoleServer) -> String {
    let power = json!({ "vm_id": console.one.vm, "action": "reboot", "confirm": true });
    let held = console.call(&console.one.key, "vm_power", power).await;
    assert_eq!(held.code(), "approval_required", "{held:?}");
    held.json()["error"]["details"]["operation_id"].as_str().expect("an operation").to_owned()
}

/// How an operation ended, for a caller who asks until it has.
async fn end(console: &ConsoleServer, call: &str) -> String {
    let asking = async {
        loop {
            let shown = console.call(&console.one.key, "operation_get", json!({ "operation_id": call })).await.json();
            if shown["ended_at"].is_string() {
                return shown["status"].as_str().unwrap_or_default().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asking).await.expect("an end")
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_person_answers_for_a_call_once() {
    let (console, _policies) = holding().await;
    let owner = console.signed_in(&console.one.owner).await;
    assert!(owner.page("/console/approvals").await.contains("No call is waiting for approval."));
    let call = ask(&console).await;
    let page = owner.page("/console/approvals").await;
    for told in [&*call, "Reboot one-web-1", "it &#60;i&#62;interrupts", "&#34;action&#34;: &#34;reboot&#34;", "one&#39;s agent"]
    {
        assert!(page.contains(told), "{told} is not told: {page}");
    }
    let link = owner.get(&format!("/console/approvals/{call}")).await;
    assert_eq!(link.header("location"), format!("/console/approvals#{call}"));

    let (path, yes) = (format!("/console/approvals/{call}"), [("verdict", "approve"), ("reason", "agreed with Ada")]);
    assert_eq!(owner.post(&path, &yes).await.status, StatusCode::FORBIDDEN, "a form without its token");
    assert_eq!(owner.submit(&path, &yes).await.status, StatusCode::SEE_OTHER);
    assert!(owner.page("/console/approvals").await.contains("Approved. The call is decided again now"), "nothing is said");
    assert_eq!(end(&console, &call).await, "succeeded");
    assert!(owner.page("/console/approvals").await.contains("No call is waiting for approval."));
    let late = owner.submit(&path, &[("verdict", "reject")]).await;
    assert!(late.text.contains("role=\"alert\"") || late.status.is_client_error(), "a second answer is told nothing: {late:?}");
    assert_eq!(console.events("approval_decided").await.len(), 1);

    let call = ask(&console).await;
    owner.submit(&format!("/console/approvals/{call}"), &[("verdict", "reject"), ("reason", "not at noon")]).await;
    assert_eq!(end(&console, &call).await, "refused");
    let decided = console.shows(&owner, "/console/approvals", "Rejected</span>").await;
    assert!(decided.contains("Approved</span>") && decided.contains(&format!("/console/calls/{call}")), "{decided}");
    let rows = between(&decided, "Outcome now</th>", "</table>");
    assert!(rows.contains("</svg>Refused</span>") && rows.contains(">reboot</span>"), "what was decided is not said: {rows}");

    let call = ask(&console).await;
    owner.submit(&format!("/console/approvals/{call}"), &[("verdict", "reject")]).await;
    let told = owner.page("/console/approvals").await;
    assert!(told.contains("The call is refused.") && !told.contains("is told the reason."), "a reason that nobody gave: {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_nobody_else_answers() {
    let (console, _policies) = holding().await;
    let call = ask(&console).await;
    let other = console.signed_in(&console.other.owner).await;
    let member = console.hire(&console.one.account, "member").await;
    let member = console.signed_in(&member).await;
    assert!(!other.page("/console/approvals").await.contains(&call), "another tenant sees it");
    assert!(!member.page("/console/approvals").await.contains("name=\"verdict\""), "a member is offered it");
    let told = member.page("/console/approvals").await;
    assert!(told.contains("An owner of the account can.") && !told.contains("No call is waiting"), "{told}");
    for browser in [&other, &member] {
        let tried = browser.submit(&format!("/console/approvals/{call}"), &[("verdict", "approve")]).await;
        assert!(tried.status.is_client_error(), "{tried:?}");
    }
    assert_eq!(console.events("approval_decided").await.len(), 0);
    let owner = console.signed_in(&console.one.owner).await;
    assert!(owner.page("/console/approvals").await.contains(&call), "it waits on");
}

/// What every customer's agents are about to do is read for a reason, and on the record.
#[tokio::test(flavor = "multi_thread")]
async fn console_staff_say_why_they_look_at_what_waits() {
    let console = ConsoleServer::open().await;
    let staff = console.signed_in(&console.staff).await;
    let asked = staff.get("/console/approvals").await;
    assert_eq!(asked.status, StatusCode::SEE_OTHER, "{asked:?}");
    assert!(asked.header("location").starts_with("/console/reason?next="), "{asked:?}");
    let staff = console.investigator().await;
    assert!(staff.page("/console/approvals").await.contains("No call is waiting for approval."));
    let reads = console.events("log_read").await;
    let last = serde_json::to_value(reads.last().expect("a reading")).expect("a leaf");
    assert_eq!((&last["what"], &last["user"]), (&json!("approvals"), &json!(console.staff.user)));
    let exporter = console.hire(&console.staff.account, "exporter").await;
    let exporter = console.signed_in(&exporter).await;
    let made = staff.submit("/console/exports", &[("form", "csv")]).await;
    let file = format!("{}/file", made.header("location"));
    let asked = exporter.get(&file).await;
    assert!(asked.header("location").starts_with("/console/reason?next="), "taken away without a reason: {asked:?}");
    exporter.submit("/console/reason", &[("reason", "a drill")]).await;
    for browser in [&staff, &exporter] {
        assert_eq!(browser.get(&file).await.status, StatusCode::OK);
    }
}

/// A call that waits is shown to staff on its own page, and answered there, by the rule of the inbox.
#[tokio::test(flavor = "multi_thread")]
async fn console_staff_say_why_before_they_see_or_answer_a_call_that_waits() {
    let (console, _policies) = holding().await;
    let call = ask(&console).await;
    let staff = console.signed_in(&console.staff).await;
    for page in [format!("/console/calls/{call}"), format!("/console/calls/{call}/raw")] {
        let asked = staff.get(&page).await;
        assert!(asked.header("location").starts_with("/console/reason?next="), "{page}: {asked:?}");
    }
    for form in [format!("/console/calls/{call}/answer"), format!("/console/approvals/{call}")] {
        let asked = staff.submit(&form, &[("verdict", "approve")]).await;
        assert!(asked.header("location").starts_with("/console/reason?next="), "{form}: {asked:?}");
    }
    assert!(console.events("approval_decided").await.is_empty());
    let told = console.investigator().await.page(&format!("/console/calls/{call}")).await;
    assert!(told.contains("reboot"), "{told}");
}

/// The log's time is a day ahead of the clock that was accepted: whether a call still waits is judged by the clock, as the inbox does.
#[tokio::test(flavor = "multi_thread")]
async fn console_what_waits_is_judged_by_the_clock_that_was_accepted() {
    let (console, _policies) = holding().await;
    let (staff, ahead) = (console.key_of_staff().await, 25 * 3_600_000_000);
    console.clock.jump(ahead);
    let wrong = json!({ "time": console.clock.now().rfc3339(), "reason": "it looked right" });
    let accepted = console.rest(&staff, Method::POST, "/clock", Some(wrong)).await;
    assert_eq!(accepted.status, StatusCode::OK, "{accepted:?}");
    console.clock.jump(-ahead);
    let clock = Arc::clone(&console.clock) as Arc<dyn Clock>;
    let config = super::config(&console.dir, &console.more);
    let local_admin = LocalAdmin::open(&config, clock, Arc::new(OsEntropy)).await.expect("a desk");
    local_admin.accept_clock(console.clock.now(), "it was a day ahead").await.expect("accepted");
    local_admin.close().await;

    let call = ask(&console).await;
    let owner = console.signed_in(&console.one.owner).await;
    console.shows(&owner, "/console/approvals", &call).await;
    let overview = owner.page("/console/").await;
    assert!(overview.contains("1 call waits for approval"), "{overview}");
    let page = owner.page(&format!("/console/calls/{call}")).await;
    assert!(page.contains("This call waits for a person"), "{page}");
}

/// An answer that is refused is shown again with what was typed and why, in the inbox and on the call's page alike.
#[tokio::test(flavor = "multi_thread")]
async fn console_a_refused_answer_keeps_what_was_typed() {
    let (console, _policies) = holding().await;
    let call = ask(&console).await;
    let owner = console.signed_in(&console.one.owner).await;
    let forms = [format!("/console/approvals/{call}"), format!("/console/calls/{call}/answer")];
    let long = "x".repeat(501);
    for form in &forms {
        let refused = owner.submit(form, &[("verdict", "reject"), ("reason", &long)]).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{form}: {refused:?}");
        assert!(refused.text.contains(&long) && refused.text.contains("at most 500 characters"), "{form}: {refused:?}");
        let unread = owner.submit(form, &[("verdict", "perhaps"), ("reason", "not at noon")]).await;
        assert_eq!(unread.status, StatusCode::BAD_REQUEST, "{form}: {unread:?}");
        assert!(unread.text.contains("value=\"not at noon\"") && unread.text.contains("role=\"alert\""), "{form}: {unread:?}");
    }
    assert!(console.events("approval_decided").await.is_empty());
    let done = owner.submit(&forms[1], &[("verdict", "reject"), ("reason", "not at noon")]).await;
    assert_eq!(done.header("location"), format!("/console/calls/{call}#answered"), "{done:?}");
    for form in &forms {
        let late = owner.submit(form, &[("verdict", "approve")]).await;
        assert_eq!(late.status, StatusCode::CONFLICT, "{form}: {late:?}");
        assert!(late.text.contains("role=\"alert\"") && late.text.contains("<nav"), "{form}: {late:?}");
    }
    assert_eq!(console.events("approval_decided").await.len(), 1);
}
