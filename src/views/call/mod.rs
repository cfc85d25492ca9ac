//! The read model of calls: one row per call, with the position of every step, so that it can be shown as it was.
//!
//! INVARIANT: [`next`] alone says how a call stands; an event that cannot follow changes nothing here.

mod row;

use std::collections::BTreeSet;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ViewError;
pub use row::COLUMNS;
#[cfg(feature = "testing")]
pub use row::{CALLS, SUBJECTS};
pub(super) use row::{load, save};

use crate::core::call::{Status, next};
use crate::core::code::Code;
use crate::core::event::{Event, EventKind, IntentRecorded};
use crate::core::id::Position;
use crate::core::resource::ResourceId;
use crate::core::search::words::indexed;
use crate::core::time::Micros;
use crate::core::visibility::Visibility;
use crate::tools::CallRecord;

/// Not yet.
const NEVER: Position = Position(0);

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    intent: Position,
    id: String,
    account: String,
    credential: String,
    person: String,
    /// Ids, a space between them.
    resources: String,
    /// What it is to be found by, of one that is not written yet.
    subjects: Vec<String>,
    label: Option<String>,
    tool: String,
    via: String,
    session: Option<String>,
    ip: Option<String>,
    text: String,
    words: String,
    at: Micros,
    status: Status,
    held: Position,
    decided: Position,
    decision: Option<Status>,
    started: Position,
    ended: Position,
    ended_at: Micros,
    code: Option<String>,
    policy: Option<String>,
    switch: Option<String>,
}

/// What an intent says in its encrypted parts, and what the view knows of what it is about.
#[derive(Default)]
pub(super) struct Spoken {
    pub(super) text: String,
    pub(super) ip: Option<String>,
    pub(super) label: Option<String>,
    /// By what the words of its command are found.
    pub(super) hidden: Vec<String>,
}

impl Call {
    /// A call whose intent was just recorded.
    pub(super) fn recorded(event: &Event, intent: &IntentRecorded, spoken: Spoken) -> Self {
        let resources = named(&intent.resources);
        let providers = intent.providers.iter().map(|name| provider_subject(name));
        let subjects = intent.resources.iter().map(ToString::to_string).chain(providers).collect();
        let said = [Some(spoken.text.as_str()), Some(&*intent.tool), Some(&resources), spoken.label.as_deref()];
        let words: BTreeSet<String> = said.into_iter().flatten().flat_map(indexed).chain(spoken.hidden).collect();
        Self {
            intent: event.position,
            id: intent.call.to_string(),
            account: intent.account.to_string(),
            credential: intent.credential.to_string(),
            person: intent.user.to_string(),
            resources,
            subjects,
            label: spoken.label,
            tool: intent.tool.to_string(),
            via: word(&intent.via),
            session: intent.session.as_ref().map(ToString::to_string),
            ip: spoken.ip,
            text: spoken.text,
            words: words.into_iter().collect::<Vec<_>>().join(" "),
            at: event.at,
            status: Status::Recorded,
            held: NEVER,
            decided: NEVER,
            decision: None,
            started: NEVER,
            ended: NEVER,
            ended_at: Micros(0),
            code: None,
            policy: None,
            switch: None,
        }
    }

    /// Folds a later event of the call in.
    pub(super) fn apply(&mut self, event: &Event) {
        let after = match next(Some(self.status), &event.kind) {
            Ok(status) => status,
            Err(error) => {
                tracing::warn!(call_id = %self.id, position = event.position.0, %error, "a view ignores an event");
                return;
            }
        };
        let position = event.position;
        match &event.kind {
            EventKind::Held { .. } => self.held = position,
            EventKind::Admitted(_) => (self.decided, self.decision) = (position, Some(after)),
            EventKind::Refused(refused) => {
                (self.decided, self.decision) = (position, Some(after));
                self.end(event, Some(refused.code.to_string()));
                self.policy = refused.policies.first().filter(|_| is_policys(refused.code)).map(ToString::to_string);
                self.switch = refused.switch.as_ref().map(ToString::to_string);
            }
            EventKind::Started { .. } if self.started == NEVER => self.started = position,
            kind => {
                if let Some(end) = kind.end() {
                    self.end(event, end.code.map(|code| code.to_string()));
                    self.switch = end.switch.as_ref().map(ToString::to_string);
                }
            }
        }
        self.status = after;
    }

    fn end(&mut self, event: &Event, code: Option<String>) {
        (self.ended, self.ended_at, self.code) = (event.position, event.at, code);
    }

    /// Its id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The call as its events say, to which the row leads; what the row alone holds is taken from it: texts, words, and the VM's label. None
    /// if it speaks of another call, or of one that is not there.
    pub(super) fn logged_by(self, events: &[Event]) -> Option<Self> {
        let named = |event: &&Event| event.kind.call().is_some_and(|call| call.as_str() == self.id);
        let mut events = events.iter().filter(named);
        let intent = events.next().and_then(|event| match &event.kind {
            EventKind::IntentRecorded(intent) => Some((event, intent)),
            _ => None,
        });
        let (text, ip, label) = (self.text.clone(), self.ip.clone(), self.label.clone());
        let spoken = Spoken { text, ip, label, hidden: Vec::new() };
        let logged = intent.map(|(event, intent)| {
            let first = Self { words: self.words.clone(), ..Self::recorded(event, intent, spoken) };
            events.fold(first, |mut call, event| {
                call.apply(event);
                call
            })
        });
        let who = |call: &Self| (call.intent, call.account.clone(), call.credential.clone(), call.person.clone());
        let what = |call: &Self| (call.tool.clone(), call.resources.clone());
        let found = logged.filter(|logged| who(logged) == who(&self) && what(logged) == what(&self));
        // What the log has had since then is not in the row yet.
        let has_steps = |logged: &Self| self.steps().iter().zip(logged.steps()).all(|(row, log)| *row == NEVER || *row == log);
        if !found.as_ref().is_some_and(has_steps) {
            tracing::error!(call_id = %self.id, "a row of the views is not what the log says: `forelog view rebuild` makes them again");
        }
        found
    }

    /// The call as a row has it that has seen the events up to `as_of`.
    pub(super) fn until(mut self, as_of: Position) -> Self {
        let status = self.status_at(as_of);
        for step in [&mut self.held, &mut self.decided, &mut self.started, &mut self.ended] {
            if *step > as_of {
                *step = NEVER;
            }
        }
        if self.decided == NEVER {
            self.decision = None;
        }
        if self.ended == NEVER {
            (self.ended_at, self.code, self.policy, self.switch) = (Micros(0), None, None, None);
        }
        self.status = status;
        self
    }

    /// Whether it may be seen.
    pub(super) fn is_in(&self, visibility: &Visibility) -> bool {
        self.account.parse().is_ok_and(|account| visibility.call(&account, &self.credential))
    }

    /// Where its intent is.
    pub(super) fn intent(&self) -> Position {
        self.intent
    }

    /// The steps it has taken: intent, decision, start and end.
    pub(super) fn steps(&self) -> [Position; 4] {
        [self.intent, self.decided, self.started, self.ended]
    }

    /// How it stood at `as_of`.
    fn status_at(&self, as_of: Position) -> Status {
        let by = |step: Position| step != NEVER && step <= as_of;
        match self.decision {
            _ if by(self.ended) => self.status,
            _ if by(self.started) => Status::Running,
            Some(decision) if by(self.decided) => decision,
            _ if by(self.held) => Status::Held,
            _ => Status::Recorded,
        }
    }

    /// The call as it was at `as_of`.
    pub fn record(self, as_of: Position) -> Result<CallRecord, ViewError> {
        let call = self.until(as_of);
        let ended = call.ended != NEVER;
        let unreadable = |_| ViewError::Unreadable(format!("the ids of {}", call.id));
        let ids = call.resources.split_whitespace().map(str::parse::<ResourceId>);
        let resources = ids.collect::<Result<_, _>>().map_err(unreadable)?;
        Ok(CallRecord {
            call_id: call.id.parse().map_err(unreadable)?,
            account: call.account.parse().map_err(unreadable)?,
            credential: call.credential,
            resources,
            tool: call.tool,
            via: call.via,
            status: call.status,
            code: call.code,
            at: call.at,
            ended_at: ended.then_some(call.ended_at),
            session: call.session,
            ip: call.ip,
            text: call.text,
            policy: call.policy,
            switch: call.switch,
            user: call.person,
            intent: call.intent,
            end: ended.then_some(call.ended),
        })
    }
}

/// How a provider that a call reaches is written among what it is found by.
fn provider_subject(name: &str) -> String {
    format!("provider:{name}")
}

/// Resources as a row has them.
fn named(resources: &[ResourceId]) -> String {
    resources.iter().map(ResourceId::as_str).collect::<Vec<_>>().join(" ")
}

/// Whether it is the policies that refuse with this code.
fn is_policys(code: Code) -> bool {
    matches!(code, Code::PolicyDenied | Code::ApprovalRequired)
}

/// A unit variant as it is written.
fn word<T: Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// What a written word stands for.
pub(super) fn meaning<T: DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
}
