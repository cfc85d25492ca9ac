//! Forms: what was typed is kept beside what is wrong with it, what was done is said once, errors keep the way on; and accounts
//! are found by what staff know of them.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Browser, ConsoleServer};

impl ConsoleServer {
    /// A page once it has a text: what it shows comes from the views, a moment after the log.
    pub async fn shows(&self, browser: &Browser, path: &str, text: &str) -> String {
        let asking = async {
            loop {
                let page = browser.page(path).await;
                if page.contains(text) {
                    return page;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), asking).await.expect("the text")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_refused_form_keeps_what_was_typed_beside_what_is_wrong() {
    let console = ConsoleServer::open().await;
    let owner = console.signed_in(&console.one.owner).await;
    let key = [("label", "my <laptop>"), ("preset", "read"), ("days", "365"), ("ips", "10.0.0.300")];
    let refused = owner.submit("/console/keys", &key).await;
    assert!(refused.status.is_client_error(), "{refused:?}");
    for kept in [
        "value=\"my &#60;laptop&#62;\"",
        "value=\"10.0.0.300\"",
        "value=\"365\" selected",
        "value=\"read\" aria-describedby=\"preset-read\" checked",
    ] {
        assert!(refused.text.contains(kept), "{kept} is lost: {}", refused.text);
    }
    let fault = super::between(&refused.text, "id=\"fault-ips\" role=\"alert\">", "<");
    assert!(fault.contains("192.0.2.0/24") && refused.text.contains("aria-errormessage=\"fault-ips\""), "{fault}");
    let days = owner.submit("/console/keys", &[("label", "laptop"), ("preset", "read"), ("days", "0")]).await;
    assert!(days.status == StatusCode::BAD_REQUEST && days.text.contains("id=\"fault-days\""), "{days:?}");
    assert!(!owner.page("/console/keys").await.contains("my &#60;laptop"), "a refused form has made a key");

    let form = owner.page("/console/people").await;
    let account = super::between(&form, "name=\"account\" value=\"", "\"").to_owned();
    let refused =
        owner.submit("/console/people", &[("account", &*account), ("email", "not an address"), ("role", "owner")]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{refused:?}");
    for kept in ["value=\"not an address\"", "id=\"fault-email\"", "<option value=\"owner\" selected>"] {
        assert!(refused.text.contains(kept), "{kept} is lost: {}", refused.text);
    }

    let member = console.hire(&console.one.account, "member").await;
    let refused = owner.submit(&format!("/console/people/{}/role", member.user), &[("role", "emperor")]).await;
    assert!(refused.status.is_client_error() && refused.text.contains("id=\"fault-role\""), "{refused:?}");
    assert!(refused.text.contains("<option value=\"member\" selected>"), "the role that the person has: {refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_presets_give_what_they_say_and_only_scopes_of_use_are_offered() {
    let console = ConsoleServer::open().await;
    let owner = console.signed_in(&console.one.owner).await;
    let page = owner.page("/console/keys").await;
    assert!(page.contains("value=\"vms:exec\"") && page.contains("value=\"people:write\""), "{page}");
    for idle in ["sandboxes:read", "daemons:write", "messages:read", "billing:read"] {
        assert!(!page.contains(&format!("value=\"{idle}\"")), "{idle} has no use and is offered");
    }
    let scopes = async |preset: &str| {
        let made = owner
            .submit("/console/keys", &[("label", preset), ("preset", preset), ("days", "30"), ("scope", "keys:write")])
            .await;
        assert_eq!(made.status, StatusCode::OK, "{made:?}");
        let event = console.events("credential_created").await.pop().expect("a key");
        let leaf = serde_json::to_value(event).expect("a leaf");
        (leaf["scopes"].clone(), leaf["read_only"] == true)
    };
    assert_eq!(scopes("read").await, (json!(["account:read", "vms:read", "audit:read"]), true));
    let usual = json!(["account:read", "vms:read", "vms:power", "vms:exec", "audit:read"]);
    assert_eq!(scopes("operate").await, (usual, false));
    let (all, _) = scopes("everything").await;
    assert!(all.as_array().is_some_and(|all| all.contains(&json!("vms:write")) && !all.contains(&json!("keys:write"))), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_what_a_form_has_done_is_said_once_and_to_its_session_alone() {
    let console = ConsoleServer::open().await;
    let (owner, other) = (console.signed_in(&console.one.owner).await, console.signed_in(&console.other.owner).await);
    owner.submit("/console/keys", &[("label", "<b>lost</b>"), ("preset", "read"), ("days", "30")]).await;
    let listed = owner.page("/console/keys").await;
    let own = listed.split("<tr>").find(|row| row.contains("lost&#60;/b&#62;")).expect("the key");
    let path = super::between(own, "class=\"button ends\" href=\"", "\"").to_owned();
    assert!(owner.page(&path).await.contains("Revoke key"));
    let token = owner.form_token().await;
    let revoked = owner.post(&path, &[("form_token", &token)]).await;
    assert_eq!(revoked.header("location"), "/console/keys");
    assert!(!other.page("/console/keys").await.contains("Revoked: key"), "another session is told");
    assert!(
        owner.page("/console/keys").await.contains("Revoked: key \u{201c}&#60;b&#62;lost&#60;/b&#62;\u{201d}."),
        "nothing is said"
    );
    assert!(!owner.page("/console/keys").await.contains("Revoked: key"), "it is said again");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_an_error_page_keeps_the_navigation_of_who_is_signed_in() {
    let console = ConsoleServer::open().await;
    let owner = console.signed_in(&console.one.owner).await;
    for path in ["/console/nowhere", "/console/accounts", "/console/switches"] {
        let answer = owner.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}: {answer:?}");
        assert!(
            answer.text.contains("<nav aria-label=\"Main\">") && answer.text.contains("Page not found"),
            "{path}: {answer:?}"
        );
    }
    let forged = owner.post("/console/keys", &[("label", "x")]).await;
    assert!(forged.status == StatusCode::FORBIDDEN && forged.text.contains("<nav aria-label=\"Main\">"), "{forged:?}");
    let stranger = console.browser().get("/console/nowhere").await;
    assert!(stranger.status == StatusCode::NOT_FOUND && !stranger.text.contains("<nav aria-label=\"Main\">"), "{stranger:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_staff_find_accounts_by_name_address_and_vm_for_a_reason() {
    let console = ConsoleServer::open().await;
    let staff = console.signed_in(&console.staff).await;
    let asked = staff.get("/console/accounts?q=one").await;
    assert!(asked.header("location").starts_with("/console/reason?next="), "{asked:?}");
    assert_eq!(console.events("log_read").await.len(), 0, "read without a reason");
    let staff = console.investigator().await;
    let (one, other) = (console.one.account.to_string(), console.other.account.to_string());
    for q in ["one@example.com", "ONE-WEB-1", console.one.vm.as_ref(), &one] {
        let page = staff.page(&format!("/console/accounts?q={q}")).await;
        assert!(
            page.contains(&format!("/console/accounts/{one}")) && !page.contains(&format!("/console/accounts/{other}")),
            "{q}: {page}"
        );
    }
    for q in ["100%25", "_ne-web", "%25"] {
        assert!(staff.page(&format!("/console/accounts?q={q}")).await.contains("No account has"), "{q} is a pattern");
    }
    let last = serde_json::to_value(console.events("log_read").await.pop().expect("a reading")).expect("a leaf");
    assert_eq!(last["what"], "accounts");
    let key = crate::console::staff_key(&console).await;
    let before = console.events("log_read").await.len();
    let listed = console.read(&key, "/api/v1/accounts?q=ONE@example.com&reason=a%20ticket").await.json();
    assert_eq!(
        (&listed["items"][0]["id"], &listed["items"][1], &listed["more"]),
        (&json!(one), &Value::Null, &json!(0)),
        "{listed}"
    );
    assert_eq!((&listed["items"][0]["name"], &listed["items"][0]["vms"]), (&json!("one"), &json!(1)), "{listed}");
    assert_eq!(console.events("log_read").await.len(), before + 1, "a reading of accounts is not written down");
    assert_eq!(console.read(&console.one.key, "/api/v1/accounts").await.code(), "forbidden_scope");
    let owner = console.signed_in(&console.one.owner).await;
    assert_eq!(owner.get("/console/accounts").await.status, StatusCode::NOT_FOUND);
    // A name leads to the line with the id that it stands for, and a class to its tools.
    let name = super::between(&staff.page(&format!("/console/accounts/{one}")).await, "<h1>", "<").to_owned();
    let line =
        reqwest::Url::parse_with_params("http://x/", [("q", format!("account:\"{name}\" class:exec"))]).expect("an address");
    let led = staff.get(&format!("/console/search?{}", line.query().unwrap_or_default())).await;
    assert!(led.header("location").contains(&one) && led.header("location").contains("vm_exec"), "{led:?}");
    // No tool destroys yet: a line that can be read, and finds nothing.
    let led = staff.get("/console/search?q=class:destroy").await.header("location").to_owned();
    let found = staff.page(&led).await;
    assert!(found.contains("tool:unknown -tool:unknown") && !found.contains("Column "), "{led}: {found}");
    let led = staff.get("/console/search?q=-class:destroy+nginx").await.header("location").to_owned();
    assert!(led.ends_with("?q=nginx"), "{led}");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_search_that_cannot_be_saved_keeps_what_was_typed() {
    let console = ConsoleServer::open().await;
    let staff = console.investigator().await;
    let (line, long) = ("tool:vm_get", "x".repeat(81));
    for (name, status) in [("", StatusCode::BAD_REQUEST), (&long, StatusCode::UNPROCESSABLE_ENTITY)] {
        let refused = staff.submit("/console/searches", &[("name", name), ("line", line)]).await;
        assert_eq!(refused.status, status, "{refused:?}");
        let kept = [format!("id=\"name\" name=\"name\" value=\"{name}\""), format!("name=\"line\" value=\"{line}\"")];
        assert!(kept.iter().all(|part| refused.text.contains(part)), "{kept:?}: {refused:?}");
        assert!(refused.text.contains("role=\"alert\"") && !refused.text.contains("No call fits"), "{refused:?}");
    }
    let saved = staff.submit("/console/searches", &[("name", "reads"), ("line", line)]).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{saved:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_stop_without_a_reason_is_asked_for_again_on_its_page() {
    let console = ConsoleServer::open().await;
    let vm = console.one.vm.as_str();
    let owner = console.signed_in(&console.one.owner).await;
    let refused = owner.submit(&format!("/console/vms/{vm}/stop"), &[("reason", " "), ("running", "let_finish")]).await;
    assert!(refused.status.is_client_error(), "{refused:?}");
    for kept in ["id=\"stop\" open", "id=\"fault-reason\"", "value=\"let_finish\" selected"] {
        assert!(refused.text.contains(kept), "{kept} is lost: {}", refused.text);
    }
    let staff = console.signed_in(&console.staff).await;
    let asked = [("reason", " "), ("message", "paused <for> now")];
    let refused = staff.submit(&format!("/console/vms/{vm}/stop-commands"), &asked).await;
    assert!(refused.status.is_client_error() && refused.text.contains("id=\"fault-reason\""), "{refused:?}");
    assert!(refused.text.contains("value=\"paused &#60;for&#62; now\""), "{refused:?}");
    assert_eq!(console.events("switch_engaged").await.len(), 0, "something was stopped");
}
