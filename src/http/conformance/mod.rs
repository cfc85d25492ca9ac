//! The tools, prompts and resources that the MCP conformance suite asks a server for. They do nothing to any VM; they
//! exist so that the suite can exercise the protocol of the very binary that ships.
//!
//! INVARIANT: compiled only with the feature `conformance`, so a release has none of them.

pub mod catalogue;
mod content;
mod dialogue;
mod prompts;
pub mod recorded;
mod resources;
mod rounds;
pub mod staged;
mod subscriptions;
mod tasks;

use rmcp::ErrorData;
use rmcp::RoleServer;
use rmcp::model::{CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompleteResult, RequestStateCodec};
use rmcp::service::RequestContext;
use rmcp::task_manager::TaskManager;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use subscriptions::Subscribers;

type Context = RequestContext<RoleServer>;

/// The fixtures and what they remember between requests. One per server; clones share it.
#[derive(Clone)]
pub struct Fixtures {
    tasks: TaskManager,
    states: RequestStateCodec,
    subscribers: Subscribers,
}

impl Fixtures {
    /// Fixtures whose `requestState` is authenticated with `key`.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self { tasks: TaskManager::new(), states: RequestStateCodec::new_unchecked(key), subscribers: Subscribers::default() }
    }

    /// Answers a `tools/call`, or nothing if the tool is not a fixture.
    pub async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: Context,
    ) -> Option<Result<CallToolResponse, ErrorData>> {
        if let Some(result) = content::call(&request) {
            return Some(result.map(CallToolResponse::Complete));
        }
        if let Some(answer) = self.call_in_rounds(&request, &context) {
            return Some(answer);
        }
        if let Some(answer) = self.call_as_task(&request, &context).await {
            return Some(answer);
        }
        if let Some(result) = self.trigger_change(&request, &context).await {
            return Some(result.map(CallToolResponse::Complete));
        }
        dialogue::call(&request, &context).await.map(|result| result.map(CallToolResponse::Complete))
    }

    /// Answers `completion/complete`.
    pub fn complete_argument(&self, request: &CompleteRequestParams) -> Result<CompleteResult, ErrorData> {
        let known = ["testValue1", "testValue2"];
        let values: Vec<_> = known.iter().filter(|value| value.starts_with(&request.argument.value)).collect();
        complete(json!({"completion": {"values": values, "total": values.len(), "hasMore": false}}))
    }
}

/// The protocol's own type of a document that is easier to read as JSON.
fn typed<T: DeserializeOwned>(document: Value) -> Result<T, ErrorData> {
    serde_json::from_value(document).map_err(|error| ErrorData::internal_error(format!("malformed fixture: {error}"), None))
}

/// A result that needs nothing more from the client; it is said outright since 2026-07-28.
fn complete<T: DeserializeOwned>(mut document: Value) -> Result<T, ErrorData> {
    if let Some(fields) = document.as_object_mut() {
        fields.insert("resultType".into(), json!("complete"));
    }
    typed(document)
}

/// A tool result of one text.
fn text(text: impl AsRef<str>) -> Value {
    json!({"content": [{"type": "text", "text": text.as_ref()}]})
}

fn is_modern(context: &Context) -> bool {
    context.protocol_version().is_some_and(|version| version >= rmcp::model::ProtocolVersion::V_2026_07_28)
}
