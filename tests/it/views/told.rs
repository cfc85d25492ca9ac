//! Whom the views tell what: accounts are apart, and a call's story is whole.

use forelog::core::call::Status;
use forelog::core::code::Code;
use forelog::core::noun::vm::VM;
use forelog::core::search::Field;
use forelog::core::visibility::Visibility;
use forelog::tools::{Activity, ActivityQuery, CallRecord};
use serde_json::json;

use super::{list, only, open, query, typed};
use crate::fixtures::{account, call, credential, vm};
use crate::sample_log::{Ask, LIST, POWER, SampleLog};

/// P9: no filter, cursor or id shows one account what is another's.
async fn accounts_are_apart(sample: SampleLog) {
    let calls = open(&sample).await;
    for n in [1, 2, 1, 2, 1] {
        let ip = Some(if n == 1 { "192.0.2.1" } else { "192.0.2.2" });
        sample
            .finish(
                Ask { vm: Some(n), text: "secret plan", ip, session: Some("same"), ..Ask::by(n, &LIST) },
                Status::Succeeded,
                None,
            )
            .await;
    }
    let staff = list(&calls, ActivityQuery { limit: 1, ..query() }).await;
    let theirs = ActivityQuery { visibility: Visibility::Account(account(2)), ..query() };
    let narrowed: Vec<ActivityQuery> = vec![
        theirs.clone(),
        ActivityQuery { cursor: staff.next_cursor, ..theirs.clone() },
        ActivityQuery { search: typed("secret").search, ..theirs.clone() },
        ActivityQuery { search: typed("session:same").search, ..theirs.clone() },
    ];
    for query in narrowed {
        let page = list(&calls, query).await;
        assert_eq!(page.items.len(), 2);
        assert!(page.items.iter().all(|item| item.account == account(2)), "{page:?}");
    }
    for query in [
        ActivityQuery { search: only(Field::Resource(&VM), vm(1).to_string()).search, ..theirs.clone() },
        ActivityQuery { search: only(Field::Credential, credential(1).to_string()).search, ..theirs.clone() },
        ActivityQuery { search: typed("ip:192.0.2.1").search, ..theirs.clone() },
        ActivityQuery { search: typed("web-1").search, ..theirs.clone() },
    ] {
        assert_eq!(list(&calls, query).await.items, []);
    }
    assert!(calls.call(&Visibility::Account(account(1)), &call(1)).await.expect("an answer").is_some());
    // Another's call looks like one that is not there.
    assert_eq!(
        calls.call(&Visibility::Account(account(2)), &call(1)).await,
        calls.call(&Visibility::Account(account(2)), &call(99)).await
    );
    assert_eq!(calls.timeline(&Visibility::Account(account(2)), &call(1)).await, Ok(None));
}

#[tokio::test]
async fn views_keep_accounts_apart() {
    accounts_are_apart(SampleLog::sqlite().await).await;
}

#[tokio::test]
async fn postgres_views_keep_accounts_apart() {
    accounts_are_apart(SampleLog::postgres().await).await;
}

#[tokio::test]
async fn views_tell_a_calls_whole_story() {
    let sample = SampleLog::sqlite().await;
    let calls = open(&sample).await;
    let ask = Ask { vm: Some(1), text: "action=reboot", ip: Some("192.0.2.7"), ..Ask::by(1, &POWER) };
    let id = sample.finish(ask, Status::Unknown, Some(Code::OutcomeUnknown)).await;
    sample.finish(Ask::by(2, &LIST), Status::Succeeded, None).await;
    sample.reconcile(&id).await;
    let story = calls.timeline(&Visibility::Account(account(1)), &id).await.expect("an answer").expect("a timeline");
    let kinds: Vec<&str> = story.events.iter().map(|moment| moment.kind.as_str()).collect();
    assert_eq!(kinds, ["intent_recorded", "admitted", "started", "unknown", "reconciled"]);
    assert_eq!(story.arguments, Some(json!({ "action": "action=reboot" })));
    assert_eq!(story.result, Some(json!({ "done": "unknown" })));
    assert_eq!(story.events[2].leaf["type"], "started");
    let CallRecord { status, text, ip, via, .. } = story.call;
    assert_eq!(
        (status, text.as_str(), ip.as_deref(), via.as_str()),
        (Status::Unknown, "action=reboot", Some("192.0.2.7"), "mcp")
    );
    let times: Vec<i64> = story.events.iter().map(|moment| moment.at.0).collect();
    assert_eq!(story.durations.queued, Some(times[2] - times[1]));
    assert_eq!(story.durations.ran, Some(times[3] - times[2]));
    assert_eq!(story.durations.total, Some(times[3] - times[0]));
}
