//! `GET /api/v1/accounts`: the accounts, found by name, person or VM, for the staff.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::endpoint::{Endpoint, ReadRequest};
use crate::core::engagement::WHY_STAFF_ASK;
use crate::core::principal::Side;
use crate::core::refusal::Refusal;
use crate::http::Http;
use crate::http::account_search::{FoundAccounts, LONGEST, find};
use crate::http::problem::Problem;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// A part of an account's id or name, or of a VM's id, label or machine; or the whole e-mail address of a person.
    #[schemars(length(max = LONGEST))]
    q: Option<String>,
    /// Why the staff asks.
    #[schemars(description = WHY_STAFF_ASK)]
    reason: Option<String>,
}

pub fn endpoint() -> Endpoint {
    let about = "The accounts, found by name, person or VM, for staff.";
    Endpoint::reading("/accounts", about, |http, asking, asked| Box::pin(read(http, asking, asked)))
}

async fn read(http: Arc<Http>, ReadRequest { caller, .. }: ReadRequest, asked: Asked) -> Result<FoundAccounts, Problem> {
    if caller.principal.side != Side::Staff {
        return Err(Refusal::for_staff("Accounts are for the staff to see; account_get tells of the own one.").into());
    }
    let q = asked.q.unwrap_or_default();
    if q.chars().count() > LONGEST {
        return Err(Refusal::of_argument("/q", "maxLength", &format!("it has more than {LONGEST} characters")).into());
    }
    Ok(find(&http, &caller.principal, q.trim(), asked.reason.as_deref()).await?)
}
