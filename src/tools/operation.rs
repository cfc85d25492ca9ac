//! `operation_get` and `operation_wait`: how a call stands and what came of it.
//!
//! INVARIANT: a call that the caller may not see looks exactly like one that does not exist (P9).

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::declare::{Declared, Operation, reading};
use super::instant::Instant;
use super::{CallRecord, Execution};
use crate::core::call::{Outcome, Status};
use crate::core::code::Code;
use crate::core::id::CallId;
use crate::core::noun::vm::VM;
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::refusal::Refusal;
use crate::core::resource::ResourceId;
use crate::log::admission::job_row;

/// Why these need no scope.
const OWN: &str =
    "Who makes a call learns what became of it. Calls of others take audit:read, which is looked at with whose they are.";

/// How often an open call is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Longest wait, and what it takes to answer.
const LIMIT: Duration = Duration::from_mins(1);

/// The operations of this noun.
pub(super) static OPERATIONS: &[&dyn Declared] = &[&GET, &WAIT];

static GET: Operation<Which, Output> = reading("operation_get")
    .open(OWN)
    .title("Get an operation")
    .about(
        "Shows how a call stands and, once it has ended, its result or error. Another key's call takes audit:read, \
         and no limit to some VMs.",
    )
    .run(|execution, args| Box::pin(get(execution, args)));

static WAIT: Operation<Waiting, Output> = reading("operation_wait")
    .open(OWN)
    .title("Wait for an operation")
    .about("Waits until a call has ended, then shows it like operation_get.")
    .time_limit(LIMIT)
    .run(|execution, args| Box::pin(wait(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
struct Which {
    /// The operation_id or call_id of an answer.
    #[schemars(extend("x-class" = Content), length(min = 1, max = 64))]
    operation_id: String,
}

#[derive(Clone, Deserialize, JsonSchema)]
struct Waiting {
    /// The operation_id or call_id of an answer.
    #[schemars(extend("x-class" = Content), length(min = 1, max = 64))]
    operation_id: String,
    /// Seconds to wait at most.
    #[serde(default = "some_seconds")]
    #[schemars(extend("x-class" = Public), range(min = 1, max = 45))]
    timeout_seconds: u64,
}

fn some_seconds() -> u64 {
    20
}

/// How a call stands. Its result is of its tool's type, which is another one for each, and may have been recorded by an older
/// version: it is any document.
#[derive(Serialize, JsonSchema)]
struct Output {
    /// The call.
    #[schemars(extend("x-class" = Public))]
    operation_id: CallId,
    /// What was called.
    #[schemars(extend("x-class" = Public))]
    tool: String,
    /// The VM it named.
    #[schemars(extend("x-class" = Public), with = "Option<String>")]
    vm_id: Option<ResourceId>,
    /// queued, running, held, succeeded, failed, refused, cancelled, timed_out or unknown.
    #[schemars(extend("x-class" = Public))]
    status: Status,
    /// Why it did not succeed.
    #[schemars(extend("x-class" = Public))]
    code: Option<String>,
    /// When it was asked for.
    #[schemars(extend("x-class" = Public))]
    at: Instant,
    /// When it ended.
    #[schemars(extend("x-class" = Public))]
    ended_at: Option<Instant>,
    /// Its recorded result, without secrets and with long texts shortened; null if it has none.
    #[schemars(extend("x-class" = Content))]
    result: Value,
    /// Its recorded error.
    #[schemars(extend("x-class" = Content))]
    failure: Option<Map<String, Value>>,
}

async fn get(execution: Execution, Which { operation_id }: Which) -> Result<Output, Outcome> {
    let record = find(&execution, &operation_id).await?;
    document(&execution, record).await
}

async fn wait(execution: Execution, Waiting { operation_id, timeout_seconds }: Waiting) -> Result<Output, Outcome> {
    let mut record = find(&execution, &operation_id).await?;
    let until = execution.ports.clock.elapsed() + Duration::from_secs(timeout_seconds);
    while !record.status.is_terminal() && execution.ports.clock.elapsed() < until {
        let row = job_row(&record.call_id);
        let open = !execution.ports.reader.store.state_rows(&[row]).await?.is_empty();
        execution.report(0.0, None, record.status.as_str());
        if open && execution.cancel.run_until_cancelled(tokio::time::sleep(POLL_INTERVAL)).await.is_none() {
            return Err(Outcome::Cancelled(Code::Cancelled));
        }
        if !open {
            record = find(&execution, &operation_id).await?;
            break;
        }
    }
    if !record.status.is_terminal() {
        record = find(&execution, &operation_id).await?;
    }
    document(&execution, record).await
}

fn not_found() -> Outcome {
    Refusal::new(Code::OperationNotFound, "There is no such operation.").into()
}

async fn find(execution: &Execution, id: &str) -> Result<CallRecord, Outcome> {
    let call: CallId = id.parse().map_err(|_| not_found())?;
    execution.ports.activity.call(&execution.visibility(), &call).await?.ok_or_else(not_found)
}

async fn document(execution: &Execution, record: CallRecord) -> Result<Output, Outcome> {
    let mut recorded = match record.end {
        Some(_) => execution.ports.reader.result_of(&record.call_id, &execution.visibility()).await?.unwrap_or_default(),
        None => Value::Null,
    };
    let failure = match recorded.get_mut("error").map(Value::take) {
        Some(Value::Object(failure)) => Some(failure),
        _ => None,
    };
    Ok(Output {
        vm_id: record.about(&VM).cloned(),
        operation_id: record.call_id,
        tool: record.tool,
        status: record.status,
        code: record.code,
        at: record.at.into(),
        ended_at: record.ended_at.map(Instant),
        result: if failure.is_some() { Value::Null } else { recorded },
        failure,
    })
}
