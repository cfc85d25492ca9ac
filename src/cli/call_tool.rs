//! Calling a tool from the command line, as the person whose key is configured.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::Value;

use super::{CliError, Context};
use crate::app::node::Node;
use crate::auth::AuthError;
use crate::control::{Reply, Request};
use crate::core::principal::Via;

/// How long an answer is waited for.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Calls the tool as the holder of the configured key, on a node of its own: with or without a running server.
pub(super) async fn call_tool(context: &Context, tool: &str, args: Value) -> Result<Value, CliError> {
    let key = context.api_key()?;
    drop(context.local_admin().await?.close().await);
    let node = Node::start(&context.config, None, Arc::clone(&context.clock), Arc::clone(&context.entropy)).await?;
    let asked = match node.authenticator.authenticate(key.expose_secret(), Via::Cli, None, false).await {
        Ok(principal) => {
            let request = Request { wait: TIMEOUT, ..Request::new(principal, tool, args) };
            Ok(node.control.submit(request).await)
        }
        Err(AuthError::Unauthenticated) => Err(CliError::Usage("the key is not known here".into())),
        Err(error) => Err(CliError::Auth(error)),
    };
    node.stop().await;
    match asked? {
        Reply::Done { result, .. } => Ok(result),
        Reply::Failed { refusal, .. } => Err(CliError::Refused(Box::new(refusal))),
        Reply::Running { call, .. } => Err(CliError::GoesOn(call)),
    }
}
