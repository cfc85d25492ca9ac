//! rmcp's sessions, without its event ids. rmcp numbers events and keeps them only while they are being sent, so its ids
//! promise what it cannot keep. Ours name a call, and the log has what became of it.
//!
//! INVARIANT: an event id is sent only after the call that it names is recorded.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::stream::{self, Stream, StreamExt};
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, GetExtensions, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_server::session::local::{LocalSessionManager, LocalSessionManagerError};
use rmcp::transport::streamable_http_server::session::{RestoreOutcome, ServerSseMessage, SessionId, SessionManager};
use serde_json::Value;
use tokio::sync::watch;

use super::message::unquoted;
use crate::core::id::CallId;

/// When a client that was cut off comes back.
const RETRY: Duration = Duration::from_secs(1);

/// The longest id of a request that is worth an event id, as JSON.
const MAX_LENGTH: usize = 128;

/// Goes with a request, and is told the call that it became.
#[derive(Clone, Debug)]
pub struct Made(pub watch::Sender<Option<CallId>>);

impl Made {
    /// Of a request that is no call yet.
    pub fn not_yet() -> Self {
        Self(watch::Sender::new(None))
    }
}

/// What an event id says: the call, and the id of the request that it answers.
#[derive(Debug, PartialEq)]
pub struct Resumption {
    /// The call.
    pub call: CallId,
    /// The id of the JSON-RPC request.
    pub request: Value,
}

impl Resumption {
    fn write(&self) -> Option<String> {
        let request = self.request.to_string();
        (request.len() <= MAX_LENGTH).then(|| format!("{}.{}", self.call, URL_SAFE_NO_PAD.encode(request)))
    }

    /// Reads an event id; none if it is not one of ours.
    pub fn read(text: &str) -> Option<Self> {
        let (call, request) = text.split_once('.')?;
        let request = URL_SAFE_NO_PAD.decode(request).ok().filter(|bytes| bytes.len() <= MAX_LENGTH)?;
        let request: Value = serde_json::from_slice(&request).ok()?;
        let is_id = request.is_string() || request.is_number();
        Some(Self { call: call.parse().ok()?, request }).filter(|_| is_id)
    }
}

/// Sessions of this node, as rmcp asks for them.
#[derive(Debug)]
pub struct Streams(pub Arc<LocalSessionManager>);

impl SessionManager for Streams {
    type Error = LocalSessionManagerError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        self.0.create_session().await
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        self.0.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        self.0.has_session(id).await
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        self.0.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        let made = made(&message);
        let answers = self.0.create_stream(id, message).await?.map(bare);
        Ok(with_event_id(answers, made))
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), Self::Error> {
        self.0.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        Ok(self.0.create_standalone_stream(id).await?.map(bare))
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        // Not reached: what has an event id is answered from the log.
        self.0.resume(id, last_event_id).await
    }

    async fn restore_session(&self, id: SessionId) -> Result<RestoreOutcome<Self::Transport>, Self::Error> {
        self.0.restore_session(id).await
    }
}

fn bare(mut message: ServerSseMessage) -> ServerSseMessage {
    (message.event_id, message.retry) = (None, None);
    if let Some(said) = &mut message.message
        && matches!(**said, ServerJsonRpcMessage::Error(_))
        && let ServerJsonRpcMessage::Error(said) = Arc::make_mut(said)
    {
        let error = &mut said.error;
        error.message = unquoted(error.code.0.into(), &error.message, error.data.as_mut()).into();
    }
    message
}

/// Where a call will be told, and the id of its request.
fn made(message: &ClientJsonRpcMessage) -> Option<(watch::Receiver<Option<CallId>>, Value)> {
    let ClientJsonRpcMessage::Request(request) = message else { return None };
    let ClientRequest::CallToolRequest(_) = &request.request else { return None };
    let parts = request.request.extensions().get::<http::request::Parts>()?;
    let made = parts.extensions.get::<Made>()?;
    Some((made.0.subscribe(), serde_json::to_value(&request.id).ok()?))
}

/// The answers, and before them the event id, as soon as the call is recorded.
fn with_event_id(
    answers: impl Stream<Item = ServerSseMessage> + Send + Sync + 'static,
    made: Option<(watch::Receiver<Option<CallId>>, Value)>,
) -> impl Stream<Item = ServerSseMessage> + Send + Sync + 'static {
    stream::unfold((Box::pin(answers), made), |(mut answers, mut made)| async move {
        let next = tokio::select! {
            biased;
            Some(event_id) = event_id(&mut made) => {
                made = None;
                Some(ServerSseMessage::priming(event_id, RETRY))
            }
            answer = answers.next() => answer,
        };
        next.map(|message| (message, (answers, made)))
    })
}

async fn event_id(made: &mut Option<(watch::Receiver<Option<CallId>>, Value)>) -> Option<String> {
    let (told, request) = made.as_mut()?;
    let call = told.wait_for(Option::is_some).await.ok()?.clone()?;
    Resumption { call, request: request.clone() }.write()
}

#[cfg(test)]
mod tests {
    use super::{Resumption, Value};
    use serde_json::json;

    #[test]
    fn event_ids_say_what_they_were_made_of() {
        for request in [json!(7), json!("a b\n"), json!(-1)] {
            let call = "call_01JJJJJJJJJJJJJJJJJJJJJJJJ".parse().expect("a call's id");
            let resumption = Resumption { call, request };
            let text = resumption.write().expect("an event id");
            assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text}");
            assert_eq!(Resumption::read(&text), Some(resumption));
        }
        let call = "call_01JJJJJJJJJJJJJJJJJJJJJJJJ";
        for text in ["", "0", "0/1", call, "call_x.Nw", &format!("{call}.e30"), &format!("{call}.%")] {
            assert_eq!(Resumption::read(text), None, "{text}");
        }
        let long = Value::from("x".repeat(200));
        assert_eq!(Resumption { call: call.parse().expect("an id"), request: long }.write(), None);
    }
}
