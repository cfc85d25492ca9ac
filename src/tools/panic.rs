//! `panic_engage`: an agent stops itself, its VMs or its account. It needs no scope, and only a person releases. What is
//! stopped already is answered with the switch that stops it: a second one would stop nothing.

use serde::Deserialize;
use serde_json::{Value, json};

use super::outcome::Answer;
use super::register::{Face, handler};
use super::shape::{Shape, any, choice, text};
use super::switch::drain::{self, Engagement};
use super::switch::fenced;
use super::{Execution, Tool, facts, register};
use crate::core::code::Code;
use crate::core::decide::vm_not_found;
use crate::core::engagement::{Proposed, REASON};
use crate::core::id::VmId;
use crate::core::principal::Principal;
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::refusal::Refusal;
use crate::core::state::ControlState;
use crate::core::switch::{Running, Stop, Target};
use crate::core::tool::{Class, Risk, ToolFacts};

/// Why it needs no scope.
const WHY: &str = "Whoever can call can stop: itself, and what it is for.";

static FACTS: ToolFacts = facts::open(facts::stop(facts::write("panic_engage", None, Class::Write, Risk::R2)), WHY);

/// The tools of this noun.
pub(super) fn tools() -> Vec<Tool> {
    let target = "What to stop: credential (the key in use; also if neither this nor vm_id is given), vms (the VMs on its allow-list, or the one in vm_id), or account \
                  (for a key without an allow-list).";
    let running = "What becomes of calls that run: cancel ends them.";
    let input = Shape::new()
        .must("reason", Content, text("Why; staff and the account's people read it.", REASON))
        .may("target", Public, choice(target, &["credential", "vms", "account"]))
        .may("vm_id", Content, text("The only VM to stop; without a target, that is what is stopped.", 64))
        .may("running", Public, choice(running, &["let_finish", "cancel"]));
    let output = Shape::new()
        .must("switches", Public, any("array", "The switches that are engaged now: id and target."))
        .must("epoch", Public, any("integer", "Every admission at or after this epoch knows them."))
        .must("fenced", Public, any("boolean", "No node starts what they cover any more."))
        .must(
            "cancelled",
            Public,
            any(
                "integer",
                "How many calls they ended: those that waited, and with running=cancel those that ran, which were told to end.",
            ),
        );
    let face = Face {
        title: "Emergency stop",
        description: "Stops the key in use, its VMs or its account at once, and cancels what runs under them. Only a person can \
                      release the stop.",
    };
    vec![Tool { asks_to_stop, ..register::tool(&FACTS, face, input.read_as::<Args>(), output, handler!(engage)) }]
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reach {
    Credential,
    Vms,
    Account,
}

#[derive(Deserialize)]
struct Args {
    reason: String,
    target: Option<Reach>,
    vm_id: Option<String>,
    #[serde(default = "cancel")]
    running: Running,
}

fn cancel() -> Running {
    Running::Cancel
}

async fn engage(execution: Execution) -> Answer {
    let args: Args = execution.arguments()?;
    let targets = targets(&args, execution.admitted.vm(), &execution.principal, &execution.state())?;
    let Args { reason, running, .. } = args;
    let engagements = targets.iter().map(|target| Engagement {
        proposed: Proposed {
            target: target.clone(),
            reason: reason.clone(),
            message: Some("The account's own emergency stop covers this call.".into()),
            incident: None,
            expires_at: None,
        },
        running,
        by: None,
        once: true,
    });
    let engaged = drain::engage(&execution, engagements.collect()).await?;
    let fenced = fenced::wait(&execution, engaged.epoch).await;
    let switches: Vec<Value> =
        engaged.switches.iter().zip(&targets).map(|(id, target)| json!({ "id": id, "target": target })).collect();
    Ok(json!({
        "switches": switches,
        "epoch": engaged.epoch,
        "fenced": fenced.is_ok_and(|fenced| fenced.is_complete()),
        "cancelled": engaged.cancelled,
    }))
}

/// What is asked for, before it is decided whether the caller may: nobody is limited for what he may not stop.
fn asks_to_stop(args: &Value, who: &Principal, state: &ControlState) -> Option<Stop> {
    let args: Args = serde_json::from_value(args.clone()).ok()?;
    let vm: Option<VmId> = args.vm_id.as_ref().map(|vm| vm.parse().ok()).unwrap_or_default();
    let targets = targets(&args, vm.as_ref(), who, state).ok()?;
    Some(Stop { targets, running: args.running })
}

/// Never more than the caller's own key, the VMs on its allow-list, or its account if it has none (ADR 0006). Whoever names a
/// VM means it, and nothing else.
fn targets(args: &Args, vm: Option<&VmId>, who: &Principal, state: &ControlState) -> Result<Vec<Target>, Refusal> {
    let key = state.credentials.get(&who.credential);
    let listed = key.ok_or_else(|| Refusal::new(Code::Unauthenticated, "The key is not known."))?.created.vms.as_ref();
    let reach = args.target.unwrap_or(if args.vm_id.is_some() { Reach::Vms } else { Reach::Credential });
    let stop = |vm: &VmId| Target::Vm { vm: vm.clone(), exec_only: false };
    match (reach, vm, listed) {
        (Reach::Credential | Reach::Account, _, _) if args.vm_id.is_some() => {
            let refusal = Refusal::new(Code::ValidationFailed, "vm_id names one VM, and the target is more than that.");
            Err(refusal.hint("Leave vm_id out, or stop that VM with the target vms."))
        }
        (Reach::Credential, _, _) => Ok(vec![Target::Credential(who.credential.clone())]),
        // Whose the VM is and that it is on the list was decided at admission.
        (Reach::Vms, Some(vm), _) => Ok(vec![stop(vm)]),
        (Reach::Vms, None, Some(vms)) if !vms.is_empty() => Ok(vms.iter().map(stop).collect()),
        (Reach::Vms, None, Some(_)) => Err(vm_not_found()),
        (Reach::Account, _, None) => Ok(vec![Target::Account(who.account.clone())]),
        (Reach::Vms, None, None) => {
            let refusal = Refusal::new(Code::ValidationFailed, "The key has no allow-list of VMs.");
            Err(refusal.hint("Name one in vm_id, or stop the account."))
        }
        (Reach::Account, _, Some(_)) => {
            let refusal = Refusal::new(Code::ForbiddenResource, "The key is limited to some VMs and cannot stop the account.");
            Err(refusal.hint("Stop its VMs with the target vms."))
        }
    }
}
