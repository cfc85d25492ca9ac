//! Calls that a tool makes while it runs, for example a drill. Each is submitted, decided and recorded like any other call.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::{Control, Reply, Request};
use crate::core::code::Code;
use crate::core::principal::Principal;
use crate::core::refusal::Refusal;
use crate::tools::Calls;

/// How long such a call is waited for.
const WAIT: Duration = Duration::from_secs(15);

/// What such a call says that its client is.
const AGENT: &str = concat!("forelog/", env!("CARGO_PKG_VERSION"));

#[async_trait]
impl Calls for Control {
    async fn call(self: Arc<Self>, principal: Principal, tool: &str, args: Value) -> Result<Value, Refusal> {
        let user_agent = Some(AGENT.to_owned());
        let request = Request { user_agent, wait: WAIT, ..Request::new(principal, tool, args) };
        match self.submit(request).await {
            Reply::Done { result, .. } => Ok(result),
            Reply::Failed { refusal, .. } => Err(refusal),
            Reply::Running { .. } => Err(Refusal::new(Code::Timeout, "The call did not end in time.")),
        }
    }
}
