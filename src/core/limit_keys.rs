//! Which limits a call counts against, and what each is called; that of a key is [`limit_key`].
//!
//! INVARIANT: nothing that would stop something counts against any, so no limit is in the way of a stop.

use super::id::{AccountId, CredentialId};
use super::lineage::limit_key;
use super::principal::Via;
use super::proposal::Proposal;
use super::resource::{ResourceId, place_of};
use super::tool::{Class, ToolSpec};

/// The limit of changes by an account.
#[must_use]
pub fn write_key(account: &AccountId) -> String {
    format!("write:{account}")
}

/// The limit of an account's commands in one place.
#[must_use]
pub fn exec_key(account: &AccountId, place: &ResourceId) -> String {
    format!("exec:{account}/{place}")
}

/// The limit of a key's looks at what there is to stop.
fn list_key(first: &CredentialId) -> String {
    format!("list:{first}")
}

/// The keys of the limits that a call counts against. A stop counts against no limit, unless it may change nothing: then against
/// those of its key if it does not.
#[must_use]
pub fn limit_keys(proposal: &Proposal) -> Vec<String> {
    if proposal.tool.is_some_and(ToolSpec::lists) {
        // A window of its own, of its own key: what others do with keys that it made keeps nobody from seeing what to stop.
        let own = proposal.lineage_rows.windows.first().filter(|_| proposal.principal.via != Via::Console);
        return own.map(list_key).into_iter().collect();
    }
    let is_limited = |tool: &&ToolSpec| tool.class != Class::Control && (!tool.stops || proposal.stop.is_some());
    let Some(tool) = proposal.tool.filter(is_limited) else { return Vec::new() };
    let account = &proposal.principal.account;
    let mut keys: Vec<String> = proposal.lineage_rows.windows.iter().map(limit_key).collect();
    match (tool.class, place_of(&proposal.resources)) {
        _ if tool.stops => {}
        (Class::Exec, Some(place)) => keys.push(exec_key(account, place)),
        (Class::Write | Class::Destroy, _) => keys.push(write_key(account)),
        _ => {}
    }
    keys
}
