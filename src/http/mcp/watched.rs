//! The pipe, watched: over standard input and output rmcp answers by itself what its lifecycle does not allow, a call before the
//! handshake for one. Such a call is on record before its answer leaves, as over HTTP.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::RoleServer;
use rmcp::model::{JsonRpcMessage, RequestId};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde_json::{Value, json};

use super::rejected::{self, is_call};
use crate::core::principal::Principal;
use crate::http::Door;
use crate::http::door::Incoming;

/// The calls of one connection that the handler has not been given yet.
pub struct Watch {
    door: Arc<Door>,
    who: Principal,
    open: Mutex<HashMap<RequestId, Value>>,
}

impl Watch {
    /// Watches the calls of `who`.
    pub fn new(door: Arc<Door>, who: Principal) -> Arc<Self> {
        Arc::new(Self { door, who, open: Mutex::default() })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<RequestId, Value>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The handler has it.
    pub fn reached(&self, id: &RequestId) {
        self.open().remove(id);
    }

    fn came(&self, id: &RequestId, message: &Value) {
        if is_call(message) {
            self.open().insert(id.clone(), message["params"].clone());
        }
    }

    /// Notes a call that is answered, and that the handler was never given.
    async fn answered(&self, id: Option<&RequestId>) {
        let Some(mut params) = id.and_then(|id| self.open().remove(id)) else { return };
        let why = rejected::refusal("The protocol does not allow the request at this point.");
        let args = params.get_mut("arguments").map(Value::take).unwrap_or_default();
        let tool = params["name"].as_str().unwrap_or_default().to_owned();
        self.door.submit(self.who.clone(), Incoming { tool, args, rejected: Some(why), ..Incoming::default() }).await;
    }
}

/// A transport whose calls are watched.
pub struct Watched<T> {
    /// The transport.
    pub inner: T,
    /// Who watches.
    pub watch: Arc<Watch>,
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for Watched<T> {
    type Error = T::Error;

    fn send(&mut self, item: TxJsonRpcMessage<RoleServer>) -> impl Future<Output = Result<(), T::Error>> + Send + 'static {
        let watch = Arc::clone(&self.watch);
        let id = if let JsonRpcMessage::Error(error) = &item { error.id.clone() } else { None };
        let sending = self.inner.send(item);
        async move {
            watch.answered(id.as_ref()).await;
            sending.await
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        let message = self.inner.receive().await?;
        if let JsonRpcMessage::Request(request) = &message {
            self.watch.came(&request.id, &json!(request));
        }
        Some(message)
    }

    fn close(&mut self) -> impl Future<Output = Result<(), T::Error>> + Send {
        self.inner.close()
    }
}
