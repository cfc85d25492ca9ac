//! Tools that talk to the client while they run: log lines, progress and, on versions that allow it, requests.

use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{CallToolRequestParams, CallToolResult, ClientResult, ServerNotification, ServerRequest};
use serde_json::{Value, json};

use super::{Context, complete, is_modern, text, typed};

/// The suite looks for messages that arrive apart from each other.
const BETWEEN: Duration = Duration::from_millis(50);

pub(super) async fn call(request: &CallToolRequestParams, context: &Context) -> Option<Result<CallToolResult, ErrorData>> {
    let argument =
        |name: &str| request.arguments.as_ref().and_then(|all| all.get(name)).and_then(Value::as_str).unwrap_or_default();
    Some(match request.name.as_ref() {
        "test_tool_with_logging" | "test_logging_tool" => log(context).await,
        "test_tool_with_progress" => report_progress(context).await,
        "test_reconnection" => complete(text("Reconnection test completed")),
        "test_missing_capability" => require_sampling(context),
        "test_sampling" => sample(argument("prompt"), context).await,
        "test_elicitation" => elicit(argument("message"), contact_schema(), context).await,
        "test_elicitation_sep1034_defaults" => elicit("Please review the defaults", defaults_schema(), context).await,
        "test_elicitation_sep1330_enums" => elicit("Please choose", enums_schema(), context).await,
        _ => return None,
    })
}

async fn log(context: &Context) -> Result<CallToolResult, ErrorData> {
    // Modern clients ask for log lines request by request; before, a session's clients always get them.
    let wanted = !is_modern(context) || context.meta.log_level().is_some();
    for line in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
        if wanted {
            notify(
                context,
                json!({"method": "notifications/message", "params": {"level": "info", "logger": "fixtures", "data": line}}),
            )
            .await?;
        }
        tokio::time::sleep(BETWEEN).await;
    }
    complete(text("Logging test completed"))
}

async fn report_progress(context: &Context) -> Result<CallToolResult, ErrorData> {
    for progress in [0, 50, 100] {
        if let Some(token) = context.meta.get_progress_token() {
            let params = json!({"progressToken": token, "progress": progress, "total": 100});
            notify(context, json!({"method": "notifications/progress", "params": params})).await?;
        }
        tokio::time::sleep(BETWEEN).await;
    }
    complete(text("Progress test completed"))
}

fn require_sampling(context: &Context) -> Result<CallToolResult, ErrorData> {
    if context.client_capabilities().is_some_and(|declared| declared.sampling.is_some()) {
        return complete(text("The client declared sampling."));
    }
    Err(ErrorData::missing_required_client_capability(typed(json!({"sampling": {}}))?))
}

async fn sample(prompt: &str, context: &Context) -> Result<CallToolResult, ErrorData> {
    let messages = json!([{"role": "user", "content": {"type": "text", "text": prompt}}]);
    let answer = ask(context, json!({"method": "sampling/createMessage", "params": {"messages": messages, "maxTokens": 100}}));
    match answer.await {
        Ok(answer) => complete(text(format!("LLM response: {}", answer["content"]["text"].as_str().unwrap_or_default()))),
        Err(error) => failed(&error),
    }
}

async fn elicit(message: &str, schema: Value, context: &Context) -> Result<CallToolResult, ErrorData> {
    let params = json!({"mode": "form", "message": message, "requestedSchema": schema});
    match ask(context, json!({"method": "elicitation/create", "params": params})).await {
        Ok(answer) => {
            complete(text(format!("Elicitation completed: action={}, content={}", answer["action"], answer["content"])))
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &ErrorData) -> Result<CallToolResult, ErrorData> {
    complete(json!({"isError": true, "content": [{"type": "text", "text": error.message}]}))
}

/// Sends a request to the client and waits for its answer. Only versions before 2026-07-28 have this.
async fn ask(context: &Context, request: Value) -> Result<Value, ErrorData> {
    let answer: ClientResult = context.peer.send_request(typed::<ServerRequest>(request)?).await.map_err(unsent)?;
    serde_json::to_value(answer).map_err(unsent)
}

pub(super) async fn notify(context: &Context, notification: Value) -> Result<(), ErrorData> {
    context.peer.send_notification(typed::<ServerNotification>(notification)?).await.map_err(unsent)
}

fn unsent(error: impl std::fmt::Display) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

fn contact_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "username": {"type": "string", "description": "User's response"},
            "email": {"type": "string", "description": "User's email address"}
        },
        "required": ["username", "email"]
    })
}

fn defaults_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "default": "John Doe"},
            "age": {"type": "integer", "default": 30},
            "score": {"type": "number", "default": 95.5},
            "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
            "verified": {"type": "boolean", "default": true}
        }
    })
}

fn enums_schema() -> Value {
    let options = json!(["option1", "option2", "option3"]);
    let titled = json!([
        {"const": "value1", "title": "First Option"},
        {"const": "value2", "title": "Second Option"},
        {"const": "value3", "title": "Third Option"}
    ]);
    json!({
        "type": "object",
        "properties": {
            "untitledSingle": {"type": "string", "enum": options},
            "titledSingle": {"type": "string", "oneOf": titled},
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"]
            },
            "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
            "titledMulti": {"type": "array", "items": {"anyOf": titled}}
        }
    })
}
