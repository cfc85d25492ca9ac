//! `panic_engage`: an agent stops itself, its VMs or its account. It needs no scope, and only a person releases. What the same
//! key has stopped already is answered with the switch that stops it; what somebody else has stopped is stopped once more.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Execution;
use super::declare::{Declared, Operation, write};
use super::switch::drain::{self, Engagement};
use super::switch::fenced;
use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::commands::switch::Again;
use crate::core::engagement::{Proposed, REASON, check_reason};
use crate::core::id::{Epoch, SwitchId};
use crate::core::noun::vm::{VM, vm_not_found};
use crate::core::principal::Principal;
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::refusal::Refusal;
use crate::core::resource::{Resource, ResourceId};
use crate::core::state::ControlState;
use crate::core::stop::Stop;
use crate::core::switch::{Running, Target};

/// The operations of this noun.
pub(super) static OPERATIONS: &[&dyn Declared] = &[&PANIC];

static PANIC: Operation<Args, Output> = write("panic_engage")
    .open("Whoever can call can stop: itself, and what it is for.")
    .stops()
    .harmless_twice()
    .title("Emergency stop")
    .about(
        "Stops the key in use, its VMs or its account at once, and cancels what runs under them. Only a person can release the \
         stop.",
    )
    .run(|execution, args| Box::pin(engage(execution, args)))
    .asks_to_stop(asks_to_stop);

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Reach {
    Credential,
    Vms,
    Account,
}

#[derive(Clone, Deserialize, JsonSchema)]
struct Args {
    /// Why; staff and the account's people read it.
    #[schemars(extend("x-class" = Content), length(min = 1, max = REASON))]
    reason: String,
    /// credential: the key in use, which is meant if nothing is given; vms: those on its allow-list, or vm_id; account: for a
    /// key without an allow-list.
    #[schemars(extend("x-class" = Public))]
    target: Option<Reach>,
    /// The only VM to stop.
    #[schemars(extend("x-class" = Content), length(min = 1, max = 64))]
    vm_id: Option<String>,
    /// What becomes of calls that run: cancel ends them.
    #[serde(default = "cancel")]
    #[schemars(extend("x-class" = Public))]
    running: Running,
}

fn cancel() -> Running {
    Running::Cancel
}

#[derive(Serialize, JsonSchema)]
struct Output {
    /// The switches that are engaged now.
    #[schemars(extend("x-class" = Public))]
    switches: Vec<Engaged>,
    /// Every admission at or after this epoch knows them.
    #[schemars(extend("x-class" = Public))]
    epoch: Epoch,
    /// No node starts what they cover any more.
    #[schemars(extend("x-class" = Public))]
    fenced: bool,
    /// How many calls they ended: those that waited, and with running=cancel those that ran, which were told to end.
    #[schemars(extend("x-class" = Public))]
    cancelled: usize,
}

#[derive(Serialize, JsonSchema)]
struct Engaged {
    /// The switch.
    id: SwitchId,
    /// What it stops.
    #[schemars(with = "String")]
    target: Target,
}

async fn engage(execution: Execution, args: Args) -> Result<Output, Outcome> {
    let targets = targets(&args, &execution.resources, &execution.principal, &execution.state())?;
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
        again: Again::AsMuch,
    });
    let engaged = drain::engage(&execution, false, engagements.collect()).await?;
    let fenced = fenced::wait(&execution, engaged.epoch).await;
    let switches = engaged.switches.into_iter().zip(targets).map(|(id, target)| Engaged { id, target });
    Ok(Output {
        switches: switches.collect(),
        epoch: engaged.epoch,
        fenced: fenced.is_ok_and(|fenced| fenced.is_complete()),
        cancelled: engaged.cancelled,
    })
}

/// What is asked for, before it is decided. What will fail stops nothing, and is a call like any other.
#[expect(clippy::unnecessary_wraps, reason = "most operations ask to stop nothing")]
fn asks_to_stop(args: &Args, who: &Principal, about: &[Resource], state: &ControlState) -> Option<Stop> {
    let targets = check_reason(&args.reason).and_then(|()| targets(args, about, who, state));
    Some(Stop { targets: targets.unwrap_or_default(), running: args.running })
}

/// Never more than the caller's own key, the VMs on its allow-list, or its account if it has none (ADR 0006). Whoever names a
/// VM means it, and nothing else.
fn targets(args: &Args, about: &[Resource], who: &Principal, state: &ControlState) -> Result<Vec<Target>, Refusal> {
    let vm = about.iter().map(|row| &row.id).find(|id| *id.noun() == VM);
    let key = state.credentials.get(&who.credential);
    let listed = key.ok_or_else(|| Refusal::new(Code::Unauthenticated, "The key is not known."))?.created.vms.as_ref();
    let reach = args.target.unwrap_or(if args.vm_id.is_some() { Reach::Vms } else { Reach::Credential });
    let stop = |id: ResourceId| Target::Resource { id, exec_only: false };
    match (reach, vm, listed) {
        (Reach::Credential | Reach::Account, _, _) if args.vm_id.is_some() => {
            let refusal = Refusal::new(Code::ValidationFailed, "vm_id names one VM, and the target is more than that.");
            Err(refusal.hint("Leave vm_id out, or stop that VM with the target vms."))
        }
        (Reach::Credential, _, _) => Ok(vec![Target::Credential(who.credential.clone())]),
        // Whose the VM is and that it is on the list was decided at admission.
        (Reach::Vms, Some(vm), _) => Ok(vec![stop(vm.clone())]),
        (Reach::Vms, None, Some(vms)) if !vms.is_empty() => Ok(vms.iter().map(|vm| stop(vm.into())).collect()),
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
