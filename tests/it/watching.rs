//! A watch of calls: what was read for somebody who has ended meanwhile is not sent (P8).

use forelog::core::visibility::Visibility;
use forelog::http::live::{LiveMessage, Watch, place, watched};
use forelog::tools::ActivityQuery;
use futures::StreamExt;
use serde_json::{Value, json};

use crate::harness::TestApp;

#[tokio::test]
async fn watching_ends_with_its_key_whatever_was_read_before() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let who = forelog::core::principal::Principal { credential: key.id.clone(), ..app.test_node.principal() };
    let begun = app.test_node.reader.store.head().await.expect("the head").position;
    for _ in 0..3 {
        assert_eq!(app.call(&key, "probe_read", json!({})).await.status, 200);
    }
    let query = ActivityQuery {
        visibility: Visibility::of(&who, &app.test_node.control.ports.fence().state()),
        limit: 1,
        ..ActivityQuery::default()
    };
    let (place, watched) = (place(&app.http, &who).expect("a place"), watched("a key".into(), &Value::Null));
    let side = who.side;
    let shown = |told: std::sync::Arc<LiveMessage>| std::future::ready(json!(matches!(*told, LiveMessage::Call(..))));
    let stream = Watch::new(&app.http, who, None, watched, query, begun, place).stream(side, shown);
    tokio::pin!(stream);
    assert!(stream.next().await.is_some(), "the first of three");
    // All of them are read by now.
    app.revoke(&key).await;
    assert!(stream.next().await.is_none(), "the second is told to a key that was revoked");
}
