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
    Id::of(text).map(|_| text)
}

/// An id, by what it is of.
enum Id {
    Call,
    Vm(VmId),
    Account(AccountId),
    Credential(CredentialId),
    Switch(SwitchId),
    User,
}

impl Id {
    fn of(text: &str) -> Option<Self> {
        let call = text.parse::<CallId>().map(|_| Self::Call).ok();
        call.or_else(|| text.parse().map(Self::Vm).ok())
            .or_else(|| text.parse().map(Self::Account).ok())
            .or_else(|| text.parse().map(Self::Credential).ok())
            .or_else(|| text.parse().map(Self::Switch).ok())
            .or_else(|| text.parse::<UserId>().map(|_| Self::User).ok())
    }
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
    let page = match Id::of(text)? {
        Id::Call => "calls",
        Id::Vm(id) if state.vms.contains_key(&id) => "vms",
        Id::Account(id) if state.accounts.contains_key(&id) => "accounts",
        Id::Credential(id) if state.credentials.contains_key(&id) => "credentials",
        Id::Switch(id) if state.switches.contains_key(&id) => "switches",
        Id::Switch(_) => return Some(format!("/console/events?subject={text}")),
        Id::User => return Some(Line::default().and(Field::User, text, false).over("created:>=1970-01-01").href()),
        Id::Vm(_) | Id::Account(_) | Id::Credential(_) => return None,
    };
    Some(format!("/console/{page}/{text}"))
}
