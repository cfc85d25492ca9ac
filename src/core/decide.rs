//! The decision, as one pure function. The order is that of the checks below; the first check that stops a call decides.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::approval::superseded;
use super::code::Code;
use super::covering::Covered;
use super::earlier_terms::TermsInForce;
use super::hold::Hold;
use super::id::{CallId, CredentialId, SwitchId};
use super::job::{Claim, Idempotency};
use super::limit::{Limit, Window};
pub use super::limit_keys::limit_keys;
pub use super::lineage::INACTIVITY;
use super::lineage::{Lineage, alive};
use super::principal::{Principal, Side, Via};
use super::proposal::Proposal;
use super::refusal::Refusal;
use super::resource::{Resource, ResourceId};
use super::scope::Scope;
use super::state::ControlState;
use super::switch::Switch;
#[cfg(feature = "testing")]
pub use super::terms::Limits;
use super::terms::Terms;
use super::time::Micros;
use super::tool::{Class, ToolSpec};
use super::visibility::Visibility;
use super::visible::counted;

/// What the transaction found.
#[derive(Debug)]
pub struct DecisionInputs<'a> {
    /// Time of the log.
    pub now: Micros,
    /// Control state at the head.
    pub state: &'a ControlState,
    /// Windows by key.
    pub windows: &'a BTreeMap<String, Window>,
    /// The idempotency row.
    pub idempotency: Option<&'a Idempotency>,
    /// How many have joined the call that this one would join.
    pub joined: u32,
    /// The VM's claim.
    pub claim: Option<&'a Claim>,
    /// When the keys of [`super::lineage::LineageRows::uses`] were last used.
    pub uses: &'a BTreeMap<CredentialId, Micros>,
}

/// The limits that a call takes a slot of, by key. A repeat takes them as well: answering it costs what recording it does.
pub type Slots = Vec<(String, Limit)>;

/// So many calls may wait for the end of one that still runs.
pub const JOINED: u32 = 100;

/// When a call may be joined again that too many have joined already.
const RETRY_AFTER: Duration = Duration::from_mins(1);

/// Who turns command execution on where keys may not.
const BY_A_PERSON: &str = "A person of the account turns it on in the console, on the VM's page; the operator lets keys do so with \
                           `forelog account set`.";

/// What administers is never put to a person: who could answer would have to be asked first.
const NOT_HELD: &str = "Nobody is asked about administration. It takes a policy that permits it without a person.";

/// What is to be done with a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Run it, and take a slot of these limits.
    Admit(Slots),
    /// Do not.
    Refuse {
        /// Why.
        refusal: Refusal,
        /// The switch that covers it.
        switch: Option<SwitchId>,
    },
    /// Ask a person first.
    Hold(Hold),
    /// Repeat the recorded end of this earlier call.
    Replay(Idempotency, Slots),
    /// End as this running call ends.
    Join(CallId, Slots),
    /// The policy or a resource moved since the verdict: evaluate again.
    Unsettled,
}

/// Decides one call.
#[must_use]
pub fn decide(proposal: &Proposal, facts: &DecisionInputs<'_>) -> Decision {
    match check(proposal, facts) {
        Ok(limits) => Decision::Admit(limits),
        Err(decision) => *decision,
    }
}

type Checked<T> = Result<T, Box<Decision>>;

fn check(proposal: &Proposal, facts: &DecisionInputs<'_>) -> Checked<Slots> {
    let lineage = live(proposal, facts)?;
    let Some(tool) = proposal.tool else { return unknown_tool() };
    check_scope(&proposal.principal, tool, &lineage)?;
    if let Some(invalid) = &proposal.invalid {
        return refuse(invalid.clone());
    }
    let resources = owned(proposal, &lineage, facts.state)?;
    check_repeat(proposal, &lineage, facts)?;
    check_switches(proposal, tool, facts)?;
    let limits = check_limits(proposal, &lineage, facts)?;
    check_policy(proposal, tool, &resources, facts)?;
    if let Some(guard) = &proposal.guard {
        return refuse(guard.clone());
    }
    check_approval(proposal, tool, facts.now)?;
    check_exec(proposal, tool, &resources, facts)?;
    Ok(limits)
}

fn refuse<T>(refusal: Refusal) -> Checked<T> {
    Err(Box::new(Decision::Refuse { refusal, switch: None }))
}

/// A tool that is hidden from this caller looks like one that does not exist.
fn unknown_tool<T>() -> Checked<T> {
    refuse(Refusal::new(Code::UnknownTool, "There is no such tool."))
}

/// The key and all that it comes from, if they are alive (P8, P14).
fn live<'a>(proposal: &Proposal, facts: &DecisionInputs<'a>) -> Checked<Lineage<'a>> {
    let who = &proposal.principal;
    let lineage = or_refuse(alive(facts.state, &who.credential, facts.now))?;
    or_refuse(lineage.check_address(who))?;
    if lineage.lineage_rows() != proposal.lineage_rows {
        // What it comes from has changed, and the transaction has not read all that counts.
        return proposal.invalid.clone().map_or_else(|| Err(Box::new(Decision::Unsettled)), refuse);
    }
    or_refuse(lineage.check_used(facts.uses, facts.now))?;
    let made = &lineage.own().created;
    if !facts.state.accounts.contains_key(&made.account) || made.account != who.account {
        return refuse(Refusal::new(Code::ControlStateUnreadable, "The key's account cannot be read."));
    }
    Ok(lineage)
}

fn or_refuse<T>(checked: Result<T, Refusal>) -> Checked<T> {
    checked.or_else(refuse)
}

/// Whether a key may ask for a tool at all, whatever policies, switches and limits then say of the call.
#[must_use]
pub fn may_ask(who: &Principal, tool: &ToolSpec, state: &ControlState, now: Micros) -> bool {
    alive(state, &who.credential, now).is_ok_and(|lineage| check_scope(who, tool, &lineage).is_ok())
}

fn check_scope(who: &Principal, tool: &ToolSpec, lineage: &Lineage<'_>) -> Checked<()> {
    let credential = lineage.own();
    let for_staff = credential.created.side == Side::Staff || who.side == Side::Staff || tool.scope.is_some_and(Scope::is_staff);
    if matches!(who.via, Via::Mcp | Via::Stdio) && (for_staff || tool.class == Class::Control) {
        return unknown_tool();
    }
    if let Some(scope) = tool.lacks(credential.created.side, &credential.created.scopes) {
        let text = format!("The key lacks the scope {}.", scope.as_str());
        let is_beyond = scope.is_staff() && credential.created.side == Side::Customer;
        let refusal = if is_beyond { Refusal::for_staff(text) } else { Refusal::new(Code::ForbiddenScope, text) };
        return refuse(refusal.details(json!({ "scope": scope.as_str() })));
    }
    let changes = tool.administers || (tool.class != Class::Read && !tool.stops && !tool.lists());
    if changes && (who.read_only || lineage.is_read_only()) {
        return refuse(Refusal::new(Code::ReadOnlyMode, "This key or endpoint only reads."));
    }
    Ok(())
}

/// What the call is about, all of which has to be the caller's. Absent, not owned and not on the allow-list look the same (P9).
fn owned(proposal: &Proposal, lineage: &Lineage<'_>, state: &ControlState) -> Checked<Vec<Resource>> {
    let own = |id: &ResourceId| {
        let found = state.resource(id).filter(|row| row.account == proposal.principal.account && lineage.may_touch(id.as_str()));
        found.map_or_else(|| refuse((id.noun().absent)()), Ok)
    };
    proposal.resources.iter().map(own).collect()
}

fn check_repeat(proposal: &Proposal, lineage: &Lineage<'_>, facts: &DecisionInputs<'_>) -> Checked<()> {
    let (ended, first) = match (&proposal.follows, &proposal.idempotency, facts.idempotency) {
        (Some(first), _, _) => (None, first),
        (None, Some((_, arguments)), Some(row)) if row.expires_at > facts.now => {
            if row.arguments != *arguments {
                return refuse(Refusal::new(Code::IdempotencyConflict, "This idempotency key was used with other arguments."));
            }
            (row.end.is_some().then_some(row), &row.call)
        }
        _ => return Ok(()),
    };
    let slots = check_limits(proposal, lineage, facts)?;
    if let Some(row) = ended {
        return Err(Box::new(Decision::Replay(row.clone(), slots)));
    }
    if facts.joined >= JOINED {
        let text = format!("{JOINED} calls wait already for the end of the one that this one repeats.");
        let hint = "operation_wait tells what became of it.";
        let details = json!({ "operation_id": first });
        return refuse(Refusal::new(Code::RateLimited, text).hint(hint).details(details).retry_after(RETRY_AFTER));
    }
    Err(Box::new(Decision::Join(first.clone(), slots)))
}

fn check_switches(proposal: &Proposal, tool: &ToolSpec, facts: &DecisionInputs<'_>) -> Checked<()> {
    let who = &proposal.principal;
    let call = Covered {
        tool,
        account: &who.account,
        credential: &who.credential,
        resources: &proposal.resources,
        providers: &proposal.reach.providers,
        visible: proposal.reach.visible,
    };
    let Some(switch) = facts.state.covering(&call, facts.now).next() else { return Ok(()) };
    let refusal = stopped(switch, facts.state.counted_as(&who.credential), facts.now);
    Err(Box::new(Decision::Refuse { refusal, switch: Some(switch.id.clone()) }))
}

/// What a caller is told whom a switch stopped, and when it is let through if the switch lets go already. `credential` is the
/// first of the keys that its own replaces.
#[must_use]
pub fn stopped(switch: &Switch, credential: &CredentialId, now: Micros) -> Refusal {
    let message = switch.message.clone().unwrap_or_else(|| "The operator has stopped this kind of call.".into());
    let refusal =
        Refusal::new(Code::KillSwitchEngaged, message).details(json!({ "switch_id": switch.id, "target": switch.target }));
    match switch.ramp {
        None => refusal,
        Some(ramp) => refusal
            .hint("Calls are let through again step by step; wait for your turn.")
            .retry_after(ramp.turn(&switch.id, credential).since(now)),
    }
}

fn check_limits(proposal: &Proposal, lineage: &Lineage<'_>, facts: &DecisionInputs<'_>) -> Checked<Slots> {
    // A stop that would change something passes, however many came before.
    if proposal.stop.as_ref().is_some_and(|stop| stop.changes(facts.state, &proposal.principal)) {
        return Ok(Vec::new());
    }
    let keys = limit_keys(proposal);
    // What stops, and what would change nothing, passes although nobody knows how often it may.
    let Some(TermsInForce { terms: Terms { limits: usual, .. }, .. }) = &facts.state.terms else {
        let free = keys.is_empty() || proposal.tool.is_some_and(|tool| tool.stops);
        let text = "There are no limits, so nothing is let through.";
        return if free { Ok(Vec::new()) } else { refuse(Refusal::new(Code::ControlStateUnreadable, text)) };
    };
    let (mut limits, of_keys) = (Vec::new(), lineage.limits(usual.credential));
    for key in keys {
        let limit = match key.split(':').next() {
            Some("credential") => of_keys.iter().find(|(of, _)| *of == key).map(|(_, limit)| *limit),
            Some("exec") => Some(usual.exec),
            Some("list") => Some(Limit::LISTS),
            _ => Some(usual.write),
        };
        let Some(limit) = limit else { return refuse(Refusal::new(Code::ControlStateUnreadable, "A limit is missing.")) };
        if !limit.is_valid() {
            return refuse(Refusal::new(Code::ControlStateUnreadable, "A limit of this call cannot be read."));
        }
        let full = facts.windows.get(&key).and_then(|window| window.full_for(limit, facts.state.in_log(facts.now)));
        if let Some(after) = full {
            let text = format!("At most {} in {} seconds.", counted(limit.admit, "call"), f64::from(limit.window_ms) / 1000.0);
            let details = json!({ "limit": key, "admit": limit.admit, "window_ms": limit.window_ms });
            return refuse(Refusal::new(Code::RateLimited, text).retry_after(after).details(details));
        }
        limits.push((key, limit));
    }
    Ok(limits)
}

fn check_policy(proposal: &Proposal, tool: &ToolSpec, resources: &[Resource], facts: &DecisionInputs<'_>) -> Checked<()> {
    // What puts policies in force cannot wait for policies that nobody can ask.
    if tool.stops || (tool.puts_policies && (proposal.verdict.missing || facts.state.policy.is_none())) {
        return Ok(());
    }
    let Some(set) = &facts.state.policy else {
        return refuse(Refusal::new(Code::ControlStateUnreadable, "There is no policy set, so nothing is permitted."));
    };
    let is_as_judged = resources.iter().map(|row| &row.version).eq(&proposal.versions);
    if proposal.verdict.version != set.version || !is_as_judged {
        return Err(Box::new(Decision::Unsettled));
    }
    if !proposal.verdict.permit {
        let details = json!({ "policies": proposal.verdict.policies });
        return refuse(Refusal::new(Code::PolicyDenied, "The policies do not permit this call.").details(details));
    }
    Ok(())
}

/// Consent is to what was put to a person. If the policies ask nobody any more, nobody has to be asked.
fn check_approval(proposal: &Proposal, tool: &ToolSpec, now: Micros) -> Checked<()> {
    let hold = proposal.verdict.hold.as_ref().filter(|_| !tool.stops);
    let Some(bound) = &proposal.approved else {
        return match hold {
            None => Ok(()),
            // Administering waits for nobody: who could answer would have to be asked first.
            Some(hold) if tool.class == Class::Control => {
                let text = format!("A person has to approve this first: {}", hold.why);
                refuse(Refusal::new(Code::ApprovalRequired, text).hint(NOT_HELD))
            }
            Some(hold) => Err(Box::new(Decision::Hold(hold.clone()))),
        };
    };
    if bound.expires_at <= now {
        return refuse(Refusal::new(Code::ApprovalExpired, "The approval came too late."));
    }
    if bound.versions != proposal.versions {
        let one = proposal.resources.first().map(|id| format!("The {} has changed", id.noun().title));
        return refuse(superseded(one.as_deref().unwrap_or("What it is about has changed")));
    }
    if hold.is_some_and(|hold| *hold != bound.hold) {
        return refuse(superseded("What the policies ask for has changed"));
    }
    Ok(())
}

fn check_exec(proposal: &Proposal, tool: &ToolSpec, resources: &[Resource], facts: &DecisionInputs<'_>) -> Checked<()> {
    let account = facts.state.accounts.get(&proposal.principal.account);
    let by_person = proposal.principal.via == Via::Console;
    let may_enable = by_person || account.is_some_and(|account| account.agents_may_enable_exec);
    if proposal.enables_exec && !may_enable {
        let refusal = Refusal::new(Code::ForbiddenRole, "A key may not turn command execution on in this account.");
        return refuse(refusal.hint(BY_A_PERSON));
    }
    if tool.needs_exec && !resources.iter().any(|row| row.exec_enabled) {
        let refusal = Refusal::new(Code::McpExecDisabled, "Command execution is off on this VM.");
        // Who runs commands has the right that turning them on takes.
        return refuse(refusal.hint(if may_enable { "Turn it on with vm_exec_set." } else { BY_A_PERSON }));
    }
    let Some(claim) = facts.claim.filter(|_| tool.is_command()) else { return Ok(()) };
    let text = if claim.unknown {
        "The end of an earlier command on this VM is unknown; its process may still run."
    } else {
        "Another command runs on this VM."
    };
    let hint = if claim.unknown { "Power-cycle the VM, or have a person clear the claim." } else { "Wait for it or cancel it." };
    let mut details = json!({ "unknown": claim.unknown });
    let holder = claim.credential.as_ref().map_or("", CredentialId::as_str);
    // A call that the caller may not see is not named either (P9).
    if Visibility::own(&proposal.principal, facts.state).call(&proposal.principal.account, holder) {
        details["command_id"] = json!(claim.call);
    }
    refuse(Refusal::new(Code::VmCommandInProgress, text).hint(hint).details(details))
}
