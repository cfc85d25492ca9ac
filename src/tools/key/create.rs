//! `key_create`: a new key, never with more rights than its maker may give.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Made, tried};
use crate::auth::key::ApiKey;
use crate::core::call::Outcome;
use crate::core::commands::key::By;
use crate::core::commands::key::create::{CreateKey, invalid};
use crate::core::event::CredentialCreated;
use crate::core::id::{AccountId, CredentialId, UserId, VmId};
use crate::core::limit::Limit;
use crate::core::principal::Side;
use crate::core::redact::Sensitivity::{Content, Pii, Public};
use crate::core::refusal::Refusal;
use crate::core::scope::{Scope, ScopeSet};
use crate::tools::Execution;
use crate::tools::declare::{Operation, Route, administration};
use crate::tools::instant::Instant;
use crate::tools::record::{change, fresh, note};

pub(super) static CREATE: Operation<Args, Made> = administration("key_create")
    .scope(Scope::KeysWrite)
    .or(&[Scope::StaffTokens])
    .title("Make a key")
    .about("Makes an API key. The key itself is in this answer and nowhere else.")
    .rest(Route::post("/keys").created())
    .run(|execution, args| Box::pin(create(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// Whose key: the caller's account, also if absent.
    #[schemars(extend("x-class" = Public))]
    account: Option<AccountId>,
    /// Who holds it; the caller if absent. Another person of the account is named by one who is signed in.
    #[schemars(extend("x-class" = Public))]
    user: Option<UserId>,
    /// A name for people.
    #[schemars(extend("x-class" = Content), length(min = 1, max = 100))]
    label: String,
    /// What it may do at most. Other systems' names are understood.
    #[schemars(extend("x-class" = Public), length(min = 1, max = 40), extend("uniqueItems" = true), inner(length(min = 1, max = 40)))]
    scopes: Vec<String>,
    /// The VMs it may touch; all of the account's if absent.
    #[schemars(extend("x-class" = Public), length(max = 1000), extend("uniqueItems" = true))]
    vms: Option<Vec<VmId>>,
    /// Addresses or networks it may be used from; any if absent.
    #[schemars(extend("x-class" = Pii), length(min = 1, max = 100), extend("uniqueItems" = true), inner(length(min = 1, max = 64)))]
    ips: Option<Vec<String>>,
    /// It only reads.
    #[serde(default)]
    #[schemars(extend("x-class" = Public))]
    read_only: bool,
    /// When it ends. RFC 3339, such as 2026-07-28T12:00:00Z, or a date.
    #[schemars(extend("x-class" = Public))]
    expires_at: Option<Instant>,
    /// Its own sliding window instead of the configured one.
    #[schemars(extend("x-class" = Public))]
    limit: Option<Limit>,
}

async fn create(execution: Execution, args: Args) -> Result<Made, Outcome> {
    let (state, who) = (fresh(&execution).await?, &execution.principal);
    let (key, ports) = (ApiKey::generate(&*execution.ports.entropy), &execution.ports);
    let (account, credential) = (args.account.as_ref(), CredentialId::new(ports.clock.now(), &*ports.entropy));
    let account = account.unwrap_or(&who.account).clone();
    let created = CredentialCreated {
        credential: credential.clone(),
        user: args.user.clone().unwrap_or_else(|| who.user.clone()),
        side: state.accounts.get(&account).map_or(Side::Customer, |row| row.side),
        account: account.clone(),
        hash: key.hash().into(),
        prefix: key.prefix().into(),
        scopes: read_scopes(&args.scopes)?,
        vms: args.vms.clone(),
        read_only: args.read_only,
        expires_at: args.expires_at.map(|end| end.0),
        // A confined maker does not get out of its window by making another key.
        limit: args.limit.or_else(|| state.credentials.get(&who.credential).and_then(|own| own.created.limit)),
        rotates: None,
        role: None,
        made_by: Some(who.credential.clone()),
    };
    let (by, event) = (By::Caller(who.clone()), ports.event_id());
    let mut command = CreateKey { created, ips: args.ips.clone(), by, event };
    tried(&execution, &state, &command)?;
    let note = note(&execution, &account, json!({ "label": args.label, "ips": args.ips })).await?;
    command.event = note.id();
    let changed = change(&execution, [note], command).await?;
    Made::of(&changed.state, &credential, &key)
}

fn read_scopes(names: &[String]) -> Result<ScopeSet, Refusal> {
    let read = |name: &String| name.parse::<Scope>();
    names.iter().map(read).collect::<Result<_, _>>().map_err(|error| {
        let known: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        invalid("/scopes", "a list of scopes").hint(error.to_string()).details(json!({ "known": known }))
    })
}
