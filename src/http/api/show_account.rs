//! `GET /api/v1/accounts/{id}`: one account as the staff sees it: its VMs, its people, and the switches that touch it.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::Reason;
use super::endpoint::{Endpoint, ReadRequest};
use crate::core::code::Code;
use crate::core::email::EmailAddress;
use crate::core::id::{AccountId, SwitchId, UserId, VmId};
use crate::core::principal::Side;
use crate::core::reading::Reading;
use crate::core::refusal::Refusal;
use crate::core::role::Role;
use crate::core::switch::Target;
use crate::core::time::Micros;
use crate::http::Http;
use crate::http::problem::Problem;

#[derive(Serialize, JsonSchema)]
struct Account {
    /// The account.
    id: AccountId,
    /// customer or staff.
    side: Side,
    /// Its name.
    name: Option<String>,
    /// A key may turn command execution on for a VM.
    agents_may_enable_exec: bool,
    /// Its VMs.
    vms: Vec<Vm>,
    /// Its people.
    people: Vec<Person>,
    /// The switches in force that touch it.
    switches: Vec<Switch>,
}

#[derive(Serialize, JsonSchema)]
struct Vm {
    /// The VM.
    id: VmId,
    /// Its name for people.
    label: String,
    /// Which provider has it.
    provider: String,
    /// Command execution is on.
    exec_enabled: bool,
}

#[derive(Serialize, JsonSchema)]
struct Person {
    /// The person.
    id: UserId,
    /// Their e-mail address.
    #[schemars(with = "String")]
    email: EmailAddress,
    /// What they may do.
    role: Role,
}

#[derive(Serialize, JsonSchema)]
struct Switch {
    /// The switch.
    id: SwitchId,
    /// What it stops.
    #[schemars(with = "String")]
    target: Target,
    /// Why, for staff.
    reason: String,
    /// Since when.
    engaged_at: Micros,
}

pub fn endpoint() -> Endpoint {
    let about = "An account, its VMs, people and switches, for staff.";
    Endpoint::reading("/accounts/{id}", about, |http, asking, reason| Box::pin(read(http, asking, reason)))
}

async fn read(
    http: Arc<Http>,
    ReadRequest { caller, id, .. }: ReadRequest,
    Reason { reason }: Reason,
) -> Result<Account, Problem> {
    let absent = || Problem::from(Refusal::new(Code::NotFound, "There is no such account."));
    let id: AccountId = id.parse().map_err(|_| absent())?;
    if caller.principal.side != Side::Staff {
        return Err(absent());
    }
    let asked = json!({ "account": id, "reason": reason });
    http.gateway.check_reader(&caller.principal, Reading::Account(id.clone()), Some(id.clone()), asked).await?;
    let (state, ports) = (http.gateway.state(), &http.gateway.control().ports);
    let account = state.accounts.get(&id).ok_or_else(absent)?;
    let vault = &ports.reader.vault;
    let people = vault.users_of(&id).await.map_err(Refusal::from)?;
    let people = people.into_iter().filter_map(|person| {
        let role = person.role_in(&state)?;
        Some(Person { id: person.id, email: person.email, role })
    });
    let vms = state.vms_of(&id).map(|vm| Vm {
        id: vm.id.clone(),
        label: vm.label.clone(),
        provider: vm.provider.clone(),
        exec_enabled: vm.exec_enabled,
    });
    let switches = state.switches_touching(&id, ports.clock.now()).map(|switch| Switch {
        id: switch.id.clone(),
        target: switch.target.clone(),
        reason: switch.reason.clone(),
        engaged_at: switch.engaged_at,
    });
    Ok(Account {
        side: account.side,
        name: vault.account_name(&id).await.map_err(Refusal::from)?,
        agents_may_enable_exec: account.agents_may_enable_exec,
        vms: vms.collect(),
        people: people.collect(),
        switches: switches.collect(),
        id,
    })
}
