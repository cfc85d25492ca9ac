//! Tools of the tasks extension: work that outlives its request and is polled, answered and cancelled by its id.

use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskParams, ClientCapabilities, CreateTaskResult,
    GetTaskParams, GetTaskResult, UpdateTaskParams,
};
use rmcp::task_manager::{TaskContext, TaskExit, TaskFuture, TaskOptions};
use serde_json::{Value, json};

use super::{Context, Fixtures, complete, rounds, text, typed};

const POLL_MS: u64 = 200;

impl Fixtures {
    pub(super) async fn call_as_task(
        &self,
        request: &CallToolRequestParams,
        context: &Context,
    ) -> Option<Result<CallToolResponse, ErrorData>> {
        let declared = context.client_capabilities().is_some_and(|declared| declared.supports_tasks());
        let response = match request.name.as_ref() {
            "slow_compute" if !declared => return Some(compute_now(request, context).await),
            "failing_job" | "protocol_error_job" | "confirm_delete" | "multi_input" | "test_tool_with_task" if !declared => {
                let required = ClientCapabilities::builder().enable_tasks().build();
                return Some(Err(ErrorData::missing_required_client_capability(required)));
            }
            "slow_compute" => {
                let wait = duration(request);
                self.spawn(move |task| Box::pin(compute(task, wait)))
            }
            "failing_job" => self.spawn(|_| Box::pin(async { Ok(complete(failure())?) })),
            "protocol_error_job" => {
                self.spawn(|_| Box::pin(async { Err(ErrorData::internal_error("the job broke", None).into()) }))
            }
            "confirm_delete" => self.spawn(|task| Box::pin(confirm(task))),
            "multi_input" => self.spawn(|task| Box::pin(ask_two(task))),
            "test_tool_with_task" => return Some(self.greet_as_task(request)),
            _ => return None,
        };
        Some(Ok(response))
    }

    fn greet_as_task(&self, request: &CallToolRequestParams) -> Result<CallToolResponse, ErrorData> {
        match rounds::task_name(request.input_responses.as_ref()) {
            Ok(name) => Ok(self.spawn(move |_| Box::pin(async move { Ok(complete(text(format!("Hello, {name}!")))?) }))),
            Err(question) => question.map(Into::into),
        }
    }

    fn spawn(&self, work: impl FnOnce(TaskContext) -> TaskFuture) -> CallToolResponse {
        let task = self.tasks.spawn(TaskOptions::new().with_poll_interval_ms(POLL_MS), work);
        CreateTaskResult::new(task).into()
    }

    /// Answers `tasks/get`.
    pub fn get_task(&self, request: &GetTaskParams) -> Result<GetTaskResult, ErrorData> {
        self.tasks.get_task(&request.task_id).map(GetTaskResult::new)
    }

    /// Answers `tasks/update`.
    pub fn update_task(&self, request: UpdateTaskParams) -> Result<(), ErrorData> {
        self.tasks.update_task(&request.task_id, request.input_responses)
    }

    /// Answers `tasks/cancel`.
    pub fn cancel_task(&self, request: &CancelTaskParams) -> Result<(), ErrorData> {
        self.tasks.cancel_task(&request.task_id)
    }
}

fn duration(request: &CallToolRequestParams) -> Duration {
    let seconds = request.arguments.as_ref().and_then(|all| all.get("seconds")).and_then(Value::as_u64);
    Duration::from_secs(seconds.unwrap_or_default())
}

/// For a client that knows no tasks.
async fn compute_now(request: &CallToolRequestParams, context: &Context) -> Result<CallToolResponse, ErrorData> {
    tokio::select! {
        () = tokio::time::sleep(duration(request)) => complete(text("computed")).map(CallToolResponse::Complete),
        () = context.ct.cancelled() => Err(ErrorData::internal_error("cancelled", None)),
    }
}

async fn compute(task: TaskContext, wait: Duration) -> Result<CallToolResult, TaskExit> {
    tokio::select! {
        () = tokio::time::sleep(wait) => Ok(complete(text("computed"))?),
        () = task.cancelled() => Err(TaskExit::Cancelled),
    }
}

async fn confirm(task: TaskContext) -> Result<CallToolResult, TaskExit> {
    let answer = task.request_input("confirm", typed(form("Really delete it?", "confirm", "boolean"))?).await?;
    Ok(complete(text(format!("answered: {}", answer["action"])))?)
}

async fn ask_two(task: TaskContext) -> Result<CallToolResult, TaskExit> {
    let name = task.request_input("name", typed(form("What is your name?", "name", "string"))?);
    let consent = task.request_input("consent", typed(form("Go on?", "confirm", "boolean"))?);
    let (name, consent) = tokio::try_join!(name, consent)?;
    Ok(complete(text(format!("answered: {} and {}", name["action"], consent["action"])))?)
}

fn form(message: &str, field: &str, kind: &str) -> Value {
    let schema = json!({"type": "object", "properties": {field: {"type": kind}}, "required": [field]});
    json!({"method": "elicitation/create", "params": {"mode": "form", "message": message, "requestedSchema": schema}})
}

fn failure() -> Value {
    json!({"isError": true, "content": [{"type": "text", "text": "the job failed"}]})
}
