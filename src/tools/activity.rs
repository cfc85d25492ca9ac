//! `activity_list`: what the account's keys have asked for, newest first.

use serde::Deserialize;
use serde_json::{Value, json};

use super::outcome::Answer;
use super::register::{Face, handler};
use super::shape::{Shape, any, maybe, moment, number_or, text};
use super::{ActivityQuery, CallRecord, Execution, Tool, facts, instant, register};
use crate::core::code::Code;
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::search::{Fault, Field, Search};
use crate::core::time::Micros;
use crate::core::tool::ToolFacts;

static FACTS: ToolFacts = facts::read("activity_list", Some(Scope::AuditRead));

/// The tools of this noun.
pub(super) fn tools() -> Vec<Tool> {
    let input = Shape::new()
        .may("vm", Content, text("Only calls about this VM id.", 64))
        .may("tool", Content, text("Only calls of this tool.", 80))
        .may("outcome", Content, text("Only calls that stand like this: succeeded, refused, failed …", 20))
        .may("code", Content, text("Only calls that ended with this code.", 40))
        .may("from", Public, moment("Asked for at or after this."))
        .may("to", Public, moment("Asked for before this."))
        .may(
            "q",
            Content,
            text("Words of the public arguments, and conditions: web* tool:vm_power -outcome:succeeded last:1h", 200),
        )
        .may("limit", Public, number_or("At most so many.", 1, 200, 50))
        .may("cursor", Content, text("next_cursor of the page before.", 200));
    let output = Shape::new()
        .must(
            "items",
            Content,
            any("array", "The calls: call_id, tool, vm_id, credential, via, status, code, at, ended_at, text."),
        )
        .must("next_cursor", Public, maybe("string", "Where the next page begins, if there is one."))
        .must("as_of", Public, any("integer", "Log position that the page shows."));
    let face = Face {
        title: "List own activity",
        description: "Lists the calls of the account, refused ones included, newest first. A key that is limited to some VMs sees \
                      its own calls only.",
    };
    vec![register::tool(&FACTS, face, input.read_as::<Args>(), output, handler!(list))]
}

#[derive(Deserialize)]
struct Args {
    vm: Option<String>,
    tool: Option<String>,
    outcome: Option<String>,
    code: Option<String>,
    #[serde(default, deserialize_with = "instant::read")]
    from: Option<Micros>,
    #[serde(default, deserialize_with = "instant::read")]
    to: Option<Micros>,
    q: Option<String>,
    #[serde(default = "page")]
    limit: u32,
    cursor: Option<String>,
}

fn page() -> u32 {
    50
}

async fn list(execution: Execution) -> Answer {
    let Args { vm, tool, outcome, code, from, to, q, limit, cursor } = execution.arguments()?;
    let mut search =
        Search::parse(&q.unwrap_or_default(), execution.ports.clock.now()).map_err(|fault| unreadable("q", &fault))?;
    for (name, field, value) in
        [("vm", Field::Vm, vm), ("tool", Field::Tool, tool), ("outcome", Field::Outcome, outcome), ("code", Field::Code, code)]
    {
        if let Some(value) = value {
            search.only(field, value).map_err(|fault| unreadable(name, &fault))?;
        }
    }
    search.within(from, to).map_err(|why| Refusal::new(Code::ValidationFailed, format!("{why}.")))?;
    let query = ActivityQuery { sight: execution.sight(), search, limit, cursor, as_of: None };
    let page = execution.ports.activity.list(query).await?;
    let items: Vec<Value> = page.items.iter().map(shown).collect();
    Ok(json!({ "items": items, "next_cursor": page.next_cursor, "as_of": page.as_of }))
}

fn unreadable(argument: &str, fault: &Fault) -> Refusal {
    Refusal::new(Code::ValidationFailed, format!("{argument} cannot be read: {fault}."))
}

fn shown(record: &CallRecord) -> Value {
    json!({
        "call_id": record.call_id,
        "tool": record.tool,
        "vm_id": record.vm,
        "credential": record.credential,
        "via": record.via,
        "status": record.status,
        "code": record.code,
        "at": record.at.document(),
        "ended_at": instant::render_maybe(record.ended_at),
        "text": record.text,
    })
}
