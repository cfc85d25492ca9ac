//! `approval_list`: the calls that wait for a person, as that person has to see them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{may_answer_any, may_see};
use crate::core::approval::Approval;
use crate::core::call::Outcome;
use crate::core::code::Code;
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
use crate::log::hold::{APPROVALS, approval_row, approvals_of};
use crate::tools::Execution;
use crate::tools::declare::{Operation, Route, administration};
use crate::tools::instant::Instant;
use crate::tools::page::largest;
use crate::tools::record::{fresh, record_read};

pub(super) static LIST: Operation<Args, Output> = administration("approval_list")
    .open("A key sees which of its own calls wait. Those of others are shown to who may answer for them.")
    .title("List approvals")
    .about("Lists the calls that wait for a person.")
    .rest(Route::get("/approvals"))
    .run(|execution, args| Box::pin(list(execution, args)));

/// Rows that are read at a time; of some of them the caller may not know.
const ROWS: usize = 200;

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// Only this call.
    #[schemars(extend("x-class" = Public))]
    id: Option<CallId>,
    /// Why the staff asks.
    #[schemars(description = WHY_STAFF_ASK, extend("x-class" = Content), length(min = 1, max = REASON))]
    reason: Option<String>,
    /// At most so many.
    #[serde(default = "largest")]
    #[schemars(extend("x-class" = Public), range(min = 1, max = 200))]
    limit: usize,
    /// next_cursor of the page before.
    #[schemars(extend("x-class" = Public), length(min = 1, max = 64))]
    cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The calls that wait, with what they would do and who may approve: of each account oldest first.
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

async fn list(execution: Execution, Args { id, reason, limit, cursor }: Args) -> Result<Output, Outcome> {
    check_reason_if_any(reason.as_deref())?;
    let state = fresh(&execution).await?;
    let who = &execution.principal;
    let mut after = cursor.map(|cursor| row_after(who, &cursor)).transpose()?;
    if who.side == Side::Staff && may_answer_any(&execution, &state) {
        record_read(&execution, None, Reading::Approvals, json!({ "reason": reason })).await?;
    }
    let prefix = match who.side {
        Side::Staff => APPROVALS.to_owned(),
        Side::Customer => approvals_of(&who.account),
    };
    let (now, visibility) = (execution.ports.clock.now(), Visibility::of_approver(who, &state));
    let mut items: Vec<Waiting> = Vec::new();
    loop {
        let rows = execution.ports.reader.store.page_under(&prefix, after.as_deref(), ROWS).await?;
        let is_last = rows.len() < ROWS;
        after = rows.last().map(|row| row.name.clone());
        let waiting = rows.iter().filter_map(|row| serde_json::from_slice::<Approval>(&row.doc).ok());
        let is_asked = |row: &Approval| id.as_ref().is_none_or(|id| row.call == *id) && !row.is_over(now);
        for row in waiting.filter(|row| is_asked(row) && may_see(&execution, &state, row)) {
            let Some((approval, asked)) = asked(&execution, row, &visibility).await? else { continue };
            let approval = approval.standing(&state, now);
            if approval.is_granted() {
                continue;
            }
            if items.len() == limit {
                let next_cursor = items.last().map(|last| format!("{}/{}", last.account, last.id));
                return Ok(Output { items, next_cursor });
            }
            items.push(to_waiting(approval, asked, &visibility, &state));
        }
        if is_last {
            return Ok(Output { items, next_cursor: None });
        }
    }
}

/// The row that a page goes on after: the account and the call that the one before it ended with.
fn row_after(who: &Principal, cursor: &str) -> Result<String, Refusal> {
    let read = |(account, call): (&str, &str)| Some((account.parse::<AccountId>().ok()?, call.parse::<CallId>().ok()?));
    let given = cursor.split_once('/').and_then(read);
    let given = given.filter(|(account, _)| who.side == Side::Staff || *account == who.account);
    let (account, call) = given.ok_or_else(|| {
        let refusal = Refusal::new(Code::ValidationFailed, "The cursor is not one that was given out.");
        refusal.hint("Leave it out to begin at the first page.")
    })?;
    Ok(approval_row(&account, &call))
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
