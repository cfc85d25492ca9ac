//! `GET /api/v1/keys/{id}`: one key, or what a person's sessions act with, without its secret.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::Reason;
use super::endpoint::{Endpoint, ReadRequest};
use crate::core::code::Code;
use crate::core::id::{AccountId, CredentialId, VmId};
use crate::core::limit::Limit;
use crate::core::principal::Side;
use crate::core::reading::Reading;
use crate::core::refusal::Refusal;
use crate::core::role::Role;
use crate::core::scope::{Scope, ScopeSet};
use crate::core::state::Credential;
use crate::core::time::Micros;
use crate::core::visibility::Visibility;
use crate::http::Http;
use crate::http::problem::Problem;

#[derive(Serialize, JsonSchema)]
struct Key {
    /// Its id.
    id: CredentialId,
    /// Whose key.
    account: AccountId,
    /// The person who holds it; staff are not named to customers.
    user: String,
    /// The start of the key.
    prefix: String,
    /// Its name for people.
    label: String,
    /// What it may do at most.
    #[schemars(with = "Vec<String>")]
    scopes: ScopeSet,
    /// The VMs it may touch; all of the account's if null.
    vms: Option<Vec<VmId>>,
    /// The networks it may be used from; any if null.
    ips: Option<Vec<String>>,
    /// It only reads.
    read_only: bool,
    /// Its own sliding window, if it has one.
    limit: Option<Limit>,
    /// When it was made.
    created_at: Micros,
    /// When it ends.
    expires_at: Option<Micros>,
    /// When it was revoked.
    revoked_at: Option<Micros>,
    /// The key that it replaces, if the reader may see that one.
    rotates: Option<CredentialId>,
    /// The credential that it was made with, likewise.
    made_by: Option<CredentialId>,
    /// The role of the person for whom the console acts with it; null for a key.
    role: Option<Role>,
}

pub fn endpoint() -> Endpoint {
    let about = "One key, without its secret.";
    Endpoint::reading("/keys/{id}", about, |http, asking, reason| Box::pin(read(http, asking, reason)))
}

async fn read(http: Arc<Http>, ReadRequest { caller, id, .. }: ReadRequest, Reason { reason }: Reason) -> Result<Key, Problem> {
    let who = &caller.principal;
    let absent = || Problem::from(Refusal::new(Code::NotFound, "There is no such key."));
    let id: CredentialId = id.parse().map_err(|_| absent())?;
    let whose = http.gateway.state().owner_of(id.as_str());
    // The id of what is nobody's is told to nobody.
    let what = Reading::Credential(whose.is_some().then(|| id.clone()));
    http.gateway.check_reader(who, what, whose, json!({ "credential": id, "reason": reason })).await?;
    let state = http.gateway.state();
    // What is not the reader's own is not found; a key knows itself, and others if it may list them.
    let visibility = Visibility::of(who, &state);
    let may_list = who.side == Side::Staff || state.credentials.get(&who.credential).is_some_and(may_list);
    let is_seen =
        |row: &Credential| visibility.key(row) && (may_list || state.is_same_key(&row.created.credential, &who.credential));
    let row = state.credentials.get(&id).filter(|row| is_seen(row)).ok_or_else(absent)?;
    let seen = |key: &Option<CredentialId>| key.clone().filter(|key| state.credentials.get(key).is_some_and(is_seen));
    let made = &row.created;
    Ok(Key {
        id: made.credential.clone(),
        account: made.account.clone(),
        user: visibility.user_name(made.user.to_string(), &state),
        prefix: made.prefix.to_string(),
        label: row.label.clone(),
        scopes: made.scopes.clone(),
        vms: made.vms.clone(),
        ips: row.ips.clone(),
        read_only: made.read_only,
        limit: made.limit,
        created_at: row.created_at,
        expires_at: made.expires_at,
        revoked_at: row.revoked_at,
        rotates: seen(&made.rotates),
        made_by: seen(&made.made_by),
        role: made.role,
    })
}

fn may_list(own: &Credential) -> bool {
    let scopes = &own.created.scopes;
    own.created.vms.is_none() && own.ips.is_none() && (scopes.contains(&Scope::KeysRead) || scopes.contains(&Scope::KeysWrite))
}
