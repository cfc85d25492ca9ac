//! `activity_list`: what the account's keys have asked for, newest first.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::declare::{Declared, Operation, reading};
use super::instant::Instant;
use super::{ActivityQuery, CallRecord, Execution};
use crate::core::call::{Outcome, Status};
use crate::core::code::Code;
use crate::core::id::{CallId, Position};
use crate::core::noun::vm::VM;
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::refusal::Refusal;
use crate::core::resource::ResourceId;
use crate::core::scope::Scope;
use crate::core::search::{Field, Known, Search};
use crate::core::time::Micros;

/// The operations of this noun.
pub(super) static OPERATIONS: &[&dyn Declared] = &[&LIST];

static LIST: Operation<Args, Output> = reading("activity_list")
    .scope(Scope::AuditRead)
    .title("List own activity")
    .about(
        "Lists the calls of the account, refused ones included, newest first. A key that is limited to some VMs sees its own \
         calls only.",
    )
    .run(|execution, args| Box::pin(list(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
struct Args {
    /// About this VM id.
    #[schemars(extend("x-class" = Content), length(min = 1, max = 64))]
    vm: Option<String>,
    /// Of this tool.
    #[schemars(extend("x-class" = Content), length(min = 1, max = 80))]
    tool: Option<String>,
    /// That stand like this.
    #[schemars(extend("x-class" = Content))]
    outcome: Option<Status>,
    /// That ended with this code.
    #[schemars(extend("x-class" = Content), length(min = 1, max = 40))]
    code: Option<String>,
    /// At or after this: RFC 3339 or a date.
    #[schemars(extend("x-class" = Public))]
    from: Option<Instant>,
    /// Before this: RFC 3339 or a date.
    #[schemars(extend("x-class" = Public))]
    to: Option<Instant>,
    /// Words of the public arguments and of commands, and conditions: web* tool:vm_power -outcome:succeeded last:1h
    #[schemars(extend("x-class" = Content), length(min = 1, max = 200))]
    q: Option<String>,
    /// At most so many.
    #[serde(default = "page")]
    #[schemars(extend("x-class" = Public), range(min = 1, max = 200))]
    limit: u32,
    /// next_cursor of the page before.
    #[schemars(extend("x-class" = Content), length(min = 1, max = 200))]
    cursor: Option<String>,
}

fn page() -> u32 {
    50
}

#[derive(Serialize, JsonSchema)]
struct Output {
    /// The calls, newest first.
    #[schemars(extend("x-class" = Content))]
    items: Vec<Listed>,
    /// Where the next page begins, if there is one.
    #[schemars(extend("x-class" = Public))]
    next_cursor: Option<String>,
    /// Log position that the page shows.
    #[schemars(extend("x-class" = Public))]
    as_of: Position,
}

#[derive(Serialize, JsonSchema)]
struct Listed {
    /// The call.
    call_id: CallId,
    /// What was called.
    tool: String,
    /// The VM it named.
    #[schemars(with = "Option<String>")]
    vm_id: Option<ResourceId>,
    /// The key it came with.
    credential: String,
    /// How it came in.
    via: String,
    /// How it stands.
    status: Status,
    /// Why it did not succeed.
    code: Option<String>,
    /// When it was asked for.
    at: Instant,
    /// When it ended.
    ended_at: Option<Instant>,
    /// Its public arguments.
    text: String,
}

async fn list(execution: Execution, args: Args) -> Result<Output, Outcome> {
    let (limit, cursor) = (args.limit, args.cursor.clone());
    let now = execution.ports.clock.now();
    let search = execution.read_typed(|known| search(args, now, known))?;
    let query = ActivityQuery { visibility: execution.visibility(), search, commands: true, limit, cursor, as_of: None };
    let page = execution.ports.activity.list(query).await?;
    let items = page.items.into_iter().map(to_listed).collect();
    Ok(Output { items, next_cursor: page.next_cursor, as_of: page.as_of })
}

/// What is looked for.
fn search(args: Args, now: Micros, known: Known<'_>) -> Result<Search, Refusal> {
    let Args { vm, tool, outcome, code, from, to, q, .. } = args;
    let typed = q.unwrap_or_default();
    let mut search = Search::parse_of(&typed, now, Some(known)).map_err(|fault| unreadable("q", &fault.to_string()))?;
    for (name, field, value) in [
        ("vm", Field::Resource(&VM), vm),
        ("tool", Field::Tool, tool),
        ("outcome", Field::Outcome, outcome.map(|status| status.as_str().to_owned())),
        ("code", Field::Code, code),
    ] {
        if let Some(value) = value {
            search.only_of(field, value, Some(known)).map_err(|fault| unreadable(name, &fault.why))?;
        }
    }
    let (from, to) = (from.map(|from| from.0), to.map(|to| to.0));
    search.within(from, to).map_err(|why| Refusal::new(Code::ValidationFailed, format!("{why}.")))?;
    Ok(search)
}

fn unreadable(argument: &str, why: &str) -> Refusal {
    Refusal::new(Code::ValidationFailed, format!("{argument} cannot be read: {why}."))
}

fn to_listed(record: CallRecord) -> Listed {
    Listed {
        vm_id: record.about(&VM).cloned(),
        call_id: record.call_id,
        tool: record.tool,
        credential: record.credential,
        via: record.via,
        status: record.status,
        code: record.code,
        at: record.at.into(),
        ended_at: record.ended_at.map(Instant),
        text: record.text,
    }
}
