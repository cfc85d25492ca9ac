//! `subscriptions/listen` and the tools that pretend the lists changed.

use std::sync::{Arc, Mutex, PoisonError};

use rmcp::ErrorData;
use rmcp::model::{CallToolRequestParams, CallToolResult};
use rmcp::service::{SubscriptionContext, SubscriptionSink};
use serde_json::json;

use super::{Context, Fixtures, complete, dialogue, is_modern, text};

/// The streams that are open now.
#[derive(Clone, Default)]
pub(super) struct Subscribers(Arc<Mutex<Vec<SubscriptionSink>>>);

impl Subscribers {
    fn add(&self, sink: SubscriptionSink) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(sink);
    }

    fn all(&self) -> Vec<SubscriptionSink> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remove(&self, gone: &SubscriptionSink) {
        // Ids are the client's, so two clients may well use the same; the filter is shared only by clones of one sink.
        let is_gone = |sink: &SubscriptionSink| std::ptr::eq(sink.accepted(), gone.accepted());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|sink| !is_gone(sink));
    }
}

impl Fixtures {
    /// Holds a subscription until its request is cancelled.
    pub async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let sink = context.sink().clone();
        self.subscribers.add(sink.clone());
        context.cancelled().await;
        self.subscribers.remove(&sink);
        Ok(())
    }

    pub(super) async fn trigger_change(
        &self,
        request: &CallToolRequestParams,
        context: &Context,
    ) -> Option<Result<CallToolResult, ErrorData>> {
        let list = match request.name.as_ref() {
            "test_trigger_tool_change" => "tools",
            "test_trigger_prompt_change" => "prompts",
            _ => return None,
        };
        if !is_modern(context) {
            let notification = json!({"method": format!("notifications/{list}/list_changed")});
            return Some(dialogue::notify(context, notification).await.and_then(|()| complete(text("announced"))));
        }
        for sink in self.subscribers.all() {
            // A stream that asked for other changes, or has just closed, is not told.
            let _ = if list == "tools" { sink.notify_tool_list_changed().await } else { sink.notify_prompt_list_changed().await };
        }
        Some(complete(text("announced")))
    }
}
