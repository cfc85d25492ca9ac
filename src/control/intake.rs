//! From what came in to what is decided: tool, VM, schema, guard, redaction. Nothing here waits for the log.
//!
//! INVARIANT: values of arguments that fit no schema are not kept; of an unknown tool's name only a digest is.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Request;
use crate::core::abridge::abridged;
use crate::core::canonical::canonical;
use crate::core::code::Code;
use crate::core::decide::vm_not_found;
use crate::core::id::VmId;
use crate::core::redact::{public_text, redact};
use crate::core::refusal::Refusal;
use crate::core::scrub::Scrubbed;
use crate::core::sight::Sight;
use crate::core::state::{ControlState, Vm};
use crate::tools::{Catalogue, Tool};

/// What is kept of the arguments of a call that is refused, in bytes; an escape may double it.
pub(super) const BRIEF: usize = 4 * 1024;

/// A request after everything that can be said of it without the log.
pub(super) struct Intake<'a> {
    /// The tool, if there is one of that name.
    pub(super) tool: Option<&'a Tool>,
    /// Its name, or the digest of a name that is no tool's.
    pub(super) name: String,
    /// The VM that the arguments name, as this node knows it.
    pub(super) vm: Option<Vm>,
    /// The id of the VM that the arguments name, known or not.
    pub(super) vm_id: Option<VmId>,
    /// Why the arguments cannot be taken.
    pub(super) invalid: Option<Refusal>,
    /// What is missing for the guard.
    pub(super) guard: Option<Refusal>,
    /// What is recorded of the arguments.
    pub(super) recorded: Scrubbed,
    /// RFC 8785 bytes of the raw arguments, for their HMAC.
    pub(super) canonical: Vec<u8>,
    /// The idempotency key.
    pub(super) key: Option<String>,
}

/// Takes a request in against the catalogue and the control state that this node knows.
pub(super) fn take_in<'a>(request: &Request, catalogue: &'a Catalogue, state: &ControlState) -> Intake<'a> {
    let tool = catalogue.get(&request.tool);
    let canonical = canonical(&request.args).unwrap_or_default();
    if let Some(refusal) = &request.rejected {
        return rejected(request, tool, canonical, refusal);
    }
    let Some(known) = tool else {
        let name = unknown(&request.tool);
        let recorded = Scrubbed::of(json!({ "args": { "size": canonical.len() }, "text": "" }));
        return Intake { tool, name, vm: None, vm_id: None, invalid: None, guard: None, recorded, canonical, key: None };
    };
    let schema_fault = catalogue.invalid(known, &request.args);
    let (vm_id, vm, absent) = find_vm(request, state);
    let recorded = match &schema_fault {
        Some(fault) => {
            Scrubbed::of(json!({ "args": { "size": canonical.len(), "faults": fault.details["faults"] }, "text": "" }))
        }
        None => recorded(&request.args, known, vm.is_some()),
    };
    let guard = if schema_fault.is_none() { (known.guard)(&request.args, vm.as_ref()) } else { None };
    let key = request.args["idempotency_key"].as_str().map(str::to_owned);
    let (name, invalid) = (known.facts.name.to_owned(), schema_fault.or(absent));
    Intake { tool, name, vm, vm_id, invalid, guard, recorded, canonical, key }
}

/// A call that its protocol has rejected: whatever it brought, digest, size and fault are kept of it.
fn rejected<'a>(request: &Request, tool: Option<&'a Tool>, canonical: Vec<u8>, refusal: &Refusal) -> Intake<'a> {
    let name = tool.map_or_else(|| unknown(&request.tool), |tool| tool.facts.name.to_owned());
    let faults = refusal.details.get("faults").cloned().unwrap_or_else(|| json!([{ "path": "/", "rule": "request" }]));
    // Null stands for what never came: it has no size.
    let args =
        if request.args.is_null() { json!({ "faults": faults }) } else { json!({ "size": canonical.len(), "faults": faults }) };
    let (recorded, invalid) = (Scrubbed::of(json!({ "args": args, "text": "" })), Some(refusal.clone()));
    Intake { tool, name, vm: None, vm_id: None, invalid, guard: None, recorded, canonical, key: None }
}

/// The name of a tool that there is not.
fn unknown(name: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(name.as_bytes())))
}

/// What is kept of arguments that fit the schema. A `vm_id` that names none of the caller's VMs could be anything.
fn recorded(args: &Value, tool: &Tool, names_vm: bool) -> Scrubbed {
    let mut kept = args.clone();
    if let Some(fields) = kept.as_object_mut().filter(|_| !names_vm) {
        fields.remove("vm_id");
    }
    Scrubbed::of(json!({ "args": redact(&kept, &tool.arguments), "text": public_text(&kept, &tool.arguments) }))
}

/// What is kept of arguments that are long, if the call is refused: less of what somebody may send as often as he likes.
pub(super) fn brief(recorded: &Scrubbed) -> Scrubbed {
    let recorded = recorded.document();
    let text = recorded["text"].as_str().unwrap_or_default();
    let text = text.get(..text.floor_char_boundary(BRIEF / 2)).unwrap_or_default();
    Scrubbed::of(json!({ "args": abridged(recorded["args"].clone(), BRIEF / 8, BRIEF / 2), "text": text }))
}

/// The VM of `vm_id`: by id, or by the exact label, of those that the caller may see. What it may not see is not even found,
/// so that nothing which is recorded or decided can differ from what is said of a VM that does not exist (P9).
fn find_vm(request: &Request, state: &ControlState) -> (Option<VmId>, Option<Vm>, Option<Refusal>) {
    let Some(text) = request.args["vm_id"].as_str() else { return (None, None, None) };
    let sight = Sight::own(&request.principal, state);
    if let Ok(id) = text.parse::<VmId>() {
        let vm = state.vms.get(&id).filter(|vm| sight.vm(vm)).cloned();
        return (Some(id), vm, None);
    }
    let label = crate::core::label::canonical(text).ok().filter(|label| label != text);
    // What it sees ends at its account.
    let labelled = |label: &str| sight.account().map(|account| state.vms_labelled(account, label));
    let found = [labelled(text), label.as_deref().and_then(labelled)].into_iter().flatten().flatten();
    let mut named = found.filter(|vm| sight.vm(vm));
    match (named.next(), named.next()) {
        (Some(vm), None) => (Some(vm.id.clone()), Some(vm.clone()), None),
        _ => (None, None, Some(vm_not_found())),
    }
}

/// A call that nothing could be recorded of, so nothing was done (P1).
pub(super) fn unrecorded(error: &crate::log::writer::WriteError) -> Refusal {
    use crate::log::writer::WriteError;
    match error {
        WriteError::Overloaded => Refusal::new(Code::Overloaded, "Too many calls wait to be recorded; nothing was done.")
            .retry_after(std::time::Duration::from_millis(200)),
        WriteError::Blocked(_) => Refusal::new(Code::AuditUnavailable, "Somebody holds the log, so the call was not made.")
            .hint("`forelog doctor` on the data names who holds it."),
        WriteError::Unconfirmed(_) => {
            let text = "A standby that the database waits for does not answer, so the call was not made.";
            Refusal::new(Code::AuditUnavailable, text)
                .hint("Bring the standby back, or take it out of synchronous_standby_names; `forelog doctor` names the commit that waits.")
        }
        WriteError::Store { .. } | WriteError::Differs(_) | WriteError::Stopped => {
            Refusal::new(Code::AuditUnavailable, "The call could not be recorded, so it was not made.")
        }
    }
}
