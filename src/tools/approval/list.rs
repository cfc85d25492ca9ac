//! `approval_list`: the calls that wait for a person, as that person has to see them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{may_answer_any, may_see};
use crate::core::approval::Approval;
use crate::core::call::Outcome;
use crate::core::engagement::{REASON, WHY_STAFF_ASK, check_reason_if_any};
use crate::core::hold::{Approver, Hold};
use crate::core::id::{AccountId, CallId, CredentialId, UserId};
use crate::core::noun::vm::VM;
use crate::core::principal::{Principal, Side};
use crate::core::reading::Reading;
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::refusal::Refusal;
use crate::core::resource::ResourceId;
use crate::core::state::ControlState;
use crate::core::visibility::Visibility;
use crate::log::hold::{APPROVALS, approvals_of};
use crate::tools::Execution;
use crate::tools::declare::{Operation, Route, administration};
use crate::tools::instant::Instant;
use crate::tools::record::{fresh, record_read};

pub(super) static LIST: Operation<Args, Output> = administration("approval_list")
    .open("A key sees which of its own calls wait. Those of others are shown to who may answer for them.")
    .title("List approvals")
    .about("Lists the calls that wait for a person.")
    .rest(Route::get("/approvals"))
    .run(|execution, args| Box::pin(list(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// Why the staff asks.
    #[schemars(description = WHY_STAFF_ASK, extend("x-class" = Content), length(min = 1, max = REASON))]
    reason: Option<String>,
    /// Only this call.
    #[schemars(extend("x-class" = Public))]
    id: Option<CallId>,
    /// At most so many.
    #[serde(default = "page")]
    #[schemars(extend("x-class" = Public), range(min = 1, max = 200))]
    limit: usize,
    /// next_cursor of the page before.
    #[schemars(extend("x-class" = Public), length(min = 1, max = 80))]
    cursor: Option<String>,
}

/// Each call comes with all that it would do.
fn page() -> usize {
    50
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The calls that wait, account by account, oldest first, with what they would do and who may approve.
    #[schemars(extend("x-class" = Content))]
    items: Vec<Waiting>,
    /// Where the next page begins, if there is one.
    #[schemars(extend("x-class" = Public))]
    next_cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Waiting {
    /// The call.
    id: CallId,
    /// The same.
    call_id: CallId,
    /// Whose call.
    account: AccountId,
    /// The person behind it.
    user: UserId,
    /// The key.
    credential: CredentialId,
    /// What it calls.
    tool: String,
    /// The VM it is about.
    #[schemars(with = "Option<String>")]
    vm_id: Option<ResourceId>,
    /// That VM's name for people.
    vm_label: Option<String>,
    /// Its arguments as they are recorded, without secrets: those of its tool.
    arguments: Value,
    /// Its public arguments.
    text: Option<String>,
    /// Why a person is asked.
    why: String,
    /// Who may approve.
    approver: Approver,
    /// It takes two persons.
    second_person: bool,
    /// Nobody approves a call of a key of his own.
    separate: bool,
    /// Who has said yes.
    approvals: Vec<Consent>,
    /// Version of the policies that hold it.
    policy: i64,
    /// Since when it waits.
    held_at: Instant,
    /// It is refused then.
    expires_at: Instant,
}

#[derive(Serialize, JsonSchema)]
struct Consent {
    /// Who; staff are not named to customers.
    by: String,
    /// When.
    at: Instant,
}

async fn list(execution: Execution, args: Args) -> Result<Output, Outcome> {
    check_reason_if_any(args.reason.as_deref())?;
    let state = fresh(&execution).await?;
    let (who, limit) = (&execution.principal, args.limit);
    if who.side == Side::Staff && may_answer_any(&execution, &state) {
        record_read(&execution, None, Reading::Approvals, json!({ "reason": args.reason })).await?;
    }
    let (prefix, mut after) = range(who, args.cursor.as_deref())?;
    let (store, now) = (&execution.ports.reader.store, execution.ports.clock.now());
    let visibility = Visibility::of_approver(who, &state);
    let mut items: Vec<Waiting> = Vec::new();
    // One more than are shown, so that nobody is told of calls that they may not see by there being a next page.
    while items.len() <= limit {
        let rows = store.page_under(&prefix, after.as_deref(), READ).await?;
        let is_last = rows.len() < READ;
        after = rows.last().map(|row| row.name.clone());
        for row in rows.iter().filter_map(|row| serde_json::from_slice::<Approval>(&row.doc).ok()) {
            let is_wanted = args.id.as_ref().is_none_or(|id| *id == row.call);
            if items.len() > limit || !is_wanted || row.is_over(now) || !may_see(&execution, &state, &row) {
                continue;
            }
            let Some((approval, asked)) = asked(&execution, row, &visibility).await? else { continue };
            let approval = approval.standing(&state, now);
            if !approval.is_granted() {
                items.push(to_waiting(approval, asked, &visibility, &state));
            }
        }
        if is_last {
            break;
        }
    }
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| more).map(|last| format!("{}/{}", last.account, last.id));
    Ok(Output { items, next_cursor })
}

/// Rows that are read together.
const READ: usize = 200;

/// The rows that are listed, and after which of them: a customer's are its own, whatever its cursor names.
fn range(who: &Principal, cursor: Option<&str>) -> Result<(String, Option<String>), Refusal> {
    let unreadable = || Refusal::of_argument("/cursor", "pattern", "it is no next_cursor of this list");
    let place = |text: &str| {
        let (account, call) = text.split_once('/')?;
        Some((account.parse::<AccountId>().ok()?, call.parse::<CallId>().ok()?))
    };
    let place = cursor.map(|text| place(text).ok_or_else(unreadable)).transpose()?;
    let (prefix, of) = match who.side {
        Side::Staff => (APPROVALS.to_owned(), place.as_ref().map(|(account, _)| account)),
        Side::Customer => (approvals_of(&who.account), Some(&who.account)),
    };
    let after = place.as_ref().zip(of).map(|((_, call), account)| format!("{}{call}", approvals_of(account)));
    Ok((prefix, after))
}

fn to_waiting(approval: Approval, mut asked: Value, visibility: &Visibility, state: &ControlState) -> Waiting {
    let consents = approval.consents.iter();
    let consents = consents.map(|yes| Consent { by: visibility.user_name(yes.by.to_string(), state), at: yes.at.into() });
    let Hold { why, approver, second_person, separate } = approval.hold;
    Waiting {
        id: approval.call.clone(),
        call_id: approval.call,
        account: approval.account,
        user: approval.user,
        credential: approval.credential,
        tool: approval.tool,
        vm_label: approval.resources.iter().find_map(|id| state.vm(id)).map(|vm| vm.label.clone()),
        vm_id: approval.resources.into_iter().find(|id| *id.noun() == VM),
        arguments: asked["args"].take(),
        text: asked["text"].as_str().map(str::to_owned),
        why,
        approver,
        second_person,
        separate,
        approvals: consents.collect(),
        policy: approval.policy,
        held_at: approval.held_at.into(),
        expires_at: approval.expires_at.into(),
    }
}

/// An approval as the log has it, and what the call would do, as it is recorded: without secrets. None if the row is not what the
/// log says of the call.
async fn asked(execution: &Execution, row: Approval, visibility: &Visibility) -> Result<Option<(Approval, Value)>, Outcome> {
    let (reader, call) = (&execution.ports.reader, row.call.clone());
    let Some(chain) = reader.chain(&call).await? else { return Ok(None) };
    let approval = match chain.approval(row) {
        Ok(approval) => approval,
        Err(why) => {
            tracing::error!(call_id = %call, %why, "an approval is not what the log says of its call, and nobody is asked");
            return Ok(None);
        }
    };
    let Some(event) = reader.event(chain.intent).await? else { return Ok(None) };
    Ok(Some((approval, reader.part(&event, "arguments", visibility).await?.unwrap_or_default())))
}
