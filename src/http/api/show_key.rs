//! `GET /api/v1/keys/{id}`: one key, or what a person's sessions act with, without its secret.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Reason;
use crate::core::code::Code;
use crate::core::dated::dated;
use crate::core::id::CredentialId;
use crate::core::principal::Side;
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::sight::Sight;
use crate::core::state::Credential;
use crate::http::Http;
use crate::http::body::{Filters, Segment};
use crate::http::caller::Caller;
use crate::http::problem::Problem;

pub async fn handle(
    State(http): State<Arc<Http>>,
    caller: Caller,
    Segment(id): Segment,
    Filters(Reason { reason }): Filters<Reason>,
) -> Result<Json<Value>, Problem> {
    let who = &caller.principal;
    let absent = || Problem::from(Refusal::new(Code::NotFound, "There is no such key."));
    let id: CredentialId = id.parse().map_err(|_| absent())?;
    let whose = http.door.state().credentials.get(&id).map(|row| row.created.account.clone());
    http.door.check_reader(who, &format!("credentials/{id}"), whose, json!({ "credential": id, "reason": reason })).await?;
    let state = http.door.state();
    // What is not the reader's own is not found; a key knows itself, and others if it may list them.
    let sight = Sight::of(who, &state);
    let may_list = who.side == Side::Staff || state.credentials.get(&who.credential).is_some_and(may_list);
    let is_seen = |row: &Credential| sight.key(row) && (may_list || state.is_same_key(&row.created.credential, &who.credential));
    let row = state.credentials.get(&id).filter(|row| is_seen(row)).ok_or_else(absent)?;
    let seen = |key: &Option<CredentialId>| key.clone().filter(|key| state.credentials.get(key).is_some_and(is_seen));
    let made = &row.created;
    Ok(Json(dated(json!({
        "id": made.credential, "account": made.account, "user": sight.named(made.user.to_string(), &state), "prefix": made.prefix, "label": row.label,
        "scopes": made.scopes, "vms": made.vms, "ips": row.ips, "read_only": made.read_only, "limit": made.limit,
        "created_at": row.created_at, "expires_at": made.expires_at, "revoked_at": row.revoked_at,
        "rotates": seen(&made.rotates), "made_by": seen(&made.made_by), "role": made.role,
    }))))
}

fn may_list(own: &Credential) -> bool {
    let scopes = &own.created.scopes;
    own.created.vms.is_none() && own.ips.is_none() && (scopes.contains(&Scope::KeysRead) || scopes.contains(&Scope::KeysWrite))
}
