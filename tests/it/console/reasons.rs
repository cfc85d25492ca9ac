//! What staff are told only once they have said why they look, and what passes for having said so.

use forelog::app::registry::KeySpec;
use forelog::core::scope::Scope;
use reqwest::StatusCode;
use serde_json::json;

use super::ConsoleServer;
use super::staff::search;

/// Whose a name, an id or the beginning of a key is, and whether there is such a thing, is told for a reason, and it is on record.
#[tokio::test(flavor = "multi_thread")]
async fn console_what_a_name_an_id_or_a_key_stands_for_is_told_for_a_reason() {
    let console = ConsoleServer::open().await;
    let (silent, staff) = (console.signed_in(&console.staff).await, console.investigator().await);
    let key: String = console.one.key.chars().take(15).collect();
    let lines = [
        "account:one",
        "account:o",
        "account:absent",
        "-account:one",
        &key,
        "flk_live_00000000",
        "tool:vm_get flk_live_00000000",
    ];
    let ids = [console.one.vm.to_string(), "vm_00000000000000000000000000".into(), console.one.account.to_string()];
    for line in lines.into_iter().map(str::to_owned).chain(ids) {
        let reads = console.events("log_read").await.len();
        let asked = silent.get(&search(&line)).await;
        assert!(asked.header("location").starts_with("/console/reason?next="), "{line}: {asked:?}");
        assert_eq!(console.events("log_read").await.len(), reads, "{line}");
        let told = staff.get(&search(&line)).await;
        assert!(!told.header("location").starts_with("/console/reason"), "{line}: {told:?}");
        assert!(console.events("log_read").await.len() > reads, "{line} is not on record");
    }
}

/// A reason is as long as a switch's may be, wherever it is given: 500 characters, whatever they are.
#[tokio::test(flavor = "multi_thread")]
async fn console_a_reason_is_bounded_alike_at_every_door() {
    let console = ConsoleServer::open().await;
    let (key, browser) = (super::staff_key(&console).await, console.signed_in(&console.staff).await);
    let (fits, long) = ("障".repeat(500), "障".repeat(501));
    let mut doors = 0;
    let before = console.events("log_read").await.len();
    for (path, methods) in crate::declared::DOCUMENT["paths"].as_object().expect("paths") {
        let parameters = methods["get"]["parameters"].as_array().cloned().unwrap_or_default();
        if parameters.iter().any(|parameter| parameter["name"] == "reason") {
            let path: Vec<&str> = path.split('/').map(|part| if part.starts_with('{') { "nothing" } else { part }).collect();
            let needed = parameters.iter().filter(|one| one["in"] == "query" && one["required"] == true);
            let needed = needed.filter_map(|one| Some((one["name"].as_str()?, "all")));
            let url = reqwest::Url::parse_with_params("http://x/", needed.chain([("reason", &*long)])).expect("an address");
            let answer = console.read(&key, &format!("{}?{}", path.join("/"), url.query().expect("a query"))).await;
            assert!(answer.text.contains("500"), "{path:?}: {answer:?}");
            assert!(matches!(answer.code().as_str(), "validation_failed" | "malformed_request"), "{path:?}: {answer:?}");
            doors += 1;
        }
    }
    assert!(doors > 8, "{doors} readings take a reason");
    assert_eq!(console.events("log_read").await.len(), before, "something was read");
    let refused = browser.submit("/console/reason", &[("reason", &long)]).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{refused:?}");
    let taken = browser.submit("/console/reason", &[("reason", &fits)]).await;
    assert_eq!(taken.status, StatusCode::SEE_OTHER, "{taken:?}");
    assert!(browser.page("/console/search").await.contains(&fits), "it is cut");
    let incident = "i".repeat(100);
    let engaged = browser
        .submit("/console/switches", &[("target", "class:exec"), ("reason", &fits), ("message", &fits), ("incident", &incident)])
        .await;
    assert_eq!(engaged.status, StatusCode::SEE_OTHER, "{engaged:?}");
    let refused = browser.submit("/console/switches", &[("target", "class:exec"), ("reason", &long)]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{refused:?}");
}

/// A reason of white or invisible characters is none, at every door that takes one.
#[tokio::test(flavor = "multi_thread")]
async fn console_a_reason_that_says_nothing_is_refused_at_every_door() {
    let console = ConsoleServer::open().await;
    let (staff, browser) = (console.key_of_staff().await, console.signed_in(&console.staff).await);
    let spec = KeySpec { scopes: [Scope::StaffApprove].into(), ..KeySpec::full(console.staff.account.clone(), "answers") };
    let answers = console.key_of(spec).await;
    let call = "call_01M7Z5CDFVRSEEXW1RWR7A122W";
    for reason in [" ", "\t ", "\u{a0}", "\u{200b}", "\u{2060}\u{3000}", "\u{2800}", "\u{ad}\u{3164}"] {
        for (tool, args) in [
            ("export_create", json!({ "form": "csv", "reason": reason })),
            ("approval_list", json!({ "reason": reason })),
            ("approval_decide", json!({ "id": call, "verdict": "approve", "reason": reason })),
            ("switch_engage", json!({ "target": "all", "reason": reason })),
            ("alarm_acknowledge", json!({ "alarm": 1, "reason": reason })),
            ("panic_engage", json!({ "reason": reason })),
        ] {
            let key = if tool == "approval_decide" { &answers } else { &staff };
            let answer = console.call(key, tool, args).await;
            assert_eq!(answer.code(), "validation_failed", "{tool} {reason:?}: {answer:?}");
        }
        let url = reqwest::Url::parse_with_params("http://x/", [("reason", reason)]).expect("an address");
        let paths = ["calls", "calls/histogram", "calls/live", "events", "exports", &format!("calls/{call}")];
        for path in paths {
            let answer = console.read(&staff, &format!("/api/v1/{path}?{}", url.query().expect("a query"))).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path} {reason:?}: {answer:?}");
        }
        let given = browser.submit("/console/reason", &[("reason", reason)]).await;
        assert_eq!(given.status, StatusCode::BAD_REQUEST, "{reason:?}: {given:?}");
    }
    assert!(console.events("switch_engaged").await.is_empty());
}
