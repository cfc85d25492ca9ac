//! Calling a tool from the command line, as the person whose key is configured.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::call::with_call;
use super::{CliError, Context};
use crate::app::node::Node;
use crate::auth::AuthError;
use crate::control::{Reply, Request};
use crate::core::principal::Via;

/// How long an answer is waited for.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Calls a tool as the holder of the configured key, on a node of its own: with or without a running server.
pub(super) async fn call_tool(context: &Context, tool: &str, args: Value) -> Result<Value, CliError> {
    let [answer] = call_tools(context, [(tool, args)]).await?;
    Ok(answer)
}

/// Calls several of them, one after the other and on one node, up to the first that fails.
pub(super) async fn call_tools<const N: usize>(context: &Context, calls: [(&str, Value); N]) -> Result<[Value; N], CliError> {
    let (key, node) = (context.api_key()?, start(context).await?);
    let answers = ask(&node, key.expose_secret(), calls).await;
    node.stop().await;
    answers
}

/// All that a tool lists, page after page on one node, as one page.
pub(super) async fn call_pages(context: &Context, tool: &str) -> Result<Value, CliError> {
    let (key, node) = (context.api_key()?, start(context).await?);
    let listed = pages(&node, key.expose_secret(), tool).await;
    node.stop().await;
    listed
}

async fn start(context: &Context) -> Result<Node, CliError> {
    drop(context.local_admin().await?.close().await);
    Ok(Node::start(&context.config, None, Arc::clone(&context.clock), Arc::clone(&context.entropy)).await?)
}

async fn pages(node: &Node, key: &str, tool: &str) -> Result<Value, CliError> {
    let (mut items, mut args) = (Vec::new(), json!({}));
    loop {
        let [mut page] = ask(node, key, [(tool, args)]).await?;
        items.extend(page["items"].as_array_mut().map(std::mem::take).unwrap_or_default());
        if page["next_cursor"].is_null() {
            page["items"] = items.into();
            return Ok(page);
        }
        args = json!({ "cursor": page["next_cursor"] });
    }
}

async fn ask<const N: usize>(node: &Node, key: &str, calls: [(&str, Value); N]) -> Result<[Value; N], CliError> {
    let principal = match node.authenticator.authenticate(key, Via::Cli, None, false).await {
        Ok(principal) => principal,
        Err(AuthError::Unauthenticated) => return Err(CliError::Usage("the key is not known here".into())),
        Err(error) => return Err(CliError::Auth(error)),
    };
    let mut answers = [const { Value::Null }; N];
    for (answer, (tool, args)) in answers.iter_mut().zip(calls) {
        let request = Request { wait: TIMEOUT, ..Request::new(principal.clone(), tool, args) };
        *answer = match node.control.submit(request).await {
            Reply::Done { result, .. } => result,
            Reply::Failed { call, refusal, .. } => {
                return Err(CliError::Refused(Box::new(with_call(refusal, call.map(|call| call.to_string())))));
            }
            Reply::Running { call, .. } => return Err(CliError::GoesOn(call)),
        };
    }
    Ok(answers)
}
