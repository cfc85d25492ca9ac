//! What a node leaves behind that dies while a provider is being asked, and what others find out about it.

use std::time::Duration;

use forelog::control::Reply;
use forelog::core::event::EventKind;
use forelog::core::id::CallId;
use forelog::providers::compute::sim::Gate;
use serde_json::Value;

use super::{Site, TestNode};

impl Site {
    /// A node is asked for this, and is gone once its request to the provider is at the gate.
    pub fn crash(&self, tool: &str, args: &Value, gate: &Gate) {
        std::thread::scope(|scope| {
            let dying = scope.spawn(|| {
                let runtime = tokio::runtime::Runtime::new().expect("a runtime");
                runtime.block_on(async {
                    let test_node = TestNode::start(self).await;
                    let mut request = test_node.request(tool, args.clone());
                    request.wait = Duration::ZERO;
                    let reply = test_node.control.submit(request).await;
                    assert!(matches!(reply, Reply::Running { .. }), "{reply:?}");
                    tokio::time::timeout(Duration::from_secs(20), gate.arrived(1)).await.expect("the request");
                });
                runtime.shutdown_background();
            });
            dying.join().expect("it asked");
        });
    }
}

impl TestNode {
    /// Returns what became of the call, as its provider told it.
    pub async fn reconciled(&self, call: &CallId) -> Option<bool> {
        let told = async {
            loop {
                let told = self.log().await.into_iter().find_map(|event| match event.kind {
                    EventKind::Reconciled { call: told, happened, .. } if told == *call => Some(happened),
                    _ => None,
                });
                match told {
                    Some(happened) => return happened,
                    None => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), told).await.expect("it is reconciled")
    }
}
