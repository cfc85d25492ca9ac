//! An id that is pasted leads to what it names.

use super::line::Line;
use crate::core::id::{AccountId, CallId, CredentialId, SwitchId, UserId, VmId};
use crate::core::search::Field;
use crate::core::state::ControlState;

/// How every key begins.
const KEY: &str = "flk_live_";

/// What a line names that is nothing but an id, or that has the beginning of a key in it, as it may be written down: of a key no
/// more than that it is one. Where such a line leads tells whether there is such a thing.
pub fn named(line: &Line) -> Option<&str> {
    if key(line).is_some() {
        return Some(KEY);
    }
    let text = line.single()?.trim_matches('"');
    let is_id = text.parse::<CallId>().is_ok()
        || text.parse::<VmId>().is_ok()
        || text.parse::<AccountId>().is_ok()
        || text.parse::<CredentialId>().is_ok()
        || text.parse::<SwitchId>().is_ok()
        || text.parse::<UserId>().is_ok();
    is_id.then_some(text)
}

fn key(line: &Line) -> Option<&str> {
    line.items().map(|item| item.trim_matches('"')).find(|item| item.starts_with(KEY))
}

/// Where a line that is nothing but an id leads. A whole key leads to its page by its beginning: the rest of it is a secret.
pub fn of(line: &Line, state: &ControlState) -> Option<String> {
    if let Some(text) = key(line) {
        let own =
            state.credentials.values().find(|row| row.created.role.is_none() && text.starts_with(row.created.prefix.as_str()));
        return Some(own.map_or_else(
            || "/console/search/no-such-key".to_owned(),
            |row| format!("/console/credentials/{}", row.created.credential),
        ));
    }
    let text = line.single()?.trim_matches('"');
    let found = |known: bool, page: &str| known.then(|| format!("/console/{page}/{text}"));
    let all = |field| Some(Line::default().and(field, text, false).over("created:>=1970-01-01").href());
    found(text.parse::<CallId>().is_ok(), "calls")
        .or_else(|| found(text.parse::<VmId>().is_ok_and(|id| state.vms.contains_key(&id)), "vms"))
        .or_else(|| found(text.parse::<AccountId>().is_ok_and(|id| state.accounts.contains_key(&id)), "accounts"))
        .or_else(|| found(text.parse::<CredentialId>().is_ok_and(|id| state.credentials.contains_key(&id)), "credentials"))
        .or_else(|| found(text.parse::<SwitchId>().is_ok_and(|id| state.switches.contains_key(&id)), "switches"))
        .or_else(|| text.parse::<SwitchId>().is_ok().then(|| format!("/console/events?subject={text}")))
        .or_else(|| if text.parse::<UserId>().is_ok() { all(Field::User) } else { None })
}
