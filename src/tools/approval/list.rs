//! `approval_list`: the calls that wait for a person, as that person has to see them.

use serde_json::{Value, json};

use super::may_see;
use crate::core::approval::{Approval, Consent};
use crate::core::call::Outcome;
use crate::core::principal::Side;
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::sight::Sight;
use crate::core::tool::ToolFacts;
use crate::log::hold::approvals_of;
use crate::tools::outcome::Answer;
use crate::tools::record::fresh;
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, any};
use crate::tools::{Execution, Tool, facts, register};

/// Why it needs no scope.
const OWN: &str = "A key sees which of its own calls wait. Those of others are shown to who may answer for them.";

static FACTS: ToolFacts = facts::open(facts::control("approval_list", None), OWN);

pub(super) fn tool() -> Tool {
    let output = Shape::new()
        .must("items", Content, any("array", "The calls that wait, oldest first, with what they would do and who may approve."))
        .may("next_cursor", Public, json!({ "type": "null", "description": "There is one page." }));
    let face = Face { title: "List approvals", description: "Lists the calls that wait for a person." };
    register::tool(&FACTS, face, Shape::new(), output, handler!(list))
}

async fn list(execution: Execution) -> Answer {
    let state = fresh(&execution).await?;
    let (store, who) = (&execution.ports.reader.store, &execution.principal);
    let rows = match who.side {
        Side::Staff => store.state(&["approval"]).await?,
        Side::Customer => store.state_under(&approvals_of(&who.account)).await?,
    };
    let now = execution.ports.clock.now();
    let waiting = rows.iter().filter_map(|row| serde_json::from_slice::<Approval>(&row.doc).ok());
    let waiting = waiting.filter(|row| !row.is_over(now) && may_see(&execution, &state, row));
    let sight = Sight::to_answer(&execution.principal, &state);
    let mut items = Vec::new();
    for row in waiting {
        let Some((approval, asked)) = asked(&execution, row, &sight).await? else { continue };
        let approval = approval.standing(&state, now);
        if approval.is_granted() {
            continue;
        }
        let label = approval.vm.as_ref().and_then(|vm| state.vms.get(vm)).map(|vm| vm.label.as_str());
        let mut item = shown(&approval, label, &asked);
        for consent in item["approvals"].as_array_mut().into_iter().flatten() {
            if let Some(by) = consent["by"].as_str() {
                consent["by"] = json!(sight.named(by.to_owned(), &state));
            }
        }
        items.push(item);
    }
    Ok(json!({ "items": items }))
}

fn shown(approval: &Approval, label: Option<&str>, asked: &Value) -> Value {
    let consents: Vec<Value> =
        approval.consents.iter().map(|Consent { by, at, .. }| json!({ "by": by, "at": at.document() })).collect();
    json!({
        "id": approval.call, "call_id": approval.call, "account": approval.account, "user": approval.user,
        "credential": approval.credential, "tool": approval.tool, "vm_id": approval.vm, "vm_label": label,
        "arguments": asked["args"], "text": asked["text"], "why": approval.hold.why, "approver": approval.hold.approver,
        "second_person": approval.hold.second_person, "separate": approval.hold.separate, "approvals": consents,
        "policy": approval.policy, "held_at": approval.held_at.document(), "expires_at": approval.expires_at.document(),
    })
}

/// An approval as the log has it, and what the call would do, as it is recorded: without secrets. None if the row is not what the
/// log says of the call.
async fn asked(execution: &Execution, row: Approval, sight: &Sight) -> Result<Option<(Approval, Value)>, Outcome> {
    let (reader, call) = (&execution.ports.reader, row.call.clone());
    let Some(chain) = reader.chain(&call).await? else { return Ok(None) };
    let approval = match chain.approval(row) {
        Ok(approval) => approval,
        Err(why) => {
            tracing::error!(call_id = %call, %why, "an approval is not what the log says of its call, and nobody is asked");
            return Ok(None);
        }
    };
    let Some(event) = reader.event(chain.intent).await? else { return Ok(None) };
    Ok(Some((approval, reader.part(&event, "arguments", sight).await?.unwrap_or_default())))
}
