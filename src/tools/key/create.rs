//! `key_create`: a new key, never with more rights than its maker may give.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Made, quota};
use crate::auth::key::ApiKey;
use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::event::{CredentialCreated, Kind};
use crate::core::grant;
use crate::core::id::{AccountId, CredentialId, UserId, VmId};
use crate::core::limit::Limit;
use crate::core::noun::vm::vm_not_found;
use crate::core::principal::Side;
use crate::core::redact::Sensitivity::{Content, Pii, Public};
use crate::core::refusal::Refusal;
use crate::core::scope::{Scope, ScopeSet};
use crate::core::state::ControlState;
use crate::core::time::LONGEST;
use crate::tools::Execution;
use crate::tools::declare::{Operation, Route, administration};
use crate::tools::instant::Instant;
use crate::tools::record::{Record, fresh, record};

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
    #[schemars(extend("x-class" = Public), length(max = 40), extend("uniqueItems" = true), inner(length(min = 1, max = 40)))]
    scopes: Vec<String>,
    /// The VMs it may touch; all of the account's if absent.
    #[schemars(extend("x-class" = Public), length(max = 1000), extend("uniqueItems" = true))]
    vms: Option<Vec<VmId>>,
    /// Addresses or networks it may be used from; any if absent.
    #[schemars(extend("x-class" = Pii), length(max = 100), extend("uniqueItems" = true), inner(length(min = 1, max = 64)))]
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
    let (state, who) = (fresh(&execution).await?, execution.principal.clone());
    let account = args.account.clone().unwrap_or_else(|| who.account.clone());
    let user = args.user.clone().unwrap_or_else(|| who.user.clone());
    let key = ApiKey::generate(&*execution.ports.entropy);
    let credential = CredentialId::new(execution.ports.clock.now(), &*execution.ports.entropy);
    let created = CredentialCreated {
        credential: credential.clone(),
        account: account.clone(),
        user,
        side: state.accounts.get(&account).map_or(Side::Customer, |row| row.side),
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
    grant::check(&state, &who, &created)?;
    check(&execution, &args)?;
    let note = json!({ "label": args.label, "ips": args.ips });
    let made = Record::noted(&execution, &account, Kind::CredentialCreated(created.clone()), note).await?;
    let full = quota(&execution, &account, false);
    record(&execution, vec![made], move |state| {
        let checked = grant::check(state, &who, &created).and_then(|()| check_vms(state, &created));
        checked.err().or_else(|| full(state))
    })
    .await?;
    let row = fresh(&execution).await?.credentials.get(&credential).cloned();
    let row = row.ok_or_else(|| Refusal::new(Code::InternalError, "The key was made and cannot be read back."))?;
    Ok(Made::of(&row, &key))
}

fn read_scopes(names: &[String]) -> Result<ScopeSet, Refusal> {
    let read = |name: &String| name.parse::<Scope>();
    names.iter().map(read).collect::<Result<_, _>>().map_err(|error| {
        let known: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        invalid("/scopes", "scope").hint(error.to_string()).details(json!({ "known": known }))
    })
}

fn invalid(path: &str, rule: &str) -> Refusal {
    let details = json!({ "faults": [{ "path": path, "rule": rule }] });
    Refusal::new(Code::ValidationFailed, format!("The argument at {path} cannot be taken.")).details(details)
}

fn check(execution: &Execution, args: &Args) -> Result<(), Refusal> {
    let is_network = |text: &String| text.parse::<ipnet::IpNet>().is_ok() || text.parse::<std::net::IpAddr>().is_ok();
    if !args.ips.iter().flatten().all(is_network) {
        return Err(invalid("/ips", "network"));
    }
    let now = execution.ports.clock.now();
    if args.expires_at.is_some_and(|Instant(end)| end <= now || end > now.plus(LONGEST)) {
        return Err(invalid("/expires_at", "in the future, within ten years"));
    }
    Ok(())
}

fn check_vms(state: &ControlState, made: &CredentialCreated) -> Result<(), Refusal> {
    let own = |vm: &VmId| state.vms.get(vm).is_some_and(|row| row.account == made.account);
    if made.vms.iter().flatten().all(own) { Ok(()) } else { Err(vm_not_found()) }
}
