//! The first call of a demonstration: one harmless call by the way that an agent takes, and what was recorded of it, so that a
//! newcomer sees a record before anything is set up.
//!
//! INVARIANT: it is made with the customer's own key and over HTTP: nothing of it is special, neither in the log nor in the limits.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, header};
use serde_json::Value;

use crate::app::App;
use crate::core::error_chain::error_chain;
use crate::core::id::CallId;
use crate::http::api::CALL_ID;
use crate::log::store::{EventRow, StoreError};
use crate::outbound::{Addresses, Outbound, OutboundError, PlainHttp, Rules};

/// It goes to this machine itself.
const RULES: Rules = Rules {
    plain_http: PlainHttp::Loopback,
    addresses: Addresses::Any,
    connect: Duration::from_secs(2),
    answer: Duration::from_secs(5),
    largest: 64 * 1024,
};

const TOOL: &str = "vm_list";

/// A first call that was not made. The demonstration goes on without it.
#[derive(Debug, thiserror::Error)]
enum NotMade {
    #[error("building the request")]
    Request(#[from] http::Error),
    #[error("asking {0}")]
    Unanswered(String, #[source] OutboundError),
    #[error("the answer with status {0} names no call")]
    NoCall(http::StatusCode),
    #[error("reading the log")]
    Store(#[from] StoreError),
}

/// Makes the call at `base`, where `app` serves, and says what was recorded of it.
pub async fn show(app: &App, base: &str, key: &str) -> String {
    let events = match make(app, base, key).await {
        Ok(events) => events,
        Err(error) => {
            let error = error_chain(&error);
            tracing::warn!(error, "the first call was not made");
            return format!("A first call was not made: {error}");
        }
    };
    let lines: Vec<String> = events.iter().map(|event| format!("\n  {:>4}  {}", event.position.0, event.kind)).collect();
    format!("A first call was made with the customer's key: {TOOL}. What the log has of it, by position:{}", lines.concat())
}

async fn make(app: &App, base: &str, key: &str) -> Result<Vec<EventRow>, NotMade> {
    let url = format!("{base}/api/v1/tools/{TOOL}");
    let request = Request::post(&url)
        .header(header::AUTHORIZATION, format!("Bearer {key}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Bytes::from_static(b"{}"))?;
    let asked = async { Outbound::new(RULES)?.send(request).await };
    let answer = asked.await.map_err(|error| NotMade::Unanswered(url, error))?;
    let call = call_of(&answer).ok_or(NotMade::NoCall(answer.status()))?;
    Ok(app.node().control.ports.reader.store.of_calls(&[call]).await?)
}

/// Which call it was: the header of an answer says so, and the body of a refusal.
fn call_of(answer: &Response<Bytes>) -> Option<CallId> {
    if let Some(named) = answer.headers().get(CALL_ID) {
        return named.to_str().ok()?.parse().ok();
    }
    let refused: Value = serde_json::from_slice(answer.body()).ok()?;
    refused["error"]["call_id"].as_str()?.parse().ok()
}
