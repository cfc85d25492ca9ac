//! `key_create`: a new key, never with more rights than its maker may give.

use serde::Deserialize;
use serde_json::json;

use super::{made_shape, quota, shown, with_key};
use crate::auth::key::ApiKey;
use crate::core::code::Code;
use crate::core::decide::vm_not_found;
use crate::core::event::{CredentialCreated, Kind};
use crate::core::grant;
use crate::core::id::{AccountId, CredentialId, UserId, VmId};
use crate::core::limit::Limit;
use crate::core::principal::Side;
use crate::core::redact::Sensitivity::{Content, Pii, Public};
use crate::core::refusal::Refusal;
use crate::core::scope::{Scope, ScopeSet};
use crate::core::state::ControlState;
use crate::core::time::{LONGEST, Micros};
use crate::core::tool::ToolFacts;
use crate::tools::instant;
use crate::tools::outcome::Answer;
use crate::tools::record::{Record, fresh, record};
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, flag, id, moment, number, text, texts};
use crate::tools::{Execution, Tool, facts, register};

static FACTS: ToolFacts = facts::or(facts::control("key_create", Some(Scope::KeysWrite)), &[Scope::StaffTokens]);

pub(super) fn tool() -> Tool {
    let limit = json!({
        "type": "object", "additionalProperties": false, "required": ["admit", "window_ms"],
        "properties": { "admit": number("At most so many calls.", 1, 10_000), "window_ms": number("In any window of this length.", 1, 86_400_000) },
        "description": "Its own sliding window instead of the configured one.",
    });
    let input = Shape::new()
        .may("account", Public, id("acc", "Whose key: the caller's account, also if absent."))
        .may(
            "user",
            Public,
            id("usr", "Who holds it; the caller if absent. Another person of the account is named by one who is signed in."),
        )
        .must("label", Content, text("A name for people.", 100))
        .must("scopes", Public, texts("What it may do at most. Other systems' names are understood.", 40, 40))
        .may("vms", Public, texts("The VMs it may touch; all of the account's if absent.", 64, 1000))
        .may("ips", Pii, texts("Addresses or networks it may be used from; any if absent.", 64, 100))
        .may("read_only", Public, flag("It only reads."))
        .may("expires_at", Public, moment("When it ends."))
        .may("limit", Public, limit)
        .keyed();
    let face = Face { title: "Make a key", description: "Makes an API key. The key itself is in this answer and nowhere else." };
    register::tool(&FACTS, face, input.read_as::<Args>(), made_shape(), handler!(create))
}

#[derive(Deserialize)]
struct Args {
    account: Option<AccountId>,
    user: Option<UserId>,
    label: String,
    scopes: Vec<String>,
    vms: Option<Vec<VmId>>,
    ips: Option<Vec<String>>,
    #[serde(default)]
    read_only: bool,
    #[serde(default, deserialize_with = "instant::read")]
    expires_at: Option<Micros>,
    limit: Option<Limit>,
}

async fn create(execution: Execution) -> Answer {
    let args: Args = execution.arguments()?;
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
        expires_at: args.expires_at,
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
    Ok(with_key(shown(&row), key.reveal()))
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
    if args.expires_at.is_some_and(|end| end <= now || end > now.plus(LONGEST)) {
        return Err(invalid("/expires_at", "in the future, within ten years"));
    }
    Ok(())
}

fn check_vms(state: &ControlState, made: &CredentialCreated) -> Result<(), Refusal> {
    let own = |vm: &VmId| state.vms.get(vm).is_some_and(|row| row.account == made.account);
    if made.vms.iter().flatten().all(own) { Ok(()) } else { Err(vm_not_found()) }
}
