//! Who sees what: two customers and the staff on one server (P9).

use forelog::core::event::EventKind;
use reqwest::StatusCode;
use serde_json::json;

use super::{ConsoleServer, between};

#[tokio::test(flavor = "multi_thread")]
async fn console_one_tenant_sees_nothing_of_another() {
    let console = ConsoleServer::open().await;
    console.call(&console.one.key, "vm_get", json!({ "vm_id": console.one.vm })).await;
    let (own, other) = (console.signed_in(&console.one.owner).await, console.signed_in(&console.other.owner).await);
    let listed = own.page("/console/activity").await;
    let call = between(&listed, "/console/calls/", "\"").to_owned();
    let key = between(&own.page("/console/keys").await, "/console/keys/", "/revoke").to_owned();
    let (vm, account) = (console.one.vm.to_string(), console.one.account.to_string());
    let absent = [
        (format!("/console/calls/{call}"), "/console/calls/call_00000000000000000000000000"),
        (format!("/console/vms/{vm}"), "/console/vms/vm_00000000000000000000000000"),
        (format!("/console/keys/{key}/connected"), "/console/keys/key_00000000000000000000000000/connected"),
    ];
    for (path, nothing) in absent {
        assert_eq!(own.get(&path).await.status, StatusCode::OK, "{path}");
        let (theirs, none) = (other.get(&path).await, other.get(nothing).await);
        assert_eq!((theirs.status, &theirs.text), (StatusCode::NOT_FOUND, &none.text), "{path}");
    }
    let filters = [format!("vm={vm}"), format!("credential={key}"), format!("account={account}"), "q=web-1".to_owned()];
    for filter in filters {
        let page = other.page(&format!("/console/activity?{filter}")).await;
        assert!(!page.contains(&call) && !page.contains("one-web-1"), "{filter}: {page}");
    }
    for line in [format!("vm:{vm}"), format!("credential:{key}"), format!("account:{account}"), "web-1".to_owned()] {
        let made = other.submit("/console/exports", &[("q", &line), ("form", "jsonl")]).await;
        assert_eq!(other.page(&format!("{}/file", made.header("location"))).await, "", "{line}");
    }
    for path in ["/console/", "/console/keys", "/console/activity"] {
        let page = other.page(path).await;
        assert!([&call, &key, &vm, &account].iter().all(|secret| !page.contains(secret.as_str())), "{path}: {page}");
    }
    let forms = [
        (format!("/console/vms/{vm}/stop"), vec![("reason", "x")]),
        (format!("/console/vms/{vm}/exec"), vec![("enabled", "true"), ("agreed", "yes")]),
        (format!("/console/keys/{key}/revoke"), vec![]),
    ];
    for (path, fields) in forms {
        assert_eq!(other.submit(&path, &fields).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(console.call(&console.one.key, "vm_get", json!({ "vm_id": vm })).await.status, StatusCode::OK);
}

on_both! {
    foreign_person, console_a_foreign_person_is_not_even_asked_about, postgres_console_a_foreign_person_is_not_even_asked_about;
}

/// What somebody asks for is recorded as theirs, so nothing of another account's may be in it (P9).
async fn foreign_person(console: ConsoleServer) {
    let other = console.signed_in(&console.other.owner).await;
    let asks = |kind: &EventKind| matches!(kind, EventKind::IntentRecorded(intent) if intent.tool.as_str() == "person_list");
    let intents = async || console.events("intent_recorded").await.iter().filter(|event| asks(&event.kind)).count();
    let before = intents().await;
    let mut told = Vec::new();
    for user in [console.one.owner.user.as_str(), console.staff.user.as_str(), "usr_00000000000000000000000000"] {
        for path in [format!("/console/people/{user}"), format!("/console/people/{user}/remove")] {
            let answer = other.get(&path).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
            told.push(answer.text.replace(user, "them"));
        }
        assert_eq!(other.submit(&format!("/console/people/{user}/remove"), &[]).await.status, StatusCode::NOT_FOUND);
    }
    assert!(told.windows(2).all(|two| two[0] == two[1]), "absent and not one's own look different");
    assert_eq!(intents().await, before, "something was asked about somebody of another account");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_staff_see_every_tenant_and_it_is_written_down() {
    let console = ConsoleServer::open().await;
    for customer in [&console.one, &console.other] {
        console.call(&customer.key, "vm_get", json!({ "vm_id": customer.vm })).await;
    }
    let staff = console.investigator().await;
    let listed = staff.page("/console/search").await;
    assert!(listed.contains("one-web-1") && listed.contains("other-db-1"), "{listed}");
    let before = console.events("log_read").await.len();
    let one = staff.page(&format!("/console/search?q=account:{}", console.one.account)).await;
    assert!(one.contains("one-web-1") && !one.contains("other-db-1"), "{one}");
    staff.page(&format!("/console/calls/{}", between(&one, "/console/calls/", "\""))).await;
    staff.page(&format!("/console/vms/{}", console.other.vm)).await;
    assert_eq!(staff.submit("/console/exports", &[("form", "csv")]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(console.events("log_read").await.len(), before + 4);
    assert_eq!(staff.get("/console/keys").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_role_bounds_what_a_person_may_do() {
    let console = ConsoleServer::open().await;
    let member = console.hire(&console.one.account, "member").await;
    let browser = console.signed_in(&member).await;
    assert!(!browser.page("/console/keys").await.contains("Make a key"));
    let made = browser.submit("/console/keys", &[("label", "x"), ("scope", "vms:read")]).await;
    assert_eq!(made.status, StatusCode::FORBIDDEN, "a member made a key: {made:?}");
    let keys = console.signed_in(&console.one.owner).await.page("/console/keys").await;
    let revoked = browser.submit(&format!("/console/keys/{}/revoke", between(&keys, "/console/keys/", "/revoke")), &[]).await;
    assert_eq!(revoked.status, StatusCode::FORBIDDEN, "a member revoked a key");
    let stop =
        browser.submit(&format!("/console/vms/{}/stop", console.one.vm), &[("reason", "whoever sees it may stop it")]).await;
    assert_eq!(stop.status, StatusCode::SEE_OTHER, "{stop:?}");
    for (role, may_download) in [("reader", false), ("responder", false), ("exporter", true)] {
        let person = console.hire(&console.staff.account, role).await;
        let browser = console.signed_in(&person).await;
        let one = format!("/console/search?q=account:{}", console.one.account);
        assert_eq!(browser.get(&one).await.status, StatusCode::OK, "{role}");
        browser.submit("/console/reason", &[("reason", "a drill")]).await;
        let expected = if may_download { StatusCode::SEE_OTHER } else { StatusCode::FORBIDDEN };
        assert_eq!(browser.submit("/console/exports", &[("form", "csv")]).await.status, expected, "{role}");
    }
}

/// A download counts its export out again, which its account does so often in a while and no oftener.
#[tokio::test(flavor = "multi_thread")]
async fn console_downloads_of_one_account_have_a_limit_over_time() {
    let console = ConsoleServer::open().await;
    let (own, other) = (console.signed_in(&console.one.owner).await, console.signed_in(&console.other.owner).await);
    let mut files = Vec::new();
    for browser in [&own, &other] {
        let made = browser.submit("/console/exports", &[("form", "csv")]).await;
        files.push(format!("{}/file", made.header("location")));
    }
    for _ in 0..60 {
        assert_eq!(own.get(&files[0]).await.status, StatusCode::OK);
    }
    assert_eq!(own.get(&files[0]).await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(other.get(&files[1]).await.status, StatusCode::OK, "it is not the other account's limit");
    console.clock.pass(std::time::Duration::from_mins(10));
    assert_eq!(own.get(&files[0]).await.status, StatusCode::OK);
}
