//! What an export holds: a range of the log, and whose or which calls of it.
//!
//! INVARIANT: an event is exported with its call or not at all, so what is taken away of a call is all of it that lies in
//! the range; an account's export holds no other account's events (P9).

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::core::about::About;
use crate::core::event::{Event, EventKind, IntentRecorded};
use crate::core::id::{AccountId, CallId, CredentialId, Position, VmId};
use crate::core::time::Micros;

/// A range, and what of it. Everything that is set has to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Events at or after this position.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_position: Option<Position>,
    /// Events up to and with this position.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_position: Option<Position>,
    /// Events at or after this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Micros>,
    /// Events before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Micros>,
    /// Only this account's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// Only calls by this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialId>,
    /// Only calls about this VM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vm: Option<VmId>,
    /// Only calls of this tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
}

impl Filter {
    /// Whether the event lies in the range.
    pub(super) fn spans(&self, event: &Event) -> bool {
        self.from_position.is_none_or(|from| event.position >= from)
            && self.to_position.is_none_or(|to| event.position <= to)
            && self.from.is_none_or(|from| event.at >= from)
            && self.to.is_none_or(|to| event.at < to)
    }

    /// Whether no later event can lie in the range: neither positions nor times run backwards.
    pub(super) fn is_over(&self, event: &Event) -> bool {
        self.to_position.is_some_and(|to| event.position > to) || self.to.is_some_and(|to| event.at >= to)
    }

    /// Whether an event is chosen by what came before it, so that the walk has to begin at the beginning.
    pub(super) fn chooses(&self) -> bool {
        self.account.is_some() || self.is_of_calls()
    }

    /// Whether what was before the range is not there, so that an event may be of a call that began before it.
    pub(super) fn begins(&self) -> bool {
        self.from.is_some() || self.from_position.is_some()
    }

    /// Whether an event can be in it at all, whatever was before.
    pub(super) fn may_hold(&self, event: &Event) -> bool {
        match &event.kind {
            EventKind::IntentRecorded(intent) => self.wants(intent),
            kind => kind.call().is_some() || !self.is_of_calls(),
        }
    }

    /// Only calls can have what is asked for.
    fn is_of_calls(&self) -> bool {
        self.credential.is_some() || self.vm.is_some() || self.tool.is_some()
    }

    fn wants(&self, intent: &IntentRecorded) -> bool {
        self.account.as_ref().is_none_or(|account| *account == intent.account)
            && self.credential.as_ref().is_none_or(|credential| *credential == intent.credential)
            && self.vm.as_ref().is_none_or(|vm| intent.resources.contains(&vm.into()))
            && self.tool.as_ref().is_none_or(|tool| *tool == intent.tool)
    }
}

/// The choice so far: which calls are wanted, and who owns what.
pub(super) struct Choice<'a> {
    filter: &'a Filter,
    calls: HashSet<CallId>,
    /// Whose a key, a VM, a switch or a person is, by id.
    owners: HashMap<String, String>,
}

impl<'a> Choice<'a> {
    pub(super) fn new(filter: &'a Filter) -> Self {
        Self { filter, calls: HashSet::new(), owners: HashMap::new() }
    }

    /// Whether the event is wanted. Has to see every event in order.
    pub(super) fn take(&mut self, event: &Event) -> bool {
        if !self.filter.chooses() {
            return self.filter.spans(event);
        }
        let wanted = match (&event.kind, event.kind.call()) {
            (EventKind::IntentRecorded(intent), _) => {
                let wanted = self.filter.wants(intent);
                if wanted {
                    self.calls.insert(intent.call.clone());
                }
                wanted
            }
            (_, Some(call)) => self.calls.contains(call),
            (kind, None) => self.is_owned(kind) && !self.filter.is_of_calls(),
        };
        wanted && self.filter.spans(event)
    }

    /// Whether an event that belongs to no call is the account's. That the staff read is told later than it happens, and is
    /// in no export: the same recipe would give another file then.
    fn is_owned(&mut self, kind: &EventKind) -> bool {
        let Some(about) = About::of(kind) else { return false };
        let owner = about.account.or_else(|| about.owned_like.and_then(|like| self.owners.get(&like).cloned()));
        if let (Some(subject), Some(owner), true) = (about.subject, &owner, About::establishes_owner(kind)) {
            self.owners.insert(subject, owner.clone());
        }
        let wanted = self.filter.account.as_ref().map(AccountId::as_str);
        wanted.is_some() && wanted == owner.as_deref() && !matches!(kind, EventKind::LogRead { .. })
    }
}
