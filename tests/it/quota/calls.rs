//! Calls that are waited for or stay open: as many as may be, also under a race.

use std::sync::Arc;

use futures::StreamExt;
use serde_json::json;

use crate::test_node::{Site, TestNode};

#[tokio::test(flavor = "multi_thread")]
async fn quota_calls_that_are_waited_for_are_refused_on_the_record() {
    waits(Site::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_quota_calls_that_are_waited_for_are_refused_on_the_record() {
    waits(Site::postgres().await).await;
}

async fn waits(mut site: Site) {
    site.quotas.waits = forelog::core::quota::Quota { account: 10, key: 4 };
    let test_node = Arc::new(TestNode::start(&site).await);
    test_node.world.shut();
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let test_node = Arc::clone(&test_node);
            tokio::spawn(async move { test_node.call("probe_write", json!({})).await })
        })
        .collect();
    test_node.world.executed_at_least(4).await;
    let forelog::control::Reply::Failed { call, refusal, .. } = test_node.call("probe_read", json!({})).await else {
        panic!("one more")
    };
    assert_eq!(refusal.details, json!({ "quota": "waits", "of": "key", "used": 4, "most": 4 }));
    assert!(call.is_some(), "it is a call");
    test_node.world.open();
    for call in waiting {
        assert!(matches!(call.await.expect("a call"), forelog::control::Reply::Done { .. }));
    }
    assert!(matches!(test_node.call("probe_read", json!({})).await, forelog::control::Reply::Done { .. }));
    crate::promises::check(&test_node.log().await, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn quota_calls_that_stay_open_have_a_bound_under_a_race() {
    open_calls(Site::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_quota_calls_that_stay_open_have_a_bound_under_a_race() {
    open_calls(Site::postgres().await).await;
}

async fn open_calls(mut site: Site) {
    site.quotas.open_calls = forelog::core::quota::Quota { account: 7, key: 5 };
    let (test_node, worker, assigned) = TestNode::idle(&site).await;
    let (other, ..) = TestNode::idle(&site).await;
    worker.beat(true).await.expect("a beat");
    let calls = (0..20).map(|n| if n % 2 == 0 { &test_node } else { &other }).map(|node| node.call("probe_queued", json!({})));
    let replies: Vec<_> = futures::stream::iter(calls).buffer_unordered(20).collect().await;
    let is_open = |reply: &&forelog::control::Reply| matches!(reply, forelog::control::Reply::Running { .. });
    assert_eq!(replies.iter().filter(is_open).count(), 5, "of two nodes as many as may be");
    for reply in replies.iter().filter(|reply| !is_open(reply)) {
        let forelog::control::Reply::Failed { refusal, .. } = reply else { panic!("{reply:?}") };
        assert_eq!(refusal.details["quota"], "open_calls");
    }
    tokio::spawn(worker.work(assigned, tokio_util::sync::CancellationToken::new(), std::time::Duration::from_secs(5)));
    test_node.world.executed_at_least(5).await;
    let ended = async {
        while !test_node.reader.store.state(&["open", "job"]).await.expect("the rows").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), ended).await.expect("what has ended counts no more");
    let again = test_node.call("probe_queued", json!({})).await;
    assert!(is_open(&&again) || matches!(again, forelog::control::Reply::Done { .. }), "{again:?}");
}
