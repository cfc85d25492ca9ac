//! `GET /api/v1/accounts/{id}`: one account as the staff sees it: its VMs, its people, and the switches that touch it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Reason;
use crate::core::code::Code;
use crate::core::dated::dated;
use crate::core::id::AccountId;
use crate::core::principal::Side;
use crate::core::refusal::Refusal;
use crate::core::switch::Switch;
use crate::http::Http;
use crate::http::body::{Filters, Segment};
use crate::http::caller::Caller;
use crate::http::console::frame::{in_force, touches};
use crate::http::problem::Problem;

pub async fn handle(
    State(http): State<Arc<Http>>,
    caller: Caller,
    Segment(id): Segment,
    Filters(Reason { reason }): Filters<Reason>,
) -> Result<Json<Value>, Problem> {
    let absent = || Problem::from(Refusal::new(Code::NotFound, "There is no such account."));
    let id: AccountId = id.parse().map_err(|_| absent())?;
    if caller.principal.side != Side::Staff {
        return Err(absent());
    }
    let asked = json!({ "account": id, "reason": reason });
    http.door.check_reader(&caller.principal, &format!("accounts/{id}"), Some(id.clone()), asked).await?;
    let (state, ports) = (http.door.state(), &http.door.control().ports);
    let account = state.accounts.get(&id).ok_or_else(absent)?;
    let vault = &ports.reader.vault;
    let people = vault.people_of(&id).await.map_err(|error| unreadable(&error))?;
    let people: Vec<Value> = people
        .iter()
        .filter_map(|person| Some(json!({ "id": person.id, "email": person.email, "role": person.role_in(&state)? })))
        .collect();
    let vms: Vec<Value> = state
        .vms_of(&id)
        .map(|vm| json!({ "id": vm.id, "label": vm.label, "provider": vm.provider, "exec_enabled": vm.exec_enabled }))
        .collect();
    let switches = in_force(&state, ports.clock.now()).filter(|switch| touches(switch, &id, &state));
    let shown = |switch: &Switch| json!({ "id": switch.id, "target": switch.target, "reason": switch.reason, "engaged_at": switch.engaged_at });
    Ok(Json(dated(json!({
        "id": id, "side": account.side, "name": vault.account_name(&id).await.map_err(|error| unreadable(&error))?,
        "agents_may_enable_exec": account.agents_may_enable_exec, "vms": vms, "people": people,
        "switches": switches.map(shown).collect::<Vec<_>>(),
    }))))
}

fn unreadable(error: &dyn std::error::Error) -> Problem {
    tracing::error!(%error, "an account cannot be read");
    Refusal::new(Code::AuditUnavailable, "The account cannot be read now.").into()
}
