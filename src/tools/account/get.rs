//! `account_get`: what the caller's key is and may do, and what is left of its limits.

use serde_json::{Value, json};

use crate::core::code::Code;
use crate::core::id::CredentialId;
use crate::core::limit::{Limit, Window};
use crate::core::lineage::limit_key;
use crate::core::redact::Sensitivity::{Content, Pii, Public};
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::time::Micros;
use crate::core::tool::ToolFacts;
use crate::tools::outcome::Answer;
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, any, maybe};
use crate::tools::{Execution, Tool, facts, instant, register};

static FACTS: ToolFacts = facts::read("account_get", Some(Scope::AccountRead));

pub(super) fn tool() -> Tool {
    let output = Shape::new()
        .must("account_id", Public, any("string", "The account."))
        .must("name", Pii, maybe("string", "Its name."))
        .must("side", Public, any("string", "customer or staff."))
        .must("agents_may_enable_exec", Public, any("boolean", "A key may turn command execution on for a VM."))
        .must(
            "credential",
            Content,
            any("object", "The key of this call: id, prefix, label, scopes, vms, read_only, expires_at."),
        )
        .must(
            "limits",
            Public,
            any("array", "What may be called how often, and when the next call fits if the limit is reached."),
        );
    let face = Face {
        title: "Account",
        description: "Shows the account, the scopes and VMs of the key in use, whether keys may turn command execution on, and \
                      what is left of the limits.",
    };
    register::tool(&FACTS, face, Shape::new(), output, handler!(get))
}

async fn get(execution: Execution) -> Answer {
    let (who, state) = (&execution.principal, execution.state());
    let absent = || Refusal::new(Code::NotFound, "There is no such account.");
    let account = state.accounts.get(&who.account).ok_or_else(absent)?;
    let key = state.credentials.get(&who.credential).ok_or_else(absent)?;
    let name = execution.ports.reader.vault.account_name(&who.account).await?;
    let limits = limits(&execution, state.counted_as(&who.credential), key.created.limit).await?;
    Ok(json!({
        "account_id": account.id,
        "name": name,
        "side": account.side,
        "agents_may_enable_exec": account.agents_may_enable_exec,
        "credential": {
            "id": key.created.credential,
            "prefix": key.created.prefix,
            "label": key.label,
            "scopes": key.created.scopes,
            "vms": key.created.vms,
            "read_only": key.created.read_only || who.read_only,
            "expires_at": instant::render_maybe(key.created.expires_at),
        },
        "limits": limits,
    }))
}

async fn limits(execution: &Execution, key: &CredentialId, own: Option<Limit>) -> Result<Vec<Value>, crate::core::call::Outcome> {
    let (who, defaults) = (&execution.principal, execution.ports.terms().limits);
    let counted = [
        ("calls", format!("limit:{}", limit_key(key)), own.unwrap_or(defaults.credential)),
        ("writes", format!("limit:write:{}", who.account), defaults.write),
    ];
    let names: Vec<String> = counted.iter().map(|(_, name, _)| name.clone()).collect();
    let rows = execution.ports.reader.store.state_rows(&names).await?;
    let now = execution.ports.fence().state().in_log(execution.ports.clock.now());
    let mut shown = Vec::new();
    for (what, name, limit) in counted {
        let row = rows.iter().find(|row| row.name == name);
        let window = row.map_or(Ok(Window::default()), |row| Window::decode(&row.doc));
        let window = window.map_err(|_| Refusal::new(Code::ControlStateUnreadable, "A limit cannot be read."))?;
        shown.push(left(what, limit, &window, now));
    }
    shown.push(json!({ "limit": "commands_per_vm", "admit": defaults.exec.admit, "window_ms": defaults.exec.window_ms }));
    Ok(shown)
}

fn left(what: &str, limit: Limit, window: &Window, now: Micros) -> Value {
    let after = window.full_for(limit, now).map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX).saturating_add(1));
    json!({
        "limit": what, "admit": limit.admit, "window_ms": limit.window_ms,
        "used": window.used(limit, now), "retry_after_ms": after,
    })
}
