//! What of an account's limits is used, as the log has it.

use std::collections::HashMap;

use super::format::{escape_hidden, format_approximate};
use super::page_error::PageError;
use super::request::SignedInRequest;
use super::who::key_name;
use crate::core::code::Code;
use crate::core::id::AccountId;
use crate::core::limit::{Limit, Window};
use crate::core::limit_keys::{exec_key, write_key};
use crate::core::lineage::{alive, limit_key};
use crate::core::refusal::Refusal;
use crate::core::state::ControlState;
use crate::core::time::Micros;
use crate::log::decision_inputs::limit_row;
use crate::log::store::StateRow;

/// Limits that are shown; an account with more keys sees those that are used most.
const MAX_COUNT: usize = 12;

/// One limit.
pub struct Used {
    /// What it counts.
    pub name: String,
    /// So many are used.
    pub taken: usize,
    /// Of so many.
    pub admit: u32,
    /// In so long.
    pub window: String,
    /// When the next call fits, if none does now.
    pub next: Option<String>,
}

/// The limits of the visitor's account that something has been taken from, the fullest first.
pub async fn used(request: &SignedInRequest, state: &ControlState, now: Micros) -> Result<Vec<Used>, PageError> {
    used_by(request, &request.principal.account, state, now).await
}

/// The same of any account.
pub async fn used_by(
    request: &SignedInRequest,
    account: &AccountId,
    state: &ControlState,
    now: Micros,
) -> Result<Vec<Used>, PageError> {
    let ports = &request.http.gateway.control().ports;
    let usual = state.known_terms().limits;
    // Ended keys stay for ever, those that expired too.
    let live = state.keys_of(account).filter(|row| alive(state, &row.created.credential, now).is_ok());
    let keys = live.filter(|row| row.created.role.is_none()).map(|row| {
        let limit = row.created.limit.unwrap_or(usual.credential);
        (limit_row(&limit_key(state.counted_as(&row.created.credential))), format!("Calls by {}", key_name(row)), limit)
    });
    let vms = state.vms_of(account).map(|vm| {
        let name = format!("Commands on {}", escape_hidden(&vm.label));
        (limit_row(&exec_key(account, &(&vm.id).into())), name, usual.exec)
    });
    let writes = [(limit_row(&write_key(account)), "Changes by the account".to_owned(), usual.write)];
    let all: Vec<(String, String, Limit)> = writes.into_iter().chain(keys).chain(vms).collect();
    let names: Vec<String> = all.iter().map(|(row, _, _)| row.clone()).collect();
    let rows = ports.reader.store.state_rows(&names).await.map_err(|_| unreadable())?;
    let rows: HashMap<&str, &StateRow> = rows.iter().map(|row| (row.name.as_str(), row)).collect();
    let mut shown = Vec::new();
    for (row, name, limit) in all {
        let found = rows.get(row.as_str());
        let window = found.map_or(Ok(Window::default()), |found| Window::decode(&found.doc)).map_err(|_| unreadable())?;
        let next = window.full_for(limit, state.in_log(now)).map(format_approximate);
        let length = std::time::Duration::from_millis(limit.window_ms.into());
        shown.push(Used {
            name,
            taken: window.used(limit, state.in_log(now)),
            admit: limit.admit,
            window: format_approximate(length),
            next,
        });
    }
    // Stable, so the account's own comes first among equals.
    shown.sort_by_key(|used| std::cmp::Reverse(used.taken * 1000 / (used.admit.max(1) as usize)));
    shown.truncate(MAX_COUNT);
    Ok(shown)
}

/// How full the fullest of them is, in percent.
pub fn fullest(limits: &[Used]) -> usize {
    limits.iter().map(|limit| limit.taken * 100 / (limit.admit.max(1) as usize)).max().unwrap_or(0)
}

fn unreadable() -> PageError {
    Refusal::new(Code::ControlStateUnreadable, "A limit cannot be read.").into()
}
